//! Files with values that are wrong, or do not go together.

use super::{check, check_plugin, parse};

#[test]
fn numbers_out_of_range_name_the_range() {
    check(
        "[server]\n\
         ping_interval_ms = 0",
        "hub.toml:2:20: server.ping_interval_ms: expected milliseconds from 100 to 86400000, found 0",
    );
    check(
        "[server]\n\
         ping_timeout_ms = 86_400_001",
        "hub.toml:2:19: server.ping_timeout_ms: expected milliseconds from 100 to 86400000, found 86400001",
    );
    check(
        "[server]\n\
         workers = 0",
        "hub.toml:2:11: server.workers: expected a whole number from 1 to 1024, found 0",
    );
    check(
        "[server]\n\
         body_timeout_ms = -1",
        "hub.toml:2:19: server.body_timeout_ms: expected milliseconds from 100 to 86400000, found -1",
    );
    check(
        "[limits]\n\
         max_payload_bytes = 0",
        "hub.toml:2:21: limits.max_payload_bytes: expected bytes from 1024 to 1073741824, found 0",
    );
    check(
        "[limits]\n\
         connections_max = 0",
        "hub.toml:2:19: limits.connections_max: expected a whole number from 1 to 10000000, found 0",
    );
    check(
        "[limits]\n\
         rooms_per_socket_max = 1_000_000_000_000_000_000_000",
        "hub.toml:2:24: limits.rooms_per_socket_max: expected a whole number from 1 to 100000, found \
         1000000000000000000000",
    );
    check(
        "[limits]\n\
         polling_packets_max = 0",
        "hub.toml:2:23: limits.polling_packets_max: expected a whole number from 1 to 100000, found 0",
    );
    check(
        "[limits]\n\
         room_name_max_bytes = 0\n\
         user_id_max_bytes = 70_000\n\
         role_name_max_bytes = \"long\"\n\
         roles_max = -1\n\
         shutdown_grace_ms = 600_001",
        "hub.toml:2:23: limits.room_name_max_bytes: expected bytes from 1 to 65536, found 0\n\
         hub.toml:3:21: limits.user_id_max_bytes: expected bytes from 1 to 65536, found 70000\n\
         hub.toml:4:23: limits.role_name_max_bytes: expected bytes from 1 to 65536, found \"long\"\n\
         hub.toml:5:13: limits.roles_max: expected a whole number from 0 to 10000, found -1\n\
         hub.toml:6:21: limits.shutdown_grace_ms: expected milliseconds from 0 to 600000, found 600001",
    );
    check(
        "[limits]\n\
         bus_queue_max_bytes = 0x10",
        "hub.toml:2:23: limits.bus_queue_max_bytes: expected bytes from 65536 to 68719476736, found 0x10",
    );
    check(
        "[engine]\n\
         stack_max_bytes = 1024",
        "hub.toml:2:19: engine.stack_max_bytes: expected bytes from 65536 to 67108864, found 1024",
    );
    check(
        "[engine]\n\
         instances_max = 0",
        "hub.toml:2:17: engine.instances_max: expected a whole number from 1 to 100000, found 0",
    );
    check_plugin(
        "[plugin.limits]\n\
         cpu_ms = 0\n\
         wall_ms = 100_000",
        "hub.toml:5:10: plugin[0].limits.cpu_ms: expected milliseconds from 1 to 10000, found 0\n\
         hub.toml:6:11: plugin[0].limits.wall_ms: expected milliseconds from 1 to 60000, found 100000",
    );
    check(
        "[plugin_defaults.limits]\n\
         instances_max = 0",
        "hub.toml:2:17: plugin_defaults.limits.instances_max: expected a whole number from 1 to 100000, found 0",
    );
}

