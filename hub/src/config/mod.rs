//! What an operator decides: `hub.toml` and flags, read once into a checked [`Config`].

mod error;
mod file;
mod section;
#[cfg(test)]
mod tests;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use serde_json::{Value, json};

pub use self::error::{ConfigError, Problem};
use crate::{
    gateway::{
        socketio::Encoding,
        transport::{IpNetwork, Origins},
    },
    pattern::Pattern,
    pipeline::chain::Policy,
    plugin::settings::{Capability, Limits as PluginLimits},
};

/// A node's settings, checked: what is here can be used as it is.
#[derive(Clone, Debug)]
pub struct Config {
    pub server: Server,
    pub limits: Limits,
    pub namespaces: Namespaces,
    pub engine: Engine,
    pub log: Log,
    /// In the order of the chain.
    pub plugins: Vec<PluginConfig>,
}

/// `[server]` and `[server.cors]`.
#[derive(Clone, Debug)]
pub struct Server {
    pub listen: SocketAddr,
    /// With a slash at both ends.
    pub path: String,
    pub parser: Encoding,
    pub polling: bool,
    pub websocket: bool,
    pub allow_upgrades: bool,
    pub ping_interval: Duration,
    pub ping_timeout: Duration,
    pub upgrade_timeout: Duration,
    /// Zero: a client need not join a namespace.
    pub connect_timeout: Duration,
    pub close_timeout: Duration,
    pub header_read_timeout: Duration,
    pub body_timeout: Duration,
    pub handshake_timeout: Duration,
    pub keep_alive_idle_timeout: Duration,
    pub trusted_proxies: Vec<IpNetwork>,
    pub static_dir: Option<PathBuf>,
    /// Threads of the runtime; `None`: one for each core.
    pub workers: Option<usize>,
    pub origins: Origins,
    pub credentials: bool,
}

/// `[limits]`.
#[derive(Clone, Debug)]
pub struct Limits {
    pub max_payload_bytes: usize,
    pub send_queue_max_bytes: usize,
    pub connections_max: usize,
    /// 0: no limit.
    pub connections_per_address_max: usize,
    pub namespaces_per_connection_max: usize,
    pub namespaces_max: usize,
    pub namespace_max_bytes: usize,
    pub rooms_per_socket_max: usize,
    pub event_name_max_bytes: usize,
    pub attachments_max: usize,
    /// Effects of one event, over all plugins.
    pub effects_max: usize,
    pub orders_pending_max: usize,
    pub asks_pending_max: usize,
    pub bus_queue_max_bytes: usize,
    pub bus_append_timeout: Duration,
    /// The whole chain of one event.
    pub chain_timeout: Duration,
}

/// `[namespaces]`.
#[derive(Clone, Debug)]
pub struct Namespaces {
    /// Those that come to be when a client names them.
    pub allow: Vec<Pattern>,
}

/// `[engine]`: what all plugins share.
#[derive(Clone, Debug)]
pub struct Engine {
    pub instances_max: u32,
    pub memory_max_bytes: usize,
    pub stack_max_bytes: usize,
}

/// `[log]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// A level, or `tracing` directives: `info,plugin=debug`.
    pub level: String,
    pub format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    Text,
    Json,
}

/// One `[[plugin]]`.
#[derive(Clone, Debug)]
pub struct PluginConfig {
    pub name: String,
    pub file: PathBuf,
    pub namespaces: Vec<Pattern>,
    pub enabled: bool,
    pub capabilities: Vec<Capability>,
    /// By [`crate::event::Kind`].
    pub policy: [Policy; 6],
    pub limits: PluginLimits,
    /// The plugin's own.
    pub config: Value,
}

/// What flags and environment say over the file.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    pub listen: Option<SocketAddr>,
    pub log_level: Option<String>,
    pub log_format: Option<LogFormat>,
    pub workers: Option<usize>,
}

impl Default for Config {
    /// A node without plugins on 127.0.0.1:3000.
    fn default() -> Self {
        file::parse("", std::path::Path::new("hub.toml")).expect("an empty file is right")
    }
}

impl Config {
    /// Reads a file and lays the overrides over it.
    ///
    /// # Errors
    /// With everything that is wrong, in the order of lines.
    pub fn load(path: &std::path::Path, overrides: Overrides) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { file: path.display().to_string(), source })?;
        let mut config = file::parse(&text, path)?;
        config.server.listen = overrides.listen.unwrap_or(config.server.listen);
        config.server.workers = overrides.workers.or(config.server.workers);
        config.log.level = overrides.log_level.unwrap_or(config.log.level);
        config.log.format = overrides.log_format.unwrap_or(config.log.format);
        Ok(config)
    }

    /// What is in force, as JSON for the log: without what looks like a secret.
    pub fn effective(&self) -> Value {
        let ms = |d: Duration| d.as_millis() as u64;
        let (server, limits) = (&self.server, &self.limits);
        json!({
            "server": {
                "listen": server.listen.to_string(),
                "path": server.path,
                "parser": match server.parser { Encoding::Json => "json", Encoding::Msgpack => "msgpack" },
                "polling": server.polling,
                "websocket": server.websocket,
                "allow_upgrades": server.allow_upgrades,
                "ping_interval_ms": ms(server.ping_interval),
                "ping_timeout_ms": ms(server.ping_timeout),
                "upgrade_timeout_ms": ms(server.upgrade_timeout),
                "connect_timeout_ms": ms(server.connect_timeout),
                "close_timeout_ms": ms(server.close_timeout),
                "header_read_timeout_ms": ms(server.header_read_timeout),
                "body_timeout_ms": ms(server.body_timeout),
                "static_dir": server.static_dir.as_ref().map(|d| d.display().to_string()),
                "workers": server.workers,
                "origins": format!("{:?}", server.origins),
            },
            "limits": {
                "max_payload_bytes": limits.max_payload_bytes,
                "send_queue_max_bytes": limits.send_queue_max_bytes,
                "connections_max": limits.connections_max,
                "connections_per_address_max": limits.connections_per_address_max,
                "namespaces_per_connection_max": limits.namespaces_per_connection_max,
                "rooms_per_socket_max": limits.rooms_per_socket_max,
                "bus_queue_max_bytes": limits.bus_queue_max_bytes,
                "chain_timeout_ms": ms(limits.chain_timeout),
            },
            "namespaces": self.namespaces.allow.iter().map(Pattern::as_str).collect::<Vec<_>>(),
            "plugins": self.plugins.iter().map(|plugin| json!({
                "name": plugin.name,
                "file": plugin.file.display().to_string(),
                "enabled": plugin.enabled,
                "namespaces": plugin.namespaces.iter().map(Pattern::as_str).collect::<Vec<_>>(),
                "capabilities": plugin.capabilities.iter().map(|c| c.as_str()).collect::<Vec<_>>(),
                "config": masked(&plugin.config),
            })).collect::<Vec<_>>(),
        })
    }
}

/// Words in a key that say its value is nobody's business.
const SECRET_WORDS: [&str; 5] = ["secret", "token", "password", "key", "credential"];

fn masked(value: &Value) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| {
                let lower = key.to_lowercase();
                let is_secret = SECRET_WORDS.iter().any(|w| lower.contains(w));
                (key.clone(), if is_secret { json!("***") } else { masked(value) })
            })
            .collect(),
        Value::Array(items) => items.iter().map(masked).collect(),
        other => other.clone(),
    }
}
