//! Shutting down tells clients, over whichever transport they have.

use super::{
    super::*,
    app::Event,
    client::*,
    server::{Server, quiet},
    soon, until,
};

#[tokio::test]
async fn clients_of_both_transports_are_told() {
    let mut server = Server::start().await;
    let mut wire = Wire::open(server.address).await;
    let waiting = Polling::open(server.address).await;
    let mut get = waiting.begin("GET", b"").await;
    waiting.say("3").await;
    let away = Polling::open(server.address).await;
    let transport = server.transport.clone();
    let shutdown = tokio::spawn(async move { transport.shutdown(CloseReason::ServerShuttingDown).await });
    assert_eq!(wire.next().await, Message::Close(1001, "server shutting down".into()));
    assert_eq!(wire.next().await, Message::End);
    assert_eq!(get.answer().await.unwrap().body, "1");
    assert_eq!(away.packets().await, ["1"]);
    soon("the shutdown", shutdown).await.unwrap();
    for _ in 0..3 {
        assert_eq!(server.event().await, Event::Closed(CloseReason::ServerShuttingDown));
    }
    assert_eq!(server.transport.connections(), 0);
}

#[tokio::test]
async fn what_is_queued_comes_before_the_farewell() {
    let server = Server::start().await;
    let mut wire = Wire::open(server.address).await;
    wire.send("4keep").await;
    assert_eq!(server.kept().await.enqueue(&Packet::message("queued", &[])), Enqueued::MustFlush);
    let session = Polling::open(server.address).await;
    session.say("4queued").await;
    let (_, ()) = tokio::join!(server.transport.shutdown(CloseReason::ServerShuttingDown), async {
        assert_eq!(wire.next().await, text("4queued"));
        assert_eq!(wire.close_code().await, 1001);
        assert_eq!(session.packets().await, ["4queued", "1"]);
    });
}

#[tokio::test]
async fn new_clients_get_503() {
    let server = Server::start().await;
    server.transport.shutdown(CloseReason::ServerShuttingDown).await;
    let answer = request(server.address, "GET", "EIO=4&transport=polling", &[], b"").await;
    assert_eq!((answer.status, answer.code()), (503, 4));
    let mut http = Http::connect(server.address).await;
    http.write(&upgrade_request("EIO=4&transport=websocket", &[])).await;
    assert_eq!(http.answer().await.unwrap().status, 503);
}

#[tokio::test]
async fn it_waits_for_handlers_and_no_longer_than_its_deadline() {
    let shutdown_grace = Duration::from_millis(300);
    let mut server = Server::with(Settings { shutdown_grace, ..quiet() }).await;
    let mut wire = Wire::open(server.address).await;
    wire.send("4wait").await;
    assert_eq!(server.event().await, Event::Began("wait".into()));
    let begin = Instant::now();
    soon("the shutdown", server.transport.shutdown(CloseReason::ServerShuttingDown)).await;
    assert!(begin.elapsed() >= shutdown_grace);
    assert_eq!(server.events_so_far(), []);
    server.open_gate();
    assert_eq!(server.event().await, Event::Ended("wait".into()));
    assert_eq!(server.event().await, Event::Closed(CloseReason::ServerShuttingDown));
}

#[tokio::test]
async fn nothing_of_it_is_left_behind() {
    let mut server = Server::start().await;
    let wire = Wire::open(server.address).await;
    drop(wire);
    server.end().await;
    server.transport.shutdown(CloseReason::ServerShuttingDown).await;
    server.stop_listening();
    let transport = Arc::downgrade(&server.transport);
    server.served().await;
    until("the last task's end", || transport.strong_count() == 0).await;
}
