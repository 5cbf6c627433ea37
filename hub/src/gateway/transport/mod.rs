//! The Engine.IO v4 transport: long polling, WebSocket, and the way from one to the other. It knows packets, not what
//! they mean.
//!
//! Each WebSocket has one task, which reads a packet, awaits the application, and reads the next: order and
//! back-pressure come by themselves. Anybody may write: every byte goes out under the connection's lock, at once when
//! nothing waits. One timer wheel has the deadlines of all connections.

mod address;
mod admission;
mod close;
mod connection;
mod frame;
mod handshake;
mod heart;
mod http;
mod listener;
mod origin;
mod outbox;
mod packet;
mod payload;
mod polling;
mod reader;
mod session_id;
mod settings;
mod table;
#[cfg(test)]
mod tests;
mod upgrade;
mod websocket;
mod wheel;

use std::{
    future::Future,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{Router, routing::any};
use bytes::Bytes;
use socketioxide_core::Str;
use tokio::{sync::Notify, task::yield_now, time::timeout};

pub use self::{
    address::{IpNetwork, NetworkError},
    close::CloseReason,
    connection::{Connection, Enqueued, Turn},
    handshake::Handshake,
    listener::{Served, Serving, serve},
    packet::Packet,
    settings::{Origins, Settings},
};
use self::{
    admission::Admission, connection::Opening, session_id::SessionId, session_id::Sessions, settings::millis,
    table::Table, wheel::Wheel,
};

/// Connections that the wheel looks at before other tasks get their turn.
const CHECK_BURST: usize = 64;

/// What the transport asks of the layer above. One connection's calls of `text`, `binary` and `closed` come one after
/// the other, in the order of what its client sent. A call that began is awaited to its end, whatever becomes of the
/// connection; until it ends, nothing more is read from the client. It must end within less than the ping timeout.
pub trait Application: Sized + Send + Sync + 'static {
    /// What it keeps with each connection.
    type Session: Send + Sync + 'static;

    /// A client opened a connection.
    fn open(&self, handshake: &Handshake) -> Self::Session;

    /// A text message, without its Engine.IO type.
    fn text(&self, connection: &Arc<Connection<Self>>, packet: Str) -> impl Future<Output = ()> + Send;

    /// A binary message.
    fn binary(&self, connection: &Arc<Connection<Self>>, packet: Bytes) -> impl Future<Output = ()> + Send;

    /// The end: once for each `open`, behind the last event.
    fn closed(&self, connection: &Arc<Connection<Self>>, reason: CloseReason) -> impl Future<Output = ()> + Send;

    /// Whether the client has done what the connect timeout waits for.
    fn has_joined(&self, session: &Self::Session) -> bool;
}

/// All connections of a node, and the routes that open them.
pub struct Transport<A: Application> {
    app: A,
    settings: Settings,
    began: Instant,
    table: Table<Arc<Connection<A>>>,
    sessions: Sessions<Connection<A>>,
    wheel: Wheel,
    admission: Arc<Admission>,
    ping: Arc<Packet>,
    /// Why it shuts down, since it does.
    shutdown: OnceLock<CloseReason>,
    is_over: AtomicBool,
    emptied: Notify,
    opened: AtomicU64,
    closed: [AtomicU64; CloseReason::ALL.len()],
}

/// What happened since the transport began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counters {
    pub opened: u64,
    /// Handshakes refused because of a limit on connections.
    pub refused: u64,
    pub closed: [(CloseReason, u64); CloseReason::ALL.len()],
}

impl<A: Application> Transport<A> {
    /// A transport without connections. Must be called within a Tokio runtime: its wheel turns there, until
    /// [`Transport::shutdown`] has ended or nobody has the transport any more.
    pub fn new(settings: Settings, app: A) -> Arc<Self> {
        let longest = settings.ping_interval.max(settings.ping_timeout).max(settings.connect_timeout);
        let transport = Arc::new(Self {
            app,
            began: Instant::now(),
            table: Table::new(),
            sessions: Sessions::new(),
            wheel: Wheel::new(longest),
            admission: Admission::new(settings.connections_max, settings.connections_per_address_max),
            ping: Packet::text(1, |buffer| buffer.push(b'2')),
            shutdown: OnceLock::new(),
            is_over: AtomicBool::new(false),
            emptied: Notify::new(),
            opened: AtomicU64::new(0),
            closed: Default::default(),
            settings,
        });
        tokio::spawn(turn_wheel(Arc::downgrade(&transport), transport.wheel.tick()));
        transport
    }

