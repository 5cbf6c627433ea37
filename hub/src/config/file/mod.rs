//! `hub.toml`: its keys, their ranges and defaults.

mod admin;
mod plugins;
mod server;

use std::{
    ops::Range,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::{Map, Value, json};
use toml::de::DeTable;

pub use self::plugins::is_plugin_name;
use self::{
    admin::{admin, trusted_keys},
    plugins::{plugin, plugins},
    server::server,
};
use super::{
    Admin, AdminToken, Config, ConfigError, Engine, Limits, Log, LogFormat, Namespaces, PluginConfig, PluginDefaults,
    Recovery, Registry, Role, Server, WORKERS,
    check::{check, plugin as check_plugin},
    error::Problem,
    hint,
    section::{Place, Section, Source, to_json, words},
    variables::Variables,
};
use crate::{gateway::transport::Settings, pattern::Pattern, plugin::names::Names, registry, store};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
const GIB: u64 = 1 << 30;
/// Of events, rooms, users and roles.
const NAME_BYTES: Range<u64> = 1..65_537;
const ENGINE_INSTANCES: Range<u64> = 1..100_001;
/// From one page to what 32 bits address.
const ENGINE_MEMORY_BYTES: Range<u64> = 65_536..4 * GIB + 1;

/// Reads the text of a file; `path` is for errors, and for what the file names relative to itself.
pub fn parse(text: &str, path: &Path) -> Result<Config, ConfigError> {
    parse_under(text, path, &Variables::default())
}

/// The same with variables that stand over the text.
pub fn parse_under(text: &str, path: &Path, variables: &Variables) -> Result<Config, ConfigError> {
    let file = path.file_name().map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned());
    let source = Source::new(file, text, variables);
    let (root, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        for error in &errors {
            let at = error.span().map_or(0, |span| span.start);
            source.wrong(Place::Text(at), format!("not TOML: {}", hint::syntax(text, at, error.message().trim())));
        }
        return Err(ConfigError::Wrong(source.problems()));
    }
    let config = {
        let root = Section::new(&source, Some(root.get_ref()), Place::Text(0), "");
        let config = read(&root, path.parent().unwrap_or(Path::new("")));
        root.finish();
        config
    };
    let problems: Vec<Problem> = source.problems();
    if problems.is_empty() { Ok(config) } else { Err(ConfigError::Wrong(problems)) }
}

fn read(root: &Section<'_, '_>, base: &Path) -> Config {
    let server = server(root, base);
    let limits = limits(root);
    let store = store(root);
    let engine = engine(root, base);
    let (plugin_defaults, plugins) = plugins(root, base, &limits);
    let (namespaces, recovery, registry) = (namespaces(root), recovery(root), registry(root));
    let (log, admin, trusted_keys) = (log(root), admin(root), trusted_keys(root));
    let config = Config {
        server,
        limits,
        namespaces,
        recovery,
        store,
        engine,
        registry,
        log,
        admin,
        trusted_keys,
        plugin_defaults,
        plugins,
    };
    check(root, &config);
    config
}

/// A plugin of the registry, read as if it stood in a file of its own.
pub fn placed(config: &Config, name: &str, written: &Map<String, Value>) -> Result<PluginConfig, String> {
    let mut table = written.clone();
    table.insert("name".into(), name.into());
    let text = toml::to_string(&json!({ "plugin": [table] }))
        .map_err(|error| format!("not a plugin's settings: {error}; leave out what is null"))?;
    let variables = Variables::default();
    let source = Source::new(String::new(), &text, &variables);
    let parsed = DeTable::parse(&text).map_err(|error| error.to_string())?;
    let root = Section::new(&source, Some(parsed.get_ref()), Place::Text(0), "");
    let mut placed = None;
    for section in root.sections("plugin") {
        let plugin = plugin(&section, None, &config.plugin_defaults);
        section.finish();
        check_plugin(&root, config, "plugin[0]", &plugin.limits, &plugin.breaker);
        placed = Some(plugin);
    }
    drop(root);
    let problems = source.problems();
    match placed {
        Some(placed) if problems.is_empty() => Ok(PluginConfig { written: written.clone(), ..placed }),
        _ => {
            let lines = problems.iter().map(|problem| problem.text.replacen("plugin[0].", "", 1));
            Err(lines.collect::<Vec<_>>().join("\n"))
        }
    }
}

