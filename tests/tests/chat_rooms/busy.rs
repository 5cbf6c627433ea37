//! Many at once.

use std::time::Duration;

use scenarios::Node;
use serde_json::json;

use super::{member, moderated, texts};

/// Six clients talk at once: ids are never given twice, all see one order, and who is told `conflict` says it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_busy_room_has_one_order_and_no_id_twice() -> anyhow::Result<()> {
    const CLIENTS: usize = 6;
    const MESSAGES: usize = 50;
    let node = Node::start(&moderated()).await;
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
