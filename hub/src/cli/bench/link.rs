//! One open connection: what is queued to be sent on it, and the task that reads and writes it.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::http;
use super::member::Member;
use super::open::Opened;
use super::polling::HttpClient;
use super::wire::SEPARATOR;
use super::ws::{self, FrameError, Opcode};

/// Bytes that may wait to be sent on one connection; a message that would go beyond is not queued.
const OUT_MAX_BYTES: usize = 4 << 20;
/// A carry-over buffer that has grown beyond this is given back when it is empty.
const CARRY_KEPT_BYTES: usize = 4 << 10;

/// The sending side of a connection.
#[derive(Debug)]
pub(super) struct Link {
    /// None for polling, whose task does all the writing.
    socket: Option<OwnedWriteHalf>,
    out: RefCell<Outbox>,
}

#[derive(Debug, Default)]
struct Outbox {
    /// WebSocket frames, or messages with separators between them.
    bytes: Vec<u8>,
    /// So many of `bytes` are already sent.
    sent: usize,
    /// The connection's task, which sends what could not be sent at once.
    task: Option<Waker>,
}

/// The receiving side of a connection, to be given to `run`.
#[derive(Debug)]
pub(super) enum Source {
    WebSocket { reader: OwnedReadHalf, unread: Vec<u8> },
    Polling { client: HttpClient, path: String, max_payload_bytes: usize, unread: Vec<u8> },
}

impl Link {
    /// The two sides of an opened connection; `session_path` makes the request path of a polling session.
    pub(super) fn new(opened: Opened, session_path: impl FnOnce(&str) -> String) -> (Self, Source) {
        match opened {
            Opened::WebSocket { stream, unread } => {
                let (reader, writer) = stream.into_split();
                (Self { socket: Some(writer), out: RefCell::default() }, Source::WebSocket { reader, unread })
            }
            Opened::Polling { client, sid, max_payload_bytes, unread } => {
                let path = session_path(&sid);
                let source = Source::Polling { client, path, max_payload_bytes, unread };
                (Self { socket: None, out: RefCell::default() }, source)
            }
        }
    }

    /// Queues one message; false when the queue is full and the message was not taken.
    pub(super) fn queue(&self, message: &[u8]) -> bool {
        let mut out = self.out.borrow_mut();
        if out.bytes.len() - out.sent + message.len() > OUT_MAX_BYTES {
            return false;
        }
        if self.socket.is_some() {
            ws::encode(&mut out.bytes, Opcode::Text, message);
        } else {
            if !out.bytes.is_empty() {
                out.bytes.push(SEPARATOR);
            }
            out.bytes.extend_from_slice(message);
        }
        true
    }

    /// Ends the transport after what is queued.
    pub(super) fn queue_close(&self) {
        if self.socket.is_some() {
            self.queue_control(Opcode::Close, &1000u16.to_be_bytes());
        } else {
            self.queue(b"1");
        }
    }

    fn queue_control(&self, opcode: Opcode, payload: &[u8]) {
        ws::encode(&mut self.out.borrow_mut().bytes, opcode, payload);
    }

    /// Sends what is queued as far as the socket takes it; the connection's task sends the rest.
    pub(super) fn flush(&self) {
        let mut out = self.out.borrow_mut();
        if !self.write(&mut out)
            && let Some(task) = out.task.take()
        {
            task.wake();
        }
    }

    /// True when nothing is left to send. An error shows up in the task, which reads the same socket.
    fn write(&self, out: &mut Outbox) -> bool {
        let Some(socket) = &self.socket else { return out.bytes.is_empty() };
        while out.sent < out.bytes.len() {
            match socket.try_write(&out.bytes[out.sent..]) {
                Ok(written) => out.sent += written,
                Err(_) => return false,
            }
        }
        out.bytes.clear();
        out.sent = 0;
        true
    }

    /// Sends what is queued on a WebSocket, and registers the task for the time when it can send or has to send more.
    fn poll_flush(&self, context: &mut Context<'_>, socket: &TcpStream) -> Result<(), std::io::Error> {
        let mut out = self.out.borrow_mut();
        out.register(context);
        while !self.write(&mut out) {
            match socket.poll_write_ready(context) {
                Poll::Pending => break,
                Poll::Ready(ready) => ready?,
            }
        }
        Ok(())
    }

    /// The next payload for a POST: whole messages, at most `max_bytes` of them unless the first alone is longer.
    async fn next_payload(&self, max_bytes: usize) -> Vec<u8> {
        poll_fn(|context| {
            let mut out = self.out.borrow_mut();
            if out.bytes.is_empty() {
                out.register(context);
                return Poll::Pending;
            }
            let mut payload = std::mem::take(&mut out.bytes);
            if payload.len() > max_bytes {
                let is_separator = |byte: &u8| *byte == SEPARATOR;
                let before = payload[..max_bytes].iter().rposition(is_separator);
                if let Some(end) = before.or_else(|| payload.iter().position(is_separator)) {
                    out.bytes = payload.split_off(end + 1);
                    payload.pop();
                }
            }
            Poll::Ready(payload)
        })
        .await
    }
}

impl Outbox {
    fn register(&mut self, context: &Context<'_>) {
        match &mut self.task {
            Some(known) => known.clone_from(context.waker()),
            None => self.task = Some(context.waker().clone()),
        }
    }
}

