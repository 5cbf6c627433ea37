//! Whom an emit or a message reaches.

use crate::host;

/// One target, as the hub knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The socket that the event belongs to.
    Sender,
    /// All members of the event's room, resolved at the end of the chain.
    EventRoom,
    /// All members of a room of the event's namespace.
    Room(String),
    /// One socket, by its public id.
    Socket(String),
    /// Every socket of a user in the event's namespace.
    User(String),
    /// Every socket of the event's namespace.
    Everyone,
}

/// Targets, and the sockets that are left out. Each socket is reached once, however many targets it fits.
///
/// ```
/// use hubbub_plugin::To;
///
/// let to = To::room("lobby").and(To::user("alice")).except("socket-7");
/// assert_eq!(to, To::room("lobby").except("socket-7").and(To::user("alice")));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct To {
    pub(crate) targets: Vec<Target>,
    pub(crate) except: Vec<String>,
}

impl To {
    /// The socket that the event belongs to.
    pub fn sender() -> Self {
        Target::Sender.into()
    }

    /// All members of the event's room: a join's or leave's room, the rooms that a message is targeted at. It is
    /// resolved at the end of the chain, so it follows a later plugin's retarget.
    pub fn event_room() -> Self {
        Target::EventRoom.into()
    }

    /// All members of a room of the event's namespace.
    pub fn room(room: impl Into<String>) -> Self {
        Target::Room(room.into()).into()
    }

    /// One socket, by its public id. An id that nobody has reaches nobody.
    pub fn socket(id: impl Into<String>) -> Self {
        Target::Socket(id.into()).into()
    }

    /// Every socket of a user in the event's namespace.
    pub fn user(user: impl Into<String>) -> Self {
        Target::User(user.into()).into()
    }

    /// Every socket of the event's namespace.
    pub fn everyone() -> Self {
        Target::Everyone.into()
    }

    /// These targets and those of `other`; who is left out of one is left out of all.
    pub fn and(mut self, other: To) -> Self {
        self.targets.extend(other.targets);
        self.except.extend(other.except);
        self
    }

    /// Leaves a socket out, by its public id.
    pub fn except(mut self, socket: impl Into<String>) -> Self {
        self.except.push(socket.into());
        self
    }

    /// Leaves out the socket that the event belongs to, if it belongs to one. For use within a hook.
    pub fn except_sender(mut self) -> Self {
        self.except.extend(host::socket());
        self
    }
}

impl From<Target> for To {
    fn from(target: Target) -> Self {
        Self { targets: vec![target], except: Vec::new() }
    }
}
