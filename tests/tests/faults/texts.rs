//! Payloads as strange as JSON allows, and stranger.

use scenarios::{
    Client,
    client::End,
    raw::{Polling, SEPARATOR},
};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::{ECHO, ROOMS, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_may_hold_json_escapes() -> anyhow::Result<()> {
    let node = start(ECHO).await;
    let mut client = Client::connect(node.address, "/", Value::Null).await?;
    client.event_named("auth").await?;
    client.raw(r#"421["\u0065c\u0068o","x"]"#).await?;
    assert_eq!(client.text().await?, r#"431["x"]"#, "an escaped name is the same name");
    for (id, name) in [r#"say \"hi\""#, r"caf\u00e9", r"tab\tand\\", r"\ud83d\ude00"].into_iter().enumerate() {
        client.raw(&format!("42{id}[\"{name}\",1]")).await?;
        let ack = client.text().await?;
        assert!(ack.starts_with(&format!("43{id}[")) && ack.contains("unhandled"), "{name}: {ack}");
    }
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stands_behind_an_event_reaches_nobody() -> anyhow::Result<()> {
    let node = start(ROOMS).await;
    let (mut watcher, id) = Polling::connect(node.address).await?;
    watcher.say(r#"42["join",{"room":"tea"}]"#).await?;
    assert!(watcher.packet().await?.contains(&id), "its own joined");
    let own = r#"{"room":"tea","text":"hello"}"#;
    for behind in ["garbage", ",1", "]", "\u{1e}42[\"message\",{\"from\":\"bank\",\"text\":\"forged\"}]"] {
        let mut client = Client::connect(node.address, "/", Value::Null).await?;
        client.ask("join", json!({ "room": "tea" })).await?;
        client.raw(&format!("42[\"message\",{own}]{behind}")).await?;
        let farewell = client.farewell().await?;
        assert_eq!((farewell.end, &*farewell.reason), (End::Code(1002), "parse error"), "{behind:?}");
        for notice in ["joined", "left"] {
            let packet = watcher.packet().await?;
            assert!(packet.starts_with(&format!("42[\"{notice}\"")), "{behind:?}: {packet}");
        }
    }
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_separator_within_a_text_stays_within_it() -> anyhow::Result<()> {
    let node = start(ROOMS).await;
    let (mut watcher, _) = Polling::connect(node.address).await?;
    watcher.say(r#"42["join",{"room":"tea"}]"#).await?;
    watcher.packet().await?;
    let mut client = Client::connect(node.address, "/", Value::Null).await?;
    client.ask("join", json!({ "room": "tea" })).await?;
    watcher.packet().await?;
    client.ask("message", json!({ "room": "tea", "text": format!("one{SEPARATOR}42[\"two\"]") })).await?;
    let packet = watcher.packet().await?;
    let message: Vec<Value> = serde_json::from_str(packet.strip_prefix("42").expect("an event"))?;
    assert_eq!(message[1]["text"], format!("one{SEPARATOR}42[\"two\"]"), "the escape is kept");
    // unescaped it is no JSON
    client.raw(&format!("42[\"message\",{{\"room\":\"tea\",\"text\":\"one{SEPARATOR}two\"}}]")).await?;
    assert_eq!(client.end().await?, End::Code(1002));
    assert!(watcher.packet().await?.starts_with("42[\"left\""));
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_brackets_are_an_event() -> anyhow::Result<()> {
    let node = start(ECHO).await;
    let mut client = Client::connect(node.address, "/", Value::Null).await?;
    client.event_named("auth").await?;
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    client.raw(&format!("425[\"echo\",{deep}]")).await?;
    assert!(client.text().await? == format!("435[{deep}]"), "the same brackets come back");
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ack_id_beyond_all_integers_is_refused() -> anyhow::Result<()> {
    let node = start(ECHO).await;
    let mut client = Client::connect(node.address, "/", Value::Null).await?;
    client.event_named("auth").await?;
    client.raw(r#"429007199254740991["echo",1]"#).await?;
    assert_eq!(client.text().await?, "439007199254740991[1]", "as great as JavaScript counts");
    for id in ["9223372036854775808", "99999999999999999999999", "1 ", "1x"] {
        let mut client = Client::connect(node.address, "/", Value::Null).await?;
        client.event_named("auth").await?;
        client.raw(&format!("42{id}[\"echo\",1]")).await?;
        let farewell = client.farewell().await?;
        assert_eq!((farewell.end, &*farewell.reason), (End::Code(1002), "parse error"), "{id}");
        assert!(farewell.packets.is_empty(), "{farewell:?}");
    }
    node.stop().await;
    Ok(())
}

/// `{type, nsp: "/", data: [NAME, ARG]}`.
fn packed(packet_type: u8, name: &str, arg: &[u8]) -> Message {
    let mut bytes = vec![0x83, 0xa4];
    bytes.extend_from_slice(b"type");
    bytes.push(packet_type);
    bytes.extend_from_slice(b"\xa3nsp\xa1/\xa4data\x92");
    bytes.push(0xa0 | name.len() as u8);
    bytes.extend_from_slice(name.as_bytes());
    bytes.extend_from_slice(arg);
    Message::binary(bytes)
}

/// `[[[...]]]`, this many arrays.
fn nested(depth: usize) -> Vec<u8> {
    let mut bytes = vec![0x91; depth - 1];
    bytes.push(0x90);
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deep_messagepack_ends_its_sender_and_nobody_else() -> anyhow::Result<()> {
    let node = start(&format!("parser = \"msgpack\"\n{ECHO}")).await;
    let mut cut = 0;
    for depth in [50, 90, 110, 124, 125, 126, 127, 128, 200, 2000] {
        let mut client = Client::open(node.address).await?;
        client.frame(Message::binary(b"\x82\xa4type\x00\xa3nsp\xa1/".to_vec())).await?;
        assert!(contains(&client.binary().await?, b"sid"));
        assert!(contains(&client.binary().await?, b"auth"));
        client.frame(packed(2, "message", &nested(depth))).await?;
        // either it comes back as it was, or its sender is cut: nobody is sent a packet without its data
        match client.binary().await {
            Ok(back) => assert!(contains(&back, &nested(depth)), "{depth}: {back:x?}"),
            Err(_) => cut += 1,
        }
        assert!(depth > 90 || cut == 0, "{depth} arrays are no attack");
    }
    assert!(cut >= 2, "2000 arrays are one: {cut}");
    node.stop().await;
    Ok(())
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
