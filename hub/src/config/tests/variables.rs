//! The environment over the file.

use super::{File, base};
use crate::{
    config::{Config, ConfigError, LogFormat, Overrides, file, variables::Variables},
    gateway::socketio::Encoding,
};

fn load(text: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let variables: Vec<_> = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    file::parse_under(text, &base().join("hub.toml"), &Variables::new(&variables))
}

/// What is said of wrong variables over this file.
#[track_caller]
fn check(text: &str, variables: &[(&str, &str)], expected: &str) {
    assert_eq!(load(text, variables).expect_err("it is wrong").to_string(), expected, "{variables:?}");
}

#[test]
fn a_variable_stands_over_the_file_and_the_rest_stays() {
    let text = "[server]\nping_interval_ms = 1000\nping_timeout_ms = 12_000\nworkers = 1\n[log]\nlevel = \"warn\"\n";
    let config = load(
        text,
        &[
            ("HUBBUB_SERVER__PING_INTERVAL_MS", "2_000"),
            ("HUBBUB_SERVER__PARSER", "msgpack"),
            ("HUBBUB_SERVER__CORS__CREDENTIALS", "false"),
            ("HUBBUB_LISTEN", "[::1]:7"),
            ("HUBBUB_LIMITS__SEND_QUEUE_MAX_BYTES", "0x10000"),
            ("HUBBUB_ENGINE__INSTANCES_MAX", "99"),
            ("HUBBUB_LOG__FORMAT", "json"),
        ],
    )
    .unwrap();
    let (server, log) = (&config.server, &config.log);
    assert_eq!([server.ping_interval, server.ping_timeout].map(|time| time.as_millis()), [2000, 12_000]);
    assert_eq!((server.parser, server.workers, server.listen.port()), (Encoding::Msgpack, Some(1), 7));
    assert_eq!((config.limits.send_queue_max_bytes, config.engine.instances_max), (65_536, 99));
    assert_eq!((log.level.as_str(), log.format), ("warn", LogFormat::Json));
}

/// Every key that `config check` prints with one value can be set, and nothing else is changed by it.
#[test]
fn every_single_value_has_a_variable() {
    let text = "[server]\nworkers = 3\nstatic_dir = \"src\"\n[engine]\ncache_key_file = \"node.key\"\n";
    let effective = load(text, &[]).unwrap().effective();
    let mut variables = Vec::new();
    for (section, table) in effective.as_object().unwrap() {
        for (key, value) in table.as_object().unwrap() {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            if !value.is_array() && !value.is_object() {
                variables.push((format!("HUBBUB_{}__{}", section.to_uppercase(), key.to_uppercase()), text));
            }
        }
    }
    assert!(variables.len() > 40, "{variables:?}");
    let variables: Vec<_> = variables.iter().map(|(name, value)| (&**name, &**value)).collect();
    assert_eq!(load("", &variables).unwrap().effective(), effective);
}

#[test]
fn a_wrong_value_names_its_variable() {
    check(
        "",
        &[("HUBBUB_SERVER__PING_INTERVAL_MS", "25s")],
        "HUBBUB_SERVER__PING_INTERVAL_MS: server.ping_interval_ms: expected milliseconds from 100 to 86400000, found \
         \"25s\"",
    );
    check(
        "[server]\nworkers = 2\n",
        &[("HUBBUB_WORKERS", "0")],
        "HUBBUB_WORKERS: server.workers: expected a whole number from 1 to 1024, found 0",
    );
    check(
        "",
        &[("HUBBUB_SERVER__ALLOW_UPGRADES", "yes")],
        "HUBBUB_SERVER__ALLOW_UPGRADES: server.allow_upgrades: expected true or false, found \"yes\"",
    );
    check(
        "",
        &[("HUBBUB_LIMITS__ROLES_MAX", "1\nx = 2")],
        "HUBBUB_LIMITS__ROLES_MAX: limits.roles_max: expected a whole number from 0 to 10000, found \"1\\nx = 2\"",
    );
    check(
        "",
        &[("HUBBUB_LOG_LEVEL", "loud\u{7f}\"")],
        "HUBBUB_LOG_LEVEL: log.level: expected a level (off, error, warn, info, debug, trace), or levels by target as \
         in \"info,hub::plugin=debug\", found \"loud\\u{7f}\\\"\"",
    );
    check(
        "[limits]\nbus_append_timeout_ms = 1000\n",
        &[("HUBBUB_LIMITS__CHAIN_TIMEOUT_MS", "30000")],
        "HUBBUB_LIMITS__CHAIN_TIMEOUT_MS: limits.chain_timeout_ms: a busy client would count as lost: \
         limits.chain_timeout_ms (30000) and limits.bus_append_timeout_ms (1000) together must be below \
         server.ping_timeout_ms (20000)",
    );
}

