//! Names are one member's, and never taken for ever.

use scenarios::Node;
use serde_json::json;

use super::{code, good, member, plain, user};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_given_back_when_a_connection_is_lost() -> anyhow::Result<()> {
    let node = Node::start(&plain()).await;
    let mut ann = member(&node, "ann", json!({ "room": "tea" })).await?;
    for n in 0..3 {
        let eve = member(&node, "eve", json!({ "room": "tea", "name": "Fox" })).await?;
        let mut mia = user(&node, "mia").await?;
        let taken = mia.ask("join", json!({ "room": "tea", "name": "FOX" })).await?;
        assert_eq!(code(&taken), "name_taken", "{n}: {taken}");
        drop(eve);
        assert_eq!(ann.event_named("left").await?["name"], "Fox");
    }
    node.stop().await;
    Ok(())
}

/// A claim is in the store before its socket is in the room: who comes in between must not have the name, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_who_come_at_once_one_has_the_name() -> anyhow::Result<()> {
    const ROOMS: usize = 50;
    let node = Node::start(&plain()).await;
    let mut tasks = Vec::new();
    for n in 0..4 {
        let mut client = user(&node, &format!("user{n}")).await?;
        tasks.push(tokio::spawn(async move {
            let mut got = Vec::new();
            for room in 0..ROOMS {
                let ack = client.ask("join", json!({ "room": format!("r{room}"), "name": "Fox" })).await?;
                // several at once: one of them may be asked to try again, which nobody does here
                got.push(ack["ok"] == true);
                anyhow::ensure!(got[room] || code(&ack) == "name_taken" || ack["error"]["code"] == "conflict", "{ack}");
            }
            anyhow::Ok((client, got))
        }));
    }
    let mut holders = vec![0; ROOMS];
    let mut clients = Vec::new();
    for task in tasks {
        let (client, got) = task.await??;
        got.iter().enumerate().for_each(|(room, has)| holders[room] += usize::from(*has));
        clients.push(client);
    }
    assert_eq!(holders, vec![1; ROOMS]);
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_see_new_names_and_who_is_away() -> anyhow::Result<()> {
    let node = Node::start(&plain()).await;
    let mut ann = member(&node, "ann", json!({ "room": "tea" })).await?;
    let mut bob = member(&node, "bob", json!({ "room": "tea" })).await?;
    assert_eq!(code(&bob.ask("rename", json!({ "room": "tea", "name": "Ann" })).await?), "name_taken");
    good(bob.ask("rename", json!({ "room": "tea", "name": "Rob" })).await?)?;
    good(bob.ask("presence", json!({ "room": "tea", "status": "away" })).await?)?;
    let renamed = ann.event_named("renamed").await?;
    assert_eq!((&renamed["was"], &renamed["name"]), (&json!("bob"), &json!("Rob")));
    assert_eq!(ann.event_named("presence").await?["status"], "away");
    let eve = good(user(&node, "eve").await?.ask("join", json!({ "room": "tea" })).await?)?;
    let members: Vec<(&str, &str)> = eve["members"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|m| (m["name"].as_str().unwrap_or_default(), m["status"].as_str().unwrap_or_default()))
        .collect();
    assert_eq!(members, [("ann", "here"), ("Rob", "away"), ("eve", "here")]);
    node.stop().await;
    Ok(())
}
