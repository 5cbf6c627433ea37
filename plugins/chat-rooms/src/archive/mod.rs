//! The archive: keeps what rooms and users were really sent, and lets its authors change it.
//!
//! It handles what has a target only: no client can give one, so whatever comes here went through the front. What goes
//! no more to where the front sent it (a shadow ban, say) is not kept.

mod acts;
mod log;

use hubbub_plugin::{Event, prelude::*};
use serde::de::DeserializeOwned;

use self::log::{Log, ReadTo, Shown};
use crate::{
    config::{Config, days},
    keys::key,
    wire::{Joined, Listing, Mention, Page, Place, Posted, Speaker, Typing, mark, who, who_spoke},
};

/// The archive with one event.
pub(crate) struct Archive<'a> {
    config: &'a Config,
    event: &'a Event,
}

/// The ack of `history`.
#[derive(Serialize)]
struct ShownPage {
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    room: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    messages: Vec<Shown>,
    more: bool,
}

/// The one argument, when it is what the front makes of it.
fn body<T: DeserializeOwned>(event: &MessageEvent) -> Option<T> {
    event.args().ok().map(|(body,)| body)
}

fn topic_key(room: &str) -> String {
    key("topic", &[room])
}

/// With whom a user has exchanged direct messages.
fn directs_key(user: &str) -> String {
    key("directs", &[user])
}

/// Whether the room gets it, as far as earlier plugins left it so.
fn goes_to(event: &MessageEvent, place: &Place) -> bool {
    let target = match place {
        Place::Room(room) => Target::Room(room.clone()),
        Place::To(user) => Target::User(user.clone()),
    };
    event.targets().contains(&target)
}

impl<'a> Archive<'a> {
    pub(crate) fn new(config: &'a Config, event: &'a Event) -> Self {
        Self { config, event }
    }

    pub(crate) fn message(&self, event: &MessageEvent) -> Outcome {
        if event.targets().is_empty() {
            return Ok(Pass);
        }
        match event.name().as_str() {
            "message" | "direct" => body(event).map(|posted| self.keep(event, posted)),
            "join" => body(event).map(|joined| self.join(event, joined)),
            "rooms" => body(event).map(|listing| self.list(event, listing)),
            "history" => body(event).map(|page| self.page(event, &page)),
            "topic" => body(event).map(|act| self.topic(event, act)),
            "edit" => body(event).map(|act| self.edit(event, act)),
            "delete" => body(event).map(|act| self.delete(event, act)),
            "react" => body(event).map(|act| self.react(event, act)),
            "read" => body(event).map(|act| self.read(event, act)),
            "typing" => body(event).map(|typing| self.typing(event, &typing)),
            _ => None,
        }
        .unwrap_or(Ok(Pass))
    }

