//! What was committed and is not in the file yet, and what each scope holds.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, atomic::AtomicU64},
};

use parking_lot::{Condvar, Mutex};
use tokio::sync::{Mutex as AsyncMutex, Notify};

use super::EXPIRED_AT_ONCE;
use crate::{
    event::now_ms,
    store::{
        Key, Limits, StoreError,
        disk::{Disk, DiskError, Usage},
    },
};

pub(super) struct Shared {
    pub limits: Limits,
    pub disk: Option<Disk>,
    /// Whoever holds it commits.
    pub commits: Arc<AsyncMutex<()>>,
    pub state: Mutex<State>,
    /// Wakes the writer.
    pub wake: Condvar,
    /// Wakes who waits for the writer.
    pub written: Notify,
    /// Commits of events' writes.
    pub committed: AtomicU64,
    pub conflicts: AtomicU64,
}

#[derive(Default)]
pub(super) struct State {
    /// What was committed and is not in the file. Without a file: everything.
    pub recent: HashMap<Key, Recent>,
    pub backlog_bytes: usize,
    /// Bytes of each scope.
    pub usage: Usage,
    pub usage_changed: HashSet<Box<[u8]>>,
    /// Without a file: what ends when.
    pub ends: BTreeSet<(u64, Key)>,
    /// Numbers commits.
    pub last: u64,
    /// The last commit that is in the file.
    pub synced: u64,
    /// Why the file takes nothing.
    pub failed: Option<String>,
    pub closing: bool,
}

pub(super) struct Recent {
    pub commit: u64,
    /// As it is kept, and when it ends; `None`: deleted.
    pub kept: Option<Kept>,
}

#[derive(Clone)]
pub(in crate::store) struct Kept {
    pub bytes: Arc<[u8]>,
    pub expires_ms: Option<u64>,
}

/// One key's change, checked.
pub(super) struct Change {
    pub key: Key,
    pub old_bytes: usize,
    pub kept: Option<Kept>,
}

impl Shared {
    pub fn new(limits: Limits, disk: Option<Disk>, usage: Usage) -> Self {
        let state = Mutex::new(State { usage, ..State::default() });
        let (wake, written) = (Condvar::new(), Notify::new());
        let (committed, conflicts) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { limits, disk, commits: Arc::default(), state, wake, written, committed, conflicts }
    }

    /// What is kept under a key, expired or not.
    pub fn read(&self, key: &Key) -> Result<Option<Arc<[u8]>>, StoreError> {
        if let Some(recent) = self.state.lock().recent.get(key) {
            return Ok(recent.kept.as_ref().map(|k| k.bytes.clone()));
        }
        // what leaves `recent` is in the file already
        let Some(disk) = &self.disk else { return Ok(None) };
        disk.read(&key.bytes).map_err(DiskError::into_store)
    }

    /// Keys with this beginning that hold something and may not be in the file.
    pub fn recent_keys(&self, prefix: &[u8]) -> Vec<Key> {
        let state = self.state.lock();
        let held = state.recent.iter().filter(|(key, recent)| key.bytes.starts_with(prefix) && recent.kept.is_some());
        held.map(|(key, _)| key.clone()).collect()
    }

    pub fn commit(&self, changes: Vec<Change>) {
        let mut state = self.state.lock();
        state.last += 1;
        let commit = state.last;
        for change in changes {
            let new_bytes = change.kept.as_ref().map_or(0, |k| k.bytes.len());
            let new_end = change.kept.as_ref().and_then(|k| k.expires_ms);
            state.count(&change.key, held(&change.key, new_bytes) - held(&change.key, change.old_bytes));
            if self.disk.is_some() {
                state.backlog_bytes += change.key.bytes.len() + new_bytes;
            } else if let Some(end) = change.kept.as_ref().and_then(|k| k.expires_ms) {
                state.ends.insert((end, change.key.clone()));
            }
            let deletes = self.disk.is_none() && change.kept.is_none();
            let before = if deletes {
                state.recent.remove(&change.key)
            } else {
                state.recent.insert(change.key.clone(), Recent { commit, kept: change.kept })
            };
            if let Some(before) = before {
                if self.disk.is_none()
                    && let Some(end) = before.kept.as_ref().and_then(|k| k.expires_ms)
                    && Some(end) != new_end
                {
                    state.ends.remove(&(end, change.key.clone()));
                }
                let before_bytes = before.kept.map_or(0, |k| k.bytes.len());
                state.backlog_bytes = state.backlog_bytes.saturating_sub(change.key.bytes.len() + before_bytes);
            }
        }
        if self.disk.is_none() {
            state.forget_expired();
            state.synced = commit;
        } else {
            self.wake.notify_one();
        }
    }
}

impl State {
    pub fn count(&mut self, key: &Key, more: i64) {
        if more == 0 {
            return;
        }
        let used = self.usage.entry(key.scope().into()).or_default();
        *used = used.saturating_add_signed(more);
        if *used == 0 {
            self.usage.remove(key.scope());
        }
        self.usage_changed.insert(key.scope().into());
    }

    pub fn forget_expired(&mut self) {
        let now = now_ms();
        for _ in 0..EXPIRED_AT_ONCE {
            let Some((end, key)) = self.ends.first().cloned() else { break };
            if end > now {
                break;
            }
            self.ends.pop_first();
            // it may have got another end since
            let kept = self.recent.get(&key).and_then(|r| r.kept.as_ref()).filter(|k| k.expires_ms == Some(end));
            if let Some(bytes) = kept.map(|k| k.bytes.len()) {
                self.count(&key, -held(&key, bytes));
                self.recent.remove(&key);
            }
        }
        self.usage_changed.clear();
    }
}

/// What a key counts towards its scope: nothing when it holds nothing.
pub(super) fn held(key: &Key, bytes: usize) -> i64 {
    if bytes == 0 { 0 } else { (key.bytes.len() - key.scope_len + bytes) as i64 }
}