fn limits(root: &Section<'_, '_>) -> Limits {
    let section = root.section("limits");
    let (node, names) = (Settings::default(), Names::default());
    let limits = Limits {
        max_payload_bytes: section.count("max_payload_bytes", 1024..GIB + 1, node.max_payload_bytes),
        polling_packets_max: section.count("polling_packets_max", 1..100_001, node.polling_packets_max),
        send_queue_max_bytes: section.count("send_queue_max_bytes", 4096..GIB + 1, node.send_queue_max_bytes),
        connections_max: section.count("connections_max", 1..10_000_001, node.connections_max),
        connections_per_address_max: section.count("connections_per_address_max", 0..10_000_001, 0),
        namespaces_per_connection_max: section.count("namespaces_per_connection_max", 1..10_001, 16),
        namespaces_max: section.count("namespaces_max", 1..10_000_001, 10_000),
        namespace_max_bytes: section.count("namespace_max_bytes", 1..4097, 256),
        rooms_per_socket_max: section.count("rooms_per_socket_max", 1..100_001, 1000),
        event_name_max_bytes: section.count("event_name_max_bytes", NAME_BYTES, names.event_name_max_bytes),
        room_name_max_bytes: section.count("room_name_max_bytes", NAME_BYTES, names.room_name_max_bytes),
        user_id_max_bytes: section.count("user_id_max_bytes", NAME_BYTES, names.user_id_max_bytes),
        role_name_max_bytes: section.count("role_name_max_bytes", NAME_BYTES, names.role_name_max_bytes),
        roles_max: section.count("roles_max", 0..10_001, names.roles_max),
        attachments_max: section.count("attachments_max", 0..10_001, 64),
        effects_max: section.count("effects_max", 1..1_000_001, 2000),
        orders_pending_max: section.count("orders_pending_max", 1..1_000_001, 10_000),
        asks_pending_max: section.count("asks_pending_max", 1..10_001, 64),
        retained_per_room_max: section.count("retained_per_room_max", 0..100_001, 1000),
        retained_max_bytes: section.count("retained_max_bytes", 0..64 * GIB + 1, 64 << 20),
        bus_queue_max_bytes: section.count("bus_queue_max_bytes", 65_536..64 * GIB + 1, 64 << 20),
        bus_append_timeout: section.duration("bus_append_timeout_ms", 1..60_001, Duration::from_secs(2)),
        chain_timeout: section.duration("chain_timeout_ms", 1..600_001, Duration::from_secs(5)),
        shutdown_grace: section.duration("shutdown_grace_ms", 0..600_001, node.shutdown_grace),
    };
    section.finish();
    limits
}

fn namespaces(root: &Section<'_, '_>) -> Namespaces {
    let section = root.section("namespaces");
    let allow = patterns(&section, "allow", "/", "write at least one, as in [\"/\"]");
    section.finish();
    Namespaces { allow }
}

/// Patterns for namespaces: `default` when nothing is written. `empty` says what to do in place of an empty list.
fn patterns(section: &Section<'_, '_>, key: &'static str, default: &str, empty: &str) -> Vec<Pattern> {
    let list = some_patterns(section, key);
    if list.as_ref().is_some_and(Vec::is_empty) {
        section.empty(key, empty);
    }
    list.unwrap_or_else(|| Pattern::parse(default).into_iter().collect())
}

