//! Rules that moderators set at run time. They lie over the config's, and are kept in the store with a version: an
//! instance compiles them anew when it finds another version than it knows.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use hubbub_plugin::{
    Level, log_write,
    prelude::*,
    serde_json::{self, Map},
};

use super::Desk;
use crate::{
    Config, Engine,
    config::{CapsRule, FloodRule, LinkRule, MentionRule, RegexRule, RepeatRule, WordRule},
};

/// Rules that moderators set or took away, and rooms that they made slow.
const RULES_MAX: usize = 50;
const SLOW_MAX: usize = 200;
const REGEXES_MAX: usize = 4;
const PATTERN_MAX_BYTES: usize = 200;
/// All of it, as it is kept: the store takes 64 KiB.
const OVERLAY_MAX_BYTES: usize = 48_000;
const NAME_MAX_CHARS: usize = 64;
const VERSION: &str = "rules-version";
const OVERLAY: &str = "rules";
/// Namespaces whose rules an instance remembers.
const CACHED_MAX: usize = 8;

/// A rule, whatever its kind.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Rule {
    Words(WordRule),
    Regex(RegexRule),
    Allow(AllowRule),
    Links(LinkRule),
    Caps(CapsRule),
    Repeats(RepeatRule),
    Mentions(MentionRule),
    Flood(FloodRule),
}

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct AllowRule {
    words: Vec<String>,
}

/// What lies over the config.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
struct Overlay {
    /// `None`: a rule of the config that was taken away.
    rules: BTreeMap<String, Option<Rule>>,
    /// 0: not slow, whatever the config says.
    slow: BTreeMap<String, u32>,
}

/// What is in force.
#[derive(Debug)]
pub(crate) struct Active {
    pub engine: Rc<Engine>,
    pub slow: BTreeMap<String, u32>,
}

/// The rules of an instance: those of the config, and those of each namespace as last seen.
#[derive(Debug)]
pub(crate) struct Rules {
    base: Rc<Active>,
    cached: RefCell<Vec<(String, u64, Rc<Active>)>>,
}

impl Rules {
    pub(crate) fn new(engine: Engine) -> Self {
        let slow = engine.config().slow.clone();
        Self { base: Rc::new(Active { engine: Rc::new(engine), slow }), cached: RefCell::default() }
    }

    pub(crate) fn config(&self) -> &Config {
        self.base.engine.config()
    }

    /// What is in force for the event.
    pub(crate) fn active(&self, desk: &Desk<'_>) -> Result<Rc<Active>, Failure> {
        let Some(version) = desk.store().get::<u64>(VERSION)? else { return Ok(self.base.clone()) };
        let namespace = desk.event.namespace();
        let mut cached = self.cached.borrow_mut();
        if let Some((_, _, active)) = cached.iter().find(|(of, known, _)| *of == namespace && *known == version) {
            return Ok(active.clone());
        }
        let overlay = desk.overlay()?.unwrap_or_default();
        let engine = match desk.compile(&self.base.engine, &overlay) {
            Ok(Some(engine)) => Rc::new(engine),
            Ok(None) => self.base.engine.clone(),
            Err(error) => {
                // the config has changed since, so that both do not go together any more
                log_write(Level::Error, &format!("the moderators' rules are not in force: {error}"));
                self.base.engine.clone()
            }
        };
        let active = Rc::new(Active { engine, slow: overlay.slow_over(self.config()) });
        cached.retain(|(of, _, _)| *of != namespace);
        if cached.len() >= CACHED_MAX {
            cached.remove(0);
        }
        cached.push((namespace, version, active.clone()));
        Ok(active)
    }
}

impl Rule {
    fn kind(&self) -> &'static str {
        match self {
            Self::Words(_) => "words",
            Self::Regex(_) => "regex",
            Self::Allow(_) => "allow",
            Self::Links(_) => "links",
            Self::Caps(_) => "caps",
            Self::Repeats(_) => "repeats",
            Self::Mentions(_) => "mentions",
            Self::Flood(_) => "flood",
        }
    }

    /// As moderators write it: `{kind, name, ...}`.
    fn read(mut body: Map<String, Value>) -> Result<(String, Self), Stop> {
        let text = |value: Option<Value>| value.and_then(|v| v.as_str().map(str::to_owned));
        let kind = text(body.remove("kind")).ok_or_else(|| invalid("`kind` must be a text"))?;
        let name = text(body.get("name").cloned()).ok_or_else(|| invalid("`name` must be a text"))?;
        if !matches!(kind.as_str(), "words" | "regex") {
            body.remove("name");
            if kind != name {
                return Err(invalid(format!("a rule of the kind `{kind}` has the name `{kind}`")));
            }
        } else if is_single(&name) {
            return Err(invalid(format!("the name `{name}` is taken by the kind of the same name")));
        }
        if !(1..=NAME_MAX_CHARS).contains(&name.chars().count()) {
            return Err(invalid(format!("`name` must have 1 to {NAME_MAX_CHARS} characters")));
        }
        let rule = serde_json::from_value(json!({ kind: body })).map_err(|error| invalid(error.to_string()))?;
        Ok((name, rule))
    }

    fn show(&self, name: &str, source: &str) -> Result<Value, Stop> {
        let mut shown = match self {
            Self::Words(rule) => serde_json::to_value(rule),
            Self::Regex(rule) => serde_json::to_value(rule),
            Self::Allow(rule) => serde_json::to_value(rule),
            Self::Links(rule) => serde_json::to_value(rule),
            Self::Caps(rule) => serde_json::to_value(rule),
            Self::Repeats(rule) => serde_json::to_value(rule),
            Self::Mentions(rule) => serde_json::to_value(rule),
            Self::Flood(rule) => serde_json::to_value(rule),
        }?;
        shown["kind"] = json!(self.kind());
        shown["name"] = json!(name);
        shown["source"] = json!(source);
        Ok(shown)
    }

    fn words(&mut self) -> Option<&mut Vec<String>> {
        match self {
            Self::Words(WordRule { words, .. }) | Self::Allow(AllowRule { words }) => Some(words),
            _ => None,
        }
    }
}

