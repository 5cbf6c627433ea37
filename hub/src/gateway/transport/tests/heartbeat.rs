//! Pings, and clients that fall silent.

use std::time::Instant;

use super::{
    super::*,
    app::Event,
    client::*,
    server::{Server, quiet},
};

const INTERVAL: Duration = Duration::from_millis(150);
const TIMEOUT: Duration = Duration::from_millis(150);
/// How much too early a timer may seem to fire: clocks are read on two sides.
const EARLY: Duration = Duration::from_millis(20);

fn lively() -> Settings {
    Settings { ping_interval: INTERVAL, ping_timeout: TIMEOUT, ..quiet() }
}

#[tokio::test]
async fn pings_come_at_the_interval_the_first_one_too_and_who_answers_stays() {
    let server = Server::with(lively()).await;
    let mut before = Instant::now();
    let mut wire = Wire::open(server.address).await;
    for _ in 0..4 {
        assert_eq!(wire.next().await, text("2"));
        assert!(before.elapsed() >= INTERVAL - EARLY, "a ping after {:?}", before.elapsed());
        before = Instant::now();
        wire.send("3").await;
    }
    wire.send("4alive").await;
    assert_eq!(wire.next().await, text("4alive"));
}

#[tokio::test]
async fn a_silent_websocket_is_let_go() {
    let mut server = Server::with(lively()).await;
    let begin = Instant::now();
    let mut wire = Wire::open(server.address).await;
    assert_eq!(wire.next().await, text("2"));
    assert_eq!(wire.next().await, Message::End);
    assert!(begin.elapsed() >= INTERVAL + TIMEOUT - EARLY, "{:?}", begin.elapsed());
    assert_eq!(server.event().await, Event::Closed(CloseReason::PingTimeout));
}

#[tokio::test]
async fn a_silent_polling_session_is_let_go() {
    let mut server = Server::with(lively()).await;
    let begin = Instant::now();
    let session = Polling::open(server.address).await;
    assert_eq!(session.packets().await, ["2"]);
    assert_eq!(session.packets().await, ["1"]);
    assert!(begin.elapsed() >= INTERVAL + TIMEOUT - EARLY, "{:?}", begin.elapsed());
    assert_eq!(server.event().await, Event::Closed(CloseReason::PingTimeout));
    session.assert_gone().await;
}

#[tokio::test]
async fn a_polling_session_that_answers_stays() {
    let server = Server::with(lively()).await;
    let session = Polling::open(server.address).await;
    for _ in 0..4 {
        assert_eq!(session.packets().await, ["2"]);
        session.say("3").await;
    }
}

#[tokio::test]
async fn a_connection_at_work_does_not_time_out() {
    let mut server = Server::with(lively()).await;
    let mut wire = Wire::open(server.address).await;
    wire.send("4wait").await;
    assert_eq!(server.event().await, Event::Began("wait".into()));
    // several ping timeouts of a client that has none of them and answers
    let mut clock = Wire::open(server.address).await;
    for _ in 0..6 {
        assert_eq!(clock.next().await, text("2"));
        clock.send("3").await;
    }
    assert_eq!(wire.next().await, text("2"));
    wire.send("3").await;
    server.open_gate();
    assert_eq!(wire.next().await, text("4waited"));
    wire.send("4alive").await;
    loop {
        match wire.next().await {
            Message::Text(ping) if ping == "2" => wire.send("3").await,
            message => break assert_eq!(message, text("4alive")),
        }
    }
}

#[tokio::test]
async fn who_joins_nothing_in_time_is_sent_away() {
    let mut server = Server::with(Settings { connect_timeout: Duration::from_millis(200), ..quiet() }).await;
    let begin = Instant::now();
    let mut wire = Wire::open(server.address).await;
    let session = Polling::open(server.address).await;
    assert_eq!(wire.close_code().await, 1000);
    assert!(begin.elapsed() >= Duration::from_millis(200) - EARLY);
    assert_eq!(session.packets().await, ["1"]);
    for _ in 0..2 {
        assert_eq!(server.event().await, Event::Closed(CloseReason::ForcedServerClose));
    }
}

#[tokio::test]
async fn who_joined_in_time_stays() {
    let connect_timeout = Duration::from_millis(300);
    let mut server = Server::with(Settings { connect_timeout, ..quiet() }).await;
    let mut wire = Wire::open(server.address).await;
    wire.send("4join").await;
    wire.send("4joined").await;
    assert_eq!(wire.next().await, text("4joined"));
    // somebody who joins nothing shows that the time is over
    drop(server.events_so_far());
    let mut other = Wire::open(server.address).await;
    other.close_code().await;
    assert_eq!(server.end().await, CloseReason::ForcedServerClose);
    wire.send("4here").await;
    assert_eq!(wire.next().await, text("4here"));
}
