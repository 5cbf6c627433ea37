//! Plugins: to put one into the chain, to set it, to take it out, and what is kept of it.

mod said;

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    http::HeaderMap,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

use self::said::{Artifact, Place, PluginList, PluginView, PurgeQuery, Purged, PushByDigest, PushQuery, Reconnected};
pub(super) use self::said::{Changed, ChangedAnswer, PluginName};
use super::{
    Shared,
    auth::{Caller, Uploading},
    error::ApiError,
    extract::{Answer, ChangeQuery, Changing, Json, Param, Query, is_of_type, read_body, read_json},
};
use crate::{
    registry::{Digest, Placed},
    rollout::{By, Change, Pushed, Rolled, Uploaded},
    signature::SIGNATURE_MAX_BYTES,
};

/// The header that carries a signature: the text of a `.minisig` file in base64.
const SIGNATURE_HEADER: &str = "hubbub-signature";
const COMPONENT: &str = "application/wasm";

/// The plugins, in the order of the chain
#[utoipa::path(get, path = "/v1/plugins", responses((status = 200, body = PluginList)))]
pub(super) async fn list_plugins(State(shared): State<Arc<Shared>>) -> Answer<PluginList> {
    let revision = shared.parts.rollout.current();
    let items = revision.plugins.iter().map(|placed| shared.view(placed)).collect();
    Answer(PluginList { revision: revision.number, items })
}

/// One plugin
#[utoipa::path(get, path = "/v1/plugins/{name}", params(("name" = String, Path)), responses((status = 200, body = PluginView)))]
pub(super) async fn show_plugin(
    State(shared): State<Arc<Shared>>,
    Param(PluginName(name)): Param<PluginName>,
) -> Result<Answer<PluginView>, ApiError> {
    shared.find_plugin(&name).map(Answer).ok_or_else(|| no_plugin(&name))
}

/// Put a component into the chain, or in the place of the one that has this name
///
/// The body is the component, or says by its digest which one that was uploaded before, and with which settings it is put
/// there; a component alone keeps those that the plugin has. The same again changes nothing.
#[utoipa::path(
    post, path = "/v1/plugins/{name}",
    params(
        ("name" = String, Path), PushQuery,
        ("hubbub-signature" = Option<String>, Header, description = "The text of the component's .minisig, in base64")
    ),
    request_body(content((Vec<u8> = "application/wasm"), (PushByDigest = "application/json"))),
    responses((status = 200, body = Changed))
)]
pub(super) async fn push_plugin(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Param(PluginName(name)): Param<PluginName>,
    Query(query): Query<PushQuery>,
    request: Request,
) -> Result<ChangedAnswer, ApiError> {
    let PushQuery { before, base, why } = query;
    let by = ChangeQuery { base, why }.by(&caller, request.headers())?;
    let (file, written, before, _upload) = if is_of_type(request.headers(), "application/json") {
        if before.is_some() {
            return Err(ApiError::invalid("a push by digest says `before` in its body"));
        }
        let PushByDigest { sha256, settings, before } = read_json(request, &shared.settings).await?;
        let sha256 = sha256.parse().map_err(|error| ApiError::invalid(format!("sha256: {error}")))?;
        (Pushed::Kept(sha256), settings, before, None)
    } else {
        let (uploaded, upload) = upload(&shared, &caller, request, None).await?;
        (Pushed::Uploaded(uploaded), Map::new(), before, Some(upload))
    };
    shared.change(Change::Push { name: name.clone(), file, written, before }, by, Some(&name)).await
}

/// Upload a component without putting it into the chain
#[utoipa::path(
    put, path = "/v1/artifacts/{sha256}",
    params(
        ("sha256" = String, Path, description = "Of the body: what arrives otherwise is refused"),
        ("hubbub-signature" = Option<String>, Header, description = "The text of the component's .minisig, in base64")
    ),
    request_body(content = Vec<u8>, content_type = "application/wasm"),
    responses((status = 200, body = Artifact))
)]
pub(super) async fn put_artifact(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Param(sha256): Param<Digest>,
    request: Request,
) -> Result<Answer<Artifact>, ApiError> {
    let (uploaded, _) = upload(&shared, &caller, request, Some(sha256)).await?;
    Ok(Answer(uploaded.into()))
}

