//! Chat rooms on a real node: front, moderation, archive, one chain.

use std::time::Duration;

use scenarios::{Client, Node};
use serde_json::{Value, json};

fn config(front: &str) -> String {
    format!(
        r#"
[[plugin]]
name = "identity"
file = "{{wasm:identity}}"
capabilities = ["identity", "credentials"]

[[plugin]]
name = "chat-rooms"
file = "{{wasm:chat-rooms}}"
capabilities = ["store"]
config = {{ {front} }}

[[plugin]]
name = "moderation"
file = "{{wasm:moderation}}"
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

[[plugin]]
name = "chat-archive"
file = "{{wasm:chat-rooms}}"
capabilities = ["store"]
config = {{ part = "archive" }}
"#
    )
}

async fn member(node: &Node, user: &str, body: Value) -> anyhow::Result<Client> {
    let mut client = Client::connect(node.address, "/", json!({ "user": user })).await?;
    let ack = client.ask("join", body).await?;
    anyhow::ensure!(ack["ok"] == true, "{user}: {ack}");
    Ok(client)
}

fn code(ack: &Value) -> &str {
    ack["error"]["reason"]["code"].as_str().unwrap_or_default()
}

fn texts(page: &Value) -> Vec<&str> {
    page["messages"].as_array().into_iter().flatten().filter_map(|m| m["text"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_moderation_lets_through_is_what_is_kept() -> anyhow::Result<()> {
    let node = Node::start(&config("")).await;
    let mut ann = member(&node, "ann", json!({ "room": "tea" })).await?;
    let mut bob = member(&node, "bob", json!({ "room": "tea", "name": "Bob" })).await?;
    let said = |text: &str| json!({ "room": "tea", "text": text });
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
    let mut eve = Client::connect(node.address, "/", json!({ "user": "eve" })).await?;
    let joined = eve.ask("join", json!({ "room": "tea" })).await?;
    assert_eq!((&joined["topic"], &joined["last_id"]), (&json!("**** tea"), &json!(3)), "{joined}");
    assert_eq!(joined["members_count"], 3);
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_given_back_when_a_connection_is_lost() -> anyhow::Result<()> {
    let node = Node::start(&config("")).await;
    let mut ann = member(&node, "ann", json!({ "room": "tea" })).await?;
    for n in 0..3 {
        let eve = member(&node, "eve", json!({ "room": "tea", "name": "Fox" })).await?;
        let mut mia = Client::connect(node.address, "/", json!({ "user": "mia" })).await?;
        let taken = mia.ask("join", json!({ "room": "tea", "name": "FOX" })).await?;
        assert_eq!(code(&taken), "name_taken", "{n}: {taken}");
        drop(eve);
        assert_eq!(ann.event_named("left").await?["name"], "Fox");
    }
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn private_rooms_and_direct_messages_are_for_whom_they_are() -> anyhow::Result<()> {
    let node = Node::start(&config("")).await;
    let mut ann = Client::connect(node.address, "/", json!({ "user": "ann" })).await?;
    assert_eq!(ann.ask("create", json!({ "room": "p", "password": "sesame" })).await?["ok"], true);
    assert_eq!(ann.ask("join", json!({ "room": "p" })).await?["ok"], true);
    let mut bob = Client::connect(node.address, "/", json!({ "user": "bob" })).await?;
    assert_eq!(code(&bob.ask("join", json!({ "room": "p" })).await?), "password_required");
    assert_eq!(code(&bob.ask("join", json!({ "room": "p", "password": "x" })).await?), "password_wrong");
    let ack = bob.ask("join", json!({ "room": "p", "password": "sesame" })).await?;
    assert_eq!(ack["ok"], true, "{ack}");
    assert_eq!(ann.ask("direct", json!({ "to": "bob", "text": "darn, psst" })).await?["id"], 1);
    assert_eq!(bob.event_named("direct").await?["text"], "****, psst");
    assert_eq!(code(&ann.ask("direct", json!({ "to": "bob", "text": "moron" })).await?), "word_not_allowed");
    assert_eq!(texts(&bob.ask("history", json!({ "user": "ann" })).await?), ["****, psst"]);
    node.stop().await;
    Ok(())
}

/// Six clients talk at once: ids are never given twice, all see one order, and who is told `conflict` says it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_busy_room_has_one_order_and_no_id_twice() -> anyhow::Result<()> {
    const CLIENTS: usize = 6;
    const MESSAGES: usize = 50;
    let node = Node::start(&config("")).await;
    let mut watcher = member(&node, "watcher", json!({ "room": "tea" })).await?;
    let mut tasks = Vec::new();
    for n in 0..CLIENTS {
        let mut client = member(&node, &format!("user{n}"), json!({ "room": "tea" })).await?;
        tasks.push(tokio::spawn(async move {
            let mut conflicts = 0;
            for m in 0..MESSAGES {
                let body = json!({ "room": "tea", "text": format!("{n}.{m}"), "client_id": format!("{m}") });
                while let Some(code) = client.ask("message", body.clone()).await?["error"]["code"].as_str() {
                    anyhow::ensure!(code == "conflict", "{code}");
                    conflicts += 1;
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            }
            anyhow::Ok(conflicts)
        }));
    }
    let mut conflicts = 0;
    for task in tasks {
        conflicts += task.await??;
    }
    println!("{conflicts} conflicts in {} messages", CLIENTS * MESSAGES);
    let mut got = Vec::new();
    while got.len() < CLIENTS * MESSAGES {
        let message = watcher.event_named("message").await?;
        got.push((message["id"].as_u64().unwrap_or(0), message["text"].as_str().unwrap_or_default().to_owned()));
    }
    let ids: Vec<u64> = got.iter().map(|(id, _)| *id).collect();
    let expect: Vec<u64> = (1..=(CLIENTS * MESSAGES) as u64).collect();
    assert_eq!(ids, expect, "ids grow in the order in which all see the messages");
    let page = watcher.ask("history", json!({ "room": "tea", "limit": 50 })).await?;
    let newest: Vec<&str> = got[got.len() - 50..].iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(texts(&page), newest);
    node.stop().await;
    Ok(())
}
