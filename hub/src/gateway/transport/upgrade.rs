//! From HTTP to WebSocket: for a new session, or for one that polls.

use std::{future::poll_fn, sync::Arc, task::Poll};

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::Response,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use sha1::{Digest, Sha1};
use tokio::{
    net::{TcpStream, tcp::OwnedWriteHalf},
    time::timeout,
};

use super::{
    Application, Transport,
    admission::Ticket,
    connection::{Connection, Opening},
    handshake::Handshake,
    http::Refusal,
    listener::Permit,
    outbox::Mode,
    packet::Packet,
    reader::Incoming,
    session_id::SessionId,
    websocket::{self, Wire},
};

/// What RFC 6455 has a server append to the client's key.
const KEY_SUFFIX: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// The length of a key: 16 bytes in base64.
const KEY_LEN: usize = 24;
/// The status code for a WebSocket that the session has no use for (RFC 6455: policy violation).
const NOT_WANTED: u16 = 1008;

/// An HTTP connection that is becoming a WebSocket. The request is gone by now: its headers pin hyper's read buffer.
pub(super) struct Switching {
    on_upgrade: OnUpgrade,
    accept: HeaderValue,
    permit: Option<Arc<Permit>>,
}

impl Switching {
    /// Checks a request for a WebSocket.
    pub(super) fn begin(mut request: Request) -> Result<Self, Refusal> {
        let headers = request.headers();
        let is_upgrade = has_token(headers, &header::CONNECTION, "upgrade")
            && has_token(headers, &header::UPGRADE, "websocket")
            && headers.get(header::SEC_WEBSOCKET_VERSION).is_some_and(|version| version == "13");
        let key = headers.get(header::SEC_WEBSOCKET_KEY).filter(|key| key.len() == KEY_LEN);
        let (Some(key), true) = (key, is_upgrade) else { return Err(Refusal::BadRequest) };
        let accept = STANDARD.encode(Sha1::new().chain_update(key).chain_update(KEY_SUFFIX).finalize());
        let accept = HeaderValue::try_from(accept).expect("base64 is ASCII");
        let permit = request.extensions().get::<Arc<Permit>>().cloned();
        Ok(Self { on_upgrade: hyper::upgrade::on(&mut request), accept, permit })
    }

    fn response(&self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, self.accept.clone());
        response
    }

    /// The WebSocket, once its answer is written; `None` when the client went away or does not take the answer.
    async fn finish<A: Application>(self, transport: &Transport<A>) -> Option<(Wire, OwnedWriteHalf)> {
        let settings = transport.settings();
        let upgraded = timeout(settings.handshake_timeout, self.on_upgrade).await.ok()?.ok()?;
        let parts = upgraded.downcast::<TokioIo<TcpStream>>().ok()?;
        let (read, write) = parts.io.into_inner().into_split();
        Some((Wire::new(read, &parts.read_buf, settings.max_payload_bytes, self.permit), write))
    }
}

/// Opens a session that knows nothing but WebSocket.
pub(super) fn open<A: Application>(
    transport: Arc<Transport<A>>,
    switching: Switching,
    handshake: Handshake,
    ticket: Ticket,
) -> Response {
    let response = switching.response();
    tokio::spawn(async move {
        let Some((wire, write)) = switching.finish(&transport).await else { return };
        let opening = Opening { mode: Mode::WebSocket(write), polling: None, handshake, ticket };
        let connection = transport.open(opening);
        // nobody ever asks for it by id: an id of its own keeps it from being anyone else's
        let id = SessionId::random();
        connection.send(&Packet::text(OPEN_LEN, |buffer| transport.write_open(id, &[], buffer)));
        transport.watch(&connection);
        // a task of its own, smaller than this one
        tokio::spawn(websocket::run(connection, wire));
    });
    response
}

/// About what an open packet takes.
const OPEN_LEN: usize = 128;

