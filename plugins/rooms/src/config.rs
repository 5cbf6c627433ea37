//! What the operator says of rooms.

use hubbub_plugin::{Rejection, prelude::*};

/// The longest room name that a hub allows, in bytes.
const HUB_ROOM_MAX_BYTES: usize = 256;

/// The plugin's config.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    pub room_max_chars: usize,
    /// Rooms of one socket.
    pub rooms_max: usize,
    pub text_max_chars: usize,
    /// Whether `joined` and `left` are sent.
    pub notices: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { room_max_chars: 100, rooms_max: 100, text_max_chars: 4000, notices: true }
    }
}

impl Config {
    pub(crate) fn check(&self) -> Result<(), String> {
        if !(1..=HUB_ROOM_MAX_BYTES).contains(&self.room_max_chars) {
            return Err(format!("`room_max_chars`: {} is not in 1..={HUB_ROOM_MAX_BYTES}", self.room_max_chars));
        }
        for (key, value) in [("rooms_max", self.rooms_max), ("text_max_chars", self.text_max_chars)] {
            if value == 0 {
                return Err(format!("`{key}`: must be at least 1"));
            }
        }
        Ok(())
    }

    pub(crate) fn check_room(&self, room: &str) -> Result<(), Rejection> {
        let max = self.room_max_chars;
        if room.is_empty() || room.len() > HUB_ROOM_MAX_BYTES || room.chars().count() > max {
            return Err(reject("room_invalid", format!("`room`: must have 1 to {max} characters")));
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
