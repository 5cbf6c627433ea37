//! Files that are right: every key counts, and nothing secret is shown.

use std::time::Duration;

use serde_json::{Value, json};

use super::{File, PLUGIN, base, parse};
use crate::{
    config::{Config, ConfigError, LogFormat, Overrides, Role},
    event::Kind,
    gateway::{socketio::Encoding, transport::Origins},
    pipeline::{breaker, chain::Policy},
    plugin::{
        names::Names,
        settings::{Capability, Limits},
    },
    registry::Digest,
};

/// Every key, each with a value that is not its default.
const EVERYTHING: &str = r#"
[server]
listen = "[::1]:4000"
path = "/live"
parser = "msgpack"
transports = ["websocket"]
allow_upgrades = false
ping_interval_ms = 10_001
ping_timeout_ms = 10_002
upgrade_timeout_ms = 10_003
connect_timeout_ms = 0
close_timeout_ms = 10_004
header_read_timeout_ms = 10_005
body_timeout_ms = 10_006
handshake_timeout_ms = 10_007
keep_alive_idle_timeout_ms = 10_008
trusted_proxies = ["10.0.0.0/8", "::1"]
static_dir = "src"
data_dir = "src"
workers = 3

[server.cors]
origins = ["https://chat.example", "http://localhost:8080"]
credentials = true

[limits]
max_payload_bytes = 2001
polling_packets_max = 17
send_queue_max_bytes = 8002
connections_max = 2003
connections_per_address_max = 2004
namespaces_per_connection_max = 2005
namespaces_max = 2006
namespace_max_bytes = 2007
rooms_per_socket_max = 2008
event_name_max_bytes = 2009
room_name_max_bytes = 2016
user_id_max_bytes = 2017
role_name_max_bytes = 2018
roles_max = 2019
attachments_max = 2010
effects_max = 2011
orders_pending_max = 2012
asks_pending_max = 2013
retained_per_room_max = 2021
retained_max_bytes = 2022
bus_queue_max_bytes = 0x20_000
bus_append_timeout_ms = 2014
chain_timeout_ms = 2015
shutdown_grace_ms = 2020

[recovery]
namespaces = ["/room-*"]
window_ms = 3001
suspended_max = 3002
log_max_bytes = 70_001

[store]
value_max_bytes = 300
scope_max_bytes = 5000
backlog_max_bytes = 70_000
backlog_timeout_ms = 301
sync_interval_ms = 302
meters_max = 303

[namespaces]
allow = ["/", "/room-*"]

[engine]
instances_max = 301
memory_max_bytes = 33_554_432
stack_max_bytes = 131_072
cache_key_file = "node.key"
cache_max_bytes = 2021

[registry]
artifacts_max_bytes = 2_000_000
revisions_max = 2022

[log]
level = "warn,hub::plugin=debug"
format = "json"

[admin]
listen = "127.0.0.1:4001"
connections_max = 401
upload_max_bytes = 4002
body_max_bytes = 4003
body_timeout_ms = 404
audit_max_bytes = 65_537
plugin_log_lines_max = 409
plugin_log_max_bytes = 4010
followers_max = 408
page_max = 405
asks_max = 406
ask_timeout_max_ms = 407

[signatures]
trusted_keys = ["RWSEgAqG8oEBrRzKfEjQZyhsZcwqfIm/2RHx3BvdSbTX2sVankFeJQrg"]

[plugin_defaults.limits]
wall_ms = 1001

[plugin_defaults.breaker]
failures = 0
quarantine_max_ms = 31_000

[[plugin]]
name = "rooms-2"
file = "Cargo.toml"
namespaces = ["/room-*"]
capabilities = ["orders", "identity"]
policy = { default = "skip", on_connect = "reject" }

[plugin.limits]
cpu_ms = 21
init_ms = 22
memory_max_bytes = 131_072
output_max_bytes = 23
effects_max = 24
log_lines_max = 0
log_line_max_bytes = 25
instances_max = 26
instance_wait_ms = 27

