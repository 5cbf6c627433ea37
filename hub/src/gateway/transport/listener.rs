//! The listener: accepts TCP connections, bounds them in number and time, and serves HTTP on them.

use std::{
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body, extract::ConnectInfo};
use http_body_util::BodyExt;
use hyper::{
    Request,
    body::Incoming,
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, watch},
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{
    address::{IpNetwork, is_trusted},
    admission::{Admission, Ticket},
    settings::Settings,
};

/// The most bytes that a request's line and headers may have.
const HEADERS_MAX: usize = 16 * 1024;
/// How long accepting rests when the system has no files left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Between two log lines about connections that were not let in.
const REFUSED_LOG_INTERVAL: Duration = Duration::from_secs(10);
/// What who is not let in is told.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

/// The place of a TCP connection among all. Kept by whoever has the socket: the HTTP connection, then the WebSocket.
pub(super) struct Permit {
    _ticket: Ticket,
}

/// What a listener did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// TCP connections that were let in.
    pub accepted: u64,
    /// TCP connections over the limits of the settings: answered 503 and closed.
    pub refused: u64,
}

/// What a listener has done so far, for those who look while it serves.
#[derive(Debug, Default)]
pub struct Serving {
    accepted: AtomicU64,
    refused: AtomicU64,
}

impl Serving {
    /// The figures now.
    pub fn so_far(&self) -> Served {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Served { accepted: load(&self.accepted), refused: load(&self.refused) }
    }
}

/// What every HTTP connection needs to know.
struct Limits {
    header_read_timeout: Duration,
    keep_alive_idle_timeout: Duration,
    answer_timeout: Duration,
}

/// How far the listener is on its way to the end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    /// Requests under way end, idle connections are closed.
    Ending,
    /// Whoever is left is cut.
    Over,
}

