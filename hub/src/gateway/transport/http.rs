//! Engine.IO's HTTP entry: which request goes where, and Node's answers to those that go nowhere.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use axum::{
    body::Body,
    extract::{ConnectInfo, Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    response::Response,
};

use super::{
    Application, Transport,
    address::client_address,
    admission::Full,
    connection::{Connection, Opening},
    handshake::Handshake,
    origin::{self, Cors},
    outbox::Mode,
    polling::{self, PollingSide},
    session_id::Found,
    upgrade::{self, Switching},
};

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    TransportUnknown,
    SessionUnknown,
    BadMethod,
    BadRequest,
    Forbidden,
    UnsupportedVersion,
    TooLarge,
    Timeout,
    ShuttingDown,
    Full(Full),
}

impl Refusal {
    /// Status, and Engine.IO's code and message; the numbers from 0 to 5 are Node's.
    fn parts(self) -> (StatusCode, u8, &'static str) {
        match self {
            Refusal::TransportUnknown => (StatusCode::BAD_REQUEST, 0, "Transport unknown"),
            Refusal::SessionUnknown => (StatusCode::BAD_REQUEST, 1, "Session ID unknown"),
            Refusal::BadMethod => (StatusCode::BAD_REQUEST, 2, "Bad handshake method"),
            Refusal::BadRequest => (StatusCode::BAD_REQUEST, 3, "Bad request"),
            Refusal::Forbidden => (StatusCode::FORBIDDEN, 4, "Forbidden"),
            Refusal::UnsupportedVersion => (StatusCode::BAD_REQUEST, 5, "Unsupported protocol version"),
            Refusal::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, 3, "Payload too large"),
            Refusal::Timeout => (StatusCode::REQUEST_TIMEOUT, 3, "Request timeout"),
            Refusal::ShuttingDown => (StatusCode::SERVICE_UNAVAILABLE, 4, "Server is shutting down"),
            Refusal::Full(Full::InAll) => (StatusCode::SERVICE_UNAVAILABLE, 4, "Too many connections"),
            Refusal::Full(Full::ForAddress) => (StatusCode::TOO_MANY_REQUESTS, 4, "Too many connections"),
        }
    }

    fn response(self) -> Response {
        let (status, code, message) = self.parts();
        let mut response = Response::new(Body::from(format!(r#"{{"code":{code},"message":"{message}"}}"#)));
        *response.status_mut() = status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}

/// The parameters of a request that concern the transport. None of them needs decoding.
struct Query<'a> {
    version: &'a str,
    transport: &'a str,
    session: Option<&'a str>,
}

impl<'a> Query<'a> {
    fn parse(query: &'a str) -> Self {
        let get =
            |name| query.split('&').find_map(|pair| pair.split_once('=').filter(|(n, _)| *n == name)).map(|p| p.1);
        Self {
            version: get("EIO").unwrap_or_default(),
            transport: get("transport").unwrap_or_default(),
            session: get("sid").filter(|id| !id.is_empty()),
        }
    }
}

/// Every request to the transport's path.
pub(super) async fn entry<A: Application>(State(transport): State<Arc<Transport<A>>>, request: Request) -> Response {
    let cors = match Cors::of(transport.settings(), request.headers()) {
        Ok(cors) => cors,
        Err(refusal) => return refusal.response(),
    };
    let mut response = answer(transport, request).await.unwrap_or_else(Refusal::response);
    cors.add_to(response.headers_mut());
    response
}

async fn answer<A: Application>(transport: Arc<Transport<A>>, request: Request) -> Result<Response, Refusal> {
    if request.method() == Method::OPTIONS
        && let Some(response) = origin::preflight(transport.settings(), request.headers())
    {
        return Ok(response);
    }
    let query = Query::parse(request.uri().query().unwrap_or_default());
    let settings = transport.settings();
    let is_websocket = match query.transport {
        "polling" if settings.polling => false,
        "websocket" if settings.websocket => true,
        _ => return Err(Refusal::TransportUnknown),
    };
    let Some(id) = query.session else {
        if request.method() != Method::GET {
            return Err(Refusal::BadMethod);
        }
        if query.version != "4" {
            return Err(Refusal::UnsupportedVersion);
        }
        return open(transport, request, is_websocket);
    };
    let connection = match transport.sessions().find(id).ok_or(Refusal::SessionUnknown)? {
        Found::Ended if !is_websocket && request.method() == Method::GET => return Ok(polling::ended_response()),
        Found::Ended => return Err(Refusal::SessionUnknown),
        Found::Open(connection) => connection,
    };
    // the wheel has not come round yet, but this session may be over
    if connection.check(transport.now_ms()).is_none() && connection.closed().is_some() {
        return Err(Refusal::SessionUnknown);
    }
    of_session(connection, request, is_websocket).await
}

async fn of_session<A: Application>(
    connection: Arc<Connection<A>>,
    request: Request,
    is_websocket: bool,
) -> Result<Response, Refusal> {
    if is_websocket {
        if !connection.transport().settings().allow_upgrades || request.method() != Method::GET {
            return Err(Refusal::BadRequest);
        }
        let switching = Switching::begin(request)?;
        return Ok(upgrade::upgrade(connection, switching));
    }
    match *request.method() {
        Method::GET => {
            // its headers pin hyper's read buffer for as long as it waits
            drop(request);
            polling::get(&connection).await
        }
        Method::POST => polling::post(connection, request.into_body()).await,
        _ => Err(Refusal::BadRequest),
    }
}

fn open<A: Application>(
    transport: Arc<Transport<A>>,
    request: Request,
    is_websocket: bool,
) -> Result<Response, Refusal> {
    if transport.is_shutting_down() {
        return Err(Refusal::ShuttingDown);
    }
    let address = client_address(peer(&request), request.headers(), &transport.settings().trusted_proxies);
    let handshake = Handshake::new(address, request.uri().query().unwrap_or_default(), request.headers());
    if is_websocket {
        let switching = Switching::begin(request)?;
        let ticket = transport.admission().admit(Some(address)).map_err(Refusal::Full)?;
        return Ok(upgrade::open(transport, switching, handshake, ticket));
    }
    let ticket = transport.admission().admit(Some(address)).map_err(Refusal::Full)?;
    let side = PollingSide::new();
    let id = side.id;
    let connection = transport.open(Opening { mode: Mode::Polling, polling: Some(Box::new(side)), handshake, ticket });
    transport.sessions().insert(id, connection.clone());
    transport.watch(&connection);
    let settings = transport.settings();
    let upgrades: &[&str] = if settings.websocket && settings.allow_upgrades { &["websocket"] } else { &[] };
    let mut packet = Vec::new();
    transport.write_open(id, upgrades, &mut packet);
    Ok(polling::text_response(packet))
}

/// Who sent the request. A router that is served without telling has clients of no address.
fn peer(request: &Request) -> IpAddr {
    let info = request.extensions().get::<ConnectInfo<SocketAddr>>();
    info.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(address)| address.ip())
}
