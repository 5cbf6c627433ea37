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
        if !response.status().is_success() {
            let code = response.extensions().get().map_or("failed", |ErrorCode(code)| code);
            self.entry.outcome = Outcome::Refused(code.to_owned());
        }
        self.entry.revision = response.extensions().get().map(|Behind(revision)| *revision);
        Some(self.entry)
    }
}
