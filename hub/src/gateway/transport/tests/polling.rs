//! Long polling: payloads, their limits, and how a session ends.

use super::{
    super::*,
    app::Event,
    client::*,
    server::{Server, quiet},
    soon,
};

#[tokio::test]
async fn payloads_come_back_in_order_binary_too() {
    let server = Server::start().await;
    let session = Polling::open(server.address).await;
    session.say("4one\u{1e}bAQID\u{1e}4grün\u{1e}bAQIDBA==\u{1e}bAQIDBA\u{1e}4").await;
    assert_eq!(session.packets().await, ["4one", "bAQID", "4grün", "bAQIDBA==", "bAQIDBA==", "4"]);
}

#[tokio::test]
async fn a_get_waits_until_there_is_something_to_say() {
    let server = Server::start().await;
    let session = Polling::open(server.address).await;
    let mut get = session.begin("GET", b"").await;
    session.say("4wake up").await;
    assert_eq!(get.answer().await.unwrap().body, "4wake up");
}

#[tokio::test]
async fn a_long_queue_comes_in_several_answers() {
    let server = Server::with(Settings { max_payload_bytes: 100, ..quiet() }).await;
    let session = Polling::open(server.address).await;
    let packets: Vec<String> = (0..10).map(|n| format!("4{n}{}", "z".repeat(28))).collect();
    for packet in &packets {
        session.say(packet).await;
    }
    let mut got = Vec::new();
    while got.len() < packets.len() {
        let answer = session.get().await;
        assert!(answer.body.len() <= 100, "{}", answer.body.len());
        got.extend(answer.body.split('\u{1e}').map(str::to_owned));
    }
    assert_eq!(got, packets);
}

#[tokio::test]
async fn many_packets_come_in_answers_of_sixteen() {
    let server = Server::start().await;
    let session = Polling::open(server.address).await;
    let packets: Vec<String> = (0..40).map(|n| format!("4{n}")).collect();
    session.say(&packets.join("\u{1e}")).await;
    let mut got = Vec::new();
    for expected in [16, 16, 8] {
        let answer = session.packets().await;
        assert_eq!(answer.len(), expected);
        got.extend(answer);
    }
    assert_eq!(got, packets);
}

#[tokio::test]
async fn a_message_with_many_attachments_comes_in_several_answers_and_nothing_between() {
    let server = Server::with(Settings { polling_packets_max: 3, ..quiet() }).await;
    let session = Polling::open(server.address).await;
    session.say("4keep").await;
    let connection = server.kept().await;
    let attachments = ["a", "b", "c", "d", "e", "f"].map(Bytes::from);
    assert!(connection.send(&Packet::message("before", &[])));
    assert!(connection.send(&Packet::message("56-[]", &attachments)));
    assert!(connection.send(&Packet::message("behind", &[])));
    assert_eq!(session.packets().await, ["4before", "456-[]", "bYQ=="]);
    assert!(connection.send(&Packet::message("last", &[])));
    assert_eq!(session.packets().await, ["bYg==", "bYw==", "bZA=="]);
    assert_eq!(session.packets().await, ["bZQ==", "bZg==", "4behind"]);
    assert_eq!(session.packets().await, ["4last"]);
}

#[tokio::test]
async fn a_payload_within_the_limit_is_taken_and_one_beyond_it_closes_the_session() {
    let mut server = Server::start().await;
    let session = Polling::open(server.address).await;
    let longest = "4".repeat(1_000_000);
    session.say(&longest).await;
    assert_eq!(session.packets().await, [longest]);
    let answer = session.post("4".repeat(1_000_001)).await;
    assert_eq!(answer.status, 413);
    assert_eq!(server.end().await, CloseReason::TransportError);
    session.assert_gone().await;
}

#[tokio::test]
async fn what_is_no_packet_closes_the_session_and_what_follows_is_not_handled() {
    let mut server = Server::start().await;
    let bad: [&[u8]; 9] = [b"", b"abc", b"9", b"0{}", b"2", b"b!", b"4\xff", b"3x", b"4before\x1e9\x1e4behind"];
    for bad in bad {
        let session = Polling::open(server.address).await;
        let answer = session.post(bad).await;
        assert_eq!((answer.status, answer.code()), (400, 3), "{bad:?}");
        assert_eq!(server.end().await, CloseReason::ParseError, "{bad:?}");
        session.assert_gone().await;
    }
    assert_eq!(server.events_so_far(), []);
}

#[tokio::test]
async fn two_gets_at_once_close_the_session() {
    let mut server = Server::start().await;
    let session = Polling::open(server.address).await;
    let mut first = session.begin("GET", b"").await;
    let mut second = session.begin("GET", b"").await;
    let (first, second) = tokio::join!(first.answer(), second.answer());
    let mut answers = [first.unwrap(), second.unwrap()];
    answers.sort_by_key(|answer| answer.status);
    assert_eq!((answers[0].status, &*answers[0].body), (200, "1"));
    assert_eq!((answers[1].status, answers[1].code()), (400, 3));
    assert_eq!(server.end().await, CloseReason::TransportError);
    session.assert_gone().await;
}

#[tokio::test]
async fn two_posts_at_once_close_the_session() {
    let mut server = Server::start().await;
    let session = Polling::open(server.address).await;
    let mut first = session.begin("POST", b"4wait").await;
    assert_eq!(server.event().await, Event::Began("wait".into()));
    let answer = session.post("4second").await;
    assert_eq!((answer.status, answer.code()), (400, 3));
    server.open_gate();
    first.answer().await.unwrap();
    assert_eq!(server.event().await, Event::Ended("wait".into()));
    assert_eq!(server.event().await, Event::Closed(CloseReason::TransportError));
}

