//! Every event goes down a chain of plugins and becomes one transaction.

pub mod breaker;
pub mod call;
pub mod chain;
pub mod refusal;
#[cfg(test)]
mod tests;
mod told;
pub mod transaction;

use std::{sync::Arc, time::Instant};

use self::{
    call::{Context, Event, Rooms},
    chain::{Chains, Current},
    refusal::{Code, Refusal},
    transaction::{Limits, Performed, Transaction},
};
use crate::{
    bus::{Effect, Emit, Entry},
    event::{Audience, Identity, Kind, Payload, Subject, Target, Text, now_ms},
    seeing::{
        Seeing,
        trace::{End, Recording, Start, Unlogged},
    },
    store::{Draft, Prepared, Store, StoreError},
};

/// How often an event runs down its chain when others change what it relies on.
const TRIES_MAX: usize = 3;

/// Runs root events down the current chains.
pub struct Pipeline {
    chains: Current,
    limits: Limits,
    rooms: Arc<dyn Rooms>,
    store: Arc<dyn Store>,
    seeing: Seeing,
}

/// What a root event led to, ready for the bus.
pub struct Decision {
    /// Performs everything, the client's ack or error included. Empty when there is nothing to do.
    pub entry: Entry,
    /// Set when the event did not go through.
    pub refusal: Option<Refusal>,
    /// Where in the entry a root message itself is, with what the chain made of it; `None`: it goes nowhere.
    pub message: Option<usize>,
    joined: Option<Vec<Text>>,
    identity: Option<Identity>,
    /// Checked writes to the store. While it is kept nobody else commits any.
    writes: Option<Box<dyn Prepared>>,
    /// For those who look on.
    told: Option<Unlogged>,
}

impl Decision {
    /// Performs the writes to the store and takes the handled membership and identity over, once the entry is on the
    /// log. An event that belongs to no socket has no subject.
    pub fn commit(mut self, subject: Option<&Subject>) {
        self.commit_writes();
        if let Some(told) = self.told.take() {
            told.logged();
        }
        if let Some(subject) = subject {
            subject.commit(self.joined, self.identity);
        }
    }

    /// Performs the writes alone, of an event that cannot fail any more.
    pub fn commit_writes(&mut self) {
        if let Some(writes) = self.writes.take() {
            writes.commit();
        }
    }

    /// Splits off the entry; the rest is committed after its append.
    pub fn take_entry(&mut self) -> Entry {
        Entry {
            namespace: self.entry.namespace.clone(),
            socket: self.entry.socket,
            effects: std::mem::take(&mut self.entry.effects),
        }
    }

    /// A client that is disconnected does not hear of it.
    pub fn tell_nobody(&mut self) {
        for effect in &mut self.entry.effects {
            if let Effect::Disconnect { tell } = effect {
                *tell = false;
            }
        }
    }

    /// Whether the socket leaves its namespace with it.
    pub fn disconnects(&self) -> bool {
        self.entry.effects.iter().any(|e| matches!(e, Effect::Disconnect { .. }))
    }
}

impl Pipeline {
    /// A pipeline over `chains`; `rooms` is the membership on the log, `store` what plugins keep, `seeing` is told of all
    /// events.
    pub fn new(chains: Current, limits: Limits, rooms: Arc<dyn Rooms>, store: Arc<dyn Store>, seeing: Seeing) -> Self {
        Self { chains, limits, rooms, store, seeing }
    }

