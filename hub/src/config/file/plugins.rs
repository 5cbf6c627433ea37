//! `[[plugin]]` and `[plugin_defaults]`.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use toml::de::DeValue;

use super::{
    DAY_MS, ENGINE_INSTANCES, ENGINE_MEMORY_BYTES, GIB, Limits, PluginConfig, PluginDefaults, Section, patterns,
    to_json, words,
};
use crate::{
    event::Kind,
    pipeline::{breaker, chain::Policy},
    plugin::{
        names::Names,
        settings::{Capability, Limits as PluginLimits},
    },
};

const PLUGIN_NAME_MAX_BYTES: usize = 64;

/// Whether a text may be the name of a plugin or of a token.
pub fn is_plugin_name(text: &str) -> bool {
    let fits = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    fits && (1..=PLUGIN_NAME_MAX_BYTES).contains(&text.len())
}

/// What plugins inherit, and the plugins.
pub(super) fn plugins(root: &Section<'_, '_>, base: &Path, limits: &Limits) -> (PluginDefaults, Vec<PluginConfig>) {
    let defaults = root.section("plugin_defaults");
    let names = Names {
        event_name_max_bytes: limits.event_name_max_bytes,
        room_name_max_bytes: limits.room_name_max_bytes,
        user_id_max_bytes: limits.user_id_max_bytes,
        role_name_max_bytes: limits.role_name_max_bytes,
        roles_max: limits.roles_max,
    };
    let limits = plugin_limits(&defaults, &PluginLimits { names, ..PluginLimits::default() });
    let inherited = PluginDefaults { limits, breaker: breaker(&defaults, &breaker::Settings::default()) };
    defaults.finish();
    let mut names: HashMap<String, usize> = HashMap::new();
    let mut plugins = Vec::new();
    for (n, section) in root.sections("plugin").into_iter().enumerate() {
        let plugin = plugin(&section, Some(base), &inherited);
        let first = (!plugin.name.is_empty()).then(|| *names.entry(plugin.name.clone()).or_insert(n));
        if let Some(first) = first.filter(|first| *first != n) {
            let at = section.get("name").map_or(section.at(), |f| f.at);
            let text = format!("{}: `{}` is the name of plugin[{first}] already", section.key("name"), plugin.name);
            section.source().wrong(at, text);
        }
        section.finish();
        plugins.push(plugin);
    }
    (inherited, plugins)
}

/// `base`: the folder from which its file is seen; `None`: it has none, the registry has it.
pub(super) fn plugin(section: &Section<'_, '_>, base: Option<&Path>, inherited: &PluginDefaults) -> PluginConfig {
    let missing = |key: &'static str, example: &str| {
        if section.get(key).is_none() {
            section.source().wrong(section.at(), format!("{}: missing, write {key} = {example}", section.key(key)));
        }
    };
    missing("name", "\"my-plugin\"");
    let name = section.parsed("name", PluginConfig::NAMES, PluginConfig::parse_name).unwrap_or_default();
    let enabled = section.boolean("enabled", true);
    let file = base.map(|base| {
        missing("file", "\"my_plugin.wasm\"");
        // one that is not loaded may still be built
        let is_there = |file: &PathBuf| !enabled || file.is_file();
        let what = "a .wasm file that exists, seen from the folder of this file";
        section.parsed("file", what, |text| Some(base.join(text)).filter(is_there)).unwrap_or_default()
    });
    let capability = |text: &str| {
        Capability::ALL.into_iter().find(|c| c.as_str() == text).ok_or_else(|| {
            let known = words(Capability::ALL.iter().map(|c| c.as_str()));
            format!("expected {known}, found \"{}\"", text.escape_debug())
        })
    };
    PluginConfig {
        name,
        file,
        namespaces: patterns(section, "namespaces", "*", "to turn the plugin off, write enabled = false"),
        enabled,
        capabilities: section.list("capabilities", capability).unwrap_or_default(),
        policy: policy(section),
        limits: plugin_limits(section, &inherited.limits),
        breaker: breaker(section, &inherited.breaker),
        config: config(section),
        written: section.written(&["name", "file"]),
    }
}

const POLICIES: [(&str, Policy); 2] = [("reject", Policy::Reject), ("skip", Policy::Skip)];

/// One word for all hooks, or a table by hook.
fn policy(section: &Section<'_, '_>) -> [Policy; 6] {
    match section.get("policy").map(|f| f.value) {
        Some(DeValue::Table(_)) => {
            let table = section.section("policy");
            let default = table.choice("default", &POLICIES, Policy::Reject);
            let policy = Kind::ALL.map(|kind| table.choice(kind.hook(), &POLICIES, default));
            table.finish();
            policy
        }
        Some(_) => {
            let what = "\"reject\", \"skip\" or a table by hook, as in { on_message = \"skip\" }";
            let word = |text: &str| POLICIES.iter().find(|(word, _)| *word == text).map(|(_, policy)| *policy);
            [section.parsed("policy", what, word).unwrap_or_default(); 6]
        }
        None => [Policy::Reject; 6],
    }
}

fn plugin_limits(parent: &Section<'_, '_>, base: &PluginLimits) -> PluginLimits {
    let section = parent.section("limits");
    let limits = PluginLimits {
        cpu: section.duration("cpu_ms", 1..10_001, base.cpu),
        wall: section.duration("wall_ms", 1..60_001, base.wall),
        init: section.duration("init_ms", 1..60_001, base.init),
        memory_max_bytes: section.count("memory_max_bytes", ENGINE_MEMORY_BYTES, base.memory_max_bytes),
        output_max_bytes: section.count("output_max_bytes", 1..GIB + 1, base.output_max_bytes),
        effects_max: section.count("effects_max", 1..1_000_001, base.effects_max),
        log_lines_max: section.count("log_lines_max", 0..100_001, base.log_lines_max),
        log_line_max_bytes: section.count("log_line_max_bytes", 16..65_537, base.log_line_max_bytes),
        instances_max: section.count("instances_max", ENGINE_INSTANCES, base.instances_max),
        instance_wait: section.duration("instance_wait_ms", 1..60_001, base.instance_wait),
        names: base.names,
    };
    section.finish();
    limits
}

fn breaker(parent: &Section<'_, '_>, base: &breaker::Settings) -> breaker::Settings {
    let section = parent.section("breaker");
    let settings = breaker::Settings {
        failures: section.count("failures", 0..10_001, base.failures),
        failing_percent: section.number("failing_percent", 0..101, base.failing_percent),
        window: section.duration("window_ms", 1..DAY_MS + 1, base.window),
        quarantine: section.duration("quarantine_ms", 1..DAY_MS + 1, base.quarantine),
        quarantine_max: section.duration("quarantine_max_ms", 1..DAY_MS + 1, base.quarantine_max),
    };
    section.finish();
    settings
}

fn config(section: &Section<'_, '_>) -> serde_json::Value {
    match section.get("config") {
        None => serde_json::json!({}),
        Some(found) if matches!(found.value, DeValue::Table(_)) => to_json(&found, section.source()),
        Some(found) => {
            section.expected(&found, "a table, as in [plugin.config]");
            serde_json::json!({})
        }
    }
}
