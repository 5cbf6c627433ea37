//! One plugin's turn with one event: what it may see, and what it did.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::refusal::Rejection;
use crate::{
    bus::{Effect, Emit, Order},
    event::{Audience, Identity, Kind, Origin, Payload, SocketId, Subject, Target, Text},
    store::{Changes, Draft},
};

/// An event on its way down the chain.
#[derive(Clone, Debug)]
pub struct Event {
    pub kind: Kind,
    pub origin: Origin,
    /// The name of a message; empty for other kinds.
    pub name: Text,
    /// A message's arguments, a connect's auth payload, an answer's arguments.
    pub payload: Payload,
    /// Where a message goes. `None` until a plugin says.
    pub audience: Option<Audience>,
    /// The room of a join or leave.
    pub room: Option<Text>,
    /// Why a leave or disconnect happens.
    pub reason: Option<Text>,
    /// Among how many last messages of its room a message is kept; how many a join wants to be sent.
    pub history: u32,
    /// What an answer answers.
    pub answer: Option<Answer>,
}

impl Event {
    fn bare(kind: Kind, origin: Origin) -> Self {
        Self {
            kind,
            origin,
            name: "".into(),
            payload: Payload::default(),
            audience: None,
            room: None,
            reason: None,
            history: 0,
            answer: None,
        }
    }

    /// A connect whose auth payload is the JSON array `[auth]`, or `[]` for none.
    pub fn connect(auth: Payload) -> Self {
        Self { payload: auth, ..Self::bare(Kind::Connect, Origin::Client) }
    }

    pub fn message(origin: Origin, name: Text, payload: Payload, audience: Option<Audience>) -> Self {
        Self { name, payload, audience, ..Self::bare(Kind::Message, origin) }
    }

    pub fn join(origin: Origin, room: Text) -> Self {
        Self { room: Some(room), ..Self::bare(Kind::Join, origin) }
    }

    pub fn leave(origin: Origin, room: Text, reason: Text) -> Self {
        Self { room: Some(room), reason: Some(reason), ..Self::bare(Kind::Leave, origin) }
    }

    pub fn disconnect(origin: Origin, reason: Text) -> Self {
        Self { reason: Some(reason), ..Self::bare(Kind::Disconnect, origin) }
    }

    pub fn answer(payload: Payload, answer: Answer) -> Self {
        Self { payload, answer: Some(answer), ..Self::bare(Kind::Answer, Origin::Client) }
    }

    /// The event's room: a join's or leave's, or the one room that a message goes to.
    pub fn single_room(&self) -> Option<&Text> {
        match (&self.room, &self.audience) {
            (Some(room), _) => Some(room),
            (None, Some(audience)) => match &audience.to[..] {
                [Target::Room(room)] => Some(room),
                _ => None,
            },
            (None, None) => None,
        }
    }
}

/// What became of an `ask`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub plugin: Text,
    pub tag: Text,
    pub outcome: AnswerOutcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerOutcome {
    Answered,
    TimedOut,
    Gone,
}

/// Who is where, as the log has it. The pipeline and plugins only read.
pub trait Rooms: Send + Sync {
    /// How many sockets are members.
    fn size(&self, namespace: &str, room: &str) -> usize;
    /// Up to `limit` members.
    fn members(&self, namespace: &str, room: &str, limit: usize) -> Vec<SocketId>;
    fn contains(&self, namespace: &str, room: &str, socket: SocketId) -> bool;
}

/// What the hooks of one transaction share.
#[derive(Clone)]
pub struct Context {
    pub namespace: Text,
    /// The socket that the event belongs to; a publish from a server has none.
    pub subject: Option<Arc<Subject>>,
    pub rooms: Arc<dyn Rooms>,
    /// The socket's rooms as this transaction has them; `None`: as the subject has them.
    pub joined: Option<Vec<Text>>,
    /// Who the socket is, when this transaction said so.
    pub identity: Option<Identity>,
    pub wants_ack: bool,
    /// When the node received the root event, ms since the Unix epoch.
    pub received_ms: u64,
    /// Whether the root event is itself an order: then no further orders are given.
    pub runs_order: bool,
    /// What this transaction would write to the store.
    pub draft: Draft,
}

