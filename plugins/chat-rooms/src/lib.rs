//! Chat rooms with names, history, private rooms and direct messages. `PROTOCOL.md` says what clients send and get.
//!
//! One component, two places in a chain: the *front* stands before moderation. It checks what clients send and makes
//! typed events of it, with room, id, time and sender. The *archive* (`part = "archive"`) stands at the chain's end. It
//! sees what moderation let through, masked or sent back to its sender alone, and keeps only what a room was really
//! sent. Both write in the transaction of the event: what is rejected anywhere leaves no trace.

mod archive;
mod config;
mod front;
mod keys;
mod wire;

use hubbub_plugin::prelude::*;

use archive::Archive;
use config::{Config, Part};
use front::Front;

/// The plugin, front or archive as its config says.
#[derive(Deserialize)]
#[serde(transparent)]
pub struct ChatRooms {
    config: Config,
}

impl Plugin for ChatRooms {
    fn check(&self) -> Result<(), String> {
        self.config.check()
    }
}

impl OnMessage for ChatRooms {
    const EVENTS: &'static [&'static str] = &[
        "join",
        "leave",
        "create",
        "invite",
        "uninvite",
        "rename",
        "presence",
        "topic",
        "typing",
        "message",
        "direct",
        "edit",
        "delete",
        "react",
        "read",
        "history",
        "rooms",
        "mod:approve",
    ];

    fn on_message(&self, event: &MessageEvent) -> Outcome {
        match self.config.part {
            Part::Front => Front::new(&self.config, event).message(event),
            Part::Archive => Archive::new(&self.config, event).message(event),
        }
    }
}

impl OnJoin for ChatRooms {
    fn on_join(&self, event: &JoinEvent) -> Outcome {
        if self.config.part == Part::Front {
            Front::new(&self.config, event).joined(&event.room())?;
        }
        Ok(Pass)
    }
}

impl OnLeave for ChatRooms {
    fn on_leave(&self, event: &LeaveEvent) -> Outcome {
        if self.config.part == Part::Front {
            Front::new(&self.config, event).left(&event.room(), &event.reason())?;
        }
        Ok(Pass)
    }
}

hubbub_plugin::export!(ChatRooms: OnMessage, OnJoin, OnLeave);

#[cfg(test)]
mod tests;
