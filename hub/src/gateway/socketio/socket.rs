//! One client in one namespace, on its connection.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;

use super::Connection;
use crate::{
    event::{Asker, Payload, PrivateId, SocketId, Subject, Text},
    gateway::transport::Packet,
};

/// A socket on a connection. Its public id is random and gives nobody anything. When its client comes back on another
/// connection there is a new one, with the same subject and the same state.
pub struct Socket {
    pub subject: Arc<Subject>,
    connection: Arc<Connection>,
    /// How often it has moved before.
    moves: u32,
    state: Arc<State>,
}

/// What stays when the connection changes.
struct State {
    /// What its client shows to get it back; `None`: it ends with its connection.
    private_id: Option<PrivateId>,
    /// How often it has moved: its connection is that of the socket with the same number.
    moves: AtomicU32,
    /// It has left its namespace, or is about to: its events are ignored.
    gone: AtomicBool,
    /// The place on the log of its latest entry.
    position: AtomicU64,
    asks: Mutex<Option<Box<Asks>>>,
}

/// Emits that wait for the client's ack.
#[derive(Default)]
struct Asks {
    last: i64,
    waiting: HashMap<i64, Asker>,
}

impl Socket {
    pub(super) fn new(subject: Arc<Subject>, connection: Arc<Connection>, private_id: Option<PrivateId>) -> Arc<Self> {
        let state = State {
            private_id,
            moves: AtomicU32::new(0),
            gone: AtomicBool::new(false),
            position: AtomicU64::new(0),
            asks: Mutex::default(),
        };
        Arc::new(Self { subject, connection, moves: 0, state: Arc::new(state) })
    }

    /// The same socket on another connection, where it is from [`Socket::take_over`] on.
    pub fn moved_to(&self, connection: Arc<Connection>) -> Arc<Self> {
        let (subject, state) = (self.subject.clone(), self.state.clone());
        Arc::new(Self { subject, connection, moves: self.moves + 1, state })
    }

    /// This one's connection is the socket's connection now.
    pub fn take_over(&self) {
        self.state.moves.store(self.moves, Ordering::Release);
    }

    /// Whether it has not moved to another connection: only then the connection's turn is the socket's turn.
    pub fn is_current(&self) -> bool {
        self.state.moves.load(Ordering::Acquire) == self.moves
    }

    /// What its client shows to get it back. Events for such a socket carry an offset.
    pub fn private_id(&self) -> Option<PrivateId> {
        self.state.private_id
    }

    pub fn id(&self) -> SocketId {
        self.subject.id
    }

    pub fn namespace(&self) -> &Text {
        &self.subject.namespace
    }

    pub fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// Whether it has left its namespace.
    pub fn is_gone(&self) -> bool {
        self.state.gone.load(Ordering::Acquire)
    }

    /// Marks it as gone. False when it was already: then somebody else ends it.
    pub fn leave(&self) -> bool {
        !self.state.gone.swap(true, Ordering::AcqRel)
    }

    /// The place on the log of its latest entry; 0 when it has none.
    pub fn position(&self) -> u64 {
        self.state.position.load(Ordering::Acquire)
    }

    pub fn set_position(&self, position: u64) {
        self.state.position.store(position, Ordering::Release);
    }

    /// Writes at once when the client can take it, else queues. False: the connection is at its end.
    pub fn send(&self, packet: &Arc<Packet>) -> bool {
        self.connection.send(packet)
    }

    /// Notes an ask and gives the ack id for its packet; `None` when too many wait already.
    pub fn note_ask(&self, ask: Asker, max: usize) -> Option<i64> {
        let mut asks = self.state.asks.lock();
        let asks = asks.get_or_insert_default();
        if asks.waiting.len() >= max {
            return None;
        }
        asks.last += 1;
        let id = asks.last;
        asks.waiting.insert(id, ask);
        Some(id)
    }

    /// The ask that waits under this id, once.
    pub fn take_ask(&self, id: i64) -> Option<Asker> {
        let mut slot = self.state.asks.lock();
        let asks = slot.as_mut()?;
        let ask = asks.waiting.remove(&id)?;
        // ids go on counting as long as there are some; a client's late ack for an old one finds nothing
        if asks.waiting.is_empty() && asks.waiting.capacity() > 64 {
            asks.waiting = HashMap::new();
        }
        Some(ask)
    }

    /// All asks that will get no answer any more.
    pub fn take_asks(&self) -> Vec<Asker> {
        self.state.asks.lock().take().map(|asks| asks.waiting.into_values().collect()).unwrap_or_default()
    }
}

/// A message as its client sent it.
#[derive(Debug)]
pub struct Message {
    pub name: Text,
    pub payload: Payload,
    /// The number under which the client waits for an answer.
    pub ack: Option<i64>,
}
