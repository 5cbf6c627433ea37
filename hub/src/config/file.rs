//! `hub.toml`: its keys, their ranges and defaults.

use std::{
    collections::HashMap,
    net::SocketAddr,
    ops::Range,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::{Map, Value, json};
use toml::de::{DeTable, DeValue};

use super::{
    Admin, AdminToken, Config, ConfigError, Engine, Limits, Log, LogFormat, Namespaces, PluginConfig, PluginDefaults,
    Recovery, Registry, Role, Server, WORKERS,
    check::{check, plugin as check_plugin},
    error::Problem,
    hint,
    section::{Place, Section, Source, to_json, words},
    variables::Variables,
};
use crate::{
    event::Kind,
    gateway::{
        socketio::Encoding,
        transport::{IpNetwork, Origins, Settings},
    },
    pattern::Pattern,
    pipeline::{breaker, chain::Policy},
    plugin::{
        artifact::FILE_MAX_BYTES,
        names::Names,
        settings::{Capability, Limits as PluginLimits},
    },
    registry::{self, Digest},
    signature::{TrustedKey, TrustedKeys},
    store,
};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
const GIB: u64 = 1 << 30;
const PLUGIN_NAME_MAX_BYTES: usize = 64;
const PATH_MAX_BYTES: usize = 200;
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

fn server(root: &Section<'_, '_>, base: &Path) -> Server {
    let section = root.section("server");
    let node = Settings::default();
    let cors = section.section("cors");
    let transports = section.list("transports", |text| match text {
        "polling" | "websocket" => Ok(text == "polling"),
        other => Err(format!("expected \"polling\" or \"websocket\", found \"{}\"", other.escape_debug())),
    });
    if transports.as_ref().is_some_and(Vec::is_empty) {
        section.empty("transports", "name \"polling\", \"websocket\" or both");
    }
    let transports = transports.unwrap_or_else(|| vec![true, false]);
    let server = Server {
        listen: listen(&section),
        path: path(&section),
        parser: section.choice("parser", &[("json", Encoding::Json), ("msgpack", Encoding::Msgpack)], Encoding::Json),
        polling: transports.contains(&true),
        websocket: transports.contains(&false),
        allow_upgrades: section.boolean("allow_upgrades", node.allow_upgrades),
        ping_interval: section.duration("ping_interval_ms", 100..DAY_MS + 1, node.ping_interval),
        ping_timeout: section.duration("ping_timeout_ms", 100..DAY_MS + 1, node.ping_timeout),
        upgrade_timeout: section.duration("upgrade_timeout_ms", 100..DAY_MS + 1, node.upgrade_timeout),
        connect_timeout: section.duration("connect_timeout_ms", 0..DAY_MS + 1, node.connect_timeout),
        close_timeout: section.duration("close_timeout_ms", 100..DAY_MS + 1, node.close_timeout),
        header_read_timeout: section.duration("header_read_timeout_ms", 100..DAY_MS + 1, node.header_read_timeout),
        body_timeout: section.duration("body_timeout_ms", 100..DAY_MS + 1, node.body_timeout),
        handshake_timeout: section.duration("handshake_timeout_ms", 100..DAY_MS + 1, node.handshake_timeout),
        keep_alive_idle_timeout: section.duration(
            "keep_alive_idle_timeout_ms",
            100..DAY_MS + 1,
            node.keep_alive_idle_timeout,
        ),
        trusted_proxies: section
            .list("trusted_proxies", |text| text.parse::<IpNetwork>().map_err(|e| e.to_string()))
            .unwrap_or_default(),
        static_dir: static_dir(&section, base),
        data_dir: data_dir(&section, base),
        workers: section.get("workers").map(|_| section.count("workers", WORKERS, 1)),
        origins: origins(&cors),
        credentials: cors.boolean("credentials", node.credentials),
    };
    cors.finish();
    section.finish();
    server
}

fn listen(section: &Section<'_, '_>) -> SocketAddr {
    let what = "an address with a port, as in \"127.0.0.1:3000\" or \"[::]:3000\"";
    let listen = section.parsed("listen", what, |text| text.parse().ok());
    listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 3000)))
}

fn path(section: &Section<'_, '_>) -> String {
    let what = "a path below the root, of letters, digits and `-_.`, as in \"/socket.io/\"";
    let is_plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-_.".contains(&b));
    let is_path = |text: &&str| text.starts_with('/') && *text != "/" && !text.contains("//") && is_plain(text);
    let path = section.parsed("path", what, |text| {
        Some(text)
            .filter(is_path)
            .filter(|text| text.len() <= PATH_MAX_BYTES)
            .map(|t| format!("{}/", t.trim_end_matches('/')))
    });
    path.unwrap_or_else(|| Settings::default().path)
}

/// A folder of state, seen from the folder of the file. It is made when it is not there.
fn data_dir(section: &Section<'_, '_>, base: &Path) -> Option<PathBuf> {
    let what = "a folder, seen from the folder of this file, which is made when it is not there";
    section.parsed("data_dir", what, |text| {
        Some(base.join(text)).filter(|dir| !text.is_empty() && (dir.is_dir() || !dir.exists()))
    })
}

