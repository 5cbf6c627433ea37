//! What calls about plugins say and are answered.

use std::{fmt, str::FromStr};

use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use crate::{
    admin::{audit::Behind, extract::Answer},
    config::{is_plugin_name, masked},
    registry::Placed,
    rollout::{PluginStatus, Uploaded},
};

/// A plugin's name as `[[plugin]]` may have it, so that it is nothing else: no path, no markup.
pub(in crate::admin) struct PluginName(pub String);

/// A text that is no plugin's name.
pub(in crate::admin) struct NoPluginName;

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
pub(in crate::admin) struct PluginView {
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
    pub(super) fn new(placed: &Placed, status: Option<&PluginStatus>) -> Self {
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
pub(in crate::admin) struct PluginList {
    pub revision: u64,
    pub items: Vec<PluginView>,
}

/// What a change of the chain led to.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct Changed {
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
pub(in crate::admin) struct ChangedAnswer(pub Changed);

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
pub(in crate::admin) struct Artifact {
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
        let artifact = &uploaded.artifact;
        Self {
            sha256: uploaded.sha256.to_string(),
            name: artifact.manifest.name.clone(),
            version: artifact.manifest.version.clone(),
            size_bytes: artifact.bytes.len() as u64,
            hooks: artifact.hooks.iter().map(|kind| kind.hook().to_owned()).collect(),
            needs: artifact.needs.iter().map(|capability| capability.as_str().to_owned()).collect(),
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::admin) struct PushQuery {
    /// The plugin before which it is put; without it one that is there keeps its place, and a new one is put at the end.
    pub(super) before: Option<String>,
    /// Make the change only if this revision is in force; `If-Match: "N"` says the same.
    pub(super) base: Option<u64>,
    /// For the history.
    pub(super) why: Option<String>,
}

/// A push of a component that was uploaded before.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct PushByDigest {
    /// Of the component.
    pub(super) sha256: String,
    /// The keys of a `[[plugin]]`: namespaces, enabled, capabilities, policy, limits, config. What is not said stays as it is.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub(super) settings: Map<String, Value>,
    /// The plugin before which it is put; without it one that is there keeps its place, and a new one is put at the end.
    #[serde(default)]
    pub(super) before: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct Place {
    /// The plugin before which it is put; null: at the end.
    pub(super) before: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::admin) struct PurgeQuery {
    /// Without one, all.
    pub(super) namespace: Option<String>,
    /// Also while the plugin is in force, which then finds nothing of what it kept.
    #[serde(default)]
    pub(super) force: bool,
}

#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct Purged {
    /// Keys that were taken away.
    pub keys: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct Reconnected {
    /// Sockets whose connections are being ended.
    pub sockets: usize,
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
