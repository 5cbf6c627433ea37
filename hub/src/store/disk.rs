//! The file of the embedded store: all that was committed up to some moment, never half of it.

use std::{
    collections::HashMap,
    ops::Bound,
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::RwLock;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use super::{Key, StoreError, local::Kept};

/// Key to the end of its life (8 bytes, big-endian milliseconds, 0 for none) and its record.
const RECORDS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("records");
/// The end of a life and the key: what is to be taken away next.
const ENDS: TableDefinition<(u64, &[u8]), ()> = TableDefinition::new("ends");
/// Bytes of each scope.
const USAGE: TableDefinition<&[u8], u64> = TableDefinition::new("usage");

/// Numbers of the file itself.
const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
/// How often the file was opened by a process.
const EPOCH: &str = "epoch";

const END_BYTES: usize = 8;
/// What the file's pages may take in memory.
const CACHE_BYTES: usize = 16 << 20;

/// Bytes of each scope.
pub(super) type Usage = HashMap<Box<[u8]>, u64>;

pub(super) struct Disk {
    path: PathBuf,
    /// `None` while it is opened again after an error.
    database: RwLock<Option<Database>>,
}

/// Changes that are performed together.
#[derive(Default)]
pub(super) struct Batch {
    pub changes: Vec<(Box<[u8]>, Option<Kept>)>,
    pub usage: Vec<(Box<[u8]>, u64)>,
}

#[derive(Debug, thiserror::Error)]
#[error("{file}: {error}")]
pub(super) struct DiskError {
    file: String,
    #[source]
    error: redb::Error,
}

impl DiskError {
    pub(super) fn into_store(self) -> StoreError {
        StoreError::Unavailable(self.to_string())
    }
}

impl Disk {
    /// Opens or makes the file, and tells how much each scope has in it.
    pub(super) fn open(path: &Path) -> Result<(Self, Usage), DiskError> {
        let disk = Self { path: path.to_owned(), database: RwLock::new(None) };
        let usage = disk.reopen().map_err(|e| disk.error(e))?;
        Ok((disk, usage))
    }

    fn error(&self, error: redb::Error) -> DiskError {
        DiskError { file: self.path.display().to_string(), error }
    }

    fn reopen(&self) -> Result<Usage, redb::Error> {
        let mut database = self.database.write();
        // the file is locked by whoever has it open
        *database = None;
        let opened = Database::builder().set_cache_size(CACHE_BYTES).create(&self.path)?;
        let transaction = opened.begin_write()?;
        let mut usage = Usage::new();
        {
            transaction.open_table(RECORDS)?;
            transaction.open_table(ENDS)?;
            for row in transaction.open_table(USAGE)?.iter()? {
                let (scope, bytes) = row?;
                usage.insert(scope.value().into(), bytes.value());
            }
        }
        transaction.commit()?;
        *database = Some(opened);
        Ok(usage)
    }

    fn with<T>(&self, work: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, DiskError> {
        let database = self.database.read();
        let result = match &*database {
            Some(database) => work(database),
            None => Err(redb::Error::DatabaseClosed),
        };
        result.map_err(|e| self.error(e))
    }

    /// Counts the lives of the store; on the disk when it returns.
    pub(super) fn begin_epoch(&self) -> Result<u64, DiskError> {
        self.with(|database| {
            let transaction = database.begin_write()?;
            let epoch = {
                let mut meta = transaction.open_table(META)?;
                let epoch = meta.get(EPOCH)?.map_or(0, |last| last.value()) + 1;
                meta.insert(EPOCH, epoch)?;
                epoch
            };
            transaction.commit()?;
            Ok(epoch)
        })
    }

    /// What is kept under a key.
    pub(super) fn read(&self, key: &[u8]) -> Result<Option<Arc<[u8]>>, DiskError> {
        self.with(|database| {
            let records = database.begin_read()?.open_table(RECORDS)?;
            Ok(records.get(key)?.map(|kept| kept.value()[END_BYTES..].into()))
        })
    }

    /// Up to `max` keys that begin with `prefix`, those behind `after`, in their order.
    pub(super) fn keys(&self, prefix: &[u8], after: Option<&Key>, max: usize) -> Result<Vec<Key>, DiskError> {
        self.with(|database| {
            let records = database.begin_read()?.open_table(RECORDS)?;
            let from = after.map_or(Bound::Included(prefix), |key| Bound::Excluded(&*key.bytes));
            let mut found = Vec::new();
            for row in records.range::<&[u8]>((from, Bound::Unbounded))?.take(max) {
                let (key, _) = row?;
                if !key.value().starts_with(prefix) {
                    break;
                }
                found.extend(Key::from_bytes(key.value()));
            }
            Ok(found)
        })
    }

    /// Performs a batch whole and waits until it is on the disk. After an error nothing of it was performed, and the
    /// file is opened anew: what was on its way when the disk refused cannot be trusted.
    pub(super) fn write(&self, batch: &Batch) -> Result<(), DiskError> {
        let written = self.with(|database| {
            let transaction = database.begin_write()?;
            {
                let mut records = transaction.open_table(RECORDS)?;
                let mut ends = transaction.open_table(ENDS)?;
                for (key, kept) in &batch.changes {
                    let old = match kept {
                        Some(kept) => {
                            let mut value = Vec::with_capacity(END_BYTES + kept.bytes.len());
                            value.extend(kept.expires_ms.unwrap_or(0).to_be_bytes());
                            value.extend(&*kept.bytes);
                            records.insert(&**key, &*value)?.map(|old| end_of(old.value()))
                        }
                        None => records.remove(&**key)?.map(|old| end_of(old.value())),
                    };
                    if let Some(old) = old.filter(|end| *end != 0) {
                        ends.remove((old, &**key))?;
                    }
                    if let Some(end) = kept.as_ref().and_then(|k| k.expires_ms) {
                        ends.insert((end, &**key), ())?;
                    }
                }
                let mut usage = transaction.open_table(USAGE)?;
                for (scope, bytes) in &batch.usage {
                    match bytes {
                        0 => usage.remove(&**scope)?.map(|_| ()),
                        _ => usage.insert(&**scope, bytes)?.map(|_| ()),
                    };
                }
            }
            transaction.commit()?;
            Ok(())
        });
        if written.is_err()
            && let Err(error) = self.reopen()
        {
            tracing::warn!(error = %self.error(error), "the store's file cannot be opened again yet");
        }
        written
    }

    /// Up to `max` keys whose time has come, with the bytes of their records.
    pub(super) fn expired(&self, now_ms: u64, max: usize) -> Result<Vec<(Key, usize)>, DiskError> {
        self.with(|database| {
            let transaction = database.begin_read()?;
            let records = transaction.open_table(RECORDS)?;
            let mut found = Vec::new();
            for row in transaction.open_table(ENDS)?.range(..(now_ms + 1, &[][..]))?.take(max) {
                let (end_and_key, ()) = row.map(|(k, v)| (k, v.value()))?;
                let (_, key) = end_and_key.value();
                let bytes = records.get(key)?.map_or(0, |kept| kept.value().len() - END_BYTES);
                if let Some(key) = Key::from_bytes(key) {
                    found.push((key, bytes));
                }
            }
            Ok(found)
        })
    }
}

fn end_of(kept: &[u8]) -> u64 {
    kept.first_chunk().map_or(0, |end| u64::from_be_bytes(*end))
}
