//! What is noted of calls: those that change something, and those whose caller was not let in.

use std::net::SocketAddr;

use axum::{
    extract::{ConnectInfo, Request},
    http::{Method, StatusCode},
    response::Response,
};

use super::{Access, auth::Caller};
use crate::{
    config::Role,
    seeing::audit::{Entry, Outcome},
};

/// Of the path that was called, what is noted for a caller that was not let in: anybody may send any.
const REFUSED_TARGET_MAX_BYTES: usize = 256;

/// The code of an error, beside its answer.
#[derive(Clone, Copy)]
pub(super) struct ErrorCode(pub &'static str);

/// The revision behind a change, beside its answer.
#[derive(Clone, Copy)]
pub(super) struct Behind(pub u64);

/// What can be said of a call before it is made.
pub(super) struct Draft {
    is_change: bool,
    entry: Entry,
}

impl Draft {
    /// `what`: the call, as its document names it.
    pub fn new(what: &str, access: Access, request: &Request) -> Self {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
        let query = request.uri().query().unwrap_or_default();
        let why =
            form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "why").map(|(_, why)| why.into_owned());
        let entry = Entry {
            who: String::new(),
            role: String::new(),
            address: peer.map(|ConnectInfo(peer)| peer.ip().to_string()).unwrap_or_default(),
            what: what.replace('_', " "),
            target: request.uri().path().to_owned(),
            outcome: Outcome::Done,
            revision: None,
            why,
        };
        Self { is_change: access == Access::Role(Role::Deploy) && request.method() != Method::GET, entry }
    }

    /// Who makes it.
    pub fn by(&mut self, caller: &Caller) {
        self.entry.who = caller.name.to_string();
        self.entry.role = caller.role().as_str().to_owned();
    }

    /// Whether it changes something.
    pub fn is_change(&self) -> bool {
        self.is_change
    }

    /// What is to be noted of it, with what came of it.
    pub fn end(mut self, response: &Response) -> Option<Entry> {
        let is_kept_out = matches!(response.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        if !self.is_change && !is_kept_out {
            return None;
        }
        if is_kept_out {
            let target = &mut self.entry.target;
            target.truncate(target.floor_char_boundary(REFUSED_TARGET_MAX_BYTES));
            self.entry.why = None;
        }
        if !response.status().is_success() {
            let code = response.extensions().get().map_or("failed", |ErrorCode(code)| code);
            self.entry.outcome = Outcome::Refused(code.to_owned());
        }
        self.entry.revision = response.extensions().get().map(|Behind(revision)| *revision);
        Some(self.entry)
    }
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, response::IntoResponse};

    use super::*;

    /// What is noted of a change that was answered with `status`.
    fn noted(status: StatusCode) -> Entry {
        let uri = format!("/v1/plugins/{}/disable?why=a%20try", "x".repeat(1000));
        let request = Request::builder().method(Method::POST).uri(uri).body(Body::empty()).unwrap();
        let draft = Draft::new("disable_plugin", Access::Role(Role::Deploy), &request);
        draft.end(&status.into_response()).unwrap()
    }

    #[test]
    fn a_caller_that_was_not_let_in_has_no_say_in_its_line() {
        for status in [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN] {
            let entry = noted(status);
            assert_eq!((entry.target.len(), entry.why), (REFUSED_TARGET_MAX_BYTES, None), "{status}");
            assert!(entry.target.starts_with("/v1/plugins/xxx"));
        }
        let entry = noted(StatusCode::OK);
        assert_eq!((entry.target.len(), entry.why.as_deref()), (1000 + 20, Some("a try")));
    }
}
