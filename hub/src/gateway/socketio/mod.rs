//! Socket.IO v5 on the transport: packets to events, namespaces, acks. It knows events, not plugins.

mod codec;
mod msgpack;
mod placeholders;
mod socket;

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use parking_lot::Mutex;
use serde::Deserialize;
use socketioxide_core::{Str, parser::ParserState};

pub use self::{
    codec::{Body, Codec, Encoding, Incoming, Mark, PacketLimits, is_reserved_name},
    socket::{Message, Socket},
};
use super::transport::{self, Application, CloseReason, Handshake};
use crate::{
    event::{Credentials, Payload, PrivateId, SocketId, Subject, Text},
    pattern::Pattern,
};

/// A connection that carries Socket.IO.
pub type Connection = transport::Connection<SocketIo>;

/// What becomes of a client's packets. One socket's calls come one after the other, each awaited before the next.
pub trait Handler: Send + Sync + 'static {
    /// CONNECT of a client that was here before: the socket that it had, on this connection, when it was sent all that it
    /// missed. `None`: nothing is left of that socket, it connects as if it was new.
    fn recover(&self, wanted: Recovery, connection: Arc<Connection>) -> Handling<'_, Option<Arc<Socket>>>;
    /// CONNECT. `Ok`: its answer is on its way. `Err`: the body of CONNECT_ERROR.
    fn connect(&self, socket: Arc<Socket>, auth: Payload) -> Handling<'_, Result<(), String>>;
    /// An event.
    fn message(&self, socket: Arc<Socket>, message: Message) -> Handling<'_, ()>;
    /// The client's answer to the ask with this id.
    fn answer(&self, socket: Arc<Socket>, id: i64, payload: Payload) -> Handling<'_, ()>;
    /// The socket's end because its client asked for it, once, behind all its other events.
    fn disconnect(&self, socket: Arc<Socket>, reason: Text) -> Handling<'_, ()>;
    /// The end of the socket's connection, behind all that came over it.
    fn lost(&self, socket: Arc<Socket>, reason: CloseReason) -> Handling<'_, ()>;
}

/// Which socket a client wants back.
#[derive(Clone)]
pub struct Recovery {
    pub private_id: PrivateId,
    pub namespace: Text,
    /// The last packet that it got; `None`: none.
    pub offset: Option<u64>,
}

impl Recovery {
    /// What the stock client puts into its auth payload: `pid`, and `offset` when it got an event.
    fn parse(namespace: &Text, auth: &Payload) -> Option<Self> {
        #[derive(Deserialize)]
        struct Shown {
            pid: String,
            offset: Option<String>,
        }

        let (Shown { pid, offset },) = serde_json::from_str(&auth.args).ok()?;
        // an offset that is none was never reached: its client is not told that it missed nothing
        let offset = offset.map(|text| text.parse().unwrap_or(u64::MAX));
        Some(Self { private_id: PrivateId::parse(&pid)?, namespace: namespace.clone(), offset })
    }
}

/// A handler's work on one packet.
pub type Handling<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What clients may do.
#[derive(Clone, Debug)]
pub struct Settings {
    pub encoding: Encoding,
    pub packet: PacketLimits,
    /// Namespaces that come to be when the first client names them.
    pub namespaces: Vec<Pattern>,
    /// Namespaces of one connection, those it has left included.
    pub namespaces_per_connection_max: usize,
    /// Namespaces whose sockets may come back after a lost connection. Their events carry an offset.
    pub recovery: Vec<Pattern>,
}

/// The query parameter by which a client declines offsets, and with them its way back: `recovery=0`.
const DECLINE: (&str, &str) = ("recovery", "0");

/// The Socket.IO application on the transport.
pub struct SocketIo {
    codec: Codec,
    settings: Settings,
    handler: OnceLock<Arc<dyn Handler>>,
}

/// What each connection keeps.
#[derive(Default)]
pub struct Session {
    parser: ParserState,
    sockets: Mutex<Vec<Arc<Socket>>>,
    joined: AtomicBool,
}

impl SocketIo {
    /// Refuses every client until [`SocketIo::set_handler`] was called.
    pub fn new(settings: Settings) -> Self {
        Self { codec: Codec::new(settings.encoding, settings.packet), settings, handler: OnceLock::new() }
    }

    /// Says who handles packets. The handler and this application know each other, so one must come second.
    pub fn set_handler(&self, handler: Arc<dyn Handler>) {
        if self.handler.set(handler).is_err() {
            tracing::error!("the handler of Socket.IO packets was set twice: the first one stays");
        }
    }

    pub fn codec(&self) -> &Codec {
        &self.codec
    }

