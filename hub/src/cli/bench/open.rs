//! Opening one connection: transport, Engine.IO handshake, and the namespace's CONNECT.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::TransportName;
use super::http::{self, HttpError};
use super::plan::Plan;
use super::polling::HttpClient;
use super::wire::{self, Packet};
use super::ws::{self, FrameError, Opcode};

/// From the TCP connection to the namespace's answer.
pub(super) const OPEN_DEADLINE: Duration = Duration::from_secs(15);

/// Why a connection could not be opened.
#[derive(Debug, Error)]
pub(super) enum OpenError {
    #[error("cannot connect to {address}")]
    Tcp { address: SocketAddr, source: std::io::Error },
    #[error("writing to the server")]
    Write(#[source] std::io::Error),
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("{0}: no Socket.IO v5 server (EIO=4) at this URL?")]
    Answer(String),
    #[error("the server sent {0:?} instead of Engine.IO's open packet: no Socket.IO v5 server (EIO=4) at this URL?")]
    NoEngineIo(String),
    #[error("the server accepted the WebSocket without the right Sec-WebSocket-Accept")]
    Accept,
    #[error("the namespace {namespace} refused the connection: {said}")]
    Refused { namespace: String, said: String },
    #[error("{0} before the namespace had answered")]
    Closed(String),
    #[error("the connection was not open after {} s", OPEN_DEADLINE.as_secs())]
    Deadline,
}

impl OpenError {
    /// What went wrong with its causes, in one line.
    pub(super) fn in_full(self) -> String {
        format!("{:#}", anyhow::Error::from(self))
    }
}

/// A connection whose namespace has accepted it.
#[derive(Debug)]
pub(super) enum Opened {
    /// The socket, and what was read beyond the handshake.
    WebSocket { stream: TcpStream, unread: Vec<u8> },
    /// The session, and the messages that came with the handshake, separated as in a payload.
    Polling { client: HttpClient, sid: String, max_payload_bytes: usize, unread: Vec<u8> },
}

/// Opens the plan's connection of this number, within `OPEN_DEADLINE`.
pub(super) async fn open(plan: &Plan, address: SocketAddr, connection: usize) -> Result<Opened, OpenError> {
    let opening = async {
        match plan.transport {
            TransportName::Websocket => open_websocket(plan, address, connection).await,
            TransportName::Polling => open_polling(plan, address, connection).await,
        }
    };
    tokio::time::timeout(OPEN_DEADLINE, opening).await.unwrap_or(Err(OpenError::Deadline))
}

/// A TCP connection that sends small packets at once.
pub(super) async fn connect(address: SocketAddr) -> Result<TcpStream, OpenError> {
    let connected = async {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    };
    connected.await.map_err(|source| OpenError::Tcp { address, source })
}

/// What the open packet says; the rest of it concerns servers and browsers.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OpenPacket {
    sid: String,
    #[serde(default = "payload_default")]
    max_payload: usize,
}

/// Engine.IO's default of `maxPayload`.
fn payload_default() -> usize {
    1_000_000
}

fn parse_open(text: &[u8]) -> Result<OpenPacket, OpenError> {
    let parsed = text.strip_prefix(b"0").and_then(|json| serde_json::from_slice(json).ok());
    parsed.ok_or_else(|| OpenError::NoEngineIo(String::from_utf8_lossy(text).chars().take(60).collect()))
}

