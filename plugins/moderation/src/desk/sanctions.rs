//! Mutes, bans and shadow bans: kept with whom they are about, listed by number, ended by time.

use std::time::Duration;

use hubbub_plugin::prelude::*;

use super::{
    Desk,
    keys::numbered,
    who::{Person, Who},
};

/// Sanctions of one client that are in force at once.
const OF_ONE_MAX: usize = 20;
/// Numbers of ended sanctions that one new sanction clears away.
const CLEARED_AT_ONCE: usize = 50;
/// The sorted set of all numbers.
const INDEX: &str = "sanctions";

#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Mute,
    Ban,
    Shadow,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Mute => "mute",
            Self::Ban => "ban",
            Self::Shadow => "shadow",
        }
    }
}

/// What somebody may not do, where and until when.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Sanction {
    pub id: u64,
    pub kind: Kind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket: Option<String>,
    /// None: everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<String>,
    /// None: until it is lifted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub by: String,
    pub time_ms: u64,
}

/// A sanction that is to be.
#[derive(Clone, Debug)]
pub(crate) struct New {
    pub kind: Kind,
    pub room: Option<String>,
    pub seconds: Option<u64>,
    pub reason: Option<String>,
    pub by: String,
}

/// The sanctions of one client that are in force.
#[derive(Debug, Default)]
pub(crate) struct Standing(Vec<Sanction>);

impl Standing {
    /// One that holds in the room; without a room, one that holds everywhere.
    pub(crate) fn find(&self, kind: Kind, room: Option<&str>) -> Option<&Sanction> {
        self.0.iter().find(|s| s.kind == kind && (s.room.is_none() || s.room.as_deref() == room))
    }

    /// What whom they are about may know.
    pub(crate) fn known(&self) -> Vec<Value> {
        let known = self.0.iter().filter(|s| s.kind != Kind::Shadow);
        known.map(|s| with_kind(s.kind.name(), s.facts())).collect()
    }
}

impl Sanction {
    fn is_live(&self, now_ms: u64) -> bool {
        self.until_ms.is_none_or(|until| until > now_ms)
    }

    /// `{room?, until_ms?, reason?}`
    pub(crate) fn facts(&self) -> Value {
        let mut facts = json!({});
        for (key, value) in [("room", &self.room), ("reason", &self.reason)] {
            if let Some(value) = value {
                facts[key] = json!(value);
            }
        }
        if let Some(until) = self.until_ms {
            facts["until_ms"] = json!(until);
        }
        facts
    }

    /// How it is refused what the sanction forbids.
    pub(crate) fn refusal(&self) -> Rejection {
        let (code, text) = match self.kind {
            Kind::Ban => ("banned", "you are banned"),
            _ => ("muted", "you are muted"),
        };
        let place = if self.room.is_some() { " in this room" } else { "" };
        reject(code, format!("{text}{place}")).data(&self.facts())
    }
}

pub(super) fn with_kind(kind: &str, mut facts: Value) -> Value {
    facts["kind"] = json!(kind);
    facts
}

pub(crate) fn too_many() -> Stop {
    reject("too_many_sanctions", "there are as many sanctions as there may be: lift others first").into()
}

