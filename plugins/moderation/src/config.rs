//! What an operator says: words, links, and how much shouting is too much.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::verdict::Action;

/// The rules. Unknown keys are errors; [`Engine::new`](crate::Engine::new) checks the values.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The fields of a message's first argument that hold text.
    pub fields: Vec<String>,
    pub words: Vec<WordRule>,
    /// Words and phrases that are never held against anybody, though they hold a word of a rule.
    pub allow: Vec<String>,
    pub regexes: Vec<RegexRule>,
    pub links: Option<LinkRule>,
    pub caps: Option<CapsRule>,
    pub repeats: Option<RepeatRule>,
    pub mentions: Option<MentionRule>,
    pub flood: Option<FloodRule>,
    /// Users with one of these roles may say anything.
    pub exempt_roles: Vec<String>,
    /// In these rooms anything may be said.
    pub exempt_rooms: Vec<String>,
    /// Seconds between two messages of one client, by room.
    pub slow: BTreeMap<String, u32>,
    /// What moderators do.
    pub desk: DeskConfig,
}

/// Who moderates, and how much is kept of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeskConfig {
    /// Users with one of these roles moderate.
    pub moderator_roles: Vec<String>,
    /// How many of them are told of what happens.
    pub moderators_max: u32,
    /// Events that others see, and that a muted client may send all the same.
    pub mute_allows: Vec<String>,
    /// Events that have done something already when they come here, and so are refused where others must not see them.
    pub shadow_refuses: Vec<String>,
    /// Events that slow mode counts.
    pub slow_events: Vec<String>,
    /// Sanctions that are in force at once.
    pub sanctions_max: u32,
    /// Messages that wait for review at once.
    pub held_max: u32,
    /// Those of one client.
    pub held_of_one_max: usize,
    /// How long a message waits before it is dropped.
    pub held_ttl_hours: u64,
    /// Entries of the audit list about one client in a minute; what is more is not written down.
    pub audit_per_minute_max: u32,
    /// Words that the rules may have when moderators change them: they are compiled within one event.
    pub runtime_words_max: usize,
}

impl Default for DeskConfig {
    fn default() -> Self {
        Self {
            moderator_roles: vec!["moderator".into()],
            moderators_max: 50,
            mute_allows: vec!["read".into(), "delete".into(), "presence".into()],
            shadow_refuses: vec!["renamed".into(), "presence".into()],
            slow_events: vec!["message".into()],
            sanctions_max: 1000,
            held_max: 200,
            held_of_one_max: 10,
            held_ttl_hours: 72,
            audit_per_minute_max: 30,
            runtime_words_max: 2000,
        }
    }
}

impl DeskConfig {
    fn check(&self) -> Result<(), ConfigError> {
        for (key, value, from, to) in [
            ("moderators_max", self.moderators_max.into(), 1, 200),
            ("sanctions_max", self.sanctions_max.into(), 1, 4000),
            ("held_max", self.held_max.into(), 1, 1000),
            ("held_of_one_max", self.held_of_one_max as u64, 1, 1000),
            ("held_ttl_hours", self.held_ttl_hours, 1, 8760),
            ("audit_per_minute_max", self.audit_per_minute_max.into(), 1, 1000),
            ("runtime_words_max", self.runtime_words_max as u64, 0, 50_000),
        ] {
            if !(from..=to).contains(&value) {
                return Err(ConfigError::new(format!("`desk.{key}`"), format!("{value} is not in {from}..={to}")));
            }
        }
        Ok(())
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            fields: vec!["text".into()],
            words: Vec::new(),
            allow: Vec::new(),
            regexes: Vec::new(),
            links: None,
            caps: None,
            repeats: None,
            mentions: None,
            flood: None,
            exempt_roles: Vec::new(),
            exempt_rooms: Vec::new(),
            slow: BTreeMap::new(),
            desk: DeskConfig::default(),
        }
    }
}

/// Words and phrases of one kind. They are found in disguise, too.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct WordRule {
    pub name: String,
    /// Letters and digits; a space or a mark in a phrase stands for any gap.
    pub words: Vec<String>,
    #[serde(default)]
    pub mode: Mode,
    pub action: Action,
}

/// Where a word counts.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// By itself.
    #[default]
    Whole,
    /// At the beginning of a word: `moron` finds `moronic`.
    Prefix,
    /// Also in the middle, but for well-known innocent words.
    Anywhere,
}

/// A regular expression, tried on the text as it was sent.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct RegexRule {
    pub name: String,
    /// In the syntax of Rust's crate `regex`: `(?i)` at its start ignores case.
    pub pattern: String,
    pub action: Action,
}

/// Which links may be sent.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct LinkRule {
    /// Domains that may not be linked to, with all below them; `t.me/joinchat` limits that to a path.
    #[serde(default)]
    pub block: Vec<String>,
    /// Domains that may, whatever else is said here.
    #[serde(default)]
    pub allow: Vec<String>,
    /// Whether invitations to other chats (Discord, Telegram, WhatsApp, ...) are blocked.
    #[serde(default)]
    pub invites: bool,
    /// Whether all links but those to allowed domains are blocked.
    #[serde(default)]
    pub only_allowed: bool,
    pub action: Action,
}