async fn open_websocket(plan: &Plan, address: SocketAddr, connection: usize) -> Result<Opened, OpenError> {
    let mut stream = connect(address).await?;
    let request = ws::opening(&plan.target.host, &plan.target.request_path("websocket", None));
    stream.write_all(request.as_bytes()).await.map_err(OpenError::Write)?;
    let mut unread = Vec::with_capacity(1024);
    let head = http::read_head(&mut stream, &mut unread).await?;
    if head.status != 101 {
        let body = http::read_body(&mut stream, &mut unread, &head).await?;
        return Err(OpenError::Answer(http::refusal_text(&head, &body)));
    }
    if !ws::accepts(head.header("sec-websocket-accept")) {
        return Err(OpenError::Accept);
    }
    let open = next_message(&mut stream, &mut unread).await?;
    parse_open(&open)?;
    send(&mut stream, &wire::connect_packet(&plan.namespace, plan.auth(connection))).await?;
    loop {
        let message = next_message(&mut stream, &mut unread).await?;
        if is_accepted(plan, &message)? {
            return Ok(Opened::WebSocket { stream, unread });
        }
        if message.first() == Some(&b'2') {
            send(&mut stream, b"3").await?;
        }
    }
}

async fn open_polling(plan: &Plan, address: SocketAddr, connection: usize) -> Result<Opened, OpenError> {
    let mut client = HttpClient::new(address, plan.target.host.clone());
    let (head, body) = client.get(&plan.target.request_path("polling", None)).await?;
    if head.status != 200 {
        return Err(OpenError::Answer(http::refusal_text(&head, &body)));
    }
    let mut messages = body.split(|byte| *byte == wire::SEPARATOR);
    let OpenPacket { sid, max_payload } = parse_open(messages.next().unwrap_or_default())?;
    let path = plan.target.request_path("polling", Some(&sid));
    post(&mut client, &path, &wire::connect_packet(&plan.namespace, plan.auth(connection))).await?;
    loop {
        let (head, body) = client.get(&path).await?;
        if head.status != 200 {
            return Err(OpenError::Answer(http::refusal_text(&head, &body)));
        }
        let mut rest = &body[..];
        while !rest.is_empty() {
            let (message, after) = wire::split_payload(rest);
            rest = after;
            if is_accepted(plan, message)? {
                let unread = rest.to_vec();
                return Ok(Opened::Polling { client, sid, max_payload_bytes: max_payload, unread });
            }
            if message == b"2" {
                post(&mut client, &path, b"3").await?;
            }
        }
    }
}

async fn post(client: &mut HttpClient, path: &str, body: &[u8]) -> Result<(), OpenError> {
    let (head, answer) = client.post(path, body).await?;
    if head.status == 200 { Ok(()) } else { Err(OpenError::Answer(http::refusal_text(&head, &answer))) }
}

/// True when the message is the namespace's yes, an error when it is its no.
fn is_accepted(plan: &Plan, message: &[u8]) -> Result<bool, OpenError> {
    match wire::parse(message, &plan.namespace) {
        Packet::Connected => Ok(true),
        Packet::Refused(why) => {
            let json = serde_json::from_slice::<serde_json::Value>(why).ok();
            let said = json.as_ref().and_then(|json| json.get("message")?.as_str());
            let said = said.map_or_else(|| String::from_utf8_lossy(why).into_owned(), str::to_owned);
            Err(OpenError::Refused { namespace: plan.namespace.clone(), said })
        }
        Packet::Disconnected => Err(OpenError::Closed("the server disconnected".to_owned())),
        _ => Ok(false),
    }
}

async fn send(stream: &mut TcpStream, message: &[u8]) -> Result<(), OpenError> {
    let mut frame = Vec::with_capacity(message.len() + 14);
    ws::encode(&mut frame, Opcode::Text, message);
    stream.write_all(&frame).await.map_err(OpenError::Write)
}

/// The next text message; during the handshake servers send each in one frame.
async fn next_message(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<Vec<u8>, OpenError> {
    loop {
        while let Some(frame) = ws::decode(buffer, 0)? {
            let end = frame.payload.end;
            let payload = buffer[frame.payload].to_vec();
            buffer.drain(..end);
            match frame.opcode {
                Opcode::Text => return Ok(payload),
                Opcode::Close => return Err(OpenError::Closed(ws::close_text(&payload))),
                _ => {}
            }
        }
        if stream.read_buf(buffer).await.map_err(HttpError::Read)? == 0 {
            return Err(OpenError::Closed("the server closed the connection".to_owned()));
        }
    }
}
