//! Clients without a token.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hubbub_plugin::{Failure, prelude::*};

use crate::{
    config::Guests,
    person::{Person, display_name},
};

/// Characters that make a guest's id unlike all others: 120 random bits.
pub(crate) const ID_BYTES: usize = 20;

/// A guest with an id that nobody else has, and the name that it gives itself. Fails when there is no randomness.
pub(crate) fn welcome(guests: &Guests, auth: Option<&Value>, name_max_chars: usize) -> Result<Person, Failure> {
    let mut raw = [0u8; ID_BYTES / 4 * 3];
    getrandom::fill(&mut raw).map_err(|error| failure(format!("a guest's id: {error}")))?;
    let user = format!("{}{}", guests.prefix, URL_SAFE_NO_PAD.encode(raw));
    let name = auth.and_then(|auth| auth.get("name")?.as_str());
    let name = name.and_then(|name| display_name(name, name_max_chars));
    Ok(Person { user, name, roles: guests.roles.clone(), guest: true })
}
