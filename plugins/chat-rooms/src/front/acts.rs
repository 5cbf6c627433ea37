//! Acts on what is kept: edits, deletes, reactions, receipts, topics, and what a client asks of it. The front checks them
//! and hands them on to the archive.

use hubbub_plugin::prelude::*;

use super::{Front, body, not_allowed};
use crate::{
    config::Text,
    wire::{Act, Delete, Edit, Page, Place, React, Read, Topic, who},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EditBody {
    room: Option<String>,
    user: Option<String>,
    id: u64,
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IdBody {
    room: Option<String>,
    user: Option<String>,
    id: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReactBody {
    room: Option<String>,
    user: Option<String>,
    id: u64,
    emoji: String,
    on: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TopicBody {
    room: String,
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HistoryBody {
    room: Option<String>,
    user: Option<String>,
    before: Option<u64>,
    limit: Option<usize>,
}

impl Front<'_> {
    pub(super) fn edit(&self, event: &MessageEvent) -> Outcome {
        let EditBody { room, user, id, text } = body(event)?;
        self.config.text().check(&text)?;
        let place = self.place(room, user)?;
        let mentions = match &place {
            Place::Room(room) => self.mentions(room, &text)?,
            Place::To(_) => Vec::new(),
        };
        self.act(event, place, Edit { id, text, mentions })
    }

    pub(super) fn delete(&self, event: &MessageEvent) -> Outcome {
        let IdBody { room, user, id } = body(event)?;
        self.act(event, self.place(room, user)?, Delete { id })
    }

    pub(super) fn react(&self, event: &MessageEvent) -> Outcome {
        let ReactBody { room, user, id, emoji, on } = body(event)?;
        self.check_emoji(&emoji)?;
        self.act(event, self.place(room, user)?, React { id, emoji, on })
    }

    pub(super) fn read(&self, event: &MessageEvent) -> Outcome {
        let IdBody { room, user, id } = body(event)?;
        self.act(event, self.place(room, user)?, Read { id })
    }

    pub(super) fn topic(&self, event: &MessageEvent) -> Outcome {
        let TopicBody { room, text } = body(event)?;
        let max_chars = self.config.topic_max_chars;
        if !text.is_empty() {
            Text { field: "text", code: "text_invalid", max_chars }.check(&text)?;
        }
        self.check_member(&room)?;
        if !self.may_govern(&room)? {
            return Err(not_allowed("set the topic of this room"));
        }
        self.act(event, Place::Room(room), Topic { text })
    }

    pub(super) fn history(&self, event: &MessageEvent) -> Outcome {
        let HistoryBody { room, user, before, limit } = body(event)?;
        let place = self.place(room, user)?;
        let max = self.config.history_page_max;
        let limit = limit.unwrap_or(max);
        if !(1..=max).contains(&limit) {
            return Err(reject("limit_invalid", format!("`limit`: must be 1 to {max}")).into());
        }
        event.set_args(Page { place, who: who(event), before, limit })?;
        event.retarget(To::sender());
        Ok(Pass)
    }

    /// A room that the event's socket is in, or another user.
    pub(super) fn place(&self, room: Option<String>, user: Option<String>) -> Result<Place, Rejection> {
        match (room, user) {
            (Some(room), None) => {
                self.check_member(&room)?;
                Ok(Place::Room(room))
            }
            (None, Some(user)) => {
                self.check_user(&user)?;
                Ok(Place::To(user))
            }
            _ => Err(reject(hubbub_plugin::BAD_REQUEST, "either `room` or `user` must be given")),
        }
    }

    /// Hands an act on to the archive. It has a target, which no client can give: so the archive knows whose it is.
    /// What two users say to each other no moderator can change.
    fn act<T: Serialize>(&self, event: &MessageEvent, place: Place, what: T) -> Outcome {
        let (by, moderator) = match &place {
            Place::Room(room) => (self.speaker(room)?, self.config.is_moderator(event)),
            Place::To(user) => (self.user_speaker(self.check_user(user)?), false),
        };
        event.retarget(match &place {
            Place::Room(room) => To::room(room.clone()),
            Place::To(user) => To::user(user.clone()).and(To::user(by.user.clone().unwrap_or_default())),
        });
        event.set_args(Act { place, by, time_ms: event.received_ms(), moderator, what })?;
        Ok(Pass)
    }

    fn check_emoji(&self, emoji: &str) -> Result<(), Rejection> {
        let max = self.config.emoji_max_chars;
        let fits = (1..=max).contains(&emoji.chars().count())
            && !emoji.is_ascii()
            && !emoji.chars().any(|c| c.is_alphabetic() || c.is_whitespace() || c.is_control());
        match fits {
            true => Ok(()),
            false => Err(reject("emoji_invalid", format!("`emoji`: must be one emoji of at most {max} characters"))),
        }
    }
}
