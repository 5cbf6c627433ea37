//! `hub.toml`: its keys, their ranges and defaults.

use std::{
    collections::HashMap,
    net::SocketAddr,
    ops::Range,
    path::{Path, PathBuf},
    time::Duration,
};

use toml::de::{DeTable, DeValue};

use super::{
    Config, ConfigError, Engine, Limits, Log, LogFormat, Namespaces, PluginConfig, Server, WORKERS,
    check::check,
    error::Problem,
    section::{Section, Source, to_json},
};
use crate::{
    event::Kind,
    gateway::{
        socketio::Encoding,
        transport::{IpNetwork, Origins, Settings},
    },
    pattern::Pattern,
    pipeline::chain::Policy,
    plugin::settings::{Capability, Limits as PluginLimits},
};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
const GIB: u64 = 1 << 30;
const NAME_MAX_BYTES: usize = 64;
const ENGINE_INSTANCES: Range<u64> = 1..100_001;
/// From one page to what 32 bits address.
const ENGINE_MEMORY_BYTES: Range<u64> = 65_536..4 * GIB + 1;

/// Reads the text of a file; `path` is for errors, and for what the file names relative to itself.
pub fn parse(text: &str, path: &Path) -> Result<Config, ConfigError> {
    let file = path.file_name().map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned());
    let source = Source::new(file.clone(), text);
    let root = match DeTable::parse(text) {
        Ok(root) => root,
        Err(error) => {
            source.wrong(error.span().map_or(0, |s| s.start), format!("not TOML: {}", error.message().trim()));
            return Err(ConfigError::Wrong(source.problems()));
        }
    };
    let config = {
        let root = Section::new(&source, Some(root.get_ref()), 0, "");
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
    let engine = engine(root);
    let (defaults, plugins) = plugins(root, base);
    let config = Config { server, limits, namespaces: namespaces(root), engine, log: log(root), plugins };
    check(root, &config, &defaults);
    config
}

fn server(root: &Section<'_, '_>, base: &Path) -> Server {
    let section = root.section("server");
    let node = Settings::default();
    let cors = section.section("cors");
    let transports = section.list("transports", |text| match text {
        "polling" | "websocket" => Ok(text == "polling"),
        other => Err(format!("expected \"polling\" or \"websocket\", found \"{}\"", other.escape_debug())),
    });
    if transports.as_ref().is_some_and(Vec::is_empty) {
        let at = section.get("transports").map_or(0, |f| f.at);
        section.source().wrong(at, "server.transports: name at least one of \"polling\" and \"websocket\"");
    }
    let transports = transports.unwrap_or_else(|| vec![true, false]);
    let server = Server {
        listen: listen(&section),
        path: path(&section),
        parser: section.choice("parser", &[("json", Encoding::Json), ("msgpack", Encoding::Msgpack)], Encoding::Json),
        polling: transports.contains(&true),
        websocket: transports.contains(&false),
        allow_upgrades: section.boolean("allow_upgrades", node.allow_upgrades),
        ping_interval: section.duration("ping_interval_ms", 100..DAY_MS, node.ping_interval),
        ping_timeout: section.duration("ping_timeout_ms", 100..DAY_MS, node.ping_timeout),
        upgrade_timeout: section.duration("upgrade_timeout_ms", 100..DAY_MS, node.upgrade_timeout),
        connect_timeout: section.duration("connect_timeout_ms", 0..DAY_MS, node.connect_timeout),
        close_timeout: section.duration("close_timeout_ms", 100..DAY_MS, node.close_timeout),
        header_read_timeout: section.duration("header_read_timeout_ms", 100..DAY_MS, node.header_read_timeout),
        body_timeout: section.duration("body_timeout_ms", 100..DAY_MS, node.body_timeout),
        handshake_timeout: section.duration("handshake_timeout_ms", 100..DAY_MS, node.handshake_timeout),
        keep_alive_idle_timeout: section.duration(
            "keep_alive_idle_timeout_ms",
            100..DAY_MS,
            node.keep_alive_idle_timeout,
        ),
        trusted_proxies: section
            .list("trusted_proxies", |text| text.parse::<IpNetwork>().map_err(|e| e.to_string()))
            .unwrap_or_default(),
        static_dir: static_dir(&section, base),
        workers: section.get("workers").map(|_| section.count("workers", WORKERS, 1)),
        origins: origins(&cors),
        credentials: cors.boolean("credentials", node.credentials),
    };
    cors.finish();
    section.finish();
    server
}

