//! Long polling: GETs that fetch packets, POSTs that bring them.

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
};

use atomic_waker::AtomicWaker;
use axum::{
    body::{Body, HttpBody},
    http::{HeaderValue, header},
    response::Response,
};
use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use http_body_util::BodyExt;
use socketioxide_core::Str;
use tokio::{task::yield_now, time::timeout};

use super::{
    Application,
    close::CloseReason,
    connection::Connection,
    http::Refusal,
    outbox::Mode,
    payload::SEPARATOR,
    session_id::SessionId,
    websocket::{binary_event, text_event},
};

/// Answers a GET without saying anything.
const NOOP: &[u8] = b"6";
/// Tells a GET that the session is over.
const CLOSE: &[u8] = b"1";
/// Messages of a POST that are handled before other tasks get their turn.
const BURST: usize = 8;
/// A body that is too long is read so many times the limit, so that its client reads why it is refused.
const OVERLONG_READ: usize = 4;

/// Clients differ in whether they pad.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// What a connection has in addition when it began with polling.
pub(super) struct PollingSide {
    pub(super) id: SessionId,
    /// The GET that waits.
    pub(super) get: AtomicWaker,
    /// Kept by a POST while its packets are handled.
    pub(super) intake: tokio::sync::Mutex<()>,
}

impl PollingSide {
    pub(super) fn new() -> Self {
        Self { id: SessionId::random(), get: AtomicWaker::new(), intake: tokio::sync::Mutex::new(()) }
    }
}

/// An answer of a polling session.
pub(super) fn text_response(body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=UTF-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The answer to a GET of a session that its client closed a moment ago.
pub(super) fn ended_response() -> Response {
    text_response(NOOP.to_vec())
}

/// Waits for packets. A client that gives up on it ends its session: packets may be lost with the answer.
pub(super) async fn get<A: Application>(connection: &Arc<Connection<A>>) -> Result<Response, Refusal> {
    begin_get(connection)?;
    let mut waiting = Waiting { connection, was_answered: false };
    let (payload, end) = poll_fn(|cx| poll_payload(connection, cx)).await;
    waiting.was_answered = true;
    if let Some(reason) = end {
        connection.close(reason);
    }
    Ok(text_response(payload))
}

fn begin_get<A: Application>(connection: &Arc<Connection<A>>) -> Result<(), Refusal> {
    let mut outbox = connection.outbox().lock();
    if matches!(outbox.mode, Mode::WebSocket(_) | Mode::Closed(_)) {
        return Err(Refusal::BadRequest);
    }
    if std::mem::replace(&mut outbox.get_waits, true) {
        drop(outbox);
        connection.close(CloseReason::TransportError);
        return Err(Refusal::BadRequest);
    }
    Ok(())
}

/// The body of the answer, and the reason when it is the last one.
fn poll_payload<A: Application>(
    connection: &Arc<Connection<A>>,
    cx: &mut Context<'_>,
) -> Poll<(Vec<u8>, Option<CloseReason>)> {
    if let Some(polling) = connection.polling() {
        polling.get.register(cx.waker());
    }
    let mut outbox = connection.outbox().lock();
    let has_queue = !matches!(outbox.mode, Mode::WebSocket(_));
    let settings = connection.transport().settings();
    let payload =
        if has_queue { outbox.take_payload(settings.max_payload_bytes, settings.polling_packets_max) } else { None };
    let answer = match (payload, &outbox.mode) {
        (Some(payload), _) => (payload, outbox.is_drained()),
        (None, Mode::WebSocket(_) | Mode::Upgrading { was_probed: true }) => (NOOP.to_vec(), None),
        // the client asked for it
        (None, Mode::Closed(CloseReason::TransportClose)) => (NOOP.to_vec(), None),
        (None, Mode::Closed(_)) => (CLOSE.to_vec(), None),
        (None, Mode::Polling | Mode::Upgrading { was_probed: false }) => return Poll::Pending,
    };
    outbox.get_waits = false;
    Poll::Ready(answer)
}

/// A GET that waits, until it is dropped.
struct Waiting<'a, A: Application> {
    connection: &'a Arc<Connection<A>>,
    was_answered: bool,
}

