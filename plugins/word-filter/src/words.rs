//! The words to look for.

use std::collections::HashSet;

use serde::{Deserialize, Deserializer, de::Error};

/// The longest word, in bytes.
const WORD_MAX_BYTES: usize = 64;

/// Words in lower case, with what tells fast that a text has none of them.
pub(crate) struct Words {
    words: HashSet<Box<str>>,
    /// Bit n: some word has n bytes. Words are at most 64 bytes long, so bit 0 stands for 64.
    lengths: u64,
    /// Bit b: some word begins with the ASCII character b, in lower case.
    first: u128,
}

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(Vec::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl Words {
    fn new(list: Vec<String>) -> Result<Self, String> {
        if list.is_empty() {
            return Err("must have at least one word".into());
        }
        let mut words = Self { words: HashSet::new(), lengths: 0, first: 0 };
        for word in list {
            if word.is_empty() || !word.chars().all(is_of_word) {
                return Err(format!("`{word}` is no word: it must be made of letters, digits and `_`"));
            }
            let lower = word.to_lowercase();
            if lower.len() > WORD_MAX_BYTES {
                return Err(format!("`{word}` is longer than {WORD_MAX_BYTES} bytes"));
            }
            words.lengths |= 1 << (lower.len() % 64);
            if let Some(first) = lower.bytes().next().filter(u8::is_ascii) {
                words.first |= 1 << first;
            }
            words.words.insert(lower.into());
        }
        Ok(words)
    }

    /// Whether any of them stands in the text, as a whole word, in any case.
    pub(crate) fn occur_in(&self, text: &str) -> bool {
        pieces(text).any(|(is_word, piece)| is_word && self.has(piece))
    }

    /// The text with one `*` for each character of such words; `None` when it has none.
    pub(crate) fn mask(&self, text: &str) -> Option<String> {
        if !self.occur_in(text) {
            return None;
        }
        let mut masked = String::with_capacity(text.len());
        for (is_word, piece) in pieces(text) {
            if is_word && self.has(piece) {
                masked.extend(piece.chars().map(|_| '*'));
            } else {
                masked.push_str(piece);
            }
        }
        Some(masked)
    }

    fn has(&self, piece: &str) -> bool {
        if !piece.is_ascii() {
            return self.words.contains(&*piece.to_lowercase());
        }
        let first = piece.as_bytes()[0].to_ascii_lowercase();
        if piece.len() > WORD_MAX_BYTES || self.first >> first & 1 == 0 || self.lengths >> (piece.len() % 64) & 1 == 0 {
            return false;
        }
        let mut lower = [0; WORD_MAX_BYTES];
        let lower = &mut lower[..piece.len()];
        lower.copy_from_slice(piece.as_bytes());
        lower.make_ascii_lowercase();
        std::str::from_utf8(lower).is_ok_and(|lower| self.words.contains(lower))
    }
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The text in pieces: whole words, and what stands between them. No piece is empty.
fn pieces(text: &str) -> impl Iterator<Item = (bool, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let is_word = is_of_word(rest.chars().next()?);
        let end = rest.find(|c| is_of_word(c) != is_word).unwrap_or(rest.len());
        let (piece, behind) = rest.split_at(end);
        rest = behind;
        Some((is_word, piece))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, masked: Option<&str>) {
        let words = Words::new(["darn", "Größe", "x_1"].map(String::from).to_vec()).unwrap();
        assert_eq!(words.mask(text).as_deref(), masked);
    }

    #[test]
    fn words_are_masked_whole_and_in_any_case() {
        check("what a darn day", Some("what a **** day"));
        check("DARN, Darn! (darn)", Some("****, ****! (****)"));
        check("darn", Some("****"));
        check("GRÖSSE größe GRÖßE", Some("GRÖSSE ***** *****"));
        check("x_1-x_1", Some("***-***"));
        for clean in ["", "a darning needle", "darn_it", "1darn", "ünï 漢字 🎉", &"d".repeat(100)] {
            check(clean, None);
        }
    }

    #[test]
    fn a_letter_that_only_looks_foreign_hides_no_word() {
        let words = Words::new(vec!["kelvin".into()]).unwrap();
        assert_eq!(words.mask("\u{212a}elvin").as_deref(), Some("******"), "the Kelvin sign is a k in lower case");
    }

    #[test]
    fn a_list_without_words_is_refused() {
        for bad in [vec![], vec!["two words"], vec![""], vec!["a-b"]] {
            assert!(Words::new(bad.into_iter().map(String::from).collect()).is_err());
        }
    }
}
