//! What is seen while it happens: plugins' lines, single events, figures; and what operators did.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::stream;
use serde::{Deserialize, Serialize};
use tokio::{sync::watch, time::timeout};
use utoipa::{IntoParams, ToSchema};

use super::{
    Shared,
    error::ApiError,
    extract::{Answer, Param, Query},
    plugins::PluginName,
};
use crate::{
    event::{SocketId, Text},
    seeing::{Subscription, Told, TooMany, trace::Filter},
};

/// An empty line is sent so often when there is nothing to say: who has gone away is noticed.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);
/// Lines that are shown when nobody has said how many.
const LINES: usize = 100;
const NDJSON: &str = "application/x-ndjson";

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LogQuery {
    /// Of the lines that are there, so many last ones.
    last: Option<usize>,
    /// All further ones too, until the caller goes.
    #[serde(default)]
    follow: bool,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct TraceQuery {
    /// Only events of this socket.
    socket: Option<String>,
    /// Only events of this user's sockets.
    user: Option<String>,
    /// Only events that have to do with this room.
    room: Option<String>,
    /// Only messages of this name, or events of this kind: connect, join, ...
    event: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AuditQuery {
    /// So many last lines.
    last: Option<usize>,
}

/// What operators did, the oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AuditView {
    #[schema(value_type = Vec<Object>)]
    items: Vec<serde_json::Value>,
}

/// What a plugin says, a line of JSON each
///
/// Lines are `{time_ms, plugin, version, hook, level, text, socket?}`. They are kept by name, also when the plugin is gone. Who
/// does not fetch them in time is told `{missed: N}`; empty lines are signs of life.
#[utoipa::path(
    get, path = "/v1/plugins/{name}/logs",
    params(("name" = String, Path), LogQuery),
    responses((status = 200, body = String, content_type = "application/x-ndjson"))
)]
pub(super) async fn plugin_logs(
    State(shared): State<Arc<Shared>>,
    Param(PluginName(name)): Param<PluginName>,
    Query(query): Query<LogQuery>,
) -> Result<Response, ApiError> {
    let logs = &shared.parts.seeing.logs;
    let last = query.last.unwrap_or(LINES);
    if !query.follow {
        let lines: Vec<u8> = logs.last(&name, last).iter().flat_map(|line| as_line(&**line)).collect();
        return Ok(ndjson(lines.into()));
    }
    let (lines, following) = logs.follow(Text::from(name), last).map_err(too_many)?;
    let first: Vec<u8> = lines.iter().flat_map(|line| as_line(&**line)).collect();
    Ok(follow(&shared, first, following))
}

/// Events as they happen, a line of JSON each
///
/// For each event that fits: which plugin of which version did what in how many microseconds, and what came of it. What events
/// say is not in it. Who does not fetch them in time is told `{missed: N}`; empty lines are signs of life.
#[utoipa::path(
    get, path = "/v1/trace",
    params(TraceQuery),
    responses((status = 200, body = String, content_type = "application/x-ndjson"))
)]
pub(super) async fn trace(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<TraceQuery>,
) -> Result<Response, ApiError> {
    let TraceQuery { socket, user, room, event } = query;
    let socket =
        socket.map(|id| SocketId::parse(&id).ok_or_else(|| ApiError::invalid("socket: expected a socket's id")));
    let text = |text: Option<String>| text.map(Text::from);
    let filter = Filter { socket: socket.transpose()?, user: text(user), room: text(room), event: text(event) };
    let following = shared.parts.seeing.tracer.subscribe(filter).map_err(too_many)?;
    Ok(follow(&shared, Vec::new(), following))
}

/// The node's figures, in the text form of Prometheus
#[utoipa::path(get, path = "/metrics", responses((status = 200, body = String, content_type = "text/plain")))]
pub(super) async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, shared.parts.seeing.metrics.render()).into_response()
}

/// What operators did: the calls that change something, and those that were refused, in the order of time
#[utoipa::path(get, path = "/v1/audit", params(AuditQuery), responses((status = 200, body = AuditView)))]
pub(super) async fn audit(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<AuditQuery>,
) -> Result<Answer<AuditView>, ApiError> {
    let last = shared.page_limit(query.last, LINES)?;
    let items = shared.parts.audit.last(last).await;
    let items = items.map_err(|error| ApiError::internal(format!("the audit log cannot be read: {error}")))?;
    Ok(Answer(AuditView { items }))
}

fn too_many(error: TooMany) -> ApiError {
    ApiError::busy(&error.to_string())
}

fn as_line(value: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(value).expect("records are texts and numbers");
    line.push(b'\n');
    line
}

/// `first`, then records as they come, until the caller goes or the node ends.
fn follow<F, T>(shared: &Shared, first: Vec<u8>, following: Subscription<F, T>) -> Response
where
    F: Send + Sync + 'static,
    T: Serialize + Send + Sync + 'static,
{
    let state = (Some(first).filter(|first| !first.is_empty()), following, shared.ending.subscribe());
    let lines = stream::unfold(state, async |(first, mut following, mut ending)| {
        let bytes = match first {
            Some(first) => Bytes::from(first),
            None => next_line(&mut following, &mut ending).await?,
        };
        Some((Ok::<_, std::convert::Infallible>(bytes), (None, following, ending)))
    });
    ndjson(Body::from_stream(lines))
}

/// `None`: the node ends.
async fn next_line<F, T: Serialize>(
    following: &mut Subscription<F, T>,
    ending: &mut watch::Receiver<bool>,
) -> Option<Bytes> {
    tokio::select! {
        told = timeout(SIGN_OF_LIFE, following.next()) => Some(match told {
            Ok(told @ (Told::Record(_) | Told::Missed { .. })) => as_line(&told).into(),
            Err(_) => Bytes::from_static(b"\n"),
        }),
        _ = ending.wait_for(|ending| *ending) => None,
    }
}

fn ndjson(body: Body) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(NDJSON)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (StatusCode::OK, headers, body).into_response()
}
