//! Chat rooms on a real node: front, moderation, archive, one chain.

mod busy;
mod direct;
mod moderated;
mod names;
mod pages;
mod private;
mod restart;

use scenarios::{
    Client, Node,
    chat::{code, texts},
};
use serde_json::{Value, json};

/// What comes before and behind moderation.
const FRONT: &str = r#"
[[plugin]]
name = "identity"
file = "{wasm:identity}"
capabilities = ["identity", "credentials"]

[[plugin]]
name = "chat-rooms"
file = "{wasm:chat-rooms}"
capabilities = ["store"]
"#;

const ARCHIVE: &str = r#"
[[plugin]]
name = "chat-archive"
file = "{wasm:chat-rooms}"
capabilities = ["store"]
config = { part = "archive" }
"#;

const MODERATION: &str = r#"
[[plugin]]
name = "moderation"
file = "{wasm:moderation}"
capabilities = ["store", "orders"]
[[plugin.config.words]]
name = "rude"
words = ["moron"]
action = "reject"
[[plugin.config.words]]
name = "mild"
words = ["darn"]
action = "mask"
[[plugin.config.words]]
name = "spam"
words = ["casino"]
action = "shadow"
"#;

fn moderated() -> String {
    format!("{FRONT}{MODERATION}{ARCHIVE}")
}

/// The chain of those tests in which nothing is to be judged.
fn plain() -> String {
    format!("{FRONT}{ARCHIVE}")
}

async fn user(node: &Node, user: &str) -> anyhow::Result<Client> {
    Client::connect(node.address, "/", json!({ "user": user })).await
}

async fn member(node: &Node, name: &str, body: Value) -> anyhow::Result<Client> {
    let mut client = user(node, name).await?;
    good(client.ask("join", body).await?)?;
    Ok(client)
}

/// An ack that must be no error.
fn good(ack: Value) -> anyhow::Result<Value> {
    anyhow::ensure!(ack["ok"] == true, "{ack}");
    Ok(ack)
}

fn said(room: &str, text: &str) -> Value {
    json!({ "room": room, "text": text })
}
