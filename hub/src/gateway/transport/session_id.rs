//! Session ids: secrets that let a polling client be recognised, and the sessions they name.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use parking_lot::Mutex;

use crate::event::RandomText;

/// For how long a session that its client closed is remembered: its GET may come after its POST.
const ENDED_KEEP_MS: u64 = 2_000;

/// A random text. Whoever knows it can speak as the client: nobody else is ever told.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct SessionId(RandomText);

/// The sessions that may still be asked for by id: those which began with polling.
pub(super) struct Sessions<C> {
    by_id: Mutex<ById<C>>,
}

struct ById<C> {
    found: HashMap<SessionId, Found<C>>,
    /// Ended sessions, by the time when they are to be forgotten.
    ended: VecDeque<(u64, SessionId)>,
}

/// What an id stands for.
pub(super) enum Found<C> {
    Open(Arc<C>),
    /// Its client closed it a moment ago.
    Ended,
}

impl SessionId {
    pub(super) fn random() -> Self {
        Self(RandomText::new())
    }

    pub(super) fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl<C> Sessions<C> {
    pub(super) fn new() -> Self {
        Self { by_id: Mutex::new(ById { found: HashMap::new(), ended: VecDeque::new() }) }
    }

    pub(super) fn insert(&self, id: SessionId, connection: Arc<C>) {
        self.by_id.lock().found.insert(id, Found::Open(connection));
    }

    /// What was asked for; an ended session is told once.
    pub(super) fn find(&self, id: &str) -> Option<Found<C>> {
        let id = SessionId(RandomText::parse(id)?);
        let mut by_id = self.by_id.lock();
        match by_id.found.get(&id)? {
            Found::Open(connection) => Some(Found::Open(connection.clone())),
            Found::Ended => by_id.found.remove(&id),
        }
    }

    pub(super) fn remove(&self, id: SessionId) {
        self.by_id.lock().found.remove(&id);
    }

    /// Lets a session go that its client closed, and remembers for a while that it did.
    pub(super) fn end(&self, id: SessionId, now_ms: u64) {
        let mut by_id = self.by_id.lock();
        by_id.found.insert(id, Found::Ended);
        by_id.ended.push_back((now_ms + ENDED_KEEP_MS, id));
    }

    /// Forgets what ended long enough ago.
    pub(super) fn forget_ended(&self, now_ms: u64) {
        let mut by_id = self.by_id.lock();
        while by_id.ended.front().is_some_and(|(at, _)| *at <= now_ms) {
            if let Some((_, id)) = by_id.ended.pop_front() {
                by_id.found.remove(&id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_random_and_of_the_promised_form() {
        let id = SessionId::random();
        assert_eq!(id.as_str().len(), 20);
        assert!(id.as_str().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
        assert!(id != SessionId::random());
    }

    #[test]
    fn an_ended_session_is_told_once_and_forgotten_in_time() {
        let sessions = Sessions::new();
        let (told, untold) = (SessionId::random(), SessionId::random());
        sessions.insert(told, Arc::new(()));
        assert!(matches!(sessions.find(told.as_str()), Some(Found::Open(_))));
        sessions.end(told, 0);
        sessions.end(untold, 0);
        assert!(matches!(sessions.find(told.as_str()), Some(Found::Ended)));
        assert!(sessions.find(told.as_str()).is_none());
        sessions.forget_ended(ENDED_KEEP_MS - 1);
        sessions.forget_ended(ENDED_KEEP_MS);
        assert!(sessions.find(untold.as_str()).is_none());
        assert!(sessions.by_id.lock().found.is_empty() && sessions.by_id.lock().ended.is_empty());
    }

    #[test]
    fn what_is_no_id_names_no_session() {
        let sessions = Sessions::new();
        sessions.insert(SessionId::random(), Arc::new(()));
        for forged in ["", "__proto__", "AAAAAAAAAAAAAAAAAAAA", "äääääääääää"] {
            assert!(sessions.find(forged).is_none(), "{forged}");
        }
    }
}
