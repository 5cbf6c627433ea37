//! Engine.IO as a node speaks it.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use scenarios::{
    Client, memory,
    raw::{PATH, Polling, UPGRADE, request},
};
use serde_json::{Value, json};

use crate::{ECHO, PROBE, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_ping_comes_after_the_interval() -> anyhow::Result<()> {
    let node = start(&format!("ping_interval_ms = 400\n{ECHO}")).await;
    let begin = Instant::now();
    let session = Polling::open(node.address).await?;
    assert_eq!(session.get().await?.body, "2");
    let elapsed = begin.elapsed();
    assert!(elapsed >= Duration::from_millis(390), "after {elapsed:?}");
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_offered_that_is_not_kept() -> anyhow::Result<()> {
    let node = start(ECHO).await;
    let target = format!("{PATH}?EIO=4&transport=websocket");
    let offer = ("sec-websocket-extensions", "permessage-deflate; client_max_window_bits");
    let answer = request(node.address, "GET", &target, &[&UPGRADE[..], &[offer]].concat(), b"").await?;
    assert_eq!((answer.status, answer.header("sec-websocket-extensions")), (101, None));
    for transport in ["webtransport", "flashsocket", "", "polling%00"] {
        let target = format!("{PATH}?EIO=4&transport={transport}");
        let answer = request(node.address, "GET", &target, &[], b"").await?;
        assert_eq!((answer.status, &*answer.body), (400, r#"{"code":0,"message":"Transport unknown"}"#), "{transport}");
    }
    let open = request(node.address, "GET", &format!("{PATH}?EIO=4&transport=polling"), &[], b"").await?;
    let open: Value = serde_json::from_str(&open.body[1..])?;
    assert_eq!(open["upgrades"], json!(["websocket"]));
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broadcast_is_shared_by_all_who_wait_for_it() -> anyhow::Result<()> {
    const WAITING: usize = 150;
    const BYTES: usize = 500_000;
    let node = start(PROBE).await;
    let sessions = join_all((0..WAITING).map(|_| Polling::connect(node.address))).await;
    let sessions = sessions.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    let mut sender = Client::connect(node.address, "/", Value::Null).await?;
    let before = memory::resident_kib();
    let emit = json!({ "to": ["everyone"], "name": "big", "args": ["x".repeat(BYTES)] });
    assert_eq!(sender.ask("probe:emit", emit).await?, "done");
    assert_eq!(sender.event_named("big").await?.as_str().map(str::len), Some(BYTES));
    let grown = memory::resident_kib().saturating_sub(before);
    println!("{WAITING} clients wait for {BYTES} bytes: {grown} KiB more");
    let copies = (WAITING * BYTES / 1024) as u64;
    assert!(grown < copies / 2, "{grown} KiB more: every one of them has a copy ({copies} KiB)");
    let mut last = sessions.into_iter().next_back().expect("one of many").0;
    while !last.packet().await?.starts_with("42[\"big\"") {}
    node.stop().await;
    Ok(())
}
