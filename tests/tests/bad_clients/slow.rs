//! Clients that stop reading: they are cut with a reason, and nobody else waits for them.

use std::time::Instant;

use scenarios::{
    Client, memory,
    raw::{Polling, SEPARATOR},
};
use serde_json::{Value, json};
use tokio::net::TcpSocket;

use crate::Watched;

const ROOMY: &str = r#"
[server]
close_timeout_ms = 300

[limits]
send_queue_max_bytes = 300_000

[[plugin]]
name = "probe"
file = "{wasm:probe}"
capabilities = ["identity", "credentials", "orders"]
config = { watch = true }

[[plugin]]
name = "echo"
file = "{wasm:echo}"
capabilities = ["credentials"]
"#;

/// One event of a flood.
const EVENT_BYTES: usize = 50_000;
/// Far more than any system keeps for a connection.
const EVENTS_MAX: usize = 2_000;

/// So many events may pass before the others have heard of a cut on a busy machine.
const SOON: usize = 100;

/// Sends to everybody until the watched client sees this socket's end; gives its reason and how many were sent. Every
/// event of the flood must have reached the watched client, in order.
async fn flood_until_gone(watched: &mut Watched, id: &str) -> anyhow::Result<(String, usize)> {
    let mut sender = Client::connect(watched.node.address, "/", Value::Null).await?;
    let text = "x".repeat(EVENT_BYTES);
    let mut seen = 0;
    for n in 0..EVENTS_MAX {
        let emit = json!({ "to": ["everyone"], "name": "flood", "args": [n, text] });
        assert_eq!(sender.ask("probe:emit", emit).await?, "done");
        // the fence behind it: what has happened until now is in front
        while seen <= n {
            let event = watched.good.event().await?;
            match event[0].as_str() {
                Some("flood") => {
                    assert_eq!(event[1], seen, "the watched client misses nothing");
                    seen += 1;
                }
                Some("probe:saw") if event[1]["hook"] == "disconnect" && event[1]["socket"] == id => {
                    return Ok((event[1]["reason"].as_str().unwrap_or_default().to_owned(), n + 1));
                }
                _ => {}
            }
        }
        sender.event_named("flood").await?;
    }
    anyhow::bail!("{EVENTS_MAX} events of {EVENT_BYTES} bytes were kept for a client that does not read")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_websocket_that_is_not_read_is_cut_as_a_slow_consumer() -> anyhow::Result<()> {
    let mut watched = Watched::start(ROOMY).await?;
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(8 * 1024)?;
    let narrow = socket.connect(watched.node.address).await?;
    let deaf = Client::open_on(narrow).await?.join("/", Value::Null).await?;
    let before = memory::resident_kib();
    let (reason, events) = flood_until_gone(&mut watched, &deaf.id).await?;
    println!("cut after {events} events");
    assert_eq!(reason, "slow consumer");
    let grown = memory::resident_kib().saturating_sub(before);
    assert!(grown < 60_000, "memory grew by {grown} KiB");
    watched.works_after("a deaf client").await?;
    watched.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_is_not_fetched_is_cut_as_a_slow_consumer() -> anyhow::Result<()> {
    let mut watched = Watched::start(ROOMY).await?;
    let (session, id) = Polling::connect(watched.node.address).await?;
    let (reason, events) = flood_until_gone(&mut watched, &id).await?;
    assert_eq!(reason, "slow consumer");
    // the sixth passes the limit; that the others see the end may take a busy machine some events more
    assert!(events >= 5, "cut before its limit: {events}");
    assert!(events <= SOON, "{events} events were kept where six are too many");
    assert!(!session.is_known().await?);
    watched.works_after("a session that is not fetched").await?;
    watched.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_are_not_read_cut_who_asked_for_them() -> anyhow::Result<()> {
    let mut watched = Watched::start(ROOMY).await?;
    let mut greedy = Client::connect(watched.node.address, "/", Value::Null).await?;
    let ask = format!("421[\"echo\",\"{}\"]", "x".repeat(EVENT_BYTES));
    let id = greedy.id.clone();
    let flood = async {
        for _ in 0..EVENTS_MAX {
            if greedy.raw(&ask).await.is_err() {
                return true;
            }
        }
        false
    };
    let seen = async {
        loop {
            let seen = watched.good.event_named("probe:saw").await?;
            if seen["hook"] == "disconnect" && seen["socket"] == *id {
                return anyhow::Ok(seen["reason"].clone());
            }
        }
    };
    let (is_cut, reason) = tokio::join!(flood, seen);
    assert!(is_cut, "{EVENTS_MAX} answers were kept for who reads none");
    assert_eq!(reason?, "slow consumer");
    watched.works_after("who asked too much").await?;
    watched.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payload_of_many_small_packets_keeps_nobody_waiting() -> anyhow::Result<()> {
    let mut watched = Watched::start(ROOMY).await?;
    let (mut session, _) = Polling::connect(watched.node.address).await?;
    let flood = ["42[\"echo\"]"; 5_000].join(&SEPARATOR.to_string());
    let flood = format!("{flood}{SEPARATOR}421[\"echo\",\"last\"]");
    let others = async {
        for _ in 0..20 {
            watched.works_after("the beginning of a long payload").await?;
        }
        anyhow::Ok(Instant::now())
    };
    let said = async {
        session.say(&flood).await?;
        anyhow::Ok(Instant::now())
    };
    let (said, others) = tokio::join!(said, others);
    assert!(others? < said?, "others were answered before the last packet was handled");
    while session.packet().await? != "431[\"last\"]" {}
    watched.stop().await;
    Ok(())
}
