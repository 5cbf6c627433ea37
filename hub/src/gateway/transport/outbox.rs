//! The write side of a connection: which transport it has, and what waits for it. All of it under one lock.

use std::{
    collections::VecDeque,
    io::{ErrorKind, IoSlice},
    sync::Arc,
};

use tokio::net::tcp::OwnedWriteHalf;

use super::{admission::Ticket, close::CloseReason, packet::Packet, payload::Payload};

/// Packets in one system call.
const WRITE_MAX: usize = 64;
/// A queue that ran empty keeps room for so many packets.
const CAPACITY_KEPT: usize = 4;

/// What carries packets to the client.
pub(super) enum Mode {
    /// GETs of the client fetch them.
    Polling,
    /// The same, while a WebSocket is being tried. Once it was probed, every GET is answered at once.
    Upgrading {
        was_probed: bool,
    },
    WebSocket(OwnedWriteHalf),
    Closed(CloseReason),
}

/// An end that waits until the queue is empty.
#[derive(Clone, Copy)]
pub(super) struct Closing {
    pub(super) reason: CloseReason,
    /// When it waits no longer, in milliseconds since the transport began.
    pub(super) by_ms: u64,
}

pub(super) struct Outbox {
    pub(super) mode: Mode,
    pub(super) closing: Option<Closing>,
    /// A GET waits for packets.
    pub(super) get_waits: bool,
    /// A POST is being read or handled.
    pub(super) post_runs: bool,
    /// Somebody promised to flush: whoever enqueued first since the last flush.
    is_promised: bool,
    /// In order. What is in front may be written in part.
    queue: VecDeque<Arc<Packet>>,
    /// Bytes of the front packet's frames that are written, or were fetched by a GET.
    written: usize,
    /// Bytes of frames that are not written.
    waiting: usize,
    /// Its place among the connections; goes back when it has ended.
    pub(super) ticket: Option<Ticket>,
}

/// What must be done once the lock is released.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    Nothing,
    /// The transport takes no more now: the connection's task must write when it does.
    WakeTask,
    /// A GET waits for what is queued now.
    WakeGet,
    /// The caller must flush.
    Flush,
    Close(CloseReason),
    /// The connection is at its end: nothing was queued.
    Ended,
}

/// How writing the queue went.
pub(super) enum Written {
    All,
    Blocked,
    Failed,
}

impl Outbox {
    pub(super) fn new(mode: Mode, ticket: Ticket) -> Self {
        Self {
            mode,
            closing: None,
            get_waits: false,
            post_runs: false,
            is_promised: false,
            queue: VecDeque::new(),
            written: 0,
            waiting: 0,
            ticket: Some(ticket),
        }
    }

    /// Closed, or about to be.
    pub(super) fn is_ending(&self) -> bool {
        self.closing.is_some() || matches!(self.mode, Mode::Closed(_))
    }

    /// Nothing waits, and the transport takes a packet at once, as far as is known.
    pub(super) fn is_writable(&self) -> bool {
        let takes = match self.mode {
            Mode::WebSocket(_) => true,
            Mode::Polling => self.get_waits,
            Mode::Upgrading { .. } | Mode::Closed(_) => false,
        };
        takes && self.queue.is_empty() && self.closing.is_none()
    }

    /// Writes at once when nothing waits, else queues.
    pub(super) fn send(&mut self, packet: &Arc<Packet>, waiting_max: usize) -> Next {
        if self.is_ending() {
            return Next::Ended;
        }
        if !matches!(self.mode, Mode::WebSocket(_)) {
            return self.queue_for_get(packet, waiting_max);
        }
        if !self.queue.is_empty() {
            // not empty: somebody is going to flush it already, unless it has been flushed here to make room
            let pushed = self.push_within(packet, waiting_max);
            let next = if self.queue.len() == 1 { Next::WakeTask } else { Next::Nothing };
            return pushed.map_or_else(Next::Close, |()| next);
        }
        let Mode::WebSocket(socket) = &self.mode else { return Next::Nothing };
        let frames = packet.frames();
        let written = match socket.try_write(frames) {
            Ok(written) if written == frames.len() => return Next::Nothing,
            Ok(written) => written,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(_) => return Next::Close(CloseReason::TransportError),
        };
        self.push(packet);
        self.written = written;
        self.waiting -= written;
        Next::WakeTask
    }

    /// Queues only. [`Next::Flush`] goes to the one who must flush.
    pub(super) fn enqueue(&mut self, packet: &Arc<Packet>, waiting_max: usize) -> Next {
        if self.is_ending() {
            return Next::Ended;
        }
        match self.push_within(packet, waiting_max) {
            Err(reason) => Next::Close(reason),
            Ok(()) if std::mem::replace(&mut self.is_promised, true) => Next::Nothing,
            Ok(()) => Next::Flush,
        }
    }

