//! The words that all parts share: ids, events, payloads, targets, and who a socket is.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use parking_lot::Mutex;

/// Text that is shared, never changed: room names, namespaces, user ids.
pub type Text = Arc<str>;

/// 20 base64url characters of 15 random bytes: what every id is made of. It cannot be printed, as some are secrets.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct RandomText([u8; 20]);

impl RandomText {
    /// A new one, from the system's randomness.
    pub(crate) fn new() -> Self {
        let mut raw = [0u8; 15];
        getrandom::fill(&mut raw).expect("the system has randomness: nothing works safely without");
        let mut text = [0u8; 20];
        URL_SAFE_NO_PAD.encode_slice(raw, &mut text).expect("15 bytes make 20 base64 characters");
        Self(text)
    }

    /// What `text` spells; `None` when it cannot be one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 20] = text.as_bytes().try_into().ok()?;
        bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')).then_some(Self(bytes))
    }

    /// The 20 characters.
    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("only ASCII is ever stored")
    }
}

/// The public id of a socket: 20 random base64url characters, no secret, never the transport's id.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SocketId(RandomText);

impl SocketId {
    /// A new id from 15 bytes of the system's randomness.
    pub fn random() -> Self {
        Self(RandomText::new())
    }

    /// The id that `text` spells; `None` when it cannot be one.
    pub fn parse(text: &str) -> Option<Self> {
        RandomText::parse(text).map(Self)
    }

    /// The 20 characters.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for SocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for SocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The private id of a socket (`pid`): a secret of its client, who gets the socket back for it after a lost
/// connection. It cannot be printed.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PrivateId(RandomText);

impl PrivateId {
    /// A new id from 15 bytes of the system's randomness.
    pub fn random() -> Self {
        Self(RandomText::new())
    }

    /// The id that `text` spells; `None` when it cannot be one.
    pub fn parse(text: &str) -> Option<Self> {
        RandomText::parse(text).map(Self)
    }

    /// The 20 characters, for its client alone.
    pub fn reveal(&self) -> &str {
        self.0.as_str()
    }
}

/// What happened. The order is the order of kinds: what a hook raises must be of a later kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Connect,
    Answer,
    Message,
    Join,
    Leave,
    Disconnect,
}

impl Kind {
    /// All kinds, in their order.
    pub const ALL: [Kind; 6] = [Kind::Connect, Kind::Answer, Kind::Message, Kind::Join, Kind::Leave, Kind::Disconnect];

    /// Facts have happened already: no verdict undoes them.
    pub fn is_fact(self) -> bool {
        matches!(self, Kind::Leave | Kind::Disconnect)
    }

    /// What it is called in figures and records.
    pub fn name(self) -> &'static str {
        &self.hook()["on_".len()..]
    }

    /// The hook that handles this kind, as plugins and config name it.
    pub fn hook(self) -> &'static str {
        match self {
            Kind::Connect => "on_connect",
            Kind::Answer => "on_answer",
            Kind::Message => "on_message",
            Kind::Join => "on_join",
            Kind::Leave => "on_leave",
            Kind::Disconnect => "on_disconnect",
        }
    }
}

/// Who caused an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Client,
    Plugin,
    Server,
    NodeDeath,
}

/// The arguments of an event: a JSON array as text and the binary attachments that its placeholders number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// `[...]`, checked to be one JSON array with nothing behind it.
    pub args: Text,
    pub attachments: Vec<Bytes>,
}

impl Payload {
    /// A payload without attachments. `args` must be a JSON array.
    pub fn json(args: impl Into<Text>) -> Self {
        Self { args: args.into(), attachments: Vec::new() }
    }

    /// What it counts towards limits on bytes.
    pub fn len_bytes(&self) -> usize {
        self.args.len() + self.attachments.iter().map(Bytes::len).sum::<usize>()
    }
}

impl Default for Payload {
    fn default() -> Self {
        Self::json("[]")
    }
}

/// Whom an emit reaches.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// The socket that the event belongs to.
    Sender,
    /// The event's room, resolved at the end of the chain.
    EventRoom,
    Room(Text),
    Socket(SocketId),
    User(Text),
    /// Every socket of the namespace.
    Everyone,
}

