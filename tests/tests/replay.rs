//! Who joins with a replay has the room's whole sequence: history and live together, without a gap and nothing twice.

use std::{sync::Arc, time::Duration};

use scenarios::{Client, Node};
use serde_json::{Value, json};
use tokio::{sync::Semaphore, task::JoinSet, time::sleep};

const KEEPER: &str = r#"
[limits]
retained_per_room_max = 1000

[[plugin]]
name = "keeper"
file = "{wasm:keeper}"
capabilities = ["store"]
"#;

const SENDERS: usize = 50;
const JOINS: usize = 500;
const MESSAGES: u64 = 900;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_and_live_are_exactly_the_rooms_sequence() -> anyhow::Result<()> {
    let node = Node::start(KEEPER).await;
    let address = node.address;
    // senders of one room that stop when all is said
    let left = Arc::new(Semaphore::new(MESSAGES as usize));
    let mut senders = JoinSet::new();
    for _ in 0..SENDERS {
        let (mut sender, left) = (Client::connect(address, "/", Value::Null).await?, left.clone());
        senders.spawn(async move {
            while let Ok(turn) = left.try_acquire() {
                turn.forget();
                loop {
                    let ack = sender.ask("say", json!({ "key": "tea" })).await?;
                    if !ack["number"].is_null() {
                        break;
                    }
                    anyhow::ensure!(ack["error"]["code"] == "conflict", "{ack}");
                }
                sleep(Duration::from_millis(20)).await;
            }
            anyhow::Ok(())
        });
    }
    let mut joins = JoinSet::new();
    let at_once = Arc::new(Semaphore::new(40));
    for _ in 0..JOINS {
        let turn = at_once.clone().acquire_owned().await?;
        joins.spawn(async move {
            let mut client = Client::connect(address, "/", Value::Null).await?;
            // the ack comes before all that is replayed
            client.raw("420[\"enter\",{\"key\":\"tea\"}]").await?;
            assert_eq!(client.text().await?, "430[{\"ok\":true}]");
            drop(turn);
            for expected in 1..=MESSAGES {
                let said = client.event_named("said").await?;
                assert_eq!(said["number"], expected);
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = senders.join_next().await {
        done??;
    }
    while let Some(done) = joins.join_next().await {
        done??;
    }
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_keeps_no_more_than_its_limit() -> anyhow::Result<()> {
    let node = Node::start(&KEEPER.replace("1000", "3")).await;
    let mut ann = Client::connect(node.address, "/", Value::Null).await?;
    for _ in 0..5 {
        ann.ask("say", json!({ "key": "tea" })).await?;
    }
    let mut bob = Client::connect(node.address, "/", Value::Null).await?;
    bob.ask("enter", json!({ "key": "tea" })).await?;
    for number in 3..=5 {
        assert_eq!(bob.event_named("said").await?["number"], number);
    }
    // a second join of a member is none: nothing is sent again
    bob.ask("enter", json!({ "key": "tea" })).await?;
    ann.ask("say", json!({ "key": "tea" })).await?;
    assert_eq!(bob.event_named("said").await?["number"], 6);
    node.stop().await;
    Ok(())
}