/// Kinds of which there is one rule.
fn is_single(name: &str) -> bool {
    matches!(name, "allow" | "links" | "caps" | "repeats" | "mentions" | "flood")
}

/// The rules of a config, by name.
fn rules_of(config: &Config) -> BTreeMap<String, Rule> {
    let mut rules = BTreeMap::new();
    rules.extend(config.words.iter().map(|rule| (rule.name.clone(), Rule::Words(rule.clone()))));
    rules.extend(config.regexes.iter().map(|rule| (rule.name.clone(), Rule::Regex(rule.clone()))));
    let singles = [
        (!config.allow.is_empty()).then(|| Rule::Allow(AllowRule { words: config.allow.clone() })),
        config.links.clone().map(Rule::Links),
        config.caps.clone().map(Rule::Caps),
        config.repeats.clone().map(Rule::Repeats),
        config.mentions.clone().map(Rule::Mentions),
        config.flood.clone().map(Rule::Flood),
    ];
    rules.extend(singles.into_iter().flatten().map(|rule| (rule.kind().to_owned(), rule)));
    rules
}

impl Overlay {
    /// The config with this over it.
    fn over(&self, base: &Config) -> Config {
        let mut config = base.clone();
        for (name, rule) in &self.rules {
            config.words.retain(|rule| rule.name != *name);
            config.regexes.retain(|rule| rule.name != *name);
            match (rule, name.as_str()) {
                (None, "allow") => config.allow.clear(),
                (None, "links") => config.links = None,
                (None, "caps") => config.caps = None,
                (None, "repeats") => config.repeats = None,
                (None, "mentions") => config.mentions = None,
                (None, "flood") => config.flood = None,
                (None, _) => {}
                (Some(Rule::Words(rule)), _) => config.words.push(rule.clone()),
                (Some(Rule::Regex(rule)), _) => config.regexes.push(rule.clone()),
                (Some(Rule::Allow(rule)), _) => config.allow.clone_from(&rule.words),
                (Some(Rule::Links(rule)), _) => config.links = Some(rule.clone()),
                (Some(Rule::Caps(rule)), _) => config.caps = Some(rule.clone()),
                (Some(Rule::Repeats(rule)), _) => config.repeats = Some(rule.clone()),
                (Some(Rule::Mentions(rule)), _) => config.mentions = Some(rule.clone()),
                (Some(Rule::Flood(rule)), _) => config.flood = Some(rule.clone()),
            }
        }
        config
    }

    fn slow_over(&self, config: &Config) -> BTreeMap<String, u32> {
        let mut slow = config.slow.clone();
        slow.extend(self.slow.iter().map(|(room, seconds)| (room.clone(), *seconds)));
        slow.retain(|_, seconds| *seconds > 0);
        slow
    }
}

fn invalid(text: impl Into<String>) -> Stop {
    reject("rule_invalid", text).into()
}

fn too_many(text: impl Into<String>) -> Stop {
    reject("too_many_rules", text).into()
}

fn unknown_rule(name: &str) -> Stop {
    reject("unknown_rule", format!("there is no rule `{name}`")).into()
}