impl Context {
    /// The handled membership of the event's socket.
    pub fn my_rooms(&self) -> Vec<Text> {
        match (&self.joined, &self.subject) {
            (Some(rooms), _) => rooms.clone(),
            (None, Some(subject)) => subject.rooms(),
            (None, None) => Vec::new(),
        }
    }

    /// Whether the event's socket is in `room`, as handled.
    pub fn is_in(&self, room: &str) -> bool {
        match (&self.joined, &self.subject) {
            (Some(rooms), _) => rooms.iter().any(|r| &**r == room),
            (None, Some(subject)) => subject.is_in(room),
            (None, None) => false,
        }
    }

    /// Members on the log, the event's own socket counted as handled.
    pub fn room_size(&self, room: &str) -> usize {
        let logged = self.rooms.size(&self.namespace, room);
        let Some(subject) = &self.subject else { return logged };
        let mine = usize::from(self.rooms.contains(&self.namespace, room, subject.id));
        logged - mine.min(logged) + usize::from(self.is_in(room))
    }

    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref().or_else(|| self.subject.as_ref()?.identity())
    }
}

/// What a hook asked for, in the order in which it asked.
#[derive(Clone, Debug)]
pub enum Step {
    Emit(Emit),
    /// A message, join, leave or disconnect of the same socket.
    Raise(Event),
    Ack(Payload),
    Identify(Identity),
    Order(Order),
    Ask {
        socket: SocketId,
        name: Text,
        payload: Payload,
        timeout: Duration,
        tag: Text,
    },
}

impl Step {
    /// The effect of an emit; nothing of all others.
    pub(super) fn into_emit(self) -> Option<Effect> {
        match self {
            Step::Emit(emit) => Some(Effect::Emit(emit)),
            _ => None,
        }
    }
}

/// How a hook ended the event, if it did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Verdict {
    #[default]
    Pass,
    Swallow,
    Reject(Rejection),
}

/// The changes a hook made to a message.
#[derive(Clone, Debug, Default)]
pub struct Change {
    pub name: Option<Text>,
    pub payload: Option<Payload>,
    pub audience: Option<Audience>,
    /// Among how many last messages of its room it is to be kept.
    pub retain: Option<u32>,
}

impl Change {
    /// Whether there is none.
    pub fn is_none(&self) -> bool {
        self.name.is_none() && self.payload.is_none() && self.audience.is_none() && self.retain.is_none()
    }
}

/// One hook's turn: the plugin engine takes it, fills `acts`, and gives it back.
pub struct Call {
    pub event: Event,
    pub context: Context,
    pub acts: Acts,
}

/// All that a hook did. Counts only when the hook returned well.
#[derive(Clone, Debug, Default)]
pub struct Acts {
    pub change: Change,
    pub steps: Vec<Step>,
    pub verdict: Verdict,
    /// Writes to the store.
    pub changes: Changes,
    /// Whether they are performed although this call refuses the event.
    pub keeps_writes: bool,
}

impl Call {
    /// The message's name as this hook has it.
    pub fn name(&self) -> &Text {
        self.acts.change.name.as_ref().unwrap_or(&self.event.name)
    }

    pub fn payload(&self) -> &Payload {
        self.acts.change.payload.as_ref().unwrap_or(&self.event.payload)
    }

    pub fn attachment(&self, index: u32) -> Option<&Bytes> {
        self.payload().attachments.get(index as usize)
    }

    pub fn audience(&self) -> Option<&Audience> {
        self.acts.change.audience.as_ref().or(self.event.audience.as_ref())
    }

    /// Takes the change over into the event, as the next plugin will see it.
    pub(super) fn apply_change(&mut self) {
        let change = std::mem::take(&mut self.acts.change);
        if let Some(name) = change.name {
            self.event.name = name;
        }
        if let Some(payload) = change.payload {
            self.event.payload = payload;
        }
        if let Some(audience) = change.audience {
            self.event.audience = Some(audience);
        }
        if let Some(retain) = change.retain {
            self.event.history = retain;
        }
    }
}
