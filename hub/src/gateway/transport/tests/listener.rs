//! TCP connections that bring nothing, too little, or are too many.

use tokio::io::AsyncWriteExt;

use super::{
    super::*,
    client::*,
    server::{Server, quiet},
    soon,
};

const SHORT: Duration = Duration::from_millis(200);

#[tokio::test]
async fn half_a_request_is_dropped_at_its_deadline() {
    let settings = Settings { header_read_timeout: SHORT, keep_alive_idle_timeout: Duration::from_secs(60), ..quiet() };
    let server = Server::with(settings).await;
    for half in ["", "GET /engine.io/?EIO=4", "GET /engine.io/ HTTP/1.1\r\nhost: x\r\n"] {
        let mut http = Http::connect(server.address).await;
        http.write(half.as_bytes()).await;
        http.end().await;
    }
}

#[tokio::test]
async fn a_header_that_comes_byte_by_byte_is_dropped_at_its_deadline() {
    let server = Server::with(Settings { header_read_timeout: SHORT, ..quiet() }).await;
    let http = Http::connect(server.address).await;
    let dribble = async {
        http.stream.try_write(b"GET / HTTP/1.1\r\nx: ").unwrap();
        while http.stream.try_write(b"x").is_ok() {
            tokio::time::sleep(SHORT / 10).await;
        }
    };
    soon("the end of a dribble", dribble).await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_a_waiting_get_is_not() {
    let settings = Settings { keep_alive_idle_timeout: SHORT, header_read_timeout: Duration::from_secs(60), ..quiet() };
    let server = Server::with(settings).await;
    let session = Polling::open(server.address).await;
    let mut waiting = session.begin("GET", b"").await;
    let mut idle = Http::connect(server.address).await;
    idle.begin("GET", "EIO=4&transport=polling", &[], b"").await;
    assert_eq!(idle.answer().await.unwrap().status, 200);
    idle.end().await;
    session.say("4still waiting").await;
    assert_eq!(waiting.answer().await.unwrap().body, "4still waiting");
}

#[tokio::test]
async fn one_connection_serves_many_requests() {
    let server = Server::start().await;
    let mut http = Http::connect(server.address).await;
    for _ in 0..3 {
        http.begin("GET", "EIO=4&transport=polling", &[], b"").await;
        assert_eq!(http.answer().await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn headers_are_bounded() {
    let server = Server::start().await;
    let mut http = Http::connect(server.address).await;
    let long = "x".repeat(64 * 1024);
    // the server may stop reading in the midst of it
    let _ = http.stream.write_all(format!("GET / HTTP/1.1\r\nx: {long}\r\n\r\n").as_bytes()).await;
    if let Some(answer) = http.answer().await {
        assert_eq!(answer.status, 431);
    }
}

#[tokio::test]
async fn tcp_connections_are_bounded_and_a_websocket_keeps_its_place() {
    let server = Server::with(Settings { connections_max: 3, ..quiet() }).await;
    let mut wire = Wire::open(server.address).await;
    let idle = [Http::connect(server.address).await, Http::connect(server.address).await];
    let mut over = Http::connect(server.address).await;
    if let Some(answer) = over.answer().await {
        assert_eq!(answer.status, 503);
    }
    wire.send("4here").await;
    assert_eq!(wire.next().await, text("4here"));
    drop(idle);
    // places come back when the server has seen the ends
    soon("a place", async {
        loop {
            let mut http = Http::connect(server.address).await;
            let request = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
            if http.stream.write_all(request).await.is_ok() && http.answer().await.is_some_and(|a| a.status == 404) {
                break;
            }
        }
    })
    .await;
    server.stop_listening();
    let served = server.served().await;
    assert!(served.refused >= 1 && served.accepted >= 4, "{served:?}");
}

#[tokio::test]
async fn tcp_connections_are_bounded_for_each_address_but_not_for_a_proxy() {
    let limited = Server::with(Settings { connections_per_address_max: 1, ..quiet() }).await;
    let _first = Wire::open(limited.address).await;
    let mut second = Http::connect(limited.address).await;
    if let Some(answer) = second.answer().await {
        assert_eq!(answer.status, 503);
    }
    let trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let open = Server::with(Settings { connections_per_address_max: 1, trusted_proxies, ..quiet() }).await;
    let _idle = Http::connect(open.address).await;
    let mut second = Http::connect(open.address).await;
    second.begin("GET", "EIO=4", &[], b"").await;
    assert_eq!(second.answer().await.unwrap().status, 400);
}

#[tokio::test]
async fn a_listener_that_stops_closes_idle_connections_and_waits_for_requests() {
    let mut server = Server::start().await;
    let session = Polling::open(server.address).await;
    let mut idle = Http::connect(server.address).await;
    idle.begin("GET", "EIO=4&transport=polling", &[], b"").await;
    idle.answer().await.unwrap();
    let mut post = session.begin("POST", b"4wait").await;
    while server.event().await != super::app::Event::Began("wait".into()) {}
    server.stop_listening();
    idle.end().await;
    assert!(tokio::net::TcpStream::connect(server.address).await.is_err());
    server.open_gate();
    assert_eq!(post.answer().await.unwrap().body, "ok");
    server.served().await;
}

#[tokio::test]
async fn a_listener_that_stops_cuts_who_does_not_end() {
    let server = Server::with(Settings { close_timeout: SHORT, ..quiet() }).await;
    let session = Polling::open(server.address).await;
    let mut waiting = session.begin("GET", b"").await;
    session.say("3").await;
    server.stop_listening();
    waiting.end().await;
    server.served().await;
}
