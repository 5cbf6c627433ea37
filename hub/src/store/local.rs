//! The store of a single node: what was committed lately in memory, everything else in a file, if there is one.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};
use tokio::sync::{Mutex as AsyncMutex, Notify, OwnedMutexGuard};

use super::{
    Doing, Figures, Key, Limits, OpError, Prepared, Record, Store, StoreError, Write, apply,
    disk::{Batch, Disk, DiskError, Usage},
    meters::Meters,
};
use crate::event::now_ms;

/// Keys whose time has come that one commit or one write of the file takes away.
const EXPIRED_AT_ONCE: usize = 256;
/// Keys that one step of a purge takes away.
const PURGED_AT_ONCE: usize = 1024;
/// How long the writer waits after an error before it tries again.
const RETRY: Duration = Duration::from_millis(500);

/// Embedded keyed state.
pub struct LocalStore {
    shared: Arc<Shared>,
    meters: Meters,
    epoch: u64,
    writer: Option<thread::JoinHandle<()>>,
}

struct Shared {
    limits: Limits,
    disk: Option<Disk>,
    /// Whoever holds it commits.
    commits: Arc<AsyncMutex<()>>,
    state: Mutex<State>,
    /// Wakes the writer.
    wake: Condvar,
    /// Wakes who waits for the writer.
    written: Notify,
    conflicts: AtomicU64,
}

#[derive(Default)]
struct State {
    /// What was committed and is not in the file. Without a file: everything.
    recent: HashMap<Key, Recent>,
    backlog_bytes: usize,
    /// Bytes of each scope.
    usage: Usage,
    usage_changed: HashSet<Box<[u8]>>,
    /// Without a file: what ends when.
    ends: BTreeSet<(u64, Key)>,
    /// Numbers commits.
    last: u64,
    /// The last commit that is in the file.
    synced: u64,
    /// Why the file takes nothing.
    failed: Option<String>,
    closing: bool,
}

struct Recent {
    commit: u64,
    /// As it is kept, and when it ends; `None`: deleted.
    kept: Option<Kept>,
}

#[derive(Clone)]
pub(super) struct Kept {
    pub bytes: Arc<[u8]>,
    pub expires_ms: Option<u64>,
}

/// One key's change, checked.
struct Change {
    key: Key,
    old_bytes: usize,
    kept: Option<Kept>,
}

struct LocalPrepared {
    shared: Arc<Shared>,
    changes: Vec<Change>,
    _turn: OwnedMutexGuard<()>,
}

impl LocalStore {
    /// A store that ends with the process.
    pub fn in_memory(limits: Limits) -> Self {
        let shared = Arc::new(Shared::new(limits, None, Usage::new()));
        // nothing of an earlier life is left that could be numbered again
        Self { shared, meters: Meters::new(limits.meters_max), epoch: 0, writer: None }
    }

    /// A store in `file`, which is made when it is not there.
    pub fn open(file: &Path, limits: Limits) -> Result<Self, StoreError> {
        let (disk, usage) = Disk::open(file).map_err(DiskError::into_store)?;
        let epoch = disk.begin_epoch().map_err(DiskError::into_store)?;
        let shared = Arc::new(Shared::new(limits, Some(disk), usage));
        let writer = thread::Builder::new().name("hubbub-store".into()).spawn({
            let shared = shared.clone();
            move || shared.write_until_closed()
        });
        let writer = writer.map_err(|e| StoreError::Unavailable(format!("no thread for its writer: {e}")))?;
        Ok(Self { shared, meters: Meters::new(limits.meters_max), epoch, writer: Some(writer) })
    }

    /// Bytes of one plugin's keys and values in one namespace.
    pub fn used_bytes(&self, scope: &super::Scope) -> u64 {
        self.shared.state.lock().usage.get(Key::new(scope, "").scope()).copied().unwrap_or(0)
    }

    async fn room_in_backlog(&self, deadline: Instant) -> Result<(), StoreError> {
        loop {
            let written = self.shared.written.notified();
            tokio::pin!(written);
            written.as_mut().enable();
            {
                let state = self.shared.state.lock();
                if let Some(reason) = &state.failed {
                    return Err(StoreError::Unavailable(reason.clone()));
                }
                if self.shared.disk.is_none() || state.backlog_bytes <= self.shared.limits.backlog_max_bytes {
                    return Ok(());
                }
            }
            if tokio::time::timeout_at(deadline.into(), written).await.is_err() {
                return Err(StoreError::Unavailable("the disk does not keep up with what is written".into()));
            }
        }
    }

