//! The bus carries transactions to delivery in one order.

pub mod entry;
mod memory;

use std::future::Future;

pub use entry::{Ask, Effect, Emit, Entry, Order, OrderAct};
pub use memory::{MemoryBus, MemoryReader};

/// A place on the log. Later entries have greater positions.
pub type Position = u64;

/// Carries entries to every node.
///
/// Promises: an entry whose append answered `Ok` is on the log, whole; every reader gets every entry of the log
/// once and in the order of positions; two appends one after the other by one caller keep their order.
pub trait Bus: Send + Sync + 'static {
    /// Puts an entry on the log. Waits, up to the bus's append deadline, while the log's bounded queue is full. An
    /// entry that is not on the log comes back.
    fn append(&self, entry: Entry) -> impl Future<Output = Result<Position, (AppendError, Entry)>> + Send {
        self.append_with(entry, || {})
    }

    /// The same; `logged` runs when the entry is on the log and before any reader has it.
    fn append_with(
        &self,
        entry: Entry,
        logged: impl FnOnce() + Send,
    ) -> impl Future<Output = Result<Position, (AppendError, Entry)>> + Send;
}

/// Why an entry is not on the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Nothing was appended.
    #[error("the bus's queue of {max_bytes} bytes stayed full for {waited_ms} ms")]
    Full { max_bytes: usize, waited_ms: u64 },
    /// Nothing was appended: the node is going down.
    #[error("the bus is closed")]
    Closed,
}
