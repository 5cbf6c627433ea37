//! Files with something in them that is nothing at all.

use super::{check, check_plugin};

#[test]
fn a_file_that_is_no_toml_says_where() {
    check("listen", "hub.toml:1:7: not TOML: key with no value, expected `=`");
    check("[server", "hub.toml:1:8: not TOML: unclosed table, expected `]`");
    check(
        "[server]\n\
         listen = 127.0.0.1:3000",
        "hub.toml:2:15: not TOML: text stands in quotes, as in listen = \"127.0.0.1:3000\"",
    );
    check(
        "[server]\n\
         path = \"/socket.io/",
        "hub.toml:2:20: not TOML: invalid basic string, expected `\"`",
    );
    check(
        "[server]\n\
         workers = 2\n\
         workers = 3",
        "hub.toml:3:1: not TOML: duplicate key",
    );
    check(
        "[server]\n\
         [server]",
        "hub.toml:2:2: not TOML: duplicate key",
    );
    check(
        "[log]\n\
         level = ",
        "hub.toml:2:9: not TOML: there is no value behind `level =`",
    );
    check(
        "[limits]\n\
         connections_max = 1__000",
        "hub.toml:2:20: not TOML: `_` may only go between digits, expected nothing",
    );
    check(
        "[server]\n\
         ping_timeout_ms = 20s # seconds",
        "hub.toml:2:19: not TOML: string values must be quoted, expected literal string",
    );
    check(
        "[log]\n\
         level = info\n\
         \n\
         [server\n\
         workers = 2",
        "hub.toml:2:9: not TOML: text stands in quotes, as in level = \"info\"\n\
         hub.toml:4:8: not TOML: unclosed table, expected `]`",
    );
}

#[test]
fn unknown_keys_name_what_was_probably_meant() {
    check(
        "[sever]\n\
         workers = 2",
        "hub.toml:1:2: sever: unknown key, did you mean `server`?",
    );
    check(
        "[server]\n\
         lissten = \"127.0.0.1:3000\"",
        "hub.toml:2:1: server.lissten: unknown key, did you mean `listen`?",
    );
    check(
        "[server]\n\
         ping_interval = 25000",
        "hub.toml:2:1: server.ping_interval: unknown key, did you mean `ping_interval_ms`?",
    );
    check(
        "[server]\n\
         port = 3000",
        "hub.toml:2:1: server.port: unknown key, known here are allow_upgrades, body_timeout_ms, close_timeout_ms, \
         connect_timeout_ms, cors, data_dir, handshake_timeout_ms, header_read_timeout_ms, keep_alive_idle_timeout_ms, \
         listen, parser, path, ping_interval_ms, ping_timeout_ms, static_dir, transports, trusted_proxies, \
         upgrade_timeout_ms, workers",
    );
    check(
        "[server]\n\
         connections_max = 10",
        "hub.toml:2:1: server.connections_max: unknown key, it belongs in [limits]",
    );
    check(
        "[server.cors]\n\
         origin = [\"*\"]",
        "hub.toml:2:1: server.cors.origin: unknown key, did you mean `origins`?",
    );
    check(
        "[log]\n\
         colour = true",
        "hub.toml:2:1: log.colour: unknown key, known here are format, level",
    );
    check("workers = 2", "hub.toml:1:1: workers: unknown key, it belongs in [server]");
    check(
        "[plugins]\n\
         name = \"a\"",
        "hub.toml:1:2: plugins: unknown key, did you mean `plugin`?",
    );
    check_plugin("cpu_ms = 5", "hub.toml:4:1: plugin[0].cpu_ms: unknown key, it belongs in [plugin.limits]");
    check_plugin(
        "[plugin.limits]\n\
         memory = 5",
        "hub.toml:5:1: plugin[0].limits.memory: unknown key, did you mean `memory_max_bytes`?",
    );
    check_plugin(
        "stack_max_bytes = 65536",
        "hub.toml:4:1: plugin[0].stack_max_bytes: unknown key, it belongs in [engine]",
    );
    check_plugin(
        "limits = { room_name_max_bytes = 10 }",
        "hub.toml:4:12: plugin[0].limits.room_name_max_bytes: unknown key, it belongs in [limits]",
    );
    check(
        "[server]\nshutdown_grace_ms = 1",
        "hub.toml:2:1: server.shutdown_grace_ms: unknown key, it belongs in [limits]",
    );
    check_plugin(
        "policy = { on_msg = \"skip\" }",
        "hub.toml:4:12: plugin[0].policy.on_msg: unknown key, known here are default, on_answer, on_connect, \
         on_disconnect, on_join, on_leave, on_message",
    );
    check_plugin(
        "policy = { message = \"skip\" }",
        "hub.toml:4:12: plugin[0].policy.message: unknown key, did you mean `on_message`?",
    );
    check(
        "[plugin_defaults]\n\
         cpu_ms = 1",
        "hub.toml:2:1: plugin_defaults.cpu_ms: unknown key, it belongs in [plugin_defaults.limits]",
    );
    check(
        "[limits]\n\
         cpu_ms = 1",
        "hub.toml:2:1: limits.cpu_ms: unknown key, it belongs in [plugin.limits]",
    );
    check_plugin(
        "[plugin.limit]\n\
         cpu_ms = 1",
        "hub.toml:4:9: plugin[0].limit: unknown key, did you mean `limits`?",
    );
    check("listen = \"127.0.0.1:3000\"", "hub.toml:1:1: listen: unknown key, it belongs in [server]");
}

