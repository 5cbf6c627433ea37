//! The words of a config: compiled once, found in every text.

use std::{cell::OnceCell, ops::Range};

use aho_corasick::{AhoCorasick, MatchKind};

use crate::{
    config::{Config, ConfigError, Mode},
    evidence::Innocents,
    normalise::Skeleton,
    search::{self, Hit},
    trie::{Trie, Word},
};

/// The longest word or phrase, in letters.
const WORD_MAX_LETTERS: usize = 64;
/// The most words of all rules together.
const WORDS_MAX: usize = 50_000;

/// All words of all rules.
#[derive(Debug)]
pub(crate) struct Words {
    /// Those that stand at the beginning of a word.
    bounded: Trie,
    anywhere: Trie,
    /// What the operator allows; `None` when that is nothing.
    allowed: Option<AhoCorasick>,
}

/// A word found: the place of its rule in the config, and its bytes in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub rule: usize,
    pub span: Range<usize>,
}

impl Words {
    pub(crate) fn new(config: &Config) -> Result<Self, ConfigError> {
        let mut words = Self { bounded: Trie::new(), anywhere: Trie::new(), allowed: allowed(&config.allow)? };
        for (rule, of_rule) in config.words.iter().enumerate() {
            let fail = |fault: String| Err(ConfigError::new(format!("words `{}`", of_rule.name), fault));
            if of_rule.words.is_empty() {
                return fail("has no words: list at least one in `words`".into());
            }
            for text in &of_rule.words {
                let letters = Trie::letters(text);
                let count = letters.iter().filter(|c| **c != ' ').count();
                if count < 2 {
                    return fail(format!("`{text}` is no word: it must have at least two letters or digits"));
                }
                if letters.len() > WORD_MAX_LETTERS {
                    return fail(format!("`{text}` is longer than {WORD_MAX_LETTERS} letters"));
                }
                let trie = if of_rule.mode == Mode::Anywhere { &mut words.anywhere } else { &mut words.bounded };
                trie.insert(Word { rule, mode: of_rule.mode, letters });
            }
            let count = words.bounded.words.len() + words.anywhere.words.len();
            if count > WORDS_MAX {
                return fail(format!("makes {count} words: all rules together may have {WORDS_MAX}"));
            }
        }
        Ok(words)
    }

    /// Where words stand that nothing excuses. `ignored` are spans that are no prose, like addresses.
    pub(crate) fn find(&self, text: &str, skeleton: &Skeleton, ignored: &[Range<usize>]) -> Vec<Found> {
        let allowed = OnceCell::new();
        let is_allowed = |span: &Range<usize>| {
            let find = || self.allowed.as_ref().map_or(Vec::new(), |allowed| allowed_in(allowed, text));
            let covers = |other: &Range<usize>| other.start <= span.start && span.end <= other.end;
            allowed.get_or_init(find).iter().chain(ignored).any(covers)
        };
        let innocents = Innocents { allowed: &is_allowed };
        let found = |trie: &Trie, hit: Hit| Found { rule: trie.words[hit.word].rule, span: hit.span };
        let mut all = Vec::new();
        for (trie, bounded) in [(&self.bounded, true), (&self.anywhere, false)] {
            all.extend(search::find(skeleton, trie, bounded, &innocents).into_iter().map(|hit| found(trie, hit)));
        }
        all
    }
}

fn allowed(list: &[String]) -> Result<Option<AhoCorasick>, ConfigError> {
    if let Some(empty) = list.iter().find(|entry| entry.trim().is_empty()) {
        return Err(ConfigError::new("`allow`", format!("`{empty}` is empty: give words or phrases")));
    }
    if list.is_empty() {
        return Ok(None);
    }
    // ASCII in any case; other letters in small, in capitals, and as they are written
    let mut entries: Vec<String> = list.iter().map(|entry| entry.trim().to_owned()).collect();
    entries.extend(list.iter().map(|entry| entry.trim().to_lowercase()));
    entries.extend(list.iter().map(|entry| entry.trim().to_uppercase()));
    let mut builder = AhoCorasick::builder();
    let built = builder.match_kind(MatchKind::LeftmostLongest).ascii_case_insensitive(true).build(&entries);
    built.map(Some).map_err(|error| ConfigError::new("`allow`", format!("cannot be compiled: {error}")))
}

/// Where allowed words stand whole.
fn allowed_in(allowed: &AhoCorasick, text: &str) -> Vec<Range<usize>> {
    let whole = |span: &Range<usize>| {
        let before = text[..span.start].chars().next_back();
        let behind = text[span.end..].chars().next();
        !before.is_some_and(char::is_alphanumeric) && !behind.is_some_and(char::is_alphanumeric)
    };
    allowed.find_iter(text).map(|found| found.range()).filter(whole).collect()
}