/// Patterns for namespaces, if any are written.
fn some_patterns(section: &Section<'_, '_>, key: &'static str) -> Option<Vec<Pattern>> {
    let read = |text: &str| match Pattern::parse(text) {
        Ok(pattern) if text.starts_with(['/', '*']) => Ok(pattern),
        Ok(_) => Err(format!(
            "expected a namespace, which starts with a slash, or a pattern as in \"/room-*\", found \"{}\"",
            text.escape_debug()
        )),
        Err(error) => Err(error.to_string()),
    };
    section.list(key, read)
}

fn recovery(root: &Section<'_, '_>) -> Recovery {
    let section = root.section("recovery");
    let recovery = Recovery {
        namespaces: some_patterns(&section, "namespaces").unwrap_or_default(),
        window: section.duration("window_ms", 0..DAY_MS + 1, Duration::from_secs(30)),
        suspended_max: section.count("suspended_max", 1..10_000_001, 100_000),
        log_max_bytes: section.count("log_max_bytes", 65_536..64 * GIB + 1, 64 << 20),
    };
    section.finish();
    recovery
}

fn store(root: &Section<'_, '_>) -> store::Limits {
    let section = root.section("store");
    let node = store::Limits::default();
    let limits = store::Limits {
        value_max_bytes: section.count("value_max_bytes", 256..(16 << 20) + 1, node.value_max_bytes),
        scope_max_bytes: section.number("scope_max_bytes", 4096..1024 * GIB + 1, node.scope_max_bytes),
        backlog_max_bytes: section.count("backlog_max_bytes", 65_536..16 * GIB + 1, node.backlog_max_bytes),
        backlog_timeout: section.duration("backlog_timeout_ms", 1..60_001, node.backlog_timeout),
        sync_interval: section.duration("sync_interval_ms", 0..10_001, node.sync_interval),
        meters_max: section.count("meters_max", 16..10_000_001, node.meters_max),
    };
    section.finish();
    limits
}

fn engine(root: &Section<'_, '_>, base: &Path) -> Engine {
    let section = root.section("engine");
    let engine = Engine {
        instances_max: section.number("instances_max", ENGINE_INSTANCES, 512) as u32,
        memory_max_bytes: section.count("memory_max_bytes", ENGINE_MEMORY_BYTES, 256 << 20),
        stack_max_bytes: section.count("stack_max_bytes", 65_536..(64 << 20) + 1, 512 << 10),
        cache_key_file: key_file(&section, base),
        cache_max_bytes: section.number("cache_max_bytes", 0..64 * GIB + 1, GIB),
    };
    section.finish();
    engine
}

/// A file with a key, seen from the folder of the file. It is made when it is not there.
fn key_file(section: &Section<'_, '_>, base: &Path) -> Option<PathBuf> {
    let what = "a file in a folder that exists, seen from the folder of this file, which is made when it is not there";
    section.parsed("cache_key_file", what, |text| {
        let file = base.join(text);
        let is_in_a_folder = file.parent().is_some_and(|dir| dir.as_os_str().is_empty() || dir.is_dir());
        Some(file).filter(|file| !text.is_empty() && is_in_a_folder && !file.is_dir())
    })
}

fn registry(root: &Section<'_, '_>) -> Registry {
    let section = root.section("registry");
    let node = registry::Limits::default();
    let registry = Registry {
        artifacts_max_bytes: section.number("artifacts_max_bytes", (1 << 20)..1024 * GIB + 1, node.artifacts_max_bytes),
        revisions_max: section.number("revisions_max", 1..1_000_001, node.revisions_max),
        reset: false,
    };
    section.finish();
    registry
}

fn log(root: &Section<'_, '_>) -> Log {
    let section = root.section("log");
    let level = section.parsed("level", Log::LEVELS, Log::parse_level);
    let level = level.unwrap_or_else(|| "info".to_owned());
    let format = section.choice("format", &LogFormat::WORDS, LogFormat::Auto);
    section.finish();
    Log { level, format }
}
