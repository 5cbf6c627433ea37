//! The one task of a WebSocket: read, handle, read. Idle it owns no buffer and no timer.

use std::{
    cell::RefCell,
    collections::VecDeque,
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, ReadBuf},
    net::tcp::OwnedReadHalf,
    task::yield_now,
    time::timeout,
};

use super::{
    Application,
    close::CloseReason,
    connection::Connection,
    listener::Permit,
    packet::Packet,
    reader::{Incoming, Reader},
};

/// What is read at a time.
const READ_MAX: usize = 32 * 1024;
/// Messages that are handled before other tasks get their turn.
const BURST: u8 = 8;

thread_local! {
    /// Where all connections of a thread read to: what is not used up is copied before the next one reads.
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_MAX].into());
}

/// A boxed piece of work, so that an idle task has no room for one.
pub(super) type Work<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// The read side of a WebSocket.
pub(super) struct Wire {
    socket: OwnedReadHalf,
    reader: Reader,
    inbox: VecDeque<Incoming>,
    /// Its place among the listener's TCP connections.
    _permit: Option<Arc<Permit>>,
}

impl Wire {
    /// A WebSocket of which `first` was read along with its request.
    pub(super) fn new(socket: OwnedReadHalf, first: &[u8], payload_max: usize, permit: Option<Arc<Permit>>) -> Self {
        let mut wire = Self { socket, reader: Reader::default(), inbox: VecDeque::new(), _permit: permit };
        wire.reader.feed(&mut first.to_vec(), payload_max, &mut wire.inbox);
        wire
    }

    /// Waits for the next thing that the client sends. An error is the stream's end.
    pub(super) fn poll_next<A: Application>(
        &mut self,
        connection: &Connection<A>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Incoming, CloseReason>> {
        loop {
            if self.reader.take_pong() {
                connection.pong();
            }
            if let Some(incoming) = self.inbox.pop_front() {
                return Poll::Ready(Ok(incoming));
            }
            self.inbox = VecDeque::new();
            let payload_max = connection.transport().settings().max_payload_bytes;
            let Self { socket, reader, inbox, .. } = self;
            let read = poll_read(socket, cx, |bytes| reader.feed(bytes, payload_max, inbox));
            if let Err(reason) = ready!(read) {
                return Poll::Ready(Err(reason));
            }
        }
    }

    /// Whether something was read that nobody took yet.
    pub(super) fn has_read(&self) -> bool {
        !self.inbox.is_empty()
    }

    /// Reads to the stream's end, for `limit` at most: closing before would make the system throw away what was sent.
    pub(super) async fn linger(&mut self, limit: Duration) {
        let end = poll_fn(|cx| {
            while ready!(poll_read(&mut self.socket, cx, |_| {})).is_ok() {}
            Poll::Ready(())
        });
        // a client that does not close in time loses its right to
        let _ = timeout(limit, end).await;
    }
}

/// Reads once. An error is the stream's end.
fn poll_read(
    socket: &mut OwnedReadHalf,
    cx: &mut Context<'_>,
    take: impl FnOnce(&mut [u8]),
) -> Poll<Result<(), CloseReason>> {
    BUFFER.with_borrow_mut(|buffer| {
        let mut read = ReadBuf::new(buffer);
        match ready!(Pin::new(socket).poll_read(cx, &mut read)) {
            Err(_) => Poll::Ready(Err(CloseReason::TransportError)),
            Ok(()) if read.filled().is_empty() => Poll::Ready(Err(CloseReason::TransportClose)),
            Ok(()) => {
                take(read.filled_mut());
                Poll::Ready(Ok(()))
            }
        }
    })
}

/// Serves a connection whose mode is WebSocket to its end.
pub(super) async fn run<A: Application>(connection: Arc<Connection<A>>, mut wire: Wire) {
    let _panic = OnPanic(&connection);
    if let Some(polling) = connection.polling() {
        // a POST under way ends first: one event at a time, whatever the client does
        drive(&connection, Box::pin(async { drop(polling.intake.lock().await) })).await;
    }
    let mut burst = 0;
    loop {
        let incoming = poll_fn(|cx| {
            if connection.poll_outgoing(cx).is_ready() {
                return Poll::Ready(None);
            }
            wire.poll_next(&connection, cx).map(Some)
        });
        match incoming.await {
            None => break,
            Some(Ok(incoming)) => take(&connection, incoming).await,
            Some(Err(reason)) => {
                connection.close(reason);
                break;
            }
        }
        if connection.is_ending() {
            // what was queued before the end goes out, for as long as the close timeout allows
            poll_fn(|cx| connection.poll_outgoing(cx)).await;
            break;
        }
        burst = if wire.has_read() { burst + 1 } else { 0 };
        if burst == BURST {
            burst = 0;
            yield_now().await;
        }
    }
    let limit = connection.transport().settings().close_timeout;
    let is_stalled = connection.closed().is_some_and(CloseReason::is_stalled);
    let finished: Work<'_> = Box::pin(connection.clone().finish());
    finished.await;
    if !is_stalled {
        Box::pin(wire.linger(limit)).await;
    }
}

async fn take<A: Application>(connection: &Arc<Connection<A>>, incoming: Incoming) {
    match incoming {
        Incoming::Text(text) => drive(connection, text_event(connection, text)).await,
        Incoming::Binary(bytes) => drive(connection, binary_event(connection, bytes)).await,
        Incoming::Ping(body) => {
            connection.send(&Packet::pong(&body));
        }
        Incoming::Probe | Incoming::Upgrade => connection.close_after_flush(CloseReason::ParseError),
        Incoming::End(end) => connection.close_with(end.reason, &Packet::close(end.code, end.text)),
    }
}

/// The application's work on a text message, in its turn.
pub(super) fn text_event<A: Application>(connection: &Arc<Connection<A>>, text: socketioxide_core::Str) -> Work<'_> {
    Box::pin(async move {
        let _turn = connection.turn().await;
        connection.transport().app().text(connection, text).await;
    })
}

/// The application's work on a binary message, in its turn.
pub(super) fn binary_event<A: Application>(connection: &Arc<Connection<A>>, bytes: bytes::Bytes) -> Work<'_> {
    Box::pin(async move {
        let _turn = connection.turn().await;
        connection.transport().app().binary(connection, bytes).await;
    })
}

/// Does a piece of work to its end, whatever becomes of the connection. Writing goes on meanwhile, reading does not.
async fn drive<A: Application>(connection: &Arc<Connection<A>>, mut work: Work<'_>) {
    let mut working = None;
    poll_fn(|cx| {
        if work.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        working.get_or_insert_with(|| connection.working());
        // once it is closed there is nothing to write, and the work still ends
        let _ = connection.poll_outgoing(cx);
        Poll::Pending
    })
    .await;
}

/// The application panicked within the task: the connection must not stay behind without one.
struct OnPanic<'a, A: Application>(&'a Arc<Connection<A>>);

impl<A: Application> Drop for OnPanic<'_, A> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.close(CloseReason::TransportError);
            tokio::spawn(self.0.clone().finish());
        }
    }
}
