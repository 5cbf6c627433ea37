//! What two users say to each other.

use scenarios::Node;
use serde_json::json;

use super::{code, good, moderated, texts, user};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn direct_messages_are_judged_edited_reacted_to_and_read() -> anyhow::Result<()> {
    let node = Node::start(&moderated()).await;
    let (mut ann, mut bob) = (user(&node, "ann").await?, user(&node, "bob").await?);
    let (mut phone, mut eve) = (user(&node, "bob").await?, user(&node, "eve").await?);
    assert_eq!(ann.ask("direct", json!({ "to": "bob", "text": "darn, psst" })).await?["id"], 1);
    for client in [&mut bob, &mut phone] {
        assert_eq!(client.event_named("direct").await?["text"], "****, psst");
    }
    assert_eq!(code(&ann.ask("direct", json!({ "to": "bob", "text": "moron" })).await?), "word_not_allowed");
    let edit = |text: &str| json!({ "user": "bob", "id": 1, "text": text });
    assert_eq!(code(&ann.ask("edit", edit("moron")).await?), "word_not_allowed");
    good(ann.ask("edit", edit("darn it, psst")).await?)?;
    for client in [&mut ann, &mut bob, &mut phone] {
        let edited = client.event_named("edited").await?;
        assert_eq!((&edited["text"], &edited["to"]), (&json!("**** it, psst"), &json!("bob")));
    }
    // a shadowed one is its author's alone
    good(ann.ask("edit", edit("casino")).await?)?;
    assert_eq!(ann.event_named("edited").await?["text"], "casino");
    good(bob.ask("react", json!({ "user": "ann", "id": 1, "emoji": "👍", "on": true })).await?)?;
    let reacted = ann.event_named("reacted").await?;
    assert_eq!((&reacted["count"], &reacted["to"], &reacted["by"]["user"]), (&json!(1), &json!("ann"), &json!("bob")));
    let unread = good(phone.ask("rooms", json!({})).await?)?["directs"][0]["unread"].clone();
    assert_eq!(unread, 1);
    good(bob.ask("read", json!({ "user": "ann", "id": 1 })).await?)?;
    assert_eq!(ann.event_named("read").await?["id"], 1);
    assert_eq!(phone.event_named("read").await?["by"]["user"], "bob", "the other device knows");
    assert_eq!(good(phone.ask("rooms", json!({})).await?)?["directs"][0]["unread"], 0);
    assert_eq!(texts(&bob.ask("history", json!({ "user": "ann" })).await?), ["**** it, psst"]);
    assert_eq!(texts(&eve.ask("history", json!({ "user": "bob" })).await?), [""; 0]);
    assert_eq!(code(&bob.ask("delete", json!({ "user": "ann", "id": 1 })).await?), "not_allowed");
    good(ann.ask("delete", json!({ "user": "bob", "id": 1 })).await?)?;
    assert_eq!(bob.event_named("deleted").await?["id"], 1);
    assert_eq!(texts(&bob.ask("history", json!({ "user": "ann" })).await?), [""]);
    node.stop().await;
    Ok(())
}
