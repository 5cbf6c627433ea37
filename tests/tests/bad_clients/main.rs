//! Clients that send what is no packet, too much of it, half of it, or nothing at all. Each is answered or closed as the
//! tables say, nobody else is disturbed, and nothing of the node panics.
//!
//! What closes a connection according to the public protocol suites is in `tests/clients/js/protocol/malformed.mjs`, the
//! flood of namespaces on one connection and the twenty first clients of a namespace are in `storms.rs`; both are not
//! repeated here.

mod engine;
mod floods;
mod http;
mod packets;
mod settings;
mod slow;

use scenarios::{Client, Node, log::Log, panics};
use serde_json::{Value, json};

/// What a table's node runs: small limits, everything echoed.
const SMALL: &str = r#"
[server]
close_timeout_ms = 300

[namespaces]
allow = ["/", "/new-*"]

[limits]
max_payload_bytes = 100_000
event_name_max_bytes = 64
namespace_max_bytes = 40
attachments_max = 3
namespaces_per_connection_max = 3

[[plugin]]
name = "echo"
file = "{wasm:echo}"
capabilities = ["credentials"]
"#;

/// A node, and a client that must not notice what others do to it.
struct Watched {
    node: Node,
    good: Client,
    asked: u64,
}

impl Watched {
    async fn start(toml: &str) -> anyhow::Result<Self> {
        panics::watch();
        Log::capture();
        let node = Node::start(toml).await;
        let good = Client::connect(node.address, "/", Value::Null).await?;
        Ok(Self { node, good, asked: 0 })
    }

    /// After this bad client everything goes on: for the good one, and for who comes new.
    async fn works_after(&mut self, what: &str) -> anyhow::Result<()> {
        self.asked += 1;
        assert_eq!(self.good.ask("echo", json!(self.asked)).await?, self.asked, "after {what}");
        if self.asked % 8 == 1 {
            let mut another = Client::connect(self.node.address, "/", Value::Null).await?;
            assert_eq!(another.ask("echo", json!(what)).await?, what);
        }
        panics::assert_none();
        Ok(())
    }

    /// Stops the node and looks at what it logged.
    async fn stop(self) {
        self.node.stop().await;
        panics::assert_none();
        let log = Log::capture().text();
        let errors: Vec<&str> = log.lines().filter(|line| line.contains("ERROR") || line.contains("panic")).collect();
        assert!(errors.is_empty(), "a client's fault is no fault of the node: {errors:#?}");
    }
}
