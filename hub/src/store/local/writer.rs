//! The thread that brings what was committed into the file, and takes out of it what has expired.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::{
    EXPIRED_AT_ONCE,
    state::{Shared, held},
};
use crate::{
    event::now_ms,
    store::{
        Key,
        disk::{Batch, Disk, DiskError},
    },
};

/// How long the writer waits after an error before it tries again.
const RETRY: Duration = Duration::from_millis(500);

impl Shared {
    /// The writer's life: everything that was committed within `sync_interval` goes to the file in one step.
    pub fn write_until_closed(&self) {
        loop {
            {
                let mut state = self.state.lock();
                if state.recent.is_empty() && !state.closing {
                    self.wake.wait_for(&mut state, Duration::from_secs(1));
                }
                if state.closing && (state.recent.is_empty() || state.failed.is_some()) {
                    return;
                }
            }
            let begun = Instant::now();
            if let Err(error) = self.write_once() {
                let reason = error.to_string();
                let mut state = self.state.lock();
                if state.failed.as_ref() != Some(&reason) {
                    tracing::error!(error = %reason, "the store takes no writes until its disk does");
                }
                state.failed = Some(reason);
                drop(state);
                self.written.notify_waiters();
                thread::sleep(RETRY);
                continue;
            }
            let mut state = self.state.lock();
            while !state.closing && !self.wake.wait_until(&mut state, begun + self.limits.sync_interval).timed_out() {}
        }
    }

    fn write_once(&self) -> Result<(), DiskError> {
        let Some(disk) = &self.disk else { return Ok(()) };
        let (batch, commit) = {
            let mut state = self.state.lock();
            let changes = state.recent.iter().map(|(key, r)| (key.bytes.clone(), r.kept.clone())).collect();
            let changed = std::mem::take(&mut state.usage_changed);
            let usage = changed.into_iter().map(|s| (s.clone(), state.usage.get(&s).copied().unwrap_or(0))).collect();
            (Batch { changes, usage }, state.last)
        };
        let scopes: Vec<Box<[u8]>> = batch.usage.iter().map(|(scope, _)| scope.clone()).collect();
        let is_empty = batch.changes.is_empty() && batch.usage.is_empty();
        if !is_empty && let Err(error) = disk.write(&batch) {
            self.state.lock().usage_changed.extend(scopes);
            return Err(error);
        }
        let expired = disk.expired(now_ms(), EXPIRED_AT_ONCE)?;
        let mut state = self.state.lock();
        if state.failed.take().is_some() {
            tracing::info!("the store takes writes again");
        }
        let mut freed = 0;
        state.recent.retain(|key, recent| {
            if recent.commit <= commit {
                freed += key.bytes.len() + recent.kept.as_ref().map_or(0, |k| k.bytes.len());
            }
            recent.commit > commit
        });
        state.backlog_bytes = state.backlog_bytes.saturating_sub(freed);
        state.synced = commit;
        drop(state);
        self.written.notify_waiters();
        self.forget_expired_in_file(disk, expired)
    }

    /// Expired keys that nobody changed meanwhile are taken out of the file and of their scopes' account.
    fn forget_expired_in_file(&self, disk: &Disk, expired: Vec<(Key, usize)>) -> Result<(), DiskError> {
        // a commit under way has counted the old bytes: they would be taken off twice
        let Ok(_turn) = self.commits.try_lock() else { return Ok(()) };
        if expired.is_empty() {
            return Ok(());
        }
        let mut state = self.state.lock();
        let mut batch = Batch::default();
        for (key, bytes) in expired {
            if !state.recent.contains_key(&key) {
                state.count(&key, -held(&key, bytes));
                batch.changes.push((key.bytes.clone(), None));
            }
        }
        let changed = std::mem::take(&mut state.usage_changed);
        batch.usage = changed.into_iter().map(|s| (s.clone(), state.usage.get(&s).copied().unwrap_or(0))).collect();
        drop(state);
        // while nobody commits: what is read meanwhile has expired
        disk.write(&batch)
    }
}
