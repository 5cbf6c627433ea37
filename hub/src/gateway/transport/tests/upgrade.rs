//! From polling to WebSocket without losing, doubling or reordering anything.

use super::{
    super::*,
    app::Event,
    client::*,
    server::{Server, quiet},
};

/// A session whose WebSocket was probed, with the upgrade still to come.
async fn probed(server: &Server) -> (Polling, Wire) {
    let session = Polling::open(server.address).await;
    let mut wire = Wire::upgrade(&session).await;
    wire.send("2probe").await;
    assert_eq!(wire.next().await, text("3probe"));
    (session, wire)
}

#[tokio::test]
async fn a_get_that_waits_is_released_by_the_probe_and_messages_flow_on() {
    let server = Server::start().await;
    let session = Polling::open(server.address).await;
    let mut get = session.begin("GET", b"").await;
    session.say("3").await;
    let mut wire = Wire::upgrade(&session).await;
    wire.send("2probe").await;
    assert_eq!(wire.next().await, text("3probe"));
    assert_eq!(get.answer().await.unwrap().body, "6");
    wire.send("5").await;
    wire.send("4hello").await;
    assert_eq!(wire.next().await, text("4hello"));
}

#[tokio::test]
async fn a_get_behind_the_probe_is_answered_at_once() {
    let server = Server::start().await;
    let (session, mut wire) = probed(&server).await;
    assert_eq!(session.packets().await, ["6"]);
    assert_eq!(session.packets().await, ["6"]);
    session.say("4queued").await;
    assert_eq!(session.packets().await, ["4queued"]);
    wire.send("5").await;
    wire.send("4hello").await;
    assert_eq!(wire.next().await, text("4hello"));
}

#[tokio::test]
async fn what_nobody_fetched_comes_over_websocket_once_and_in_order() {
    let server = Server::start().await;
    let (session, mut wire) = probed(&server).await;
    session.say("4one\u{1e}bAQID").await;
    assert_eq!(session.packets().await, ["4one", "bAQID"]);
    session.say("4two\u{1e}bBAUG\u{1e}4three").await;
    wire.send("5").await;
    wire.send("4last").await;
    let expected = [text("4two"), Message::Binary(vec![4, 5, 6]), text("4three"), text("4last")];
    for message in expected {
        assert_eq!(wire.next().await, message);
    }
}

#[tokio::test]
async fn what_a_get_has_of_a_message_does_not_come_again_over_websocket() {
    let server = Server::with(Settings { polling_packets_max: 2, ..quiet() }).await;
    let (session, mut wire) = probed(&server).await;
    session.say("4keep").await;
    let connection = server.kept().await;
    let attachments = ["a", "b", "c"].map(Bytes::from);
    assert!(connection.send(&Packet::message("53-[]", &attachments)));
    assert!(connection.send(&Packet::message("behind", &[])));
    assert_eq!(session.packets().await, ["453-[]", "bYQ=="]);
    wire.send("5").await;
    for message in [Message::Binary(b"b".into()), Message::Binary(b"c".into()), text("4behind")] {
        assert_eq!(wire.next().await, message);
    }
}

#[tokio::test]
async fn the_upgrade_and_what_follows_may_come_in_one_read() {
    let server = Server::start().await;
    let session = Polling::open(server.address).await;
    let query = format!("EIO=4&transport=websocket&sid={}", session.sid);
    let frames = [&b"2probe"[..], b"5", b"4a", b"4b"].map(|packet| masked(FIN_TEXT, packet)).concat();
    let mut wire = Wire::switch(Http::connect(server.address).await, &query, &frames).await;
    for expected in ["3probe", "4a", "4b"] {
        assert_eq!(wire.next().await, text(expected));
    }
}

