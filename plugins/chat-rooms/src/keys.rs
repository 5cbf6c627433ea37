//! Keys of the store: a kind and texts that may hold anything, never longer than a store takes.

use std::fmt::Write;

use hubbub_plugin::serde_json;
use sha2::{Digest, Sha256};

/// Longer ones end in a digest; the store takes 512 bytes.
const KEY_MAX_BYTES: usize = 400;

/// No two different lists of texts have the same key.
pub(crate) fn key(kind: &str, parts: &[&str]) -> String {
    let parts = serde_json::to_string(parts).expect("a list of texts is JSON");
    match kind.len() + parts.len() <= KEY_MAX_BYTES {
        true => format!("{kind}{parts}"),
        false => format!("{kind}#{}", digest(&parts)),
    }
}

/// SHA-256 in hexadecimal.
pub(crate) fn digest(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::key;

    #[test]
    fn keys_are_short_and_do_not_collide() {
        assert_ne!(key("name", &["a:b", "c"]), key("name", &["a", "b:c"]));
        assert_ne!(key("name", &["a\",\"b"]), key("name", &["a", "b"]));
        let long = "\u{1}".repeat(256);
        assert!(key("name", &[&long, "a"]).len() < 100);
        assert_ne!(key("name", &[&long, "a"]), key("name", &[&long, "b"]));
    }
}
