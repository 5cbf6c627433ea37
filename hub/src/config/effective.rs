//! A config as it would stand in a file, for the log and for those who ask what is in force.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{Config, LogFormat, PluginConfig};
use crate::{
    event::Kind,
    gateway::{socketio::Encoding, transport::Origins},
    pattern::Pattern,
    pipeline::{breaker, chain::Policy},
    plugin::settings::Limits,
    signature::TrustedKey,
};

/// Words in a key that say its value is nobody's business.
const SECRET_WORDS: [&str; 6] = ["secret", "token", "password", "passphrase", "key", "credential"];
/// What stands in its place.
const MASK: &str = "***";

/// Every key with its value; keys that may be left out and hold nothing are left out, and so are the hashes of tokens with
/// their tables.
pub fn effective(config: &Config) -> Value {
    let Config { namespaces, recovery, registry, log, trusted_keys, plugins, .. } = config;
    let format = LogFormat::WORDS.iter().find(|(_, format)| *format == log.format).map(|(word, _)| *word);
    let mut effective = json!({
        "server": server(config),
        "limits": limits(config),
        "namespaces": { "allow": patterns(&namespaces.allow) },
        "recovery": {
            "namespaces": patterns(&recovery.namespaces),
            "window_ms": ms(recovery.window),
            "suspended_max": recovery.suspended_max,
            "log_max_bytes": recovery.log_max_bytes,
        },
        "store": store(config),
        "engine": engine(config),
        "plugin_defaults": {
            "limits": plugin_limits(&config.plugin_defaults.limits),
            "breaker": breaker(&config.plugin_defaults.breaker),
        },
        "registry": {
            "artifacts_max_bytes": registry.artifacts_max_bytes,
            "revisions_max": registry.revisions_max,
        },
        "log": { "level": log.level, "format": format },
        "admin": admin(config),
    });
    if trusted_keys.demanded() {
        let keys: Vec<&str> = trusted_keys.iter().map(TrustedKey::as_str).collect();
        effective["signatures"] = json!({ "trusted_keys": keys });
    }
    if !plugins.is_empty() {
        effective["plugin"] = plugins.iter().map(plugin).collect();
    }
    effective
}

/// The same for the log: each table by its name, with its values as `key=value`. Only text with white space in it has
/// quotes, so that nothing in a line of JSON is escaped twice.
pub fn lines(config: &Config) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    for (section, value) in effective(config).as_object().into_iter().flatten() {
        match value {
            Value::Array(plugins) => {
                lines.extend(plugins.iter().enumerate().map(|(n, plugin)| (format!("{section}[{n}]"), line(plugin))))
            }
            table => lines.push((section.clone(), line(table))),
        }
    }
    lines
}

fn line(table: &Value) -> String {
    let mut values = Vec::new();
    flatten(table, "", &mut values);
    values.join(" ")
}

/// `key=value`, with the whole path for keys of tables within.
fn flatten(value: &Value, path: &str, values: &mut Vec<String>) {
    match value {
        Value::Object(table) => {
            for (key, value) in table {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flatten(value, &path, values);
            }
        }
        value => values.push(format!("{path}={}", plain(value))),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() || text.contains(char::is_whitespace) => format!("'{text}'"),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(plain).collect::<Vec<_>>().join(",")),
        Value::Object(_) => format!("{{{}}}", line(value)),
        value => value.to_string(),
    }
}

fn server(config: &Config) -> Value {
    let server = &config.server;
    let transports = [("polling", server.polling), ("websocket", server.websocket)];
    let mut table = json!({
        "listen": server.listen.to_string(),
        "path": server.path,
        "parser": match server.parser {
            Encoding::Json => "json",
            Encoding::Msgpack => "msgpack",
        },
        "transports": transports.iter().filter(|(_, on)| *on).map(|(name, _)| *name).collect::<Vec<_>>(),
        "allow_upgrades": server.allow_upgrades,
        "ping_interval_ms": ms(server.ping_interval),
        "ping_timeout_ms": ms(server.ping_timeout),
        "upgrade_timeout_ms": ms(server.upgrade_timeout),
        "connect_timeout_ms": ms(server.connect_timeout),
        "close_timeout_ms": ms(server.close_timeout),
        "header_read_timeout_ms": ms(server.header_read_timeout),
        "body_timeout_ms": ms(server.body_timeout),
        "handshake_timeout_ms": ms(server.handshake_timeout),
        "keep_alive_idle_timeout_ms": ms(server.keep_alive_idle_timeout),
        "trusted_proxies": server.trusted_proxies.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "cors": {
            "origins": match &server.origins {
                Origins::Any => vec!["*"],
                Origins::List(origins) => origins.iter().map(String::as_str).collect(),
                Origins::SameOrigin => Vec::new(),
            },
            "credentials": server.credentials,
        },
    });
    if let Some(dir) = &server.static_dir {
        table["static_dir"] = json!(dir.display().to_string());
    }
    if let Some(dir) = &server.data_dir {
        table["data_dir"] = json!(dir.display().to_string());
    }
    if let Some(workers) = server.workers {
        table["workers"] = json!(workers);
    }
    table
}