#[tokio::test]
async fn a_broadcast_during_upgrades_reaches_everybody_without_gap_or_double() {
    const NUMBERS: usize = 300;
    let server = Server::start().await;
    let session = Polling::open(server.address).await;
    session.say("4keep").await;
    let connection = server.kept().await;
    let sender = tokio::spawn(async move {
        for n in 0..NUMBERS {
            let packet = Packet::message(&n.to_string(), &[]);
            match n % 3 {
                0 => drop(connection.send(&packet)),
                _ => {
                    if connection.enqueue(&packet) == Enqueued::MustFlush {
                        yield_now().await;
                        connection.flush();
                    }
                }
            }
            yield_now().await;
        }
    });
    let mut got = session.packets().await;
    let mut wire = Wire::upgrade(&session).await;
    wire.send("2probe").await;
    assert_eq!(wire.next().await, text("3probe"));
    got.extend(session.packets().await);
    wire.send("5").await;
    got.retain(|packet| packet != "6");
    while got.len() < NUMBERS {
        let Message::Text(packet) = wire.next().await else { panic!("the stream ended at {}", got.len()) };
        got.push(packet);
    }
    sender.await.unwrap();
    assert_eq!(got, (0..NUMBERS).map(|n| format!("4{n}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn afterwards_requests_are_refused_and_the_session_lives_on() {
    let server = Server::start().await;
    let (session, mut wire) = probed(&server).await;
    wire.send("5").await;
    wire.send("4up").await;
    assert_eq!(wire.next().await, text("4up"));
    for answer in [session.get().await, session.post("4by post").await] {
        assert_eq!((answer.status, answer.code()), (400, 3));
    }
    let mut second = Wire::upgrade(&session).await;
    assert_eq!(second.close_code().await, 1008);
    wire.send("4hello").await;
    assert_eq!(wire.next().await, text("4hello"));
}

#[tokio::test]
async fn a_second_websocket_is_closed_and_the_first_may_go_on() {
    let server = Server::start().await;
    let (session, mut wire) = probed(&server).await;
    let mut second = Wire::upgrade(&session).await;
    assert_eq!(second.close_code().await, 1008);
    wire.send("5").await;
    wire.send("4hello").await;
    assert_eq!(wire.next().await, text("4hello"));
}

#[tokio::test]
async fn a_probe_that_fails_leaves_polling_as_it_was() {
    let server = Server::start().await;
    let wrong = ["4too early", "5", "9", "1"];
    for packet in wrong {
        let session = Polling::open(server.address).await;
        let mut get = session.begin("GET", b"").await;
        session.say("3").await;
        let mut wire = Wire::upgrade(&session).await;
        wire.send(packet).await;
        assert_eq!(wire.close_code().await, 1008, "{packet}");
        session.say("4still polling").await;
        assert_eq!(get.answer().await.unwrap().body, "4still polling", "{packet}");
    }
}

#[tokio::test]
async fn a_probed_websocket_that_breaks_off_leaves_polling_as_it_was_and_a_second_try_succeeds() {
    let server = Server::start().await;
    let (session, wire) = probed(&server).await;
    drop(wire);
    // until the server knows, it takes no second one
    let mut wire = loop {
        let mut wire = Wire::upgrade(&session).await;
        wire.send("2probe").await;
        if wire.next().await == text("3probe") {
            break wire;
        }
    };
    session.say("4still polling").await;
    assert_eq!(session.packets().await, ["4still polling"]);
    wire.send("5").await;
    wire.send("4hello").await;
    assert_eq!(wire.next().await, text("4hello"));
}

#[tokio::test]
async fn a_failed_probe_lets_gets_wait_again() {
    let server = Server::start().await;
    let (session, mut wire) = probed(&server).await;
    wire.send("4instead of the upgrade").await;
    assert_eq!(wire.close_code().await, 1008);
    let mut get = session.begin("GET", b"").await;
    session.say("4still polling").await;
    assert_eq!(get.answer().await.unwrap().body, "4still polling");
}

#[tokio::test]
async fn an_upgrade_that_does_not_come_is_given_up() {
    let server = Server::with(Settings { upgrade_timeout: Duration::from_millis(200), ..quiet() }).await;
    let (session, mut wire) = probed(&server).await;
    assert_eq!(wire.close_code().await, 1008);
    session.say("4still polling").await;
    assert_eq!(session.packets().await, ["4still polling"]);
}

#[tokio::test]
async fn a_post_under_way_is_handled_before_what_comes_over_websocket() {
    let mut server = Server::start().await;
    let (session, mut wire) = probed(&server).await;
    let mut post = session.begin("POST", b"4wait\x1e4posted").await;
    assert_eq!(server.event().await, Event::Began("wait".into()));
    wire.send("5").await;
    wire.send("4by wire").await;
    // a whole round trip of somebody else: the server had time to read it
    Polling::open(server.address).await.say("3").await;
    server.open_gate();
    for expected in ["4waited", "4posted", "4by wire"] {
        assert_eq!(wire.next().await, text(expected));
    }
    assert_eq!(post.answer().await.unwrap().body, "ok");
}

#[tokio::test]
async fn a_session_that_ends_while_it_is_upgraded_closes_its_websocket() {
    let mut server = Server::start().await;
    let (session, mut wire) = probed(&server).await;
    session.say("1").await;
    assert_eq!(wire.close_code().await, 1008);
    assert_eq!(server.end().await, CloseReason::TransportClose);
}

#[tokio::test]
async fn a_farewell_that_waits_goes_with_the_upgrade() {
    let mut server = Server::start().await;
    let (session, mut wire) = probed(&server).await;
    session.say("4kick").await;
    wire.send("5").await;
    assert_eq!(wire.next().await, text("4goodbye"));
    assert_eq!(wire.close_code().await, 1000);
    assert_eq!(server.end().await, CloseReason::ForcedServerClose);
}

#[tokio::test]
async fn upgrades_can_be_turned_off() {
    let server = Server::with(Settings { allow_upgrades: false, ..quiet() }).await;
    let answer = request(server.address, "GET", "EIO=4&transport=polling", &[], b"").await;
    assert!(answer.body.contains(r#""upgrades":[]"#), "{}", answer.body);
    let session = Polling::open(server.address).await;
    let mut http = Http::connect(server.address).await;
    http.write(&upgrade_request(&format!("EIO=4&transport=websocket&sid={}", session.sid), &[])).await;
    let answer = http.answer().await.unwrap();
    assert_eq!((answer.status, answer.code()), (400, 3));
}