    /// Waits for room and until nobody else commits.
    async fn turn(&self) -> Result<OwnedMutexGuard<()>, StoreError> {
        let deadline = Instant::now() + self.shared.limits.backlog_timeout;
        self.room_in_backlog(deadline).await?;
        let turn = tokio::time::timeout_at(deadline.into(), self.shared.commits.clone().lock_owned()).await;
        turn.map_err(|_| StoreError::Unavailable("others' writes took too long".into()))
    }

    /// Deletes those of the keys that hold anything, in one commit, and gives how many that were.
    async fn take_away(&self, keys: &[Key]) -> Result<u64, StoreError> {
        let _turn = self.turn().await?;
        let mut changes = Vec::new();
        for key in keys {
            if let Some(bytes) = self.shared.read(key)? {
                changes.push(Change { key: key.clone(), old_bytes: bytes.len(), kept: None });
            }
        }
        let count = changes.len() as u64;
        self.shared.commit(changes);
        Ok(count)
    }

    /// Applies the writes one after the other; several may change one key.
    fn check(&self, writes: Vec<Write>) -> Result<Vec<Change>, StoreError> {
        let limits = &self.shared.limits;
        let now = now_ms();
        let mut order: Vec<Key> = Vec::new();
        let mut records: HashMap<Key, (usize, Option<Record>)> = HashMap::new();
        for Write { key, op } in writes {
            let (old_bytes, record) = match records.remove(&key) {
                Some(found) => found,
                None => {
                    order.push(key.clone());
                    let bytes = self.shared.read(&key)?;
                    let len = bytes.as_ref().map_or(0, |b| b.len());
                    (len, bytes.as_deref().map(decode).transpose()?)
                }
            };
            let record = apply(record, &op, now).map_err(|error| match error {
                OpError::Conflict => StoreError::Conflict,
                other => StoreError::Op(other),
            })?;
            records.insert(key, (old_bytes, record));
        }
        let mut grown: HashMap<&[u8], i64> = HashMap::new();
        let mut changes = Vec::with_capacity(order.len());
        for key in &order {
            let Some((old_bytes, record)) = records.remove(key) else { continue };
            let kept = record.map(|r| Ok(Kept { bytes: encode(&r)?.into(), expires_ms: r.expires_ms })).transpose()?;
            let new_bytes = kept.as_ref().map_or(0, |k| k.bytes.len());
            if new_bytes > limits.value_max_bytes {
                return Err(limit("value_max_bytes", new_bytes as u64, limits.value_max_bytes as u64));
            }
            *grown.entry(key.scope()).or_default() += held(key, new_bytes) - held(key, old_bytes);
            changes.push(Change { key: key.clone(), old_bytes, kept });
        }
        let state = self.shared.state.lock();
        for (scope, more) in grown {
            let used = state.usage.get(scope).copied().unwrap_or(0).saturating_add_signed(more);
            if more > 0 && used > limits.scope_max_bytes {
                return Err(limit("scope_max_bytes", used, limits.scope_max_bytes));
            }
        }
        Ok(changes)
    }
}

fn limit(limit: &'static str, used: u64, allowed: u64) -> StoreError {
    StoreError::Limit { limit, used, allowed }
}

/// What a key counts towards its scope: nothing when it holds nothing.
fn held(key: &Key, bytes: usize) -> i64 {
    if bytes == 0 { 0 } else { (key.bytes.len() - key.scope_len + bytes) as i64 }
}

fn encode(record: &Record) -> Result<Vec<u8>, StoreError> {
    postcard::to_stdvec(record).map_err(|e| StoreError::Unavailable(format!("a record cannot be written: {e}")))
}

fn decode(bytes: &[u8]) -> Result<Record, StoreError> {
    postcard::from_bytes(bytes).map_err(|e| StoreError::Unavailable(format!("a record cannot be read: {e}")))
}

impl Shared {
    fn new(limits: Limits, disk: Option<Disk>, usage: Usage) -> Self {
        let state = Mutex::new(State { usage, ..State::default() });
        let (wake, written) = (Condvar::new(), Notify::new());
        Self { limits, disk, commits: Arc::default(), state, wake, written, conflicts: AtomicU64::new(0) }
    }

