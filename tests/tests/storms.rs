//! Many clients at once, clients that take too much, and the node's end: bounded, answered, and nobody lost.

use std::time::Duration;

use futures_util::future::join_all;
use scenarios::{Client, Node, client::End};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const ROOMS: &str = r#"
[server]
static_dir = "."

[namespaces]
allow = ["/", "/new-*"]

[limits]
namespaces_per_connection_max = 4
rooms_per_socket_max = 3
connections_max = 600

[[plugin]]
name = "rooms"
file = "{wasm:rooms}"
"#;

fn resident_kib() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("the system tells");
    statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()).expect("a number") * 4
}

async fn get(node: &Node, path: &str) -> anyhow::Result<String> {
    let mut stream = tokio::net::TcpStream::connect(node.address).await?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_first_clients_of_a_namespace_all_hear_a_broadcast() -> anyhow::Result<()> {
    let node = Node::start(ROOMS).await;
    for round in 0..10 {
        let namespace = format!("/new-{round}");
        let connects = (0..20).map(|_| Client::connect(node.address, &namespace, Value::Null));
        let mut clients = join_all(connects).await.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
        for client in &mut clients {
            assert_eq!(client.ask("join", json!({"room": "all"})).await?["ok"], true);
        }
        clients[0].ask("message", json!({"room": "all", "text": "hear me"})).await?;
        for client in &mut clients {
            assert_eq!(client.event_named("message").await?["text"], "hear me");
        }
    }
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reconnect_storm_leaves_nothing_behind() -> anyhow::Result<()> {
    let node = Node::start(ROOMS).await;
    let mut watcher = Client::connect(node.address, "/", Value::Null).await?;
    watcher.ask("join", json!({"room": "storm"})).await?;
    let mut after_first = 0;
    for round in 0..6 {
        let storm = (0..100).map(|_| async {
            let mut client = Client::connect(node.address, "/", Value::Null).await?;
            client.ask("join", json!({"room": "storm"})).await?;
            anyhow::Ok(())
        });
        join_all(storm).await.into_iter().collect::<anyhow::Result<Vec<()>>>()?;
        for _ in 0..100 {
            watcher.event_named("left").await?;
        }
        if round == 0 {
            after_first = resident_kib();
        }
    }
    let grown = resident_kib().saturating_sub(after_first);
    println!("500 reconnects: {grown} KiB more than after the first 100");
    assert!(grown < 20_000, "memory grew by {grown} KiB");
    assert_eq!(watcher.ask("leave", json!({"room": "storm"})).await?["ok"], true);
    let again = watcher.ask("join", json!({"room": "storm"})).await?;
    assert_eq!(again["members"], 1, "everybody who came was seen to leave");
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_of_namespaces_and_rooms_are_refused_at_their_limits() -> anyhow::Result<()> {
    let node = Node::start(ROOMS).await;
    let mut client = Client::connect(node.address, "/", Value::Null).await?;
    for n in 0..50 {
        client.raw(&format!("40/new-{n},")).await?;
    }
    let (mut connected, mut refused) = (0, 0);
    while connected + refused < 50 {
        let packet = client.text().await?;
        match packet.as_bytes().get(..2) {
            Some(b"40") => connected += 1,
            Some(b"44") => {
                assert!(packet.contains("Too many namespaces") && packet.contains("limit_exceeded"), "{packet}");
                refused += 1;
            }
            _ => {}
        }
    }
    assert_eq!((connected, refused), (3, 47), "four namespaces with the first one");
    for n in 0..3 {
        assert_eq!(client.ask("join", json!({"room": format!("r{n}")})).await?["ok"], true);
    }
    let answer = client.ask("join", json!({"room": "one more"})).await?;
    assert_eq!(answer["error"]["code"], "limit_exceeded", "{answer}");
    assert_eq!(answer["error"]["message"], "a socket may be in 3 rooms");
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_public_id_gives_nobody_anything() -> anyhow::Result<()> {
    let node = Node::start(ROOMS).await;
    let mut ann = Client::connect(node.address, "/", Value::Null).await?;
    let path = format!("/socket.io/?EIO=4&transport=polling&sid={}", ann.id);
    let answer = get(&node, &path).await?;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("Session ID unknown"), "{answer}");
    // a room called like her id is hers alone: who joins it hears nothing that is for her
    let mut eve = Client::connect(node.address, "/", Value::Null).await?;
    let id = ann.id.clone();
    eve.ask("join", json!({"room": id})).await?;
    ann.ask("join", json!({"room": "tea"})).await?;
    assert_eq!(ann.ask("message", json!({"room": "tea", "text": "still me"})).await?["ok"], true);
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_nodes_end_is_told_and_every_leave_is_handled() -> anyhow::Result<()> {
    let mut node = Node::start(ROOMS).await;
    let mut ann = Client::connect(node.address, "/", Value::Null).await?;
    ann.ask("join", json!({"room": "end"})).await?;
    node.begin_stop();
    assert_eq!(ann.end().await?, End::Code(1001), "going away");
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_and_files_are_served_beside_the_sockets() -> anyhow::Result<()> {
    let node = Node::start(ROOMS).await;
    assert!(get(&node, "/healthz").await?.starts_with("HTTP/1.1 200"));
    assert!(get(&node, "/readyz").await?.starts_with("HTTP/1.1 200"));
    assert!(get(&node, "/hub.toml").await?.contains("static_dir"), "a file of the static folder");
    for path in ["/nothing", "/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd"] {
        assert!(get(&node, path).await?.starts_with("HTTP/1.1 404"), "{path}");
    }
    assert!(get(&node, "/socket.io/?EIO=3&transport=polling").await?.contains("Unsupported protocol version"));
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_sent_at_once_behind_a_connect_are_not_lost() -> anyhow::Result<()> {
    let node = Node::start(ROOMS).await;
    let rounds = (0..200).map(|_| async {
        let mut client = Client::connect(node.address, "/", Value::Null).await?;
        client.raw("40/new-early,").await?;
        client.raw(r#"42/new-early,7["join",{"room":"early"}]"#).await?;
        loop {
            let packet = client.text().await?;
            if packet.starts_with("43/new-early,7[") {
                anyhow::ensure!(packet.contains("\"ok\":true"), "{packet}");
                return Ok(());
            }
        }
    });
    let all = tokio::time::timeout(Duration::from_secs(60), join_all(rounds)).await?;
    all.into_iter().collect::<anyhow::Result<Vec<()>>>()?;
    node.stop().await;
    Ok(())
}
