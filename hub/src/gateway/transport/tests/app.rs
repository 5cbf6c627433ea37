//! The application of the tests: it tells the test what happens, and does what messages say.

use std::sync::atomic::AtomicBool;

use parking_lot::Mutex;
use tokio::sync::{Semaphore, mpsc};

use super::super::*;

/// Packets of a flood that nothing stops.
const FLOOD_MAX: usize = 20_000;

/// What the application was told.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    Opened,
    /// The handler of this text began.
    Began(String),
    /// The handler of this text ended.
    Ended(String),
    Binary(Bytes),
    Closed(CloseReason),
}

/// Echoes every message but the ones it knows.
pub(super) struct TestApp {
    events: mpsc::UnboundedSender<Event>,
    /// What the handler of `wait` waits for.
    pub(super) gate: Semaphore,
    pub(super) connections: Mutex<Vec<Arc<Connection<TestApp>>>>,
}

impl TestApp {
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Event>) {
        let (events, received) = mpsc::unbounded_channel();
        (Self { events, gate: Semaphore::new(0), connections: Mutex::default() }, received)
    }

    fn tell(&self, event: Event) {
        // a test that is over listens no more
        let _ = self.events.send(event);
    }

    async fn obey(&self, connection: &Arc<Connection<Self>>, text: &str) {
        let say = |text: &str| connection.send(&Packet::message(text, &[]));
        match text {
            "join" => connection.session().store(true, Ordering::Release),
            "wait" => {
                self.gate.acquire().await.expect("the gate is never closed").forget();
                say("waited");
            }
            "yield" => {
                for _ in 0..3 {
                    yield_now().await;
                }
            }
            "keep" => self.connections.lock().push(connection.clone()),
            "panic" => panic!("as the test wants it"),
            "kick" => {
                say("goodbye");
                connection.close_after_flush(CloseReason::ForcedServerClose);
                connection.close_after_flush(CloseReason::ParseError);
            }
            "cut" => {
                connection.close(CloseReason::ForcedServerClose);
                connection.close(CloseReason::ParseError);
            }
            // more than the system's buffers hold
            "flood" => drop((0..FLOOD_MAX).find(|_| !say(&"x".repeat(1000)))),
            _ => drop(say(text)),
        }
    }
}

impl Application for TestApp {
    type Session = AtomicBool;

    fn open(&self, _: &Handshake) -> AtomicBool {
        self.tell(Event::Opened);
        AtomicBool::new(false)
    }

    async fn text(&self, connection: &Arc<Connection<Self>>, packet: Str) {
        self.tell(Event::Began(packet.to_string()));
        self.obey(connection, &packet).await;
        self.tell(Event::Ended(packet.to_string()));
    }

    async fn binary(&self, connection: &Arc<Connection<Self>>, packet: Bytes) {
        connection.send(&Packet::binary(&packet));
        self.tell(Event::Binary(packet));
    }

    async fn closed(&self, _: &Arc<Connection<Self>>, reason: CloseReason) {
        self.tell(Event::Closed(reason));
    }

    fn has_joined(&self, session: &AtomicBool) -> bool {
        session.load(Ordering::Acquire)
    }
}