#[test]
fn wrong_types_say_what_is_there() {
    check("server = 3000", "hub.toml:1:10: server: expected a table, found 3000");
    check(
        "plugin = \"rooms.wasm\"",
        "hub.toml:1:10: plugin: expected tables, each under [[plugin]], found \"rooms.wasm\"",
    );
    check("plugin = [1]", "hub.toml:1:11: plugin[0]: expected a table under [[plugin]], found 1");
    check(
        "[plugin]\n\
         name = \"a\"",
        "hub.toml:1:1: plugin: expected tables, each under [[plugin]], found a table",
    );
    check(
        "[server]\n\
         listen = 3000",
        "hub.toml:2:10: server.listen: expected an address with a port, as in \"127.0.0.1:3000\" or \"[::]:3000\", \
         found 3000",
    );
    check(
        "[server]\n\
         allow_upgrades = \"yes\"",
        "hub.toml:2:18: server.allow_upgrades: expected true or false, found \"yes\"",
    );
    check(
        "[server]\n\
         ping_interval_ms = \"25s\"",
        "hub.toml:2:20: server.ping_interval_ms: expected milliseconds from 100 to 86400000, found \"25s\"",
    );
    check(
        "[server]\n\
         ping_interval_ms = 2.5",
        "hub.toml:2:20: server.ping_interval_ms: expected milliseconds from 100 to 86400000, found 2.5",
    );
    check(
        "[server]\n\
         transports = \"websocket\"",
        "hub.toml:2:14: server.transports: expected a list of strings, found \"websocket\"",
    );
    check(
        "[server]\n\
         transports = [\"websocket\", 1]",
        "hub.toml:2:28: server.transports[1]: expected a string, found 1",
    );
    check(
        "[server]\n\
         workers = 1979-05-27",
        "hub.toml:2:11: server.workers: expected a whole number from 1 to 1024, found a date",
    );
    check(
        "[namespaces]\n\
         allow = \"/\"",
        "hub.toml:2:9: namespaces.allow: expected a list of strings, found \"/\"",
    );
    check_plugin("enabled = 1", "hub.toml:4:11: plugin[0].enabled: expected true or false, found 1");
    check_plugin(
        "policy = true",
        "hub.toml:4:10: plugin[0].policy: expected \"reject\", \"skip\" or a table by hook, as in { on_message = \
         \"skip\" }, found true",
    );
    check_plugin(
        "config = \"words\"",
        "hub.toml:4:10: plugin[0].config: expected a table, as in [plugin.config], found \"words\"",
    );
    check_plugin("limits = 5", "hub.toml:4:10: plugin[0].limits: expected a table, found 5");
}

