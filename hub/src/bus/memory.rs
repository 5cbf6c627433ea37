//! The bus of a single node: a queue in memory, bounded in bytes, with one reader.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{AppendError, Bus, Entry, Position};

/// An empty queue that has grown beyond this many places gives its memory back.
const QUEUE_KEPT: usize = 1024;

/// Appends to the queue. When it is full an append waits, which holds back the connection whose event it is.
pub struct MemoryBus {
    shared: Arc<Shared>,
    append_timeout: Duration,
}

/// The reading end. Dropping it closes the bus.
pub struct MemoryReader {
    shared: Arc<Shared>,
}

struct Shared {
    queue: Mutex<Queue>,
    max_bytes: usize,
    /// Wakes the reader.
    filled: Notify,
    /// Wakes appends that wait for room.
    drained: Notify,
    closed: AtomicBool,
}

#[derive(Default)]
struct Queue {
    entries: VecDeque<Entry>,
    bytes: usize,
    last: Position,
}

impl MemoryBus {
    /// A bus that holds at most `max_bytes` of undelivered entries (one larger entry passes alone) and lets an
    /// append wait for room for `append_timeout`.
    pub fn new(max_bytes: usize, append_timeout: Duration) -> (Self, MemoryReader) {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            max_bytes,
            filled: Notify::new(),
            drained: Notify::new(),
            closed: AtomicBool::new(false),
        });
        (Self { shared: shared.clone(), append_timeout }, MemoryReader { shared })
    }

    /// The position of the last entry; 0 when there was none.
    pub fn last(&self) -> Position {
        self.shared.queue.lock().last
    }

    /// Bytes that wait for delivery.
    pub fn queued_bytes(&self) -> usize {
        self.shared.queue.lock().bytes
    }
}

impl Shared {
    /// Appends or gives the entry back when there is no room.
    fn try_append<F: FnOnce()>(&self, entry: Entry, logged: &mut Option<F>) -> Result<Position, Entry> {
        let bytes = entry.len_bytes();
        let mut queue = self.queue.lock();
        if queue.bytes + bytes > self.max_bytes && !queue.entries.is_empty() {
            return Err(entry);
        }
        queue.bytes += bytes;
        queue.last += 1;
        let was_empty = queue.entries.is_empty();
        queue.entries.push_back(entry);
        if let Some(logged) = logged.take() {
            logged();
        }
        let position = queue.last;
        drop(queue);
        if was_empty {
            self.filled.notify_one();
        }
        Ok(position)
    }
}

impl Bus for MemoryBus {
    async fn append_with(&self, entry: Entry, logged: impl FnOnce() + Send) -> Result<Position, (AppendError, Entry)> {
        let mut logged = Some(logged);
        if self.shared.closed.load(Ordering::Acquire) {
            return Err((AppendError::Closed, entry));
        }
        let mut entry = match self.shared.try_append(entry, &mut logged) {
            Ok(position) => return Ok(position),
            Err(entry) => entry,
        };
        let full =
            AppendError::Full { max_bytes: self.shared.max_bytes, waited_ms: self.append_timeout.as_millis() as u64 };
        let deadline = tokio::time::Instant::now() + self.append_timeout;
        loop {
            let drained = self.shared.drained.notified();
            tokio::pin!(drained);
            drained.as_mut().enable();
            entry = match self.shared.try_append(entry, &mut logged) {
                Ok(position) => return Ok(position),
                Err(entry) => entry,
            };
            if self.shared.closed.load(Ordering::Acquire) {
                return Err((AppendError::Closed, entry));
            }
            if tokio::time::timeout_at(deadline, drained).await.is_err() {
                return Err((full, entry));
            }
        }
    }
}

impl MemoryReader {
    /// Waits until there is something to read.
    pub async fn filled(&self) {
        loop {
            let filled = self.shared.filled.notified();
            if !self.shared.queue.lock().entries.is_empty() {
                return;
            }
            filled.await;
        }
    }

    /// Moves up to `max` entries to `into`, waiting for the first. Gives the position of the last one.
    pub async fn read(&self, into: &mut Vec<Entry>, max: usize) -> Position {
        self.filled().await;
        let mut queue = self.shared.queue.lock();
        let n = queue.entries.len().min(max);
        let freed: usize = queue.entries.iter().take(n).map(Entry::len_bytes).sum();
        into.extend(queue.entries.drain(..n));
        queue.bytes -= freed;
        let position = queue.last - queue.entries.len() as u64;
        if queue.entries.is_empty() && queue.entries.capacity() > QUEUE_KEPT {
            queue.entries = VecDeque::new();
        }
        drop(queue);
        self.shared.drained.notify_waiters();
        position
    }
}

impl Drop for MemoryReader {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Release);
        self.shared.drained.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{bus::Effect, event::Payload};

    fn entry(bytes: usize) -> Entry {
        let payload = Payload::json(format!("[\"{}\"]", "x".repeat(bytes)));
        Entry { namespace: "/".into(), socket: None, effects: vec![Effect::Ack { id: 1, payload }] }
    }

    #[tokio::test]
    async fn entries_are_read_in_the_order_of_their_positions() {
        let (bus, reader) = MemoryBus::new(1 << 20, Duration::from_secs(1));
        for n in 1..=300u64 {
            assert_eq!(bus.append(entry(n as usize)).await.unwrap(), n);
        }
        let mut got = Vec::new();
        assert_eq!(reader.read(&mut got, 256).await, 256);
        assert_eq!(reader.read(&mut got, 256).await, 300);
        let sizes: Vec<_> = got.iter().map(Entry::len_bytes).collect();
        assert!(sizes.is_sorted() && sizes.len() == 300);
        assert_eq!(bus.queued_bytes(), 0);
    }

    #[tokio::test]
    async fn a_full_queue_holds_an_append_back_until_its_deadline() {
        let (bus, reader) = MemoryBus::new(1000, Duration::from_millis(50));
        bus.append(entry(5000)).await.expect("one entry always passes");
        let (error, _) = bus.append(entry(10)).await.unwrap_err();
        assert_eq!(error, AppendError::Full { max_bytes: 1000, waited_ms: 50 });
        let mut got = Vec::new();
        reader.read(&mut got, 10).await;
        assert_eq!(bus.append(entry(10)).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_waiting_append_goes_on_when_the_reader_drains() {
        let (bus, reader) = MemoryBus::new(200, Duration::from_secs(5));
        bus.append(entry(190)).await.unwrap();
        let mut got = Vec::new();
        let (appended, _) = tokio::join!(bus.append(entry(190)), reader.read(&mut got, 1));
        assert_eq!(appended.unwrap(), 2);
    }

    #[tokio::test]
    async fn without_a_reader_nothing_is_appended() {
        let (bus, reader) = MemoryBus::new(1000, Duration::from_secs(5));
        drop(reader);
        assert_eq!(bus.append(entry(1)).await.unwrap_err().0, AppendError::Closed);
    }
}