fn listen(section: &Section<'_, '_>) -> SocketAddr {
    let default = SocketAddr::from(([127, 0, 0, 1], 3000));
    let Some((text, found)) = section.string("listen") else { return default };
    text.parse().unwrap_or_else(|_| {
        section.expected(&found, "an address with a port, as in \"127.0.0.1:3000\" or \"[::]:3000\"");
        default
    })
}

fn path(section: &Section<'_, '_>) -> String {
    let Some((text, found)) = section.string("path") else { return Settings::default().path };
    let is_plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-_.".contains(&b));
    if !text.starts_with('/') || !is_plain || text.contains("//") || text.len() > 200 {
        section.expected(&found, "a path of letters, digits and `-_.` that starts with a slash, as in \"/socket.io/\"");
    }
    if text == "/" {
        section.expected(&found, "a path below the root: \"/\" is for other routes");
    }
    format!("{}/", text.trim_end_matches('/'))
}

fn static_dir(section: &Section<'_, '_>, base: &Path) -> Option<PathBuf> {
    let (text, found) = section.string("static_dir")?;
    let dir = base.join(text);
    if !dir.is_dir() {
        section.expected(&found, "a folder that exists, seen from the folder of this file");
    }
    Some(dir)
}

fn origins(cors: &Section<'_, '_>) -> Origins {
    let read = |text: &str| match text {
        "*" => Ok(text.to_owned()),
        _ if (text.starts_with("http://") || text.starts_with("https://")) && !text.ends_with('/') => {
            Ok(text.to_owned())
        }
        other => Err(format!(
            "expected \"*\" or an origin without a slash at its end, as in \"https://chat.example\", found \"{}\"",
            other.escape_debug()
        )),
    };
    match cors.list("origins", read) {
        None => Origins::SameOrigin,
        Some(list) if list.iter().any(|o| o == "*") => Origins::Any,
        Some(list) => Origins::List(list),
    }
}

fn limits(root: &Section<'_, '_>) -> Limits {
    let section = root.section("limits");
    let node = Settings::default();
    let limits = Limits {
        max_payload_bytes: section.count("max_payload_bytes", 1024..GIB, node.max_payload_bytes),
        send_queue_max_bytes: section.count("send_queue_max_bytes", 4096..GIB, node.send_queue_max_bytes),
        connections_max: section.count("connections_max", 1..10_000_001, node.connections_max),
        connections_per_address_max: section.count("connections_per_address_max", 0..10_000_001, 0),
        namespaces_per_connection_max: section.count("namespaces_per_connection_max", 1..10_001, 16),
        namespaces_max: section.count("namespaces_max", 1..10_000_001, 10_000),
        namespace_max_bytes: section.count("namespace_max_bytes", 1..4097, 256),
        rooms_per_socket_max: section.count("rooms_per_socket_max", 1..100_001, 1000),
        event_name_max_bytes: section.count("event_name_max_bytes", 1..65_537, 256),
        attachments_max: section.count("attachments_max", 0..10_001, 64),
        effects_max: section.count("effects_max", 1..1_000_001, 2000),
        orders_pending_max: section.count("orders_pending_max", 1..1_000_001, 10_000),
        asks_pending_max: section.count("asks_pending_max", 1..10_001, 64),
        bus_queue_max_bytes: section.count("bus_queue_max_bytes", 65_536..64 * GIB, 64 << 20),
        bus_append_timeout: section.duration("bus_append_timeout_ms", 1..60_001, Duration::from_secs(2)),
        chain_timeout: section.duration("chain_timeout_ms", 1..600_001, Duration::from_secs(5)),
    };
    section.finish();
    limits
}

fn namespaces(root: &Section<'_, '_>) -> Namespaces {
    let section = root.section("namespaces");
    let read = |text: &str| match Pattern::parse(text) {
        Ok(pattern) if text.starts_with('/') || text == "*" => Ok(pattern),
        Ok(_) => Err(format!(
            "expected a namespace that starts with a slash, or a pattern as in \"/room-*\", found \"{}\"",
            text.escape_debug()
        )),
        Err(error) => Err(error.to_string()),
    };
    let allow = section.list("allow", read);
    section.finish();
    Namespaces { allow: allow.unwrap_or_else(|| Pattern::parse("/").into_iter().collect()) }
}

fn engine(root: &Section<'_, '_>) -> Engine {
    let section = root.section("engine");
    let engine = Engine {
        instances_max: section.number("instances_max", ENGINE_INSTANCES, 512) as u32,
        memory_max_bytes: section.count("memory_max_bytes", ENGINE_MEMORY_BYTES, 256 << 20),
        stack_max_bytes: section.count("stack_max_bytes", 65_536..(64 << 20) + 1, 512 << 10),
    };
    section.finish();
    engine
}

