//! The plugin: enforces what moderators decided, judges the texts of messages, and does what the verdict says.

use std::time::Duration;

use hubbub_plugin::prelude::*;
use serde::de::{Deserializer, Error as _};

use crate::{
    Action, Config, Counts, Engine, Finding, Message,
    body::Body,
    config::DeskConfig,
    desk::{
        Desk,
        audit::Entry,
        rules::{Active, Rules},
        sanctions::{Kind, New},
        who::{Person, Who},
    },
    fingerprint,
};

/// What moderators send begins so.
const OWN: &str = "mod:";
/// Events that their sender does not get back: who is shadowed must not, either.
const NOT_ECHOED: &[&str] = &["typing"];
/// Events to users that go to their sender's other sockets, and not to the one that it used.
const TO_OTHER_SOCKETS: &[&str] = &["direct"];

struct Moderation {
    rules: Rules,
}

impl<'de> Deserialize<'de> for Moderation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let config = Config::deserialize(deserializer)?;
        Ok(Self { rules: Rules::new(Engine::new(&config).map_err(D::Error::custom)?) })
    }
}

impl Plugin for Moderation {}

impl Moderation {
    fn desk<'a>(&'a self, event: &'a hubbub_plugin::Event) -> Desk<'a> {
        Desk::new(&self.rules.config().desk, event)
    }
}

impl OnConnect for Moderation {
    fn on_connect(&self, event: &ConnectEvent) -> Outcome {
        let desk = self.desk(event);
        if let Some(ban) = desk.standing()?.find(Kind::Ban, None) {
            return Err(ban.refusal().into());
        }
        desk.see_moderator()?;
        Ok(Pass)
    }
}

impl OnJoin for Moderation {
    fn on_join(&self, event: &JoinEvent) -> Outcome {
        let desk = self.desk(event);
        if let Some(ban) = desk.standing()?.find(Kind::Ban, Some(&event.room())) {
            return Err(ban.refusal().into());
        }
        desk.see()?;
        Ok(Pass)
    }
}

impl OnMessage for Moderation {
    fn on_message(&self, event: &MessageEvent) -> Outcome {
        let name = event.name();
        if let Some(act) = name.strip_prefix(OWN) {
            return self.desk(event).command(&self.rules, event, act);
        }
        if event.socket().is_none() {
            // what a server publishes is the operator's word
            return Ok(Pass);
        }
        let desk = self.desk(event);
        let active = self.rules.active(&desk)?;
        Case::read(event, &desk, &active, name)?.decide()
    }
}

hubbub_plugin::export!(Moderation: OnMessage, OnConnect, OnJoin);

/// A message before its judge.
struct Case<'a> {
    event: &'a MessageEvent,
    desk: &'a Desk<'a>,
    active: &'a Active,
    name: String,
    room: Option<String>,
    roles: Vec<String>,
    body: Option<Body>,
    /// Whether others would see anything of it.
    speaks: bool,
    has_text: bool,
}

impl<'a> Case<'a> {
    fn read(event: &'a MessageEvent, desk: &'a Desk<'a>, active: &'a Active, name: String) -> Result<Self, Stop> {
        let body = Body::read(event)?;
        let targets = event.targets();
        let has_text = match &body {
            Some(body) => !body.texts(&active.engine.config().fields)?.is_empty(),
            None => false,
        };
        // without a target yet: a plugin behind may give it one
        let speaks = match targets.is_empty() {
            true => has_text,
            false => targets.iter().any(|target| *target != Target::Sender),
        };
        let (room, roles) = (event.room(), event.roles());
        Ok(Self { event, desk, active, name, room, roles, body, speaks, has_text })
    }

    fn decide(mut self) -> Outcome {
        let standing = if self.speaks { self.desk.standing()? } else { Default::default() };
        let room = self.room.clone();
        let mute = standing.find(Kind::Mute, room.as_deref()).filter(|_| !self.mute_allows());
        if let Some(sanction) = standing.find(Kind::Ban, room.as_deref()).or(mute) {
            let refusal = sanction.refusal();
            return self.refuse(refusal);
        }
        let mut shadowed = standing.find(Kind::Shadow, room.as_deref()).is_some();
        let found = self.judge()?;
        if let Some((finding, text)) = found {
            match finding.action {
                Action::Allow | Action::Mask => self.note(finding.action, &finding)?,
                // nobody needs to review what nobody would see
                Action::Hold if shadowed => {}
                Action::Hold => {
                    self.write_body()?;
                    self.note(finding.action, &finding)?;
                    return match self.desk.hold(self.event, &text, &finding)? {
                        Some(held) => held,
                        None => Err(reject(finding.reason.code(), finding.reason.message()).keeping_writes().into()),
                    };
                }
                Action::Shadow => {
                    self.note(finding.action, &finding)?;
                    shadowed = true;
                }
                Action::Reject => {
                    self.note(finding.action, &finding)?;
                    return Err(reject(finding.reason.code(), finding.reason.message()).keeping_writes().into());
                }
                Action::Mute { seconds } => return self.mute(&finding, seconds),
            }
        }
        if shadowed && self.desk_config().shadow_refuses.contains(&self.name) {
            // the code of a plugin that has enough of it: this must not look like a sanction
            return Err(reject("too_fast", "too many changes, try again later").keeping_writes().into());
        }
        self.slow()?;
        self.write_body()?;
        if shadowed {
            self.shadow();
        }
        Ok(Pass)
    }

    fn desk_config(&self) -> &DeskConfig {
        &self.active.engine.config().desk
    }

    fn mute_allows(&self) -> bool {
        self.desk_config().mute_allows.contains(&self.name)
    }

