//! Every event goes down a chain of plugins and becomes one transaction.

pub mod call;
pub mod chain;
pub mod refusal;
#[cfg(test)]
mod tests;
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
        self.run_root(&subject.namespace, Some(subject), event, ack, false).await
    }

    /// Runs an event that a plugin of another socket ordered.
    pub async fn run_order(&self, subject: &Arc<Subject>, event: Event) -> Decision {
        self.run_root(&subject.namespace, Some(subject), event, None, true).await
    }

    /// Runs an event that belongs to no socket.
    pub async fn run_detached(&self, namespace: &Text, event: Event) -> Decision {
        self.run_root(namespace, None, event, None, false).await
    }

    /// How a message is refused that came to nothing behind the chain.
    pub fn refuse(&self, subject: &Subject, name: &Text, ack: Option<i64>, refusal: Refusal) -> Decision {
        let effects = vec![refuse_message(name, ack, &refusal)];
        Decision {
            entry: Entry { namespace: subject.namespace.clone(), socket: Some(subject.id), effects },
            refusal: Some(refusal),
            joined: None,
            identity: None,
        }
    }

    async fn run_root(
        &self,
        namespace: &Text,
        subject: Option<&Arc<Subject>>,
        event: Event,
        ack: Option<i64>,
        runs_order: bool,
    ) -> Decision {
        let chain = self.chains.load().of(namespace);
        let context = Context {
            namespace: namespace.clone(),
            subject: subject.cloned(),
            rooms: self.rooms.clone(),
            joined: None,
            identity: None,
            wants_ack: ack.is_some(),
            received_ms: now_ms(),
            runs_order,
        };
        let message = (event.kind == Kind::Message).then(|| event.name.clone());
        let performed = Transaction::new(&chain, self.limits, context).run(event).await;
        let mut effects = performed.effects;
        match (message, ack, &performed.refusal) {
            (Some(name), ack, Some(refusal)) => effects.push(refuse_message(&name, ack, refusal)),
            (Some(_), Some(id), None) => {
                let payload = performed.ack.unwrap_or_else(|| Payload::json(r#"[{"ok":true}]"#));
                // behind its disconnect a socket hears nothing more
                let end = effects.iter().position(|e| matches!(e, Effect::Disconnect { .. }));
                effects.insert(end.unwrap_or(effects.len()), Effect::Ack { id, payload });
            }
            _ => {}
        }
        Decision {
            entry: Entry { namespace: namespace.clone(), socket: subject.map(|s| s.id), effects },
            refusal: performed.refusal,
            joined: performed.joined,
            identity: performed.identity,
        }
    }
}

/// A refusal is the ack's answer; who asked for none gets an `error` event.
fn refuse_message(name: &str, ack: Option<i64>, refusal: &Refusal) -> Effect {
    match ack {
        Some(id) => Effect::Ack { id, payload: refusal.ack() },
        None => Effect::Emit(Emit {
            audience: Audience::only(Target::Sender),
            name: "error".into(),
            payload: refusal.error_event(name),
            volatile: false,
        }),
    }
}
