//! The chat page in a headless Chromium, against a node with the whole chat chain.

use std::time::Duration;

use scenarios::{Node, plugins::workspace, script};

/// What the tokens of the suite are signed with.
const SECRET: &str = "a secret of the browser suite, of no use elsewhere";

const CHAIN: &str = r#"
[server]
static_dir = "@PAGE"

[recovery]
namespaces = ["/chat"]
window_ms = 6000

[namespaces]
allow = ["/", "/chat"]

[[plugin]]
name = "auth-token"
file = "{wasm:auth-token}"
namespaces = ["/chat"]
capabilities = ["identity", "credentials"]

[plugin.config]
guests = { allow = true }
keys = [{ algorithm = "HS256", secret = "@SECRET" }]

[[plugin]]
name = "chat-rooms"
file = "{wasm:chat-rooms}"
namespaces = ["/chat"]
capabilities = ["store"]

[[plugin]]
name = "moderation"
file = "{wasm:moderation}"
namespaces = ["/chat"]
capabilities = ["store", "orders"]

[plugin.config]
words = [
  { name = "insults", words = ["moron"], action = "reject" },
  { name = "mild", words = ["darn"], action = "mask" },
  { name = "ads", words = ["lottery"], action = "hold" },
]

[[plugin]]
name = "chat-archive"
file = "{wasm:chat-rooms}"
namespaces = ["/chat"]
capabilities = ["store"]
config = { part = "archive" }
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_chat_in_the_page() {
    let page = workspace().join("examples/chat/dist");
    assert!(page.join("index.html").is_file(), "the page is not built: run `make page` first");
    let toml = CHAIN.replace("@PAGE", page.to_str().expect("the path is UTF-8")).replace("@SECRET", SECRET);
    let node = Node::start(&toml).await;
    let dir = workspace().join("tests/browser");
    script::run(&dir, "node", &["page.mjs", &node.url(), SECRET], Duration::from_secs(300)).await;
    node.stop().await;
}
