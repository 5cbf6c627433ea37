//! The official clients, in JavaScript and Python, against a node with real plugins.

use std::{path::PathBuf, time::Duration};

use scenarios::{Node, plugins::workspace, script};

/// What `tests/clients/README.md` asks of a server.
const PLUGINS: &str = r##"
[server]
ping_interval_ms = @INTERVAL
ping_timeout_ms = @TIMEOUT
connect_timeout_ms = @CONNECT
parser = "@PARSER"

[server.cors]
origins = ["*"]

[limits]
max_payload_bytes = 1_000_000
chain_timeout_ms = 100
bus_append_timeout_ms = 50

[namespaces]
allow = ["/", "/custom", "/many-*", "/chat", "/filtered", "/back"]

[recovery]
namespaces = ["/back"]
window_ms = 6000

[[plugin]]
name = "echo"
file = "{wasm:echo}"
namespaces = ["/", "/custom", "/many-*"]
capabilities = ["credentials"]

[[plugin]]
name = "identity"
file = "{wasm:identity}"
namespaces = ["/filtered"]
capabilities = ["credentials", "identity"]

[[plugin]]
name = "rooms"
file = "{wasm:rooms}"
namespaces = ["/chat", "/filtered", "/back"]

[[plugin]]
name = "word-filter"
file = "{wasm:word-filter}"
namespaces = ["/filtered"]
config = { words = ["darn"], mode = "mask" }

[[plugin]]
name = "router"
file = "{wasm:router}"
namespaces = ["/filtered"]

[[plugin.config.rules]]
when = { event = "message", field = "text", starts_with = "#urgent" }
to = ["keep", { room = "urgent" }]

[[plugin.config.rules]]
when = { event = "message", field = "text", starts_with = "@bob " }
to = [{ user = "bob" }]
"##;

fn config(ping: (u32, u32), connect: u32, parser: &str) -> String {
    PLUGINS
        .replace("@INTERVAL", &ping.0.to_string())
        .replace("@TIMEOUT", &ping.1.to_string())
        .replace("@CONNECT", &connect.to_string())
        .replace("@PARSER", parser)
}

fn usual() -> String {
    config((25_000, 20_000), 45_000, "json")
}

async fn javascript(toml: &str, suite: &str, seconds: u64) {
    let node = Node::start(toml).await;
    let dir = workspace().join("tests/clients/js");
    script::run(&dir, "node", &[suite, &node.url()], Duration::from_secs(seconds)).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wire_protocols_are_spoken_as_the_public_suites_ask() {
    javascript(&config((300, 200), 1000, "json"), "protocol.mjs", 120).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_official_client_works_over_every_transport() {
    javascript(&usual(), "official.mjs", 180).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_official_client_works_with_msgpack() {
    javascript(&config((25_000, 20_000), 45_000, "msgpack"), "msgpack.mjs", 60).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_the_old_protocol_is_refused_at_once() {
    javascript(&usual(), "old.mjs", 60).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_member_sees_the_same_order() {
    javascript(&usual(), "order.mjs", 240).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_hundred_clients_upgrade_without_a_gap() {
    javascript(&usual(), "upgrade.mjs", 180).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_back_has_missed_nothing() {
    // a client that loses its connection in the middle of an upgrade learns of it by the missing ping alone
    javascript(&config((1000, 1000), 45_000, "json"), "recovery.mjs", 200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plugins_filter_transform_and_route() {
    javascript(&usual(), "filter.mjs", 60).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_client_works_over_every_transport() {
    let node = Node::start(&usual()).await;
    let dir = workspace().join("tests/clients/python");
    let python: PathBuf = dir.join(".venv/bin/python");
    let program = python.to_str().expect("the path is UTF-8").to_owned();
    script::run(&dir, &program, &["suite.py", &node.url()], Duration::from_secs(180)).await;
    node.stop().await;
}