    /// What is kept under a key, expired or not.
    fn read(&self, key: &Key) -> Result<Option<Arc<[u8]>>, StoreError> {
        if let Some(recent) = self.state.lock().recent.get(key) {
            return Ok(recent.kept.as_ref().map(|k| k.bytes.clone()));
        }
        // what leaves `recent` is in the file already
        let Some(disk) = &self.disk else { return Ok(None) };
        disk.read(&key.bytes).map_err(DiskError::into_store)
    }

    /// Keys with this beginning that hold something and may not be in the file.
    fn recent_keys(&self, prefix: &[u8]) -> Vec<Key> {
        let state = self.state.lock();
        let held = state.recent.iter().filter(|(key, recent)| key.bytes.starts_with(prefix) && recent.kept.is_some());
        held.map(|(key, _)| key.clone()).collect()
    }

    fn commit(&self, changes: Vec<Change>) {
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

    /// The writer's life: everything that was committed within `sync_interval` goes to the file in one step.
    fn write_until_closed(&self) {
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

impl State {
    fn count(&mut self, key: &Key, more: i64) {
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

    fn forget_expired(&mut self) {
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

impl Store for LocalStore {
    fn get<'a>(&'a self, key: &'a Key) -> Doing<'a, Option<Record>> {
        Box::pin(async move {
            let record = self.shared.read(key)?.as_deref().map(decode).transpose()?;
            Ok(record.filter(|r| r.is_live(now_ms())))
        })
    }

    fn prepare(&self, writes: Vec<Write>) -> Doing<'_, Box<dyn Prepared>> {
        Box::pin(async move {
            let turn = self.turn().await?;
            let changes = self.check(writes).inspect_err(|error| {
                if *error == StoreError::Conflict {
                    self.shared.conflicts.fetch_add(1, Ordering::Relaxed);
                }
            })?;
            let prepared = LocalPrepared { shared: self.shared.clone(), changes, _turn: turn };
            Ok(Box::new(prepared) as Box<dyn Prepared>)
        })
    }

    fn meter<'a>(&'a self, key: &'a Key, window_ms: u64) -> Doing<'a, u32> {
        Box::pin(async move { Ok(self.meters.add(key, window_ms, now_ms())) })
    }

    fn purge<'a>(&'a self, plugin: &'a str, namespace: Option<&'a str>) -> Doing<'a, u64> {
        Box::pin(async move {
            let prefix = Key::prefix(plugin, namespace);
            self.meters.forget(&prefix);
            let mut purged = 0;
            // what may not be in the file comes first: all that was there before is found in the file then
            for keys in self.shared.recent_keys(&prefix).chunks(PURGED_AT_ONCE) {
                purged += self.take_away(keys).await?;
            }
            let Some(disk) = &self.shared.disk else { return Ok(purged) };
            let mut last = None;
            loop {
                let keys = disk.keys(&prefix, last.as_ref(), PURGED_AT_ONCE).map_err(DiskError::into_store)?;
                if keys.is_empty() {
                    return Ok(purged);
                }
                purged += self.take_away(&keys).await?;
                last = keys.into_iter().next_back();
            }
        })
    }

    fn epoch(&self) -> u64 {
        self.epoch
    }

    fn figures(&self) -> Figures {
        let state = self.shared.state.lock();
        let (commits, backlog_bytes) = (state.last, state.backlog_bytes as u64);
        Figures { commits, conflicts: self.shared.conflicts.load(Ordering::Relaxed), backlog_bytes }
    }

    fn sync(&self) -> Doing<'_, ()> {
        Box::pin(async move {
            let commit = self.shared.state.lock().last;
            loop {
                let written = self.shared.written.notified();
                tokio::pin!(written);
                written.as_mut().enable();
                {
                    let state = self.shared.state.lock();
                    if state.synced >= commit {
                        return Ok(());
                    }
                    if let Some(reason) = &state.failed {
                        return Err(StoreError::Unavailable(reason.clone()));
                    }
                }
                written.await;
            }
        })
    }
}

impl Prepared for LocalPrepared {
    fn commit(self: Box<Self>) {
        let Self { shared, changes, _turn } = *self;
        shared.commit(changes);
    }
}

impl Drop for LocalStore {
    fn drop(&mut self) {
        self.shared.state.lock().closing = true;
        self.shared.wake.notify_one();
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the store's writer panicked");
        }
    }
}
