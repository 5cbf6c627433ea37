//! What clients in rooms see.

use hubbub_plugin::testing::{TestHub, TestSocket};

use super::*;

fn hub() -> TestHub {
    TestHub::new().plugin::<Rooms>(json!({}))
}

fn member(hub: &TestHub, room: &str) -> TestSocket {
    let socket = hub.connect();
    assert!(socket.send("join", json!({ "room": room })).error_code().is_none());
    let _ = socket.inbox();
    socket
}

#[test]
fn a_join_is_acked_with_the_number_of_members_and_told_to_all() {
    let hub = hub();
    let ann = member(&hub, "lobby");
    let bob = hub.connect_as("bob");
    assert_eq!(bob.send("join", json!({ "room": "lobby" })), json!({ "ok": true, "members": 2 }));
    let joined = ("joined", json!({ "room": "lobby", "socket": bob.id(), "user": "bob" }));
    assert_eq!(ann.inbox(), std::slice::from_ref(&joined));
    assert_eq!(bob.inbox(), [joined]);
}

#[test]
fn joining_twice_changes_nothing_and_tells_nobody() {
    let hub = hub();
    let (ann, bob) = (member(&hub, "lobby"), member(&hub, "lobby"));
    let _ = ann.inbox();
    assert_eq!(bob.send("join", json!({ "room": "lobby" })), json!({ "ok": true, "members": 2 }));
    assert!(ann.inbox().is_empty());
    assert_eq!(bob.rooms(), ["lobby"]);
}

#[test]
fn a_message_reaches_all_members_with_sender_and_id_and_nobody_else() {
    let hub = hub();
    let (ann, bob, stranger) = (member(&hub, "lobby"), member(&hub, "lobby"), member(&hub, "other"));
    let _ = ann.inbox();
    let ack = ann.send("message", json!({ "room": "lobby", "text": "hi \"all\"", "n": [1, { "x": null }] }));
    let id = ack.args[0]["id"].clone();
    assert_eq!(ack, json!({ "ok": true, "id": id }));
    let sent = json!({ "room": "lobby", "text": "hi \"all\"", "n": [1, { "x": null }], "from": ann.id(), "id": id });
    for socket in [&ann, &bob] {
        assert_eq!(socket.inbox(), [("message", sent.clone())]);
    }
    assert!(stranger.inbox().is_empty());
    let next = ann.send("message", json!({ "room": "lobby", "text": "" }));
    assert_ne!(next.args[0]["id"], id);
}

