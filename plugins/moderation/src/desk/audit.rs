//! The audit list: what was done to whom by which rule or moderator. It never holds the text of a message.
//!
//! It is spread over several lists by whom an entry is about: each fits one value of the store, and who makes many
//! entries pushes out those of few others.

use std::time::Duration;

use hubbub_plugin::{Level, log_write, prelude::*, serde_json};

use super::{Desk, who::Who};
use crate::fingerprint;

const LISTS: u64 = 32;
const ENTRIES_PER_LIST: u32 = 32;
/// An entry with longer texts loses some of them: a list must fit one value.
const ENTRY_MAX_BYTES: usize = 1500;
const TEXT_MAX_CHARS: usize = 64;
const MINUTE: Duration = Duration::from_secs(60);

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub id: u64,
    pub time_ms: u64,
    pub act: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Of a rule that was changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

fn list(number: u64) -> String {
    format!("audit:{number}")
}

fn clip(text: &mut Option<String>) {
    if let Some(text) = text
        && let Some((at, _)) = text.char_indices().nth(TEXT_MAX_CHARS)
    {
        text.truncate(at);
    }
}

impl Desk<'_> {
    /// Logs a decision and writes it down, as far as not too many are about the same client. `whom` gives the list.
    pub(crate) fn note(&self, whom: &Who, mut entry: Entry) -> Result<(), Stop> {
        let say = |text: &Option<String>| text.as_deref().map_or_else(|| "-".into(), |t| t.escape_debug().to_string());
        let Entry { user, socket, room, rule, code, by, .. } = &entry;
        let (user, socket, room) = (say(user), say(socket), say(room));
        let (rule, code, by) = (say(rule), say(code), say(by));
        let act = &entry.act;
        let line = format!("{act} rule={rule} code={code} user={user} socket={socket} room={room} by={by}");
        log_write(Level::Info, &line);
        let max = self.config.audit_per_minute_max;
        if self.store().meter(&whom.key("noted", &[]), MINUTE) > max {
            return Ok(());
        }
        let mark = fingerprint(&whom.key("", &[]));
        entry.time_ms = self.now_ms();
        // grows with time, and two entries of one millisecond differ
        let salt = fingerprint(&format!("{mark} {} {}", self.event.socket().unwrap_or_default(), entry.act));
        entry.id = entry.time_ms.saturating_mul(1000) + salt % 1000;
        let Entry { user, socket, room, event, rule, by, reason, name, .. } = &mut entry;
        [user, socket, room, event, rule, by, reason, name].into_iter().for_each(clip);
        if serde_json::to_vec(&entry)?.len() > ENTRY_MAX_BYTES {
            entry = Entry { room: None, event: None, reason: None, name: None, ..entry };
        }
        Ok(self.store().push(&list(mark % LISTS), &entry, ENTRIES_PER_LIST)?)
    }

    /// Newest first, and whether there are older ones.
    pub(super) fn audit(
        &self,
        before: Option<u64>,
        limit: usize,
        user: Option<String>,
    ) -> Result<(Vec<Entry>, bool), Stop> {
        let mut user = user;
        clip(&mut user);
        let before = before.unwrap_or(u64::MAX);
        let mut entries: Vec<Entry> = Vec::new();
        for number in 0..LISTS {
            let fits = |entry: &Entry| entry.id < before && (user.is_none() || entry.user == user);
            entries.extend(self.store().items::<Entry>(&list(number))?.into_iter().filter(fits));
        }
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.id));
        let more = entries.len() > limit;
        entries.truncate(limit);
        Ok((entries, more))
    }
}
