//! The store of a single node: what was committed lately in memory, everything else in a file, if there is one.

mod state;
mod writer;

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, atomic::Ordering},
    thread,
    time::Instant,
};

use tokio::sync::OwnedMutexGuard;

pub(super) use self::state::Kept;
use self::state::{Change, Shared, held};
use super::{
    Doing, Figures, Key, Limits, OpError, Prepared, Record, Store, StoreError, Write, apply,
    disk::{Disk, DiskError, Usage},
    meters::Meters,
};
use crate::event::now_ms;

/// Keys whose time has come that one commit or one write of the file takes away.
const EXPIRED_AT_ONCE: usize = 256;
/// Keys that one step of a purge takes away.
const PURGED_AT_ONCE: usize = 1024;

/// Embedded keyed state.
pub struct LocalStore {
    shared: Arc<Shared>,
    meters: Meters,
    epoch: u64,
    writer: Option<thread::JoinHandle<()>>,
}

struct LocalPrepared {
    shared: Arc<Shared>,
    changes: Vec<Change>,
    _turn: OwnedMutexGuard<()>,
}

/// What is kept under a key before a change.
type Old = Option<Arc<[u8]>>;

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

    /// Applies the writes one after the other; several may change one key. What is left as it was is no change.
    fn check(&self, writes: Vec<Write>) -> Result<Vec<Change>, StoreError> {
        let limits = &self.shared.limits;
        let now = now_ms();
        let mut order: Vec<Key> = Vec::new();
        let mut records: HashMap<Key, (Old, Option<Record>)> = HashMap::new();
        for Write { key, op } in writes {
            let (old, record) = match records.remove(&key) {
                Some(found) => found,
                None => {
                    order.push(key.clone());
                    let old = self.shared.read(&key)?;
                    let record = old.as_deref().map(decode).transpose()?;
                    (old, record)
                }
            };
            let record = apply(record, &op, now).map_err(|error| match error {
                OpError::Conflict => StoreError::Conflict,
                other => StoreError::Op(other),
            })?;
            records.insert(key, (old, record));
        }
        let mut grown: HashMap<&[u8], i64> = HashMap::new();
        let mut changes = Vec::with_capacity(order.len());
        for key in &order {
            let Some((old, record)) = records.remove(key) else { continue };
            let kept = record.map(|r| Ok(Kept { bytes: encode(&r)?.into(), expires_ms: r.expires_ms })).transpose()?;
            let (old_bytes, new_bytes) =
                (old.as_ref().map_or(0, |b| b.len()), kept.as_ref().map_or(0, |k| k.bytes.len()));
            if new_bytes > limits.value_max_bytes {
                return Err(limit("value_max_bytes", new_bytes as u64, limits.value_max_bytes as u64));
            }
            if kept.as_ref().map(|k| &*k.bytes) == old.as_deref() {
                continue;
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

fn encode(record: &Record) -> Result<Vec<u8>, StoreError> {
    postcard::to_stdvec(record).map_err(|e| StoreError::Unavailable(format!("a record cannot be written: {e}")))
}

fn decode(bytes: &[u8]) -> Result<Record, StoreError> {
    postcard::from_bytes(bytes).map_err(|e| StoreError::Unavailable(format!("a record cannot be read: {e}")))
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
        Figures {
            commits: self.shared.committed.load(Ordering::Relaxed),
            conflicts: self.shared.conflicts.load(Ordering::Relaxed),
            backlog_bytes: state.backlog_bytes as u64,
        }
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
        if !changes.is_empty() {
            shared.committed.fetch_add(1, Ordering::Relaxed);
            shared.commit(changes);
        }
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
