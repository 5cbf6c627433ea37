//! Why a connection ended.

/// The reason of an end. The first one that is given stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// The client closed, by packet, close frame or end of stream.
    TransportClose,
    /// The connection broke, or its client broke the rules of HTTP, WebSocket or long polling.
    TransportError,
    /// No pong came in time.
    PingTimeout,
    /// The client sent what is no packet.
    ParseError,
    /// The client took its packets too slowly: more bytes waited than are allowed.
    SlowConsumer,
    /// This node is stopping.
    ServerShuttingDown,
    /// The server sent the client away: it joined no namespace in time, or was made to leave all.
    ForcedServerClose,
}

impl CloseReason {
    /// All reasons, in the order of their declaration.
    pub const ALL: [CloseReason; 7] = [
        CloseReason::TransportClose,
        CloseReason::TransportError,
        CloseReason::PingTimeout,
        CloseReason::ParseError,
        CloseReason::SlowConsumer,
        CloseReason::ServerShuttingDown,
        CloseReason::ForcedServerClose,
    ];

    /// The reason in Node's words; `slow consumer` is our own, Node knows none.
    pub fn as_str(self) -> &'static str {
        match self {
            CloseReason::TransportClose => "transport close",
            CloseReason::TransportError => "transport error",
            CloseReason::PingTimeout => "ping timeout",
            CloseReason::ParseError => "parse error",
            CloseReason::SlowConsumer => "slow consumer",
            CloseReason::ServerShuttingDown => "server shutting down",
            CloseReason::ForcedServerClose => "forced server close",
        }
    }

    /// The status code of the WebSocket close frame that tells it (RFC 6455, 7.4.1).
    pub(super) fn code(self) -> u16 {
        match self {
            CloseReason::TransportClose | CloseReason::ForcedServerClose => 1000,
            CloseReason::ServerShuttingDown => 1001,
            CloseReason::TransportError | CloseReason::ParseError => 1002,
            CloseReason::PingTimeout | CloseReason::SlowConsumer => 1008,
        }
    }

    /// The client does not take what is sent: what the system still holds for it is thrown away.
    pub(super) fn is_stalled(self) -> bool {
        matches!(self, CloseReason::PingTimeout | CloseReason::SlowConsumer)
    }
}
