//! The front: checks what clients send, and makes typed events of it.

mod access;
mod names;
mod post;

use std::time::Duration;

use hubbub_plugin::{Event, prelude::*};
use serde::de::DeserializeOwned;

use crate::{
    config::{Config, Text},
    keys::key,
    wire::{Act, Delete, Edit, Joined, Page, Place, React, Read, Speaker, Topic, who},
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
struct TopicBody {
    room: String,
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TypingBody {
    room: String,
    on: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EditBody {
    room: String,
    id: u64,
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IdBody {
    room: String,
    id: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReactBody {
    room: String,
    id: u64,
    emoji: String,
    on: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HistoryBody {
    room: Option<String>,
    user: Option<String>,
    before: Option<u64>,
    limit: Option<usize>,
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
            "typing" => self.typing(event),
            "message" => self.post(event),
            "direct" => self.direct(event),
            "topic" => self.topic(event),
            _ if !self.config.archive => Err(reject("no_archive", "this hub keeps no messages").into()),
            "history" => self.history(event),
            "edit" => {
                let EditBody { room, id, text } = body(event)?;
                self.config.text().check(&text)?;
                self.act(event, room, Edit { id, text })
            }
            "delete" => {
                let IdBody { room, id } = body(event)?;
                self.act(event, room, Delete { id })
            }
            "react" => {
                let ReactBody { room, id, emoji, on } = body(event)?;
                self.check_emoji(&emoji)?;
                self.act(event, room, React { id, emoji, on })
            }
            _ => {
                let IdBody { room, id } = body(event)?;
                self.act(event, room, Read { id })
            }
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
            event.join(&room);
            you
        };
        let mut members = self.others(&room)?;
        let is_new = !rooms.contains(&room);
        members.push(you.clone());
        let joined = Joined {
            ok: true,
            members_count: rooms.size(&room) + u32::from(is_new),
            topic: None,
            last_id: self.last_id(&[String::from("room"), room.clone()])?,
            room,
            you,
            members,
        };
        if self.config.archive {
            // it knows the topic and the last message that was kept
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
        let TypingBody { room, on } = body(event)?;
        self.check_member(&room)?;
        let Speaker { name, socket, .. } = self.speaker(&room)?;
        let notice = json!({ "room": room, "name": name, "socket": socket, "on": on.unwrap_or(true) });
        event.emit_volatile(To::room(room).except_sender(), "typing", notice)?;
        event.ack(json!({ "ok": true }))?;
        Ok(Swallow)
    }

    fn topic(&self, event: &MessageEvent) -> Outcome {
        let TopicBody { room, text } = body(event)?;
        let max_chars = self.config.topic_max_chars;
        if !text.is_empty() {
            Text { field: "text", code: "text_invalid", max_chars }.check(&text)?;
        }
        self.check_member(&room)?;
        if !self.may_govern(&room)? {
            return Err(not_allowed("set the topic of this room"));
        }
        self.act(event, room, Topic { text })
    }

    fn history(&self, event: &MessageEvent) -> Outcome {
        let HistoryBody { room, user, before, limit } = body(event)?;
        let place = match (room, user) {
            (Some(room), None) => {
                self.check_member(&room)?;
                Place::Room(room)
            }
            (None, Some(user)) => {
                self.check_user(&user)?;
                Place::To(user)
            }
            _ => return Err(reject(hubbub_plugin::BAD_REQUEST, "either `room` or `user` must be given").into()),
        };
        let max = self.config.history_page_max;
        let limit = limit.unwrap_or(max);
        if !(1..=max).contains(&limit) {
            return Err(reject("limit_invalid", format!("`limit`: must be 1 to {max}")).into());
        }
        event.set_args(Page { place, who: who(event), before, limit })?;
        event.retarget(To::sender());
        Ok(Pass)
    }

    /// Hands an act on to the archive. It has a target, which no client can give: so the archive knows whose it is.
    fn act<T: Serialize>(&self, event: &MessageEvent, room: String, what: T) -> Outcome {
        self.check_member(&room)?;
        let by = self.speaker(&room)?;
        let (time_ms, moderator) = (event.received_ms(), self.config.is_moderator(event));
        event.retarget(To::room(room.clone()));
        event.set_args(Act { room, by, time_ms, moderator, what })?;
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

    fn check_member(&self, room: &str) -> Result<(), Rejection> {
        match self.event.rooms().contains(room) {
            true => Ok(()),
            false => Err(reject("not_a_member", format!("not a member of {room}"))),
        }
    }

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

fn not_allowed(what: &str) -> Stop {
    reject("not_allowed", format!("you may not {what}")).into()
}