    /// The routes of the transport's path, with and without a slash at its end. Whoever serves them puts the peer's
    /// address into each request as `ConnectInfo<SocketAddr>`; [`serve`] does.
    pub fn router(self: &Arc<Self>) -> Router {
        let stem = self.settings.path_stem();
        let router = Router::new().route(&format!("{stem}/"), any(http::entry::<A>));
        let router = if stem.is_empty() { router } else { router.route(stem, any(http::entry::<A>)) };
        router.with_state(self.clone())
    }

    /// Connections that are open, or whose end the application is being told.
    pub fn connections(&self) -> usize {
        self.table.len()
    }

    pub fn app(&self) -> &A {
        &self.app
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What happened so far.
    pub fn counters(&self) -> Counters {
        let closed = |reason: CloseReason| (reason, self.closed[reason as usize].load(Ordering::Relaxed));
        Counters {
            opened: self.opened.load(Ordering::Relaxed),
            refused: self.admission.refused(),
            closed: CloseReason::ALL.map(closed),
        }
    }

    /// Opens nothing from now on: new clients get 503. Every client gets what is queued for it and then its transport's
    /// close. Returns when the application knows of every end, or the settings' shutdown grace is over; who is left then
    /// is cut.
    pub async fn shutdown(self: &Arc<Self>, reason: CloseReason) {
        let reason = *self.shutdown.get_or_init(|| reason);
        self.table.for_each(|connection| connection.close_after_flush(reason));
        let _ = timeout(self.settings.shutdown_grace, self.until_empty()).await;
        self.table.for_each(|connection| connection.close(reason));
        self.is_over.store(true, Ordering::Release);
    }

    async fn until_empty(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.table.len() == 0 {
                return;
            }
            emptied.await;
        }
    }

    /// Milliseconds since the transport began.
    fn now_ms(&self) -> u64 {
        millis(self.began.elapsed())
    }

    fn sessions(&self) -> &Sessions<Connection<A>> {
        &self.sessions
    }

    fn wheel(&self) -> &Wheel {
        &self.wheel
    }

    fn admission(&self) -> &Arc<Admission> {
        &self.admission
    }

    fn ping(&self) -> &Arc<Packet> {
        &self.ping
    }

    fn is_shutting_down(&self) -> bool {
        self.shutdown.get().is_some()
    }

    /// Puts a new connection among the others. It must be watched next.
    fn open(self: &Arc<Self>, opening: Opening) -> Arc<Connection<A>> {
        let session = self.app.open(&opening.handshake);
        self.opened.fetch_add(1, Ordering::Relaxed);
        self.table.insert_with(|key| Arc::new(Connection::new(self.clone(), key, opening, session)))
    }

    /// Has the deadlines of a new connection watched.
    fn watch(&self, connection: &Arc<Connection<A>>) {
        if let Some(at) = connection.check(self.now_ms()) {
            self.wheel.arm(connection.key(), at);
        }
        // it may have come in behind the others' farewell
        if let Some(reason) = self.shutdown.get() {
            connection.close_after_flush(*reason);
        }
    }

    /// Lets go of a connection that has ended.
    fn forget(&self, connection: &Arc<Connection<A>>) {
        if self.table.remove(connection.key()).is_none() {
            return;
        }
        if let Some(reason) = connection.closed() {
            self.closed[reason as usize].fetch_add(1, Ordering::Relaxed);
        }
        let ticket = connection.outbox().lock().ticket.take();
        drop(ticket);
        if self.table.len() == 0 {
            self.emptied.notify_waiters();
        }
    }

    /// The first packet of a session.
    fn write_open(&self, id: SessionId, upgrades: &[&str], buffer: &mut Vec<u8>) {
        let Settings { ping_interval, ping_timeout, max_payload_bytes, .. } = &self.settings;
        let packet = format!(
            r#"0{{"sid":"{}","upgrades":{upgrades:?},"pingInterval":{},"pingTimeout":{},"maxPayload":{max_payload_bytes}}}"#,
            id.as_str(),
            ping_interval.as_millis(),
            ping_timeout.as_millis(),
        );
        buffer.extend_from_slice(packet.as_bytes());
    }

    async fn check_due(&self) {
        let now = self.now_ms();
        self.sessions.forget_ended(now);
        while let Some(keys) = self.wheel.take_due(now) {
            for (n, key) in keys.into_iter().enumerate() {
                if let Some(connection) = self.table.get(key)
                    && let Some(again) = connection.check(now)
                {
                    self.wheel.arm(key, again);
                }
                if n % CHECK_BURST == CHECK_BURST - 1 {
                    yield_now().await;
                }
            }
        }
    }
}

/// The one timer task.
async fn turn_wheel<A: Application>(transport: Weak<Transport<A>>, tick: Duration) {
    loop {
        tokio::time::sleep(tick).await;
        let Some(transport) = transport.upgrade() else { return };
        transport.check_due().await;
        if transport.is_over.load(Ordering::Acquire) {
            return;
        }
    }
}