#[test]
fn wrong_words_name_the_right_ones() {
    check(
        "[server]\n\
         listen = \"localhost\"",
        "hub.toml:2:10: server.listen: expected an address with a port, as in \"127.0.0.1:3000\" or \"[::]:3000\", \
         found \"localhost\"",
    );
    check(
        "[server]\n\
         path = \"socket.io\"",
        "hub.toml:2:8: server.path: expected a path below the root, of letters, digits and `-_.`, as in \
         \"/socket.io/\", found \"socket.io\"",
    );
    check(
        "[server]\n\
         path = \"/\"",
        "hub.toml:2:8: server.path: expected a path below the root, of letters, digits and `-_.`, as in \
         \"/socket.io/\", found \"/\"",
    );
    check(
        "[server]\n\
         parser = \"protobuf\"",
        "hub.toml:2:10: server.parser: expected \"json\" or \"msgpack\", found \"protobuf\"",
    );
    check(
        "[server]\n\
         transports = []",
        "hub.toml:2:14: server.transports: the list is empty; name \"polling\", \"websocket\" or both",
    );
    check(
        "[server]\n\
         transports = [\"polling\", \"webtransport\"]",
        "hub.toml:2:26: server.transports[1]: expected \"polling\" or \"websocket\", found \"webtransport\"",
    );
    check(
        "[server]\n\
         transports = [\"polling\", \"polling\"]",
        "hub.toml:2:26: server.transports[1]: stands in the list twice",
    );
    check(
        "[server]\n\
         trusted_proxies = [\"10.0.0.0/8\", \"10.0.0.0/33\"]",
        "hub.toml:2:34: server.trusted_proxies[1]: not a network: `10.0.0.0/33`; write an address, or an address \
         and the bits that count: 10.0.0.0/8",
    );
    check(
        "[server]\n\
         static_dir = \"no/such/folder\"",
        "hub.toml:2:14: server.static_dir: expected a folder that exists, seen from the folder of this file, found \
         \"no/such/folder\"",
    );
    check(
        "[server.cors]\n\
         origins = [\"https://chat.example/\"]",
        "hub.toml:2:12: server.cors.origins[0]: expected \"*\" or an origin as browsers send it, as in \
         \"https://chat.example\" or \"http://localhost:8080\", found \"https://chat.example/\"",
    );
    check(
        "[server.cors]\n\
         origins = [\"chat.example\"]",
        "hub.toml:2:12: server.cors.origins[0]: expected \"*\" or an origin as browsers send it, as in \
         \"https://chat.example\" or \"http://localhost:8080\", found \"chat.example\"",
    );
    check(
        "[server.cors]\n\
         origins = [\"*\", \"https://chat.example\"]",
        "hub.toml:2:11: server.cors.origins: \"*\" stands for all origins: leave out the others",
    );
    check(
        "[namespaces]\n\
         allow = []",
        "hub.toml:2:9: namespaces.allow: the list is empty; write at least one, as in [\"/\"]",
    );
    check(
        "[namespaces]\n\
         allow = [\"/\", \"chat\"]",
        "hub.toml:2:15: namespaces.allow[1]: expected a namespace, which starts with a slash, or a pattern as in \
         \"/room-*\", found \"chat\"",
    );
    check(
        "[namespaces]\n\
         allow = [\"\"]",
        "hub.toml:2:10: namespaces.allow[0]: `` is no pattern: it must have 1 to 256 bytes and at most 4 `*`",
    );
    check(
        "[log]\n\
         level = \"loud\"",
        "hub.toml:2:9: log.level: expected a level (off, error, warn, info, debug, trace), or levels by target as \
         in \"info,hub::plugin=debug\", found \"loud\"",
    );
    check(
        "[log]\n\
         level = \"info,hub=loud\"",
        "hub.toml:2:9: log.level: expected a level (off, error, warn, info, debug, trace), or levels by target as \
         in \"info,hub::plugin=debug\", found \"info,hub=loud\"",
    );
    check(
        "[log]\n\
         format = \"xml\"",
        "hub.toml:2:10: log.format: expected \"auto\", \"text\" or \"json\", found \"xml\"",
    );
}