impl<A: Application> Drop for Waiting<'_, A> {
    fn drop(&mut self) {
        if !self.was_answered {
            self.connection.outbox().lock().get_waits = false;
            self.connection.close(CloseReason::TransportError);
        }
    }
}

/// Takes packets. Its answer comes when the application is done with them.
pub(super) async fn post<A: Application>(connection: Arc<Connection<A>>, body: Body) -> Result<Response, Refusal> {
    begin_post(&connection)?;
    let mut post = Post { connection, was_read: false };
    let settings = post.connection.transport().settings();
    let body = match timeout(settings.body_timeout, read(body, settings.max_payload_bytes)).await {
        Ok(Ok(body)) => body,
        // dropping the post closes the session
        Ok(Err(refusal)) => return Err(refusal),
        Err(_) => return Err(Refusal::Timeout),
    };
    post.was_read = true;
    let connection = post.connection.clone();
    // a client that goes away must not cut a handler in two
    match tokio::spawn(handle(post, body)).await {
        Ok(true) => {
            let mut response = text_response(b"ok".to_vec());
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
            Ok(response)
        }
        Ok(false) => Err(Refusal::BadRequest),
        Err(_) => {
            connection.close(CloseReason::TransportError);
            Err(Refusal::BadRequest)
        }
    }
}

fn begin_post<A: Application>(connection: &Arc<Connection<A>>) -> Result<(), Refusal> {
    let mut outbox = connection.outbox().lock();
    if matches!(outbox.mode, Mode::WebSocket(_) | Mode::Closed(_)) {
        return Err(Refusal::BadRequest);
    }
    if std::mem::replace(&mut outbox.post_runs, true) {
        drop(outbox);
        connection.close(CloseReason::TransportError);
        return Err(Refusal::BadRequest);
    }
    Ok(())
}

/// A POST under way, until it is dropped.
struct Post<A: Application> {
    connection: Arc<Connection<A>>,
    was_read: bool,
}

impl<A: Application> Drop for Post<A> {
    fn drop(&mut self) {
        self.connection.outbox().lock().post_runs = false;
        if !self.was_read {
            self.connection.close(CloseReason::TransportError);
        }
    }
}

async fn read(mut body: Body, len_max: usize) -> Result<Vec<u8>, Refusal> {
    let expected = body.size_hint().lower();
    let mut bytes = Vec::new();
    let mut len = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Refusal::BadRequest)?;
        let Ok(data) = frame.into_data() else { continue };
        len += data.len();
        if len > len_max || expected > len_max as u64 {
            bytes = Vec::new();
            if len > len_max.saturating_mul(OVERLONG_READ) {
                break;
            }
        } else {
            bytes.extend_from_slice(&data);
        }
    }
    if len > len_max { Err(Refusal::TooLarge) } else { Ok(bytes) }
}

/// Handles the packets of a POST one after the other. False: they were not all packets, the session is closed.
async fn handle<A: Application>(post: Post<A>, body: Vec<u8>) -> bool {
    let connection = &post.connection;
    let Some(polling) = connection.polling() else { return false };
    let _intake = polling.intake.lock().await;
    let _working = connection.working();
    let Ok(body) = String::from_utf8(body) else { return refuse(connection) };
    for (n, packet) in body.split(char::from(SEPARATOR)).enumerate() {
        if connection.is_ending() {
            return true;
        }
        match packet.as_bytes() {
            [b'4', ..] => text_event(connection, Str::copy_from_slice(&packet[1..])).await,
            [b'b', encoded @ ..] => match BASE64.decode(encoded) {
                Ok(bytes) => binary_event(connection, bytes.into()).await,
                Err(_) => return refuse(connection),
            },
            b"3" => connection.pong(),
            b"1" => connection.close(CloseReason::TransportClose),
            b"6" => {}
            _ => return refuse(connection),
        }
        if n % BURST == BURST - 1 {
            yield_now().await;
        }
    }
    true
}

fn refuse<A: Application>(connection: &Arc<Connection<A>>) -> bool {
    connection.close(CloseReason::ParseError);
    false
}
