//! Clients that take too little or are too many; what an idle connection costs.

use tokio::io::AsyncWriteExt;

use super::{
    super::*,
    app::{Event, TestApp},
    client::*,
    server::{Server, quiet},
    soon, until,
};

#[tokio::test]
async fn a_websocket_that_does_not_read_is_cut() {
    let mut server = Server::with(Settings { send_queue_max_bytes: 100_000, ..quiet() }).await;
    let mut wire = Wire::over(Http::connect_narrow(server.address).await).await;
    wire.send("4flood").await;
    assert_eq!(server.event().await, Event::Began("flood".into()));
    assert_eq!(server.event().await, Event::Ended("flood".into()));
    assert_eq!(server.event().await, Event::Closed(CloseReason::SlowConsumer));
}

#[tokio::test]
async fn a_polling_session_that_does_not_fetch_is_cut() {
    let mut server = Server::with(Settings { send_queue_max_bytes: 100_000, ..quiet() }).await;
    let session = Polling::open(server.address).await;
    session.post("4flood").await;
    assert_eq!(server.end().await, CloseReason::SlowConsumer);
    session.assert_gone().await;
}

#[tokio::test]
async fn what_waits_is_bounded_in_bytes_and_one_long_packet_may_wait_alone() {
    let server = Server::with(Settings { send_queue_max_bytes: 1000, ..quiet() }).await;
    let session = Polling::open(server.address).await;
    session.say("4keep").await;
    let connection = server.kept().await;
    assert!(connection.send(&Packet::message(&"l".repeat(5000), &[])), "alone it may");
    assert_eq!(session.packets().await[0].len(), 5001);
    for _ in 0..9 {
        assert!(connection.send(&Packet::message(&"m".repeat(97), &[])));
    }
    assert!(connection.send(&Packet::message(&"m".repeat(97), &[])), "a thousand bytes with their frames");
    assert!(!connection.send(&Packet::message("", &[])));
    assert_eq!(connection.closed(), Some(CloseReason::SlowConsumer));
}

#[tokio::test]
async fn a_flood_of_pings_by_a_client_that_does_not_read_is_cut() {
    let mut server = Server::with(Settings { send_queue_max_bytes: 100_000, ..quiet() }).await;
    let wire = Wire::over(Http::connect_narrow(server.address).await).await;
    let pings = masked(FIN_PING, &[0; 125]).repeat(500);
    let (_read, mut write) = wire.http.stream.into_split();
    let writer = tokio::spawn(async move {
        for _ in 0..1000 {
            if write.write_all(&pings).await.is_err() {
                break;
            }
        }
    });
    assert_eq!(server.end().await, CloseReason::SlowConsumer);
    soon("the writer's end", writer).await.unwrap();
}

#[tokio::test]
async fn a_farewell_that_is_not_taken_is_over_at_its_deadline() {
    let settings = Settings { close_timeout: Duration::from_millis(300), send_queue_max_bytes: 1 << 26, ..quiet() };
    let mut server = Server::with(settings).await;
    let mut wire = Wire::over(Http::connect_narrow(server.address).await).await;
    wire.send("4keep").await;
    while server.event().await != Event::Ended("keep".into()) {}
    let connection = server.kept().await;
    let long = Packet::message(&"l".repeat(60_000), &[]);
    for _ in 0..200 {
        connection.send(&long);
    }
    connection.close_after_flush(CloseReason::ForcedServerClose);
    assert_eq!(connection.closed(), None, "it still flushes");
    assert!(!connection.send(&long), "nothing is taken any more");
    assert_eq!(server.end().await, CloseReason::ForcedServerClose);
}

#[tokio::test]
async fn sessions_are_bounded_in_all() {
    let mut server = Server::with(Settings { connections_max: 2, ..quiet() }).await;
    let first = Polling::open(server.address).await;
    let _second = Polling::open(server.address).await;
    let answer = request(server.address, "GET", "EIO=4&transport=polling", &[], b"").await;
    assert_eq!((answer.status, answer.code()), (503, 4));
    let mut http = Http::connect(server.address).await;
    http.write(&upgrade_request("EIO=4&transport=websocket", &[])).await;
    assert_eq!(http.answer().await.unwrap().status, 503);
    assert_eq!(server.transport.counters().refused, 2);
    // somebody may know a connection for longer than it lasts
    first.say("4keep\u{1e}1").await;
    server.end().await;
    until("the first session's end", || server.transport.connections() == 1).await;
    Polling::open(server.address).await;
}

#[tokio::test]
async fn sessions_are_bounded_for_each_address_as_its_proxy_tells_it() {
    let trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    let server = Server::with(Settings { connections_per_address_max: 1, trusted_proxies, ..quiet() }).await;
    let open = async |address: &str| {
        let headers = [("x-forwarded-for", address)];
        request(server.address, "GET", "EIO=4&transport=polling", &headers, b"").await.status
    };
    assert_eq!(open("192.0.2.1").await, 200);
    assert_eq!(open("192.0.2.1").await, 429);
    assert_eq!(open("192.0.2.2").await, 200);
}

/// An idle WebSocket is its task, its connection and its socket: what grows here grows a hundred thousand times.
#[tokio::test]
async fn an_idle_websocket_is_small() {
    let server = Server::start().await;
    let mut wire = Wire::open(server.address).await;
    wire.send("4keep").await;
    let connection = server.kept().await;
    let size = std::mem::size_of::<Connection<TestApp>>();
    assert!(size <= 384, "a connection has {size} bytes");
    let (stream, _) = tokio::join!(tokio::net::TcpStream::connect(server.address), async {});
    let (read, _write) = stream.unwrap().into_split();
    let task = super::super::websocket::run(connection, super::super::websocket::Wire::new(read, b"", 0, None));
    let size = std::mem::size_of_val(&task);
    assert!(size <= 400, "its task has {size} bytes");
}
