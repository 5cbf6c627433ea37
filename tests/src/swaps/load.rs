//! Clients that send at a steady pace through real sockets, and what each of them saw.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use tokio::{
    task::JoinHandle,
    time::{MissedTickBehavior, interval, timeout},
};

use crate::Client;

/// How long the last messages may take to come back.
const PATIENCE: Duration = Duration::from_secs(30);
/// Members of a room.
pub const ROOM_SIZE: usize = 4;
/// One message in so many goes to the sender's room, the others come back to their sender alone.
const ROOM_EVERY: u32 = 4;

/// The text of a client's last message.
const LAST: &str = "that was all";

/// Where the stamps of a message stand among those that were ever seen.
pub type Stamps = u32;

/// What somebody received.
#[derive(Clone, Copy, Debug)]
pub struct Got {
    pub sender: usize,
    pub number: u32,
    pub stamps: Stamps,
    pub at: Instant,
}

/// All that one client did and saw.
#[derive(Default)]
pub struct Seen {
    /// When each of its messages was sent, by number.
    pub sent: Vec<Instant>,
    /// In the order in which it came.
    pub got: Vec<Got>,
}

/// All that happened.
pub struct Outcome {
    /// By client.
    pub seen: Vec<Seen>,
    /// What stamps each number stands for, in the order of the chain.
    pub stamps: Vec<Vec<String>>,
}

/// Stamps that were seen, each known by a number.
#[derive(Default)]
struct Known {
    numbers: HashMap<Vec<String>, Stamps>,
}

/// Clients at work.
pub struct Load {
    stop: Arc<AtomicBool>,
    known: Arc<Mutex<Known>>,
    clients: Vec<JoinHandle<anyhow::Result<Seen>>>,
}

/// Whether a message goes to its sender's room.
pub(super) fn is_for_room(number: u32) -> bool {
    number % ROOM_EVERY == ROOM_EVERY - 1
}

impl Load {
    /// `clients` in rooms of [`ROOM_SIZE`], which send `rate` messages a second in all.
    pub async fn start(address: SocketAddr, clients: usize, rate: f64) -> anyhow::Result<Self> {
        let (stop, known) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let mut members = Vec::new();
        for sender in 0..clients {
            let mut client = Client::connect(address, "/", Value::Null).await?;
            let room = room_of(sender);
            client.emit("join", json!({ "room": room })).await?;
            // all of a room are in it before the first message
            loop {
                let joined = client.event_named("joined").await?;
                if joined["socket"] == *client.id {
                    break;
                }
            }
            members.push(client);
        }
        let pace = Duration::from_secs_f64(clients as f64 / rate);
        let clients = members.into_iter().enumerate().map(|(sender, client)| {
            let member = Member { sender, clients, client, known: Arc::clone(&known), seen: Seen::default(), ended: 0 };
            tokio::spawn(member.run(pace, stop.clone()))
        });
        let clients = clients.collect();
        Ok(Self { stop, known, clients })
    }

    /// Ends the sending, waits for what is under way, and gives what everybody saw.
    pub async fn end(self) -> anyhow::Result<Outcome> {
        self.stop.store(true, Ordering::Relaxed);
        let mut seen = Vec::new();
        for (sender, client) in self.clients.into_iter().enumerate() {
            seen.push(client.await?.with_context(|| format!("client {sender}"))?);
        }
        let known = std::mem::take(&mut *self.known.lock().unwrap_or_else(PoisonError::into_inner));
        let mut stamps = vec![Vec::new(); known.numbers.len()];
        for (texts, number) in known.numbers {
            stamps[number as usize] = texts;
        }
        Ok(Outcome { seen, stamps })
    }
}

fn room_of(sender: usize) -> String {
    format!("room-{}", sender / ROOM_SIZE)
}

struct Member {
    sender: usize,
    clients: usize,
    client: Client,
    known: Arc<Mutex<Known>>,
    seen: Seen,
    /// Members of its room whose last message it has.
    ended: usize,
}

impl Member {
    async fn run(mut self, pace: Duration, stop: Arc<AtomicBool>) -> anyhow::Result<Seen> {
        let mut ticks = interval(pace);
        // who was held up makes up for it: the rate is the one that was asked for
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        // not all of them at the same moment
        tokio::time::sleep(pace.mul_f64(self.sender as f64 / self.clients as f64)).await;
        while !stop.load(Ordering::Relaxed) {
            tokio::select! {
                _ = ticks.tick() => self.send().await?,
                packet = self.client.text() => self.take(&packet?)?,
            }
        }
        // the last of its own: who has it from all of a room has everything
        let last = json!({ "room": room_of(self.sender), "text": LAST, "s": self.sender, "n": u32::MAX });
        self.client.emit("message", last).await?;
        let first = self.sender / ROOM_SIZE * ROOM_SIZE;
        let mates = ROOM_SIZE.min(self.clients - first);
        let rest = async {
            while self.ended < mates {
                let packet = self.client.text().await?;
                self.take(&packet)?;
            }
            anyhow::Ok(())
        };
        timeout(PATIENCE, rest).await.context("the last messages did not come in time")??;
        Ok(self.seen)
    }

    async fn send(&mut self) -> anyhow::Result<()> {
        let number = self.seen.sent.len() as u32;
        self.seen.sent.push(Instant::now());
        let (s, n) = (self.sender, number);
        if is_for_room(number) {
            self.client.emit("message", json!({ "room": room_of(s), "text": "x", "s": s, "n": n })).await
        } else {
            self.client.emit("echo", json!({ "s": s, "n": n })).await
        }
    }

    fn take(&mut self, packet: &str) -> anyhow::Result<()> {
        let at = Instant::now();
        if packet.contains(LAST) {
            self.ended += 1;
            return Ok(());
        }
        let event = packet.strip_prefix("42").with_context(|| format!("what is `{packet}`?"))?;
        let event: Vec<Value> = serde_json::from_str(event)?;
        let [Value::String(name), body, stamps @ ..] = &event[..] else { anyhow::bail!("what is `{packet}`?") };
        match &**name {
            "echo" | "message" => {}
            // of its own joining, and of its mates'
            "join" | "joined" => return Ok(()),
            // a mate that has everything goes
            "left" if self.ended > 0 => return Ok(()),
            _ => anyhow::bail!("a message was refused, or somebody left: {packet}"),
        }
        let number = |key: &str| body[key].as_u64().with_context(|| format!("no `{key}`: {packet}"));
        let stamps = stamps.iter().map(|stamp| stamp.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>();
        let got = Got {
            sender: number("s")? as usize,
            number: u32::try_from(number("n")?)?,
            stamps: self.number_of(stamps.with_context(|| format!("a stamp is no text: {packet}"))?),
            at,
        };
        ensure!((name == "message") == is_for_room(got.number), "another message had this number: {packet}");
        self.seen.got.push(got);
        Ok(())
    }

    fn number_of(&self, stamps: Vec<String>) -> Stamps {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let next = known.numbers.len() as Stamps;
        *known.numbers.entry(stamps).or_insert(next)
    }
}
