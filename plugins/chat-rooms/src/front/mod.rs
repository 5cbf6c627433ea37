//! The front: checks what clients send, and makes typed events of it.

mod access;
mod acts;
mod invites;
mod list;
mod members;
mod names;
mod post;
mod review;

use std::time::Duration;

use hubbub_plugin::{Event, prelude::*};
use serde::de::DeserializeOwned;

use crate::{
    config::Config,
    keys::key,
    wire::{Joined, Place, Speaker, Typing, who},
};

/// The front with one event.
pub(crate) struct Front<'a> {
    config: &'a Config,
    event: &'a Event,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JoinBody {
    room: String,
    name: Option<String>,
    password: Option<String>,
    invite: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RoomBody {
    room: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TypingBody {
    room: Option<String>,
    user: Option<String>,
    on: Option<bool>,
}

/// The one argument of a message.
fn body<T: DeserializeOwned>(event: &MessageEvent) -> Result<T, Rejection> {
    let (body,) = event.args()?;
    Ok(body)
}

fn ok(event: &Event) -> Outcome {
    event.ack(json!({ "ok": true }))?;
    Ok(Pass)
}

impl<'a> Front<'a> {
    pub(crate) fn new(config: &'a Config, event: &'a Event) -> Self {
        Self { config, event }
    }

    pub(crate) fn message(&self, event: &MessageEvent) -> Outcome {
        if event.socket().is_none() {
            return Err(reject("no_socket", "only a client can do this").into());
        }
        self.count_event()?;
        match event.name().as_str() {
            "join" => self.join(event),
            "leave" => self.leave(event),
            "create" => self.create(event),
            "invite" => self.invite(event),
            "uninvite" => self.uninvite(event),
            "rename" => self.rename(event),
            "presence" => self.presence(event),
            "typing" => self.typing(event),
            "message" => self.post(event),
            "direct" => self.direct(event),
            "topic" => self.topic(event),
            "mod:approve" => self.number(event),
            _ if !self.config.archive => Err(reject("no_archive", "this hub keeps no messages").into()),
            "rooms" => self.rooms(event),
            "history" => self.history(event),
            "edit" => self.edit(event),
            "delete" => self.delete(event),
            "react" => self.react(event),
            _ => self.read(event),
        }
    }

    /// Refused events count, too.
    fn count_event(&self) -> Result<(), Rejection> {
        let Config { events_max, events_window_s, .. } = *self.config;
        let window = Duration::from_secs(events_window_s);
        match self.event.store().meter(&key("events", &[&who(self.event)]), window) > events_max {
            true => Err(reject("too_fast", format!("{events_max} events in {events_window_s} s are allowed"))),
            false => Ok(()),
        }
    }

    fn join(&self, event: &MessageEvent) -> Outcome {
        let JoinBody { room, name, password, invite } = body(event)?;
        self.config.check_room(&room)?;
        let rooms = event.rooms();
        let you = if rooms.contains(&room) {
            let you = self.speaker(&room)?;
            if name.is_some_and(|name| name != you.name) {
                return Err(reject("already_joined", format!("you are in {room} as {}", you.name)).into());
            }
            you
        } else {
            let max = self.config.rooms_max;
            if rooms.mine().len() >= max {
                return Err(reject("too_many_rooms", format!("a client may be in {max} rooms")).into());
            }
            if rooms.size(&room) >= self.config.members_max {
                return Err(reject("room_full", format!("a room may have {} members", self.config.members_max)).into());
            }
            self.enter(&room, password.as_deref(), invite.as_deref())?;
            let you = self.take_name(&room, name.as_deref())?;
            self.list(&room)?;
            event.join(&room);
            you
        };
        let mut members = self.others(&room)?;
        let is_new = !rooms.contains(&room);
        members.extend(self.listed(&room, &you.socket)?);
        let mut joined = Joined {
            ok: true,
            name: None,
            read_id: 0,
            members_count: rooms.size(&room) + u32::from(is_new),
            topic: None,
            last_id: self.last_id(&[String::from("room"), room.clone()])?,
            room,
            you,
            members,
        };
        if self.config.archive {
            // it knows the topic, the last message that was kept and the last that was read; moderation may judge the name
            joined.name = Some(joined.you.name.clone());
            event.set_args(joined)?;
            event.retarget(To::sender());
        } else {
            event.ack(joined)?;
        }
        Ok(Pass)
    }

    fn leave(&self, event: &MessageEvent) -> Outcome {
        let RoomBody { room } = body(event)?;
        self.check_member(&room)?;
        event.leave(&room, "left");
        ok(event)
    }

    fn typing(&self, event: &MessageEvent) -> Outcome {
        let TypingBody { room, user, on } = body(event)?;
        let place = self.place(room, user)?;
        let (to, who) = match &place {
            Place::Room(room) => (To::room(room.clone()), self.speaker(room)?),
            Place::To(user) => (To::user(user.clone()), self.user_speaker(self.check_user(user)?)),
        };
        // the archive makes it volatile: moderation sees it before
        event.retarget(to.except_sender());
        event.set_args(Typing { place, who, on: on.unwrap_or(true) })?;
        ok(event)
    }

    /// The event's socket as a user among users, without a room.
    fn user_speaker(&self, user: String) -> Speaker {
        Speaker { name: user.clone(), socket: self.event.socket().unwrap_or_default(), user: Some(user) }
    }

    fn check_member(&self, room: &str) -> Result<(), Rejection> {
        match self.event.rooms().contains(room) {
            true => Ok(()),
            false => Err(reject("not_a_member", format!("not a member of {room}"))),
        }
    }
}

fn not_allowed(what: &str) -> Stop {
    reject("not_allowed", format!("you may not {what}")).into()
}
