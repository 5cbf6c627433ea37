//! What is said: to rooms, and to users.

use hubbub_plugin::prelude::*;

use super::{Front, body};
use crate::{
    config::{days, hours},
    keys::key,
    wire::{Mention, Place, Posted, who},
};

/// More ids than one thread can have lost when a node was killed.
const EPOCH_IDS: u64 = 1_000_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MessageBody {
    room: String,
    text: String,
    client_id: Option<String>,
    reply_to: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DirectBody {
    to: String,
    text: String,
    client_id: Option<String>,
}

/// The last id of a thread, and in which life of the store it was given.
#[derive(Debug, Serialize, Deserialize)]
struct LastId {
    id: u64,
    epoch: u64,
}

impl Front<'_> {
    pub(super) fn post(&self, event: &MessageEvent) -> Outcome {
        let MessageBody { room, text, client_id, reply_to } = body(event)?;
        self.config.check_room(&room)?;
        self.config.text().check(&text)?;
        let place = Place::Room(room.clone());
        if !self.is_first(&place, client_id.as_deref())? {
            return Ok(Swallow);
        }
        self.check_member(&room)?;
        self.renew_room(&room)?;
        let from = self.speaker(&room)?;
        let id = self.next_id(&place)?;
        if reply_to.is_some_and(|to| !(1..id).contains(&to)) {
            return Err(reject("unknown_message", "`reply_to`: there is no such message").into());
        }
        let mentions = self.mentions(&room, &text)?;
        event.retarget(To::room(room));
        self.send(event, Posted { place, id, time_ms: event.received_ms(), from, text, client_id, reply_to, mentions })
    }

    pub(super) fn direct(&self, event: &MessageEvent) -> Outcome {
        let DirectBody { to, text, client_id } = body(event)?;
        let me = self.check_user(&to)?;
        self.config.text().check(&text)?;
        let place = Place::To(to.clone());
        if !self.is_first(&place, client_id.as_deref())? {
            return Ok(Swallow);
        }
        let id = self.next_id(&place)?;
        let from = self.user_speaker(me.clone());
        event.retarget(To::user(to).and(To::user(me)).except_sender());
        let (time_ms, reply_to, mentions) = (event.received_ms(), None, Vec::new());
        self.send(event, Posted { place, id, time_ms, from, text, client_id, reply_to, mentions })
    }

    fn send(&self, event: &MessageEvent, posted: Posted) -> Outcome {
        event.ack(json!({ "ok": true, "id": posted.id, "time_ms": posted.time_ms }))?;
        event.set_args(posted)?;
        Ok(Pass)
    }

    /// Whether the client says this for the first time; if not, it has the ack of the first time.
    fn is_first(&self, place: &Place, client_id: Option<&str>) -> Result<bool, Stop> {
        let Some(client_id) = client_id else { return Ok(true) };
        let max = self.config.client_id_max_bytes;
        if !(1..=max).contains(&client_id.len()) {
            return Err(reject("client_id_invalid", format!("`client_id`: must have 1 to {max} bytes")).into());
        }
        let (who, thread) = (who(self.event), self.thread(place));
        let parts: Vec<&str> = [&*who, client_id].into_iter().chain(thread.iter().map(String::as_str)).collect();
        Ok(self.event.store().once(&key("once", &parts), hours(self.config.client_id_ttl_hours)))
    }

    fn thread(&self, place: &Place) -> Vec<String> {
        place.thread(self.event.user().as_deref())
    }

    /// The number of the last message, 0 before the first one.
    pub(super) fn last_id(&self, thread: &[String]) -> Result<u64, Failure> {
        Ok(self.event.store().get::<LastId>(&id_key(thread))?.map_or(0, |last| last.id))
    }

    /// Compared and set, so that no two messages have one number: of two at once, one is handled again. A node that was
    /// killed may have lost the last numbers that clients saw, so none of those behind is given again.
    fn next_id(&self, place: &Place) -> Result<u64, Failure> {
        self.next_id_of(&self.thread(place))
    }

    /// The same for a thread that may be somebody else's.
    pub(super) fn next_id_of(&self, thread: &[String]) -> Result<u64, Failure> {
        let (store, key) = (self.event.store(), id_key(thread));
        let (last, epoch): (Option<LastId>, _) = (store.get(&key)?, store.epoch());
        let id = last.as_ref().map_or(1, |last| last.id + if last.epoch == epoch { 1 } else { EPOCH_IDS });
        let new = LastId { id, epoch };
        store.compare_and_set(&key, last.as_ref(), Some(&new), Some(days(self.config.ids_ttl_days)))?;
        Ok(id)
    }

    /// Members whose names stand behind an `@` in the text, each once.
    pub(super) fn mentions(&self, room: &str, text: &str) -> Result<Vec<Mention>, Failure> {
        let mut mentions: Vec<Mention> = Vec::new();
        let mut asked = 0;
        let mut before = ' ';
        for (at, c) in text.char_indices() {
            let is_start = c == '@' && !before.is_alphanumeric() && before != '@';
            before = c;
            if !is_start {
                continue;
            }
            // a text of nothing but `@` costs no more than one that mentions everybody it may
            asked += 1;
            if asked > self.config.mentions_max {
                break;
            }
            if let Some(mention) = self.mention(room, &text[at + 1..])?
                && mentions.iter().all(|m| m.name != mention.name)
            {
                mentions.push(mention);
            }
        }
        Ok(mentions)
    }

    /// The member whose name a text begins with; marks behind a name are no part of it, unless they are.
    fn mention(&self, room: &str, text: &str) -> Result<Option<Mention>, Failure> {
        const MARKS_MAX: usize = 3;
        let end = text.find(|c: char| c.is_whitespace() || c == '@').unwrap_or(text.len());
        let mut name = &text[..end];
        for _ in 0..=MARKS_MAX {
            if name.is_empty() {
                return Ok(None);
            }
            if name.chars().count() <= self.config.name_max_chars
                && let Some(holder) = self.holder(room, name)?
            {
                let sockets = if holder.user.is_some() { Vec::new() } else { holder.sockets };
                return Ok(Some(Mention { name: holder.name, sockets, user: holder.user }));
            }
            match name.strip_suffix(|c: char| !c.is_alphanumeric()) {
                Some(shorter) => name = shorter,
                None => return Ok(None),
            }
        }
        Ok(None)
    }
}

fn id_key(thread: &[String]) -> String {
    key("id", &thread.iter().map(String::as_str).collect::<Vec<_>>())
}
