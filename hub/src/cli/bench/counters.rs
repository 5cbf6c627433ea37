//! What the threads of a run count, readable while they count.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Count {
    /// Connections that a namespace accepted.
    Opened,
    /// Connections that could not be opened.
    OpenFailed,
    /// Joins that were acknowledged.
    Joined,
    /// Joins that were refused.
    JoinRefused,
    /// Connections that ended before the run did.
    Lost,
    /// Messages sent.
    Sent,
    /// Deliveries that these messages should bring.
    Expected,
    /// Deliveries that came, each once.
    Received,
    /// Deliveries that came after a later one of the same sender.
    Late,
    /// Deliveries that had come before.
    Duplicate,
    /// Deliveries of another room's messages, or of messages nobody sent.
    Foreign,
    /// Acks of messages, besides deliveries.
    Acked,
    /// Messages that the server refused, by ack or by an `error` event.
    Refused,
    /// Times that a closed loop's sender waited too long for its own message and went on without.
    Stalled,
    /// Messages that the schedule asked for, but the sender's queue was full because the server did not read.
    Unsent,
    /// Every other packet of the server's (notices, events that nobody asked for).
    Other,
}

const COUNTS: usize = Count::Other as usize + 1;

/// The counts of one thread: only that thread adds, everybody may read.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Counters([AtomicU64; COUNTS]);

impl Counters {
    /// Adds to a count. Must be called by one thread only: this is a load and a store, not one step.
    pub(super) fn add(&self, count: Count, amount: u64) {
        let cell = &self.0[count as usize];
        cell.store(cell.load(Ordering::Relaxed) + amount, Ordering::Relaxed);
    }

    /// The count until now.
    pub(super) fn get(&self, count: Count) -> u64 {
        self.0[count as usize].load(Ordering::Relaxed)
    }
}

/// The first fault of its kind that any thread saw, as text for people.
#[derive(Debug, Default)]
pub(super) struct FirstFault(Mutex<Option<String>>);

impl FirstFault {
    /// Keeps the text unless there is one.
    pub(super) fn note(&self, text: impl FnOnce() -> String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(text);
    }

    /// The text that was kept.
    pub(super) fn text(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
