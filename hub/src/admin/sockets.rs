//! Who is connected, and where: in pages; and how somebody is sent away.

use std::{fmt, str::FromStr, sync::Arc};

use axum::extract::State;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Shared,
    auth::Caller,
    error::ApiError,
    extract::{Answer, OptionalJson, Param, Query},
};
use crate::{
    delivery::list::{Filter, Grouping, SocketRow},
    event::{SocketId, Text},
};

/// Items of a page of which nobody has said how many it should have.
const PAGE: usize = 100;
/// Of what plugins are told when a socket is sent away.
const REASON_MAX_BYTES: usize = 256;
/// The reason of who gave none.
const REASON: &str = "kicked";

/// A socket's id in a path.
pub(super) struct Id(SocketId);

/// A text that is no socket's id.
pub(super) struct NoId;

impl fmt::Display for NoId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected a socket's id of 20 letters, digits, `-` and `_`")
    }
}

impl FromStr for Id {
    type Err = NoId;

    fn from_str(text: &str) -> Result<Self, NoId> {
        SocketId::parse(text).map(Self).ok_or(NoId)
    }
}

/// One client in one namespace.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SocketView {
    id: String,
    namespace: String,
    /// Who it belongs to; null: no plugin has said.
    user: Option<String>,
    /// Its client's.
    address: Option<String>,
    /// Some of its rooms, in the order of joining.
    rooms: Vec<String>,
    rooms_total: usize,
    /// False: its connection is lost, and its client may still come back.
    connected: bool,
}

impl From<SocketRow> for SocketView {
    fn from(row: SocketRow) -> Self {
        Self {
            id: row.id.to_string(),
            namespace: row.namespace.to_string(),
            user: row.user.map(|user| user.to_string()),
            address: row.address.map(|address| address.to_string()),
            rooms: row.rooms.iter().map(Text::to_string).collect(),
            rooms_total: row.rooms_total,
            connected: row.is_connected,
        }
    }
}

/// Some sockets, by their ids.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SocketPage {
    items: Vec<SocketView>,
    /// What to say as `after` for the next page; null: there is none.
    next: Option<String>,
    /// On all pages, at this moment.
    total: usize,
}

/// A room or a user in a namespace.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct GroupView {
    namespace: String,
    name: String,
    sockets: usize,
}

/// Some rooms or users, by namespace and name.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct GroupPage {
    items: Vec<GroupView>,
    /// What to say as `after` for the next page; null: there is none.
    next: Option<String>,
    /// On all pages, at this moment.
    total: usize,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SocketQuery {
    namespace: Option<String>,
    room: Option<String>,
    user: Option<String>,
    /// As the last page said in `next`.
    after: Option<String>,
    limit: Option<usize>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct GroupQuery {
    namespace: Option<String>,
    /// As the last page said in `next`.
    after: Option<String>,
    limit: Option<usize>,
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct KickQuery {
    /// Only there; without one, everywhere.
    namespace: Option<String>,
}

/// Why somebody is sent away.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Kick {
    /// What plugins are told in `on_leave` and `on_disconnect`.
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Kicked {
    /// Sockets that were still there.
    sockets: usize,
}

/// Sockets, by their ids
#[utoipa::path(get, path = "/v1/sockets", params(SocketQuery), responses((status = 200, body = SocketPage)))]
pub(super) async fn list_sockets(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<SocketQuery>,
) -> Result<Answer<SocketPage>, ApiError> {
    let text = |text: Option<String>| text.map(Text::from);
    let filter = Filter { namespace: text(query.namespace), room: text(query.room), user: text(query.user) };
    let limit = shared.page_limit(query.limit, PAGE)?;
    let after = match query.after.as_deref().map(SocketId::parse) {
        Some(None) => return Err(wrong_after()),
        after => after.flatten(),
    };
    let page = shared.parts.delivery.list_sockets(&filter, after, limit);
    let next = page.items.last().filter(|_| page.is_cut).map(|row| row.id.to_string());
    Ok(Answer(SocketPage { items: page.items.into_iter().map(SocketView::from).collect(), next, total: page.total }))
}

/// Users, by namespace and id
#[utoipa::path(get, path = "/v1/users", params(GroupQuery), responses((status = 200, body = GroupPage)))]
pub(super) async fn list_users(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<GroupQuery>,
) -> Result<Answer<GroupPage>, ApiError> {
    groups(&shared, Grouping::Users, query)
}

/// Rooms, by namespace and name
#[utoipa::path(get, path = "/v1/rooms", params(GroupQuery), responses((status = 200, body = GroupPage)))]
pub(super) async fn list_rooms(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<GroupQuery>,
) -> Result<Answer<GroupPage>, ApiError> {
    groups(&shared, Grouping::Rooms, query)
}

fn groups(shared: &Shared, grouping: Grouping, query: GroupQuery) -> Result<Answer<GroupPage>, ApiError> {
    let limit = shared.page_limit(query.limit, PAGE)?;
    let after = query.after.as_deref().map(read_place).transpose()?;
    let after = after.as_ref().map(|(namespace, name)| (&**namespace, &**name));
    let page = shared.parts.delivery.list_groups(grouping, query.namespace.as_deref(), after, limit);
    let next = page.items.last().filter(|_| page.is_cut).map(|last| write_place(&last.namespace, &last.name));
    let view = |group: crate::delivery::list::Group| GroupView {
        namespace: group.namespace.to_string(),
        name: group.name.to_string(),
        sockets: group.sockets,
    };
    Ok(Answer(GroupPage { items: page.items.into_iter().map(view).collect(), next, total: page.total }))
}

/// A place between groups, as one text that need not be understood.
fn write_place(namespace: &str, name: &str) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::json!([namespace, name]).to_string())
}

