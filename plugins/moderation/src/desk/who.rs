//! Whom a sanction or a count is about.

use std::time::Duration;

use hubbub_plugin::{Event, prelude::*};

use super::{Desk, bad_request, keys::key};

/// How long it is remembered who a socket was.
const SEEN_TTL: Duration = Duration::from_secs(2 * 24 * 3600);

/// A user; without one, what is known of the client.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Who {
    User(String),
    /// A client's address: all sockets from there that have no user.
    Address(String),
    Socket(String),
}

/// Somebody whom moderators name.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub who: Who,
    /// The name that others know: one of both.
    pub user: Option<String>,
    pub socket: Option<String>,
}

impl Who {
    /// Who causes an event.
    pub(crate) fn of(event: &Event) -> Self {
        match (event.user(), event.address()) {
            (Some(user), _) => Self::User(user),
            (None, Some(address)) => Self::Address(address),
            (None, None) => Self::Socket(event.socket().unwrap_or_default()),
        }
    }

    /// The key of what is kept of this kind about it; no two are alike.
    pub(crate) fn key(&self, kind: &str, rest: &[&str]) -> String {
        let (what, id) = match self {
            Self::User(id) => ("user", id),
            Self::Address(id) => ("address", id),
            Self::Socket(id) => ("socket", id),
        };
        let parts: Vec<&str> = [what, id].into_iter().chain(rest.iter().copied()).collect();
        key(kind, &parts)
    }
}

impl Person {
    /// Who causes an event.
    pub(crate) fn of(event: &Event) -> Self {
        let user = event.user();
        let socket = if user.is_some() { None } else { event.socket() };
        Self { who: Who::of(event), user, socket }
    }

    /// Its sockets, as far as they can be named.
    pub(crate) fn target(&self) -> Target {
        match (&self.user, &self.socket) {
            (Some(user), _) => Target::User(user.clone()),
            (None, Some(socket)) => Target::Socket(socket.clone()),
            (None, None) => Target::Socket(String::new()),
        }
    }
}

impl Desk<'_> {
    /// Remembers who a socket is that others can name now.
    pub(crate) fn see(&self) -> Result<(), Failure> {
        let Some(socket) = self.event.socket() else { return Ok(()) };
        let (key, who) = (key("seen", &[&socket]), Who::of(self.event));
        if self.store().get::<Who>(&key)?.as_ref() != Some(&who) {
            self.store().set(&key, &who, Some(SEEN_TTL))?;
        }
        Ok(())
    }

    /// Whom a moderator means.
    pub(super) fn person(&self, user: Option<String>, socket: Option<String>) -> Result<Person, Stop> {
        match (user, socket) {
            (Some(user), None) if (1..=super::NAME_MAX_BYTES).contains(&user.len()) => {
                Ok(Person { who: Who::User(user.clone()), user: Some(user), socket: None })
            }
            (None, Some(socket)) if (1..=super::NAME_MAX_BYTES).contains(&socket.len()) => {
                match self.store().get::<Who>(&key("seen", &[&socket]))? {
                    Some(Who::User(user)) => self.person(Some(user), None),
                    Some(who) => Ok(Person { who, user: None, socket: Some(socket) }),
                    None => Ok(Person { who: Who::Socket(socket.clone()), user: None, socket: Some(socket) }),
                }
            }
            _ => Err(bad_request("either `user` or `socket` must be given")),
        }
    }
}
