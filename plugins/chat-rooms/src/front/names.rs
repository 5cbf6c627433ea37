//! Display names: unique in their room, and never taken for ever.
//!
//! A name is kept with the sockets that have it. A leave gives it back; where that got lost (the node was killed), the
//! claim counts nothing, because a claim is only as good as one socket of it that is in the room. Only a claim of this
//! moment counts by itself: whoever made it may be on the way into the room. What nobody asks for ends by its time to live.

use std::time::Duration;

use hubbub_plugin::prelude::*;
use unicode_normalization::UnicodeNormalization;

use super::Front;
use crate::{
    config::days,
    keys::key,
    wire::{Listed, Speaker, Status},
};

/// Names that the plugin itself gives.
const GUEST: &str = "guest-";
/// For so long a claim counts though its socket is not seen in the room: longer than a join is on its way.
const CLAIM_FRESH_MS: u64 = 2000;

/// Who has a name in a room.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Holder {
    pub name: String,
    pub user: Option<String>,
    pub sockets: Vec<String>,
    /// When the last of them claimed it.
    claimed_ms: u64,
}

/// What a socket is called in a room.
#[derive(Debug, Serialize, Deserialize)]
struct Member {
    name: String,
    user: Option<String>,
    renewed_ms: u64,
    #[serde(default)]
    status: Status,
}

/// Names that only look different to a machine are one.
fn fold(name: &str) -> String {
    name.nfkc().flat_map(char::to_lowercase).nfkc().collect()
}

/// Characters that nobody sees, or that change the direction of what follows.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0000}'..='\u{e0fff}')
}

