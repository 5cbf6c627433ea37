//! What moderators do, and what is kept of it. `PROTOCOL.md` says what they send and get.

pub(crate) mod audit;
mod keys;
mod queue;
pub(crate) mod rules;
pub(crate) mod sanctions;
pub(crate) mod who;

use std::time::Duration;

use hubbub_plugin::{BAD_REQUEST, Event, Store, prelude::*, serde_json::Map};
use serde::de::DeserializeOwned;

use self::{
    audit::Entry,
    queue::{ApproveBody, DeclineBody},
    rules::Rules,
    sanctions::{Kind, New, Sanction, with_kind},
    who::{Person, Who},
};
use crate::config::DeskConfig;

/// The longest name of a room, user or socket that a hub allows, in bytes.
const NAME_MAX_BYTES: usize = 256;
const REASON_MAX_CHARS: usize = 200;
/// Ten years.
const SECONDS_MAX: u64 = 315_360_000;
const SLOW_MAX_SECONDS: u32 = 21_600;
const PAGE_MAX: u32 = 50;
const QUEUE_PAGE_MAX: u32 = 20;
/// The sorted set of users that moderate, by when they were seen.
const MODERATORS: &str = "moderators";
/// A moderator who connects again is noted again only after so long.
const SEEN_AGAIN: Duration = Duration::from_secs(3600);

/// The desk with one event.
pub(crate) struct Desk<'a> {
    config: &'a DeskConfig,
    event: &'a Event,
    /// The event's name without `mod:`; empty for others.
    act: String,
}