fn read_place(text: &str) -> Result<(String, String), ApiError> {
    let place = URL_SAFE_NO_PAD.decode(text).ok().and_then(|json| serde_json::from_slice(&json).ok());
    place.ok_or_else(wrong_after)
}

fn wrong_after() -> ApiError {
    ApiError::invalid("after: expected what the last page said in `next`")
}

/// Send a socket away
///
/// It ends behind what it has under way; its client is told, and does not come back by itself.
#[utoipa::path(
    post, path = "/v1/sockets/{id}/kick",
    params(("id" = String, Path)),
    request_body = Option<Kick>,
    responses((status = 200, body = Kicked))
)]
pub(super) async fn kick_socket(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Param(Id(id)): Param<Id>,
    OptionalJson(kick): OptionalJson<Kick>,
) -> Result<Answer<Kicked>, ApiError> {
    let reason = kick.reason()?;
    let socket = shared.parts.delivery.find_socket(id);
    let socket =
        socket.ok_or_else(|| ApiError::not_found(format!("there is no socket {id}: GET /v1/sockets lists them")))?;
    tracing::info!(socket = %id, who = %caller.name, "kicked");
    Ok(Answer(Kicked { sockets: shared.parts.node.kick(vec![socket], reason).await }))
}

/// Send all sockets of a user away
#[utoipa::path(
    post, path = "/v1/users/{user}/kick",
    params(("user" = String, Path), KickQuery),
    request_body = Option<Kick>,
    responses((status = 200, body = Kicked))
)]
pub(super) async fn kick_user(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Param(user): Param<String>,
    Query(query): Query<KickQuery>,
    OptionalJson(kick): OptionalJson<Kick>,
) -> Result<Answer<Kicked>, ApiError> {
    let filter = Filter { namespace: query.namespace.map(Text::from), room: None, user: Some(Text::from(user)) };
    let nobody = "this user has no socket there: GET /v1/users lists those who have";
    kick_all(&shared, &caller, filter, kick, nobody).await
}

/// Send all sockets in a room away
#[utoipa::path(
    post, path = "/v1/rooms/{room}/kick",
    params(("room" = String, Path), KickQuery),
    request_body = Option<Kick>,
    responses((status = 200, body = Kicked))
)]
pub(super) async fn kick_room(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Param(room): Param<String>,
    Query(query): Query<KickQuery>,
    OptionalJson(kick): OptionalJson<Kick>,
) -> Result<Answer<Kicked>, ApiError> {
    let filter = Filter { namespace: query.namespace.map(Text::from), room: Some(Text::from(room)), user: None };
    let nobody = "this room has no socket there: GET /v1/rooms lists those that have";
    kick_all(&shared, &caller, filter, kick, nobody).await
}

/// Sends all away whom `filter` lets through; `nobody` is what is said when it lets none.
async fn kick_all(
    shared: &Shared,
    caller: &Caller,
    filter: Filter,
    kick: Kick,
    nobody: &str,
) -> Result<Answer<Kicked>, ApiError> {
    let reason = kick.reason()?;
    let sockets = shared.parts.delivery.find_sockets(&filter);
    if sockets.is_empty() {
        return Err(ApiError::not_found(nobody));
    }
    let (user, room) = (filter.user.as_deref(), filter.room.as_deref());
    tracing::info!(user, room, sockets = sockets.len(), who = %caller.name, "kicked");
    Ok(Answer(Kicked { sockets: shared.parts.node.kick(sockets, reason).await }))
}

impl Kick {
    fn reason(self) -> Result<Text, ApiError> {
        let reason = self.reason.unwrap_or_else(|| REASON.to_owned());
        if reason.len() > REASON_MAX_BYTES {
            return Err(ApiError::invalid(format!("reason: allowed are {REASON_MAX_BYTES} bytes")));
        }
        Ok(reason.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_between_groups_is_read_as_it_was_written() {
        for (namespace, name) in [("/", ""), ("/a,b", "ä \"room\""), ("/x", "\u{0}")] {
            let read = read_place(&write_place(namespace, name)).unwrap();
            assert_eq!((&*read.0, &*read.1), (namespace, name));
        }
        for wrong in ["", "x", "W10", "!!!!"] {
            assert!(read_place(wrong).is_err(), "{wrong}");
        }
    }
}