impl Desk<'_> {
    fn sanctions_of(&self, who: &Who) -> Result<Option<Vec<Sanction>>, Failure> {
        self.store().get(&who.key("sanctioned", &[]))
    }

    /// What holds for who causes the event.
    pub(crate) fn standing(&self) -> Result<Standing, Failure> {
        let now = self.now_ms();
        let mut all = self.sanctions_of(&Who::of(self.event))?.unwrap_or_default();
        if self.event.user().is_none()
            && let Some(socket) = self.event.socket()
        {
            all.extend(self.sanctions_of(&Who::Socket(socket))?.unwrap_or_default());
        }
        all.retain(|s| s.is_live(now));
        Ok(Standing(all))
    }

    /// Keeps the sanctions of one client, until the last of them ends.
    fn keep_sanctions(&self, who: &Who, old: Option<&Vec<Sanction>>, new: &Vec<Sanction>) -> Result<(), Failure> {
        let untils: Option<Vec<u64>> = new.iter().map(|s| s.until_ms).collect();
        let ttl = untils.and_then(|untils| untils.into_iter().max()).map(|until| self.until(until));
        let new = (!new.is_empty()).then_some(new);
        self.store().compare_and_set(&who.key("sanctioned", &[]), old, new, ttl)?;
        Ok(())
    }

    fn until(&self, until_ms: u64) -> Duration {
        Duration::from_millis(until_ms.saturating_sub(self.now_ms()).max(1))
    }

    /// Puts a sanction in force, in place of the same kind in the same room. One that a rule gives holds even when the
    /// list has no room for it.
    pub(crate) fn impose(&self, person: &Person, new: New, must_list: bool) -> Result<Sanction, Stop> {
        let New { kind, room, seconds, reason, by } = new;
        let (store, now) = (self.store(), self.now_ms());
        let old = self.sanctions_of(&person.who)?;
        let (gone, mut all): (Vec<_>, Vec<_>) = old
            .clone()
            .unwrap_or_default()
            .into_iter()
            .partition(|s| !s.is_live(now) || (s.kind == kind && s.room == room));
        for ended in gone {
            self.unlist(ended.id)?;
        }
        if all.len() >= OF_ONE_MAX {
            return Err(too_many());
        }
        let id = store.increment("sanction-number", 1, None).unsigned_abs();
        let until_ms = seconds.map(|s| now + s.saturating_mul(1000));
        let (user, socket) = (person.user.clone(), person.socket.clone());
        let sanction = Sanction { id, kind, user, socket, room, until_ms, reason, by, time_ms: now };
        let max = self.config.sanctions_max;
        if self.make_room(max as usize)? {
            store.add(INDEX, &id, id, max)?;
            store.set(&numbered("sanction", id), &person.who, until_ms.map(|until| self.until(until)))?;
        } else if must_list {
            return Err(too_many());
        }
        all.push(sanction.clone());
        self.keep_sanctions(&person.who, old.as_ref(), &all)?;
        Ok(sanction)
    }

    /// Whether the list takes one more. Those that have ended are taken out when it is full.
    fn make_room(&self, max: usize) -> Result<bool, Failure> {
        let listed: Vec<(u64, u64)> = self.store().members(INDEX, 0..u64::MAX, u32::MAX)?;
        if listed.len() < max {
            return Ok(true);
        }
        let mut cleared = false;
        for (_, id) in listed.into_iter().take(CLEARED_AT_ONCE) {
            if self.sanction(id)?.is_none() {
                self.unlist(id)?;
                cleared = true;
            }
        }
        Ok(cleared)
    }

    fn unlist(&self, id: u64) -> Result<(), Failure> {
        self.store().remove(INDEX, &id)?;
        self.store().delete(&numbered("sanction", id));
        Ok(())
    }

    /// One that is in force, and whom it is about.
    fn sanction(&self, id: u64) -> Result<Option<(Who, Sanction)>, Failure> {
        let Some(who) = self.store().get::<Who>(&numbered("sanction", id))? else { return Ok(None) };
        let all = self.sanctions_of(&who)?.unwrap_or_default();
        let found = all.into_iter().find(|s| s.id == id && s.is_live(self.now_ms()));
        Ok(found.map(|sanction| (who, sanction)))
    }

    /// Ends the one that fits; `None` when none does.
    pub(super) fn lift(&self, who: &Who, fits: impl Fn(&Sanction) -> bool) -> Result<Option<Sanction>, Stop> {
        let Some(old) = self.sanctions_of(who)? else { return Ok(None) };
        let found = old.iter().find(|s| s.is_live(self.now_ms()) && fits(s));
        let Some(lifted) = found.cloned() else { return Ok(None) };
        let rest: Vec<Sanction> = old.iter().filter(|s| s.id != lifted.id).cloned().collect();
        self.unlist(lifted.id)?;
        self.keep_sanctions(who, Some(&old), &rest)?;
        Ok(Some(lifted))
    }

    pub(super) fn lift_numbered(&self, id: u64) -> Result<Option<Sanction>, Stop> {
        match self.sanction(id)? {
            Some((who, _)) => self.lift(&who, |s| s.id == id),
            None => Ok(None),
        }
    }

    /// Newest first, and whether there are older ones.
    pub(super) fn sanctions(&self, before: Option<u64>, limit: u32) -> Result<(Vec<Sanction>, bool), Stop> {
        let ids: Vec<(u64, u64)> = self.store().members(INDEX, 0..before.unwrap_or(u64::MAX), limit + 1)?;
        let more = ids.len() > limit as usize;
        let mut page = Vec::new();
        for (_, id) in ids.into_iter().rev().take(limit as usize) {
            match self.sanction(id)? {
                Some((_, sanction)) => page.push(sanction),
                None => self.unlist(id)?,
            }
        }
        Ok((page, more))
    }
}