fn log(root: &Section<'_, '_>) -> Log {
    let section = root.section("log");
    let level = section.string("level").and_then(|(text, found)| {
        let level = Log::parse_level(text);
        if level.is_none() {
            section.expected(&found, Log::LEVELS);
        }
        level
    });
    let level = level.unwrap_or_else(|| "info".to_owned());
    let format = section.choice("format", &LogFormat::WORDS, LogFormat::Auto);
    section.finish();
    Log { level, format }
}

/// The limits that plugins inherit, and the plugins.
fn plugins(root: &Section<'_, '_>, base: &Path) -> (PluginLimits, Vec<PluginConfig>) {
    let defaults = root.section("plugin_defaults");
    let default_limits = plugin_limits(&defaults, &PluginLimits::default());
    defaults.finish();
    let mut names: HashMap<String, usize> = HashMap::new();
    let mut plugins = Vec::new();
    for (n, section) in root.sections("plugin").into_iter().enumerate() {
        let plugin = plugin(&section, base, &default_limits);
        let first = (!plugin.name.is_empty()).then(|| *names.entry(plugin.name.clone()).or_insert(n));
        if let Some(first) = first.filter(|first| *first != n) {
            let at = section.get("name").map_or(section.at(), |f| f.at);
            let text = format!("{}: `{}` is the name of plugin[{first}] already", section.key("name"), plugin.name);
            section.source().wrong(at, text);
        }
        section.finish();
        plugins.push(plugin);
    }
    (default_limits, plugins)
}

fn plugin(section: &Section<'_, '_>, base: &Path, limits: &PluginLimits) -> PluginConfig {
    let missing = |key: &str, example: &str| {
        section.source().wrong(section.at(), format!("{}: missing, write {key} = {example}", section.key(key)));
    };
    let name = match section.string("name") {
        Some((text, found)) => {
            let is_name = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
            if !is_name || text.is_empty() || text.len() > NAME_MAX_BYTES {
                section.expected(&found, "a name of 1 to 64 lower-case letters, digits and `-`");
            }
            text.to_owned()
        }
        None => {
            if section.get("name").is_none() {
                missing("name", "\"my-plugin\"");
            }
            String::new()
        }
    };
    let enabled = section.boolean("enabled", true);
    let file = match section.string("file") {
        Some((text, found)) => {
            let file = base.join(text);
            // one that is not loaded may still be built
            if enabled && !file.is_file() {
                section.expected(&found, "a .wasm file that exists, seen from the folder of this file");
            }
            file
        }
        None => {
            if section.get("file").is_none() {
                missing("file", "\"my_plugin.wasm\"");
            }
            PathBuf::new()
        }
    };
    let capability = |text: &str| {
        Capability::ALL.into_iter().find(|c| c.as_str() == text).ok_or_else(|| {
            let known: Vec<_> = Capability::ALL.iter().map(|c| format!("\"{c}\"")).collect();
            format!("expected {}, found \"{}\"", known.join(" or "), text.escape_debug())
        })
    };
    let pattern = |text: &str| Pattern::parse(text).map_err(|e| e.to_string());
    PluginConfig {
        name,
        file,
        namespaces: section.list("namespaces", pattern).unwrap_or_else(|| Pattern::parse("*").into_iter().collect()),
        enabled,
        capabilities: section.list("capabilities", capability).unwrap_or_default(),
        policy: policy(section),
        limits: plugin_limits(section, limits),
        config: config(section),
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
        Some(_) => [section.choice("policy", &POLICIES, Policy::Reject); 6],
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
        output_max_bytes: section.count("output_max_bytes", 1..GIB, base.output_max_bytes),
        effects_max: section.count("effects_max", 1..1_000_001, base.effects_max),
        log_lines_max: section.count("log_lines_max", 0..100_001, base.log_lines_max),
        log_line_max_bytes: section.count("log_line_max_bytes", 16..65_537, base.log_line_max_bytes),
        instances_max: section.count("instances_max", ENGINE_INSTANCES, base.instances_max),
        instance_wait: section.duration("instance_wait_ms", 1..60_001, base.instance_wait),
    };
    section.finish();
    limits
}

fn config(section: &Section<'_, '_>) -> serde_json::Value {
    let Some(found) = section.get("config") else { return serde_json::json!({}) };
    let DeValue::Table(table) = found.value else {
        section.expected(&found, "a table, as in [plugin.config]");
        return serde_json::Value::Null;
    };
    table.iter().map(|(key, value)| (key.get_ref().to_string(), to_json(value))).collect()
}