    /// The revision that events take now.
    pub fn chains(&self) -> Arc<Chains> {
        self.chains.get()
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

    /// Notes that what an event had led to was not put on the log, and with which code it was refused.
    pub fn not_logged(&self, code: Code) {
        self.seeing.metrics.events.not_logged(code.as_str());
    }

    /// How a message is refused that came to nothing behind the chain.
    pub fn refuse(&self, subject: &Subject, name: &Text, ack: Option<i64>, refusal: Refusal) -> Decision {
        let effects = vec![refuse_message(name, ack, &refusal)];
        Decision {
            entry: Entry { namespace: subject.namespace.clone(), socket: Some(subject.id), effects },
            refusal: Some(refusal),
            message: None,
            joined: None,
            identity: None,
            writes: None,
            told: None,
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
        let events = &self.seeing.metrics.events;
        let (chain, revision) = self.chains.of(namespace);
        let mut recording = self.seeing.tracer.begin(|| Start {
            began: Instant::now(),
            time_ms: now_ms(),
            revision,
            namespace: namespace.clone(),
            socket: subject.map(|subject| subject.id),
            user: subject.and_then(|subject| Some(subject.identity()?.user.clone())),
            kind: event.kind,
            origin: told::origin(event.origin),
        });
        let context = Context {
            namespace: namespace.clone(),
            subject: subject.cloned(),
            rooms: self.rooms.clone(),
            joined: None,
            identity: None,
            wants_ack: ack.is_some(),
            received_ms: now_ms(),
            runs_order,
            draft: Draft::new(self.store.clone()),
        };
        let root = Root { kind: event.kind, name: event.name.clone(), ack };
        let mut tries = 1;
        let mut began = None;
        loop {
            let (context, event) = (context.clone(), event.clone());
            let now = Instant::now();
            let began = *began.get_or_insert(now);
            let transaction = Transaction::new(&chain, self.limits, context, event, events, now);
            let mut performed = transaction.recorded(recording.take()).run().await;
            recording = performed.recording.take();
            let changes = std::mem::take(&mut performed.changes);
            let mut writes = None;
            let mut ended = performed.ended;
            if !changes.is_empty() {
                let ack = performed.ack.clone().unwrap_or_else(default_ack);
                let prepared = self.store.prepare(changes.into_writes(&ack)).await;
                ended = Instant::now();
                match prepared {
                    Ok(prepared) => writes = Some(prepared),
                    Err(StoreError::Conflict) if tries < TRIES_MAX => {
                        tries += 1;
                        recording.iter_mut().for_each(|recording| recording.restart());
                        continue;
                    }
                    Err(error) => {
                        tracing::warn!(hook = root.kind.hook(), tries, %error, "an event's writes were not performed");
                        // a fact is performed all the same, and a refusal is one already
                        if !root.kind.is_fact() && performed.refusal.is_none() {
                            performed = Performed::refused(not_written(&error), ended);
                        }
                    }
                }
            }
            events.decided(root.kind, performed.outcome(), ended - began);
            let outcome = performed.outcome();
            let mut decision = root.decide(namespace, subject, performed, writes);
            decision.told = recording.map(|recording| self.told(*recording, &decision, subject, outcome, tries));
            return decision;
        }
    }
}

impl Pipeline {
    /// The whole record of an event, but for whether the log takes it.
    fn told(
        &self,
        recording: Recording,
        decision: &Decision,
        subject: Option<&Arc<Subject>>,
        outcome: &'static str,
        tries: usize,
    ) -> Unlogged {
        let identity = decision.identity.as_ref().or_else(|| subject?.identity());
        let rejection = decision.refusal.as_ref().and_then(|refusal| refusal.rejection.as_ref());
        recording.end(
            self.seeing.tracer.clone(),
            End {
                user: identity.map(|identity| &*identity.user),
                outcome,
                reason: rejection.map(|rejection| &*rejection.code),
                effects: decision.entry.effects.iter().map(told::effect).collect(),
                tries,
            },
        )
    }
}

/// What is known of a root event before its chain has run.
struct Root {
    kind: Kind,
    name: Text,
    ack: Option<i64>,
}

impl Root {
    fn decide(
        self,
        namespace: &Text,
        subject: Option<&Arc<Subject>>,
        performed: Performed,
        writes: Option<Box<dyn Prepared>>,
    ) -> Decision {
        let mut effects = performed.effects;
        let mut message = performed.message;
        match (self.kind, self.ack, &performed.refusal) {
            (Kind::Message, ack, Some(refusal)) => effects.push(refuse_message(&self.name, ack, refusal)),
            (Kind::Message, Some(id), None) => {
                let payload = performed.ack.unwrap_or_else(default_ack);
                // behind its disconnect a socket hears nothing more; what is replayed comes behind the ack
                let end = effects
                    .iter()
                    .position(|e| matches!(e, Effect::Disconnect { .. } | Effect::Join { replay: 1.., .. }));
                let place = end.unwrap_or(effects.len());
                effects.insert(place, Effect::Ack { id, payload });
                message = message.map(|at| if place <= at { at + 1 } else { at });
            }
            _ => {}
        }
        Decision {
            entry: Entry { namespace: namespace.clone(), socket: subject.map(|s| s.id), effects },
            refusal: performed.refusal,
            message,
            joined: performed.joined,
            identity: performed.identity,
            writes,
            told: None,
        }
    }
}

/// The answer to a client's ack when no plugin gave one.
fn default_ack() -> Payload {
    Payload::json(r#"[{"ok":true}]"#)
}

/// What the client is told when the store did not take an event's writes.
fn not_written(error: &StoreError) -> Refusal {
    match error {
        StoreError::Conflict | StoreError::Op(_) => {
            Refusal::new(Code::Conflict, "others were changing the same at the same time, try again")
        }
        StoreError::Limit { .. } => Refusal::new(Code::LimitExceeded, "what a plugin may keep is full"),
        StoreError::Unavailable(_) => {
            Refusal::new(Code::StoreUnavailable, "the server cannot reach its store, try again")
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
            retain: 0,
        }),
    }
}
