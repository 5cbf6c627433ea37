//! Plugins: to put one into the chain, to set it, to take it out, and what is kept of it.

use std::{fmt, str::FromStr, sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::{
    Shared,
    audit::Behind,
    auth::Caller,
    error::ApiError,
    extract::{Answer, Json, Param, Query, by, is_of_type, read_body, read_json},
};
use crate::{
    config::{is_plugin_name, masked},
    registry::{Digest, Placed},
    rollout::{By, Change, PluginStatus, Rolled, Uploaded},
};

/// The header that carries a signature: the text of a `.minisig` file in base64.
const SIGNATURE_HEADER: &str = "hubbub-signature";
const SIGNATURE_MAX_BYTES: usize = 4096;
const COMPONENT: &str = "application/wasm";

/// A plugin's name as `[[plugin]]` may have it, so that it is nothing else: no path, no markup.
pub(super) struct PluginName(pub String);

/// A text that is no plugin's name.
pub(super) struct NoPluginName;

impl fmt::Display for NoPluginName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected a plugin's name of 1 to 64 lower-case letters, digits and `-`")
    }
}

impl FromStr for PluginName {
    type Err = NoPluginName;

    fn from_str(text: &str) -> Result<Self, NoPluginName> {
        if is_plugin_name(text) { Ok(Self(text.to_owned())) } else { Err(NoPluginName) }
    }
}

/// A plugin in its place.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PluginView {
    pub name: String,
    pub version: String,
    /// Of its file.
    pub sha256: String,
    pub enabled: bool,
    /// The keys of its `[[plugin]]` as they were written; secrets are `***`.
    #[schema(value_type = Object)]
    pub settings: Value,
    /// Instances that exist now, idle ones included.
    pub live_instances: usize,
    /// Machine code in memory.
    pub code_bytes: usize,
    /// Whether it is called: `closed`: yes; `quarantined`: it failed too often, and its policy decides without it; `probing`: one
    /// event tries it. Null: it is off.
    pub breaker: Option<&'static str>,
}

impl PluginView {
    fn new(placed: &Placed, status: Option<&PluginStatus>) -> Self {
        let written = placed.written.get("enabled").and_then(Value::as_bool).unwrap_or(true);
        Self {
            name: placed.name.clone(),
            version: placed.version.clone(),
            sha256: placed.sha256.to_string(),
            enabled: status.map_or(written, |status| status.enabled),
            settings: masked(&Value::Object(placed.written.clone())),
            live_instances: status.map_or(0, |status| status.live_instances),
            code_bytes: status.map_or(0, |status| status.code_bytes),
            breaker: status.and_then(|status| status.breaker).map(|breaker| breaker.as_str()),
        }
    }
}

/// All plugins, in the order of the chain.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PluginList {
    pub revision: u64,
    pub items: Vec<PluginView>,
}

/// What a change of the chain led to.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Changed {
    /// The revision in force.
    pub revision: u64,
    /// False: it was so already.
    pub changed: bool,
    /// Until all plugins were compiled.
    pub compiled_ms: f64,
    /// Until they had run their `init`.
    pub prepared_ms: f64,
    /// Until the chain was in force.
    pub active_ms: f64,
    /// The plugin that was meant, if it is still there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin: Option<PluginView>,
}

/// The answer to a change.
pub(super) struct ChangedAnswer(Changed);

impl IntoResponse for ChangedAnswer {
    fn into_response(self) -> Response {
        let behind = Behind(self.0.revision);
        let mut response = Answer(self.0).into_response();
        response.extensions_mut().insert(behind);
        response
    }
}

/// A component that was uploaded.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Artifact {
    pub sha256: String,
    /// As its manifest says.
    pub name: String,
    pub version: String,
    pub size_bytes: u64,
    pub hooks: Vec<String>,
    /// Capabilities that it cannot do without.
    pub needs: Vec<String>,
}

impl From<Uploaded> for Artifact {
    fn from(uploaded: Uploaded) -> Self {
        let texts = |words: Vec<&'static str>| words.into_iter().map(str::to_owned).collect();
        Self {
            sha256: uploaded.sha256.to_string(),
            name: uploaded.name,
            version: uploaded.version,
            size_bytes: uploaded.size_bytes,
            hooks: texts(uploaded.hooks),
            needs: texts(uploaded.needs),
        }
    }
}

/// What the caller of a change may add.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ChangeQuery {
    /// Make the change only if this revision is in force; `If-Match: "N"` says the same.
    base: Option<u64>,
    /// For the history.
    why: Option<String>,
}

