//! Messages that wait for a moderator. One is kept as it would have gone out, and goes out from here.

use std::time::Duration;

use hubbub_plugin::{
    prelude::*,
    serde_json::{self, value::RawValue},
};

use super::{
    Desk, Number,
    audit::Entry,
    keys::numbered,
    who::{Person, Who},
};
use crate::Finding;

/// The longest arguments of a message that may be held, in bytes.
const ARGS_MAX_BYTES: usize = 40_000;
/// Held ones that are gone by time, and that one new one clears away.
const CLEARED_AT_ONCE: usize = 50;
/// The sorted set of those that wait, by number.
const INDEX: &str = "queue";

/// Where a message goes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Place {
    Room(String),
    User(String),
    Socket(String),
    Everyone,
}

impl Place {
    /// The sender's own socket and the event's room are not kept: they mean nothing any more, or stand here anyhow.
    fn of(target: Target) -> Option<Self> {
        match target {
            Target::Room(room) => Some(Self::Room(room)),
            Target::User(user) => Some(Self::User(user)),
            Target::Socket(id) => Some(Self::Socket(id)),
            Target::Everyone => Some(Self::Everyone),
            Target::Sender | Target::EventRoom => None,
        }
    }

    fn to(self) -> To {
        match self {
            Self::Room(room) => To::room(room),
            Self::User(user) => To::user(user),
            Self::Socket(id) => To::socket(id),
            Self::Everyone => To::everyone(),
        }
    }
}

/// Who said it, as others would have seen it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct From {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    socket: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

/// A message that waits.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Held {
    id: u64,
    time_ms: u64,
    event: String,
    places: Vec<Place>,
    /// The arguments, a JSON array.
    args: String,
    from: From,
    text: String,
    code: String,
    message: String,
    rule: String,
}

/// A place in the queue.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Waiting {
    id: u64,
    who: Who,
}

/// What a moderator says of an item.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ApproveBody {
    pub id: u64,
    room: Option<String>,
    from: Option<String>,
    to: Option<String>,
    /// From the plugin that numbers messages.
    number: Option<Number>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeclineBody {
    pub id: u64,
    pub reason: Option<String>,
}

/// What is read of a message's first argument.
#[derive(Default, Deserialize)]
struct Known {
    name: Option<String>,
    to: Option<String>,
    client_id: Option<String>,
    id: Option<Value>,
}

impl Held {
    fn body(&self) -> Result<Value, Stop> {
        let args: Vec<Value> = serde_json::from_str(&self.args)?;
        Ok(args.into_iter().next().unwrap_or_default())
    }

    fn known(&self) -> Known {
        self.body().ok().and_then(|body| serde_json::from_value(body).ok()).unwrap_or_default()
    }

    fn room(&self) -> Option<&str> {
        match &self.places[..] {
            [Place::Room(room)] => Some(room),
            _ => None,
        }
    }

    /// As moderators see it.
    fn item(&self) -> Result<Value, Stop> {
        let body = self.body()?;
        let mut item = json!({
            "id": self.id, "time_ms": self.time_ms, "event": self.event, "from": self.from, "text": self.text,
            "code": self.code, "rule": self.rule,
        });
        self.say_where(&mut item);
        item["body"] = body;
        Ok(item)
    }

    fn say_where(&self, about: &mut Value) {
        match (self.room(), self.known().to) {
            (Some(room), _) => about["room"] = json!(room),
            (None, Some(to)) => about["to"] = json!(to),
            (None, None) => {}
        }
    }

    /// What its author is told of it.
    fn notice(&self, kind: &str) -> Value {
        let known = self.known();
        let mut notice = json!({ "kind": kind, "held": self.id, "event": self.event });
        self.say_where(&mut notice);
        if let Some(id) = known.id {
            notice["id"] = id;
        }
        if let Some(client_id) = known.client_id {
            notice["client_id"] = json!(client_id);
        }
        notice
    }

