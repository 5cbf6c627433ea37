//! Private rooms: who made a room, who may enter, who may govern.
//!
//! A password is kept as Argon2id with a salt. Its cost fits a plugin's budget of 10 ms CPU, which is little for a secret
//! that was stolen with the store; tries over the network are limited by a meter, which counts refused ones too.

use std::time::Duration;

use argon2::{Algorithm, Argon2, Params, Version};
use hubbub_plugin::prelude::*;

use super::{Front, body, not_allowed, ok};
use crate::{
    config::days,
    keys::{hex, key},
    wire::who,
};

const TRIES_WINDOW: Duration = Duration::from_secs(60);

/// What `create` made. A room without is public and has no owner.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Room {
    owner: String,
    password: Option<Password>,
    invite_only: bool,
    renewed_ms: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Password {
    salt: String,
    hash: String,
    memory_kib: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateBody {
    room: String,
    password: Option<String>,
    #[serde(default)]
    invite_only: bool,
}

fn room_key(room: &str) -> String {
    key("room", &[room])
}

/// 128 bits that nobody can guess.
pub(super) fn random() -> Result<String, Stop> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| failure(format!("no random bytes: {error}")))?;
    Ok(hex(&bytes))
}

impl Room {
    fn is_open(&self) -> bool {
        self.password.is_none() && !self.invite_only
    }
}

impl Password {
    fn new(password: &str, memory_kib: u32) -> Result<Self, Stop> {
        let salt = random()?;
        let hash = Self::hash(password, &salt, memory_kib)?;
        Ok(Self { salt, hash, memory_kib })
    }

    fn hash(password: &str, salt: &str, memory_kib: u32) -> Result<String, Failure> {
        let failed = |error| failure(format!("a password cannot be hashed: {error}"));
        let params = Params::new(memory_kib, 1, 1, Some(32)).map_err(failed)?;
        let mut hash = [0; 32];
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        argon2.hash_password_into(password.as_bytes(), salt.as_bytes(), &mut hash).map_err(failed)?;
        Ok(hex(&hash))
    }

    /// Takes as long for a nearly right password as for any other.
    fn is(&self, password: &str) -> Result<bool, Failure> {
        let hash = Self::hash(password, &self.salt, self.memory_kib)?;
        let differences = hash.bytes().zip(self.hash.bytes()).fold(0, |all, (a, b)| all | (a ^ b));
        Ok(differences == 0 && hash.len() == self.hash.len())
    }
}

