//! Order, back-pressure, and writing while a handler waits.

use tokio::io::AsyncWriteExt;

use super::{
    super::*,
    app::Event,
    client::*,
    server::{Server, quiet},
    soon, until,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_clients_messages_are_handled_one_after_the_other() {
    const MESSAGES: usize = 300;
    let mut server = Server::start().await;
    let mut wire = Wire::open(server.address).await;
    let frames: Vec<u8> = (0..MESSAGES)
        .flat_map(|n| [masked(FIN_TEXT, b"4yield"), masked(FIN_TEXT, format!("4{n}").as_bytes())].concat())
        .collect();
    wire.http.write(&frames).await;
    for n in 0..MESSAGES {
        assert_eq!(wire.next().await, text(&format!("4{n}")));
    }
    for n in 0..MESSAGES {
        for text in ["yield".to_owned(), n.to_string()] {
            assert_eq!(server.event().await, Event::Began(text.clone()));
            assert_eq!(server.event().await, Event::Ended(text));
        }
    }
}

#[tokio::test]
async fn the_next_message_waits_for_the_handler_and_writing_goes_on() {
    let mut server = Server::start().await;
    let mut wire = Wire::open(server.address).await;
    wire.send("4keep").await;
    wire.http.write(&[masked(FIN_TEXT, b"4wait"), masked(FIN_TEXT, b"4next")].concat()).await;
    while server.event().await != Event::Began("wait".into()) {}
    let connection = server.kept().await;
    assert!(connection.send(&Packet::message("meanwhile", &[])));
    assert_eq!(connection.enqueue(&Packet::message("queued", &[])), Enqueued::MustFlush);
    assert_eq!(connection.enqueue(&Packet::message("too", &[])), Enqueued::Promised, "one flush was promised already");
    connection.flush();
    for expected in ["4meanwhile", "4queued", "4too"] {
        assert_eq!(wire.next().await, text(expected));
    }
    assert_eq!(server.events_so_far(), []);
    server.open_gate();
    assert_eq!(wire.next().await, text("4waited"));
    assert_eq!(wire.next().await, text("4next"));
}

#[tokio::test]
async fn what_a_blocked_socket_left_goes_out_while_the_handler_waits() {
    let server = Server::with(Settings { send_queue_max_bytes: 1 << 26, ..quiet() }).await;
    let mut wire = Wire::over(Http::connect_narrow(server.address).await).await;
    wire.send("4keep").await;
    wire.send("4wait").await;
    let connection = server.kept().await;
    let long = "l".repeat(60_000);
    for _ in 0..200 {
        assert!(connection.send(&Packet::message(&long, &[])));
    }
    assert!(!connection.is_writable(), "12 MB do not fit into the system's buffers");
    for _ in 0..200 {
        assert_eq!(wire.next().await, text(&format!("4{long}")));
    }
    server.open_gate();
    assert_eq!(wire.next().await, text("4waited"));
    assert!(connection.is_writable());
}

#[tokio::test]
async fn nothing_is_read_while_a_handler_waits() {
    const FRAME: usize = 64 * 1024;
    // more than the buffers of two sockets hold
    const FRAMES: usize = 1024;
    let mut server = Server::start().await;
    let mut wire = Wire::open(server.address).await;
    wire.send("4wait").await;
    while server.event().await != Event::Began("wait".into()) {}
    let frame = masked(FIN_BINARY, &vec![0; FRAME]);
    let mut sent = 0;
    // a write that takes so long will not be taken
    while sent < FRAMES && timeout(Duration::from_millis(500), wire.http.stream.write_all(&frame)).await.is_ok() {
        sent += 1;
    }
    assert!(sent < FRAMES, "{sent} frames were taken while the handler waited");
    assert_eq!(server.events_so_far(), []);
}

#[tokio::test]
async fn a_handler_that_began_ends_though_its_client_is_gone_and_the_end_comes_behind_it() {
    let mut server = Server::start().await;
    let mut wire = Wire::open(server.address).await;
    wire.send("4keep").await;
    wire.send("4wait").await;
    while server.event().await != Event::Began("wait".into()) {}
    let connection = server.kept().await;
    wire.http.stream.set_zero_linger().unwrap();
    drop(wire);
    // the break shows when something is written
    until("the break", || !connection.send(&Packet::message("anybody?", &[]))).await;
    assert_eq!(connection.closed(), Some(CloseReason::TransportError));
    // a whole round trip of somebody else: the server had time to give up
    Polling::open(server.address).await.say("3").await;
    assert_eq!(server.events_so_far(), []);
    server.open_gate();
    assert_eq!(server.event().await, Event::Ended("wait".into()));
    assert_eq!(server.event().await, Event::Closed(CloseReason::TransportError));
    assert_eq!(connection.enqueue(&Packet::message("too late", &[])), Enqueued::Nowhere);
    assert!(!connection.is_writable());
}

#[tokio::test]
async fn whoever_takes_the_turn_keeps_events_waiting() {
    let mut server = Server::start().await;
    let mut wire = Wire::open(server.address).await;
    wire.send("4keep").await;
    while server.event().await != Event::Ended("keep".into()) {}
    let connection = server.kept().await;
    let turn = connection.turn().await;
    wire.send("4mine").await;
    drop(wire);
    let mut other = Wire::open(server.address).await;
    other.send("4other").await;
    while server.event().await != Event::Ended("other".into()) {}
    drop(turn);
    assert_eq!(server.event().await, Event::Began("mine".into()));
    assert_eq!(server.event().await, Event::Ended("mine".into()));
    server.end().await;
}

#[tokio::test]
async fn the_end_waits_for_whoever_has_the_turn() {
    let mut server = Server::start().await;
    let session = Polling::open(server.address).await;
    session.say("4keep").await;
    assert_eq!(server.event().await, Event::Began("keep".into()));
    assert_eq!(server.event().await, Event::Ended("keep".into()));
    let connection = server.kept().await;
    let turn = connection.turn().await;
    connection.close(CloseReason::ForcedServerClose);
    // a whole round trip of somebody else: the server had time to tell
    Polling::open(server.address).await.say("3").await;
    assert_eq!(server.events_so_far(), []);
    drop(turn);
    assert_eq!(server.event().await, Event::Closed(CloseReason::ForcedServerClose));
}

#[tokio::test]
async fn nothing_behind_a_farewell_is_handled_while_it_is_not_taken() {
    let mut server = Server::with(Settings { send_queue_max_bytes: 1 << 26, ..quiet() }).await;
    let mut wire = Wire::over(Http::connect_narrow(server.address).await).await;
    wire.send("4keep").await;
    while server.event().await != Event::Ended("keep".into()) {}
    let connection = server.kept().await;
    let long = "l".repeat(60_000);
    for _ in 0..200 {
        assert!(connection.send(&Packet::message(&long, &[])));
    }
    wire.http.write(&[masked(FIN_TEXT, b"4kick"), masked(FIN_TEXT, b"4behind")].concat()).await;
    while server.event().await != Event::Ended("kick".into()) {}
    for _ in 0..200 {
        assert_eq!(wire.next().await, text(&format!("4{long}")));
    }
    assert_eq!(wire.next().await, text("4goodbye"));
    assert_eq!(wire.close_code().await, 1000);
    assert_eq!(server.event().await, Event::Closed(CloseReason::ForcedServerClose));
}

#[tokio::test]
async fn a_burst_gives_others_their_turn_every_eight_messages() {
    const MESSAGES: usize = 400;
    let mut server = Server::start().await;
    let mut wire = Wire::open(server.address).await;
    let frames: Vec<u8> = (0..MESSAGES).flat_map(|_| masked(FIN_TEXT, b"4x")).collect();
    wire.http.write(&frames).await;
    // this test is the other task: how many messages are handled between two of its turns
    let (mut handled, mut most) = (0, 0);
    soon("the burst", async {
        while handled < MESSAGES {
            yield_now().await;
            let now = server.events_so_far().iter().filter(|event| matches!(event, Event::Ended(_))).count();
            handled += now;
            most = most.max(now);
        }
    })
    .await;
    assert!(most <= 16, "{most} messages in one turn");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn frames_stay_whole_and_in_each_senders_order_whoever_writes() {
    const SENDERS: usize = 4;
    const PACKETS: usize = 400;
    let server = Server::with(Settings { send_queue_max_bytes: 1 << 28, ..quiet() }).await;
    let mut wire = Wire::over(Http::connect_narrow(server.address).await).await;
    wire.send("4keep").await;
    for sender in 0..SENDERS {
        let connection = server.kept().await;
        tokio::spawn(async move {
            for n in 0..PACKETS {
                let text = format!("{sender} {n} {}", "p".repeat((n * 7919 + sender) % 9000));
                let attachments: Vec<Bytes> = (0..n % 3).map(|_| Bytes::from(vec![sender as u8; n])).collect();
                let packet = Packet::message(&text, &attachments);
                if (n + sender) % 2 == 0 {
                    assert!(connection.send(&packet));
                } else if connection.enqueue(&packet) == Enqueued::MustFlush {
                    yield_now().await;
                    connection.flush();
                }
            }
        });
    }
    let mut next = [0; SENDERS];
    for _ in 0..SENDERS * PACKETS {
        let Message::Text(got) = wire.next().await else { panic!("no text") };
        let mut words = got[1..].splitn(3, ' ');
        let sender: usize = words.next().unwrap().parse().unwrap();
        let n: usize = words.next().unwrap().parse().unwrap();
        assert_eq!(n, next[sender], "of sender {sender}");
        assert_eq!(words.next().unwrap().len(), (n * 7919 + sender) % 9000);
        next[sender] += 1;
        for _ in 0..n % 3 {
            assert_eq!(wire.next().await, Message::Binary(vec![sender as u8; n]), "attachments follow their text");
        }
    }
}