impl Front<'_> {
    fn socket(&self) -> String {
        self.event.socket().unwrap_or_default()
    }

    fn name_ttl(&self) -> Duration {
        days(self.config.name_ttl_days)
    }

    fn fits(&self, name: &str) -> bool {
        let folded = fold(name);
        (1..=self.config.name_max_chars).contains(&name.chars().count())
            && !folded.is_empty()
            && folded.len() <= 256
            && !folded.starts_with(GUEST)
            && !name.chars().any(|c| c.is_whitespace() || c.is_control() || c == '@' || is_invisible(c))
    }

    /// Gives the event's socket a name in a room: the one it wants, or else its user's, or one that nobody else has.
    pub(super) fn take_name(&self, room: &str, wanted: Option<&str>) -> Result<Speaker, Stop> {
        if let Some(name) = wanted {
            return self.take_wanted(room, name, Status::Here);
        }
        if let Some(user) = self.event.user().filter(|user| self.fits(user))
            && let Some(speaker) = self.claim(room, &user, Status::Here)?
        {
            return Ok(speaker);
        }
        let socket = self.socket();
        let tail: String = socket.chars().skip(socket.chars().count().saturating_sub(8)).collect();
        for name in [format!("{GUEST}{tail}"), format!("{GUEST}{socket}")] {
            if let Some(speaker) = self.claim(room, &name, Status::Here)? {
                return Ok(speaker);
            }
        }
        Err(reject("name_taken", "no name is free: give one").into())
    }

    fn take_wanted(&self, room: &str, name: &str, status: Status) -> Result<Speaker, Stop> {
        if !self.fits(name) {
            let max = self.config.name_max_chars;
            let text =
                format!("`name`: must have 1 to {max} characters, no spaces, no `@` and not begin with `{GUEST}`");
            return Err(reject("name_invalid", text).into());
        }
        match self.claim(room, name, status)? {
            Some(speaker) => Ok(speaker),
            None => Err(reject("name_taken", format!("somebody in {room} has this name")).into()),
        }
    }

    /// `None`: somebody else has it.
    fn claim(&self, room: &str, name: &str, status: Status) -> Result<Option<Speaker>, Stop> {
        let (store, user, socket) = (self.event.store(), self.event.user(), self.socket());
        let (key, now_ms) = (name_key(room, name), self.event.received_ms());
        let old: Option<Holder> = store.get(&key)?;
        let mut sockets = old.as_ref().map_or_else(Vec::new, |holder| {
            match now_ms.saturating_sub(holder.claimed_ms) < CLAIM_FRESH_MS {
                true => holder.sockets.clone(),
                false => self.present(room, &holder.sockets),
            }
        });
        sockets.retain(|s| *s != socket);
        let mine = old.as_ref().is_some_and(|holder| user.is_some() && holder.user == user);
        if !sockets.is_empty() && !mine {
            return Ok(None);
        }
        sockets.push(socket.clone());
        let new = Holder { name: name.to_owned(), user: user.clone(), sockets, claimed_ms: now_ms };
        if !store.compare_and_set(&key, old.as_ref(), Some(&new), Some(self.name_ttl()))? {
            return Ok(None);
        }
        let member = Member { name: name.to_owned(), user: user.clone(), renewed_ms: now_ms, status };
        store.set(&member_key(room, &socket), &member, Some(self.name_ttl()))?;
        Ok(Some(Speaker { name: name.to_owned(), socket, user }))
    }

    /// Those sockets that are in the room now.
    fn present(&self, room: &str, sockets: &[String]) -> Vec<String> {
        let members = self.event.rooms().members(room, u32::MAX);
        sockets.iter().filter(|socket| members.contains(socket)).cloned().collect()
    }

    /// The event's socket in a room that it is a member of. A name about to end is renewed.
    pub(super) fn speaker(&self, room: &str) -> Result<Speaker, Stop> {
        let (store, socket) = (self.event.store(), self.socket());
        let Some(Member { name, user, renewed_ms, status }) = store.get(&member_key(room, &socket))? else {
            return self.take_name(room, None);
        };
        let age_ms = self.event.received_ms().saturating_sub(renewed_ms);
        if u128::from(age_ms) > self.name_ttl().as_millis() / 4 {
            return match self.claim(room, &name, status)? {
                Some(speaker) => Ok(speaker),
                None => self.take_name(room, None),
            };
        }
        Ok(Speaker { name, socket, user })
    }

    /// The event's socket gets another name in a room that it is a member of, and gives the old one back.
    pub(super) fn change_name(&self, room: &str, was: &Speaker, name: &str) -> Result<Speaker, Stop> {
        let status = self.member(room, &was.socket)?.map_or(Status::Here, |member| member.status);
        let now = self.take_wanted(room, name, status)?;
        if fold(&was.name) != fold(name) {
            self.release(room, &was.name)?;
        }
        Ok(now)
    }

    /// False: the event's socket had it already.
    pub(super) fn set_status(&self, room: &str, status: Status) -> Result<bool, Stop> {
        let Speaker { socket, .. } = self.speaker(room)?;
        match self.member(room, &socket)? {
            Some(member) if member.status != status => {
                let new = Member { status, ..member };
                self.event.store().set(&member_key(room, &socket), &new, Some(self.name_ttl()))?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn member(&self, room: &str, socket: &str) -> Result<Option<Member>, Failure> {
        self.event.store().get(&member_key(room, socket))
    }

    /// A member as the others see it.
    pub(super) fn listed(&self, room: &str, socket: &str) -> Result<Option<Listed>, Failure> {
        Ok(self.member(room, socket)?.map(|Member { name, user, status, .. }| {
            let who = Speaker { name, socket: socket.to_owned(), user };
            Listed { who, status }
        }))
    }

    /// Who has a name in the room.
    pub(super) fn holder(&self, room: &str, name: &str) -> Result<Option<Holder>, Failure> {
        self.event.store().get(&name_key(room, name))
    }

    /// Gives a leaving socket's name back, and says who it was.
    pub(super) fn free_name(&self, room: &str) -> Result<Option<Speaker>, Stop> {
        let socket = self.socket();
        let Some(Member { name, user, .. }) = self.member(room, &socket)? else { return Ok(None) };
        self.event.store().delete(&member_key(room, &socket));
        self.release(room, &name)?;
        Ok(Some(Speaker { name, socket, user }))
    }

    /// A name is the event's socket's no more.
    fn release(&self, room: &str, name: &str) -> Result<(), Failure> {
        let (store, socket, key) = (self.event.store(), self.socket(), name_key(room, name));
        if let Some(old) = store.get::<Holder>(&key)?
            && old.sockets.contains(&socket)
        {
            let mut new = old.clone();
            new.sockets.retain(|s| *s != socket);
            let new = (!new.sockets.is_empty()).then_some(new);
            store.compare_and_set(&key, Some(&old), new.as_ref(), Some(self.name_ttl()))?;
        }
        Ok(())
    }
}

fn name_key(room: &str, name: &str) -> String {
    key("name", &[room, &fold(name)])
}

fn member_key(room: &str, socket: &str) -> String {
    key("member", &[room, socket])
}

#[cfg(test)]
mod tests {
    use super::fold;

    #[test]
    fn names_that_differ_in_case_or_width_are_one() {
        assert_eq!(fold("Ann"), fold("ａＮＮ"));
        assert_eq!(fold("Ünal"), fold("U\u{308}nal"));
        assert_ne!(fold("ann"), fold("anna"));
    }
}
