//! What goes down the chain and out to clients.

use hubbub_plugin::{Event, prelude::*};

use crate::keys::digest;

/// Who says it, as others see them.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub(crate) struct Speaker {
    pub name: String,
    pub socket: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}

/// Whether a member looks at the room, as it says itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    #[default]
    Here,
    Away,
}

/// A member in a list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Listed {
    #[serde(flatten)]
    pub who: Speaker,
    pub status: Status,
}

/// A message to a room (`room`) or to a user (`to`), with all that the front says of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "FlatPosted", into = "FlatPosted")]
pub(crate) struct Posted {
    pub place: Place,
    pub id: u64,
    pub time_ms: u64,
    pub from: Speaker,
    pub text: String,
    pub client_id: Option<String>,
    pub reply_to: Option<u64>,
    pub mentions: Vec<Mention>,
}

/// A [`Posted`] as it is written. One level, because serde buffers what it has to flatten: a page of history is read
/// in a third of the time.
#[derive(Clone, Serialize, Deserialize)]
struct FlatPosted {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    room: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    id: u64,
    time_ms: u64,
    name: String,
    socket: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reply_to: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    mentions: Vec<Mention>,
}

impl From<Posted> for FlatPosted {
    fn from(posted: Posted) -> Self {
        let Posted { place, id, time_ms, from, text, client_id, reply_to, mentions } = posted;
        let Speaker { name, socket, user } = from;
        let (room, to) = match place {
            Place::Room(room) => (Some(room), None),
            Place::To(user) => (None, Some(user)),
        };
        Self { room, to, id, time_ms, name, socket, user, text, client_id, reply_to, mentions }
    }
}

impl TryFrom<FlatPosted> for Posted {
    type Error = &'static str;

    fn try_from(flat: FlatPosted) -> Result<Self, Self::Error> {
        let FlatPosted { room, to, id, time_ms, name, socket, user, text, client_id, reply_to, mentions } = flat;
        let place = match (room, to) {
            (Some(room), None) => Place::Room(room),
            (None, Some(user)) => Place::To(user),
            _ => return Err("a message goes either to a room or to a user"),
        };
        let from = Speaker { name, socket, user };
        Ok(Self { place, id, time_ms, from, text, client_id, reply_to, mentions })
    }
}

/// Where a message goes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Place {
    Room(String),
    /// A user.
    To(String),
}

/// A member whom a message mentions.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Mention {
    pub name: String,
    /// The member's sockets when the message was sent, for members without a user.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sockets: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}

impl Mention {
    /// Whether both are of one member.
    pub(crate) fn is_of(&self, other: &Mention) -> bool {
        match (&self.user, &other.user) {
            (None, None) => self.sockets.iter().any(|socket| other.sockets.contains(socket)),
            (mine, others) => mine == others,
        }
    }
}

/// An act on what the archive keeps, on its way from the front to it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Act<T> {
    #[serde(flatten)]
    pub place: Place,
    #[serde(flatten)]
    pub by: Speaker,
    pub time_ms: u64,
    pub moderator: bool,
    #[serde(flatten)]
    pub what: T,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Edit {
    pub id: u64,
    pub text: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<Mention>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Delete {
    pub id: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct React {
    pub id: u64,
    pub emoji: String,
    pub on: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Read {
    pub id: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Topic {
    pub text: String,
}

/// The ack of a join.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Joined {
    pub ok: bool,
    pub room: String,
    pub you: Speaker,
    /// The name once more, where moderation looks; not in the ack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub members: Vec<Listed>,
    /// How many there are, more than listed perhaps.
    pub members_count: u32,
    pub topic: Option<String>,
    pub last_id: u64,
    /// How far the user has read.
    pub read_id: u64,
}

/// Somebody has another name.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Renamed {
    pub room: String,
    #[serde(flatten)]
    pub who: Speaker,
    pub was: String,
}

/// Somebody writes, or does no more.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Typing {
    #[serde(flatten)]
    pub place: Place,
    #[serde(flatten)]
    pub who: Speaker,
    pub on: bool,
}

/// What a client may be shown of rooms; on its way from the front to the archive.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Listing {
    pub rooms: Vec<String>,
    pub public: Option<Vec<PublicRoom>>,
    /// Who asks.
    pub who: String,
}

/// A public room in which somebody is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PublicRoom {
    pub room: String,
    pub members_count: u32,
    pub topic: Option<String>,
}

/// A page of history is wanted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Page {
    #[serde(flatten)]
    pub place: Place,
    /// Who asks.
    pub who: String,
    #[serde(default)]
    pub before: Option<u64>,
    pub limit: usize,
}

/// Who acts: the user, else the socket. Two kinds never look alike.
pub(crate) fn who(event: &Event) -> String {
    match event.user() {
        Some(user) => format!("user {user}"),
        None => format!("socket {}", event.socket().unwrap_or_default()),
    }
}

/// The same, of one who spoke.
pub(crate) fn who_spoke(speaker: &Speaker) -> String {
    match &speaker.user {
        Some(user) => format!("user {user}"),
        None => format!("socket {}", speaker.socket),
    }
}

/// A short form of [`who`] that tells nobody who it was.
pub(crate) fn mark(who: &str) -> String {
    digest(who)[..16].to_owned()
}

impl Place {
    /// The texts that stand for it in a key. A pair of users has one, whoever of them asks.
    pub(crate) fn thread(&self, me: Option<&str>) -> Vec<String> {
        match self {
            Place::Room(room) => vec!["room".into(), room.clone()],
            Place::To(user) => {
                let mut pair = [user.clone(), me.unwrap_or_default().to_owned()];
                pair.sort();
                let [a, b] = pair;
                vec!["pair".into(), a, b]
            }
        }
    }
}
