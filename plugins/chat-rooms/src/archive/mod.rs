//! The archive: keeps what rooms and users were really sent, and lets its authors change it.
//!
//! It handles what has a target only: no client can give one, so whatever comes here went through the front. What goes
//! no more to where the front sent it (a shadow ban, say) is not kept.

mod log;

use hubbub_plugin::{Event, prelude::*};
use serde::de::DeserializeOwned;

use self::log::{Log, Reaction, Record};
use crate::{
    config::{Config, days},
    keys::key,
    wire::{Act, Delete, Edit, Joined, Page, Place, Posted, React, Read, Topic, mark, who_spoke},
};

/// The archive with one event.
pub(crate) struct Archive<'a> {
    config: &'a Config,
    event: &'a Event,
}

/// The one argument, when it is what the front makes of it.
fn body<T: DeserializeOwned>(event: &MessageEvent) -> Option<T> {
    event.args().ok().map(|(body,)| body)
}

fn topic_key(room: &str) -> String {
    key("topic", &[room])
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
            "history" => body(event).map(|page| self.page(event, &page)),
            "topic" => body(event).map(|act| self.topic(event, act)),
            "edit" => body(event).map(|act| self.edit(event, act)),
            "delete" => body(event).map(|act| self.delete(event, act)),
            "react" => body(event).map(|act| self.react(event, act)),
            "read" => body(event).map(|act| self.read(event, act)),
            _ => None,
        }
        .unwrap_or(Ok(Pass))
    }

    fn log(&self, place: &Place) -> Log<'_> {
        Log::new(self.config, self.event, place.thread(self.event.user().as_deref()))
    }

    fn keep(&self, event: &MessageEvent, posted: Posted) -> Outcome {
        if !goes_to(event, &posted.place) {
            return Ok(Pass);
        }
        if let Place::Room(room) = &posted.place {
            for mention in &posted.mentions {
                let to = match &mention.user {
                    Some(user) => To::user(user.clone()),
                    None => mention.sockets.iter().fold(To::default(), |to, id| to.and(To::socket(id.clone()))),
                };
                let notice = json!({ "room": room, "id": posted.id, "by": posted.from });
                event.emit(to.except_sender(), "mentioned", notice)?;
            }
        }
        self.log(&posted.place).append(posted)?;
        Ok(Pass)
    }

    fn join(&self, event: &MessageEvent, mut joined: Joined) -> Outcome {
        joined.topic = event.store().get(&topic_key(&joined.room))?;
        if let Some(topic) = &joined.topic {
            // a private room's topic must not outlive the room: it is renewed by who sees it
            event.store().set(&topic_key(&joined.room), topic, Some(days(self.config.history_ttl_days)))?;
        }
        joined.last_id = self.log(&Place::Room(joined.room.clone())).last_id()?;
        event.ack(joined)?;
        Ok(Swallow)
    }

    fn page(&self, event: &MessageEvent, page: &Page) -> Outcome {
        let (records, more) = self.log(&page.place).page(page.before, page.limit)?;
        let me = mark(&page.who);
        let messages: Vec<Value> = records.iter().map(|r| r.public(&me)).collect::<Result<_, _>>()?;
        let mut ack = json!({ "ok": true, "messages": messages, "more": more });
        match &page.place {
            Place::Room(room) => ack["room"] = json!(room),
            Place::To(user) => ack["user"] = json!(user),
        }
        event.ack(ack)?;
        Ok(Swallow)
    }

    fn topic(&self, event: &MessageEvent, act: Act<Topic>) -> Outcome {
        let place = Place::Room(act.room.clone());
        if goes_to(event, &place) {
            let key = topic_key(&act.room);
            match act.what.text.is_empty() {
                true => event.store().delete(&key),
                false => event.store().set(&key, &act.what.text, Some(days(self.config.history_ttl_days)))?,
            }
        }
        tell(event, "topic", &act, json!({ "text": act.what.text }))
    }

    fn edit(&self, event: &MessageEvent, act: Act<Edit>) -> Outcome {
        let place = Place::Room(act.room.clone());
        let (log, Edit { id, text }) = (self.log(&place), &act.what);
        let (at, old) = log.find_live(*id)?;
        may_change(&old, &act)?;
        if goes_to(event, &place) {
            let mut new = old.clone();
            new.posted.text.clone_from(text);
            new.edited_ms = Some(act.time_ms);
            log.replace(at, &old, &new)?;
        }
        tell(event, "edited", &act, json!({ "id": id, "text": text }))
    }

    fn delete(&self, event: &MessageEvent, act: Act<Delete>) -> Outcome {
        let place = Place::Room(act.room.clone());
        let (log, id) = (self.log(&place), act.what.id);
        let (at, old) = log.find_live(id)?;
        may_change(&old, &act)?;
        if goes_to(event, &place) {
            let mut new = old.clone();
            new.posted.text.clear();
            new.posted.mentions.clear();
            new.reactions.clear();
            new.deleted = true;
            log.replace(at, &old, &new)?;
        }
        tell(event, "deleted", &act, json!({ "id": id }))
    }

    fn react(&self, event: &MessageEvent, act: Act<React>) -> Outcome {
        let place = Place::Room(act.room.clone());
        let (log, React { id, emoji, on }) = (self.log(&place), &act.what);
        let (at, old) = log.find_live(*id)?;
        let mut new = old.clone();
        let me = mark(&who_spoke(&act.by));
        let known = new.reactions.iter().position(|r| r.emoji == *emoji);
        let count = match (known, on) {
            (None, false) => 0,
            (None, true) => {
                if new.reactions.len() >= self.config.reaction_kinds_max {
                    return Err(too_many_reactions());
                }
                new.reactions.push(Reaction { emoji: emoji.clone(), by: vec![me] });
                1
            }
            (Some(known), on) => {
                let reaction = &mut new.reactions[known];
                reaction.by.retain(|by| *by != me);
                if *on {
                    if reaction.by.len() >= self.config.reaction_users_max {
                        return Err(too_many_reactions());
                    }
                    reaction.by.push(me);
                }
                reaction.by.len()
            }
        };
        new.reactions.retain(|r| !r.by.is_empty());
        if goes_to(event, &place) {
            log.replace(at, &old, &new)?;
        }
        tell(event, "reacted", &act, json!({ "id": id, "emoji": emoji, "on": on, "count": count }))
    }

    fn read(&self, event: &MessageEvent, act: Act<Read>) -> Outcome {
        let (store, id) = (event.store(), act.what.id);
        if !(1..=self.log(&Place::Room(act.room.clone())).last_id()?).contains(&id) {
            return Err(unknown_message());
        }
        let key = key("read", &[&act.room, &who_spoke(&act.by)]);
        let known: Option<u64> = store.get(&key)?;
        if known.is_some_and(|known| known >= id) {
            event.ack(json!({ "ok": true, "id": known }))?;
            return Ok(Swallow);
        }
        store.set(&key, &id, Some(days(self.config.history_ttl_days)))?;
        event.ack(json!({ "ok": true, "id": id }))?;
        tell(event, "read", &act, json!({ "id": id }))
    }
}

/// Makes an act what the room's members get: `{room, by, time_ms}` and what is new.
fn tell<T>(event: &MessageEvent, name: &str, act: &Act<T>, mut news: Value) -> Outcome {
    news["room"] = json!(act.room);
    news["by"] = json!(act.by);
    news["time_ms"] = json!(act.time_ms);
    event.set_name(name);
    event.set_args(news)?;
    Ok(Pass)
}

/// The author is the same user, or the same socket when there is none.
fn may_change<T>(record: &Record, act: &Act<T>) -> Result<(), Rejection> {
    match act.moderator || who_spoke(&record.posted.from) == who_spoke(&act.by) {
        true => Ok(()),
        false => Err(reject("not_allowed", "only the author and moderators may change a message")),
    }
}

fn too_many_reactions() -> Stop {
    reject("too_many_reactions", "this message has all the reactions it may have").into()
}

fn unknown_message() -> Stop {
    reject("unknown_message", "there is no such message").into()
}
