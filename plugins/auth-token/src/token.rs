//! A token's form and signature: `header.claims.signature`, each in base64url.

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hubbub_plugin::{prelude::*, serde_json};
use jsonwebtoken::errors::ErrorKind;
use serde::de::IgnoredAny;

use crate::{config::Config, refusal::Refusal};

/// What a token says, by name.
pub(crate) type Claims = serde_json::Map<String, Value>;

/// What the signer says of the signature, read here for the key's id and for the refusal's words alone: `jsonwebtoken`
/// reads it again and decides. The rest of a header is not looked at: no key is ever taken from a token.
#[derive(Deserialize)]
struct Header<'a> {
    #[serde(borrow)]
    alg: Cow<'a, str>,
    #[serde(borrow)]
    kid: Option<Cow<'a, str>>,
    /// Extensions that one must understand; there are none here.
    crit: Option<IgnoredAny>,
}

/// The claims of a token whose signature holds. They are read only then.
pub(crate) fn verify(token: &str, config: &Config) -> Result<Claims, Refusal> {
    if token.len() > config.jwt_max_bytes {
        return Err(Refusal::Malformed("it is too long"));
    }
    let [header, _, _] = token.split('.').collect::<Vec<_>>()[..] else {
        return Err(Refusal::Malformed("it must have three parts with dots between"));
    };
    let header = URL_SAFE_NO_PAD.decode(header).map_err(|_| NOT_BASE64)?;
    let header = read_header(&header)?;
    let key = config.key(header.kid.as_deref()).ok_or(Refusal::Signature("no such key"))?;
    if header.alg != key.algorithm.name() {
        return Err(Refusal::Signature("its algorithm is not the key's"));
    }
    key.decode(token).map_err(|error| match error.kind() {
        ErrorKind::Base64(_) => NOT_BASE64,
        ErrorKind::Json(_) | ErrorKind::Utf8(_) => Refusal::Malformed(NO_JWT),
        _ => Refusal::Signature("it was not made with the key, or the token was changed"),
    })
}

/// `jsonwebtoken` cannot read on behind a list or an object where a claim of RFC 7519 has a text or a number.
const NO_JWT: &str = "a part is no JSON object, or something registered in it is of the wrong kind";
const NOT_BASE64: Refusal = Refusal::Malformed("a part is not base64url");

fn read_header(json: &[u8]) -> Result<Header<'_>, Refusal> {
    // serde would take a list for an object as well
    let object = json.trim_ascii_start().starts_with(b"{");
    match serde_json::from_slice::<Header<'_>>(json) {
        Ok(header) if object && header.crit.is_some() => Err(Refusal::Malformed("it asks for unknown extensions")),
        Ok(header) if object => Ok(header),
        _ => Err(Refusal::Malformed("its header is no JSON object with `alg`")),
    }
}
