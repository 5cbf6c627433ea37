//! Coming and going at once.

use std::{collections::HashSet, time::Duration};

use anyhow::Context;
use futures_util::future::join_all;
use scenarios::{
    Client,
    client::DEADLINE,
    raw::{Polling, SEPARATOR},
};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::{PROBE, ROOMS, saw, slow, start};

const FRESH: &str = "[namespaces]\nallow = [\"/\", \"/fresh-*\"]\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_first_clients_are_all_seen_to_leave() -> anyhow::Result<()> {
    let node = start(&format!("{FRESH}{PROBE}")).await;
    for round in 0..5 {
        let namespace = format!("/fresh-{round}");
        let opened = join_all((0..20).map(|_| Client::open(node.address))).await;
        let opened = opened.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
        // nothing but the CONNECTs is left to do: they come together
        let joined = join_all(opened.into_iter().map(|client| client.join(&namespace, Value::Null))).await;
        let mut clients = joined.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
        let mut watcher = clients.pop().expect("one of twenty");
        let ids: HashSet<String> = clients.iter().map(|client| client.id.clone()).collect();
        assert_eq!(ids.len(), 19, "every socket has an id of its own");
        drop(clients);
        let mut seen = HashSet::new();
        for _ in 0..19 {
            let left = saw(&mut watcher, "disconnect").await?;
            seen.insert(left["socket"].as_str().unwrap_or_default().to_owned());
        }
        assert_eq!(seen, ids);
    }
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_right_behind_a_connect_wait_for_it() -> anyhow::Result<()> {
    let node = start(&format!("{}{ROOMS}", slow("on_connect"))).await;
    let (address, join) = (node.address, r#"427["join",{"room":"early"}]"#);
    let is_ack = |packet: &str| packet.starts_with("437[") && packet.contains("\"ok\":true");
    let over_websocket = (0..10).map(|_| async move {
        let mut client = Client::open(address).await?;
        client.raw("40").await?;
        client.raw(join).await?;
        let first = client.text().await?;
        while !is_ack(&client.text().await?) {}
        anyhow::Ok(first)
    });
    let over_polling = (0..10).map(|_| async move {
        let mut client = Polling::open(address).await?;
        client.say(&format!("40{SEPARATOR}{join}")).await?;
        let first = client.packet().await?;
        while !is_ack(&client.packet().await?) {}
        Ok(first)
    });
    let (websocket, polling) = tokio::join!(join_all(over_websocket), join_all(over_polling));
    for first in websocket.into_iter().chain(polling) {
        let first = first?;
        assert!(first.starts_with("40{\"sid\""), "{first}");
    }
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quick_reconnect_is_answered() -> anyhow::Result<()> {
    let node = start(&slow("on_disconnect")).await;
    let reconnects = (0..20).map(|_| async {
        let mut client = Client::connect(node.address, "/", Value::Null).await?;
        let mut ids = HashSet::from([client.id.clone()]);
        for _ in 0..3 {
            client.raw("41").await?;
            client = client.join("/", Value::Null).await?;
            ids.insert(client.id.clone());
        }
        anyhow::Ok(ids.len())
    });
    for ids in join_all(reconnects).await {
        assert_eq!(ids?, 4, "whoever comes again is somebody new");
    }
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_cut_while_it_connects_is_seen_to_leave() -> anyhow::Result<()> {
    let node = start(&format!("{PROBE}{}", slow("on_connect"))).await;
    let mut watcher = Client::connect(node.address, "/", Value::Null).await?;
    for _ in 0..10 {
        let mut client = Client::open(node.address).await?;
        client.raw(r#"40{"join":["hall"]}"#).await?;
        // its hooks take longer than this connection lives
    }
    let (mut joined, mut left) = (HashSet::new(), HashSet::new());
    while left.len() < 10 {
        let seen = watcher.event_named("probe:saw").await?;
        let socket = seen["socket"].as_str().unwrap_or_default().to_owned();
        match seen["hook"].as_str() {
            Some("join") => assert!(joined.insert(socket)),
            Some("leave") => assert!(joined.contains(&socket) && left.insert(socket)),
            _ => {}
        }
    }
    for _ in 0..10 {
        let session = Polling::open(node.address).await?;
        let get = session.begin("GET", b"").await?;
        // answered behind the GET's begin
        session.say("3").await?;
        let mut post = session.begin("POST", br#"40{"join":["hall"]}"#).await?;
        // time for the hook to begin, not to end; whenever the session is cut, nobody may stay
        sleep(Duration::from_millis(20)).await;
        drop(get);
        post.answer().await?;
    }
    let emptied = async {
        while watcher.ask("probe:rooms", json!({ "room": "hall" })).await?["size"] != 0 {
            sleep(Duration::from_millis(20)).await;
        }
        anyhow::Ok(())
    };
    timeout(DEADLINE, emptied).await.context("there are ghosts in the hall")??;
    node.stop().await;
    Ok(())
}
