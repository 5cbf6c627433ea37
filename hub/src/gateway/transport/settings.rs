//! What the transport may do, and its limits.

use std::time::Duration;

use super::address::IpNetwork;

/// The transport's settings. The default is what Node's server does.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where clients connect, `/socket.io/`. Answers with and without the slash at the end.
    pub path: String,
    /// From the opening, or the last pong, to the next ping.
    pub ping_interval: Duration,
    /// From when a ping was due to the end of a client that did not answer it. Work on a packet must take less.
    pub ping_timeout: Duration,
    /// From the second transport's opening to the packet that completes the upgrade.
    pub upgrade_timeout: Duration,
    /// From the opening until the application must say that the client has joined. Zero: no limit.
    pub connect_timeout: Duration,
    /// The longest message over WebSocket, and the longest body of a POST. Clients are told.
    pub max_payload_bytes: usize,
    /// Packets in one answer of long polling, attachments counted. Some clients refuse more than 16 (`python-engineio`).
    pub polling_packets_max: usize,
    /// What may wait for a client; who would have more is cut. A single longer packet may wait alone.
    pub send_queue_max_bytes: usize,
    /// TCP connections, and sessions, at once.
    pub connections_max: usize,
    /// The same for each address; zero: no limit. Proxies that are trusted may have any number of TCP connections.
    pub connections_per_address_max: usize,
    /// From the answer 101 to the opening of its WebSocket.
    pub handshake_timeout: Duration,
    /// From a connection's opening to the end of its first request's headers.
    pub header_read_timeout: Duration,
    /// From an answer to the end of the next request's headers.
    pub keep_alive_idle_timeout: Duration,
    /// For the body of a POST to arrive; and for the last bytes of an answer to be taken.
    pub body_timeout: Duration,
    /// For what is queued to reach the client when the connection is closed in order, and for the last HTTP answers of a
    /// listener that ends.
    pub close_timeout: Duration,
    /// For the last events of all clients when the transport shuts down; who is left then is cut.
    pub shutdown_grace: Duration,
    /// Whether clients may use long polling.
    pub polling: bool,
    /// Whether clients may use WebSocket.
    pub websocket: bool,
    /// Whether clients may go from polling to WebSocket.
    pub allow_upgrades: bool,
    pub origins: Origins,
    /// Whether browsers may send cookies to another origin's server.
    pub credentials: bool,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNetwork>,
}

/// From which web pages browsers may connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// From all: `Access-Control-Allow-Origin: *`, or with credentials the page's own origin.
    Any,
    /// From these, as browsers name them (`https://example.org`). Requests of other pages get 403, WebSockets too.
    /// Clients that are no browsers name no origin and are not concerned.
    List(Vec<String>),
    /// Nothing is said, so that browsers keep pages of other origins from polling. They do not keep them from
    /// WebSocket: who relies on cookies needs a list.
    SameOrigin,
}

impl Settings {
    /// The path without a slash at its end: empty for `/`.
    pub(super) fn path_stem(&self) -> &str {
        self.path.trim_end_matches('/')
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            path: "/socket.io/".into(),
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            upgrade_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(45),
            max_payload_bytes: 1_000_000,
            polling_packets_max: 16,
            send_queue_max_bytes: 1 << 20,
            connections_max: 100_000,
            connections_per_address_max: 0,
            handshake_timeout: Duration::from_secs(10),
            header_read_timeout: Duration::from_secs(10),
            keep_alive_idle_timeout: Duration::from_secs(5),
            body_timeout: Duration::from_secs(30),
            close_timeout: Duration::from_secs(5),
            shutdown_grace: Duration::from_secs(5),
            polling: true,
            websocket: true,
            allow_upgrades: true,
            origins: Origins::SameOrigin,
            credentials: false,
            trusted_proxies: Vec::new(),
        }
    }
}

/// Whole milliseconds.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