/// Change a plugin's settings
///
/// Keys of a `[[plugin]]`, also within its tables; what is not said stays; `null` takes one away, so that its default holds;
/// `config` is replaced whole. Nothing is compiled.
#[utoipa::path(
    patch, path = "/v1/plugins/{name}",
    params(("name" = String, Path), ChangeQuery),
    request_body(content = Object, content_type = "application/json"),
    responses((status = 200, body = Changed))
)]
pub(super) async fn configure_plugin(
    changing: Changing,
    Param(PluginName(name)): Param<PluginName>,
    Json(written): Json<Map<String, Value>>,
) -> Result<ChangedAnswer, ApiError> {
    changing.make(Change::Configure { name: name.clone(), written }, Some(&name)).await
}

/// Turn a plugin on
#[utoipa::path(
    post, path = "/v1/plugins/{name}/enable",
    params(("name" = String, Path), ChangeQuery),
    responses((status = 200, body = Changed))
)]
pub(super) async fn enable_plugin(
    changing: Changing,
    Param(PluginName(name)): Param<PluginName>,
) -> Result<ChangedAnswer, ApiError> {
    changing.make(Change::Enable { name: name.clone(), enabled: true }, Some(&name)).await
}

/// Turn a plugin off; it keeps its place and its settings
#[utoipa::path(
    post, path = "/v1/plugins/{name}/disable",
    params(("name" = String, Path), ChangeQuery),
    responses((status = 200, body = Changed))
)]
pub(super) async fn disable_plugin(
    changing: Changing,
    Param(PluginName(name)): Param<PluginName>,
) -> Result<ChangedAnswer, ApiError> {
    changing.make(Change::Enable { name: name.clone(), enabled: false }, Some(&name)).await
}

/// Move a plugin within the chain
#[utoipa::path(
    post, path = "/v1/plugins/{name}/move",
    params(("name" = String, Path), ChangeQuery),
    request_body = Place,
    responses((status = 200, body = Changed))
)]
pub(super) async fn move_plugin(
    changing: Changing,
    Param(PluginName(name)): Param<PluginName>,
    Json(place): Json<Place>,
) -> Result<ChangedAnswer, ApiError> {
    changing.make(Change::Move { name: name.clone(), before: place.before }, Some(&name)).await
}

/// Take a plugin out of the chain; what it keeps in the store stays
#[utoipa::path(
    delete, path = "/v1/plugins/{name}",
    params(("name" = String, Path), ChangeQuery),
    responses((status = 200, body = Changed))
)]
pub(super) async fn remove_plugin(
    changing: Changing,
    Param(PluginName(name)): Param<PluginName>,
) -> Result<ChangedAnswer, ApiError> {
    changing.make(Change::Remove { name }, None).await
}

/// Take away what a plugin of this name keeps in the store
///
/// Refused while the plugin is in force, unless `force` is true. It cannot be undone.
#[utoipa::path(
    post, path = "/v1/plugins/{name}/purge",
    params(("name" = String, Path), PurgeQuery),
    responses((status = 200, body = Purged))
)]
pub(super) async fn purge_plugin(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Param(PluginName(name)): Param<PluginName>,
    Query(query): Query<PurgeQuery>,
) -> Result<Answer<Purged>, ApiError> {
    // a plugin that is off stays so until all is taken away
    let _turn = shared.parts.rollout.turn().await?;
    let is_in_force = shared.find_plugin(&name).is_some_and(|plugin| plugin.enabled);
    if is_in_force && !query.force {
        let text = format!("plugin `{name}` is in force: turn it off or remove it first, or say force=true");
        return Err(ApiError::conflict("in_force", text));
    }
    let keys = shared.parts.store.purge(&name, query.namespace.as_deref()).await?;
    shared.parts.store.sync().await?;
    tracing::info!(plugin = %name, namespace = query.namespace, keys, who = %caller.name, "store purged");
    Ok(Answer(Purged { keys }))
}