#[test]
fn plugins_are_checked_like_everything_else() {
    check(
        "[[plugin]]",
        "hub.toml:1:1: plugin[0].name: missing, write name = \"my-plugin\"\n\
         hub.toml:1:1: plugin[0].file: missing, write file = \"my_plugin.wasm\"",
    );
    check(
        "[[plugin]]\n\
         name = \"Rooms!\"\n\
         file = \"Cargo.toml\"",
        "hub.toml:2:8: plugin[0].name: expected a name of 1 to 64 lower-case letters, digits and `-`, found \
         \"Rooms!\"",
    );
    check(
        "[[plugin]]\n\
         name = \"\"\n\
         file = \"Cargo.toml\"",
        "hub.toml:2:8: plugin[0].name: expected a name of 1 to 64 lower-case letters, digits and `-`, found \"\"",
    );
    check(
        "[[plugin]]\n\
         name = \"rooms\"\n\
         file = \"no/such.wasm\"",
        "hub.toml:3:8: plugin[0].file: expected a .wasm file that exists, seen from the folder of this file, found \
         \"no/such.wasm\"",
    );
    check(
        "[[plugin]]\n\
         name = \"rooms\"\n\
         file = \"src\"",
        "hub.toml:3:8: plugin[0].file: expected a .wasm file that exists, seen from the folder of this file, found \
         \"src\"",
    );
    check(
        "[[plugin]]\n\
         name = \"a\"\n\
         file = \"Cargo.toml\"\n\
         [[plugin]]\n\
         name = \"a\"\n\
         file = \"Cargo.toml\"",
        "hub.toml:5:8: plugin[1].name: `a` is the name of plugin[0] already",
    );
    check_plugin(
        "namespaces = []",
        "hub.toml:4:14: plugin[0].namespaces: the list is empty; to turn the plugin off, write enabled = false",
    );
    check_plugin(
        "namespaces = [\"chat\"]",
        "hub.toml:4:15: plugin[0].namespaces[0]: expected a namespace, which starts with a slash, or a pattern as \
         in \"/room-*\", found \"chat\"",
    );
    check_plugin(
        "capabilities = [\"storage\"]",
        "hub.toml:4:17: plugin[0].capabilities[0]: expected \"identity\", \"credentials\", \"orders\" or \"store\", found \
         \"storage\"",
    );
    check_plugin(
        "capabilities = [\"orders\", \"orders\"]",
        "hub.toml:4:27: plugin[0].capabilities[1]: stands in the list twice",
    );
    check_plugin(
        "policy = \"ignore\"",
        "hub.toml:4:10: plugin[0].policy: expected \"reject\", \"skip\" or a table by hook, as in { on_message = \
         \"skip\" }, found \"ignore\"",
    );
    check_plugin(
        "policy = { default = \"skip\", on_join = \"retry\" }",
        "hub.toml:4:40: plugin[0].policy.on_join: expected \"reject\" or \"skip\", found \"retry\"",
    );
    check_plugin(
        "[plugin.config]\n\
         ratio = nan\n\
         big = [1, 99_999_999_999_999_999_999]",
        "hub.toml:5:9: plugin[0].config.ratio: expected a whole number of 64 bits or a finite fraction, found nan\n\
         hub.toml:6:11: plugin[0].config.big[1]: expected a whole number of 64 bits or a finite fraction, found \
         99999999999999999999",
    );
}

#[test]
fn values_that_do_not_go_together_are_refused() {
    check(
        "[limits]\n\
         chain_timeout_ms = 30_000",
        "hub.toml:2:20: limits.chain_timeout_ms: a busy client would count as lost: limits.chain_timeout_ms \
         (30000) and limits.bus_append_timeout_ms (2000) together must be below server.ping_timeout_ms (20000)",
    );
    check(
        "[server]\n\
         ping_timeout_ms = 5000",
        "hub.toml:2:19: server.ping_timeout_ms: a busy client would count as lost: limits.chain_timeout_ms (5000) \
         and limits.bus_append_timeout_ms (2000) together must be below server.ping_timeout_ms (5000)",
    );
    check(
        "[limits]\n\
         bus_append_timeout_ms = 20_000\n\
         [server]\n\
         ping_timeout_ms = 20_000",
        "hub.toml:2:25: limits.bus_append_timeout_ms: a busy client would count as lost: limits.chain_timeout_ms \
         (5000) and limits.bus_append_timeout_ms (20000) together must be below server.ping_timeout_ms (20000)",
    );
    check(
        "[server]\n\
         transports = [\"websocket\"]\n\
         allow_upgrades = true",
        "hub.toml:3:18: server.allow_upgrades: an upgrade leads from polling to websocket: write false, or name \
         both in server.transports",
    );
    check(
        "[server.cors]\n\
         credentials = true",
        "hub.toml:2:15: server.cors.credentials: credentials are for pages of other origins: name them in \
         server.cors.origins",
    );
    check_plugin(
        "[plugin.limits]\n\
         cpu_ms = 50\n\
         wall_ms = 20",
        "hub.toml:5:10: plugin[0].limits.cpu_ms: cpu_ms (50) must be at most wall_ms (20)",
    );
    check(
        "[plugin_defaults.limits]\n\
         wall_ms = 5\n\
         [[plugin]]\n\
         name = \"a\"\n\
         file = \"Cargo.toml\"",
        "hub.toml:2:11: plugin_defaults.limits.wall_ms: cpu_ms (10) must be at most wall_ms (5)",
    );
    check(
        "[engine]\n\
         memory_max_bytes = 1_048_576\n\
         [[plugin]]\n\
         name = \"a\"\n\
         file = \"Cargo.toml\"",
        "hub.toml:2:20: engine.memory_max_bytes: memory_max_bytes (16777216) must be at most \
         engine.memory_max_bytes (1048576)",
    );
    check_plugin(
        "[plugin.limits]\n\
         memory_max_bytes = 1_073_741_824",
        "hub.toml:5:20: plugin[0].limits.memory_max_bytes: memory_max_bytes (1073741824) must be at most \
         engine.memory_max_bytes (268435456)",
    );
    check_plugin(
        "[plugin.limits]\n\
         instances_max = 1000",
        "hub.toml:5:17: plugin[0].limits.instances_max: instances_max (1000) must be at most engine.instances_max \
         (512)",
    );
    check_plugin(
        "[plugin.breaker]\n\
         quarantine_ms = 700_000",
        "hub.toml:5:17: plugin[0].breaker.quarantine_ms: quarantine_ms (700000) must be at most quarantine_max_ms \
         (600000)",
    );
    check(
        "[plugin_defaults.breaker]\n\
         quarantine_max_ms = 10\n\
         [[plugin]]\n\
         name = \"a\"\n\
         file = \"Cargo.toml\"",
        "hub.toml:2:21: plugin_defaults.breaker.quarantine_max_ms: quarantine_ms (30000) must be at most \
         quarantine_max_ms (10)",
    );
}