fn limits(config: &Config) -> Value {
    let limits = &config.limits;
    json!({
        "max_payload_bytes": limits.max_payload_bytes,
        "polling_packets_max": limits.polling_packets_max,
        "send_queue_max_bytes": limits.send_queue_max_bytes,
        "connections_max": limits.connections_max,
        "connections_per_address_max": limits.connections_per_address_max,
        "namespaces_per_connection_max": limits.namespaces_per_connection_max,
        "namespaces_max": limits.namespaces_max,
        "namespace_max_bytes": limits.namespace_max_bytes,
        "rooms_per_socket_max": limits.rooms_per_socket_max,
        "event_name_max_bytes": limits.event_name_max_bytes,
        "room_name_max_bytes": limits.room_name_max_bytes,
        "user_id_max_bytes": limits.user_id_max_bytes,
        "role_name_max_bytes": limits.role_name_max_bytes,
        "roles_max": limits.roles_max,
        "attachments_max": limits.attachments_max,
        "effects_max": limits.effects_max,
        "orders_pending_max": limits.orders_pending_max,
        "asks_pending_max": limits.asks_pending_max,
        "retained_per_room_max": limits.retained_per_room_max,
        "retained_max_bytes": limits.retained_max_bytes,
        "bus_queue_max_bytes": limits.bus_queue_max_bytes,
        "bus_append_timeout_ms": ms(limits.bus_append_timeout),
        "chain_timeout_ms": ms(limits.chain_timeout),
        "shutdown_grace_ms": ms(limits.shutdown_grace),
    })
}

fn store(config: &Config) -> Value {
    let limits = &config.store;
    json!({
        "value_max_bytes": limits.value_max_bytes,
        "scope_max_bytes": limits.scope_max_bytes,
        "backlog_max_bytes": limits.backlog_max_bytes,
        "backlog_timeout_ms": ms(limits.backlog_timeout),
        "sync_interval_ms": ms(limits.sync_interval),
        "meters_max": limits.meters_max,
    })
}

fn engine(config: &Config) -> Value {
    let engine = &config.engine;
    let mut values = json!({
        "instances_max": engine.instances_max,
        "memory_max_bytes": engine.memory_max_bytes,
        "stack_max_bytes": engine.stack_max_bytes,
        "cache_max_bytes": engine.cache_max_bytes,
    });
    if let Some(file) = &engine.cache_key_file {
        values["cache_key_file"] = file.display().to_string().into();
    }
    values
}

fn admin(config: &Config) -> Value {
    let admin = &config.admin;
    let mut table = json!({
        "connections_max": admin.connections_max,
        "upload_max_bytes": admin.upload_max_bytes,
        "body_max_bytes": admin.body_max_bytes,
        "body_timeout_ms": ms(admin.body_timeout),
        "audit_max_bytes": admin.audit_max_bytes,
        "plugin_log_lines_max": admin.plugin_logs.lines_max,
        "plugin_log_max_bytes": admin.plugin_logs.max_bytes,
        "followers_max": admin.followers_max,
        "page_max": admin.page_max,
        "asks_max": admin.asks_max,
        "ask_timeout_max_ms": ms(admin.ask_timeout_max),
    });
    if let Some(listen) = admin.listen {
        table["listen"] = json!(listen.to_string());
    }
    table
}

fn plugin(plugin: &PluginConfig) -> Value {
    let policy: Map<String, Value> =
        Kind::ALL.into_iter().zip(plugin.policy).map(|(kind, policy)| (kind.hook().into(), word(policy))).collect();
    json!({
        "name": plugin.name,
        "file": plugin.file.as_ref().map(|file| file.display().to_string()),
        "enabled": plugin.enabled,
        "namespaces": patterns(&plugin.namespaces),
        "capabilities": plugin.capabilities.iter().map(|c| c.as_str()).collect::<Vec<_>>(),
        "policy": policy,
        "limits": plugin_limits(&plugin.limits),
        "breaker": breaker(&plugin.breaker),
        "config": masked(&plugin.config),
    })
}

fn plugin_limits(limits: &Limits) -> Value {
    json!({
        "cpu_ms": ms(limits.cpu),
        "wall_ms": ms(limits.wall),
        "init_ms": ms(limits.init),
        "memory_max_bytes": limits.memory_max_bytes,
        "output_max_bytes": limits.output_max_bytes,
        "effects_max": limits.effects_max,
        "log_lines_max": limits.log_lines_max,
        "log_line_max_bytes": limits.log_line_max_bytes,
        "instances_max": limits.instances_max,
        "instance_wait_ms": ms(limits.instance_wait),
    })
}

fn breaker(breaker: &breaker::Settings) -> Value {
    json!({
        "failures": breaker.failures,
        "failing_percent": breaker.failing_percent,
        "window_ms": ms(breaker.window),
        "quarantine_ms": ms(breaker.quarantine),
        "quarantine_max_ms": ms(breaker.quarantine_max),
    })
}

fn word(policy: Policy) -> Value {
    json!(match policy {
        Policy::Reject => "reject",
        Policy::Skip => "skip",
    })
}

fn patterns(patterns: &[Pattern]) -> Vec<&str> {
    patterns.iter().map(Pattern::as_str).collect()
}

/// Config holds whole milliseconds, fewer than there are in a day.
fn ms(duration: Duration) -> u64 {
    duration.as_millis() as u64
}

/// A value without what its keys call a secret.
pub fn masked(value: &Value) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (key.clone(), if is_secret(key) { json!(MASK) } else { masked(value) }))
            .collect(),
        Value::Array(items) => items.iter().map(masked).collect(),
        other => other.clone(),
    }
}

/// Whether a key says that its value is nobody's business.
pub fn is_secret(key: &str) -> bool {
    let lower = key.to_lowercase();
    SECRET_WORDS.iter().any(|word| lower.contains(word))
}
