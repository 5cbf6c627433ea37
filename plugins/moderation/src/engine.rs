//! The rules, compiled, and the judgement of a message.

use std::collections::HashSet;

use regex::{Regex, RegexBuilder};

use crate::{
    config::{Config, ConfigError},
    flow::{self, Counts},
    links::{self, Links},
    normalise::Skeleton,
    verdict::{Action, Finding, Reason, Verdict},
    words::Words,
};

/// The most a compiled regular expression may take.
const REGEX_MAX_BYTES: usize = 512 * 1024;
/// The same of one that is added at run time: it is compiled within one event.
const REGEX_ADDED_MAX_BYTES: usize = 64 * 1024;
/// The most regular expressions.
const REGEXES_MAX: usize = 100;
/// The most places that one regular expression may find in a text.
const REGEX_FINDINGS_MAX: usize = 32;

/// What is to be judged.
#[derive(Clone, Copy, Debug, Default)]
pub struct Message<'a> {
    pub text: &'a str,
    /// The room that it goes to.
    pub room: Option<&'a str>,
    /// Its sender's roles.
    pub roles: &'a [String],
    /// How many people it calls, as far as the message says that apart from its text.
    pub mentions: usize,
    /// What was counted of its sender; zeroes when nothing was.
    pub counts: Counts,
}

/// The rules, ready to judge. It holds no state: the same message always gets the same verdict.
#[derive(Debug)]
pub struct Engine {
    config: Config,
    words: Words,
    regexes: Vec<Regex>,
    links: Option<Links>,
    exempt_roles: HashSet<String>,
    exempt_rooms: HashSet<String>,
}

impl Engine {
    /// Compiles the rules. The error names the rule and says what would be right.
    ///
    /// ```
    /// use moderation::{Action, Config, Engine, Message};
    ///
    /// let config: Config = serde_json::from_str(
    ///     r#"{ "words": [{ "name": "insults", "words": ["idiot"], "action": "mask" }] }"#,
    /// )?;
    /// let engine = Engine::new(&config)?;
    /// let text = "you 1d.i0t!";
    /// let verdict = engine.judge(&Message { text, ..Message::default() });
    /// assert_eq!(verdict.action(), Action::Mask);
    /// assert_eq!(verdict.mask(text).as_deref(), Some("you ******!"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        Self::build(config, None)
    }

    /// Compiles other rules in place of these. Regular expressions that are here already cost nothing, new ones must be
    /// smaller than in [`Engine::new`].
    pub(crate) fn with_config(&self, config: &Config) -> Result<Self, ConfigError> {
        Self::build(config, Some(self))
    }

    fn build(config: &Config, known: Option<&Self>) -> Result<Self, ConfigError> {
        config.check()?;
        let max_bytes = if known.is_some() { REGEX_ADDED_MAX_BYTES } else { REGEX_MAX_BYTES };
        if config.regexes.len() > REGEXES_MAX {
            let fault = format!("there are {}, at most {REGEXES_MAX} may be", config.regexes.len());
            return Err(ConfigError::new("`regexes`", fault));
        }
        let regex = |rule: &crate::config::RegexRule| {
            let same =
                known.into_iter().flat_map(|engine| &engine.regexes).find(|regex| regex.as_str() == rule.pattern);
            if let Some(regex) = same {
                return Ok(regex.clone());
            }
            let built =
                RegexBuilder::new(&rule.pattern).size_limit(max_bytes).dfa_size_limit(max_bytes).nest_limit(50).build();
            let regex = built.map_err(|error| {
                let fault = match error {
                    regex::Error::CompiledTooBig(_) => {
                        format!("`pattern` compiles to more than {max_bytes} bytes: use smaller repetitions")
                    }
                    error => format!("`pattern` is no regular expression: {}", last_line(&error.to_string())),
                };
                ConfigError::new(format!("regexes `{}`", rule.name), fault)
            })?;
            match regex.is_match("") {
                true => Err(ConfigError::new(
                    format!("regexes `{}`", rule.name),
                    "`pattern` matches the empty text, and so every message: demand at least one character",
                )),
                false => Ok(regex),
            }
        };
        Ok(Self {
            words: Words::new(config)?,
            regexes: config.regexes.iter().map(regex).collect::<Result<_, _>>()?,
            links: config.links.as_ref().map(Links::new).transpose()?,
            exempt_roles: config.exempt_roles.iter().cloned().collect(),
            exempt_rooms: config.exempt_rooms.iter().cloned().collect(),
            config: config.clone(),
        })
    }

    /// The config that it was made of.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Whether anything may be said by who has these roles, or in this room.
    pub fn exempts(&self, roles: &[String], room: Option<&str>) -> bool {
        roles.iter().any(|role| self.exempt_roles.contains(role))
            || room.is_some_and(|room| self.exempt_rooms.contains(room))
    }

    /// What the rules say of a message.
    pub fn judge(&self, message: &Message<'_>) -> Verdict {
        let mut verdict = Verdict::default();
        if self.exempts(message.roles, message.room) {
            return verdict;
        }
        let text = message.text;
        let skeleton = Skeleton::of(text);
        let found_links = links::find(&skeleton);
        let mut add = |reason, rule: &str, action: Action, span| {
            verdict.findings.push(Finding { reason, rule: rule.to_owned(), action, span });
        };
        for found in self.words.find(text, &skeleton, &links::addresses(&skeleton, &found_links)) {
            let rule = &self.config.words[found.rule];
            add(Reason::Word, &rule.name, rule.action, found.span);
        }
        for (rule, regex) in self.config.regexes.iter().zip(&self.regexes) {
            for found in regex.find_iter(text).filter(|found| !found.is_empty()).take(REGEX_FINDINGS_MAX) {
                add(Reason::Regex, &rule.name, rule.action, found.range());
            }
        }
        if let (Some(rule), Some(links)) = (&self.config.links, &self.links) {
            for (reason, span) in links.find(&found_links) {
                add(reason, "links", rule.action, span);
            }
        }
        let all = 0..text.len();
        if let Some(rule) = self.config.caps.as_ref().filter(|rule| flow::shouts(text, rule)) {
            add(Reason::Caps, "caps", rule.action, all.clone());
        }
        if let Some(rule) = &self.config.repeats
            && let Some(span) = flow::repeats(&skeleton, rule)
        {
            add(Reason::Repeats, "repeats", rule.action, span);
        }
        if let Some(rule) = &self.config.mentions
            && message.mentions.max(flow::mentions(text)) > rule.max
        {
            add(Reason::Mentions, "mentions", rule.action, all.clone());
        }
        if let Some(rule) = &self.config.flood
            && let Some(reason) = flow::floods(message.counts, rule)
        {
            add(reason, "flood", rule.action, all);
        }
        verdict
    }
}

fn last_line(text: &str) -> &str {
    text.lines().last().unwrap_or(text).trim_start_matches("error: ")
}

#[cfg(test)]
mod tests;
