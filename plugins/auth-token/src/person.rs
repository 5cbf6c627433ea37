//! Who a client is, and what names may be.

use hubbub_plugin::prelude::*;

/// The longest user id that a hub allows by default.
pub(crate) const USER_MAX_BYTES: usize = 256;
/// The longest role.
pub(crate) const ROLE_MAX_BYTES: usize = 64;
/// The most roles of one user.
pub(crate) const ROLES_MAX: usize = 64;

/// Who a client is; as it stands here, the client is told.
#[derive(Debug, Serialize)]
pub(crate) struct Person {
    pub user: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub roles: Vec<String>,
    pub guest: bool,
}

/// A display name that harms no line of text: without control characters and marks that turn the direction of text,
/// runs of white space made one space, cut to `max_chars`. `None` when nothing is left.
pub(crate) fn display_name(text: &str, max_chars: usize) -> Option<String> {
    let harmless = |word: &str| word.chars().filter(|&c| !c.is_control() && !turns_direction(c)).collect::<String>();
    let words: Vec<_> = text.split_whitespace().map(harmless).filter(|word| !word.is_empty()).collect();
    let name: String = words.join(" ").chars().take(max_chars).collect();
    let name = name.trim_end();
    (!name.is_empty()).then(|| name.to_owned())
}

fn turns_direction(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Why a text cannot be a user id or a role.
pub(crate) fn check_id(text: &str, max_bytes: usize) -> Result<(), String> {
    if text.is_empty() || text.len() > max_bytes {
        return Err(format!("must have 1 to {max_bytes} bytes"));
    }
    if text.chars().any(char::is_control) {
        return Err("must not have control characters".into());
    }
    Ok(())
}

/// Why texts cannot be roles.
pub(crate) fn check_roles(roles: &[String]) -> Result<(), String> {
    if roles.len() > ROLES_MAX {
        return Err(format!("must be at most {ROLES_MAX}"));
    }
    roles.iter().try_for_each(|role| check_id(role, ROLE_MAX_BYTES).map_err(|fault| format!("a role {fault}")))
}
