//! Users by signed tokens (JWT), and guests.
//!
//! The client sends its token in the Socket.IO auth payload, `io(url, { auth: { token } })`. A good token says which
//! user the socket belongs to, its display name and its roles. A client without a token is a guest, if guests are
//! allowed; a bad token is refused and never makes a guest. If an earlier plugin of the chain has said who the user
//! is, this one asks for nothing.
//!
//! Needs the capabilities `identity` (it says who the user is) and `credentials` (the auth payload is one).
//!
//! Who is in gets the event `identity {user, name?, roles, guest}`: so a guest learns its id, and everybody the name
//! and roles that hold here. Who is not gets `connect_error` with `data.reason.code`:
//!
//! | code | the token |
//! |---|---|
//! | `token_missing` | is not there, and there are no guests in the config |
//! | `guests_refused` | is not there, and the config says `guests.allow = false` |
//! | `token_malformed` | is too long, no text, or no signed JWT at all |
//! | `token_signature` | has another signature, key or algorithm than the config; `none` is always another one |
//! | `token_expired` | has ended; `data.reason.data.expired_s` says when |
//! | `token_not_yet` | begins, or was issued, in the future |
//! | `token_issuer`, `token_audience` | is from or for somebody else |
//! | `token_claims` | lacks a claim, has one of the wrong kind, or lives longer than allowed |
//!
//! # Config
//!
//! ```toml
//! [[plugin]]
//! name = "auth-token"
//! file = "auth_token.wasm"
//! capabilities = ["identity", "credentials"]
//!
//! [plugin.config]
//! issuer = "https://login.example"     # `iss` must be this; left out: any
//! audience = "chat"                    # `aud` must hold this; left out: a token for somebody by name is refused
//! leeway_s = 30                        # how far clocks may differ, at most 300
//! lifetime_max_s = 86400               # from `iat` to `exp`; left out: any
//! expiry_required = true               # a token without `exp` is refused
//! jwt_max_bytes = 4096                 # longer tokens are refused unread
//! name_max_chars = 64                  # longer display names are cut
//! header = "authorization"             # also taken from here (`Bearer ` before it), left out: not
//! query = "access_token"               # also taken from here, left out: not; URLs end up in logs
//! claims = { user = "sub", name = "name", roles = "roles" }
//! guests = { allow = true, prefix = "guest-", roles = [] }
//!
//! [[plugin.config.keys]]
//! kid = "2026"                         # needed as soon as there are two keys
//! algorithm = "HS256"                  # HS384, HS512: `secret` (text) or `secret_base64`, 32, 48 or 64 bytes at least
//! secret_base64 = "..."
//!
//! [[plugin.config.keys]]
//! kid = "2025"
//! algorithm = "EdDSA"                  # ES256, RS256 (2048 to 3072 bits): `public_key`, as `openssl pkey -pubout` writes it
//! public_key = """
//! -----BEGIN PUBLIC KEY-----
//! ...
//! -----END PUBLIC KEY-----
//! """
//! ```
//!
//! Only `keys` is needed; for the rest, but the optional ones, the values above are the defaults, with one exception:
//! without `guests` there are none. To change a key: add the new one, let the issuer sign with it, and remove the old
//! one when its last token has expired. A claim's name that begins with `/` is a JSON pointer into the claims, as
//! `/realm_access/roles`. Roles are a list of texts, or one text with spaces between. A user id is a text or a whole
//! number; while guests are allowed, no token's user may begin with their prefix. A display name may have spaces; who
//! joins a room of `chat-rooms` under it says so, with `join {room, name}`.
//!
//! # Trying it out
//!
//! With `algorithm = "HS256"` and this `secret` (`token.mjs` lies beside this crate's `Cargo.toml`):
//!
//! ```sh
//! SECRET="thirty-two bytes are the fewest!" node plugins/auth-token/token.mjs ann "Ann Lee" moderator
//! ```
//!
//! ```js
#![doc = include_str!("../token.mjs")]
//! ```
//!
//! # How it verifies
//!
//! Signatures are the work of the crate `jsonwebtoken`, in its form on RustCrypto, which runs in WebAssembly. The
//! algorithm is the key's: what the token says of it must be the same, and nothing that a token brings (`jwk`, `jku`, `x5c`)
//! is ever a key. Times are compared with `received_ms` of the event, not with a clock of the plugin. Of `rsa`'s advisory
//! RUSTSEC-2023-0071, a timing that tells private keys, nothing holds here: there are public keys only.
//!
//! CPU of a connect with a token, as `tests/tests/auth_token.rs` prints it (on two shared cores): HS256 0.08 ms, EdDSA
//! 0.2 ms, RS256 1.9 ms (2048 bits) or 4 ms (3072 bits), ES256 2.4 ms. A call may use 10 ms; RSA keys of 4096 bits came
//! too near to that, so 3072 is the most.

mod claims;
mod config;
mod guest;
mod key;
mod person;
mod refusal;
mod token;

use hubbub_plugin::{prelude::*, serde_json};

use config::Config;
use person::Person;
use refusal::Refusal;

/// The event that tells a client who it is.
const IDENTITY: &str = "identity";

/// The plugin: its config, with keys that are ready.
#[derive(Deserialize)]
#[serde(transparent)]
struct AuthToken {
    config: Config,
}

impl Plugin for AuthToken {}

impl OnConnect for AuthToken {
    fn on_connect(&self, event: &ConnectEvent) -> Outcome {
        if event.user().is_some() {
            return Ok(Pass);
        }
        let person = self.person(event)?;
        if !event.set_user(&person.user, &person.roles) {
            return Err(failure("the user was set meanwhile").into());
        }
        event.emit(To::sender(), IDENTITY, &person)?;
        Ok(Pass)
    }
}

impl AuthToken {
    fn person(&self, event: &ConnectEvent) -> Result<Person, Stop> {
        let auth = auth_payload(event);
        match self.token(event, auth.as_ref())? {
            Some(token) => {
                let claims = token::verify(&token, &self.config)?;
                Ok(claims::read(&claims, &self.config, event.received_ms())?)
            }
            None => match &self.config.guests {
                Some(guests) if guests.allow => {
                    guest::welcome(guests, auth.as_ref(), self.config.name_max_chars).map_err(Stop::from)
                }
                Some(_) => Err(Refusal::GuestsRefused.into()),
                None => Err(Refusal::Missing.into()),
            },
        }
    }

    /// The client's token: from the auth payload, else from where the config says. An empty one is none.
    fn token(&self, event: &ConnectEvent, auth: Option<&Value>) -> Result<Option<String>, Refusal> {
        match auth.and_then(|auth| auth.get("token")) {
            None | Some(Value::Null) => {}
            Some(Value::String(token)) if token.is_empty() => {}
            Some(Value::String(token)) => return Ok(Some(token.clone())),
            Some(_) => return Err(Refusal::Malformed("`token`: must be a text")),
        }
        let credentials = event.credentials();
        let header = || {
            let value = credentials.header(self.config.header.as_deref()?)?;
            Some(value.strip_prefix("Bearer ").unwrap_or(&value).trim().to_owned())
        };
        let query = || credentials.query(self.config.query.as_deref()?);
        Ok(header().filter(|token| !token.is_empty()).or_else(query).filter(|token| !token.is_empty()))
    }
}

/// What the client sent; what is no JSON, which the hub would not let in, is nothing.
fn auth_payload(event: &ConnectEvent) -> Option<Value> {
    serde_json::from_str(&event.credentials().auth_json()?).ok()
}

hubbub_plugin::export!(AuthToken: OnConnect);

#[cfg(test)]
mod tests;
