//! What the operator says of chat rooms.

use std::time::Duration;

use hubbub_plugin::{Event, prelude::*};

/// The longest name of a room or user that any hub allows, in bytes.
const HUB_NAME_MAX_BYTES: usize = 65_536;

/// Which part of the chain this instance is.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Part {
    /// Before moderation: checks what clients send, and gives it room, id and sender.
    #[default]
    Front,
    /// After moderation: keeps what rooms were really sent.
    Archive,
}

/// The plugin's config; both parts read the same keys.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    pub part: Part,
    /// Whether an archive stands at the chain's end. Without one there are no edits, reactions, receipts or history.
    pub archive: bool,
    pub room_max_chars: usize,
    /// No more than the hub's `room_name_max_bytes`: a longer name would be this plugin's failure there.
    pub room_max_bytes: usize,
    /// No more than the hub's `user_id_max_bytes`.
    pub user_max_bytes: usize,
    /// Rooms of one socket.
    pub rooms_max: usize,
    /// Sockets in one room.
    pub members_max: u32,
    /// How many members the ack of a join lists.
    pub members_listed_max: u32,
    pub name_max_chars: usize,
    /// A name whose holder is silent for so long is free.
    pub name_ttl_days: u64,
    pub text_max_chars: usize,
    pub topic_max_chars: usize,
    pub client_id_max_bytes: usize,
    /// How long a repeated `client_id` gets the first ack.
    pub client_id_ttl_hours: u64,
    pub mentions_max: usize,
    /// Messages kept for a room or a pair of users.
    pub history_max: u64,
    pub history_ttl_days: u64,
    pub history_page_max: usize,
    pub history_page_max_bytes: usize,
    /// How long a room remembers its last message id. Longer than its history.
    pub ids_ttl_days: u64,
    pub emoji_max_chars: usize,
    /// Different reactions to one message.
    pub reaction_kinds_max: usize,
    /// Users with the same reaction to one message.
    pub reaction_users_max: usize,
    pub password_max_bytes: usize,
    /// The memory of Argon2id; one pass.
    pub password_memory_kib: u32,
    /// Passwords and invites that a client may try in a minute.
    pub password_tries_max: u32,
    /// A created room that nobody joins or writes to for so long is nobody's. At least twice as long as its history.
    pub room_ttl_days: u64,
    pub invite_ttl_hours: u64,
    /// Invites of one room that nobody used.
    pub invites_max: usize,
    /// Roles that may edit, delete, set topics and enter everywhere.
    pub moderator_roles: Vec<String>,
    /// Roles that may create rooms; empty: everybody.
    pub create_roles: Vec<String>,
    /// What a user, or a socket without one, may send in `events_window_s`.
    pub events_max: u32,
    pub events_window_s: u64,
    /// Changes of name and presence of a user, or of a socket without one, in a minute.
    pub notices_max: u32,
    /// Public rooms that are remembered for the list of rooms; 0: there is no such list.
    pub rooms_listed_max: u32,
    /// Users whom a user can find in its list of direct messages: those of the newest.
    pub directs_listed_max: u32,
    /// Whether `joined` and `left` are sent.
    pub notices: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            part: Part::Front,
            archive: true,
            room_max_chars: 100,
            room_max_bytes: 256,
            user_max_bytes: 256,
            rooms_max: 100,
            members_max: 1000,
            members_listed_max: 50,
            name_max_chars: 32,
            name_ttl_days: 7,
            text_max_chars: 4000,
            topic_max_chars: 200,
            client_id_max_bytes: 64,
            client_id_ttl_hours: 24,
            mentions_max: 10,
            history_max: 500,
            history_ttl_days: 30,
            history_page_max: 50,
            history_page_max_bytes: 200_000,
            ids_ttl_days: 365,
            emoji_max_chars: 8,
            reaction_kinds_max: 20,
            reaction_users_max: 50,
            password_max_bytes: 128,
            password_memory_kib: 1024,
            password_tries_max: 5,
            room_ttl_days: 60,
            invite_ttl_hours: 72,
            invites_max: 100,
            moderator_roles: vec!["moderator".into()],
            create_roles: Vec::new(),
            events_max: 200,
            events_window_s: 10,
            notices_max: 20,
            rooms_listed_max: 50,
            directs_listed_max: 30,
            notices: true,
        }
    }
}

pub(crate) fn days(days: u64) -> Duration {
    hours(days.saturating_mul(24))
}

pub(crate) fn hours(hours: u64) -> Duration {
    Duration::from_secs(hours.saturating_mul(3600))
}

/// What a client names or says.
pub(crate) struct Text {
    pub field: &'static str,
    pub code: &'static str,
    pub max_chars: usize,
}

