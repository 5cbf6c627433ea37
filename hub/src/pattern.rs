//! Patterns for names: of namespaces, of messages.

use std::fmt;

/// A name with `*` for any run of characters, also none.
#[derive(Clone, PartialEq, Eq)]
pub struct Pattern(Box<str>);

/// A pattern that cannot be one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no pattern: it must have 1 to {PATTERN_MAX_BYTES} bytes and at most {STARS_MAX} `*`")]
pub struct PatternError(String);

const PATTERN_MAX_BYTES: usize = 256;
const STARS_MAX: usize = 4;

impl Pattern {
    /// Reads a pattern.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let stars = text.bytes().filter(|b| *b == b'*').count();
        if text.is_empty() || text.len() > PATTERN_MAX_BYTES || stars > STARS_MAX {
            return Err(PatternError(text.chars().take(40).collect()));
        }
        Ok(Self(text.into()))
    }

    /// Whether the whole of `name` fits.
    pub fn matches(&self, name: &str) -> bool {
        let pattern = &*self.0;
        let Some((head, tail)) = pattern.split_once('*') else { return pattern == name };
        let Some(mut rest) = name.strip_prefix(head) else { return false };
        let mut parts = tail.split('*').peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                return rest.ends_with(part);
            }
            match rest.find(part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        true
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, yes: &[&str], no: &[&str]) {
        let pattern = Pattern::parse(pattern).unwrap();
        yes.iter().for_each(|n| assert!(pattern.matches(n), "{pattern:?} should match {n}"));
        no.iter().for_each(|n| assert!(!pattern.matches(n), "{pattern:?} should not match {n}"));
    }

    #[test]
    fn stars_stand_for_any_run_of_characters() {
        check("/", &["/"], &["", "/a"]);
        check("*", &["", "/", "anything"], &[]);
        check("/room-*", &["/room-", "/room-1"], &["/room", "/x/room-1"]);
        check("*-end", &["-end", "a-end"], &["-end-"]);
        check("/a*b*c", &["/abc", "/axbxc", "/abbc"], &["/ac", "/abcd", "/acb"]);
    }

    #[test]
    fn patterns_are_bounded() {
        assert!(Pattern::parse("").is_err());
        assert!(Pattern::parse("*a*b*c*d*").is_err());
        assert!(Pattern::parse(&"x".repeat(257)).is_err());
    }
}