/// Serves `router` until `shutdown` is ready; then accepts no more, closes idle connections, and returns when the
/// requests under way have ended, or after the settings' close timeout. WebSockets are not waited for: they are their
/// transport's. Each request carries its peer's address as `ConnectInfo<SocketAddr>`. `serving` counts.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    settings: &Settings,
    serving: &Serving,
    shutdown: impl Future<Output = ()>,
) -> Served {
    let admission = Admission::new(settings.connections_max, settings.connections_per_address_max);
    let limits = Arc::new(Limits {
        header_read_timeout: settings.header_read_timeout,
        keep_alive_idle_timeout: settings.keep_alive_idle_timeout,
        answer_timeout: settings.body_timeout,
    });
    // each connection's task keeps a receiver: they have all ended when there is none
    let (stage, _) = watch::channel(Stage::Open);
    let mut refused_logged = RefusedLog { count: 0, next: Instant::now() };
    let mut shutdown = pin!(shutdown);
    loop {
        let result = tokio::select! {
            biased;
            () = &mut shutdown => break,
            result = listener.accept() => result,
        };
        let (stream, peer) = match result {
            Ok(accepted) => accepted,
            Err(error) => {
                // files may be short for a while; a connection that broke before it was accepted is no concern
                tracing::warn!(%error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(permit) = admit(&admission, &settings.trusted_proxies, peer) else {
            let _ = stream.try_write(FULL);
            serving.refused.fetch_add(1, Ordering::Relaxed);
            refused_logged.note(peer);
            continue;
        };
        serving.accepted.fetch_add(1, Ordering::Relaxed);
        // a socket that broke already is noticed by reading it
        let _ = stream.set_nodelay(true);
        tokio::spawn(connection(stream, peer, router.clone(), limits.clone(), permit, stage.subscribe()));
    }
    drop(listener);
    stage.send_replace(Stage::Ending);
    if timeout(settings.close_timeout, stage.closed()).await.is_err() {
        stage.send_replace(Stage::Over);
        stage.closed().await;
    }
    serving.so_far()
}

fn admit(admission: &Arc<Admission>, trusted: &[IpNetwork], peer: SocketAddr) -> Option<Arc<Permit>> {
    let address = peer.ip().to_canonical();
    let ticket = admission.admit((!is_trusted(trusted, address)).then_some(address)).ok()?;
    Some(Arc::new(Permit { _ticket: ticket }))
}

/// Says from time to time how many were not let in.
struct RefusedLog {
    count: u64,
    next: Instant,
}

impl RefusedLog {
    fn note(&mut self, peer: SocketAddr) {
        self.count += 1;
        if Instant::now() >= self.next {
            tracing::warn!(refused = self.count, %peer, "too many connections");
            *self = Self { count: 0, next: Instant::now() + REFUSED_LOG_INTERVAL };
        }
    }
}

/// Requests of a connection that are being answered.
#[derive(Default)]
struct Activity {
    running: AtomicUsize,
    requests: AtomicUsize,
    changed: Notify,
}

/// One request, until the last byte of its answer was handed over.
struct Running(Arc<Activity>);

impl Running {
    fn new(activity: &Arc<Activity>) -> Self {
        activity.running.fetch_add(1, Ordering::AcqRel);
        activity.requests.fetch_add(1, Ordering::AcqRel);
        activity.changed.notify_one();
        Self(activity.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::AcqRel);
        self.0.changed.notify_one();
    }
}

/// Serves one TCP connection to its end, or until it becomes a WebSocket.
async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    limits: Arc<Limits>,
    permit: Arc<Permit>,
    mut stage: watch::Receiver<Stage>,
) {
    let activity = Arc::new(Activity::default());
    let of_requests = activity.clone();
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        request.extensions_mut().insert(permit.clone());
        let running = Running::new(&of_requests);
        let answered = router.call(request.map(Body::new));
        async move { answered.await.map(|response| response.map(|body| held(body, running))) }
    });
    let http = http1::Builder::new()
        .timer(TokioTimer::new())
        // hyper's one timeout must allow for both waits; the watch below tells them apart
        .header_read_timeout(limits.header_read_timeout.max(limits.keep_alive_idle_timeout))
        .max_buf_size(HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut http = pin!(http);
    let ended = tokio::select! {
        _ = &mut http => true,
        in_time = idle(&activity, &limits) => { if in_time == Idle::NoRequest { return } false }
        () = at(&mut stage, Stage::Ending) => false,
    };
    if ended {
        return;
    }
    http.as_mut().graceful_shutdown();
    tokio::select! {
        _ = &mut http => {}
        () = stuck(&activity, &limits) => {}
        () = at(&mut stage, Stage::Over) => {}
    }
}

/// A body that keeps `running` until its last frame is handed over.
fn held(body: Body, running: Running) -> Body {
    Body::new(body.map_frame(move |frame| {
        let _ = &running;
        frame
    }))
}

/// Waits for the stage, or for the listener's end.
async fn at(stage: &mut watch::Receiver<Stage>, wanted: Stage) {
    let _ = stage.wait_for(|stage| *stage == wanted || *stage == Stage::Over).await;
}

#[derive(PartialEq, Eq)]
enum Idle {
    /// It never brought a request.
    NoRequest,
    /// It brought no further one.
    NoFurther,
}

/// Ready when no request came in time.
async fn idle(activity: &Activity, limits: &Limits) -> Idle {
    loop {
        let changed = activity.changed.notified();
        let is_first = activity.requests.load(Ordering::Acquire) == 0;
        let limit = if is_first { limits.header_read_timeout } else { limits.keep_alive_idle_timeout };
        if activity.running.load(Ordering::Acquire) > 0 {
            changed.await;
            continue;
        }
        tokio::select! {
            () = changed => {}
            () = sleep_until(Instant::now() + limit) => return if is_first { Idle::NoRequest } else { Idle::NoFurther },
        }
    }
}

/// Ready when the answers were handed over long ago and their client still has not taken them.
async fn stuck(activity: &Activity, limits: &Limits) {
    loop {
        let changed = activity.changed.notified();
        if activity.running.load(Ordering::Acquire) > 0 {
            changed.await;
            continue;
        }
        if timeout(limits.answer_timeout, changed).await.is_err() {
            return;
        }
    }
}
