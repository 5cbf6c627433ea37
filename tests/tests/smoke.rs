//! The node as its users meet it first.

use scenarios::{Client, Node};
use serde_json::{Value, json};

const ROOMS: &str = r#"
[[plugin]]
name = "rooms"
file = "{wasm:rooms}"
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_reaches_all_members_of_its_room() -> anyhow::Result<()> {
    let node = Node::start(ROOMS).await;
    let mut ann = Client::connect(node.address, "/", Value::Null).await?;
    let mut bob = Client::connect(node.address, "/", Value::Null).await?;
    assert_eq!(ann.ask("join", json!({"room": "tea"})).await?, json!({"ok": true, "members": 1}));
    assert_eq!(bob.ask("join", json!({"room": "tea"})).await?, json!({"ok": true, "members": 2}));
    let ack = ann.ask("message", json!({"room": "tea", "text": "milk?"})).await?;
    assert_eq!(ack["ok"], true, "{ack}");
    for client in [&mut ann, &mut bob] {
        let message = client.event_named("message").await?;
        assert_eq!((&message["text"], &message["room"]), (&json!("milk?"), &json!("tea")));
    }
    assert_eq!(ann.ask("nonsense", json!({})).await?["error"]["code"], "unhandled");
    node.stop().await;
    Ok(())
}
