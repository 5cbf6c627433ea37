//! Changes of what is kept, by those who may change it.

use hubbub_plugin::prelude::*;

use super::{
    Archive, goes_to,
    log::{Reaction, ReadTo, Record},
    mention, topic_key, unknown_message,
};
use crate::{
    config::days,
    wire::{Act, Delete, Edit, Place, React, Read, Topic, mark, who_spoke},
};

impl Archive<'_> {
    pub(super) fn topic(&self, event: &MessageEvent, act: Act<Topic>) -> Outcome {
        if let Place::Room(room) = &act.place
            && goes_to(event, &act.place)
        {
            let key = topic_key(room);
            match act.what.text.is_empty() {
                true => event.store().delete(&key),
                false => event.store().set(&key, &act.what.text, Some(days(self.config.history_ttl_days)))?,
            }
        }
        tell(event, "topic", &act, json!({ "text": act.what.text }))
    }

    pub(super) fn edit(&self, event: &MessageEvent, act: Act<Edit>) -> Outcome {
        let place = &act.place;
        let (log, Edit { id, text, mentions }) = (self.log_of(place, act.by.user.as_deref()), &act.what);
        let (at, old) = log.find_live(*id)?;
        may_change(&old, &act)?;
        if goes_to(event, place) {
            let mut new = old.clone();
            new.posted.text.clone_from(text);
            new.posted.mentions.clone_from(mentions);
            new.edited_ms = Some(act.time_ms);
            log.replace(at, &old, &new)?;
            let known = &old.posted.mentions;
            let newly = mentions.iter().filter(|m| known.iter().all(|k| !k.is_of(m)));
            mention(event, place, newly, *id, &act.by)?;
        }
        let mut news = json!({ "id": id, "text": text });
        if !mentions.is_empty() {
            news["mentions"] = json!(mentions);
        }
        tell(event, "edited", &act, news)
    }

    pub(super) fn delete(&self, event: &MessageEvent, act: Act<Delete>) -> Outcome {
        let place = &act.place;
        let (log, id) = (self.log_of(place, act.by.user.as_deref()), act.what.id);
        let (at, old) = log.find_live(id)?;
        may_change(&old, &act)?;
        if goes_to(event, place) {
            let mut new = old.clone();
            new.posted.text.clear();
            new.posted.mentions.clear();
            new.reactions.clear();
            new.deleted = true;
            log.replace(at, &old, &new)?;
        }
        tell(event, "deleted", &act, json!({ "id": id }))
    }

    pub(super) fn react(&self, event: &MessageEvent, act: Act<React>) -> Outcome {
        let place = &act.place;
        let (log, React { id, emoji, on }) = (self.log_of(place, act.by.user.as_deref()), &act.what);
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
        if goes_to(event, place) {
            log.replace(at, &old, &new)?;
        }
        tell(event, "reacted", &act, json!({ "id": id, "emoji": emoji, "on": on, "count": count }))
    }

    pub(super) fn read(&self, event: &MessageEvent, act: Act<Read>) -> Outcome {
        let (log, id, who) = (self.log_of(&act.place, act.by.user.as_deref()), act.what.id, who_spoke(&act.by));
        if !(1..=log.last_id()?).contains(&id) {
            return Err(unknown_message());
        }
        let known = log.read_to(&who)?.id;
        if known >= id {
            event.ack(json!({ "ok": true, "id": known }))?;
            return Ok(Swallow);
        }
        log.note_read(&who, ReadTo { id, at: log.last_up_to(id)? })?;
        event.ack(json!({ "ok": true, "id": id }))?;
        tell(event, "read", &act, json!({ "id": id }))
    }
}

/// Makes an act what the room's members, or two users, get: `{room or to, by, time_ms}` and what is new.
fn tell<T>(event: &MessageEvent, name: &str, act: &Act<T>, mut news: Value) -> Outcome {
    match &act.place {
        Place::Room(room) => news["room"] = json!(room),
        Place::To(user) => news["to"] = json!(user),
    }
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