    fn author(&self) -> To {
        match &self.from.user {
            Some(user) => To::user(user.clone()),
            None => To::socket(self.from.socket.clone()),
        }
    }

    /// Whether a moderator means this message, not another one.
    fn fits(&self, body: &ApproveBody) -> bool {
        let is_direct = self.room().is_none();
        let same_room = body.room.is_none() || body.room.as_deref() == self.room();
        let same_pair = body.from.is_none() == body.to.is_none()
            && (body.to.is_none() || (is_direct && body.to == self.known().to && body.from == self.from.user));
        same_room && same_pair
    }

    /// The arguments as they go out now. `None`: a number is needed, and none came.
    fn args_now(&self, number: Option<&Number>) -> Result<Option<String>, Stop> {
        let is_numbered =
            matches!(self.event.as_str(), "message" | "direct") && self.known().id.is_some_and(|id| id.is_u64());
        if !is_numbered {
            return Ok(Some(self.args.clone()));
        }
        let Some(number) = number else { return Ok(None) };
        let mut args: Vec<Value> = serde_json::from_str(&self.args)?;
        if let Some(body) = args.first_mut() {
            body["id"] = json!(number.id);
            body["time_ms"] = json!(number.time_ms);
        }
        Ok(Some(serde_json::to_string(&args)?))
    }
}

fn unknown_item() -> Stop {
    reject("unknown_item", "nothing with this number waits for review").into()
}

