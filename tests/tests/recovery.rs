//! Sockets that lose their connection: who comes back in time has missed nothing, who does not leaves.

use scenarios::{Client, Node};
use serde_json::{Value, json};

fn config(recovery: &str) -> String {
    format!(
        r#"
[namespaces]
allow = ["/", "/keep"]

[recovery]
namespaces = ["*"]
{recovery}

[[plugin]]
name = "rooms"
file = "{{wasm:rooms}}"
namespaces = ["/"]

[[plugin]]
name = "keeper"
file = "{{wasm:keeper}}"
namespaces = ["/keep"]
capabilities = ["store"]

[[plugin]]
name = "probe"
file = "{{wasm:probe}}"
namespaces = ["/"]
capabilities = ["identity", "credentials", "orders"]
"#
    )
}

async fn member(node: &Node, room: &str) -> anyhow::Result<Client> {
    let mut client = Client::connect(node.address, "/", Value::Null).await?;
    let ack = client.ask("join", json!({ "room": room })).await?;
    anyhow::ensure!(ack["ok"] == true, "{ack}");
    Ok(client)
}

/// What a client must know to come back.
struct Lost {
    namespace: &'static str,
    id: String,
    auth: Value,
}

/// Loses the connection of a client that has got the events up to `offset`.
fn lose(namespace: &'static str, client: Client, offset: Option<&str>) -> Lost {
    let mut auth = json!({ "pid": client.private_id.as_deref().unwrap_or_default() });
    if let Some(offset) = offset {
        auth["offset"] = offset.into();
    }
    Lost { namespace, id: client.id, auth }
}

impl Lost {
    /// True: it got its socket back.
    async fn back(&self, node: &Node) -> anyhow::Result<(Client, bool)> {
        let client = Client::connect(node.address, self.namespace, self.auth.clone()).await?;
        let recovered = client.id == self.id;
        Ok((client, recovered))
    }
}

/// The next event with this name: its argument and its offset.
async fn marked(client: &mut Client, name: &str) -> anyhow::Result<(Value, String)> {
    loop {
        let mut event = client.event().await?;
        let offset = event.pop();
        if event[0] == name {
            let offset = offset.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
            return Ok((event.remove(1), offset));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_that_was_cut_goes_on_where_it_was() -> anyhow::Result<()> {
    let node = Node::start(&config("")).await;
    let keeper = || Client::connect(node.address, "/keep", Value::Null);
    let mut ann = keeper().await?;
    for _ in 0..30 {
        ann.ask("say", json!({ "key": "tea" })).await?;
    }
    let mut bob = keeper().await?;
    bob.ask("enter", json!({ "key": "tea" })).await?;
    let mut heard = 0;
    // three times in the middle of it, and each time somebody says something more
    for stop in [7, 8, 20] {
        let mut offset = String::new();
        while heard < stop {
            let (said, at) = marked(&mut bob, "said").await?;
            heard += 1;
            assert_eq!(said["number"], heard);
            offset = at;
        }
        let lost = lose("/keep", bob, Some(&offset));
        ann.ask("say", json!({ "key": "tea" })).await?;
        let recovered;
        (bob, recovered) = lost.back(&node).await?;
        assert!(recovered);
    }
    while heard < 33 {
        heard += 1;
        assert_eq!(marked(&mut bob, "said").await?.0["number"], heard);
    }
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_missed_more_than_is_kept_is_told_and_has_left() -> anyhow::Result<()> {
    let node = Node::start(&config("log_max_bytes = 65_536")).await;
    let (mut ann, bob, quiet) =
        (member(&node, "busy").await?, member(&node, "busy").await?, member(&node, "quiet").await?);
    let (bob_id, bob, quiet) = (bob.id.clone(), lose("/", bob, None), lose("/", quiet, None));
    for n in 0..100 {
        ann.ask("message", json!({ "room": "busy", "text": "x".repeat(1000), "n": n })).await?;
    }
    let (mut back, recovered) = bob.back(&node).await?;
    assert!(!recovered, "the first messages are gone");
    assert_eq!(ann.event_named("left").await?["socket"], json!(bob_id));
    let refused = back.ask("message", json!({ "room": "busy", "text": "?" })).await?;
    assert_eq!(refused["error"]["reason"]["code"], "not_a_member", "it begins anew");
    // its own `joined` was driven out as well: nobody knows that it got that
    assert!(!quiet.back(&node).await?.1);
    let mut quiet = member(&node, "quiet").await?;
    let offset = marked(&mut quiet, "joined").await?.1;
    let quiet = lose("/", quiet, Some(&offset));
    for n in 0..100 {
        ann.ask("message", json!({ "room": "busy", "text": "x".repeat(1000), "n": n })).await?;
    }
    assert!(quiet.back(&node).await?.1, "it missed nothing of what went to others");
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_too_many_suspended_sockets_the_first_leaves_early() -> anyhow::Result<()> {
    let node = Node::start(&config("suspended_max = 2")).await;
    let mut ann = member(&node, "tea").await?;
    let mut lost = Vec::new();
    for _ in 0..3 {
        lost.push(lose("/", member(&node, "tea").await?, None));
        // one after the other
        assert!(ann.event_named("joined").await.is_ok());
    }
    let left = ann.event_named("left").await?["socket"].clone();
    let first = lost.iter().position(|lost| left == json!(lost.id));
    let mut back = Vec::new();
    for (n, lost) in lost.iter().enumerate() {
        let (client, recovered) = lost.back(&node).await?;
        assert_eq!(recovered, Some(n) != first, "{n}");
        back.push(client);
    }
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_sent_away_meanwhile_does_not_come_back() -> anyhow::Result<()> {
    let node = Node::start(&config("")).await;
    let (mut ann, bob) = (member(&node, "tea").await?, member(&node, "tea").await?);
    let (id, bob) = (bob.id.clone(), lose("/", bob, None));
    let order = json!({ "of": { "socket": id }, "act": "disconnect", "reason": "kicked" });
    assert_eq!(ann.ask("probe:order", order).await?, "done");
    assert_eq!(ann.event_named("left").await?["socket"], json!(id));
    assert!(!bob.back(&node).await?.1);
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_connection_takes_the_socket_from_the_first() -> anyhow::Result<()> {
    let node = Node::start(&config("")).await;
    let (mut ann, mut bob) = (member(&node, "tea").await?, member(&node, "tea").await?);
    let offset = marked(&mut bob, "joined").await?.1;
    let pid = bob.private_id.clone().unwrap_or_default();
    let claim = Lost { namespace: "/", id: bob.id.clone(), auth: json!({ "pid": pid, "offset": offset }) };
    let (mut new, recovered) = claim.back(&node).await?;
    assert!(recovered);
    bob.end().await?;
    ann.ask("message", json!({ "room": "tea", "text": "to the new one" })).await?;
    assert_eq!(marked(&mut new, "message").await?.0["text"], "to the new one");
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_window_nobody_is_waited_for() -> anyhow::Result<()> {
    let node = Node::start(&config("window_ms = 0")).await;
    let (mut ann, bob) = (member(&node, "tea").await?, member(&node, "tea").await?);
    assert_eq!(bob.private_id, None);
    let id = bob.id.clone();
    drop(bob);
    assert_eq!(ann.event_named("left").await?["socket"], json!(id));
    node.stop().await;
    Ok(())
}
