//! Who calls, and from where: tokens and their roles, and what keeps web pages out.

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, Uri, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use subtle::{ConditionallySelectable, ConstantTimeEq};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Access, Shared, audit::Draft, error::ApiError};
use crate::{
    config::{Admin, AdminToken, Role},
    event::Text,
    registry::Digest,
};

/// What every token begins with, so that those who search for leaked secrets find it.
const TOKEN_PREFIX: &str = "hubbub_";
/// A longer one is none.
const TOKEN_MAX_BYTES: usize = 256;
/// Components that are uploaded at the same time, with whatever tokens: so many are in memory at most.
const UPLOADS_MAX: usize = 4;
/// Who it is that needs no token.
const DEVELOPER: &str = "dev";

/// A new token and the hash of it.
pub struct NewToken {
    /// For its owner, who is shown it once.
    pub secret: String,
    pub sha256: Digest,
}

/// Makes a token from 32 bytes of the system's randomness.
pub fn new_token() -> NewToken {
    let mut raw = [0u8; 32];
    getrandom::fill(&mut raw).expect("the system has randomness: nothing works safely without");
    let secret = format!("{TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(raw));
    let sha256 = Digest::of(secret.as_bytes());
    NewToken { secret, sha256 }
}

/// Who makes a call, as its token says.
#[derive(Clone)]
pub(super) struct Caller {
    pub name: Text,
    role: Role,
    /// Which of the tokens; `None`: it needs none.
    token: Option<usize>,
}

impl Caller {
    pub fn role(&self) -> Role {
        self.role
    }
}

/// All that are known.
pub(super) struct Tokens {
    known: Vec<AdminToken>,
    is_open: bool,
}

impl Tokens {
    pub fn new(settings: &Admin) -> Self {
        Self { known: settings.tokens.clone(), is_open: settings.is_open() }
    }

    /// Who it is. How long this takes does not tell how much of a token was right, nor which one it was.
    fn caller(&self, headers: &HeaderMap) -> Result<Caller, ApiError> {
        if self.is_open {
            return Ok(Caller { name: DEVELOPER.into(), role: Role::Deploy, token: None });
        }
        let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let shown = shown.and_then(|value| value.split_once(' '));
        let shown = shown.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
        let Some(shown) = shown.filter(|token| token.len() <= TOKEN_MAX_BYTES) else {
            return Err(ApiError::unauthorized("this call needs a token: Authorization: Bearer TOKEN"));
        };
        let digest = Digest::of(shown.as_bytes());
        let nobody = u64::MAX;
        let mut found = nobody;
        for (n, token) in (0..).zip(&self.known) {
            found.conditional_assign(&n, token.sha256.bytes().ct_eq(digest.bytes()));
        }
        let at = usize::try_from(found).ok().and_then(|at| Some((at, self.known.get(at)?)));
        let (at, token) = at.ok_or_else(|| ApiError::unauthorized("this token is not known here"))?;
        Ok(Caller { name: token.name.as_str().into(), role: token.role, token: Some(at) })
    }
}

/// A call, to whoever keeps its door.
#[derive(Clone)]
pub(super) struct Door {
    pub shared: Arc<Shared>,
    pub access: Access,
    /// As its document names it.
    pub what: Text,
}

/// Lets a call through whose caller may make it, and has noted what came of it.
pub(super) async fn admit(State(door): State<Door>, mut request: Request, next: Next) -> Response {
    let Door { shared, access, what } = door;
    let Access::Role(needed) = access else { return next.run(request).await };
    let mut draft = Draft::new(&what, access, &request);
    let refused = match shared.tokens.caller(request.headers()) {
        Err(error) => Some(error),
        Ok(caller) => {
            draft.by(&caller);
            let (has, is_enough) = (caller.role, caller.role >= needed);
            request.extensions_mut().insert(caller);
            (!is_enough).then(|| ApiError::forbidden(has, needed))
        }
    };
    let is_change = draft.is_change();
    let done = async move {
        let response = match refused {
            Some(error) => error.into_response(),
            None => next.run(request).await,
        };
        let entry = draft.end(&response);
        if let Some(entry) = entry {
            shared.parts.audit.note(entry).await;
        }
        response
    };
    if !is_change {
        return done.await;
    }
    // a change is noted also when nobody waits for it any more
    let done = tokio::spawn(done).await;
    done.unwrap_or_else(|_| ApiError::internal("the call failed; the node's log says why").into_response())
}

/// Keeps out what a web page of another origin sends: there is no CORS here, and where no token is asked for, no name
/// that might be made to point at this machine.
pub(super) async fn gate(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    match check_source(request.headers(), request.uri(), shared.tokens.is_open) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

fn check_source(headers: &HeaderMap, uri: &Uri, is_open: bool) -> Result<(), ApiError> {
    let text = |name: header::HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let host = uri.authority().map(|authority| authority.as_str()).or_else(|| text(header::HOST)).unwrap_or_default();
    if is_open && !is_loopback_name(host) {
        let text = "without a token this API is called by a name of this machine alone, as http://127.0.0.1";
        return Err(ApiError::wrong_source(text));
    }
    let own = |origin: &str| origin.split_once("://").is_some_and(|(_, authority)| authority == host);
    let is_foreign = text(header::ORIGIN).is_some_and(|origin| !own(origin));
    let site = headers.get("sec-fetch-site").map(|value| value.as_bytes());
    if is_foreign || site.is_some_and(|site| !matches!(site, b"same-origin" | b"none")) {
        return Err(ApiError::wrong_source("pages of other origins may not call this API"));
    }
    Ok(())
}

/// `localhost` or a loopback address, with or without a port.
fn is_loopback_name(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let is_address = || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    name.eq_ignore_ascii_case("localhost") || is_address()
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        // [`admit`] has put it there
        parts.extensions.get::<Self>().cloned().ok_or_else(|| ApiError::unauthorized("this call needs a token"))
    }
}

/// Who uploads: one at a time with each token, a few in all.
pub(super) struct Uploads {
    all: Arc<Semaphore>,
    of_each: Vec<Arc<Semaphore>>,
}

/// One of them.
pub(super) struct Uploading {
    _places: [OwnedSemaphorePermit; 2],
}

impl Uploads {
    pub fn new(tokens: usize) -> Self {
        Self {
            all: Arc::new(Semaphore::new(UPLOADS_MAX)),
            of_each: (0..tokens.max(1)).map(|_| Arc::new(Semaphore::new(1))).collect(),
        }
    }

    /// A place, for as long as it is kept.
    pub fn begin(&self, caller: &Caller) -> Result<Uploading, ApiError> {
        let own = self.of_each[caller.token.unwrap_or(0)].clone().try_acquire_owned();
        let own =
            own.map_err(|_| ApiError::busy("an upload or a push with this token is under way: wait for its end"))?;
        let all = self.all.clone().try_acquire_owned();
        let all = all.map_err(|_| ApiError::busy("too many uploads are under way: try again"))?;
        Ok(Uploading { _places: [own, all] })
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue, StatusCode};

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn a_token_is_known_by_its_hash_alone() {
        let (ops, reader) = (new_token(), new_token());
        assert_ne!(ops.secret, reader.secret);
        assert!(ops.secret.len() > 40 && ops.sha256 == Digest::of(ops.secret.as_bytes()));
        let token = |name: &str, role, new: &NewToken| AdminToken { name: name.into(), role, sha256: new.sha256 };
        let known = vec![token("ops", Role::Deploy, &ops), token("reader", Role::Read, &reader)];
        let tokens = Tokens { known, is_open: false };
        let caller = |value: &str| tokens.caller(&headers(&[("authorization", value)]));
        let name = |value: &str| caller(value).map(|caller| caller.name.to_string()).map_err(|e| e.status());
        assert_eq!(name(&format!("Bearer {}", ops.secret)), Ok("ops".into()));
        assert_eq!(name(&format!("bearer {}", reader.secret)), Ok("reader".into()));
        for wrong in ["", "Bearer", "Bearer ", "Bearer x", "Basic eDp5", &format!("Bearer {}", ops.sha256)] {
            assert_eq!(name(wrong), Err(StatusCode::UNAUTHORIZED), "{wrong}");
        }
        assert_eq!(name(&format!("Bearer {}", "x".repeat(10_000))), Err(StatusCode::UNAUTHORIZED));
        assert!(tokens.caller(&HeaderMap::new()).is_err());
    }

    #[test]
    fn pages_of_other_origins_are_kept_out() {
        let check = |pairs: &[(&'static str, &str)], is_open: bool, right: bool| {
            let checked = check_source(&headers(pairs), &Uri::from_static("/v1/node"), is_open);
            assert_eq!(checked.is_ok(), right, "{pairs:?} {is_open}");
        };
        check(&[("host", "127.0.0.1:3001")], true, true);
        check(&[("host", "localhost:3001")], true, true);
        check(&[("host", "[::1]:3001")], true, true);
        // a name that an attacker's DNS points at this machine
        check(&[("host", "evil.example:3001")], true, false);
        check(&[("host", "127.0.0.1.evil.example")], true, false);
        check(&[("host", "[evil]:3001")], true, false);
        check(&[], true, false);
        check(&[("host", "admin.example")], false, true);
        for is_open in [true, false] {
            check(&[("host", "localhost:3001"), ("origin", "http://localhost:3001")], is_open, true);
            check(&[("host", "localhost:3001"), ("origin", "http://localhost:5173")], is_open, false);
            check(&[("host", "localhost:3001"), ("origin", "null")], is_open, false);
            check(&[("host", "localhost:3001"), ("sec-fetch-site", "cross-site")], is_open, false);
            check(&[("host", "localhost:3001"), ("sec-fetch-site", "none")], is_open, true);
        }
    }

    #[test]
    fn one_uploads_at_a_time_with_a_token() {
        let uploads = Uploads::new(2);
        let caller = |token| Caller { name: "x".into(), role: Role::Deploy, token: Some(token) };
        let first = uploads.begin(&caller(0)).unwrap();
        assert!(uploads.begin(&caller(0)).is_err());
        assert!(uploads.begin(&caller(1)).is_ok());
        drop(first);
        assert!(uploads.begin(&caller(0)).is_ok());
    }
}