    /// Keeps the promise of who enqueued.
    pub(super) fn flush(&mut self) -> Next {
        self.is_promised = false;
        match self.mode {
            Mode::WebSocket(_) => match self.write() {
                Written::All if self.closing.is_none() => Next::Nothing,
                Written::All | Written::Blocked => Next::WakeTask,
                Written::Failed => Next::Close(CloseReason::TransportError),
            },
            Mode::Polling | Mode::Upgrading { .. } => self.wake_get(),
            Mode::Closed(_) => Next::Nothing,
        }
    }

    /// Queues the last packet, whatever else waits; from now on nothing is taken.
    pub(super) fn close_after(&mut self, last: &Arc<Packet>, closing: Closing) -> Next {
        if self.is_ending() {
            return Next::Ended;
        }
        self.push(last);
        self.closing = Some(closing);
        match self.mode {
            Mode::WebSocket(_) => Next::WakeTask,
            _ => self.wake_get(),
        }
    }

    /// Ends it at once and frees the queue; gives what it had, and nothing when it was closed before. The first reason
    /// stays.
    pub(super) fn end(&mut self, reason: CloseReason) -> Option<Mode> {
        if matches!(self.mode, Mode::Closed(_)) {
            return None;
        }
        if let Mode::WebSocket(socket) = &self.mode {
            if reason.is_stalled() {
                let _ = socket.as_ref().set_zero_linger();
            } else if self.closing.is_none() && self.written == 0 {
                // it may not get through: then the end of the stream must do
                let _ = socket.try_write(Packet::close_for(reason).frames());
            }
        }
        self.queue = VecDeque::new();
        (self.written, self.waiting) = (0, 0);
        let reason = self.closing.map_or(reason, |closing| closing.reason);
        Some(std::mem::replace(&mut self.mode, Mode::Closed(reason)))
    }

    /// Writes what waits, many packets in one call.
    pub(super) fn write(&mut self) -> Written {
        let Mode::WebSocket(socket) = &self.mode else { return Written::All };
        while let Some(front) = self.queue.front() {
            let first = &front.frames()[self.written..];
            let result = if self.queue.len() == 1 {
                socket.try_write(first)
            } else {
                let mut slices = [IoSlice::new(&[]); WRITE_MAX];
                let packets = self.queue.iter().enumerate();
                for (slice, (n, packet)) in slices.iter_mut().zip(packets) {
                    *slice = IoSlice::new(if n == 0 { first } else { packet.frames() });
                }
                socket.try_write_vectored(&slices[..self.queue.len().min(WRITE_MAX)])
            };
            let mut written = match result {
                Ok(written) => written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Written::Blocked,
                Err(_) => return Written::Failed,
            };
            self.waiting -= written;
            while let Some(front) = self.queue.front() {
                let left = front.frames().len() - self.written;
                if written < left {
                    self.written += written;
                    break;
                }
                written -= left;
                self.written = 0;
                self.queue.pop_front();
            }
        }
        self.free_room();
        Written::All
    }

    /// Takes what waits as the body of a polling answer: at most `packets_max` packets, and of several at most `len_max`
    /// bytes. A message and its attachments may go in several answers: nothing comes between them.
    pub(super) fn take_payload(&mut self, len_max: usize, packets_max: usize) -> Option<Vec<u8>> {
        let mut payload = Payload::new(len_max, packets_max);
        while let Some(packet) = self.queue.front() {
            let taken = packet.append_to(&mut payload, self.written);
            self.waiting -= taken - self.written;
            if taken < packet.frames().len() {
                self.written = taken;
                break;
            }
            self.written = 0;
            self.queue.pop_front();
        }
        self.free_room();
        payload.finish()
    }

    /// The reason of an end that waits no longer: everything was taken.
    pub(super) fn is_drained(&self) -> Option<CloseReason> {
        self.closing.filter(|_| self.queue.is_empty()).map(|closing| closing.reason)
    }

    fn queue_for_get(&mut self, packet: &Arc<Packet>, waiting_max: usize) -> Next {
        self.push_within(packet, waiting_max).map_or_else(Next::Close, |()| self.wake_get())
    }

    fn wake_get(&self) -> Next {
        if self.get_waits { Next::WakeGet } else { Next::Nothing }
    }

    fn push_within(&mut self, packet: &Arc<Packet>, waiting_max: usize) -> Result<(), CloseReason> {
        let is_full = |outbox: &Self| !outbox.queue.is_empty() && outbox.waiting + packet.frames().len() > waiting_max;
        // only what the transport does not take counts against the client
        if is_full(self) && (matches!(self.write(), Written::Failed) || is_full(self)) {
            return Err(CloseReason::SlowConsumer);
        }
        self.push(packet);
        Ok(())
    }

    fn push(&mut self, packet: &Arc<Packet>) {
        self.waiting += packet.frames().len();
        self.queue.push_back(packet.clone());
    }

    fn free_room(&mut self) {
        if self.queue.is_empty() && self.queue.capacity() > CAPACITY_KEPT {
            self.queue = VecDeque::new();
        }
    }
}
