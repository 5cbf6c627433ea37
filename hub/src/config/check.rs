//! What must hold between the values of a file.

use super::{Config, section::Section};
use crate::{
    gateway::transport::Origins,
    pipeline::breaker,
    plugin::{cache, settings::Limits},
};

/// Notes values that do not go together.
pub fn check(root: &Section<'_, '_>, config: &Config) {
    deadlines(root, config);
    clients(root, config);
    cache_key(root, config);
    plugin(root, config, "plugin_defaults", &config.plugin_defaults.limits, &config.plugin_defaults.breaker);
    for (n, one) in config.plugins.iter().enumerate() {
        plugin(root, config, &format!("plugin[{n}]"), &one.limits, &one.breaker);
    }
}

/// Pongs are unread while an event is handled: a busy client must not be taken for a lost one.
fn deadlines(root: &Section<'_, '_>, config: &Config) {
    let (chain, append) = (config.limits.chain_timeout.as_millis(), config.limits.bus_append_timeout.as_millis());
    let ping = config.server.ping_timeout.as_millis();
    if chain + append >= ping {
        let keys = ["limits.chain_timeout_ms", "limits.bus_append_timeout_ms", "server.ping_timeout_ms"];
        let text = format!(
            "a busy client would count as lost: limits.chain_timeout_ms ({chain}) and limits.bus_append_timeout_ms \
             ({append}) together must be below server.ping_timeout_ms ({ping})"
        );
        root.conflict(&keys, &text);
    }
}

fn clients(root: &Section<'_, '_>, config: &Config) {
    let server = &config.server;
    let upgrades = "server.allow_upgrades";
    if server.allow_upgrades && !(server.polling && server.websocket) && root.place(upgrades).is_some() {
        let text = "an upgrade leads from polling to websocket: write false, or name both in server.transports";
        root.conflict(&[upgrades, "server.transports"], text);
    }
    if server.credentials && server.origins == Origins::SameOrigin {
        let text = "credentials are for pages of other origins: name them in server.cors.origins";
        root.conflict(&["server.cors.credentials", "server.cors.origins"], text);
    }
}

/// A new key empties the folder of what older ones have sealed.
fn cache_key(root: &Section<'_, '_>, config: &Config) {
    let (Some(key), Some(data)) = (&config.engine.cache_key_file, &config.server.data_dir) else { return };
    let folder = data.join(cache::FOLDER);
    if cache::is_below(key, &folder) {
        let text = format!(
            "the key may not lie with what it seals, in `{}`: keep it outside of server.data_dir",
            folder.display()
        );
        root.conflict(&["engine.cache_key_file", "server.data_dir"], &text);
    }
}

/// Notes what does not go together in a plugin's table, or with the engine's limits.
pub fn plugin(root: &Section<'_, '_>, config: &Config, path: &str, limits: &Limits, breaker: &breaker::Settings) {
    plugin_limits(root, config, path, limits);
    plugin_breaker(root, path, breaker);
}

fn plugin_limits(root: &Section<'_, '_>, config: &Config, path: &str, limits: &Limits) {
    // what a plugin inherits is a conflict of the defaults, and said once
    let keys = |key: &str, others: &[&str]| -> Vec<String> {
        let mut keys = vec![format!("{path}.limits.{key}"), format!("plugin_defaults.limits.{key}")];
        keys.dedup();
        keys.extend(others.iter().map(|other| (*other).to_owned()));
        keys
    };
    let note =
        |keys: Vec<String>, text: String| root.conflict(&keys.iter().map(String::as_str).collect::<Vec<_>>(), &text);
    let (cpu, wall) = (limits.cpu.as_millis(), limits.wall.as_millis());
    if cpu > wall {
        let text = format!("cpu_ms ({cpu}) must be at most wall_ms ({wall})");
        note([keys("cpu_ms", &[]), keys("wall_ms", &[])].concat(), text);
    }
    let memory = config.engine.memory_max_bytes;
    if limits.memory_max_bytes > memory {
        let used = limits.memory_max_bytes;
        let text = format!("memory_max_bytes ({used}) must be at most engine.memory_max_bytes ({memory})");
        note(keys("memory_max_bytes", &["engine.memory_max_bytes"]), text);
    }
    let instances = config.engine.instances_max;
    if limits.instances_max as u64 > u64::from(instances) {
        let used = limits.instances_max;
        let text = format!("instances_max ({used}) must be at most engine.instances_max ({instances})");
        note(keys("instances_max", &["engine.instances_max"]), text);
    }
}

fn plugin_breaker(root: &Section<'_, '_>, path: &str, breaker: &breaker::Settings) {
    let (first, max) = (breaker.quarantine.as_millis(), breaker.quarantine_max.as_millis());
    if first > max {
        // as with limits: what a plugin inherits is said once
        let key = |key: &str| [format!("{path}.breaker.{key}"), format!("plugin_defaults.breaker.{key}")];
        let mut keys = [key("quarantine_ms"), key("quarantine_max_ms")].concat();
        keys.dedup();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        root.conflict(&keys, &format!("quarantine_ms ({first}) must be at most quarantine_max_ms ({max})"));
    }
}
