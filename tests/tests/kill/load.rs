//! What clients do until their node is killed, and what they know of it then.

use std::{net::SocketAddr, time::Instant};

use scenarios::Client;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

pub const ROOM: &str = "tea";
pub const WRITERS: usize = 3;
/// A name that somebody else wants after the kill.
pub const NAME: &str = "Fox";
pub const PASSWORD: &str = "sesame";

/// A message, and what its sender was told of it.
#[derive(Clone, Debug)]
pub struct Sent {
    pub user: String,
    /// No two messages have one; it is the `client_id`, too.
    pub text: String,
    /// The id, and when it came.
    pub acked: Option<(u64, Instant)>,
}

/// A room with a password that was asked for, and when it was there, if its creator knows.
#[derive(Clone, Debug)]
pub struct Vault {
    pub room: String,
    pub created: Option<Instant>,
}

/// All that was done in one round.
#[derive(Default)]
pub struct Done {
    pub sent: Vec<Sent>,
    pub vaults: Vec<Vault>,
    pub halls: Vec<String>,
}

/// Clients at work.
pub struct Load {
    tasks: Vec<JoinHandle<Done>>,
}

pub async fn user(address: SocketAddr, user: &str) -> anyhow::Result<Client> {
    Client::connect(address, "/", json!({ "user": user })).await
}

pub fn good(ack: Value) -> anyhow::Result<Value> {
    anyhow::ensure!(ack["ok"] == true, "{ack}");
    Ok(ack)
}

pub fn message(room: &str, text: &str) -> Value {
    json!({ "room": room, "text": text, "client_id": text })
}

impl Load {
    pub async fn start(address: SocketAddr, round: usize) -> anyhow::Result<Self> {
        let mut tasks = Vec::new();
        for n in 0..WRITERS {
            let name = format!("writer{n}");
            let mut client = user(address, &name).await?;
            let joined = good(client.ask("join", json!({ "room": ROOM })).await?)?;
            anyhow::ensure!(joined["you"]["name"] == *name, "{name} has its name still: {joined}");
            tasks.push(tokio::spawn(write(client, name, round)));
        }
        tasks.push(tokio::spawn(come_and_go(user(address, "guest").await?, round)));
        tasks.push(tokio::spawn(build(user(address, "builder").await?, round)));
        Ok(Self { tasks })
    }

    /// To be called when the node is dead.
    pub async fn end(self) -> anyhow::Result<Done> {
        let mut all = Done::default();
        for task in self.tasks {
            let mut done = task.await?;
            all.sent.append(&mut done.sent);
            all.vaults.append(&mut done.vaults);
            all.halls.append(&mut done.halls);
        }
        Ok(all)
    }
}

async fn write(mut client: Client, user: String, round: usize) -> Done {
    let mut done = Done::default();
    for n in 0.. {
        let text = format!("{user} {round}.{n}");
        let ack = client.ask("message", message(ROOM, &text)).await;
        let id = ack.as_ref().ok().and_then(|ack| ack["id"].as_u64());
        // of a `conflict` nothing is kept: it is as if it had not been sent
        if ack.is_err() || id.is_some() {
            done.sent.push(Sent { user: user.clone(), text, acked: id.map(|id| (id, Instant::now())) });
        }
        if ack.is_err() {
            break;
        }
    }
    done
}

/// Takes a name in rooms that nobody else is in, and gives it back in every other one.
async fn come_and_go(mut client: Client, round: usize) -> Done {
    let mut done = Done::default();
    for n in 0..40 {
        let room = format!("hall {round}.{n}");
        done.halls.push(room.clone());
        if client.ask("join", json!({ "room": room, "name": NAME })).await.is_err()
            || (n % 2 == 0 && client.ask("leave", json!({ "room": room })).await.is_err())
        {
            break;
        }
    }
    // until the kill
    let _ = client.end().await;
    done
}

/// Makes rooms with passwords, and says something in each.
async fn build(mut client: Client, round: usize) -> Done {
    let mut done = Done::default();
    for n in 0..40 {
        let room = format!("vault {round}.{n}");
        let ack = client.ask("create", json!({ "room": room, "password": PASSWORD })).await;
        let created = ack.as_ref().is_ok_and(|ack| ack["ok"] == true).then(Instant::now);
        done.vaults.push(Vault { room: room.clone(), created });
        if ack.is_err()
            || client.ask("join", json!({ "room": room })).await.is_err()
            || client.ask("message", message(&room, "gold")).await.is_err()
        {
            break;
        }
    }
    let _ = client.end().await;
    done
}
