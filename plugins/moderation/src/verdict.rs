//! What became of a text: which rules it broke, where, and what is to be done.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::glyphs::{Glyph, Kind};

/// What to do about a text, from mild to severe.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Action {
    /// Let it pass, and say that the rule was broken.
    #[default]
    Allow,
    /// Put `*` in place of what broke the rule.
    Mask,
    /// Keep it back until a moderator has looked at it.
    Hold,
    /// Show it to its sender alone.
    Shadow,
    /// Send it back with a reason.
    Reject,
    /// Reject it, and everything else that its sender says for a while.
    Mute { seconds: u32 },
}

/// Which kind of rule was broken.
#[derive(Clone, Copy, Debug, Serialize, PartialEq, Eq, Hash)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    Word,
    Regex,
    Link,
    Invite,
    Caps,
    Repeats,
    Mentions,
    Flood,
    SameAgain,
}

impl Reason {
    /// A stable code for clients.
    pub fn code(self) -> &'static str {
        match self {
            Self::Word => "word_not_allowed",
            Self::Regex => "text_not_allowed",
            Self::Link => "link_not_allowed",
            Self::Invite => "invite_not_allowed",
            Self::Caps => "too_many_capitals",
            Self::Repeats => "too_repetitive",
            Self::Mentions => "too_many_mentions",
            Self::Flood => "too_many_messages",
            Self::SameAgain => "same_message_again",
        }
    }

    /// A short text for the sender. It does not repeat what was found.
    pub fn message(self) -> &'static str {
        match self {
            Self::Word => "the message has a word that is not allowed here",
            Self::Regex => "the message has a text that is not allowed here",
            Self::Link => "the message has a link that is not allowed here",
            Self::Invite => "invitations to other chats are not allowed here",
            Self::Caps => "please write with fewer capitals",
            Self::Repeats => "please do not repeat yourself within a message",
            Self::Mentions => "the message mentions too many people",
            Self::Flood => "please send fewer messages",
            Self::SameAgain => "please do not send the same message again",
        }
    }
}

/// One place where a text broke a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub reason: Reason,
    /// The name of the rule, or its key in the config where it has no name.
    pub rule: String,
    pub action: Action,
    /// Bytes of the text, on character borders; the whole text for rules that concern all of it.
    pub span: Range<usize>,
}

/// All that was found in a text. Without findings it may pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// In the order of the rules in the config: words, regexes, links, caps, repeats, mentions, flood.
    pub findings: Vec<Finding>,
}

impl Verdict {
    /// The severest action that is asked for.
    pub fn action(&self) -> Action {
        self.decisive().map_or(Action::Allow, |finding| finding.action)
    }

    /// The first finding with the severest action: the one to tell the sender.
    pub fn decisive(&self) -> Option<&Finding> {
        self.findings.iter().rev().max_by_key(|finding| finding.action)
    }

    /// The text with one `*` for each seen character of what must be masked; `None` when nothing must.
    pub fn mask(&self, text: &str) -> Option<String> {
        let spans: Vec<_> = self.findings.iter().filter(|f| f.action == Action::Mask).map(|f| &f.span).collect();
        if spans.is_empty() {
            return None;
        }
        let mask = |(at, c): (usize, char)| match Glyph::of(c).kind {
            _ if !spans.iter().any(|span| span.contains(&at)) => Some(c),
            Kind::Space => Some(c),
            Kind::Hidden => None,
            _ => Some('*'),
        };
        Some(text.char_indices().filter_map(mask).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_severest_action_counts_and_the_first_finding_of_it() {
        let finding = |rule: &str, action, span| Finding { reason: Reason::Word, rule: rule.into(), action, span };
        let verdict = Verdict {
            findings: vec![
                finding("a", Action::Mask, 0..2),
                finding("b", Action::Reject, 3..4),
                finding("c", Action::Reject, 4..5),
            ],
        };
        assert_eq!(verdict.decisive().map(|f| &*f.rule), Some("b"));
        assert_eq!(verdict.mask("é x y").as_deref(), Some("* x y"));
        assert_eq!(Verdict::default().action(), Action::Allow);
    }
}