/// Tries a WebSocket for a session that polls. A session that has one, or tries one, gets it closed: clients take a
/// refusal for a server that knows no WebSocket.
pub(super) fn upgrade<A: Application>(connection: Arc<Connection<A>>, switching: Switching) -> Response {
    let response = switching.response();
    let is_wanted = {
        let mut outbox = connection.outbox().lock();
        let is_wanted = matches!(outbox.mode, Mode::Polling) && outbox.closing.is_none();
        if is_wanted {
            outbox.mode = Mode::Upgrading { was_probed: false };
        }
        is_wanted
    };
    tokio::spawn(async move {
        let transport = connection.transport().clone();
        let Some((wire, write)) = switching.finish(&transport).await else {
            if is_wanted {
                back_to_polling(&connection);
            }
            return;
        };
        if is_wanted { try_upgrade(connection, wire, write).await } else { dismiss(&transport, wire, write).await }
    });
    response
}

async fn try_upgrade<A: Application>(connection: Arc<Connection<A>>, mut wire: Wire, write: OwnedWriteHalf) {
    // a timer of its own: this task lives for seconds, and few do at a time
    let limit = connection.transport().settings().upgrade_timeout;
    let is_upgraded = timeout(limit, probe(&connection, &mut wire, &write)).await.unwrap_or(false);
    if !is_upgraded {
        back_to_polling(&connection);
        return dismiss(connection.transport(), wire, write).await;
    }
    if let Err(write) = switch(&connection, write) {
        return dismiss(connection.transport(), wire, write).await;
    }
    connection.wake_get();
    connection.flush();
    tokio::spawn(websocket::run(connection, wire));
}

/// Gives the session its WebSocket, in one step with its queue: what no GET took goes out here. An error is the socket
/// of a session that is closed.
fn switch<A: Application>(connection: &Connection<A>, write: OwnedWriteHalf) -> Result<(), OwnedWriteHalf> {
    let mut outbox = connection.outbox().lock();
    if !matches!(outbox.mode, Mode::Upgrading { .. }) {
        return Err(write);
    }
    outbox.mode = Mode::WebSocket(write);
    Ok(())
}

/// `2probe`, `3probe`, `5`. False: anything else, or the session is closed.
async fn probe<A: Application>(connection: &Arc<Connection<A>>, wire: &mut Wire, write: &OwnedWriteHalf) -> bool {
    let mut was_probed = false;
    loop {
        let incoming = poll_fn(|cx| {
            if connection.poll_closed(cx).is_ready() {
                return Poll::Ready(None);
            }
            wire.poll_next(connection, cx).map(Result::ok)
        });
        match incoming.await {
            Some(Incoming::Ping(body)) if try_write(write, &Packet::pong(&body)) => {}
            Some(Incoming::Probe) if !was_probed => {
                was_probed = true;
                if !try_write(write, &Packet::text(6, |buffer| buffer.extend_from_slice(b"3probe"))) {
                    return false;
                }
                match &mut connection.outbox().lock().mode {
                    Mode::Upgrading { was_probed } => *was_probed = true,
                    _ => return false,
                }
                connection.wake_get();
            }
            Some(Incoming::Upgrade) => return was_probed,
            _ => return false,
        }
    }
}

fn back_to_polling<A: Application>(connection: &Connection<A>) {
    let mut outbox = connection.outbox().lock();
    if matches!(outbox.mode, Mode::Upgrading { .. }) {
        outbox.mode = Mode::Polling;
    }
}

/// Closes a WebSocket that no session has.
async fn dismiss<A: Application>(transport: &Transport<A>, mut wire: Wire, write: OwnedWriteHalf) {
    try_write(&write, &Packet::close(NOT_WANTED, "no upgrade"));
    drop(write);
    wire.linger(transport.settings().close_timeout).await;
}

/// Writes to a WebSocket that has nothing waiting. False: it did not take the whole.
fn try_write(write: &OwnedWriteHalf, packet: &Packet) -> bool {
    write.try_write(packet.frames()).is_ok_and(|written| written == packet.frames().len())
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let mut tokens = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(','));
    tokens.any(|t| t.trim().eq_ignore_ascii_case(token))
}