#[test]
fn trusted_keys_that_are_none_are_not_repeated() {
    let right = "RWSEgAqG8oEBrRzKfEjQZyhsZcwqfIm/2RHx3BvdSbTX2sVankFeJQrg";
    let no_key = "expected a public key, the second line of a .pub file of `hubbub plugin keygen` or minisign, which has 56 \
                  characters and begins with \"RW\"";
    check(
        &format!(
            "[signatures]\ntrusted_keys = [\n  \"{right}\",\n  \"RWSEg\",\n  7,\n  \"{right}\",\n  \"release.pub\",\n]"
        ),
        &format!(
            "hub.toml:4:3: signatures.trusted_keys[1]: {no_key}\n\
             hub.toml:5:3: signatures.trusted_keys[2]: expected a string, found 7\n\
             hub.toml:6:3: signatures.trusted_keys[3]: stands in the list twice\n\
             hub.toml:7:3: signatures.trusted_keys[4]: expected the key itself, the second line of the .pub file, found \
             the name of a file"
        ),
    );
    check(
        "[signatures]\ntrusted_keys = []",
        "hub.toml:2:16: signatures.trusted_keys: the list is empty; to load plugins without signatures, leave the key out",
    );
    check(
        &format!("[signatures]\ntrusted_keys = \"{right}\""),
        &format!("hub.toml:2:16: signatures.trusted_keys: expected a list of strings, found \"{}…\"", &right[..40]),
    );
    check(
        &format!("[signatures]\ntrusted_key = [\"{right}\"]"),
        "hub.toml:2:1: signatures.trusted_key: unknown key, did you mean `trusted_keys`?",
    );
    check(
        &format!("[server]\ntrusted_keys = [\"{right}\"]"),
        "hub.toml:2:1: server.trusted_keys: unknown key, it belongs in [signatures]",
    );
    let secret = "RWQAAEIy".to_owned() + &"A".repeat(203) + "=";
    check(
        &format!("[signatures]\ntrusted_keys = [\"{secret}\"]"),
        "hub.toml:2:17: signatures.trusted_keys[0]: expected a public key, found a SECRET one: take it out of here, and \
         write the second line of its .pub file",
    );
}

#[test]
fn a_key_that_lies_in_the_folder_it_would_empty_is_refused() {
    let data = tempfile::TempDir::new().unwrap();
    let code = data.path().join("code");
    std::fs::create_dir(&code).unwrap();
    let toml = |key: &std::path::Path| {
        let (data, key) = (data.path().display(), key.display());
        format!("[server]\ndata_dir = \"{data}\"\n[engine]\ncache_key_file = \"{key}\"\n")
    };
    let expected = format!(
        "hub.toml:4:18: engine.cache_key_file: the key may not lie with what it seals, in `{}`: keep it outside of \
         server.data_dir",
        code.display()
    );
    check(&toml(&code.join("node.key")), &expected);
    parse(&toml(&data.path().join("node.key"))).expect("a key beside that folder is in no danger");
}
