//! Keys of the store: a kind and texts that may hold anything, never longer than a store takes.

use std::fmt::Write;

use hubbub_plugin::serde_json;
use sha2::{Digest, Sha256};

/// Longer ones end in a digest; the store takes 512 bytes.
const KEY_MAX_BYTES: usize = 400;

/// No two different lists of texts have the same key.
pub(crate) fn key(kind: &str, parts: &[&str]) -> String {
    let parts = serde_json::to_string(parts).expect("a list of texts is JSON");
    if kind.len() + parts.len() <= KEY_MAX_BYTES {
        return format!("{kind}{parts}");
    }
    Sha256::digest(parts.as_bytes()).iter().fold(format!("{kind}#"), |mut key, byte| {
        let _ = write!(key, "{byte:02x}");
        key
    })
}

/// The key of what has a number.
pub(crate) fn numbered(kind: &str, number: u64) -> String {
    format!("{kind}:{number}")
}