#[test]
fn a_forged_sender_is_overwritten() {
    let hub = hub();
    let ann = member(&hub, "lobby");
    ann.send("message", json!({ "room": "lobby", "text": "x", "from": "bob", "id": 1 }));
    let got = ann.inbox().remove(0).args.remove(0);
    assert_eq!(got["from"], ann.id());
    assert!(got["id"].is_string());
    // said twice: no reader can be made to take the client's
    let twice = Args::raw(r#"[{"room":"lobby","text":"x","from":"bob","from":"bob"}]"#, vec![]);
    assert_eq!(ann.send_args("message", twice).rejection_code(), Some("bad_request"));
}

#[test]
fn binary_parts_of_a_message_arrive() {
    let hub = hub();
    let ann = member(&hub, "lobby");
    let json = r#"[{"room":"lobby","text":"","file":{"_placeholder":true,"num":0}}]"#;
    ann.emit_args("message", Args::raw(json, vec![vec![1, 2]]));
    let got = ann.inbox().remove(0);
    assert_eq!(got.attachments, [[1, 2]]);
    assert_eq!(got.args[0]["file"], json!({ "_placeholder": true, "num": 0 }));
}

#[test]
fn who_is_no_member_may_not_speak_nor_leave() {
    let hub = hub();
    let (ann, bob) = (member(&hub, "lobby"), hub.connect());
    for event in ["message", "leave"] {
        let body =
            if event == "message" { json!({ "room": "lobby", "text": "hi" }) } else { json!({ "room": "lobby" }) };
        let ack = bob.send(event, body);
        assert_eq!(ack.error_code(), Some("rejected"));
        assert_eq!(ack.rejection_code(), Some("not_a_member"));
        assert_eq!(ack.error_message(), Some("not a member of lobby"));
    }
    assert!(ann.inbox().is_empty());
}

#[test]
fn a_leave_is_told_to_those_who_stay() {
    let hub = hub();
    let (ann, bob) = (member(&hub, "lobby"), member(&hub, "lobby"));
    let _ = ann.inbox();
    assert_eq!(bob.send("leave", json!({ "room": "lobby" })), json!({ "ok": true }));
    assert_eq!(ann.inbox(), [("left", json!({ "room": "lobby", "socket": bob.id() }))]);
    assert!(bob.inbox().is_empty());
    assert_eq!(hub.room_size("lobby"), 1);
}

#[test]
fn who_loses_the_connection_is_seen_to_leave_every_room() {
    let hub = hub();
    let (ann, bob) = (member(&hub, "a"), member(&hub, "a"));
    ann.send("join", json!({ "room": "b" }));
    bob.send("join", json!({ "room": "b" }));
    let _ = ann.inbox();
    bob.end("transport close");
    let left = |room| ("left", json!({ "room": room, "socket": bob.id() }));
    assert_eq!(ann.inbox(), [left("a"), left("b")]);
}

#[test]
fn a_body_that_is_not_as_it_should_be_is_refused_with_what_is_wrong() {
    const ROOM: &str = "`room`: must have 1 to 100 characters and at most 256 bytes";
    let hub = hub();
    let ann = member(&hub, "lobby");
    for (event, body, code, message) in [
        ("join", json!({}), "bad_request", "arguments: `[0]`: missing field `room`"),
        (
            "join",
            json!({ "room": 5 }),
            "bad_request",
            "arguments: `[0].room`: invalid type: integer `5`, expected a string",
        ),
        ("join", json!({ "room": "" }), "room_invalid", ROOM),
        ("join", json!({ "room": "ü".repeat(101) }), "room_invalid", ROOM),
        ("join", json!({ "room": "🦊".repeat(65) }), "room_invalid", ROOM),
        (
            "join",
            json!({ "room": "a", "x": 1 }),
            "bad_request",
            "arguments: `[0].x`: unknown field `x`, expected `room`",
        ),
        ("message", json!(["lobby", "hi", 1, 2]), "bad_request", "argument 1: expected an object {room, text}"),
        ("message", json!({ "room": "lobby" }), "bad_request", "arguments: `[0]`: missing field `text`"),
        (
            "message",
            json!({ "room": "lobby", "text": "ü".repeat(4001) }),
            "text_too_long",
            "`text`: must have at most 4000 characters",
        ),
    ] {
        let ack = ann.send(event, &body);
        assert_eq!((ack.rejection_code(), ack.error_message()), (Some(code), Some(message)), "{event} {body}");
    }
    assert!(ann.send_args("message", Args::none()).error_message().unwrap().contains("invalid length 0"));
    assert!(hub.failures().is_empty());
}

#[test]
fn a_client_joins_no_more_rooms_than_allowed() {
    let hub = TestHub::new().plugin::<Rooms>(json!({ "rooms_max": 1, "notices": false }));
    let ann = hub.connect();
    assert_eq!(ann.send("join", json!({ "room": "a" })), json!({ "ok": true, "members": 1 }));
    assert_eq!(ann.send("join", json!({ "room": "b" })).rejection_code(), Some("too_many_rooms"));
    assert_eq!(ann.rooms(), ["a"]);
    assert!(ann.inbox().is_empty());
}

#[test]
fn a_wrong_config_is_refused_with_the_key() {
    let read = |json: &str| hubbub_plugin::read_config::<Rooms>(json).err().unwrap_or_default();
    assert_eq!(read(r#"{"rooms_max":0}"#), "config: `rooms_max`: must be at least 1");
    assert_eq!(read(r#"{"room_max_chars":0}"#), "config: `room_max_chars`: 0 is not in 1..=65536");
    assert!(read(r#"{"text_max":1}"#).starts_with("config: `text_max`: unknown field `text_max`, expected one of"));
    assert!(
        read(r#"{"notices":"yes"}"#).starts_with("config: `notices`: invalid type: string \"yes\", expected a boolean")
    );
}
