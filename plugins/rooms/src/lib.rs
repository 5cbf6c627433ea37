//! Chat rooms.
//!
//! | the client sends | ack | the room's members get |
//! |---|---|---|
//! | `join {room}` | `{ok:true, members}` | `joined {room, socket, user?}` |
//! | `message {room, text, ...}` | `{ok:true, id}` | `message`: the body with `from` (socket id) and `id` |
//! | `leave {room}` | `{ok:true}` | `left {room, socket, user?}` |
//!
//! `members` counts the socket itself; who sends a message gets it, too; who joins gets its own `joined`, who leaves no
//! `left`. Joining a room twice is no error and brings no second notice. A lost connection leaves its rooms as well.
//! Rejections: `bad_request` (a body that is not as above), `not_a_member`, `room_invalid`, `text_too_long`,
//! `too_many_rooms`.
//!
//! Config, all with defaults: `room_max_chars` (100), `room_max_bytes` (256; no more than the hub's
//! `room_name_max_bytes`), `rooms_max` (100, rooms of one socket), `text_max_chars` (4000), `notices` (true: `joined` and
//! `left` are sent).

mod config;
mod message;

use hubbub_plugin::prelude::*;

use config::Config;

/// The plugin: its config, and the source of message ids.
#[derive(Deserialize)]
#[serde(transparent)]
struct Rooms {
    config: Config,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RoomBody {
    room: String,
}

/// The ack of a message.
#[derive(Serialize)]
struct Sent<'a> {
    ok: bool,
    id: &'a str,
}

impl Plugin for Rooms {
    fn check(&self) -> Result<(), String> {
        self.config.check()
    }
}

impl OnMessage for Rooms {
    const EVENTS: &'static [&'static str] = &["join", "message", "leave"];

    fn on_message(&self, event: &MessageEvent) -> Outcome {
        match event.name().as_str() {
            "join" => self.join(event),
            "leave" => self.leave(event),
            _ => self.message(event),
        }
    }
}

impl Rooms {
    fn join(&self, event: &MessageEvent) -> Outcome {
        let (RoomBody { room },) = event.args()?;
        self.config.check_room(&room)?;
        if event.socket().is_none() {
            return Err(reject("no_socket", "only a client can join a room").into());
        }
        let rooms = event.rooms();
        let mut members = rooms.size(&room);
        if !rooms.contains(&room) {
            let max = self.config.rooms_max;
            if rooms.mine().len() >= max {
                return Err(reject("too_many_rooms", format!("a client may be in {max} rooms")).into());
            }
            event.join(&room);
            members += 1;
        }
        event.ack(json!({ "ok": true, "members": members }))?;
        Ok(Pass)
    }

    fn message(&self, event: &MessageEvent) -> Outcome {
        let args = event.raw_args();
        let message = message::Message::read(&args, &self.config)?;
        if !event.rooms().contains(&message.room) {
            return Err(not_a_member(&message.room));
        }
        let id = message::new_id();
        let sent = message.with_sender(event.socket().as_deref(), &id)?;
        event.retarget(To::room(message.room));
        event.set_args(sent)?;
        event.ack(Sent { ok: true, id: &id })?;
        Ok(Pass)
    }

    fn leave(&self, event: &MessageEvent) -> Outcome {
        let (RoomBody { room },) = event.args()?;
        if !event.rooms().contains(&room) {
            return Err(not_a_member(&room));
        }
        event.leave(&room, "left");
        event.ack(json!({ "ok": true }))?;
        Ok(Pass)
    }

    fn notice(&self, event: &hubbub_plugin::Event, name: &str, room: String) -> Outcome {
        if self.config.notices {
            let mut notice = json!({ "room": room, "socket": event.socket() });
            if let Some(user) = event.user() {
                notice["user"] = user.into();
            }
            event.emit(To::event_room(), name, notice)?;
        }
        Ok(Pass)
    }
}

impl OnJoin for Rooms {
    fn on_join(&self, event: &JoinEvent) -> Outcome {
        self.notice(event, "joined", event.room())
    }
}

impl OnLeave for Rooms {
    fn on_leave(&self, event: &LeaveEvent) -> Outcome {
        self.notice(event, "left", event.room())
    }
}

fn not_a_member(room: &str) -> Stop {
    reject("not_a_member", format!("not a member of {room}")).into()
}

hubbub_plugin::export!(Rooms: OnMessage, OnJoin, OnLeave);

#[cfg(test)]
mod tests;
