//! One event as those who look on are told of it.

use serde::Serialize;

use super::Did;
use crate::{event::SocketId, seeing::serialize};

/// Of a name, room or user in a record; longer ones are cut.
const TEXT_MAX_BYTES: usize = 256;

/// One event of a client, an order, a publish or a lost connection, with all that it led to. What it said is not in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Record {
    /// When it began, in milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// Of the chain that it ran down.
    pub revision: u64,
    pub namespace: String,
    #[serde(serialize_with = "serialize::socket")]
    pub socket: Option<SocketId>,
    pub user: Option<String>,
    /// `message`, `connect`, ...
    pub kind: &'static str,
    /// Who caused it: `client`, `plugin`, `server`, `node-death`.
    pub origin: &'static str,
    /// What it was called, the first name first; then the names of what it raised. For events other than messages: what they
    /// are.
    pub names: Vec<String>,
    /// The rooms that it and what it raised had to do with.
    pub rooms: Vec<String>,
    /// The plugins' turns in their order.
    pub steps: Vec<Step>,
    #[serde(skip_serializing_if = "is_zero")]
    pub steps_left_out: usize,
    /// How often the chain ran, because others changed what it relied on. The steps are the last run's.
    pub tries: usize,
    /// `passed`, `swallowed`, or the hub's code of a refusal.
    pub outcome: &'static str,
    /// The plugin's own code, of a rejection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What was performed, in its order: `emit say to room tea`, `join tea`, `ack`, ...
    pub effects: Vec<String>,
    #[serde(skip_serializing_if = "is_zero")]
    pub effects_left_out: usize,
    /// Whether the log took it; if not, nothing was performed.
    pub is_logged: bool,
    /// From its beginning until the log had it.
    pub total_us: u64,
}

/// One plugin's turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    pub plugin: String,
    pub version: String,
    pub hook: &'static str,
    /// The event that it was, if it was raised by the one that the record is of: the name of a message, the room of a join.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raised: Option<String>,
    /// `pass`, `change`, `swallow`, `reject`, `fail`; or it was not called: `quarantined`, `not_asked`.
    pub verdict: &'static str,
    /// The code of a rejection; of a failure `trap`, `error`, ... or the name of the limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    pub us: u64,
}

impl Step {
    pub(super) fn new(did: &Did<'_>, is_raised: bool) -> Self {
        Self {
            plugin: cut(did.plugin).to_owned(),
            version: cut(did.version).to_owned(),
            hook: did.kind.hook(),
            raised: is_raised.then(|| cut(did.what).to_owned()),
            verdict: did.verdict,
            why: did.why.map(|why| cut(why).to_owned()),
            us: did.took.as_micros() as u64,
        }
    }
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// As much of a text as is told.
pub fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_MAX_BYTES)]
}

/// Adds a text that is not there yet, if there is room.
pub fn push_cut(texts: &mut Vec<String>, text: &str, max: usize) {
    let text = cut(text);
    if texts.len() < max && !texts.iter().any(|known| known == text) {
        texts.push(text.to_owned());
    }
}