    /// What the event's own user says in a place, or asks of it.
    fn log(&self, place: &Place) -> Log<'_> {
        self.log_of(place, self.event.user().as_deref())
    }

    /// What somebody says in a place: a moderator may be the one who sends it on.
    fn log_of(&self, place: &Place, user: Option<&str>) -> Log<'_> {
        Log::new(self.config, self.event, place.thread(user))
    }

    fn keep(&self, event: &MessageEvent, posted: Posted) -> Outcome {
        if !goes_to(event, &posted.place) {
            return Ok(Pass);
        }
        mention(event, &posted.place, posted.mentions.iter(), posted.id, &posted.from)?;
        if let (Place::To(to), Some(from)) = (&posted.place, &posted.from.user)
            && self.config.directs_listed_max > 0
        {
            for (user, other) in [(to, from), (from, to)] {
                event.store().add(&directs_key(user), other, posted.time_ms, self.config.directs_listed_max)?;
            }
        }
        let log = self.log_of(&posted.place, posted.from.user.as_deref());
        let (author, id) = (who_spoke(&posted.from), posted.id);
        let at = log.append(posted)?;
        // who says something has read what was said before; whose words had to wait may not have read what came meanwhile
        if author == who(event) || log.read_to(&author)?.at + 1 == at {
            log.note_read(&author, ReadTo { id, at })?;
        }
        Ok(Pass)
    }

    /// Nothing is kept of it, and it may be dropped: no plugin behind looks at it.
    fn typing(&self, event: &MessageEvent, typing: &Typing) -> Outcome {
        if !goes_to(event, &typing.place) {
            return Ok(Pass);
        }
        let to = match &typing.place {
            Place::Room(room) => To::room(room.clone()),
            Place::To(user) => To::user(user.clone()),
        };
        event.emit_volatile(to.except(&*typing.who.socket), "typing", typing)?;
        Ok(Swallow)
    }

    fn join(&self, event: &MessageEvent, mut joined: Joined) -> Outcome {
        joined.topic = event.store().get(&topic_key(&joined.room))?;
        if let Some(topic) = &joined.topic {
            // a private room's topic must not outlive the room: it is renewed by who sees it
            event.store().set(&topic_key(&joined.room), topic, Some(days(self.config.history_ttl_days)))?;
        }
        let log = self.log(&Place::Room(joined.room.clone()));
        joined.last_id = log.last_id()?;
        joined.read_id = log.read_to(&who(event))?.id;
        joined.name = None;
        event.ack(joined)?;
        Ok(Swallow)
    }

    fn page(&self, event: &MessageEvent, page: &Page) -> Outcome {
        let (records, more) = self.log(&page.place).page(page.before, page.limit)?;
        let me = mark(&page.who);
        let messages = records.into_iter().map(|record| record.shown_to(&me)).collect();
        let (room, user) = match page.place.clone() {
            Place::Room(room) => (Some(room), None),
            Place::To(user) => (None, Some(user)),
        };
        event.ack(ShownPage { ok: true, room, user, messages, more })?;
        Ok(Swallow)
    }

    /// How far the client's own rooms and direct messages have come, and how far it has read.
    fn list(&self, event: &MessageEvent, listing: Listing) -> Outcome {
        let Listing { rooms, public, who } = listing;
        let state = |place: &Place| -> Result<Value, Failure> {
            let (log, what) = (self.log(place), if matches!(place, Place::Room(_)) { "room" } else { "user" });
            let read = log.read_to(&who)?;
            let (Place::Room(name) | Place::To(name)) = place;
            Ok(json!({ what: name, "last_id": log.last_id()?, "read_id": read.id, "unread": log.unread(&read)? }))
        };
        let rooms: Vec<Value> = rooms.into_iter().map(|room| state(&Place::Room(room))).collect::<Result<_, _>>()?;
        let mut directs = Vec::new();
        if let Some(me) = event.user() {
            let users = event.store().members(&directs_key(&me), 0..u64::MAX, self.config.directs_listed_max)?;
            for (time_ms, user) in users.into_iter().rev() {
                let mut direct = state(&Place::To(user))?;
                direct["time_ms"] = json!(time_ms);
                directs.push(direct);
            }
        }
        let mut ack = json!({ "ok": true, "rooms": rooms, "directs": directs });
        if let Some(mut public) = public {
            for room in &mut public {
                room.topic = event.store().get(&topic_key(&room.room))?;
            }
            ack["public"] = json!(public);
        }
        event.ack(ack)?;
        Ok(Swallow)
    }
}

/// Tells those who are mentioned in a room.
fn mention<'a>(
    event: &Event,
    place: &Place,
    mentions: impl Iterator<Item = &'a Mention>,
    id: u64,
    by: &Speaker,
) -> Result<(), Failure> {
    let Place::Room(room) = place else { return Ok(()) };
    for mention in mentions {
        let to = match &mention.user {
            Some(user) => To::user(user.clone()),
            None => mention.sockets.iter().fold(To::default(), |to, id| to.and(To::socket(id.clone()))),
        };
        event.emit(to.except(&*by.socket), "mentioned", json!({ "room": room, "id": id, "by": by }))?;
    }
    Ok(())
}

fn unknown_message() -> Stop {
    reject("unknown_message", "there is no such message").into()
}
