//! WebSocket as the only transport.

use super::{
    super::*,
    app::Event,
    client::*,
    server::{Server, quiet},
    until,
};

#[tokio::test]
async fn text_and_binary_messages_of_every_length_come_back() {
    let server = Server::start().await;
    let mut wire = Wire::open(server.address).await;
    for len in [0, 1, 124, 125, 126, 65_534, 65_535, 65_536, 999_999] {
        let message = "y".repeat(len);
        wire.send(&format!("4{message}")).await;
        assert_eq!(wire.next().await, text(&format!("4{message}")));
        wire.send_frame(FIN_BINARY, message.as_bytes()).await;
        assert_eq!(wire.next().await, Message::Binary(message.into_bytes()));
    }
}

#[tokio::test]
async fn the_handshake_tells_the_settings_and_no_upgrades() {
    let server = Server::start().await;
    let http = Http::connect(server.address).await;
    let mut wire = Wire::switch(http, "EIO=4&transport=websocket", b"").await;
    let Message::Text(open) = wire.next().await else { panic!("no open packet") };
    let open: serde_json::Value = serde_json::from_str(open.strip_prefix('0').unwrap()).unwrap();
    let sid = open["sid"].as_str().unwrap();
    assert_eq!(sid.len(), 20);
    let settings = serde_json::json!({
        "sid": sid, "upgrades": [], "pingInterval": 25_000, "pingTimeout": 20_000, "maxPayload": 1_000_000
    });
    assert_eq!(open, settings);
}

#[tokio::test]
async fn frames_that_came_with_the_request_are_not_lost() {
    let server = Server::start().await;
    let http = Http::connect(server.address).await;
    let first = [masked(FIN_TEXT, b"4one"), masked(FIN_TEXT, b"4two")].concat();
    let mut wire = Wire::switch(http, "EIO=4&transport=websocket", &first[..first.len() - 1]).await;
    wire.http.write(&first[first.len() - 1..]).await;
    assert!(matches!(wire.next().await, Message::Text(open) if open.starts_with('0')));
    assert_eq!(wire.next().await, text("4one"));
    assert_eq!(wire.next().await, text("4two"));
}

#[tokio::test]
async fn a_ping_frame_is_answered_also_between_fragments() {
    let server = Server::start().await;
    let mut wire = Wire::open(server.address).await;
    wire.send_frame(frame::TEXT, b"4he").await;
    wire.send_frame(FIN_PING, b"still there?").await;
    wire.send_frame(0x80 | frame::CONTINUATION, b"llo").await;
    assert_eq!(wire.next().await, Message::Pong(b"still there?".to_vec()));
    assert_eq!(wire.next().await, text("4hello"));
}

#[tokio::test]
async fn a_fault_closes_with_the_code_that_names_it() {
    let mut server = Server::start().await;
    let long = vec![b'4'; 1_000_001];
    let unmasked = [&[FIN_TEXT, 2][..], b"4x"].concat();
    let faults: [(&str, Vec<u8>, u16, CloseReason); 14] = [
        ("a message beyond the limit", masked(FIN_TEXT, &long), 1009, CloseReason::TransportError),
        ("bytes beyond the limit", masked(FIN_BINARY, &long), 1009, CloseReason::TransportError),
        (
            "fragments beyond the limit",
            [masked(frame::TEXT, &long[..900_000]), masked(0x80, &long[..100_001])].concat(),
            1009,
            CloseReason::TransportError,
        ),
        (
            "a length beyond all limits",
            vec![FIN_TEXT, 0xff, 255, 255, 255, 255, 255, 255, 255, 255],
            1009,
            CloseReason::TransportError,
        ),
        ("text that is not UTF-8", masked(FIN_TEXT, b"4\xff\xfe"), 1007, CloseReason::TransportError),
        ("a frame without a mask", unmasked, 1002, CloseReason::TransportError),
        ("a reserved bit", masked(FIN_TEXT | 0x40, b"4x"), 1002, CloseReason::TransportError),
        ("an unknown opcode", masked(0x83, b"4x"), 1002, CloseReason::TransportError),
        ("a long control frame", masked(FIN_PING, &[0; 126]), 1002, CloseReason::TransportError),
        ("a control frame in parts", masked(frame::PING, b""), 1002, CloseReason::TransportError),
        ("a continuation of nothing", masked(0x80, b"4x"), 1002, CloseReason::TransportError),
        ("an unknown packet type", masked(FIN_TEXT, b"9"), 1002, CloseReason::ParseError),
        ("an empty packet", masked(FIN_TEXT, b""), 1002, CloseReason::ParseError),
        ("a probe of no upgrade", masked(FIN_TEXT, b"2probe"), 1002, CloseReason::ParseError),
    ];
    for (what, bytes, code, reason) in faults {
        let mut wire = Wire::open(server.address).await;
        wire.http.write(&bytes).await;
        let Message::Close(got, text) = wire.next().await else { panic!("{what}: no close frame") };
        assert_eq!(got, code, "{what}");
        assert!(!text.is_empty(), "{what}");
        assert_eq!(wire.next().await, Message::End, "{what}");
        assert_eq!(server.event().await, Event::Closed(reason), "{what}");
    }
}

#[tokio::test]
async fn a_client_that_still_sends_reads_why_it_is_refused() {
    // more than the system's buffers hold
    const LEN: usize = 32 << 20;
    let server = Server::start().await;
    let mut wire = Wire::open(server.address).await;
    wire.http.write(&masked(FIN_BINARY, &vec![0; LEN])).await;
    assert_eq!(wire.close_code().await, 1009);
}

