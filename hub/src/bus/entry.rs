//! What the bus carries: one entry for each transaction, with its effects in the order in which hooks asked for them.

use std::time::Duration;

use crate::event::{Asker, Audience, Payload, SocketId, Target, Text};

/// All that one root event led to. Delivered whole, in the log's order, on every node.
#[derive(Debug)]
pub struct Entry {
    pub namespace: Text,
    /// The socket whose event it was; a publish from a server has none.
    pub socket: Option<SocketId>,
    pub effects: Vec<Effect>,
}

impl Entry {
    /// Whether it concerns nobody but its own socket, so that no other node or socket can see its place in the log.
    pub fn is_private(&self) -> bool {
        self.effects.iter().all(|effect| match effect {
            Effect::Ack { .. } => true,
            Effect::Emit(emit) => emit.audience.to.iter().all(|t| match t {
                Target::Sender => true,
                Target::Socket(id) => Some(*id) == self.socket,
                _ => false,
            }),
            _ => false,
        })
    }

    /// Whether it holds nothing but answers to its own socket's acks.
    pub fn is_answer(&self) -> bool {
        self.effects.iter().all(|effect| matches!(effect, Effect::Ack { .. }))
    }

    /// What it counts towards the bus's limit.
    pub fn len_bytes(&self) -> usize {
        self.effects.iter().map(Effect::len_bytes).sum()
    }
}

/// One thing that delivery performs.
#[derive(Debug)]
pub enum Effect {
    /// The socket becomes a member of its namespace, as a socket of `user`, and its CONNECT is answered.
    Connect {
        user: Option<Text>,
    },
    /// The socket's client is back on another connection: it is sent what it missed.
    Recover,
    Emit(Emit),
    /// The answer to the client's ack number `id`.
    Ack {
        id: i64,
        payload: Payload,
    },
    /// `replay`: the socket is sent the last so many retained messages of the room.
    Join {
        room: Text,
        replay: u32,
    },
    Leave(Text),
    /// The socket leaves its namespace. `tell`: the client hears of it, because it did not ask for it.
    Disconnect {
        tell: bool,
    },
    /// An act on other sockets: becomes an event of its own where each of them lives.
    Order(Order),
    /// An emit to one socket whose ack becomes an answer event.
    Ask(Ask),
}

impl Effect {
    fn len_bytes(&self) -> usize {
        const FIXED: usize = 64;
        FIXED
            + match self {
                Effect::Emit(e) => e.name.len() + e.payload.len_bytes() + e.audience.len_bytes(),
                Effect::Order(Order { of, act }) => of.len_bytes() + act.len_bytes(),
                Effect::Connect { user } => user.as_ref().map_or(0, |u| u.len()),
                Effect::Ack { payload, .. } => payload.len_bytes(),
                Effect::Ask(a) => a.name.len() + a.payload.len_bytes() + a.by.len_bytes(),
                Effect::Join { room, .. } | Effect::Leave(room) => room.len(),
                _ => 0,
            }
    }
}

/// An event for sockets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emit {
    pub audience: Audience,
    pub name: Text,
    pub payload: Payload,
    /// May be dropped for a socket that cannot take it at once.
    pub volatile: bool,
    /// Kept among the last so many messages of each room it goes to; 0: not kept.
    pub retain: u32,
}

/// What one plugin wants of other sockets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    pub of: Target,
    pub act: OrderAct,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderAct {
    Join { room: Text },
    Leave { room: Text, reason: Text },
    Disconnect { reason: Text },
}

impl OrderAct {
    fn len_bytes(&self) -> usize {
        match self {
            OrderAct::Join { room } => room.len(),
            OrderAct::Leave { room, reason } => room.len() + reason.len(),
            OrderAct::Disconnect { reason } => reason.len(),
        }
    }
}

/// An emit that waits for its ack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    pub socket: SocketId,
    pub name: Text,
    pub payload: Payload,
    pub timeout: Duration,
    pub by: Asker,
}