/// Reads and writes a member's connection until it ends; says why it ended.
pub(super) async fn run(member: &Member, source: Source) -> String {
    match source {
        Source::WebSocket { reader, unread } => run_websocket(member, reader, &unread).await,
        Source::Polling { client, path, max_payload_bytes, unread } => {
            if let ControlFlow::Break(why) = receive_payload(member, &unread) {
                return why;
            }
            let poster = client.sibling();
            tokio::select! {
                why = run_gets(member, client, &path) => why,
                why = run_posts(&member.link, poster, &path, max_payload_bytes) => why,
            }
        }
    }
}

async fn run_websocket(member: &Member, mut reader: OwnedReadHalf, unread: &[u8]) -> String {
    let mut inbox = Inbox::default();
    let first = inbox.take(member, unread);
    member.after_batch();
    if let ControlFlow::Break(why) = first {
        return why;
    }
    poll_fn(|context| {
        if let Err(error) = member.link.poll_flush(context, reader.as_ref()) {
            return Poll::Ready(format!("writing to the server: {error}"));
        }
        loop {
            // One buffer for all connections of a thread: it is full only between a read and the handling of it.
            let mut buffer = member.worker.read_buffer.borrow_mut();
            let mut read = ReadBuf::new(&mut buffer[..]);
            match Pin::new(&mut reader).poll_read(context, &mut read) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) if error.kind() == ErrorKind::ConnectionReset => {
                    return Poll::Ready("the server reset the connection".to_owned());
                }
                Poll::Ready(Err(error)) => return Poll::Ready(format!("reading from the server: {error}")),
                Poll::Ready(Ok(())) if read.filled().is_empty() => {
                    return Poll::Ready("the server closed the connection".to_owned());
                }
                Poll::Ready(Ok(())) => {
                    let handled = inbox.take(member, read.filled());
                    member.after_batch();
                    if let ControlFlow::Break(why) = handled {
                        return Poll::Ready(why);
                    }
                }
            }
        }
    })
    .await
}

/// What of a connection's bytes is not yet a whole message.
#[derive(Default)]
struct Inbox {
    carry: Vec<u8>,
    fragments: Option<Vec<u8>>,
}

impl Inbox {
    /// Handles all messages that are whole with these bytes.
    fn take(&mut self, member: &Member, bytes: &[u8]) -> ControlFlow<String> {
        let mut carry = std::mem::take(&mut self.carry);
        let whole = if carry.is_empty() {
            bytes
        } else {
            carry.extend_from_slice(bytes);
            &carry
        };
        let mut at = 0;
        loop {
            match ws::decode(whole, at) {
                Ok(Some(frame)) => {
                    let payload = &whole[frame.payload.clone()];
                    at = frame.payload.end;
                    self.handle(member, frame.opcode, frame.last, payload)?;
                }
                Ok(None) => break,
                Err(error) => return ControlFlow::Break(error.to_string()),
            }
        }
        if carry.is_empty() {
            carry.extend_from_slice(&bytes[at..]);
        } else {
            carry.drain(..at);
        }
        if !carry.is_empty() || carry.capacity() <= CARRY_KEPT_BYTES {
            self.carry = carry;
        }
        ControlFlow::Continue(())
    }

    fn handle(&mut self, member: &Member, opcode: Opcode, last: bool, payload: &[u8]) -> ControlFlow<String> {
        match (opcode, last, &mut self.fragments) {
            (Opcode::Text, true, None) => member.receive(payload),
            (Opcode::Text | Opcode::Binary, false, None) => {
                self.fragments = Some(payload.to_vec());
                ControlFlow::Continue(())
            }
            (Opcode::Continuation, _, Some(fragments)) => {
                if fragments.len() + payload.len() > ws::MESSAGE_MAX_BYTES {
                    let length = (fragments.len() + payload.len()) as u64;
                    return ControlFlow::Break(FrameError::TooLong(length).to_string());
                }
                fragments.extend_from_slice(payload);
                if !last {
                    return ControlFlow::Continue(());
                }
                let whole = std::mem::take(fragments);
                self.fragments = None;
                member.receive(&whole)
            }
            (Opcode::Ping, ..) => {
                member.link.queue_control(Opcode::Pong, payload);
                ControlFlow::Continue(())
            }
            (Opcode::Close, ..) => ControlFlow::Break(ws::close_text(payload)),
            _ => ControlFlow::Continue(()),
        }
    }
}

async fn run_gets(member: &Member, mut client: HttpClient, path: &str) -> String {
    loop {
        match client.get(path).await {
            Ok((head, body)) if head.status == 200 => {
                if let ControlFlow::Break(why) = receive_payload(member, &body) {
                    return why;
                }
            }
            Ok((head, body)) => return http::refusal_text(&head, &body),
            Err(error) => return error.in_full(),
        }
    }
}

fn receive_payload(member: &Member, payload: &[u8]) -> ControlFlow<String> {
    let mut messages = payload.split(|byte| *byte == SEPARATOR).filter(|message| !message.is_empty());
    let handled = messages.try_for_each(|message| member.receive(message));
    member.after_batch();
    handled
}

async fn run_posts(link: &Link, mut client: HttpClient, path: &str, max_bytes: usize) -> String {
    loop {
        let payload = link.next_payload(max_bytes).await;
        match client.post(path, &payload).await {
            Ok((head, _)) if head.status == 200 => {}
            Ok((head, body)) => return http::refusal_text(&head, &body),
            Err(error) => return error.in_full(),
        }
    }
}
