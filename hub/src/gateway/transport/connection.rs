//! One client: its write side, which anybody may use, its deadlines, and its end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use atomic_waker::AtomicWaker;
use parking_lot::Mutex;

use super::{
    Application, Transport,
    admission::Ticket,
    close::CloseReason,
    handshake::Handshake,
    heart::{Beat, Heart},
    outbox::{Closing, Mode, Next, Outbox, Written},
    packet::Packet,
    polling::PollingSide,
    settings::millis,
    table::Key,
};

/// A client's connection, whichever transport carries it. Packets to it arrive in the order of `send` and `enqueue`.
pub struct Connection<A: Application> {
    transport: Arc<Transport<A>>,
    key: Key,
    outbox: Mutex<Outbox>,
    /// The task must look at the write side.
    wants_task: AtomicBool,
    /// The task that owns the WebSocket, or tries one.
    task: AtomicWaker,
    heart: Heart,
    opened_ms: u64,
    turn: tokio::sync::Mutex<()>,
    has_finished: AtomicBool,
    /// Only of connections that began with polling.
    polling: Option<Box<PollingSide>>,
    handshake: Handshake,
    session: A::Session,
}

/// The right to handle an event of the connection, until it is dropped.
pub struct Turn<'a> {
    _turn: tokio::sync::MutexGuard<'a, ()>,
}

/// Work on what the client sent is under way, until this is dropped.
pub(super) struct Working<'a, A: Application>(&'a Connection<A>);

/// What a connection begins with.
pub(super) struct Opening {
    pub(super) mode: Mode,
    pub(super) polling: Option<Box<PollingSide>>,
    pub(super) handshake: Handshake,
    pub(super) ticket: Ticket,
}

/// What became of a packet that was to be queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enqueued {
    /// It waits; this caller, and nobody else, must call [`Connection::flush`] soon.
    MustFlush,
    /// It waits; somebody else flushes.
    Promised,
    /// The connection is at its end, the packet goes nowhere.
    Nowhere,
}

impl<A: Application> Connection<A> {
    pub(super) fn new(transport: Arc<Transport<A>>, key: Key, opening: Opening, session: A::Session) -> Self {
        let now = transport.now_ms();
        Self {
            key,
            outbox: Mutex::new(Outbox::new(opening.mode, opening.ticket)),
            wants_task: AtomicBool::new(false),
            task: AtomicWaker::new(),
            heart: Heart::new(now + millis(transport.settings().ping_interval)),
            opened_ms: now,
            turn: tokio::sync::Mutex::new(()),
            has_finished: AtomicBool::new(false),
            polling: opening.polling,
            handshake: opening.handshake,
            session,
            transport,
        }
    }

    /// What the application keeps with the connection.
    pub fn session(&self) -> &A::Session {
        &self.session
    }

    /// What the client sent when it opened the connection.
    pub fn handshake(&self) -> &Handshake {
        &self.handshake
    }

    pub(super) fn transport(&self) -> &Arc<Transport<A>> {
        &self.transport
    }

    pub(super) fn key(&self) -> Key {
        self.key
    }

    pub(super) fn outbox(&self) -> &Mutex<Outbox> {
        &self.outbox
    }

    pub(super) fn polling(&self) -> Option<&PollingSide> {
        self.polling.as_deref()
    }

    /// Writes at once when nothing waits, else queues. False: the connection is at its end, the packet goes nowhere.
    /// Who has more waiting than the settings allow is closed as a slow consumer.
    pub fn send(self: &Arc<Self>, packet: &Arc<Packet>) -> bool {
        let next = self.outbox.lock().send(packet, self.transport.settings().send_queue_max_bytes);
        let taken = !matches!(next, Next::Close(_) | Next::Ended);
        self.perform(next);
        taken
    }

    /// Queues without writing, to the same limit.
    pub fn enqueue(self: &Arc<Self>, packet: &Arc<Packet>) -> Enqueued {
        let next = self.outbox.lock().enqueue(packet, self.transport.settings().send_queue_max_bytes);
        let enqueued = match next {
            Next::Flush => Enqueued::MustFlush,
            Next::Close(_) | Next::Ended => Enqueued::Nowhere,
            _ => Enqueued::Promised,
        };
        self.perform(next);
        enqueued
    }

    /// Writes what is queued, many packets at once. What the transport does not take now goes out when it does.
    pub fn flush(self: &Arc<Self>) {
        let next = self.outbox.lock().flush();
        self.perform(next);
    }

    /// Whether nothing waits and the client seems to take a packet at once: the test for packets that may be lost.
    pub fn is_writable(&self) -> bool {
        self.outbox.lock().is_writable()
    }

    /// Why it ended; `None` while it is open, or has packets to flush before it ends.
    pub fn closed(&self) -> Option<CloseReason> {
        match self.outbox.lock().mode {
            Mode::Closed(reason) => Some(reason),
            _ => None,
        }
    }

    /// Closed, or about to be: nothing more is read from it or queued for it.
    pub(super) fn is_ending(&self) -> bool {
        self.outbox.lock().is_ending()
    }

