//! Keyed state for plugins. It knows nobody: scopes and keys are texts to it, values what the SDK says they are.

mod disk;
mod draft;
mod local;
mod meters;
#[cfg(test)]
mod tests;

use std::{pin::Pin, time::Duration};

pub use hubbub_plugin::store::value::{Op, OpError, Record, Value, apply};

pub use self::{
    draft::{Changes, Draft, Once},
    local::LocalStore,
};

/// Whose keys they are: plugins and namespaces do not see each other's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    pub plugin: Box<str>,
    pub namespace: Box<str>,
}

/// A key in its scope, as backends order it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    bytes: Box<[u8]>,
    scope_len: usize,
}

impl Key {
    /// No two scopes share a prefix: both texts come with their length before them.
    pub fn new(scope: &Scope, key: &str) -> Self {
        let mut bytes = Self::prefix(&scope.plugin, Some(&scope.namespace));
        let scope_len = bytes.len();
        bytes.extend(key.as_bytes());
        Self { bytes: bytes.into(), scope_len }
    }

    /// How all keys of a plugin begin, in one namespace or in all.
    fn prefix(plugin: &str, namespace: Option<&str>) -> Vec<u8> {
        let mut bytes = Vec::new();
        for text in [Some(plugin), namespace].into_iter().flatten() {
            bytes.extend((text.len() as u32).to_be_bytes());
            bytes.extend(text.as_bytes());
        }
        bytes
    }

    /// A key as it was kept; `None` when it is none.
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut scope_len = 0;
        for _ in 0..2 {
            let len = u32::from_be_bytes(*bytes.get(scope_len..)?.first_chunk()?);
            scope_len += size_of::<u32>() + len as usize;
        }
        (scope_len <= bytes.len()).then(|| Self { bytes: bytes.into(), scope_len })
    }

    fn scope(&self) -> &[u8] {
        &self.bytes[..self.scope_len]
    }
}

/// A change of one key.
#[derive(Clone, Debug)]
pub struct Write {
    pub key: Key,
    pub op: Op,
}

/// How much may be kept, and how long may be waited.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// One key's value, as it is kept.
    pub value_max_bytes: usize,
    /// All keys and values of one plugin in one namespace.
    pub scope_max_bytes: u64,
    /// Changes that are not on disk yet.
    pub backlog_max_bytes: usize,
    /// How long a commit waits for room in the backlog.
    pub backlog_timeout: Duration,
    /// Changes reach the disk within this time: what a killed process may lose.
    pub sync_interval: Duration,
    /// Counters of [`Store::meter`].
    pub meters_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            value_max_bytes: 64 << 10,
            scope_max_bytes: 256 << 20,
            backlog_max_bytes: 64 << 20,
            backlog_timeout: Duration::from_secs(2),
            sync_interval: Duration::from_millis(100),
            meters_max: 100_000,
        }
    }
}

/// Why something was not read or written. Nothing of the commit was performed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// A precondition does not hold any more: the transaction may be tried again.
    #[error("the store was changed meanwhile")]
    Conflict,
    #[error(transparent)]
    Op(OpError),
    #[error("{limit} exceeded: used {used}, allowed {allowed}")]
    Limit { limit: &'static str, used: u64, allowed: u64 },
    /// The disk is full or gone, or cannot keep up.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
}

/// What a store did since it began, and what it still has to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Commits of events' writes that changed anything.
    pub commits: u64,
    /// Commits that others were faster than.
    pub conflicts: u64,
    /// What was committed and is not as safe as it gets.
    pub backlog_bytes: u64,
}

/// What a store does for one caller.
pub type Doing<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// A backend.
///
/// Promises: a commit is performed whole or not at all, also when the process is killed; commits have one order, and a
/// read sees every commit that ended before it; what was committed outlives a kill once `sync_interval` has passed.
pub trait Store: Send + Sync {
    /// What a key holds now.
    fn get<'a>(&'a self, key: &'a Key) -> Doing<'a, Option<Record>>;

    /// Checks all writes, in their order, against what is there. Until what it gives is dropped nobody else commits.
    fn prepare(&self, writes: Vec<Write>) -> Doing<'_, Box<dyn Prepared>>;

    /// Counts one and gives the count of the window so far, which began with its first count. Performed at once, and
    /// forgotten when the process ends.
    fn meter<'a>(&'a self, key: &'a Key, window_ms: u64) -> Doing<'a, u32>;

    /// Takes away all that a plugin keeps, in one namespace or in all, its counters too, and gives how many keys that were.
    /// Done in steps, each of them a commit: what is written meanwhile may stay, and who is stopped in between has taken
    /// away a part.
    fn purge<'a>(&'a self, plugin: &'a str, namespace: Option<&'a str>) -> Doing<'a, u64>;

    /// The number of this life of the store: greater than that of any earlier one, which may have lost its last commits.
    fn epoch(&self) -> u64;

    /// Its figures.
    fn figures(&self) -> Figures;

    /// Waits until all that was committed is as safe as it gets.
    fn sync(&self) -> Doing<'_, ()>;
}

/// Checked writes. Dropping it performs nothing.
pub trait Prepared: Send {
    /// Performs them; this cannot fail.
    fn commit(self: Box<Self>);
}
