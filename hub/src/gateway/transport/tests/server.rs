//! A server for one test, on a port of its own.

use std::net::{Ipv4Addr, SocketAddr};

use parking_lot::Mutex;
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use super::{
    super::*,
    app::{Event, TestApp},
    soon, until,
};

pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) transport: Arc<Transport<TestApp>>,
    events: mpsc::UnboundedReceiver<Event>,
    stop: Mutex<Option<oneshot::Sender<()>>>,
    serving: JoinHandle<Served>,
}

/// Settings with no deadline that a test would meet by chance.
pub(super) fn quiet() -> Settings {
    Settings { connect_timeout: Duration::ZERO, path: "/engine.io/".into(), ..Settings::default() }
}

impl Server {
    pub(super) async fn start() -> Self {
        Self::with(quiet()).await
    }

    pub(super) async fn with(settings: Settings) -> Self {
        let (app, events) = TestApp::new();
        let transport = Transport::new(settings, app);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let served = transport.clone();
        let serving = tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            serve(listener, served.router(), served.settings(), &Serving::default(), stopped).await
        });
        Self { address, transport, events, stop: Mutex::new(Some(stop)), serving }
    }

    /// The next thing that the application was told, openings left out.
    #[track_caller]
    pub(super) fn event(&mut self) -> impl Future<Output = Event> {
        soon("an event", async {
            loop {
                match self.events.recv().await.expect("the application is there") {
                    Event::Opened => {}
                    event => return event,
                }
            }
        })
    }

    /// The reason of the next end, whatever came before it.
    #[track_caller]
    pub(super) fn end(&mut self) -> impl Future<Output = CloseReason> {
        soon("an end", async {
            loop {
                if let Event::Closed(reason) = self.events.recv().await.expect("the application is there") {
                    return reason;
                }
            }
        })
    }

    /// What the application was told and nobody asked for so far, openings left out.
    pub(super) fn events_so_far(&mut self) -> Vec<Event> {
        let events = std::iter::from_fn(|| self.events.try_recv().ok());
        events.filter(|event| *event != Event::Opened).collect()
    }

    /// The one connection whose client said `keep`, or is about to.
    #[track_caller]
    pub(super) fn kept(&self) -> impl Future<Output = Arc<Connection<TestApp>>> {
        let app = self.transport.app();
        let kept = until("a connection to keep", || !app.connections.lock().is_empty());
        async {
            kept.await;
            app.connections.lock()[0].clone()
        }
    }

    /// Lets one handler of `wait` go on.
    pub(super) fn open_gate(&self) {
        self.transport.app().gate.add_permits(1);
    }

    /// Tells the listener to stop.
    pub(super) fn stop_listening(&self) {
        let stop = self.stop.lock().take().expect("it is stopped once");
        stop.send(()).expect("the listener is there");
    }

    /// What the listener did, once it has ended.
    pub(super) async fn served(self) -> Served {
        soon("the listener's end", self.serving).await.unwrap()
    }
}
