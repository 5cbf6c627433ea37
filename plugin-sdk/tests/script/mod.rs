//! A plugin that does what its config says: a list of acts for each hook, by `"message:NAME"`, `"join:ROOM"` or the
//! hook alone.

use std::{collections::HashMap, time::Duration};

use hubbub_plugin::{Event, prelude::*, serde_json, testing::TestHub};

#[derive(Deserialize)]
#[serde(transparent)]
pub struct Script(HashMap<String, Vec<Act>>);

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Act {
    Name(String),
    Args(Value),
    ToEveryone,
    Room(String),
    /// A room, the user bob, and the sender.
    ToMany(String),
    Ack(Value),
    AckArg,
    AckUser,
    AckMine,
    AckSize,
    Emit(String),
    EmitAll(String),
    EmitRoomAll,
    EmitEventRoom(String),
    EmitRaw(String),
    Raise(String),
    Join(String),
    JoinArg,
    LeaveArg,
    Disconnect,
    User(String),
    Ask,
    Reject,
    Swallow,
    Fail,
}

/// A hub with these scripts as its chain.
pub fn chain(scripts: &[&str]) -> TestHub {
    scripts.iter().fold(TestHub::new(), |hub, script| {
        hub.plugin::<Script>(serde_json::from_str(script).expect("a test's script is JSON"))
    })
}

impl Plugin for Script {}

impl OnConnect for Script {
    fn on_connect(&self, event: &ConnectEvent) -> Outcome {
        for act in self.acts("connect", "") {
            if let Act::User(user) = act {
                event.set_user(user, &["role"]);
            }
        }
        self.run("connect", "", event)
    }
}

impl OnMessage for Script {
    fn on_message(&self, event: &MessageEvent) -> Outcome {
        let name = event.name();
        for act in self.acts("message", &name) {
            match act {
                Act::Name(name) => event.set_name(name),
                Act::Args(value) => event.set_args(value)?,
                Act::ToEveryone => event.retarget(To::everyone()),
                Act::Room(room) => event.retarget(To::room(room)),
                Act::ToMany(room) => event.retarget(To::room(room).and(To::user("bob")).and(To::sender())),
                Act::AckArg => event.ack(event.arg::<Value>(0)?)?,
                Act::AckSize => {
                    let mine = event.rooms().mine();
                    event.ack(json!([mine, event.rooms().size(&mine[0])]))?;
                }
                Act::JoinArg => event.join(&event.arg::<String>(0)?),
                Act::LeaveArg => event.leave(&event.arg::<String>(0)?, "left"),
                _ => {}
            }
        }
        self.run("message", &name, event)
    }
}

impl OnJoin for Script {
    fn on_join(&self, event: &JoinEvent) -> Outcome {
        self.run("join", &event.room(), event)
    }
}

impl OnLeave for Script {
    fn on_leave(&self, event: &LeaveEvent) -> Outcome {
        for act in self.acts("leave", &event.room()) {
            if let Act::EmitRoomAll = act {
                event.emit(To::everyone(), &event.room(), Args::none())?;
            }
        }
        self.run("leave", &event.room(), event)
    }
}

impl OnDisconnect for Script {
    fn on_disconnect(&self, event: &DisconnectEvent) -> Outcome {
        self.run("disconnect", "", event)
    }
}

impl OnAnswer for Script {
    fn on_answer(&self, event: &AnswerEvent) -> Outcome {
        self.run("answer", "", event)
    }
}

impl Script {
    fn acts(&self, hook: &str, of: &str) -> &[Act] {
        let acts = self.0.get(&format!("{hook}:{of}")).or_else(|| self.0.get(hook));
        acts.map(Vec::as_slice).unwrap_or_default()
    }

    fn run(&self, hook: &str, of: &str, event: &Event) -> Outcome {
        for act in self.acts(hook, of) {
            match act {
                Act::Ack(value) => event.ack(value)?,
                Act::AckMine => event.ack(event.rooms().mine())?,
                Act::AckUser => event.ack(event.user())?,
                Act::Emit(name) => event.emit(To::sender(), name, Args::none())?,
                Act::EmitAll(name) => event.emit(To::everyone(), name, Args::none())?,
                Act::EmitEventRoom(name) => event.emit(To::event_room(), name, Args::none())?,
                Act::EmitRaw(json) => event.emit(To::sender(), "raw", Args::raw(json, Vec::new()))?,
                Act::Raise(name) => event.raise(name, "raised")?,
                Act::Join(room) => event.join(room),
                Act::Disconnect => event.disconnect("asked"),
                Act::Ask => {
                    let socket = event.socket().unwrap_or_default();
                    event.ask(&socket, "asked", Args::none(), Duration::from_secs(1), "tag")?;
                }
                Act::Reject => return Err(reject("no", "said no").into()),
                Act::Swallow => return Ok(Swallow),
                Act::Fail => return Err(failure("asked to fail").into()),
                _ => {}
            }
        }
        Ok(Pass)
    }
}

hubbub_plugin::export!(Script: OnConnect, OnMessage, OnJoin, OnLeave, OnDisconnect, OnAnswer);