fn static_dir(section: &Section<'_, '_>, base: &Path) -> Option<PathBuf> {
    let what = "a folder that exists, seen from the folder of this file";
    section.parsed("static_dir", what, |text| Some(base.join(text)).filter(|dir| dir.is_dir()))
}

fn origins(cors: &Section<'_, '_>) -> Origins {
    let read = |text: &str| match text {
        "*" => Ok(text.to_owned()),
        _ if is_origin(text) => Ok(text.to_owned()),
        other => Err(format!(
            "expected \"*\" or an origin as browsers send it, as in \"https://chat.example\" or \"http://localhost:8080\", \
             found \"{}\"",
            other.escape_debug()
        )),
    };
    match cors.list("origins", read) {
        None => Origins::SameOrigin,
        Some(list) if list.is_empty() => Origins::SameOrigin,
        Some(list) if list.iter().any(|o| o == "*") => {
            if let (Some(found), true) = (cors.get("origins"), list.len() > 1) {
                let text = format!("{}: \"*\" stands for all origins: leave out the others", found.path);
                cors.source().wrong(found.at, text);
            }
            Origins::Any
        }
        Some(list) => Origins::List(list),
    }
}

/// Scheme, host and port in lower case, and nothing behind them.
fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-._:[]".contains(c);
    host.is_some_and(|host| !host.is_empty() && host.chars().all(fits))
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

fn admin(root: &Section<'_, '_>) -> Admin {
    let section = root.section("admin");
    let node = Admin::default();
    let what = "an address with a port, as in \"127.0.0.1:3001\"";
    let admin = Admin {
        listen: section.parsed("listen", what, |text| text.parse().ok()),
        dev: false,
        connections_max: section.count("connections_max", 1..100_001, node.connections_max),
        upload_max_bytes: section.count("upload_max_bytes", 1024..FILE_MAX_BYTES as u64 + 1, node.upload_max_bytes),
        body_max_bytes: section.count("body_max_bytes", 1024..(64 << 20) + 1, node.body_max_bytes),
        body_timeout: section.duration("body_timeout_ms", 100..600_001, node.body_timeout),
        page_max: section.count("page_max", 1..100_001, node.page_max),
        asks_max: section.count("asks_max", 0..100_001, node.asks_max),
        ask_timeout_max: section.duration("ask_timeout_max_ms", 1..600_001, node.ask_timeout_max),
        tokens: tokens(&section),
    };
    section.finish();
    admin
}

fn tokens(admin: &Section<'_, '_>) -> Vec<AdminToken> {
    let mut tokens: Vec<AdminToken> = Vec::new();
    for section in admin.sections("token") {
        let missing = |key: &'static str, right: &str| {
            if section.get(key).is_none() {
                let text = format!("{}: missing, {right}", section.key(key));
                section.source().wrong(section.at(), text);
            }
        };
        missing("name", "write name = \"ops\"");
        missing("role", "write role = \"read\" or \"deploy\"");
        missing("sha256", "`hubbub token new` prints the lines");
        let name = section.parsed("name", PluginConfig::NAMES, PluginConfig::parse_name);
        let role = section.choice("role", &Role::WORDS, Role::Read);
        // the digest of a token is no secret, but what was written in its place may be one
        let sha256 = section.get("sha256").and_then(|found| {
            let digest = found.value.as_str().and_then(|text| text.parse::<Digest>().ok());
            if digest.is_none() {
                let right = "expected the SHA-256 of a token, 64 hex digits: `hubbub token new` makes both";
                section.source().wrong(found.at, format!("{}: {right}", found.path));
            }
            digest
        });
        if let (Some(name), Some(sha256)) = (name, sha256) {
            let twice = |key: &str| {
                let at = section.at();
                section.source().wrong(at, format!("{}: another token has the same", section.key(key)));
            };
            match tokens.iter().find(|other| other.name == name || other.sha256 == sha256) {
                Some(other) if other.name == name => twice("name"),
                Some(_) => twice("sha256"),
                None => tokens.push(AdminToken { name, role, sha256 }),
            }
        }
        section.finish();
    }
    tokens
}

/// Whether a text may be the name of a plugin or of a token.
pub fn is_plugin_name(text: &str) -> bool {
    let fits = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    fits && (1..=PLUGIN_NAME_MAX_BYTES).contains(&text.len())
}

/// An empty list is an error: who takes the last key away would open the hub for everybody's plugins.
fn trusted_keys(root: &Section<'_, '_>) -> TrustedKeys {
    let section = root.section("signatures");
    let keys = section.list("trusted_keys", |text| TrustedKey::parse(text).map_err(|error| error.to_string()));
    if keys.as_ref().is_some_and(Vec::is_empty) {
        section.empty("trusted_keys", "to load plugins without signatures, leave the key out");
    }
    section.finish();
    TrustedKeys::new(keys.unwrap_or_default())
}

/// What plugins inherit, and the plugins.
fn plugins(root: &Section<'_, '_>, base: &Path, limits: &Limits) -> (PluginDefaults, Vec<PluginConfig>) {
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
fn plugin(section: &Section<'_, '_>, base: Option<&Path>, inherited: &PluginDefaults) -> PluginConfig {
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
