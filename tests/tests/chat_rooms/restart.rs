//! What a node keeps when it ends and begins again.

use scenarios::Node;
use serde_json::json;

use super::{code, good, member, plain, said, texts, user};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_node_knows_what_was_said_and_who_may_enter() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let config = format!("[server]\ndata_dir = {:?}\n{}", dir.path(), plain());
    let node = Node::start(&config).await;
    let mut ann = member(&node, "ann", json!({ "room": "tea", "name": "Fox" })).await?;
    good(ann.ask("topic", json!({ "room": "tea", "text": "leaves" })).await?)?;
    for text in ["one", "two", "three"] {
        good(ann.ask("message", json!({ "room": "tea", "text": text, "client_id": text })).await?)?;
    }
    good(ann.ask("edit", json!({ "room": "tea", "id": 2, "text": "zwei" })).await?)?;
    good(ann.ask("react", json!({ "room": "tea", "id": 1, "emoji": "👍", "on": true })).await?)?;
    good(ann.ask("delete", json!({ "room": "tea", "id": 3 })).await?)?;
    good(ann.ask("direct", json!({ "to": "bob", "text": "psst" })).await?)?;
    good(ann.ask("create", json!({ "room": "vault", "password": "sesame" })).await?)?;
    good(ann.ask("create", json!({ "room": "club", "invite_only": true })).await?)?;
    good(ann.ask("join", json!({ "room": "club" })).await?)?;
    good(ann.ask("invite", json!({ "room": "club", "user": "bob" })).await?)?;
    let mut bob = member(&node, "bob", json!({ "room": "tea" })).await?;
    good(bob.ask("read", json!({ "room": "tea", "id": 2 })).await?)?;
    // both still hold their names
    node.stop().await;
    drop((ann, bob));

    let node = Node::start(&config).await;
    let mut bob = user(&node, "bob").await?;
    let joined = good(bob.ask("join", json!({ "room": "tea", "name": "Fox" })).await?)?;
    assert_eq!((&joined["topic"], &joined["last_id"], &joined["read_id"]), (&json!("leaves"), &json!(3), &json!(2)));
    assert_eq!(joined["members_count"], 1);
    let page = good(bob.ask("history", json!({ "room": "tea" })).await?)?;
    assert_eq!(texts(&page), ["one", "zwei", ""]);
    assert_eq!(
        (&page["messages"][0]["reactions"][0]["count"], &page["messages"][2]["deleted"]),
        (&json!(1), &json!(true))
    );
    let list = good(bob.ask("rooms", json!({})).await?)?;
    assert_eq!((&list["rooms"][0]["unread"], &list["directs"][0]["user"]), (&json!(1), &json!("ann")));
    assert_eq!(texts(&bob.ask("history", json!({ "user": "ann" })).await?), ["psst"]);
    good(bob.ask("join", json!({ "room": "club" })).await?)?;
    assert_eq!(code(&bob.ask("join", json!({ "room": "vault" })).await?), "password_required");
    assert_eq!(code(&bob.ask("create", json!({ "room": "vault" })).await?), "room_exists");
    good(bob.ask("join", json!({ "room": "vault", "password": "sesame" })).await?)?;

    // the owner is who it was, the author too, and what it sends again is not new
    let mut ann = member(&node, "ann", json!({ "room": "tea" })).await?;
    let again = json!({ "room": "tea", "text": "three", "client_id": "three" });
    assert_eq!(good(ann.ask("message", again).await?)?["id"], 3);
    let next = good(ann.ask("message", said("tea", "four")).await?)?["id"].as_u64();
    assert!(next.is_some_and(|id| id > 3), "ids go on: {next:?}");
    good(ann.ask("edit", json!({ "room": "tea", "id": 1, "text": "eins" })).await?)?;
    good(ann.ask("join", json!({ "room": "vault" })).await?)?;
    good(ann.ask("topic", json!({ "room": "vault", "text": "gold" })).await?)?;
    node.stop().await;
    Ok(())
}