impl Desk<'_> {
    fn overlay(&self) -> Result<Option<Overlay>, Failure> {
        self.store().get(OVERLAY)
    }

    /// The rules with the overlay; `None` when it changes none. All of it is compiled within one event, so there is a limit.
    fn compile(&self, base: &Engine, overlay: &Overlay) -> Result<Option<Engine>, String> {
        if overlay.rules.is_empty() {
            return Ok(None);
        }
        let config = overlay.over(base.config());
        let words: usize = config.words.iter().map(|rule| rule.words.len()).sum::<usize>() + config.allow.len();
        let max = self.config.runtime_words_max;
        if words > max {
            return Err(format!("{words} words are too many to change rules at run time, which takes at most {max}"));
        }
        base.with_config(&config).map(Some).map_err(|error| error.to_string())
    }

    /// Changes the overlay, if it is right then, and gives the new version.
    fn change(&self, rules: &Rules, change: impl FnOnce(&mut Overlay) -> Result<(), Stop>) -> Result<u64, Stop> {
        let store = self.store();
        let old = self.overlay()?;
        let mut new = old.clone().unwrap_or_default();
        change(&mut new)?;
        let regexes = new.rules.values().flatten().filter(|rule| matches!(rule, Rule::Regex(_))).count();
        if new.rules.len() > RULES_MAX || new.slow.len() > SLOW_MAX || regexes > REGEXES_MAX {
            let text = format!("at most {RULES_MAX} rules, {REGEXES_MAX} of them regexes, and {SLOW_MAX} slow rooms");
            return Err(too_many(text));
        }
        if serde_json::to_vec(&new)?.len() > OVERLAY_MAX_BYTES {
            return Err(too_many(format!("all rules together may have {OVERLAY_MAX_BYTES} bytes")));
        }
        if old.as_ref().is_none_or(|old| old.rules != new.rules) {
            self.compile(&rules.base.engine, &new).map_err(invalid)?;
        }
        let version = store.get::<u64>(VERSION)?.unwrap_or(0) + 1;
        // two at once: the second one is handled again, with what the first one left
        store.compare_and_set(OVERLAY, old.as_ref(), Some(&new), None)?;
        store.set(VERSION, &version, None)?;
        self.tell_moderators("mod:rules_changed", json!({ "version": version, "by": self.by() }))?;
        Ok(version)
    }

    pub(super) fn rule_set(&self, rules: &Rules, body: Map<String, Value>) -> Result<(String, u64), Stop> {
        let (name, rule) = Rule::read(body)?;
        if let Rule::Regex(rule) = &rule
            && rule.pattern.len() > PATTERN_MAX_BYTES
        {
            return Err(invalid(format!("`pattern` may have {PATTERN_MAX_BYTES} bytes")));
        }
        let version = self.change(rules, |overlay| {
            overlay.rules.insert(name.clone(), Some(rule));
            Ok(())
        })?;
        Ok((name, version))
    }

    pub(super) fn rule_remove(&self, rules: &Rules, name: &str) -> Result<u64, Stop> {
        let is_configs = rules_of(rules.config()).contains_key(name);
        self.change(rules, |overlay| {
            let known = overlay.rules.get(name).map(Option::is_some);
            if known == Some(false) || (known.is_none() && !is_configs) {
                return Err(unknown_rule(name));
            }
            match is_configs {
                true => overlay.rules.insert(name.to_owned(), None),
                false => overlay.rules.remove(name),
            };
            Ok(())
        })
    }

    pub(super) fn rule_reset(&self, rules: &Rules, name: &str) -> Result<u64, Stop> {
        let is_configs = rules_of(rules.config()).contains_key(name);
        self.change(rules, |overlay| match overlay.rules.remove(name) {
            Some(_) if is_configs => Ok(()),
            _ => Err(unknown_rule(name)),
        })
    }

    pub(super) fn words(&self, rules: &Rules, name: &str, add: Vec<String>, remove: &[String]) -> Result<u64, Stop> {
        let of_config = rules_of(rules.config()).remove(name);
        self.change(rules, |overlay| {
            let found = match overlay.rules.get(name) {
                Some(over) => over.clone(),
                None => of_config,
            };
            let found = found.or_else(|| (name == "allow").then(|| Rule::Allow(AllowRule { words: Vec::new() })));
            let mut rule = found.ok_or_else(|| unknown_rule(name))?;
            let words = rule.words().ok_or_else(|| invalid(format!("`{name}` is no rule with words")))?;
            words.retain(|word| !remove.contains(word));
            for word in add {
                if !words.contains(&word) {
                    words.push(word);
                }
            }
            overlay.rules.insert(name.to_owned(), Some(rule));
            Ok(())
        })
    }

    pub(super) fn slow(&self, rules: &Rules, room: &str, seconds: u32) -> Result<u64, Stop> {
        let of_config = rules.config().slow.contains_key(room);
        self.change(rules, |overlay| {
            match seconds {
                0 if !of_config => overlay.slow.remove(room),
                _ => overlay.slow.insert(room.to_owned(), seconds),
            };
            Ok(())
        })
    }

    /// `{version, rules, slow}`
    pub(super) fn show_rules(&self, rules: &Rules) -> Result<Value, Stop> {
        let overlay = self.overlay()?.unwrap_or_default();
        let mut shown = Vec::new();
        for (name, rule) in rules_of(rules.config()) {
            match overlay.rules.get(&name) {
                Some(Some(_)) => {}
                Some(None) => {
                    let mut off = rule.show(&name, "config")?;
                    off["off"] = json!(true);
                    shown.push(off);
                }
                None => shown.push(rule.show(&name, "config")?),
            }
        }
        for (name, rule) in &overlay.rules {
            if let Some(rule) = rule {
                shown.push(rule.show(name, "moderators")?);
            }
        }
        let version = self.store().get::<u64>(VERSION)?.unwrap_or(0);
        Ok(json!({ "ok": true, "version": version, "rules": shown, "slow": overlay.slow_over(rules.config()) }))
    }
}