#[test]
fn all_problems_of_a_file_come_together_in_the_order_of_lines() {
    check(
        "[log]\n\
         format = \"xml\"\n\
         \n\
         [server]\n\
         listen = \"here\"\n\
         work = 1\n\
         ping_timeout_ms = 0\n\
         \n\
         [limits]\n\
         chain_timeout_ms = 30_000\n\
         \n\
         [[plugin]]\n\
         name = \"a\"\n\
         file = \"none.wasm\"\n\
         policy = \"x\"",
        "hub.toml:2:10: log.format: expected \"auto\", \"text\" or \"json\", found \"xml\"\n\
         hub.toml:5:10: server.listen: expected an address with a port, as in \"127.0.0.1:3000\" or \"[::]:3000\", \
         found \"here\"\n\
         hub.toml:6:1: server.work: unknown key, known here are allow_upgrades, body_timeout_ms, close_timeout_ms, \
         connect_timeout_ms, cors, data_dir, handshake_timeout_ms, header_read_timeout_ms, keep_alive_idle_timeout_ms, \
         listen, parser, path, ping_interval_ms, ping_timeout_ms, static_dir, transports, trusted_proxies, \
         upgrade_timeout_ms, workers\n\
         hub.toml:7:19: server.ping_timeout_ms: expected milliseconds from 100 to 86400000, found 0\n\
         hub.toml:14:8: plugin[0].file: expected a .wasm file that exists, seen from the folder of this file, \
         found \"none.wasm\"\n\
         hub.toml:15:10: plugin[0].policy: expected \"reject\", \"skip\" or a table by hook, as in { on_message = \
         \"skip\" }, found \"x\"",
    );
    check(
        "server.listen = \"ü\", server.path = 1",
        "hub.toml:1:20: not TOML: unexpected key or value, expected newline, `#`",
    );
    check(
        "[server]\n\
         cors = { origins = [\"ü\", \"*\"], credential = true }",
        "hub.toml:2:21: server.cors.origins[0]: expected \"*\" or an origin as browsers send it, as in \
         \"https://chat.example\" or \"http://localhost:8080\", found \"ü\"\n\
         hub.toml:2:32: server.cors.credential: unknown key, did you mean `credentials`?",
    );
}

#[test]
fn a_token_says_what_is_missing_and_repeats_nothing() {
    check(
        "[admin]\nport = 1",
        "hub.toml:2:1: admin.port: unknown key, known here are ask_timeout_max_ms, asks_max, audit_max_bytes, \
         body_max_bytes, body_timeout_ms, connections_max, followers_max, listen, page_max, plugin_log_lines_max, \
         plugin_log_max_bytes, token, upload_max_bytes",
    );
    check(
        "[[admin.token]]",
        "hub.toml:1:1: admin.token[0].name: missing, write name = \"ops\"\n\
         hub.toml:1:1: admin.token[0].role: missing, write role = \"read\" or \"deploy\"\n\
         hub.toml:1:1: admin.token[0].sha256: missing, `hubbub token new` prints the lines",
    );
    check(
        "[[admin.token]]\nname = \"Ops\"\nrole = \"root\"\nsha256 = \"hunter2\"",
        "hub.toml:2:8: admin.token[0].name: expected a name of 1 to 64 lower-case letters, digits and `-`, found \"Ops\"\n\
         hub.toml:3:8: admin.token[0].role: expected \"read\" or \"deploy\", found \"root\"\n\
         hub.toml:4:10: admin.token[0].sha256: expected the SHA-256 of a token, 64 hex digits: `hubbub token new` makes both",
    );
    let hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let token = |name: &str| format!("[[admin.token]]\nname = \"{name}\"\nrole = \"read\"\nsha256 = \"{hash}\"\n");
    check(&(token("a") + &token("a")), "hub.toml:5:1: admin.token[1].name: another token has the same");
    check(&(token("a") + &token("b")), "hub.toml:5:1: admin.token[1].sha256: another token has the same");
}