/// Shouting.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct CapsRule {
    /// The greatest share of capitals among the letters that have case, above 0 and below 1.
    pub ratio: f64,
    /// Texts with fewer such letters may shout.
    pub min_letters: usize,
    pub action: Action,
}

/// The same over and over in one text. At least one of both.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct RepeatRule {
    /// The longest run of one character.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chars_max: Option<usize>,
    /// The longest run of one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words_max: Option<usize>,
    pub action: Action,
}

/// Calling many people at once.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct MentionRule {
    pub max: usize,
    pub action: Action,
}

/// Too many messages, or the same one too often. The caller counts; see [`Counts`](crate::Counts).
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct FloodRule {
    /// The window in which messages are counted.
    pub window_seconds: u32,
    /// How many messages one sender may send in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages_max: Option<u64>,
    /// How many of those may look alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_max: Option<u64>,
    pub action: Action,
}

/// Why a config cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{rule}: {fault}")]
pub struct ConfigError {
    /// The rule, as in `words \`insults\``.
    pub rule: String,
    /// What is wrong and what would be right.
    pub fault: String,
}

impl ConfigError {
    pub(crate) fn new(rule: impl Into<String>, fault: impl Into<String>) -> Self {
        Self { rule: rule.into(), fault: fault.into() }
    }
}

impl Config {
    /// What can be said of the values without compiling anything.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let fail = |rule: &str, fault: String| Err(ConfigError::new(rule, fault));
        if self.fields.is_empty() || self.fields.iter().any(String::is_empty) {
            return fail("`fields`", "must name at least one field, as in `[\"text\"]`".into());
        }
        self.desk.check()?;
        let mut names: Vec<(&str, &str, &Action)> = Vec::new();
        names.extend(self.words.iter().map(|rule| ("words", &*rule.name, &rule.action)));
        names.extend(self.regexes.iter().map(|rule| ("regexes", &*rule.name, &rule.action)));
        for (at, (key, name, action)) in names.iter().enumerate() {
            if name.is_empty() {
                return fail(&format!("`{key}`"), "a rule needs a `name`: it stands in verdicts".into());
            }
            if names[..at].iter().any(|(_, other, _)| other == name) {
                return fail(&format!("{key} `{name}`"), "another rule has this name: names must differ".into());
            }
            check_action(&format!("{key} `{name}`"), action)?;
        }
        if let Some(rule) = &self.links {
            check_action("`links`", &rule.action)?;
            if rule.block.is_empty() && !rule.invites && !rule.only_allowed {
                let fault = "blocks nothing: give `block`, `invites = true` or `only_allowed = true`";
                return fail("`links`", fault.into());
            }
        }
        if let Some(rule) = &self.caps {
            check_action("`caps`", &rule.action)?;
            if !(rule.ratio > 0.0 && rule.ratio < 1.0) {
                return fail("`caps.ratio`", format!("{} is not between 0 and 1, like 0.7", rule.ratio));
            }
            no_mask("`caps`", &rule.action)?;
        }
        if let Some(rule) = &self.repeats {
            check_action("`repeats`", &rule.action)?;
            for (key, max) in [("chars_max", rule.chars_max), ("words_max", rule.words_max)] {
                if max.is_some_and(|max| max < 2) {
                    return fail(&format!("`repeats.{key}`"), "must be at least 2".into());
                }
            }
            if rule.chars_max.or(rule.words_max).is_none() {
                return fail("`repeats`", "limits nothing: give `chars_max` or `words_max`".into());
            }
        }
        if let Some(rule) = &self.mentions {
            check_action("`mentions`", &rule.action)?;
            no_mask("`mentions`", &rule.action)?;
        }
        if let Some(rule) = &self.flood {
            check_action("`flood`", &rule.action)?;
            no_mask("`flood`", &rule.action)?;
            if rule.window_seconds == 0 {
                return fail("`flood.window_seconds`", "must be at least 1".into());
            }
            if rule.messages_max.or(rule.same_max).is_none_or(|max| max == 0) {
                return fail("`flood`", "give `messages_max` or `same_max`, at least 1".into());
            }
        }
        Ok(())
    }
}

fn check_action(rule: &str, action: &Action) -> Result<(), ConfigError> {
    match action {
        Action::Mute { seconds: 0 } => Err(ConfigError::new(rule, "`mute.seconds` must be at least 1")),
        _ => Ok(()),
    }
}

/// A rule about a whole text has nothing to mask.
fn no_mask(rule: &str, action: &Action) -> Result<(), ConfigError> {
    match action {
        Action::Mask => Err(ConfigError::new(rule, "`mask` has nothing to mask here: use `hold`, `reject` or another")),
        _ => Ok(()),
    }
}