/// What a plugin that numbers messages says of one that is said now.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Number {
    id: u64,
    time_ms: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WhoBody {
    user: Option<String>,
    socket: Option<String>,
    room: Option<String>,
    seconds: Option<u64>,
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PageBody {
    before: Option<u64>,
    limit: Option<u32>,
    user: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IdBody {
    id: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SlowBody {
    room: String,
    seconds: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleBody {
    rule: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NameBody {
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WordsBody {
    name: String,
    #[serde(default)]
    add: Vec<String>,
    #[serde(default)]
    remove: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoBody {}

fn bad_request(text: impl Into<String>) -> Stop {
    reject(BAD_REQUEST, text).into()
}

fn not_allowed(text: &str) -> Stop {
    reject("not_allowed", text).into()
}

fn body<T: DeserializeOwned>(event: &MessageEvent) -> Result<T, Rejection> {
    let (body,) = event.args()?;
    Ok(body)
}

fn check_reason(reason: Option<&str>) -> Result<(), Stop> {
    match reason.is_some_and(|reason| reason.chars().count() > REASON_MAX_CHARS) {
        true => Err(bad_request(format!("`reason` may have {REASON_MAX_CHARS} characters"))),
        false => Ok(()),
    }
}

fn check_room(room: Option<&str>) -> Result<(), Stop> {
    match room.is_some_and(|room| !(1..=NAME_MAX_BYTES).contains(&room.len())) {
        true => Err(bad_request(format!("`room` has 1 to {NAME_MAX_BYTES} bytes"))),
        false => Ok(()),
    }
}

fn limit(limit: Option<u32>, max: u32) -> Result<u32, Stop> {
    match limit.unwrap_or(max) {
        limit if (1..=max).contains(&limit) => Ok(limit),
        _ => Err(reject("limit_invalid", format!("`limit`: must be 1 to {max}")).into()),
    }
}

impl<'a> Desk<'a> {
    pub(crate) fn new(config: &'a DeskConfig, event: &'a Event) -> Self {
        Self { config, event, act: String::new() }
    }

    fn store(&self) -> Store<'_> {
        self.event.store()
    }

    fn now_ms(&self) -> u64 {
        self.event.received_ms()
    }

    /// Whoever causes the event moderates; a server may always.
    pub(crate) fn is_moderator(&self) -> bool {
        self.event.origin() == Origin::Server || {
            let roles = self.event.roles();
            self.config.moderator_roles.iter().any(|role| roles.contains(role))
        }
    }

    fn by(&self) -> String {
        self.event.user().unwrap_or_else(|| "server".into())
    }

    /// Remembers who is told of what happens.
    pub(crate) fn see_moderator(&self) -> Result<(), Failure> {
        let Some(user) = self.event.user() else { return Ok(()) };
        let known = self.moderators()?.into_iter().find(|(_, known)| *known == user).map(|(seen_ms, _)| seen_ms);
        match (self.is_moderator(), known) {
            (true, Some(seen_ms)) if self.now_ms().saturating_sub(seen_ms) < SEEN_AGAIN.as_millis() as u64 => {}
            (true, _) => self.store().add(MODERATORS, &user, self.now_ms(), self.config.moderators_max)?,
            (false, Some(_)) => self.store().remove(MODERATORS, &user)?,
            (false, None) => {}
        }
        Ok(())
    }

    fn moderators(&self) -> Result<Vec<(u64, String)>, Failure> {
        self.store().members(MODERATORS, 0..u64::MAX, self.config.moderators_max)
    }

    pub(crate) fn tell_moderators(&self, name: &str, what: Value) -> Result<(), Stop> {
        let all = self.moderators()?.into_iter().fold(To::default(), |to, (_, user)| to.and(To::user(user)));
        if all != To::default() {
            self.event.emit(all, name, what)?;
        }
        Ok(())
    }

    /// Tells what somebody got, and the moderators of it.
    pub(crate) fn tell_sanction(&self, person: &Person, sanction: &Sanction) -> Result<(), Stop> {
        if sanction.kind != Kind::Shadow {
            let notice = with_kind(sanction.kind.name(), sanction.facts());
            self.event.emit(person.target().into(), "mod:notice", notice)?;
        }
        self.tell_moderators("mod:sanctioned", json!(sanction))
    }

    /// When the last message was that slow mode counted, and whether this one comes too soon: after so many ms.
    pub(crate) fn too_soon(&self, room: &str, seconds: u32) -> Result<Option<u64>, Failure> {
        let key = Who::of(self.event).key("slow", &[room]);
        let last: Option<u64> = self.store().get(&key)?;
        let (now, pause_ms) = (self.now_ms(), u64::from(seconds) * 1000);
        match last.map(|last| (last + pause_ms).saturating_sub(now)) {
            Some(wait_ms) if wait_ms > 0 => Ok(Some(wait_ms)),
            _ => {
                let ttl = Duration::from_secs(seconds.into());
                self.store().compare_and_set(&key, last.as_ref(), Some(&now), Some(ttl))?;
                Ok(None)
            }
        }
    }

    /// Counts one of a kind; the count of the window so far.
    pub(crate) fn count(&self, what: &str, rest: &str, window: Duration) -> u64 {
        self.store().meter(&Who::of(self.event).key(what, &[rest]), window).into()
    }

    /// A `mod:` event.
    pub(crate) fn command(mut self, rules: &Rules, event: &MessageEvent, act: &str) -> Outcome {
        self.act = act.to_owned();
        if act == "me" {
            return self.me(rules, event);
        }
        if !self.is_moderator() {
            return Err(not_allowed("only moderators may do this"));
        }
        let ack = match act {
            "mute" => self.give(event, Kind::Mute)?,
            "ban" => self.give(event, Kind::Ban)?,
            "shadow" => self.give(event, Kind::Shadow)?,
            "unmute" => self.lift_one(event, Kind::Mute)?,
            "unban" => self.lift_one(event, Kind::Ban)?,
            "unshadow" => self.lift_one(event, Kind::Shadow)?,
            "lift" => {
                let IdBody { id } = body(event)?;
                let lifted = self.lift_numbered(id)?;
                self.lifted(lifted)?
            }
            "kick" => self.kick(event)?,
            "sanctions" => {
                let PageBody { before, limit: wanted, .. } = body(event)?;
                let (sanctions, more) = self.sanctions(before, limit(wanted, PAGE_MAX)?)?;
                json!({ "ok": true, "sanctions": sanctions, "more": more })
            }
            "queue" => {
                let PageBody { before, limit: wanted, .. } = body(event)?;
                let (items, more) = self.queue(before, limit(wanted, QUEUE_PAGE_MAX)?)?;
                json!({ "ok": true, "items": items, "more": more })
            }
            "approve" => {
                let approved: ApproveBody = body(event)?;
                self.approve(event, &approved)?;
                json!({ "ok": true })
            }
            "decline" => {
                let declined: DeclineBody = body(event)?;
                self.decline(event, declined)?;
                json!({ "ok": true })
            }
            "audit" => {
                let PageBody { before, limit: wanted, user } = body(event)?;
                let (entries, more) = self.audit(before, limit(wanted, PAGE_MAX)? as usize, user)?;
                json!({ "ok": true, "entries": entries, "more": more })
            }
            "rules" => {
                let NoBody {} = body(event)?;
                self.show_rules(rules)?
            }
            _ => self.change_rules(rules, event)?,
        };
        event.ack(ack)?;
        Ok(Pass)
    }

    fn change_rules(&self, rules: &Rules, event: &MessageEvent) -> Result<Value, Stop> {
        let (name, room, version) = match self.act.as_str() {
            "rule_set" => {
                let RuleBody { rule } = body(event)?;
                let (name, version) = self.rule_set(rules, rule)?;
                (Some(name), None, version)
            }
            "rule_remove" => {
                let NameBody { name } = body(event)?;
                let version = self.rule_remove(rules, &name)?;
                (Some(name), None, version)
            }
            "rule_reset" => {
                let NameBody { name } = body(event)?;
                let version = self.rule_reset(rules, &name)?;
                (Some(name), None, version)
            }
            "words" => {
                let WordsBody { name, add, remove } = body(event)?;
                let version = self.words(rules, &name, add, &remove)?;
                (Some(name), None, version)
            }
            "slow" => {
                let SlowBody { room, seconds } = body(event)?;
                check_room(Some(&room))?;
                if seconds > SLOW_MAX_SECONDS {
                    return Err(bad_request(format!("`seconds` must be 0 to {SLOW_MAX_SECONDS}")));
                }
                let version = self.slow(rules, &room, seconds)?;
                (None, Some(room), version)
            }
            other => return Err(bad_request(format!("there is no event `mod:{other}`"))),
        };
        self.note_by_moderator(Entry { name, room, ..Entry::default() })?;
        Ok(json!({ "ok": true, "version": version }))
    }

    fn note_by_moderator(&self, entry: Entry) -> Result<(), Stop> {
        let entry = Entry { act: self.act.clone(), by: Some(self.by()), ..entry };
        self.note(&Who::of(self.event), entry)
    }

    fn me(&self, rules: &Rules, event: &MessageEvent) -> Outcome {
        let NoBody {} = body(event)?;
        let slow = &rules.active(self)?.slow;
        let (moderator, sanctions) = (self.is_moderator(), self.standing()?.known());
        event.ack(json!({ "ok": true, "moderator": moderator, "sanctions": sanctions, "slow": slow }))?;
        Ok(Pass)
    }

    /// Whom a moderator may do something to.
    fn subject(&self, user: Option<String>, socket: Option<String>) -> Result<Person, Stop> {
        let person = self.person(user, socket)?;
        if let Some(user) = &person.user
            && self.moderators()?.iter().any(|(_, moderator)| moderator == user)
        {
            return Err(not_allowed("moderators cannot do this to one another"));
        }
        Ok(person)
    }

    fn give(&self, event: &MessageEvent, kind: Kind) -> Result<Value, Stop> {
        let WhoBody { user, socket, room, seconds, reason } = body(event)?;
        check_room(room.as_deref())?;
        check_reason(reason.as_deref())?;
        if seconds.is_some_and(|seconds| !(1..=SECONDS_MAX).contains(&seconds)) {
            return Err(bad_request(format!("`seconds` must be 1 to {SECONDS_MAX}")));
        }
        let person = self.subject(user, socket)?;
        let new = New { kind, room: room.clone(), seconds, reason, by: self.by() };
        let sanction = self.impose(&person, new, true)?;
        self.tell_sanction(&person, &sanction)?;
        if kind == Kind::Ban {
            self.send_away(&person, room.as_deref(), "banned");
        }
        self.note_by_moderator(Entry {
            user: person.user,
            socket: person.socket,
            room,
            until_ms: sanction.until_ms,
            reason: sanction.reason.clone(),
            ..Entry::default()
        })?;
        Ok(json!({ "ok": true, "sanction": sanction }))
    }

    fn send_away(&self, person: &Person, room: Option<&str>, reason: &str) {
        let orders = self.event.orders();
        match room {
            Some(room) => orders.leave(person.target(), room, reason),
            None => orders.disconnect(person.target(), reason),
        }
    }

    fn kick(&self, event: &MessageEvent) -> Result<Value, Stop> {
        let WhoBody { user, socket, room, seconds, reason } = body(event)?;
        if seconds.is_some() {
            return Err(bad_request("a kick has no `seconds`: a ban has"));
        }
        check_room(room.as_deref())?;
        check_reason(reason.as_deref())?;
        let person = self.subject(user, socket)?;
        let mut notice = json!({ "kind": "kick" });
        for (key, value) in [("room", &room), ("reason", &reason)] {
            if let Some(value) = value {
                notice[key] = json!(value);
            }
        }
        event.emit(person.target().into(), "mod:notice", notice)?;
        self.send_away(&person, room.as_deref(), "kicked");
        let Person { user, socket, .. } = person;
        self.note_by_moderator(Entry { user, socket, room, reason, ..Entry::default() })?;
        Ok(json!({ "ok": true }))
    }

    fn lift_one(&self, event: &MessageEvent, kind: Kind) -> Result<Value, Stop> {
        let WhoBody { user, socket, room, seconds: None, reason: None } = body(event)? else {
            return Err(bad_request("what is lifted has neither `seconds` nor `reason`"));
        };
        let person = self.person(user, socket)?;
        let lifted = self.lift(&person.who, |s| s.kind == kind && s.room == room)?;
        self.lifted(lifted)
    }

    fn lifted(&self, lifted: Option<Sanction>) -> Result<Value, Stop> {
        let Some(Sanction { kind, user, socket, room, .. }) = lifted else {
            return Err(reject("not_sanctioned", "no such sanction is in force").into());
        };
        let mut what = json!({ "kind": kind, "by": self.by() });
        for (key, value) in [("user", &user), ("socket", &socket), ("room", &room)] {
            if let Some(value) = value {
                what[key] = json!(value);
            }
        }
        self.tell_moderators("mod:lifted", what)?;
        if kind != Kind::Shadow {
            let mut notice = json!({ "kind": format!("un{}", kind.name()) });
            if let Some(room) = &room {
                notice["room"] = json!(room);
            }
            let to = match (&user, &socket) {
                (Some(user), _) => To::user(user.clone()),
                (None, socket) => To::socket(socket.clone().unwrap_or_default()),
            };
            self.event.emit(to, "mod:notice", notice)?;
        }
        self.note_by_moderator(Entry { user, socket, room, name: Some(kind.name().into()), ..Entry::default() })?;
        Ok(json!({ "ok": true }))
    }
}
