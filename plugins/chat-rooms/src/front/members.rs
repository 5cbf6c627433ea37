//! Who is in a room, and what its members are told of each other: comings and goings, new names, who is away.

use std::time::Duration;

use hubbub_plugin::prelude::*;

use super::{Front, body, ok};
use crate::{
    keys::key,
    wire::{Listed, Renamed, Speaker, Status, who},
};

const NOTICES_WINDOW: Duration = Duration::from_secs(60);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RenameBody {
    room: String,
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PresenceBody {
    room: String,
    status: Status,
}

/// A notice of who came or went.
#[derive(Serialize)]
struct Presence<'a> {
    room: &'a str,
    #[serde(flatten)]
    who: &'a Speaker,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

/// A notice of who looks at the room, or does no more.
#[derive(Serialize)]
struct Seen<'a> {
    room: &'a str,
    #[serde(flatten)]
    listed: Listed,
}

impl Front<'_> {
    /// A socket has become member, by its own wish or by an order.
    pub(crate) fn joined(&self, room: &str) -> Result<(), Stop> {
        if self.event.socket().is_none() {
            return Ok(());
        }
        let who = self.speaker(room)?;
        if self.config.notices {
            self.event.emit(To::event_room(), "joined", Presence { room, who: &who, reason: None })?;
        }
        Ok(())
    }

    /// A socket has left.
    pub(crate) fn left(&self, room: &str, reason: &str) -> Result<(), Stop> {
        if let Some(who) = self.free_name(room)?
            && self.config.notices
        {
            self.event.emit(To::event_room(), "left", Presence { room, who: &who, reason: Some(reason) })?;
        }
        Ok(())
    }

    /// Gives the event's socket another name. Moderation judges it like any message.
    pub(super) fn rename(&self, event: &MessageEvent) -> Outcome {
        let RenameBody { room, name } = body(event)?;
        self.check_member(&room)?;
        let was = self.speaker(&room)?;
        if was.name == name {
            return ok(event);
        }
        self.count_notice()?;
        let now = self.change_name(&room, &was, &name)?;
        event.ack(json!({ "ok": true, "you": now }))?;
        event.set_name("renamed");
        event.retarget(To::room(room.clone()));
        event.set_args(Renamed { room, who: now, was: was.name })?;
        Ok(Pass)
    }

    /// Whether the event's socket looks at the room: what its own page says, and what a lost connection does not change.
    pub(super) fn presence(&self, event: &MessageEvent) -> Outcome {
        let PresenceBody { room, status } = body(event)?;
        self.check_member(&room)?;
        event.ack(json!({ "ok": true }))?;
        if !self.set_status(&room, status)? {
            return Ok(Swallow);
        }
        self.count_notice()?;
        let listed = Listed { who: self.speaker(&room)?, status };
        event.retarget(To::room(room.clone()));
        event.set_args(Seen { room: &room, listed })?;
        Ok(Pass)
    }

    /// Each of them is told to a whole room.
    fn count_notice(&self) -> Result<(), Rejection> {
        let max = self.config.notices_max;
        match self.event.store().meter(&key("notices", &[&who(self.event)]), NOTICES_WINDOW) > max {
            true => Err(reject("too_fast", format!("{max} new names and presences in a minute are allowed"))),
            false => Ok(()),
        }
    }

    /// Who else is in the room, as many as may be listed.
    pub(super) fn others(&self, room: &str) -> Result<Vec<Listed>, Stop> {
        let me = self.event.socket().unwrap_or_default();
        let mut others = Vec::new();
        let max = self.config.members_listed_max;
        for socket in self.event.rooms().members(room, max.saturating_add(1)) {
            if socket == me || others.len() >= max as usize {
                continue;
            }
            others.extend(self.listed(room, &socket)?);
        }
        Ok(others)
    }
}