impl ChangeQuery {
    pub fn by(self, caller: &Caller, headers: &HeaderMap) -> Result<By, ApiError> {
        by(caller, headers, self.base, self.why)
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PushQuery {
    /// The plugin before which a new one is put; without it, at the end. One that is there keeps its place.
    before: Option<String>,
    /// JSON object with the keys of a `[[plugin]]`: namespaces, enabled, capabilities, policy, limits, config. What is not
    /// said stays as it is.
    settings: Option<String>,
    /// Make the change only if this revision is in force; `If-Match: "N"` says the same.
    base: Option<u64>,
    /// For the history.
    why: Option<String>,
}

/// A push of a component that was uploaded before.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PushByDigest {
    /// Of the component.
    sha256: String,
    #[serde(default)]
    #[schema(value_type = Object)]
    settings: Map<String, Value>,
    /// The plugin before which a new one is put.
    #[serde(default)]
    before: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Place {
    /// The plugin before which it is put; null: at the end.
    before: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PurgeQuery {
    /// Without one, all.
    namespace: Option<String>,
    /// Also while the plugin is in force, which then finds nothing of what it kept.
    #[serde(default)]
    force: bool,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Purged {
    /// Keys that were taken away.
    pub keys: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Reconnected {
    /// Sockets whose connections are being ended.
    pub sockets: usize,
}

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
/// The body is the component, or says by its digest which one that was uploaded before. The same again changes nothing.
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
    let PushQuery { before, settings, base, why } = query;
    let by = by(&caller, request.headers(), base, why)?;
    let (sha256, written, before) = if is_of_type(request.headers(), "application/json") {
        if before.is_some() || settings.is_some() {
            return Err(ApiError::invalid("a push by digest says `before` and `settings` in its body"));
        }
        let PushByDigest { sha256, settings, before } = read_json(request, &shared.settings).await?;
        let sha256: Digest = sha256.parse().map_err(|error| ApiError::invalid(format!("sha256: {error}")))?;
        (sha256, settings, before)
    } else {
        let written = settings.as_deref().map(parse_settings).transpose()?.unwrap_or_default();
        (upload(&shared, &caller, request, None).await?.sha256, written, before)
    };
    let push = Change::Push { name: name.clone(), sha256, written, before };
    change(&shared, push, by, Some(&name)).await
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
    Ok(Answer(upload(&shared, &caller, request, Some(sha256)).await?.into()))
}

/// Change a plugin's settings
///
/// Keys of a `[[plugin]]`; `null` takes one away, so that its default holds; `config` is replaced whole. Nothing is compiled.
#[utoipa::path(
    patch, path = "/v1/plugins/{name}",
    params(("name" = String, Path), ChangeQuery),
    request_body(content = Object, content_type = "application/json"),
    responses((status = 200, body = Changed))
)]
pub(super) async fn configure_plugin(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Param(PluginName(name)): Param<PluginName>,
    Query(query): Query<ChangeQuery>,
    headers: HeaderMap,
    Json(written): Json<Map<String, Value>>,
) -> Result<ChangedAnswer, ApiError> {
    let by = query.by(&caller, &headers)?;
    change(&shared, Change::Configure { name: name.clone(), written }, by, Some(&name)).await
}

/// Turn a plugin on
#[utoipa::path(
    post, path = "/v1/plugins/{name}/enable",
    params(("name" = String, Path), ChangeQuery),
    responses((status = 200, body = Changed))
)]
pub(super) async fn enable_plugin(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Param(PluginName(name)): Param<PluginName>,
    Query(query): Query<ChangeQuery>,
    headers: HeaderMap,
) -> Result<ChangedAnswer, ApiError> {
    let by = query.by(&caller, &headers)?;
    change(&shared, Change::Enable { name: name.clone(), enabled: true }, by, Some(&name)).await
}

/// Turn a plugin off; it keeps its place and its settings
#[utoipa::path(
    post, path = "/v1/plugins/{name}/disable",
    params(("name" = String, Path), ChangeQuery),
    responses((status = 200, body = Changed))
)]
pub(super) async fn disable_plugin(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Param(PluginName(name)): Param<PluginName>,
    Query(query): Query<ChangeQuery>,
    headers: HeaderMap,
) -> Result<ChangedAnswer, ApiError> {
    let by = query.by(&caller, &headers)?;
    change(&shared, Change::Enable { name: name.clone(), enabled: false }, by, Some(&name)).await
}

/// Move a plugin within the chain
#[utoipa::path(
    post, path = "/v1/plugins/{name}/move",
    params(("name" = String, Path), ChangeQuery),
    request_body = Place,
    responses((status = 200, body = Changed))
)]
pub(super) async fn move_plugin(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Param(PluginName(name)): Param<PluginName>,
    Query(query): Query<ChangeQuery>,
    headers: HeaderMap,
    Json(place): Json<Place>,
) -> Result<ChangedAnswer, ApiError> {
    let by = query.by(&caller, &headers)?;
    change(&shared, Change::Move { name: name.clone(), before: place.before }, by, Some(&name)).await
}

