//! Every event goes down a chain of plugins and becomes one transaction.

pub mod call;
pub mod chain;
pub mod refusal;
pub mod transaction;

use std::sync::Arc;

use arc_swap::ArcSwap;

use self::{
    call::{Context, Event, Rooms},
    chain::Chains,
    refusal::Refusal,
    transaction::{Limits, Transaction},
};
use crate::{
    bus::{Effect, Emit, Entry},
    event::{Audience, Identity, Kind, Payload, Subject, Target, Text, now_ms},
};

/// Runs root events down the current chains.
pub struct Pipeline {
    chains: ArcSwap<Chains>,
    limits: Limits,
    rooms: Arc<dyn Rooms>,
}

/// What a root event led to, ready for the bus.
pub struct Decision {
    /// Performs everything, the client's ack or error included. Empty when there is nothing to do.
    pub entry: Entry,
    /// Set when the event did not go through.
    pub refusal: Option<Refusal>,
    joined: Option<Vec<Text>>,
    identity: Option<Identity>,
}

impl Decision {
    /// Takes the handled membership and identity over, once the entry is on the log.
    pub fn commit(self, subject: &Subject) {
        subject.commit(self.joined, self.identity);
    }

    /// Splits off the entry; the rest is committed after its append.
    pub fn take_entry(&mut self) -> Entry {
        Entry {
            namespace: self.entry.namespace.clone(),
            socket: self.entry.socket,
            effects: std::mem::take(&mut self.entry.effects),
        }
    }

    /// Whether the socket leaves its namespace with it.
    pub fn disconnects(&self) -> bool {
        self.entry.effects.iter().any(|e| matches!(e, Effect::Disconnect { .. }))
    }
}

impl Pipeline {
    /// A pipeline over `chains`; `rooms` is the membership on the log.
    pub fn new(chains: Chains, limits: Limits, rooms: Arc<dyn Rooms>) -> Self {
        Self { chains: ArcSwap::from_pointee(chains), limits, rooms }
    }

    /// The revision that events take now.
    pub fn chains(&self) -> Arc<Chains> {
        self.chains.load_full()
    }

    /// Runs a root event of `subject`. `ack` is the number under which the client waits for an answer.
    /// One socket's events must be run one after the other.
    pub async fn run(&self, subject: &Arc<Subject>, event: Event, ack: Option<i64>) -> Decision {
        self.run_root(subject, event, ack, false).await
    }

    /// Runs an event that a plugin of another socket ordered.
    pub async fn run_order(&self, subject: &Arc<Subject>, event: Event) -> Decision {
        self.run_root(subject, event, None, true).await
    }

    async fn run_root(&self, subject: &Arc<Subject>, event: Event, ack: Option<i64>, runs_order: bool) -> Decision {
        let chain = self.chains.load().of(&subject.namespace);
        let context = Context {
            namespace: subject.namespace.clone(),
            subject: Some(subject.clone()),
            rooms: self.rooms.clone(),
            joined: None,
            identity: None,
            wants_ack: ack.is_some(),
            received_ms: now_ms(),
            runs_order,
        };
        let (kind, name) = (event.kind, event.name.clone());
        let performed = Transaction::new(&chain, self.limits, context).run(event).await;
        let mut effects = performed.effects;
        match (ack, &performed.refusal) {
            (Some(id), None) => {
                let payload = performed.ack.unwrap_or_else(|| Payload::json(r#"[{"ok":true}]"#));
                effects.push(Effect::Ack { id, payload });
            }
            (Some(id), Some(refusal)) => effects.push(Effect::Ack { id, payload: refusal.ack() }),
            (None, Some(refusal)) if kind == Kind::Message => effects.push(Effect::Emit(Emit {
                audience: Audience::only(Target::Sender),
                name: "error".into(),
                payload: refusal.error_event(&name),
                volatile: false,
            })),
            (None, _) => {}
        }
        Decision {
            entry: Entry { namespace: subject.namespace.clone(), socket: Some(subject.id), effects },
            refusal: performed.refusal,
            joined: performed.joined,
            identity: performed.identity,
        }
    }
}
