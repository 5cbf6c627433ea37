//! How something is said: shouting, repeating, calling many people, sending too much. Pure functions; what lasts beyond
//! one message is counted by the caller.

use std::{hash::Hasher, ops::Range};

use crate::{
    config::{CapsRule, FloodRule, RepeatRule},
    glyphs::Kind,
    normalise::Skeleton,
    verdict::Reason,
};

/// What the caller has counted of a sender within the flood rule's window, this message included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub messages: u64,
    /// Those with the same [`fingerprint`].
    pub same: u64,
}

/// Whether a text has too many capitals.
pub(crate) fn shouts(text: &str, rule: &CapsRule) -> bool {
    let (mut upper, mut lower) = (0_usize, 0_usize);
    for c in text.chars() {
        match c {
            'a'..='z' => lower += 1,
            'A'..='Z' => upper += 1,
            _ if c.is_ascii() => {}
            _ if c.is_lowercase() => lower += 1,
            _ if c.is_uppercase() => upper += 1,
            _ => {}
        }
    }
    let letters = upper + lower;
    letters >= rule.min_letters.max(1) && upper as f64 > rule.ratio * letters as f64
}

/// The first run that is too long: of one character, or of one word.
pub(crate) fn repeats(skeleton: &Skeleton, rule: &RepeatRule) -> Option<Range<usize>> {
    if let Some(max) = rule.chars_max {
        // rulers and indents are no shouting
        let counts = |kind| kind != Kind::Space;
        let long = skeleton.cells.iter().find(|cell| cell.run as usize > max && counts(cell.kind));
        if let Some(cell) = long {
            return Some(cell.start..cell.end);
        }
    }
    let max = rule.words_max?;
    let mut words = skeleton.cells.split(|cell| cell.separates()).filter(|word| !word.is_empty());
    let mut first = words.next()?;
    let mut count = 1;
    for word in words {
        let same = word.len() == first.len() && word.iter().zip(first).all(|(a, b)| a.main == b.main);
        if same {
            count += 1;
            if count > max {
                return Some(first[0].start..word[word.len() - 1].end);
            }
        } else {
            (first, count) = (word, 1);
        }
    }
    None
}

/// How many names are called in a text: `@` at a word's start, with a name behind it.
pub(crate) fn mentions(text: &str) -> usize {
    let starts = |at: usize| {
        let before = text[..at].chars().next_back();
        let behind = text[at + 1..].chars().next();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '.') && behind.is_some_and(char::is_alphanumeric)
    };
    text.match_indices('@').filter(|(at, _)| starts(*at)).count()
}

/// Which limit of the flood rule the counts exceed.
pub(crate) fn floods(counts: Counts, rule: &FloodRule) -> Option<Reason> {
    if rule.same_max.is_some_and(|max| counts.same > max) {
        return Some(Reason::SameAgain);
    }
    rule.messages_max.is_some_and(|max| counts.messages > max).then_some(Reason::Flood)
}

/// A number that texts of the same looks share, whatever their case, punctuation and disguise: to count repeats by.
/// It is the same on every node and in every version that folds alike.
///
/// ```
/// use moderation::fingerprint;
///
/// assert_eq!(fingerprint("BUY now!!!"), fingerprint("buy  n\u{200b}ow"));
/// assert_ne!(fingerprint("buy now"), fingerprint("buy later"));
/// ```
pub fn fingerprint(text: &str) -> u64 {
    let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
    let letters = Skeleton::of(text).letters();
    // what has no letters is told apart by its marks
    hash.write(if letters.is_empty() { text.trim().as_bytes() } else { letters.as_bytes() });
    hash.finish()
}

struct Fnv(u64);

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