/// End the connections of all sockets in whose chain the plugin is
///
/// Their clients come back by themselves, as new sockets: `on_connect` and `on_join` run on what is in force now. A connection
/// that carries several namespaces ends for all of them.
#[utoipa::path(
    post, path = "/v1/plugins/{name}/reconnect",
    params(("name" = String, Path)),
    responses((status = 200, body = Reconnected))
)]
pub(super) async fn reconnect_plugin(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Param(PluginName(name)): Param<PluginName>,
) -> Result<Answer<Reconnected>, ApiError> {
    if shared.find_plugin(&name).is_none() {
        return Err(no_plugin(&name));
    }
    let sockets = shared.parts.node.reconnect(&name);
    tracing::info!(plugin = %name, sockets, who = %caller.name, "sockets are told to reconnect");
    Ok(Answer(Reconnected { sockets }))
}

impl Shared {
    fn view(&self, placed: &Placed) -> PluginView {
        let status = self.parts.rollout.status();
        PluginView::new(placed, status.iter().find(|status| status.name == placed.name))
    }

    fn find_plugin(&self, name: &str) -> Option<PluginView> {
        let revision = self.parts.rollout.current();
        revision.plugins.iter().find(|placed| placed.name == name).map(|placed| self.view(placed))
    }

    /// Makes a change. Once begun it is done or refused, also when nobody waits for it. `plugin`: the one that is meant.
    pub(super) async fn change(&self, change: Change, by: By, plugin: Option<&str>) -> Result<ChangedAnswer, ApiError> {
        let is_of_settings = matches!(change, Change::Push { .. } | Change::Configure { .. });
        let applied = self.parts.rollout.apply(change, by).await;
        let rolled = applied.map_err(if is_of_settings { ApiError::of_settings } else { ApiError::from })?;
        let Rolled { revision, changed, compiled_in, prepared_in, active_in } = rolled;
        let placed = plugin.and_then(|name| revision.plugins.iter().find(|placed| placed.name == name));
        Ok(ChangedAnswer(Changed {
            revision: revision.number,
            changed,
            compiled_ms: millis(compiled_in),
            prepared_ms: millis(prepared_in),
            active_ms: millis(active_in),
            plugin: placed.map(|placed| self.view(placed)),
        }))
    }
}

fn no_plugin(name: &str) -> ApiError {
    ApiError::not_found(format!("there is no plugin `{name}`: GET /v1/plugins lists them"))
}

/// Takes a component from a body, checks it, and keeps it. Its place among the uploads is its caller's for as long as the
/// component is in memory.
async fn upload(
    shared: &Shared,
    caller: &Caller,
    request: Request,
    expected: Option<Digest>,
) -> Result<(Uploaded, Uploading), ApiError> {
    if !is_of_type(request.headers(), COMPONENT) {
        return Err(ApiError::media_type(COMPONENT));
    }
    let signature = signature(request.headers())?;
    let place = shared.uploads.begin(caller)?;
    let (headers, body) = (request.headers().clone(), request.into_body());
    let max = shared.settings.upload_max_bytes;
    let bytes = read_body(&headers, body, &shared.settings, "upload_max_bytes", max).await?;
    if let Some(expected) = expected
        && Digest::of(&bytes) != expected
    {
        let found = Digest::of(&bytes);
        return Err(ApiError::invalid(format!("the body's SHA-256 is {found}, the path says {expected}")));
    }
    Ok((shared.parts.rollout.upload(bytes, signature).await?, place))
}

fn signature(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(value) = headers.get(SIGNATURE_HEADER) else { return Ok(None) };
    let wrong = || {
        let text = format!(
            "{SIGNATURE_HEADER}: expected the text of a .minisig file, at most {SIGNATURE_MAX_BYTES} bytes, in base64"
        );
        ApiError::invalid(text)
    };
    let decoded = STANDARD.decode(value.as_bytes()).ok().filter(|decoded| decoded.len() <= SIGNATURE_MAX_BYTES);
    decoded.and_then(|decoded| String::from_utf8(decoded).ok()).map(Some).ok_or_else(wrong)
}

/// Milliseconds with three places.
fn millis(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}
