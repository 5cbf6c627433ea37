//! Private rooms are for whom they are.

use scenarios::Node;
use serde_json::json;

use super::{code, good, member, plain, said, user};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_with_a_password_opens_to_who_knows_it() -> anyhow::Result<()> {
    let node = Node::start(&plain()).await;
    let mut ann = user(&node, "ann").await?;
    good(ann.ask("create", json!({ "room": "p", "password": "sesame" })).await?)?;
    good(ann.ask("join", json!({ "room": "p" })).await?)?;
    let mut bob = user(&node, "bob").await?;
    assert_eq!(code(&bob.ask("join", json!({ "room": "p" })).await?), "password_required");
    assert_eq!(code(&bob.ask("join", json!({ "room": "p", "password": "x" })).await?), "password_wrong");
    assert_eq!(code(&bob.ask("history", json!({ "room": "p" })).await?), "not_a_member");
    good(bob.ask("join", json!({ "room": "p", "password": "sesame" })).await?)?;
    let list = good(bob.ask("rooms", json!({ "public": true })).await?)?;
    assert_eq!((&list["rooms"][0]["room"], &list["public"]), (&json!("p"), &json!([])));
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invites_by_name_and_by_secret_open_a_room_until_they_are_taken_back() -> anyhow::Result<()> {
    let node = Node::start(&plain()).await;
    let mut ann = user(&node, "ann").await?;
    good(ann.ask("create", json!({ "room": "p", "invite_only": true })).await?)?;
    good(ann.ask("join", json!({ "room": "p" })).await?)?;
    good(ann.ask("message", said("p", "between us")).await?)?;
    let (mut bob, mut eve) = (user(&node, "bob").await?, user(&node, "eve").await?);
    let join = json!({ "room": "p" });
    assert_eq!(code(&bob.ask("join", join.clone()).await?), "invite_required");

    // by name: as often as bob likes, told to all of bob's sockets
    good(ann.ask("invite", json!({ "room": "p", "user": "bob" })).await?)?;
    let invited = bob.event_named("invited").await?;
    assert_eq!((&invited["room"], &invited["by"]["name"]), (&json!("p"), &json!("ann")));
    for _ in 0..2 {
        good(bob.ask("join", join.clone()).await?)?;
        good(bob.ask("leave", join.clone()).await?)?;
    }
    assert_eq!(good(ann.ask("uninvite", json!({ "room": "p", "user": "bob" })).await?)?["count"], 1);
    assert_eq!(code(&bob.ask("join", join.clone()).await?), "invite_required");

    // by a secret: one join, of whoever has it; of many at once, too
    let invite = good(ann.ask("invite", join.clone()).await?)?["invite"].clone();
    let mut tasks = Vec::new();
    for n in 0..4 {
        let mut client = user(&node, &format!("user{n}")).await?;
        let body = json!({ "room": "p", "invite": invite });
        tasks.push(tokio::spawn(async move {
            let ack = client.ask("join", body).await?;
            anyhow::ensure!(ack["ok"] == true || code(&ack) == "invite_invalid", "{ack}");
            anyhow::Ok((ack["ok"] == true, client))
        }));
    }
    let mut inside = Vec::new();
    for task in tasks {
        let (is_in, client) = task.await??;
        inside.extend(is_in.then_some(client));
    }
    assert_eq!(inside.len(), 1);
    let page = good(inside[0].ask("history", join.clone()).await?)?;
    assert_eq!(super::texts(&page), ["between us"]);
    let invite = good(ann.ask("invite", join.clone()).await?)?["invite"].clone();
    assert_eq!(good(ann.ask("uninvite", join.clone()).await?)?["count"], 1);
    assert_eq!(code(&eve.ask("join", json!({ "room": "p", "invite": invite })).await?), "invite_invalid");
    // an outsider's room has no invites to give
    let mut mia = member(&node, "mia", json!({ "room": "open" })).await?;
    assert_eq!(code(&mia.ask("invite", json!({ "room": "open" })).await?), "not_private");
    node.stop().await;
    Ok(())
}
