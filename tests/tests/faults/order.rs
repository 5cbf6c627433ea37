//! One after the other, and the same for all.

use futures_util::future::join_all;
use scenarios::{Client, raw::Polling};
use serde_json::{Value, json};

use crate::{ROOMS, start};

/// `sleep` takes as many milliseconds as it says.
const SLEEPER: &str = r#"
[[plugin]]
name = "sleeper"
file = "{wasm:hostile}"
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_senders_events_are_handled_in_their_order() -> anyhow::Result<()> {
    let node = start(SLEEPER).await;
    let mut client = Client::connect(node.address, "/", Value::Null).await?;
    // each takes less than the one before
    for (id, ms) in [200, 100, 50, 0].into_iter().enumerate() {
        client.raw(&format!("42{id}[\"sleep\",{ms}]")).await?;
    }
    client.raw("424[\"fine\"]").await?;
    for id in 0..5 {
        let ack = client.text().await?;
        assert!(ack.starts_with(&format!("43{id}[")), "the ack of event {id} was due: {ack}");
    }
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_more_is_read_while_an_event_is_handled() -> anyhow::Result<()> {
    const EVENT_BYTES: usize = 900_000;
    /// More than the system keeps for a connection.
    const EVENTS: usize = 60;
    let node = start(SLEEPER).await;
    let mut client = Client::connect(node.address, "/", Value::Null).await?;
    client.raw("420[\"sleep\",1000]").await?;
    let big = format!("42[\"pass\",\"{}\"]", "x".repeat(EVENT_BYTES));
    let mut written = 0;
    let flood = async {
        for _ in 0..EVENTS {
            client.raw(&big).await?;
            written += 1;
        }
        anyhow::Ok(())
    };
    // the node holds the first event for a second, and the flood must not get through in half of it
    let through = tokio::time::timeout(std::time::Duration::from_millis(500), flood).await;
    assert!(through.is_err(), "{written} events of {EVENT_BYTES} bytes were taken while the first was handled");
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_client_does_not_time_out() -> anyhow::Result<()> {
    let server = r#"
ping_interval_ms = 200
ping_timeout_ms = 600

[limits]
chain_timeout_ms = 500
bus_append_timeout_ms = 50
"#;
    let node = start(&format!("{server}{SLEEPER}")).await;
    let mut client = Client::connect(node.address, "/", Value::Null).await?;
    // read at once, handled for twice as long as a silent client lives; its pongs are behind them
    for id in 0..4 {
        client.raw(&format!("42{id}[\"sleep\",400]")).await?;
    }
    for id in 0..4 {
        let ack = client.text().await?;
        assert!(ack.starts_with(&format!("43{id}[")), "{ack}");
    }
    assert_eq!(client.ask("fine", Value::Null).await?, "fine");
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_on_both_transports_see_one_order() -> anyhow::Result<()> {
    const EACH: usize = 60;
    const SENDERS: usize = 3;
    let node = start(ROOMS).await;
    let mut websockets = Vec::new();
    for _ in 0..SENDERS {
        let mut client = Client::connect(node.address, "/", Value::Null).await?;
        assert_eq!(client.ask("join", json!({ "room": "all" })).await?["ok"], true);
        websockets.push(client);
    }
    let mut pollers = Vec::new();
    for _ in 0..2 {
        let (session, _) = Polling::connect(node.address).await?;
        session.say(r#"42["join",{"room":"all"}]"#).await?;
        pollers.push(session);
    }
    let sent = websockets.iter_mut().enumerate().map(|(sender, client)| async move {
        for n in 0..EACH {
            client.emit("message", json!({ "room": "all", "text": format!("{sender}:{n}") })).await?;
        }
        let mut seen = Vec::new();
        while seen.len() < EACH * SENDERS {
            seen.push(client.event_named("message").await?["text"].as_str().unwrap_or_default().to_owned());
        }
        anyhow::Ok(seen)
    });
    let polled = pollers.iter_mut().map(|session| async move {
        let mut seen = Vec::new();
        while seen.len() < EACH * SENDERS {
            let packet = session.packet().await?;
            let Some(args) = packet.strip_prefix("42[\"message\",").and_then(|p| p.strip_suffix(']')) else { continue };
            let message: Value = serde_json::from_str(args)?;
            seen.push(message["text"].as_str().unwrap_or_default().to_owned());
        }
        Ok(seen)
    });
    let (over_websocket, over_polling) = tokio::join!(join_all(sent), join_all(polled));
    let orders = over_websocket.into_iter().chain(over_polling).collect::<anyhow::Result<Vec<_>>>()?;
    for order in &orders {
        assert_eq!(order, &orders[0]);
    }
    for sender in 0..SENDERS {
        let own: Vec<&String> = orders[0].iter().filter(|text| text.starts_with(&format!("{sender}:"))).collect();
        let expected: Vec<String> = (0..EACH).map(|n| format!("{sender}:{n}")).collect();
        assert_eq!(own, expected.iter().collect::<Vec<_>>());
    }
    node.stop().await;
    Ok(())
}