    /// Waits for its turn: one event of a connection at a time, first come, first served. The transport takes a turn
    /// around every call of the application's `text`, `binary` and `closed`.
    pub async fn turn(&self) -> Turn<'_> {
        Turn { _turn: self.turn.lock().await }
    }

    /// Ends it when everything queued has reached the client, but no later than the settings' close timeout.
    pub fn close_after_flush(self: &Arc<Self>, reason: CloseReason) {
        self.close_with(reason, &Packet::close_for(reason));
    }

    /// The same, with a last packet of the caller's choice.
    pub(super) fn close_with(self: &Arc<Self>, reason: CloseReason, last: &Arc<Packet>) {
        let by_ms = self.transport.now_ms() + millis(self.transport.settings().close_timeout);
        let next = self.outbox.lock().close_after(last, Closing { reason, by_ms });
        if next != Next::Ended {
            self.transport.wheel().arm(self.key, by_ms);
        }
        self.perform(next);
    }

    /// Ends it at once; what is queued is thrown away. The first reason that was given stays.
    pub fn close(self: &Arc<Self>, reason: CloseReason) {
        let (had, get_waits) = {
            let mut outbox = self.outbox.lock();
            let Some(had) = outbox.end(reason) else { return };
            (had, outbox.get_waits)
        };
        if let Some(polling) = &self.polling {
            let is_polling = !matches!(had, Mode::WebSocket(_));
            if is_polling && reason == CloseReason::TransportClose && !get_waits {
                self.transport.sessions().end(polling.id, self.transport.now_ms());
            } else {
                self.transport.sessions().remove(polling.id);
            }
            polling.get.wake();
        }
        self.call_task();
        if !matches!(had, Mode::WebSocket(_)) {
            tokio::spawn(self.clone().finish());
        }
    }

    fn perform(self: &Arc<Self>, next: Next) {
        match next {
            Next::Nothing | Next::Flush | Next::Ended => {}
            Next::WakeTask => self.call_task(),
            Next::WakeGet => self.wake_get(),
            Next::Close(reason) => self.close(reason),
        }
    }

    fn call_task(&self) {
        if !self.wants_task.swap(true, Ordering::AcqRel) {
            self.task.wake();
        }
    }

    pub(super) fn wake_get(&self) {
        if let Some(polling) = &self.polling {
            polling.get.wake();
        }
    }

    /// Writes what waits whenever the WebSocket takes it. For its task. Ready: the connection is closed.
    pub(super) fn poll_outgoing(self: &Arc<Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.task.register(cx.waker());
        if !self.wants_task.load(Ordering::Acquire) {
            return Poll::Pending;
        }
        let mut outbox = self.outbox.lock();
        self.wants_task.store(false, Ordering::Release);
        let reason = loop {
            match outbox.write() {
                Written::All => match (&outbox.mode, outbox.is_drained()) {
                    (Mode::Closed(reason), _) => break *reason,
                    (_, Some(reason)) => break reason,
                    _ => return Poll::Pending,
                },
                Written::Failed => break CloseReason::TransportError,
                Written::Blocked => {
                    // at every poll until it is written
                    self.wants_task.store(true, Ordering::Release);
                    let Mode::WebSocket(socket) = &outbox.mode else { return Poll::Pending };
                    match socket.as_ref().poll_write_ready(cx) {
                        Poll::Pending => return Poll::Pending,
                        Poll::Ready(Ok(())) => {}
                        Poll::Ready(Err(_)) => break CloseReason::TransportError,
                    }
                }
            }
        };
        drop(outbox);
        self.close(reason);
        self.wants_task.store(true, Ordering::Release);
        Poll::Ready(())
    }

    /// Ready once it is closed. For the task that tries a WebSocket.
    pub(super) fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.task.register(cx.waker());
        if self.closed().is_some() { Poll::Ready(()) } else { Poll::Pending }
    }

    pub(super) fn pong(&self) {
        self.heart.pong(self.transport.now_ms(), millis(self.transport.settings().ping_interval));
    }

    /// While this is kept, a missing pong ends nothing.
    pub(super) fn working(&self) -> Working<'_, A> {
        self.heart.begin_work();
        Working(self)
    }

    /// Does what is due at `now`, in milliseconds. Gives when to look again; `None`: nothing is going to be due.
    pub(super) fn check(self: &Arc<Self>, now: u64) -> Option<u64> {
        let closing = {
            let outbox = self.outbox.lock();
            if matches!(outbox.mode, Mode::Closed(_)) {
                return None;
            }
            outbox.closing
        };
        if let Some(Closing { reason, by_ms }) = closing {
            if now < by_ms {
                return Some(by_ms);
            }
            self.close(reason);
            return None;
        }
        let settings = self.transport.settings();
        let again = match self.heart.beat(now, millis(settings.ping_timeout)) {
            Beat::Wait(until) => until,
            Beat::Ping(until) => {
                self.send(self.transport.ping());
                until
            }
            Beat::Dead => {
                self.close(CloseReason::PingTimeout);
                return None;
            }
        };
        if settings.connect_timeout.is_zero() || self.transport.app().has_joined(&self.session) {
            return Some(again);
        }
        let joined_by = self.opened_ms + millis(settings.connect_timeout);
        if now < joined_by {
            return Some(again.min(joined_by));
        }
        self.close_after_flush(CloseReason::ForcedServerClose);
        None
    }

    /// Tells the application that it is over, once, behind its last event. It must be closed.
    pub(super) async fn finish(self: Arc<Self>) {
        if self.has_finished.swap(true, Ordering::AcqRel) {
            return;
        }
        // goes also when the application panics
        let _forget = Forget(&self);
        if let Some(polling) = &self.polling {
            let _last_post = polling.intake.lock().await;
        }
        let reason = self.closed().unwrap_or(CloseReason::TransportError);
        let _turn = self.turn().await;
        self.transport.app().closed(&self, reason).await;
    }
}

impl<A: Application> Drop for Working<'_, A> {
    fn drop(&mut self) {
        self.0.heart.end_work(self.0.transport.now_ms());
    }
}

struct Forget<'a, A: Application>(&'a Arc<Connection<A>>);

impl<A: Application> Drop for Forget<'_, A> {
    fn drop(&mut self) {
        self.0.transport.forget(self.0);
    }
}
