//! Calls every host function on request and says what came of it, for tests of hubs.
//!
//! Messages, each with one argument:
//!
//! | name | argument | it |
//! |---|---|---|
//! | `probe:describe` | any | acks all that can be asked of the event |
//! | `probe:credentials` | `{header, query}` | acks `{auth, header, query}` |
//! | `probe:rooms` | `{room, limit?}` | acks `{mine, contains, size, members}` |
//! | `probe:now` | any | acks `{ms, random}` from the system interfaces |
//! | `probe:emit` | `{to, except?, name, args?, volatile?}` | emits |
//! | `probe:raise` | `{name, args?, to?}` | raises a message |
//! | `probe:join`, `probe:leave`, `probe:disconnect` | `{room?, reason?}` | raises it |
//! | `probe:change` | `{name?, args?, to?}` | changes the message |
//! | `probe:ask` | `{socket?, name, args?, timeout_ms, tag}` | asks; the end is emitted to everyone as `probe:answer` |
//! | `probe:order` | `{of, act: "join"/"leave"/"disconnect", room?, reason?}` | gives an order |
//! | `probe:reject` | `{code, message, data?, notice?}` | emits `notice` to everyone, then rejects |
//! | `probe:swallow` | any | emits `probe:swallowed` to the sender, then swallows |
//! | `probe:fail` | a text | emits, acks, joins, and fails with the text |
//! | `probe:log` | `{level, text}` | writes a line |
//!
//! Those without an ack of their own ack `"done"`. A target is `"sender"`, `"event_room"`, `"everyone"`, `{room}`,
//! `{socket}` or `{user}`; `to` is a list of them.
//!
//! On connect: auth `{user, roles?}` becomes the identity, `{reject: {code, message, data?}}` refuses, `{join: [ROOM]}`
//! joins; `probe:connected` tells the socket what was seen. Config: `watch` (emit what join, leave and disconnect hooks
//! see to everyone, as `probe:saw`), `reject_rooms` (joins of these are rejected), `order_on_join` (a room that is
//! ordered for the sender in every join: not allowed within an order). Needs all capabilities.

mod messages;
mod requests;

use hubbub_plugin::{Event, prelude::*};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Probe {
    watch: bool,
    reject_rooms: Vec<String>,
    order_on_join: Option<String>,
}

impl Plugin for Probe {}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Auth {
    user: Option<String>,
    roles: Vec<String>,
    reject: Option<requests::Reject>,
    join: Vec<String>,
}

impl OnConnect for Probe {
    fn on_connect(&self, event: &ConnectEvent) -> Outcome {
        let auth = event.credentials().auth::<Option<Auth>>()?.unwrap_or_default();
        if let Some(no) = auth.reject {
            return no.perform(event);
        }
        let set = auth.user.as_ref().map(|user| event.set_user(user, &auth.roles));
        let again = auth.user.as_ref().map(|_| event.set_user("somebody-else", &["root"]));
        for room in &auth.join {
            event.join(room);
        }
        let seen = json!({
            "event": describe(event),
            "auth": event.credentials().auth_json(),
            "user_agent": event.credentials().header("user-agent"),
            "transport": event.credentials().query("transport"),
            "set": set,
            "set_again": again,
        });
        event.emit(To::sender(), "probe:connected", seen)?;
        Ok(Pass)
    }
}

impl OnMessage for Probe {
    const EVENTS: &'static [&'static str] = &["probe:*"];

    fn on_message(&self, event: &MessageEvent) -> Outcome {
        messages::perform(event)
    }
}

impl OnJoin for Probe {
    fn on_join(&self, event: &JoinEvent) -> Outcome {
        if self.reject_rooms.contains(&event.room()) {
            let notice = json!({ "room": event.room(), "is_in": event.rooms().contains(&event.room()) });
            event.emit(To::everyone(), "probe:refused", notice)?;
            return Err(reject("room_closed", format!("{} is closed", event.room())).into());
        }
        if let Some(room) = &self.order_on_join {
            event.orders().join(Target::Sender, room);
        }
        self.saw(event, "join", json!({ "room": event.room() }))
    }
}

impl OnLeave for Probe {
    fn on_leave(&self, event: &LeaveEvent) -> Outcome {
        self.saw(event, "leave", json!({ "room": event.room(), "reason": event.reason() }))
    }
}

impl OnDisconnect for Probe {
    fn on_disconnect(&self, event: &DisconnectEvent) -> Outcome {
        self.saw(event, "disconnect", json!({ "reason": event.reason() }))
    }
}

impl OnAnswer for Probe {
    fn on_answer(&self, event: &AnswerEvent) -> Outcome {
        let outcome = match event.outcome() {
            AnswerOutcome::Answered => "answered",
            AnswerOutcome::TimedOut => "timed-out",
            AnswerOutcome::Gone => "gone",
        };
        let args: Value = event.args()?;
        let attachments = event.attachment_count();
        let (tag, socket) = (event.tag(), event.socket());
        let answer =
            json!({ "outcome": outcome, "tag": tag, "args": args, "attachments": attachments, "socket": socket });
        event.emit(To::everyone(), "probe:answer", answer)?;
        Ok(Pass)
    }
}

impl Probe {
    fn saw(&self, event: &Event, hook: &str, mut what: Value) -> Outcome {
        if self.watch {
            what["hook"] = hook.into();
            what["origin"] = origin(event).into();
            what["socket"] = event.socket().into();
            what["rooms"] = event.rooms().mine().into();
            event.emit(To::everyone(), "probe:saw", what)?;
        }
        Ok(Pass)
    }
}

/// What every event can be asked.
fn describe(event: &Event) -> Value {
    json!({
        "origin": origin(event),
        "namespace": event.namespace(),
        "socket": event.socket(),
        "user": event.user(),
        "roles": event.roles(),
        "address": event.address(),
        "wants_ack": event.wants_ack(),
        "received_ms": event.received_ms(),
        "rooms": event.rooms().mine(),
    })
}

fn origin(event: &Event) -> &'static str {
    match event.origin() {
        Origin::Client => "client",
        Origin::Plugin => "plugin",
        Origin::Server => "server",
        Origin::NodeDeath => "node-death",
    }
}

hubbub_plugin::export!(Probe: OnConnect, OnMessage, OnJoin, OnLeave, OnDisconnect, OnAnswer);

#[cfg(test)]
mod tests;