#[test]
fn an_unknown_variable_names_the_nearest() {
    for (name, said) in [
        ("HUBBUB_SERVER__PING_INTERVAL", "unknown variable, did you mean `HUBBUB_SERVER__PING_INTERVAL_MS`?"),
        ("HUBBUB_SERVER_PING_INTERVAL_MS", "unknown variable, did you mean `HUBBUB_SERVER__PING_INTERVAL_MS`?"),
        ("HUBBUB_SERVER__CORS_CREDENTIALS", "unknown variable, did you mean `HUBBUB_SERVER__CORS__CREDENTIALS`?"),
        ("HUBBUB_SERVER__CONNECTIONS_MAX", "unknown variable, did you mean `HUBBUB_LIMITS__CONNECTIONS_MAX`?"),
        ("HUBBUB_LOG__LEVL", "unknown variable, did you mean `HUBBUB_LOG__LEVEL`?"),
        ("HUBBUB_server__path", "unknown variable, did you mean `HUBBUB_SERVER__PATH`?"),
        ("HUBBUB__X", "unknown variable, names are as in HUBBUB_SERVER__PING_INTERVAL_MS for server.ping_interval_ms"),
        ("HUBBUB_SERVER__TRANSPORTS", "server.transports: is a list: write it into the file"),
    ] {
        check("", &[(name, "1")], &format!("{name}: {said}"));
    }
    let twice = [("HUBBUB_LISTEN", "127.0.0.1:1"), ("HUBBUB_SERVER__LISTEN", "127.0.0.1:2")];
    check("", &twice, "HUBBUB_SERVER__LISTEN: server.listen: is set by HUBBUB_LISTEN already: leave out one");
}

#[test]
fn what_was_not_meant_for_the_hub_is_left_alone() {
    let others = ["HUBBUB_CONFIG", "HUBBUB_BIN", "HUBBUB_PORT", "HUBBUB_SERVER_SERVICE_HOST", "PATH__X", "HUBBUB"];
    let others = others.map(|name| (name, "tcp://10.0.0.1:80"));
    assert_eq!(format!("{:?}", load("", &others).unwrap()), format!("{:?}", Config::default()));
}

#[test]
fn problems_of_the_environment_come_behind_those_of_the_file() {
    check(
        "[log]\nlevel = 1\nformat = \"xml\"\n",
        &[("HUBBUB_SERVER__PATH", "/"), ("HUBBUB_LOG__LEVEL", "warn"), ("HUBBUB_SERVER__X", "")],
        "hub.toml:3:10: log.format: expected \"auto\", \"text\" or \"json\", found \"xml\"\n\
         HUBBUB_SERVER__PATH: server.path: expected a path below the root, of letters, digits and `-_.`, as in \
         \"/socket.io/\", found \"/\"\n\
         HUBBUB_SERVER__X: unknown variable, did you mean `HUBBUB_SERVER__PATH`?",
    );
}

#[test]
fn flags_stand_over_variables_and_these_over_the_file() {
    let file = File::new("order", b"[server]\nworkers = 1\nping_interval_ms = 1000\nlisten = \"127.0.0.1:1\"\n");
    let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let overrides = Overrides {
        workers: Some(3),
        variables: vec![variable("HUBBUB_WORKERS", "2"), variable("HUBBUB_SERVER__PING_INTERVAL_MS", "2000")],
        ..Overrides::default()
    };
    let config = Config::load(&file.path, overrides.clone()).unwrap();
    assert_eq!((config.server.workers, config.server.listen.port()), (Some(3), 1));
    assert_eq!(config.server.ping_interval.as_millis(), 2000);
    assert_eq!(Config::without_file(overrides).unwrap().server.ping_interval.as_millis(), 2000);
}
