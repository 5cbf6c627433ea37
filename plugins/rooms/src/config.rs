//! What the operator says of rooms.

use hubbub_plugin::{Rejection, prelude::*};

/// The longest room name that any hub allows, in bytes.
const HUB_ROOM_MAX_BYTES: usize = 65_536;

/// The plugin's config.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    pub room_max_chars: usize,
    /// No more than the hub's `room_name_max_bytes`: a longer name would be this plugin's failure there.
    pub room_max_bytes: usize,
    /// Rooms of one socket.
    pub rooms_max: usize,
    pub text_max_chars: usize,
    /// Whether `joined` and `left` are sent.
    pub notices: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { room_max_chars: 100, room_max_bytes: 256, rooms_max: 100, text_max_chars: 4000, notices: true }
    }
}

impl Config {
    pub(crate) fn check(&self) -> Result<(), String> {
        for (key, value) in [("room_max_chars", self.room_max_chars), ("room_max_bytes", self.room_max_bytes)] {
            if !(1..=HUB_ROOM_MAX_BYTES).contains(&value) {
                return Err(format!("`{key}`: {value} is not in 1..={HUB_ROOM_MAX_BYTES}"));
            }
        }
        for (key, value) in [("rooms_max", self.rooms_max), ("text_max_chars", self.text_max_chars)] {
            if value == 0 {
                return Err(format!("`{key}`: must be at least 1"));
            }
        }
        Ok(())
    }

    pub(crate) fn check_room(&self, room: &str) -> Result<(), Rejection> {
        let Self { room_max_chars: chars, room_max_bytes: bytes, .. } = *self;
        if room.is_empty() || room.len() > bytes || room.chars().count() > chars {
            let text = format!("`room`: must have 1 to {chars} characters and at most {bytes} bytes");
            return Err(reject("room_invalid", text));
        }
        Ok(())
    }

    pub(crate) fn check_text(&self, text: &str) -> Result<(), Rejection> {
        let max = self.text_max_chars;
        // characters are counted only when there may be too many of them
        if text.len() > max && text.chars().count() > max {
            return Err(reject("text_too_long", format!("`text`: must have at most {max} characters")));
        }
        Ok(())
    }
}