impl Config {
    pub(crate) fn check(&self) -> Result<(), String> {
        let range = |key: &str, value: u64, from: u64, to: u64| match (from..=to).contains(&value) {
            true => Ok(()),
            false => Err(format!("`{key}`: {value} is not in {from}..={to}")),
        };
        for (key, value, from, to) in [
            ("room_max_chars", self.room_max_chars as u64, 1, HUB_NAME_MAX_BYTES as u64),
            ("room_max_bytes", self.room_max_bytes as u64, 1, HUB_NAME_MAX_BYTES as u64),
            ("user_max_bytes", self.user_max_bytes as u64, 1, HUB_NAME_MAX_BYTES as u64),
            ("rooms_max", self.rooms_max as u64, 1, 10_000),
            ("members_max", self.members_max.into(), 1, 100_000),
            ("members_listed_max", self.members_listed_max.into(), 0, 1000),
            ("name_max_chars", self.name_max_chars as u64, 1, 64),
            ("name_ttl_days", self.name_ttl_days, 1, 3650),
            ("text_max_chars", self.text_max_chars as u64, 1, 8000),
            ("topic_max_chars", self.topic_max_chars as u64, 1, 4000),
            ("client_id_max_bytes", self.client_id_max_bytes as u64, 1, 256),
            ("client_id_ttl_hours", self.client_id_ttl_hours, 1, 8760),
            ("mentions_max", self.mentions_max as u64, 0, 50),
            ("history_max", self.history_max, 1, 1_000_000),
            ("history_ttl_days", self.history_ttl_days, 1, 3650),
            ("history_page_max", self.history_page_max as u64, 1, 200),
            ("history_page_max_bytes", self.history_page_max_bytes as u64, 1000, 1_000_000),
            ("ids_ttl_days", self.ids_ttl_days, self.history_ttl_days + 1, 36_500),
            ("emoji_max_chars", self.emoji_max_chars as u64, 1, 16),
            ("reaction_kinds_max", self.reaction_kinds_max as u64, 1, 50),
            ("reaction_users_max", self.reaction_users_max as u64, 1, 500),
            ("password_max_bytes", self.password_max_bytes as u64, 1, 1024),
            ("password_memory_kib", self.password_memory_kib.into(), 64, 8192),
            ("password_tries_max", self.password_tries_max.into(), 1, 1000),
            ("room_ttl_days", self.room_ttl_days, 2 * self.history_ttl_days, 36_500),
            ("events_max", self.events_max.into(), 1, 1_000_000),
            ("events_window_s", self.events_window_s, 1, 3600),
            ("invite_ttl_hours", self.invite_ttl_hours, 1, 8760),
            ("invites_max", self.invites_max as u64, 1, 400),
            ("notices_max", self.notices_max.into(), 1, 10_000),
            ("rooms_listed_max", self.rooms_listed_max.into(), 0, 100),
            ("directs_listed_max", self.directs_listed_max.into(), 0, 100),
        ] {
            range(key, value, from, to)?;
        }
        // a message is kept in one value of the store, with its reactions
        let reactions = (self.reaction_kinds_max * self.reaction_users_max) as u64;
        range("reaction_kinds_max x reaction_users_max", reactions, 1, 1000)?;
        // so are the lists of rooms and of users
        let rooms = u64::from(self.rooms_listed_max) * self.room_max_chars as u64;
        range("rooms_listed_max x room_max_chars", rooms, 0, 10_000)?;
        let users = u64::from(self.directs_listed_max) * self.user_max_bytes as u64;
        range("directs_listed_max x user_max_bytes", users, 0, 10_000)
    }

    pub(crate) fn check_room(&self, room: &str) -> Result<(), Rejection> {
        let Self { room_max_chars: chars, room_max_bytes: bytes, .. } = *self;
        if room.is_empty() || room.len() > bytes || room.chars().count() > chars {
            let text = format!("`room`: must have 1 to {chars} characters and at most {bytes} bytes");
            return Err(reject("room_invalid", text));
        }
        Ok(())
    }

    pub(crate) fn check_user(&self, user: &str) -> Result<(), Rejection> {
        let max = self.user_max_bytes;
        match (1..=max).contains(&user.len()) {
            true => Ok(()),
            false => Err(reject("user_invalid", format!("a user id has 1 to {max} bytes"))),
        }
    }

    pub(crate) fn text(&self) -> Text {
        Text { field: "text", code: "text_invalid", max_chars: self.text_max_chars }
    }

    pub(crate) fn is_moderator(&self, event: &Event) -> bool {
        self.moderator_roles.iter().any(|role| event.has_role(role))
    }
}

impl Text {
    pub(crate) fn check(&self, text: &str) -> Result<(), Rejection> {
        let Self { field, code, max_chars: max } = *self;
        // characters are counted only when there may be too many of them
        if text.is_empty() || (text.len() > max && text.chars().count() > max) {
            return Err(reject(code, format!("`{field}`: must have 1 to {max} characters")));
        }
        Ok(())
    }
}