    async fn packet(&self, connection: &Arc<Connection>, packet: Incoming) {
        let Some(handler) = self.handler.get() else { return connection.close(CloseReason::ForcedServerClose) };
        let socket = connection.session().find(&packet.namespace);
        match (packet.body, socket) {
            (Body::Connect(auth), socket) if socket.as_ref().is_none_or(|s| s.is_gone()) => {
                self.connect(&**handler, connection, packet.namespace, auth).await;
            }
            // as Node: a second CONNECT for a namespace it is in is misuse
            (Body::Connect(_), _) => connection.close_after_flush(CloseReason::ParseError),
            // as Node: who speaks in a namespace it never entered is no client of ours
            (_, None) => connection.close_after_flush(CloseReason::ParseError),
            // it was sent away while this was under way
            (_, Some(socket)) if socket.is_gone() => {}
            (Body::Event { name, payload, ack }, Some(socket)) => {
                handler.message(socket, Message { name, payload, ack }).await;
            }
            (Body::Ack { id, payload }, Some(socket)) => handler.answer(socket, id, payload).await,
            (Body::Disconnect, Some(socket)) => {
                connection.session().forget(&socket);
                if socket.leave() {
                    handler.disconnect(socket, "client namespace disconnect".into()).await;
                }
            }
        }
    }

    async fn connect(&self, handler: &dyn Handler, connection: &Arc<Connection>, namespace: Text, auth: Payload) {
        let refuse = |body: &str| {
            connection.send(&self.codec.connect_error_packet(&namespace, body));
        };
        if !self.settings.namespaces.iter().any(|p| p.matches(&namespace)) {
            return refuse(r#"{"message":"Invalid namespace"}"#);
        }
        let session = connection.session();
        session.forget_gone(&namespace);
        if session.sockets.lock().len() >= self.settings.namespaces_per_connection_max {
            return refuse(r#"{"message":"Too many namespaces","data":{"code":"limit_exceeded"}}"#);
        }
        let recovers = self.settings.recovery.iter().any(|p| p.matches(&namespace))
            && connection.handshake().query(DECLINE.0).as_deref() != Some(DECLINE.1);
        if recovers
            && let Some(wanted) = Recovery::parse(&namespace, &auth)
            && let Some(socket) = handler.recover(wanted, connection.clone()).await
        {
            return session.enter(socket);
        }
        let address = Text::from(connection.handshake().address().to_string());
        let credentials: Arc<dyn Credentials> = connection.clone();
        let subject = Subject::new(SocketId::random(), namespace.clone(), Some(address), Some(credentials));
        let private_id = recovers.then(PrivateId::random);
        let socket = Socket::new(Arc::new(subject), connection.clone(), private_id);
        match handler.connect(socket.clone(), auth).await {
            Ok(()) => session.enter(socket),
            Err(body) => refuse(&body),
        }
    }
}

impl Session {
    fn enter(&self, socket: Arc<Socket>) {
        self.sockets.lock().push(socket);
        self.joined.store(true, Ordering::Release);
    }

    fn find(&self, namespace: &str) -> Option<Arc<Socket>> {
        self.sockets.lock().iter().find(|s| **s.namespace() == *namespace).cloned()
    }

    fn forget(&self, socket: &Arc<Socket>) {
        self.sockets.lock().retain(|s| !Arc::ptr_eq(s, socket));
    }

    fn forget_gone(&self, namespace: &str) {
        self.sockets.lock().retain(|s| !(s.is_gone() && **s.namespace() == *namespace));
    }
}

impl Application for SocketIo {
    type Session = Session;

    fn open(&self, _handshake: &Handshake) -> Session {
        Session::default()
    }

    async fn text(&self, connection: &Arc<Connection>, packet: Str) {
        match self.codec.decode_text(&connection.session().parser, packet) {
            Ok(Some(packet)) => self.packet(connection, packet).await,
            Ok(None) => {}
            Err(error) => refuse_packet(connection, &error),
        }
    }

    async fn binary(&self, connection: &Arc<Connection>, packet: Bytes) {
        match self.codec.decode_binary(&connection.session().parser, packet) {
            Ok(Some(packet)) => self.packet(connection, packet).await,
            Ok(None) => {}
            Err(error) => refuse_packet(connection, &error),
        }
    }

    async fn closed(&self, connection: &Arc<Connection>, reason: CloseReason) {
        let sockets = std::mem::take(&mut *connection.session().sockets.lock());
        let Some(handler) = self.handler.get() else { return };
        for socket in sockets {
            handler.lost(socket, reason).await;
        }
    }

    fn has_joined(&self, session: &Session) -> bool {
        session.joined.load(Ordering::Acquire)
    }
}

fn refuse_packet(connection: &Arc<Connection>, error: &codec::PacketError) {
    tracing::debug!(%error, "a client sent what is no packet: its connection is closed");
    connection.close_after_flush(CloseReason::ParseError);
}

impl Credentials for Connection {
    fn header(&self, name: &str) -> Option<String> {
        self.handshake().header(name).map(str::to_owned)
    }

    fn query(&self, name: &str) -> Option<String> {
        self.handshake().query(name).map(|v| v.into_owned())
    }
}
