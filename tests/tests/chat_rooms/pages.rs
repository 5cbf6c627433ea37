//! Scrollback, receipts, and what is sent twice.

use scenarios::Node;
use serde_json::{Value, json};

use super::{good, member, plain, said, texts, user};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scrollback_gives_every_message_once_while_others_write() -> anyhow::Result<()> {
    const BEFORE: usize = 300;
    let quick = plain().replace("[\"store\"]\n\n", "[\"store\"]\nconfig = { events_max = 100_000 }\n\n");
    let node = Node::start(&quick).await;
    let mut ann = member(&node, "ann", json!({ "room": "tea" })).await?;
    for n in 1..=BEFORE {
        assert_eq!(good(ann.ask("message", said("tea", &n.to_string())).await?)?["id"], n);
    }
    let mut bob = user(&node, "bob").await?;
    let last_id = good(bob.ask("join", json!({ "room": "tea" })).await?)?["last_id"].clone();
    assert_eq!(last_id, BEFORE);
    let writer = tokio::spawn(async move {
        for n in 1..=50 {
            good(ann.ask("message", said("tea", &format!("late {n}"))).await?)?;
        }
        anyhow::Ok(ann)
    });
    let (mut before, mut seen) = (Value::from(BEFORE + 1), Vec::new());
    loop {
        let page = good(bob.ask("history", json!({ "room": "tea", "before": before, "limit": 37 })).await?)?;
        let mut texts: Vec<String> = texts(&page).into_iter().map(str::to_owned).collect();
        texts.append(&mut seen);
        seen = texts;
        before = page["messages"][0]["id"].clone();
        if page["more"] == false {
            break;
        }
    }
    let expect: Vec<String> = (1..=BEFORE).map(|n| n.to_string()).collect();
    assert_eq!(seen, expect);
    for n in 1..=50 {
        assert_eq!(bob.event_named("message").await?["text"], format!("late {n}"), "and live ones go on behind");
    }
    writer.await??;
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_twice_over_two_connections_is_stored_once() -> anyhow::Result<()> {
    let node = Node::start(&plain()).await;
    let mut watcher = member(&node, "watcher", json!({ "room": "tea" })).await?;
    let mut one = member(&node, "ann", json!({ "room": "tea" })).await?;
    let mut two = member(&node, "ann", json!({ "room": "tea" })).await?;
    for n in 1..=20 {
        let body = json!({ "room": "tea", "text": n.to_string(), "client_id": format!("c{n}") });
        // both at once: which of them comes first is open
        let (first, second) = tokio::join!(one.ask("message", body.clone()), two.ask("message", body.clone()));
        let (first, second) = (good(first?)?, good(second?)?);
        assert_eq!(first, second, "the second one gets the first one's ack");
        // and once more, when a client came back and does not know
        let mut again = member(&node, "ann", json!({ "room": "tea" })).await?;
        assert_eq!(good(again.ask("message", body).await?)?, first);
    }
    let page = good(watcher.ask("history", json!({ "room": "tea" })).await?)?;
    let expect: Vec<String> = (1..=20).map(|n| n.to_string()).collect();
    assert_eq!(texts(&page), expect);
    for text in expect {
        assert_eq!(watcher.event_named("message").await?["text"], text);
    }
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipts_and_unread_counts_are_the_users_on_every_device() -> anyhow::Result<()> {
    let node = Node::start(&plain()).await;
    let mut ann = member(&node, "ann", json!({ "room": "tea" })).await?;
    let mut bob = member(&node, "bob", json!({ "room": "tea" })).await?;
    let mut phone = member(&node, "bob", json!({ "room": "tea" })).await?;
    for n in 1..=5 {
        good(ann.ask("message", said("tea", &n.to_string())).await?)?;
    }
    let counts = |list: Value| {
        [&list["rooms"][0]["last_id"], &list["rooms"][0]["read_id"], &list["rooms"][0]["unread"]]
            .map(|v| v.as_u64().unwrap_or(99))
    };
    assert_eq!(counts(bob.ask("rooms", json!({})).await?), [5, 0, 5]);
    assert_eq!(counts(ann.ask("rooms", json!({})).await?), [5, 5, 0]);
    assert_eq!(good(bob.ask("read", json!({ "room": "tea", "id": 3 })).await?)?["id"], 3);
    for client in [&mut ann, &mut phone] {
        let read = client.event_named("read").await?;
        assert_eq!((&read["id"], &read["by"]["user"]), (&json!(3), &json!("bob")));
    }
    assert_eq!(counts(phone.ask("rooms", json!({})).await?), [5, 3, 2]);
    assert_eq!(good(phone.ask("read", json!({ "room": "tea", "id": 2 })).await?)?["id"], 3, "never back");
    drop((bob, phone));
    let joined = good(user(&node, "bob").await?.ask("join", json!({ "room": "tea" })).await?)?;
    assert_eq!((&joined["read_id"], &joined["last_id"]), (&json!(3), &json!(5)));
    node.stop().await;
    Ok(())
}