#[tokio::test]
async fn what_came_before_a_fault_is_handled_and_nothing_behind_it() {
    let mut server = Server::start().await;
    let mut wire = Wire::open(server.address).await;
    let bytes = [masked(FIN_TEXT, b"4before"), masked(FIN_TEXT, b"9"), masked(FIN_TEXT, b"4behind")].concat();
    wire.http.write(&bytes).await;
    assert_eq!(wire.next().await, text("4before"));
    assert_eq!(wire.close_code().await, 1002);
    server.end().await;
    assert_eq!(server.events_so_far(), []);
}

#[tokio::test]
async fn a_close_frame_is_answered_with_its_code() {
    let mut server = Server::start().await;
    for (body, code) in [(&b""[..], 1000), (b"\x03\xe8", 1000), (b"\x0f\xa1bye", 4001)] {
        let mut wire = Wire::open(server.address).await;
        wire.send("4last").await;
        wire.send_frame(FIN_CLOSE, body).await;
        assert_eq!(wire.next().await, text("4last"));
        assert_eq!(wire.close_code().await, code);
        assert_eq!(server.event().await, Event::Began("last".into()));
        assert_eq!(server.event().await, Event::Ended("last".into()));
        assert_eq!(server.event().await, Event::Closed(CloseReason::TransportClose));
    }
}

#[tokio::test]
async fn a_close_packet_and_a_stream_that_ends_are_transport_closes() {
    let mut server = Server::start().await;
    let mut wire = Wire::open(server.address).await;
    wire.send("1").await;
    assert_eq!(wire.close_code().await, 1000);
    assert_eq!(server.event().await, Event::Closed(CloseReason::TransportClose));
    drop(Wire::open(server.address).await);
    assert_eq!(server.event().await, Event::Closed(CloseReason::TransportClose));
}

#[tokio::test]
async fn a_stream_that_breaks_is_a_transport_error() {
    let mut server = Server::start().await;
    let wire = Wire::open(server.address).await;
    wire.http.stream.set_zero_linger().unwrap();
    drop(wire);
    assert_eq!(server.event().await, Event::Closed(CloseReason::TransportError));
}

#[tokio::test]
async fn its_session_takes_no_requests_by_id() {
    let server = Server::start().await;
    let http = Http::connect(server.address).await;
    let mut wire = Wire::switch(http, "EIO=4&transport=websocket", b"").await;
    let Message::Text(open) = wire.next().await else { panic!("no open packet") };
    let open: serde_json::Value = serde_json::from_str(&open[1..]).unwrap();
    let sid = open["sid"].as_str().unwrap();
    for (method, transport) in [("GET", "polling"), ("POST", "polling"), ("GET", "websocket")] {
        let query = format!("EIO=4&transport={transport}&sid={sid}");
        let answer = request(server.address, method, &query, &[], b"4forged").await;
        assert_eq!((answer.status, answer.code()), (400, 1), "{method} {transport}");
    }
    wire.send("4mine").await;
    assert_eq!(wire.next().await, text("4mine"));
}

#[tokio::test]
async fn the_server_closes_behind_what_it_said_and_the_first_reason_stays() {
    let mut server = Server::start().await;
    let mut wire = Wire::open(server.address).await;
    wire.http.write(&[masked(FIN_TEXT, b"4kick"), masked(FIN_TEXT, b"4behind")].concat()).await;
    assert_eq!(wire.next().await, text("4goodbye"));
    assert_eq!(wire.next().await, Message::Close(1000, "forced server close".into()));
    assert_eq!(wire.next().await, Message::End);
    assert_eq!(server.event().await, Event::Began("kick".into()));
    assert_eq!(server.event().await, Event::Ended("kick".into()));
    assert_eq!(server.event().await, Event::Closed(CloseReason::ForcedServerClose));
    assert_eq!(server.events_so_far(), []);
}

#[tokio::test]
async fn a_cut_tells_its_code_when_nothing_waits() {
    let mut server = Server::start().await;
    let mut wire = Wire::open(server.address).await;
    wire.send("4cut").await;
    assert_eq!(wire.close_code().await, 1000);
    assert_eq!(server.end().await, CloseReason::ForcedServerClose);
}

#[tokio::test]
async fn an_application_that_panics_loses_this_connection_only() {
    let mut server = Server::start().await;
    let mut other = Wire::open(server.address).await;
    let mut wire = Wire::open(server.address).await;
    wire.send("4panic").await;
    wire.http.end().await;
    assert_eq!(server.end().await, CloseReason::TransportError);
    other.send("4here").await;
    assert_eq!(other.next().await, text("4here"));
    assert_eq!(server.transport.connections(), 1);
}

#[tokio::test]
async fn ends_are_counted_by_reason() {
    let mut server = Server::start().await;
    for _ in 0..3 {
        drop(Wire::open(server.address).await);
        server.end().await;
    }
    let mut wire = Wire::open(server.address).await;
    wire.send("4kick").await;
    server.end().await;
    // the connection is let go of right behind its last event
    until("the last connection's end", || server.transport.connections() == 0).await;
    let counters = server.transport.counters();
    assert_eq!(counters.opened, 4);
    let closed: Vec<_> = counters.closed.into_iter().filter(|(_, count)| *count > 0).collect();
    assert_eq!(closed, [(CloseReason::TransportClose, 3), (CloseReason::ForcedServerClose, 1)]);
}

#[tokio::test]
async fn websocket_can_be_turned_off() {
    let server = Server::with(Settings { websocket: false, ..quiet() }).await;
    let mut http = Http::connect(server.address).await;
    http.write(&upgrade_request("EIO=4&transport=websocket", &[])).await;
    let answer = http.answer().await.unwrap();
    assert_eq!((answer.status, answer.code()), (400, 0));
}