[plugin.breaker]
failures = 28
failing_percent = 32
window_ms = 29
quarantine_ms = 30

[plugin.config]
words = ["a", 1, 2.5, true]
since = 1979-05-27T07:32:00Z
deep = { size = -3 }

[[plugin]]
name = "later"
file = "not-built-yet.wasm"
enabled = false
policy = "skip"
"#;

#[test]
fn an_empty_file_is_a_node_without_plugins() {
    let config = parse("").unwrap();
    assert_eq!(format!("{config:?}"), format!("{:?}", Config::default()));
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:3000");
    assert!(config.plugins.is_empty());
    assert!(config.namespaces.allow.iter().all(|pattern| pattern.as_str() == "/"));
}

#[test]
fn every_key_counts() {
    let config = parse(EVERYTHING).unwrap();
    let (server, limits) = (&config.server, &config.limits);
    assert_eq!((server.listen.to_string().as_str(), server.path.as_str()), ("[::1]:4000", "/live/"));
    assert_eq!(server.parser, Encoding::Msgpack);
    assert_eq!((server.polling, server.websocket, server.allow_upgrades), (false, true, false));
    let times = [
        server.ping_interval,
        server.ping_timeout,
        server.upgrade_timeout,
        server.close_timeout,
        server.header_read_timeout,
        server.body_timeout,
        server.handshake_timeout,
        server.keep_alive_idle_timeout,
    ];
    assert_eq!(times.map(|time| time.as_millis()), [10_001, 10_002, 10_003, 10_004, 10_005, 10_006, 10_007, 10_008]);
    assert_eq!(server.connect_timeout, Duration::ZERO);
    assert_eq!(format!("{:?}", server.trusted_proxies), "[10.0.0.0/8, ::1/128]");
    assert_eq!((&server.static_dir, server.workers), (&Some(base().join("src")), Some(3)));
    assert_eq!(server.origins, Origins::List(vec!["https://chat.example".into(), "http://localhost:8080".into()]));
    assert!(server.credentials);
    let counts = [
        limits.max_payload_bytes,
        limits.connections_max,
        limits.connections_per_address_max,
        limits.namespaces_per_connection_max,
        limits.namespaces_max,
        limits.namespace_max_bytes,
        limits.rooms_per_socket_max,
        limits.event_name_max_bytes,
        limits.attachments_max,
        limits.effects_max,
        limits.orders_pending_max,
        limits.asks_pending_max,
    ];
    assert_eq!(counts, [2001, 2003, 2004, 2005, 2006, 2007, 2008, 2009, 2010, 2011, 2012, 2013]);
    let names = Names {
        event_name_max_bytes: 2009,
        room_name_max_bytes: 2016,
        user_id_max_bytes: 2017,
        role_name_max_bytes: 2018,
        roles_max: 2019,
    };
    assert_eq!(config.plugins.iter().map(|plugin| plugin.limits.names).collect::<Vec<_>>(), [names; 2]);
    assert_eq!(limits.shutdown_grace.as_millis(), 2020);
    assert_eq!((limits.send_queue_max_bytes, limits.bus_queue_max_bytes), (8002, 131_072));
    assert_eq!(limits.polling_packets_max, 17);
    assert_eq!((limits.bus_append_timeout.as_millis(), limits.chain_timeout.as_millis()), (2014, 2015));
    assert_eq!(format!("{:?}", config.namespaces.allow), r#"["/", "/room-*"]"#);
    let engine = &config.engine;
    assert_eq!((engine.instances_max, engine.memory_max_bytes, engine.stack_max_bytes), (301, 32 << 20, 128 << 10));
    assert_eq!((&engine.cache_key_file, engine.cache_max_bytes), (&Some(base().join("node.key")), 2021));
    assert_eq!((config.registry.artifacts_max_bytes, config.registry.revisions_max), (2_000_000, 2022));
    assert_eq!((config.log.level.as_str(), config.log.format), ("warn,hub::plugin=debug", LogFormat::Json));
    let keys: Vec<String> = config.trusted_keys.iter().map(|key| key.id().to_string()).collect();
    assert_eq!(keys, ["AD0181F2860A8084"]);
    let admin = &config.admin;
    assert_eq!(admin.listen.map(|listen| listen.to_string()).as_deref(), Some("127.0.0.1:4001"));
    let counts = [admin.connections_max, admin.upload_max_bytes, admin.body_max_bytes, admin.page_max, admin.asks_max];
    assert_eq!(counts, [401, 4002, 4003, 405, 406]);
    assert_eq!((admin.audit_max_bytes, admin.followers_max), (65_537, 408));
    assert_eq!((admin.plugin_logs.lines_max, admin.plugin_logs.max_bytes), (409, 4010));
    assert_eq!([admin.body_timeout, admin.ask_timeout_max].map(|time| time.as_millis()), [404, 407]);
}

#[test]
fn tokens_are_known_by_name_and_never_shown() {
    let hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let config = parse(&format!("[[admin.token]]\nname = \"ops\"\nrole = \"deploy\"\nsha256 = \"{hash}\"\n")).unwrap();
    let [token] = &config.admin.tokens[..] else { panic!("{:?}", config.admin.tokens) };
    assert_eq!((token.name.as_str(), token.role, token.sha256), ("ops", Role::Deploy, Digest::of(b"")));
    for shown in [format!("{config:?}"), config.effective().to_string(), format!("{:?}", config.lines())] {
        assert!(!shown.contains("e3b0c4"), "{shown}");
    }
}

#[test]
fn every_key_of_a_plugin_counts() {
    let config = parse(EVERYTHING).unwrap();
    let [rooms, later] = &config.plugins[..] else { panic!("{} plugins", config.plugins.len()) };
    assert_eq!((rooms.name.as_str(), rooms.enabled), ("rooms-2", true));
    assert_eq!(rooms.file, Some(base().join("Cargo.toml")));
    assert_eq!(format!("{:?}", rooms.namespaces), r#"["/room-*"]"#);
    assert_eq!(rooms.capabilities, [Capability::Orders, Capability::Identity]);
    let rejects = Kind::ALL.map(|kind| rooms.policy[kind as usize] == Policy::Reject);
    assert_eq!(rejects, Kind::ALL.map(|kind| kind == Kind::Connect));
    let limits = &rooms.limits;
    let times = [limits.cpu, limits.wall, limits.init, limits.instance_wait].map(|time| time.as_millis());
    assert_eq!(times, [21, 1001, 22, 27]);
    let counts = [
        limits.memory_max_bytes,
        limits.output_max_bytes,
        limits.effects_max,
        limits.log_lines_max,
        limits.log_line_max_bytes,
        limits.instances_max,
    ];
    assert_eq!(counts, [131_072, 23, 24, 0, 25, 26]);
    let breaker = &rooms.breaker;
    let times = [breaker.window, breaker.quarantine, breaker.quarantine_max].map(|time| time.as_millis());
    assert_eq!((breaker.failures, breaker.failing_percent, times), (28, 32, [29, 30, 31_000]));
    let expected = r#"{"deep":{"size":-3},"since":"1979-05-27T07:32:00Z","words":["a",1,2.5,true]}"#;
    assert_eq!(rooms.config.to_string(), expected);

    assert_eq!((later.name.as_str(), later.enabled), ("later", false));
    assert_eq!(later.policy, [Policy::Skip; 6]);
    assert_eq!(format!("{:?}", later.namespaces), r#"["*"]"#);
    assert_eq!((later.limits.wall.as_millis(), later.limits.cpu), (1001, Limits::default().cpu));
    assert_eq!((later.breaker.failures, later.breaker.window), (0, breaker::Settings::default().window));
    assert_eq!(later.config.to_string(), "{}");
}

#[test]
fn the_effective_config_is_a_file_that_makes_the_same() {
    for text in ["", EVERYTHING] {
        let config = parse(text).unwrap();
        let effective = toml::to_string_pretty(&config.effective()).unwrap();
        let again = parse(&effective).unwrap_or_else(|error| panic!("{error}\n{effective}"));
        assert_eq!(format!("{again:?}"), format!("{config:?}"));
    }
}

#[test]
fn the_log_has_a_line_for_each_table() {
    let config = parse(&format!(
        "[log]\nformat = \"json\"\n{PLUGIN}[plugin.config]\nwords = [\"a\", \"b c\"]\nempty = \"\"\ndeep = {{ size = 3 }}\n\
         rules = [{{ to = \"tea\", n = 1 }}]\napi_token = \"hidden\"\n"
    ))
    .unwrap();
    let lines = config.lines();
    let sections: Vec<&str> = lines.iter().map(|(section, _)| &**section).collect();
    assert_eq!(
        sections,
        [
            "admin",
            "engine",
            "limits",
            "log",
            "namespaces",
            "plugin[0]",
            "plugin_defaults",
            "recovery",
            "registry",
            "server",
            "store"
        ]
    );
    let values = |section: &str| &lines.iter().find(|(name, _)| name == section).unwrap().1;
    assert_eq!(values("log"), "format=json level=info");
    assert_eq!(values("namespaces"), "allow=[/]");
    assert!(values("server").contains(" cors.credentials=false cors.origins=[] "), "{}", values("server"));
    let config =
        "config.api_token=*** config.deep.size=3 config.empty='' config.rules=[{n=1 to=tea}] config.words=[a,'b c']";
    assert!(values("plugin[0]").contains(config), "{}", values("plugin[0]"));
}

#[test]
fn nothing_secret_is_shown() {
    let text = format!(
        "{PLUGIN}[plugin.config]\nissuer = \"shown\"\nApiKey = \"hidden\"\nrotation = [{{ old_token = \"hidden\" }}]\n\
         database = {{ password = [\"hidden\"], user = \"shown\" }}\n"
    );
    let config = parse(&text).unwrap();
    for shown in [config.effective().to_string(), format!("{config:?}"), format!("{config:#?}")] {
        assert!(!shown.contains("hidden"), "{shown}");
        assert_eq!(shown.matches("shown").count(), 2, "{shown}");
        assert_eq!(shown.matches("***").count(), 3, "{shown}");
    }
    assert_eq!(config.plugins[0].config["ApiKey"], "hidden", "the plugin itself gets it");
}

#[test]
fn an_unquoted_secret_is_not_repeated() {
    let error = parse(&format!("{PLUGIN}[plugin.config]\ntoken = abc123\n")).unwrap_err().to_string();
    assert!(error.starts_with("hub.toml:5:9: not TOML:") && !error.contains("abc123"), "{error}");
}

#[test]
fn origins_are_any_some_or_none() {
    let check = |origins: &str, expected: Origins| {
        let config = parse(&format!("[server.cors]\norigins = {origins}\n")).unwrap();
        assert_eq!(config.server.origins, expected, "{origins}");
    };
    check("[\"*\"]", Origins::Any);
    check("[]", Origins::SameOrigin);
    check("[\"http://[::1]:80\"]", Origins::List(vec!["http://[::1]:80".into()]));
}

#[test]
fn levels_of_the_log_are_checked_word_by_word() {
    for right in ["off", "trace", "info,hub=debug", "hub::plugin=trace,warn"] {
        assert_eq!(parse(&format!("[log]\nlevel = \"{right}\"\n")).unwrap().log.level, right);
    }
    for wrong in ["", "INFO", "info,", "hub=", "=info", "info debug", "hub=info=warn"] {
        assert!(parse(&format!("[log]\nlevel = \"{wrong}\"\n")).is_err(), "{wrong}");
    }
}

#[test]
fn overrides_stand_over_the_file_and_leave_the_rest() {
    let file = File::new("overrides", b"[server]\nlisten = \"127.0.0.1:1\"\nworkers = 1\n[log]\nlevel = \"warn\"\n");
    let overrides = Overrides {
        listen: Some("127.0.0.1:2".parse().unwrap()),
        log_format: Some(LogFormat::Text),
        ..Overrides::default()
    };
    let config = Config::load(&file.path, overrides.clone()).unwrap();
    assert_eq!((config.server.listen.port(), config.server.workers), (2, Some(1)));
    assert_eq!((config.log.level.as_str(), config.log.format), ("warn", LogFormat::Text));

    let overrides = Overrides { workers: Some(4), log_level: Some("off".into()), ..overrides };
    let config = Config::without_file(overrides).unwrap();
    assert_eq!((config.server.listen.port(), config.server.workers), (2, Some(4)));
    assert_eq!((config.log.level.as_str(), config.log.format), ("off", LogFormat::Text));
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let missing = base().join("no/hub.toml");
    let error = Config::load(&missing, Overrides::default()).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot read the config `{}`", missing.display()));
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause, "No such file or directory (os error 2)");

    let bytes = File::new("bytes", b"[log]\nlevel = \"\xff\"\n");
    let error = Config::load(&bytes.path, Overrides::default()).unwrap_err();
    assert!(matches!(error, ConfigError::Unreadable { .. }), "{error}");
}

#[test]
fn the_readme_names_every_limit() {
    let readme = std::fs::read_to_string(base().parent().unwrap().join("README.md")).unwrap();
    let effective = parse(EVERYTHING).unwrap().effective();
    for table in [
        &effective["limits"],
        &effective["store"],
        &effective["engine"],
        &effective["registry"],
        &effective["admin"],
        &effective["plugin"][0]["limits"],
        &effective["plugin"][0]["breaker"],
    ] {
        for (key, _) in table.as_object().unwrap() {
            assert!(readme.contains(&format!("`{key}`")), "{key} is not in README.md");
        }
    }
}

#[test]
fn what_the_registry_has_of_a_plugin_is_read_as_if_it_stood_in_a_file() {
    let config = parse("[plugin_defaults.limits]\ncpu_ms = 7\n").unwrap();
    let written = |value: Value| value.as_object().cloned().unwrap();
    let settings = written(json!({
        "namespaces": ["/room-*"], "policy": { "on_join": "skip" }, "limits": { "wall_ms": 500 },
        "config": { "words": ["a"], "deep": { "n": 1.5, "on": true } },
    }));
    let placed = config.placed("rooms", &settings).unwrap();
    assert_eq!((placed.name.as_str(), &placed.file, placed.enabled), ("rooms", &None, true));
    assert_eq!((placed.limits.cpu.as_millis(), placed.limits.wall.as_millis()), (7, 500));
    assert_eq!((&placed.config, &placed.written), (&settings["config"], &settings));
    let wrong = |name: &str, value: Value| config.placed(name, &written(value)).err().unwrap();
    assert_eq!(
        wrong("rooms", json!({ "polcy": "skip", "limits": { "cpu_ms": 0 }, "capabilities": ["storage"] })),
        "capabilities[0]: expected \"identity\", \"credentials\", \"orders\" or \"store\", found \"storage\"\n\
         polcy: unknown key, did you mean `policy`?\n\
         limits.cpu_ms: expected milliseconds from 1 to 10000, found 0"
    );
    assert_eq!(
        wrong("Rooms", json!({})),
        "name: expected a name of 1 to 64 lower-case letters, digits and `-`, found \"Rooms\""
    );
    assert_eq!(
        wrong("rooms", json!({ "file": "a.wasm" })),
        "file: unknown key, known here are breaker, capabilities, config, enabled, limits, name, namespaces, policy"
    );
    let nothing = wrong("rooms", json!({ "config": { "a": null } }));
    assert!(nothing.ends_with("leave out what is null"), "{nothing}");
    assert_eq!(
        wrong("rooms", json!({ "limits": { "cpu_ms": 3000 } })),
        "limits.cpu_ms: cpu_ms (3000) must be at most wall_ms (2000)"
    );
}