    /// What the severest rule says, with the text that broke it. What must be masked is masked in the body.
    fn judge(&mut self) -> Result<Option<(Finding, String)>, Stop> {
        let engine = &self.active.engine;
        let Some(body) = self.body.as_mut().filter(|_| self.has_text) else { return Ok(None) };
        if engine.exempts(&self.roles, self.room.as_deref()) {
            return Ok(None);
        }
        let texts = body.texts(&engine.config().fields)?;
        let mut counts = Counts::default();
        if let Some(rule) = engine.config().flood.as_ref().filter(|_| self.speaks && !self.desk.is_moderator()) {
            let window = Duration::from_secs(rule.window_seconds.into());
            counts.messages = self.desk.count("flood", "", window);
            if rule.same_max.is_some() {
                let all = texts.iter().map(|t| t.text.as_str()).collect::<Vec<_>>().join("\n");
                counts.same = self.desk.count("same", &format!("{:016x}", fingerprint(&all)), window);
            }
        }
        let mentions = if engine.config().mentions.is_some() { body.mentions() } else { 0 };
        let mut severest: Option<(Finding, String)> = None;
        for field in &texts {
            let text = field.text.as_str();
            let message = Message { text, room: self.room.as_deref(), roles: &self.roles, mentions, counts };
            let verdict = engine.judge(&message);
            if let Some(clean) = verdict.mask(text) {
                body.set(field, &clean)?;
            }
            if let Some(finding) = verdict.decisive()
                && severest.as_ref().is_none_or(|(known, _)| known.action < finding.action)
            {
                severest = Some((finding.clone(), text.to_owned()));
            }
        }
        Ok(severest)
    }

    fn write_body(&mut self) -> Result<(), Stop> {
        match self.body.take() {
            Some(body) => body.write(self.event),
            None => Ok(()),
        }
    }

    fn entry(&self, act: &str) -> Entry {
        let Person { user, socket, .. } = Person::of(self.event);
        Entry {
            act: act.into(),
            user,
            socket,
            room: self.room.clone(),
            event: Some(self.name.clone()),
            ..Entry::default()
        }
    }

    fn note(&self, action: Action, finding: &Finding) -> Result<(), Stop> {
        let act = match action {
            Action::Allow => "allow",
            Action::Mask => "mask",
            Action::Hold => "hold",
            Action::Shadow => "shadow",
            Action::Reject => "reject",
            Action::Mute { .. } => "mute",
        };
        let (rule, code) = (Some(finding.rule.clone()), Some(finding.reason.code().into()));
        self.desk.note(&Who::of(self.event), Entry { rule, code, ..self.entry(act) })
    }

    /// What a sanction or slow mode forbids. What has no text is refused without an entry.
    fn refuse(&self, refusal: Rejection) -> Outcome {
        if self.has_text {
            let entry = Entry { code: Some(refusal.code().into()), ..self.entry("refused") };
            self.desk.note(&Who::of(self.event), entry)?;
        }
        Err(refusal.keeping_writes().into())
    }

    /// Refuses the message, and what its sender says from now on.
    fn mute(&self, finding: &Finding, seconds: u32) -> Outcome {
        let person = Person::of(self.event);
        let new = New {
            kind: Kind::Mute,
            room: None,
            seconds: Some(seconds.into()),
            reason: Some(finding.reason.message().into()),
            by: "rules".into(),
        };
        let sanction = self.desk.impose(&person, new, false)?;
        self.desk.tell_sanction(&person, &sanction)?;
        let (rule, code) = (Some(finding.rule.clone()), Some(finding.reason.code().into()));
        let entry = Entry { rule, code, until_ms: sanction.until_ms, ..self.entry("mute") };
        self.desk.note(&person.who, entry)?;
        let mut facts = sanction.facts();
        facts["rule_code"] = json!(finding.reason.code());
        Err(sanction.refusal().data(&facts).keeping_writes().into())
    }

    /// Slow mode, which moderators and the exempt do not know.
    fn slow(&self) -> Result<(), Stop> {
        let Some(room) = self.room.as_deref().filter(|_| self.desk_config().slow_events.contains(&self.name)) else {
            return Ok(());
        };
        let Some(seconds) = self.active.slow.get(room).copied() else { return Ok(()) };
        if self.desk.is_moderator() || self.active.engine.exempts(&self.roles, Some(room)) {
            return Ok(());
        }
        match self.desk.too_soon(room, seconds)? {
            Some(wait_ms) => {
                let refusal = reject("slow_mode", format!("one message in {seconds} s, please"));
                let refusal = refusal.data(&json!({ "wait_ms": wait_ms, "seconds": seconds }));
                self.refuse(refusal).map(|_| ())
            }
            None => Ok(()),
        }
    }

    /// Sends it to nobody but where its sender would miss it.
    fn shadow(&self) {
        let me = self.event.user();
        let mine = |target: &Target| matches!(target, Target::User(user) if Some(user) == me.as_ref());
        let targets = self.event.targets();
        let is_direct = targets.iter().all(|target| matches!(target, Target::User(_) | Target::Socket(_)));
        let to = match me.clone() {
            _ if NOT_ECHOED.contains(&&*self.name) => To::default(),
            // its other sockets see what it wrote
            Some(me) if is_direct && targets.iter().any(mine) => match TO_OTHER_SOCKETS.contains(&&*self.name) {
                true => To::user(me).except_sender(),
                false => To::user(me),
            },
            _ if is_direct && !targets.is_empty() => To::default(),
            _ => To::sender(),
        };
        self.event.retarget(to);
    }
}

#[cfg(test)]
mod tests;