#[tokio::test]
async fn a_get_that_its_client_aborts_closes_the_session() {
    let mut server = Server::start().await;
    let session = Polling::open(server.address).await;
    let get = session.begin("GET", b"").await;
    session.say("3").await;
    drop(get);
    assert_eq!(server.end().await, CloseReason::TransportError);
    session.assert_gone().await;
}

#[tokio::test]
async fn a_post_that_its_client_aborts_while_it_is_read_closes_the_session() {
    let mut server = Server::start().await;
    let session = Polling::open(server.address).await;
    let mut http = Http::connect(server.address).await;
    let head = format!("POST {PATH}?{} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n4abc", session.query());
    http.write(head.as_bytes()).await;
    drop(http);
    assert_eq!(server.end().await, CloseReason::TransportError);
    assert_eq!(server.events_so_far(), []);
}

#[tokio::test]
async fn a_post_whose_body_does_not_come_is_given_up() {
    let mut server = Server::with(Settings { body_timeout: Duration::from_millis(200), ..quiet() }).await;
    let session = Polling::open(server.address).await;
    let mut http = Http::connect(server.address).await;
    let head = format!("POST {PATH}?{} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n4abc", session.query());
    http.write(head.as_bytes()).await;
    assert_eq!(http.answer().await.unwrap().status, 408);
    assert_eq!(server.end().await, CloseReason::TransportError);
}

#[tokio::test]
async fn a_client_that_goes_away_cuts_no_handler_in_two() {
    let mut server = Server::start().await;
    let session = Polling::open(server.address).await;
    let post = session.begin("POST", b"4wait\x1e4next").await;
    assert_eq!(server.event().await, Event::Began("wait".into()));
    drop(post);
    // a whole round trip of somebody else: the server had time to notice
    Polling::open(server.address).await.say("3").await;
    server.open_gate();
    for expected in [Event::Ended("wait".into()), Event::Began("next".into()), Event::Ended("next".into())] {
        assert_eq!(server.event().await, expected);
    }
    assert_eq!(session.packets().await, ["4waited", "4next"]);
}

#[tokio::test]
async fn a_close_packet_ends_the_session_and_its_waiting_get() {
    let mut server = Server::start().await;
    let session = Polling::open(server.address).await;
    let mut get = session.begin("GET", b"").await;
    session.say("3").await;
    session.say("1").await;
    let answer = get.answer().await.unwrap();
    assert_eq!((answer.status, &*answer.body), (200, "6"));
    assert_eq!(server.end().await, CloseReason::TransportClose);
    session.assert_gone().await;
}

#[tokio::test]
async fn a_get_that_comes_behind_the_close_packet_is_answered_once() {
    let mut server = Server::start().await;
    let session = Polling::open(server.address).await;
    session.say("1").await;
    assert_eq!(server.end().await, CloseReason::TransportClose);
    let answer = session.get().await;
    assert_eq!((answer.status, &*answer.body), (200, "6"));
    let answer = session.get().await;
    assert_eq!((answer.status, answer.code()), (400, 1));
}

#[tokio::test]
async fn a_post_behind_the_close_packet_is_refused() {
    let server = Server::start().await;
    let session = Polling::open(server.address).await;
    session.say("1").await;
    session.assert_gone().await;
}

#[tokio::test]
async fn the_server_closes_behind_what_it_said() {
    let mut server = Server::start().await;
    let waiting = Polling::open(server.address).await;
    let mut get = waiting.begin("GET", b"").await;
    waiting.say("4kick").await;
    let mut said = get.answer().await.unwrap().body;
    if said == "4goodbye" {
        said = format!("{said}\u{1e}{}", waiting.get().await.body);
    }
    assert_eq!(said, "4goodbye\u{1e}1");
    assert_eq!(server.end().await, CloseReason::ForcedServerClose);
    let later = Polling::open(server.address).await;
    later.say("4kick\u{1e}4behind").await;
    assert_eq!(later.packets().await, ["4goodbye", "1"]);
    assert_eq!(server.event().await, Event::Began("kick".into()));
    assert_eq!(server.event().await, Event::Ended("kick".into()));
    assert_eq!(server.event().await, Event::Closed(CloseReason::ForcedServerClose));
}

#[tokio::test]
async fn a_close_that_nobody_fetches_is_over_at_its_deadline() {
    let mut server = Server::with(Settings { close_timeout: Duration::from_millis(300), ..quiet() }).await;
    let session = Polling::open(server.address).await;
    session.say("4kick").await;
    assert_eq!(server.end().await, CloseReason::ForcedServerClose);
    session.assert_gone().await;
}

#[tokio::test]
async fn an_application_that_panics_loses_this_session_only() {
    let mut server = Server::start().await;
    let session = Polling::open(server.address).await;
    assert_eq!(session.post("4panic").await.status, 400);
    assert_eq!(server.end().await, CloseReason::TransportError);
    let other = Polling::open(server.address).await;
    other.say("4here").await;
    assert_eq!(other.packets().await, ["4here"]);
}

#[tokio::test]
async fn a_session_cannot_speak_for_another() {
    let server = Server::start().await;
    let (mine, foreign) = (Polling::open(server.address).await, Polling::open(server.address).await);
    assert_ne!(mine.sid, foreign.sid);
    foreign.say("4theirs").await;
    mine.say("4mine").await;
    assert_eq!(mine.packets().await, ["4mine"]);
    assert_eq!(foreign.packets().await, ["4theirs"]);
}

#[tokio::test]
async fn polling_can_be_turned_off() {
    let server = Server::with(Settings { polling: false, ..quiet() }).await;
    let answer = request(server.address, "GET", "EIO=4&transport=polling", &[], b"").await;
    assert_eq!((answer.status, answer.code()), (400, 0));
    soon("WebSocket", Wire::open(server.address)).await;
}
