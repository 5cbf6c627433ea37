//! How a client ends, and what others are told.

use scenarios::{Client, raw::Polling};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{
    Message,
    protocol::frame::{
        Frame,
        coding::{Data, OpCode},
    },
};

use crate::{PROBE, saw, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_end_is_told_with_its_reason() -> anyhow::Result<()> {
    let node = start(PROBE).await;
    let mut watcher = Client::connect(node.address, "/", Value::Null).await?;
    let no_text = Frame::message(vec![b'4', 0xff], OpCode::Data(Data::Text), true);
    let over_websocket = [
        (Message::text("41"), "client namespace disconnect"),
        (Message::text("1"), "transport close"),
        (Message::Close(None), "transport close"),
        (Message::text("4no packet"), "parse error"),
        (Message::text("no packet"), "parse error"),
        (Message::Frame(no_text), "transport error"),
    ];
    for (last, reason) in over_websocket {
        let mut client = Client::connect(node.address, "/", Value::Null).await?;
        client.frame(last.clone()).await?;
        let seen = saw(&mut watcher, "disconnect").await?;
        assert_eq!((&seen["reason"], &seen["socket"]), (&json!(reason), &json!(client.id)), "{last:?}");
    }
    let client = Client::connect(node.address, "/", Value::Null).await?;
    drop(client);
    assert_eq!(saw(&mut watcher, "disconnect").await?["reason"], "transport close", "a stream that just ends");
    for (last, reason) in [("1", "transport close"), ("4no packet", "parse error"), ("no packet", "parse error")] {
        let (session, id) = Polling::connect(node.address).await?;
        session.post(last).await?;
        // only the application's own refusals wait to be fetched
        let waiting = session.begin("GET", b"").await?;
        let seen = saw(&mut watcher, "disconnect").await?;
        assert_eq!((&seen["reason"], &seen["socket"]), (&json!(reason), &json!(id)), "polling {last}");
        drop(waiting);
    }
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_is_a_ping_timeout() -> anyhow::Result<()> {
    let server = r#"
ping_interval_ms = 300
ping_timeout_ms = 300

[limits]
chain_timeout_ms = 200
bus_append_timeout_ms = 50
"#;
    let node = start(&format!("{server}{PROBE}")).await;
    let mut watcher = Client::connect(node.address, "/", Value::Null).await?;
    let silent = Client::connect(node.address, "/", Value::Null).await?;
    let (_session, id) = Polling::connect(node.address).await?;
    let mut ids = vec![silent.id.clone(), id];
    for _ in 0..2 {
        let seen = saw(&mut watcher, "disconnect").await?;
        assert_eq!(seen["reason"], "ping timeout");
        ids.retain(|id| seen["socket"] != **id);
    }
    assert!(ids.is_empty(), "both, and not the watcher");
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_aborted_poll_is_an_end() -> anyhow::Result<()> {
    let node = start(PROBE).await;
    let mut watcher = Client::connect(node.address, "/", Value::Null).await?;
    let (mut session, id) = Polling::connect(node.address).await?;
    session.packet().await?; // what the probe said to it: from here on a GET waits
    let get = session.begin("GET", b"").await?;
    // a POST on another connection is answered behind the GET's begin
    session.say("3").await?;
    drop(get);
    let seen = saw(&mut watcher, "disconnect").await?;
    assert_eq!((&seen["reason"], &seen["socket"]), (&json!("transport error"), &json!(id)));
    assert!(!session.is_known().await?);
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_comes_once_and_behind_the_last_event() -> anyhow::Result<()> {
    let node = start(PROBE).await;
    let mut watcher = Client::connect(node.address, "/", Value::Null).await?;
    watcher.event_named("probe:connected").await?;
    for round in 0..30 {
        let mut client = Client::connect(node.address, "/", Value::Null).await?;
        client.emit("probe:join", json!({ "room": "hall" })).await?;
        client.emit("probe:emit", json!({ "to": ["everyone"], "name": "last" })).await?;
        match round % 3 {
            // a stream that just ends with something unread in it is reset, and takes unread events along
            0 => client.frame(Message::Close(None)).await?,
            1 => client.raw("1").await?,
            _ => client.raw("41").await?,
        }
        for expected in [json!("join"), Value::Null, json!("leave"), json!("disconnect")] {
            let event = watcher.event().await?;
            let hook = event.get(1).map_or(Value::Null, |seen| seen["hook"].clone());
            assert_eq!(hook, expected, "round {round}: {event:?}");
        }
    }
    node.stop().await;
    Ok(())
}
