//! The messages of a room or a pair, one value of the store each.
//!
//! Kept in one list or set, a room's history would have to fit one value, and would be written whole with each message.
//! So each message has a key of its own with a dense number; ids grow with these numbers, but may leave gaps (a message
//! that moderation sent elsewhere has an id, too), and are found by halving.

use std::time::Duration;

use hubbub_plugin::{Event, Store, prelude::*};

use super::unknown_message;
use crate::{
    config::{Config, days},
    keys::key,
    wire::Posted,
};

/// A message as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Record {
    pub posted: Posted,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reactions: Vec<Reaction>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Reaction {
    pub emoji: String,
    /// Marks of those who reacted.
    pub by: Vec<String>,
}

/// The newest message.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    at: u64,
    id: u64,
    time_ms: u64,
}

/// How far somebody has read: an id, and the place of the last message up to it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct ReadTo {
    pub id: u64,
    pub at: u64,
}

/// The messages of one thread.
pub(super) struct Log<'a> {
    config: &'a Config,
    event: &'a Event,
    thread: Vec<String>,
}

/// A message as clients get it.
#[derive(Serialize)]
pub(super) struct Shown {
    #[serde(flatten)]
    posted: Posted,
    #[serde(skip_serializing_if = "Option::is_none")]
    edited_ms: Option<u64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    deleted: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reactions: Vec<ShownReaction>,
}

#[derive(Serialize)]
struct ShownReaction {
    emoji: String,
    count: usize,
    mine: bool,
}

impl Record {
    /// What somebody is shown; `me` is the mark of who asks.
    pub(super) fn shown_to(self, me: &str) -> Shown {
        let Self { posted, edited_ms, deleted, reactions } = self;
        let shown =
            |Reaction { emoji, by }| ShownReaction { emoji, count: by.len(), mine: by.iter().any(|by| by == me) };
        Shown { posted, edited_ms, deleted, reactions: reactions.into_iter().map(shown).collect() }
    }
}

impl<'a> Log<'a> {
    pub(super) fn new(config: &'a Config, event: &'a Event, thread: Vec<String>) -> Self {
        Self { config, event, thread }
    }

    fn store(&self) -> Store<'_> {
        self.event.store()
    }

    fn key(&self, kind: &str, at: Option<u64>) -> String {
        let at = at.map(|at| at.to_string());
        key(kind, &self.thread.iter().chain(&at).map(String::as_str).collect::<Vec<_>>())
    }

    fn record(&self, at: u64) -> Result<Option<Record>, Failure> {
        self.store().get(&self.key("message", Some(at)))
    }

    fn head(&self) -> Result<Option<Head>, Failure> {
        self.store().get(&self.key("head", None))
    }

    /// 0 before the first message.
    pub(super) fn last_id(&self) -> Result<u64, Failure> {
        Ok(self.head()?.map_or(0, |head| head.id))
    }

    /// Gives the message's place. Messages fall out at the other end.
    pub(super) fn append(&self, posted: Posted) -> Result<u64, Failure> {
        let old = self.head()?;
        let at = old.as_ref().map_or(0, |head| head.at) + 1;
        let new = Head { at, id: posted.id, time_ms: posted.time_ms };
        let ttl = Some(days(self.config.ids_ttl_days));
        self.store().compare_and_set(&self.key("head", None), old.as_ref(), Some(&new), ttl)?;
        let record = Record { posted, edited_ms: None, deleted: false, reactions: Vec::new() };
        self.store().set(&self.key("message", Some(new.at)), &record, Some(days(self.config.history_ttl_days)))?;
        if new.at > self.config.history_max {
            self.store().delete(&self.key("message", Some(new.at - self.config.history_max)));
        }
        Ok(at)
    }

    fn read_key(&self, who: &str) -> String {
        key("read", &self.thread.iter().map(String::as_str).chain([who]).collect::<Vec<_>>())
    }

    /// How far somebody has read.
    pub(super) fn read_to(&self, who: &str) -> Result<ReadTo, Failure> {
        Ok(self.store().get(&self.read_key(who))?.unwrap_or_default())
    }

    /// Kept for as long as anything that was not read: else all of it would be unread again.
    pub(super) fn note_read(&self, who: &str, read: ReadTo) -> Result<(), Failure> {
        self.store().set(&self.read_key(who), &read, Some(days(self.config.history_ttl_days.saturating_mul(2))))
    }

    /// The place of the last message that has this id or an earlier one.
    pub(super) fn last_up_to(&self, id: u64) -> Result<u64, Failure> {
        match self.head()? {
            Some(head) if head.id == id => Ok(head.at),
            _ => Ok(self.place_of(id.saturating_add(1))?.0 - 1),
        }
    }

    /// How many kept messages are behind that.
    pub(super) fn unread(&self, read: &ReadTo) -> Result<u64, Failure> {
        let Some(head) = self.head()? else { return Ok(0) };
        let age_ms = self.event.received_ms().saturating_sub(head.time_ms);
        match u128::from(age_ms) >= days(self.config.history_ttl_days).as_millis() {
            true => Ok(0),
            false => Ok(head.at.saturating_sub(read.at).min(self.config.history_max)),
        }
    }

    /// The first place whose message has at least this id, and the place behind the last one. What is gone is older.
    fn place_of(&self, id: u64) -> Result<(u64, u64), Failure> {
        let Some(Head { at: last, .. }) = self.head()? else { return Ok((1, 1)) };
        let (mut low, mut high) = (last.saturating_sub(self.config.history_max) + 1, last + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.record(middle)? {
                Some(record) if record.posted.id >= id => high = middle,
                _ => low = middle + 1,
            }
        }
        Ok((low, last + 1))
    }

    /// A message that is there and not deleted, and its place.
    pub(super) fn find_live(&self, id: u64) -> Result<(u64, Record), Stop> {
        let (at, _) = self.place_of(id)?;
        match self.record(at)? {
            Some(record) if record.posted.id == id && !record.deleted => Ok((at, record)),
            _ => Err(unknown_message()),
        }
    }

    /// Keeps a changed message for as long as it would have been kept unchanged. Of two at once one is handled again.
    pub(super) fn replace(&self, at: u64, old: &Record, new: &Record) -> Result<(), Failure> {
        let age_ms = self.event.received_ms().saturating_sub(old.posted.time_ms);
        let rest = days(self.config.history_ttl_days).saturating_sub(Duration::from_millis(age_ms));
        let ttl = Some(rest.max(Duration::from_secs(1)));
        self.store().compare_and_set(&self.key("message", Some(at)), Some(old), Some(new), ttl)?;
        Ok(())
    }

    /// Up to `limit` messages before an id, oldest first, and whether there are older ones.
    pub(super) fn page(&self, before: Option<u64>, limit: usize) -> Result<(Vec<Record>, bool), Failure> {
        let (at, _) = self.place_of(before.unwrap_or(u64::MAX))?;
        let (mut records, mut bytes) = (Vec::new(), 0);
        for at in (1..at).rev() {
            let Some(record) = self.record(at)? else { break };
            bytes += record.posted.text.len() + 500;
            if records.len() == limit || (bytes > self.config.history_page_max_bytes && !records.is_empty()) {
                records.reverse();
                return Ok((records, true));
            }
            records.push(record);
        }
        records.reverse();
        Ok((records, false))
    }
}
