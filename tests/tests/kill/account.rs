//! What must hold after a kill, by what clients were told before it.

use std::{
    collections::HashMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use scenarios::Client;
use serde_json::{Value, json};

use crate::load::{Done, NAME, PASSWORD, ROOM, Sent, Vault, good, message, user};

/// Messages of each writer that are sent again after a kill.
const SENT_AGAIN: usize = 5;
/// For how long a name may stay somebody's who is not there.
const NAME_DEADLINE: Duration = Duration::from_secs(5);

/// All that was done to one data folder.
#[derive(Default)]
pub struct Account {
    /// The text of each id that is kept, as it was found.
    kept: HashMap<u64, String>,
    /// The last of them.
    last_id: u64,
    /// The text of each id that was ever acked, kept or lost.
    given: HashMap<u64, String>,
    /// What was done since.
    open: Option<Round>,
    vaults: Vec<String>,
    /// What was lost and sent again: it belongs to the round that begins.
    again: Vec<Sent>,
    pub acked: usize,
    pub lost: usize,
    pub lost_age: Duration,
}

/// What was done until a kill, when that was, and what of it may be lost.
struct Round {
    done: Done,
    killed: Instant,
    window: Duration,
}

struct Found {
    id: u64,
    text: String,
}

impl Account {
    /// The node is dead. What was acked longer ago than `window` must be kept.
    pub fn killed(&mut self, mut done: Done, killed: Instant, window: Duration) {
        self.again.append(&mut done.sent);
        done.sent = std::mem::take(&mut self.again);
        self.open = Some(Round { done, killed, window });
    }

    /// Looks at what a node that was started again has of the last round.
    pub async fn check(&mut self, address: SocketAddr, round: usize) -> anyhow::Result<()> {
        let Some(Round { done, killed, window }) = self.open.take() else { return Ok(()) };
        let mut reader = user(address, "reader").await?;
        let joined = good(reader.ask("join", json!({ "room": ROOM })).await?)?;
        let found = history(&mut reader, self.last_id).await?;
        let last = found.last().map_or(self.last_id, |f| f.id);
        ensure!(joined["last_id"] == last, "round {round}: the head is another's: {last}: {joined}");
        self.compare(&done.sent, &found, killed, window).with_context(|| format!("round {round}"))?;
        self.again = send_again(address, &done.sent, &found).await.with_context(|| format!("round {round}"))?;
        // what is there after a kill is on the disk
        for found in found {
            self.last_id = found.id;
            ensure!(self.kept.insert(found.id, found.text).is_none(), "an id is there twice: {}", found.id);
        }
        for vault in &done.vaults {
            self.try_vault(&mut reader, vault, killed, window).await?;
        }
        let mut thief = user(address, "thief").await?;
        for hall in &done.halls {
            steal_name(&mut thief, hall).await?;
        }
        Ok(())
    }

    /// What was acked longer ago than the window is there; what is there was sent, once, and has its id.
    fn compare(&mut self, sent: &[Sent], found: &[Found], killed: Instant, window: Duration) -> anyhow::Result<()> {
        let by_text: HashMap<&str, u64> = found.iter().map(|f| (&*f.text, f.id)).collect();
        ensure!(by_text.len() == found.len(), "a text is there twice");
        for Found { text, id } in found {
            let sent = sent.iter().find(|s| s.text == *text);
            let sent = sent.with_context(|| format!("{id} `{text}` was never sent, or is an old one's double"))?;
            ensure!(sent.acked.is_none_or(|(acked, _)| acked == *id), "`{text}` was acked as {sent:?}, is {id}");
        }
        let last = found.last().map_or(0, |f| f.id);
        for Sent { text, acked, .. } in sent {
            let Some((id, at)) = *acked else { continue };
            self.acked += 1;
            let other = self.given.insert(id, text.clone());
            ensure!(other.is_none(), "{id} was given to {other:?} before it was given to `{text}`");
            if by_text.contains_key(&**text) {
                continue;
            }
            let age = killed.saturating_duration_since(at);
            ensure!(age <= window, "`{text}` ({id}) was acked {age:.0?} before the kill and is lost");
            ensure!(id > last, "`{text}` ({id}) is lost, later ones like {last} are not");
            self.lost += 1;
            self.lost_age = self.lost_age.max(age);
        }
        Ok(())
    }

    /// A room with a password is closed, and where it is lost, what was said in it is, too.
    async fn try_vault(
        &mut self,
        reader: &mut Client,
        vault: &Vault,
        killed: Instant,
        window: Duration,
    ) -> anyhow::Result<()> {
        let room = &vault.room;
        let ack = reader.ask("join", json!({ "room": room })).await?;
        if ack["error"]["reason"]["code"] == "password_required" {
            good(reader.ask("join", json!({ "room": room, "password": PASSWORD })).await?)?;
            self.vaults.push(room.clone());
        } else {
            let ack = good(ack)?;
            ensure!(ack["last_id"] == 0, "{room} is open, and what was said in it is there");
            let age = vault.created.map(|at| killed.saturating_duration_since(at));
            ensure!(age.is_none_or(|age| age <= window), "{room} was made {age:?} before the kill");
        }
        good(reader.ask("leave", json!({ "room": room })).await?)?;
        Ok(())
    }

    /// At the end: every message that was ever seen is there, and every closed room is closed.
    pub async fn check_all(&mut self, address: SocketAddr) -> anyhow::Result<()> {
        let mut reader = user(address, "reader").await?;
        good(reader.ask("join", json!({ "room": ROOM })).await?)?;
        let mut found = history(&mut reader, 0).await?;
        // behind that is what was sent again a moment ago
        found.retain(|f| f.id <= self.last_id);
        ensure!(found.len() == self.kept.len(), "{} of {} are there", found.len(), self.kept.len());
        for Found { id, text } in found {
            ensure!(self.kept.get(&id) == Some(&text), "{id} is `{text}` and was {:?}", self.kept.get(&id));
        }
        for room in &self.vaults {
            let ack = reader.ask("join", json!({ "room": room })).await?;
            ensure!(ack["error"]["reason"]["code"] == "password_required", "{room}: {ack}");
        }
        Ok(())
    }
}

/// A client that knows nothing sends its last messages again: those that are there get their ids, others are new.
async fn send_again(address: SocketAddr, sent: &[Sent], found: &[Found]) -> anyhow::Result<Vec<Sent>> {
    let mut by_user: HashMap<&str, Vec<&Sent>> = HashMap::new();
    for message in sent {
        by_user.entry(&message.user).or_default().push(message);
    }
    let mut new = Vec::new();
    for (name, messages) in by_user {
        let mut client = user(address, name).await?;
        good(client.ask("join", json!({ "room": ROOM })).await?)?;
        for Sent { text, user, .. } in &messages[messages.len().saturating_sub(SENT_AGAIN)..] {
            let ack = good(client.ask("message", message(ROOM, text)).await?)?;
            let id = ack["id"].as_u64().with_context(|| format!("no id: {ack}"))?;
            match found.iter().find(|f| f.text == *text) {
                Some(kept) => ensure!(kept.id == id, "`{text}` is kept as {} and acked as {id}", kept.id),
                None => new.push(Sent { user: user.clone(), text: text.clone(), acked: Some((id, Instant::now())) }),
            }
        }
    }
    Ok(new)
}

/// All behind an id, oldest first, each whole.
async fn history(reader: &mut Client, behind: u64) -> anyhow::Result<Vec<Found>> {
    let mut pages: Vec<Vec<Found>> = Vec::new();
    let mut before = Value::Null;
    loop {
        let page = good(reader.ask("history", json!({ "room": ROOM, "before": before })).await?)?;
        let messages = page["messages"].as_array().context("a page without messages")?;
        let mut found = Vec::new();
        for message in messages {
            let id = message["id"].as_u64().with_context(|| format!("no id: {message}"))?;
            let text = message["text"].as_str().with_context(|| format!("no text: {message}"))?.to_owned();
            found.push(Found { id, text });
        }
        before = messages.first().map_or(Value::Null, |first| first["id"].clone());
        let is_last = page["more"] == false || found.first().is_none_or(|first| first.id <= behind);
        pages.push(found);
        if is_last {
            break;
        }
    }
    let mut all: Vec<Found> = pages.into_iter().rev().flatten().collect();
    ensure!(all.windows(2).all(|pair| pair[0].id < pair[1].id), "ids do not grow");
    all.retain(|f| f.id > behind);
    Ok(all)
}

/// Somebody else takes the name that one who was killed had.
async fn steal_name(thief: &mut Client, room: &str) -> anyhow::Result<()> {
    let deadline = Instant::now() + NAME_DEADLINE;
    loop {
        let ack = thief.ask("join", json!({ "room": room, "name": NAME })).await?;
        if ack["ok"] == true {
            good(thief.ask("leave", json!({ "room": room })).await?)?;
            return Ok(());
        }
        ensure!(ack["error"]["reason"]["code"] == "name_taken" && Instant::now() < deadline, "{room}: {ack}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
