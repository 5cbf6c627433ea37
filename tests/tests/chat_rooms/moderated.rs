//! What moderation lets through is what is kept.

use scenarios::Node;
use serde_json::json;

use super::{code, member, moderated, said, texts, user};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_moderation_lets_through_is_what_is_kept() -> anyhow::Result<()> {
    let node = Node::start(&moderated()).await;
    let mut ann = member(&node, "ann", json!({ "room": "tea" })).await?;
    let mut bob = member(&node, "bob", json!({ "room": "tea", "name": "Bob" })).await?;
    let said = |text: &str| said("tea", text);
    assert_eq!(code(&ann.ask("message", said("you moron @bob")).await?), "word_not_allowed");
    assert_eq!(ann.ask("message", said("darn it")).await?["id"], 1);
    assert_eq!(ann.ask("message", said("casino @bob")).await?["id"], 2);
    assert_eq!(ann.ask("message", said("sorry, @bob!")).await?["id"], 3);
    assert_eq!(bob.event_named("mentioned").await?["id"], 3);
    let got = bob.event_named("message").await?;
    assert_eq!((&got["id"], &got["name"], &got["mentions"][0]["name"]), (&json!(3), &json!("ann"), &json!("Bob")));
    let page = bob.ask("history", json!({ "room": "tea" })).await?;
    assert_eq!(texts(&page), ["**** it", "sorry, @bob!"], "{page}");
    assert_eq!(ann.event_named("message").await?["text"], "**** it");
    assert_eq!(ann.event_named("message").await?["text"], "casino @bob", "who is shadowed sees what it says");

    let edit = |text: &str| json!({ "room": "tea", "id": 1, "text": text });
    assert_eq!(code(&ann.ask("edit", edit("moron")).await?), "word_not_allowed");
    assert_eq!(code(&bob.ask("edit", edit("mine")).await?), "not_allowed");
    assert_eq!(ann.ask("edit", edit("all darn good")).await?, json!({ "ok": true }));
    assert_eq!(bob.event_named("edited").await?["text"], "all **** good");
    assert_eq!(bob.ask("react", json!({ "room": "tea", "id": 1, "emoji": "👍", "on": true })).await?["ok"], true);
    assert_eq!(ann.event_named("reacted").await?["count"], 1);
    assert_eq!(bob.ask("read", json!({ "room": "tea", "id": 3 })).await?["id"], 3);
    assert_eq!(ann.event_named("read").await?["by"]["name"], "Bob");
    assert_eq!(ann.ask("delete", json!({ "room": "tea", "id": 3 })).await?["ok"], true);
    assert_eq!(bob.event_named("deleted").await?["id"], 3);
    assert_eq!(ann.ask("topic", json!({ "room": "tea", "text": "darn tea" })).await?["ok"], true);
    let mut eve = user(&node, "eve").await?;
    let joined = eve.ask("join", json!({ "room": "tea" })).await?;
    assert_eq!((&joined["topic"], &joined["last_id"]), (&json!("**** tea"), &json!(3)), "{joined}");
    assert_eq!(joined["members_count"], 3);
    node.stop().await;
    Ok(())
}