impl Desk<'_> {
    /// Keeps a message back, and tells its author and the moderators. `None`: it is none that can be held.
    pub(crate) fn hold(&self, event: &MessageEvent, text: &str, found: &Finding) -> Result<Option<Outcome>, Stop> {
        let args = event.args_json();
        let places: Vec<Place> = event.targets().into_iter().filter_map(Place::of).collect();
        if places.is_empty() || event.attachment_count() > 0 || args.len() > ARGS_MAX_BYTES {
            return Ok(None);
        }
        let person = Person::of(event);
        if !self.has_room(&person.who)? {
            let text = "too many messages wait for review, try again later";
            return Err(reject("queue_full", text).keeping_writes().into());
        }
        let store = self.store();
        let id = store.increment("held-number", 1, None).unsigned_abs();
        let from = From { user: event.user(), socket: event.socket().unwrap_or_default(), name: None };
        let mut held = Held {
            id,
            time_ms: self.now_ms(),
            event: event.name(),
            places,
            args,
            from,
            text: text.to_owned(),
            code: found.reason.code().into(),
            message: found.reason.message().into(),
            rule: found.rule.clone(),
        };
        held.from.name = held.known().name;
        store.set(&numbered("held", id), &held, Some(self.held_ttl()))?;
        store.add(INDEX, &Waiting { id, who: person.who.clone() }, id, self.config.held_max)?;
        let mut notice = held.notice("held");
        notice["code"] = json!(held.code);
        notice["message"] = json!(held.message);
        event.emit(held.author(), "mod:notice", notice)?;
        self.tell_moderators("mod:held", held.item()?)?;
        Ok(Some(Ok(Swallow)))
    }

    fn held_ttl(&self) -> Duration {
        Duration::from_secs(self.config.held_ttl_hours * 3600)
    }

    fn has_room(&self, who: &Who) -> Result<bool, Stop> {
        let mut waiting: Vec<(u64, Waiting)> = self.store().members(INDEX, 0..u64::MAX, u32::MAX)?;
        let of_one = |waiting: &[(u64, Waiting)]| waiting.iter().filter(|(_, w)| w.who == *who).count();
        let is_full = |waiting: &[(u64, Waiting)]| {
            waiting.len() >= self.config.held_max as usize || of_one(waiting) >= self.config.held_of_one_max
        };
        if is_full(&waiting) {
            let mut kept = Vec::new();
            for (at, (id, place)) in waiting.into_iter().enumerate() {
                if at < CLEARED_AT_ONCE && self.held(id)?.is_none() {
                    self.store().remove(INDEX, &place)?;
                } else {
                    kept.push((id, place));
                }
            }
            waiting = kept;
        }
        Ok(!is_full(&waiting))
    }

    fn held(&self, id: u64) -> Result<Option<Held>, Failure> {
        self.store().get(&numbered("held", id))
    }

    /// Takes one out of the queue; of two moderators at once one is told that it is gone.
    fn take(&self, held: &Held) -> Result<(), Stop> {
        let person = self.author_of(held);
        if !self.store().compare_and_set(&numbered("held", held.id), Some(held), None, None)? {
            return Err(unknown_item());
        }
        let waiting: Vec<(u64, Waiting)> = self.store().members(INDEX, held.id..held.id + 1, 1)?;
        for (_, place) in waiting {
            self.store().remove(INDEX, &place)?;
        }
        self.tell_decided(held, &person)
    }

    fn author_of(&self, held: &Held) -> Person {
        let who = match &held.from.user {
            Some(user) => Who::User(user.clone()),
            None => Who::Socket(held.from.socket.clone()),
        };
        let socket = held.from.user.is_none().then(|| held.from.socket.clone());
        Person { who, user: held.from.user.clone(), socket }
    }

    fn tell_decided(&self, held: &Held, person: &Person) -> Result<(), Stop> {
        let approved = self.act == "approve";
        self.tell_moderators("mod:decided", json!({ "id": held.id, "approved": approved, "by": self.by() }))?;
        self.note(
            &person.who,
            Entry {
                act: self.act.clone(),
                user: person.user.clone(),
                socket: person.socket.clone(),
                room: held.room().map(str::to_owned),
                event: Some(held.event.clone()),
                rule: Some(held.rule.clone()),
                code: Some(held.code.clone()),
                by: Some(self.by()),
                ..Entry::default()
            },
        )
    }

    /// Says it now, down the rest of the chain, as its author would have.
    pub(super) fn approve(&self, event: &MessageEvent, body: &ApproveBody) -> Result<(), Stop> {
        let held = self.held(body.id)?.ok_or_else(unknown_item)?;
        let args = if held.fits(body) { held.args_now(body.number.as_ref())? } else { None };
        let Some(args) = args else {
            let text = "say `room`, or `from` and `to`, as the item has them";
            return Err(reject("item_differs", text).into());
        };
        self.take(&held)?;
        event.emit(held.author(), "mod:notice", held.notice("approved"))?;
        let to = held.places.iter().cloned().fold(To::default(), |to, place| to.and(place.to()));
        event.raise_to(to, &held.event, Args::raw(args, Vec::new()))?;
        Ok(())
    }

    pub(super) fn decline(&self, event: &MessageEvent, body: DeclineBody) -> Result<(), Stop> {
        super::check_reason(body.reason.as_deref())?;
        let held = self.held(body.id)?.ok_or_else(unknown_item)?;
        self.take(&held)?;
        let mut notice = held.notice("declined");
        if let Some(reason) = body.reason {
            notice["reason"] = json!(reason);
        }
        event.emit(held.author(), "mod:notice", notice)?;
        Ok(())
    }

    /// Oldest first, and whether there are older ones.
    pub(super) fn queue(&self, before: Option<u64>, limit: u32) -> Result<(Vec<Box<RawValue>>, bool), Stop> {
        let waiting: Vec<(u64, Waiting)> = self.store().members(INDEX, 0..before.unwrap_or(u64::MAX), limit + 1)?;
        let more = waiting.len() > limit as usize;
        let mut items = Vec::new();
        for (id, place) in waiting.into_iter().skip(usize::from(more)) {
            match self.held(id)? {
                Some(held) => items.push(serde_json::value::to_raw_value(&held.item()?)?),
                None => self.store().remove(INDEX, &place)?,
            }
        }
        Ok((items, more))
    }
}