impl Front<'_> {
    fn room(&self, room: &str) -> Result<Option<Room>, Failure> {
        self.event.store().get(&room_key(room))
    }

    fn keep_room(&self, name: &str, old: Option<&Room>, new: &Room) -> Result<bool, Failure> {
        self.event.store().compare_and_set(&room_key(name), old, Some(new), Some(days(self.config.room_ttl_days)))
    }

    /// A room outlives its history, which would else be open to everybody: so it is renewed by what is said, too.
    pub(super) fn renew_room(&self, name: &str) -> Result<(), Failure> {
        match self.room(name)? {
            Some(room) => self.renew(name, &room),
            None => Ok(()),
        }
    }

    /// Only now and then: a quarter of its time may have passed.
    fn renew(&self, name: &str, room: &Room) -> Result<(), Failure> {
        let age_ms = self.event.received_ms().saturating_sub(room.renewed_ms);
        if u128::from(age_ms) > days(self.config.room_ttl_days).as_millis() / 4 {
            let new = Room { renewed_ms: self.event.received_ms(), ..room.clone() };
            self.keep_room(name, Some(room), &new)?;
        }
        Ok(())
    }

    pub(super) fn create(&self, event: &MessageEvent) -> Outcome {
        let CreateBody { room, password, invite_only } = body(event)?;
        self.config.check_room(&room)?;
        if !self.config.create_roles.is_empty() && !self.config.create_roles.iter().any(|role| event.has_role(role)) {
            return Err(not_allowed("create rooms"));
        }
        if password.is_some() && invite_only {
            let text = "either `password` or `invite_only` may be given";
            return Err(reject(hubbub_plugin::BAD_REQUEST, text).into());
        }
        let max = self.config.password_max_bytes;
        if password.as_ref().is_some_and(|p| !(1..=max).contains(&p.len())) {
            return Err(reject("password_invalid", format!("`password`: must have 1 to {max} bytes")).into());
        }
        if self.room(&room)?.is_some() || event.rooms().size(&room) > 0 {
            return Err(reject("room_exists", format!("{room} is there already")).into());
        }
        self.count_try()?;
        let password = password.map(|p| Password::new(&p, self.config.password_memory_kib)).transpose()?;
        let new = Room { owner: who(event), password, invite_only, renewed_ms: event.received_ms() };
        self.keep_room(&room, None, &new)?;
        if !new.is_open() {
            self.unlist(&room)?;
        }
        ok(event)
    }

    /// Whether the event's socket may invite; `None`: nobody created the room.
    pub(super) fn is_host(&self, room: &str) -> Result<Option<bool>, Failure> {
        let record = self.room(room)?;
        Ok(record.map(|record| record.owner == who(self.event) || self.config.is_moderator(self.event)))
    }

    /// Whether anybody may enter.
    pub(super) fn is_open(&self, room: &str) -> Result<bool, Failure> {
        Ok(self.room(room)?.is_none_or(|room| room.is_open()))
    }

    /// Whether the event's socket may enter; an invite by secret is used up.
    pub(super) fn enter(&self, name: &str, password: Option<&str>, invite: Option<&str>) -> Result<(), Stop> {
        let Some(room) = self.room(name)? else { return Ok(()) };
        let event = self.event;
        self.renew(name, &room)?;
        if room.is_open() || room.owner == who(event) || self.config.is_moderator(event) {
            return Ok(());
        }
        if let Some(user) = event.user()
            && self.is_invited(name, &user)?
        {
            return Ok(());
        }
        if let Some(secret) = invite {
            self.count_try()?;
            return match self.use_up(name, secret)? {
                true => Ok(()),
                false => Err(reject("invite_invalid", "this invite is unknown, used up, taken back or too old").into()),
            };
        }
        match (&room.password, password) {
            (None, _) => Err(reject("invite_required", format!("{name} needs an invite")).into()),
            (Some(_), None) => Err(reject("password_required", format!("{name} needs a password")).into()),
            (Some(right), Some(tried)) => {
                self.count_try()?;
                match tried.len() <= self.config.password_max_bytes && right.is(tried)? {
                    true => Ok(()),
                    false => Err(reject("password_wrong", "this is not the password").into()),
                }
            }
        }
    }

    /// Hashing costs, and guessing must be slow: counted by user or address, so that a new connection begins no new count.
    fn count_try(&self) -> Result<(), Rejection> {
        let by = match (self.event.user(), self.event.address()) {
            (Some(user), _) => format!("user {user}"),
            (None, Some(address)) => format!("address {address}"),
            (None, None) => who(self.event),
        };
        match self.event.store().meter(&key("tries", &[&by]), TRIES_WINDOW) > self.config.password_tries_max {
            true => Err(reject("too_many_tries", "too many tries, wait a minute")),
            false => Ok(()),
        }
    }

    /// A room that somebody created is governed by its owner and moderators, any other one by its members.
    pub(super) fn may_govern(&self, room: &str) -> Result<bool, Failure> {
        Ok(self.is_host(room)?.unwrap_or(true))
    }

    /// A user whom the event's socket wants to reach, which needs one itself.
    pub(super) fn check_user(&self, user: &str) -> Result<String, Rejection> {
        self.config.check_user(user)?;
        self.event.user().ok_or_else(|| reject("user_required", "only who has a user id can do this"))
    }
}
