//! Orders of plugins for other sockets, until they are run.

use std::collections::{HashMap, VecDeque};

use parking_lot::Mutex;

use crate::{bus::OrderAct, event::SocketId};

/// Orders that were given and have not run yet: those for one socket run in the order in which they were given.
pub(super) struct Orders {
    pending: Mutex<Pending>,
    max: usize,
}

#[derive(Default)]
struct Pending {
    count: usize,
    /// The first one of each socket is being run.
    by_socket: HashMap<SocketId, VecDeque<OrderAct>>,
}

impl Orders {
    /// `max`: of all sockets together.
    pub fn new(max: usize) -> Self {
        Self { pending: Mutex::default(), max }
    }

    /// How many may wait, of all sockets together.
    pub fn max(&self) -> usize {
        self.max
    }

    /// Whether the caller must run them, because nobody does; `None`: there are too many.
    pub fn push(&self, socket: SocketId, act: OrderAct) -> Option<bool> {
        let mut pending = self.pending.lock();
        if pending.count >= self.max {
            return None;
        }
        pending.count += 1;
        let queue = pending.by_socket.entry(socket).or_default();
        queue.push_back(act);
        Some(queue.len() == 1)
    }

    /// The one to run now.
    pub fn first(&self, socket: SocketId) -> Option<OrderAct> {
        self.pending.lock().by_socket.get(&socket)?.front().cloned()
    }

    /// The first one has run. False when it was the last: then nobody runs them any more.
    pub fn ran(&self, socket: SocketId) -> bool {
        let mut pending = self.pending.lock();
        pending.count -= 1;
        let Some(queue) = pending.by_socket.get_mut(&socket) else { return false };
        queue.pop_front();
        let goes_on = !queue.is_empty();
        if !goes_on {
            pending.by_socket.remove(&socket);
        }
        goes_on
    }

    /// Forgets all of a socket.
    pub fn forget(&self, socket: SocketId) {
        let mut pending = self.pending.lock();
        let left = pending.by_socket.remove(&socket).map_or(0, |queue| queue.len());
        pending.count -= left;
    }
}

/// Runs a socket's orders. If that panics, those behind must not wait for ever.
pub(super) struct Runner<'a> {
    pub orders: &'a Orders,
    pub socket: SocketId,
}

impl Drop for Runner<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.orders.forget(self.socket);
        }
    }
}