/// Take a plugin out of the chain; what it keeps in the store stays
#[utoipa::path(
    delete, path = "/v1/plugins/{name}",
    params(("name" = String, Path), ChangeQuery),
    responses((status = 200, body = Changed))
)]
pub(super) async fn remove_plugin(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Param(PluginName(name)): Param<PluginName>,
    Query(query): Query<ChangeQuery>,
    headers: HeaderMap,
) -> Result<ChangedAnswer, ApiError> {
    let by = query.by(&caller, &headers)?;
    change(&shared, Change::Remove { name }, by, None).await
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
    let is_in_force = shared.find_plugin(&name).is_some_and(|plugin| plugin.enabled);
    if is_in_force && !query.force {
        let text = format!("plugin `{name}` is in force: turn it off or remove it first, or say force=true");
        return Err(ApiError::conflict("in_force", text));
    }
    let (store, plugin) = (shared.parts.store.clone(), name.clone());
    let namespace = query.namespace.clone();
    // once begun it is done, also when nobody waits for it
    let purge = tokio::spawn(async move {
        let keys = store.purge(&plugin, namespace.as_deref()).await?;
        store.sync().await?;
        Ok::<u64, crate::store::StoreError>(keys)
    });
    let keys = purge.await.map_err(|_| ApiError::internal("the purge failed"))??;
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
}

fn no_plugin(name: &str) -> ApiError {
    ApiError::not_found(format!("there is no plugin `{name}`: GET /v1/plugins lists them"))
}

fn parse_settings(text: &str) -> Result<Map<String, Value>, ApiError> {
    serde_json::from_str(text).map_err(|error| ApiError::invalid(format!("settings: expected a JSON object: {error}")))
}

/// Takes a component from a body, checks it, and keeps it.
async fn upload(
    shared: &Shared,
    caller: &Caller,
    request: Request,
    expected: Option<Digest>,
) -> Result<Uploaded, ApiError> {
    if !is_of_type(request.headers(), COMPONENT) {
        return Err(ApiError::media_type(COMPONENT));
    }
    let signature = signature(request.headers())?;
    let _place = shared.uploads.begin(caller)?;
    let (headers, body) = (request.headers().clone(), request.into_body());
    let max = shared.settings.upload_max_bytes;
    let bytes = read_body(&headers, body, &shared.settings, "upload_max_bytes", max).await?;
    if let Some(expected) = expected
        && Digest::of(&bytes) != expected
    {
        let found = Digest::of(&bytes);
        return Err(ApiError::invalid(format!("the body's SHA-256 is {found}, the path says {expected}")));
    }
    shared.parts.rollout.upload(bytes, signature).await.map_err(ApiError::from)
}

fn signature(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(value) = headers.get(SIGNATURE_HEADER) else { return Ok(None) };
    let wrong = || {
        let text = format!(
            "{SIGNATURE_HEADER}: expected the text of a .minisig file in base64, at most {SIGNATURE_MAX_BYTES} bytes"
        );
        ApiError::invalid(text)
    };
    let decoded = Some(value.as_bytes()).filter(|value| value.len() <= SIGNATURE_MAX_BYTES);
    let decoded = decoded.and_then(|value| String::from_utf8(STANDARD.decode(value).ok()?).ok());
    decoded.map(Some).ok_or_else(wrong)
}

/// Makes a change. Once begun it is done or refused, also when nobody waits for it.
pub(super) async fn change(
    shared: &Arc<Shared>,
    change: Change,
    by: By,
    plugin: Option<&str>,
) -> Result<ChangedAnswer, ApiError> {
    let is_of_settings = matches!(change, Change::Push { .. } | Change::Configure { .. });
    let rollout = shared.parts.rollout.clone();
    let applied = tokio::spawn(async move { rollout.apply(change, by).await });
    let applied = applied.await.map_err(|_| ApiError::internal("the change failed; the chain is what it was"))?;
    let rolled = applied.map_err(if is_of_settings { ApiError::of_settings } else { ApiError::from })?;
    let Rolled { revision, changed, compiled_in, prepared_in, active_in } = rolled;
    let placed = plugin.and_then(|name| revision.plugins.iter().find(|placed| placed.name == name));
    Ok(ChangedAnswer(Changed {
        revision: revision.number,
        changed,
        compiled_ms: millis(compiled_in),
        prepared_ms: millis(prepared_in),
        active_ms: millis(active_in),
        plugin: placed.map(|placed| shared.view(placed)),
    }))
}

/// Milliseconds with three places.
fn millis(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_never_a_path() {
        for right in ["a", "chat-rooms", "x2", &"a".repeat(64)] {
            assert!(right.parse::<PluginName>().is_ok(), "{right}");
        }
        for wrong in ["", ".", "..", "../x", "a/b", "A", "a.b", "a b", "a\0", "é", &"a".repeat(65)] {
            assert!(wrong.parse::<PluginName>().is_err(), "{wrong}");
        }
    }
}