/// Several targets, each socket once, and the sockets left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audience {
    pub to: Vec<Target>,
    pub except: Vec<SocketId>,
}

impl Target {
    /// What it counts towards limits on bytes: itself and its text.
    pub fn len_bytes(&self) -> usize {
        size_of::<Self>()
            + match self {
                Target::Room(text) | Target::User(text) => text.len(),
                Target::Sender | Target::EventRoom | Target::Socket(_) | Target::Everyone => 0,
            }
    }
}

impl Audience {
    /// What it counts towards limits on bytes.
    pub fn len_bytes(&self) -> usize {
        self.to.iter().map(Target::len_bytes).sum::<usize>() + self.except.len() * size_of::<SocketId>()
    }

    /// One target, nobody left out.
    pub fn only(target: Target) -> Self {
        Self { to: vec![target], except: Vec::new() }
    }
}

/// Who has asked a client, and whom its answer is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asker {
    /// The plugin's answer hook is told, and finds `tag` there again.
    Plugin { name: Text, tag: Text },
    /// An operator, who waits under this number.
    Operator(u64),
}

impl Asker {
    /// What it counts towards limits on bytes, beside itself.
    pub fn len_bytes(&self) -> usize {
        match self {
            Asker::Plugin { tag, .. } => tag.len(),
            Asker::Operator(_) => 0,
        }
    }
}

/// Who a socket belongs to, as an identity plugin said while it connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub user: Text,
    pub roles: Vec<Text>,
}

/// What the client sent at its handshake. Only plugins with the capability `credentials` see it.
pub trait Credentials: Send + Sync {
    /// The first value of a request header; `name` in lower case.
    fn header(&self, name: &str) -> Option<String>;
    /// The first value of a query parameter, percent-decoded.
    fn query(&self, name: &str) -> Option<String>;
}

/// A socket as the pipeline sees it: who it is, and its *handled* membership, which only its own
/// events read and change, one after the other.
pub struct Subject {
    pub id: SocketId,
    pub namespace: Text,
    /// The client's address, without port.
    pub address: Option<Text>,
    pub credentials: Option<Arc<dyn Credentials>>,
    identity: OnceLock<Box<Identity>>,
    rooms: Mutex<Vec<Text>>,
}

impl Subject {
    /// A socket that is in no room and belongs to nobody yet.
    pub fn new(
        id: SocketId,
        namespace: Text,
        address: Option<Text>,
        credentials: Option<Arc<dyn Credentials>>,
    ) -> Self {
        Self { id, namespace, address, credentials, identity: OnceLock::new(), rooms: Mutex::default() }
    }

    pub fn identity(&self) -> Option<&Identity> {
        self.identity.get().map(|i| &**i)
    }

    /// The rooms that its events so far led to, in the order of joining.
    pub fn rooms(&self) -> Vec<Text> {
        self.rooms.lock().clone()
    }

    /// Whether its events so far led into `room`.
    pub fn is_in(&self, room: &str) -> bool {
        self.rooms.lock().iter().any(|r| &**r == room)
    }

    /// Takes over what a committed transaction led to.
    pub fn commit(&self, rooms: Option<Vec<Text>>, identity: Option<Identity>) {
        if let Some(mut rooms) = rooms {
            rooms.shrink_to_fit();
            *self.rooms.lock() = rooms;
        }
        if let Some(identity) = identity {
            // the pipeline refuses a second setter; a lost race here would be the same answer
            let _ = self.identity.set(Box::new(identity));
        }
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "socket {} of {}", self.id, self.namespace)
    }
}

/// Milliseconds since the Unix epoch.
pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_random_and_parse_back() {
        let id = SocketId::random();
        assert_eq!(SocketId::parse(id.as_str()), Some(id));
        assert_ne!(id, SocketId::random());
        for bad in ["", "short", "01234567890123456789x", "0123456789/123456789"] {
            assert_eq!(SocketId::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn kinds_are_ordered_as_the_chain_needs() {
        assert!(Kind::ALL.windows(2).all(|w| w[0] < w[1]));
    }
}
