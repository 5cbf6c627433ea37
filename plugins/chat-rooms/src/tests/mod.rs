//! What clients see, with a judge where moderation would stand.

mod archive;
mod direct;
mod list;
mod names;
mod post;
mod private;

use hubbub_plugin::testing::{Ack, Delivery, Handshake, TestHub, TestSocket};

use super::*;

/// Stands for moderation: refuses, masks or sends back what it is told to.
#[derive(Deserialize)]
struct Judge {}

impl Plugin for Judge {}

impl OnMessage for Judge {
    fn on_message(&self, event: &MessageEvent) -> Outcome {
        let Ok((mut body,)): Result<(Value,), _> = event.args() else { return Ok(Pass) };
        let text = body["text"].as_str().unwrap_or_default().to_owned();
        if text.contains("REJECT") || body["name"] == "REJECT" {
            return Err(reject("judged", "no").into());
        }
        if text.contains("SHADOW") {
            event.retarget(To::sender());
        }
        if text.contains("MASK") {
            body["text"] = text.replace("MASK", "****").into();
            event.set_args(body)?;
        }
        Ok(Pass)
    }
}

hubbub_plugin::export!(Judge: OnMessage);

fn hub_with(config: Value) -> TestHub {
    let mut archive = config.clone();
    archive["part"] = "archive".into();
    TestHub::new().plugin::<ChatRooms>(config).plugin::<Judge>(json!({})).plugin::<ChatRooms>(archive)
}

fn hub() -> TestHub {
    hub_with(json!({}))
}

/// A user in a room, under its own name, with an empty inbox.
fn member(hub: &TestHub, user: &str, room: &str) -> TestSocket {
    let socket = hub.connect_as(user);
    good(socket.send("join", json!({ "room": room })));
    let _ = socket.inbox();
    socket
}

fn moderator(hub: &TestHub, room: &str) -> TestSocket {
    let socket = hub.connect_with(Handshake::new().user("mo", &["moderator"]));
    good(socket.send("join", json!({ "room": room })));
    let _ = socket.inbox();
    socket
}

/// The body of an ack that must be no error.
#[track_caller]
fn good(mut ack: Ack) -> Value {
    assert_eq!(ack.error_code(), None, "{ack:?}");
    ack.args.remove(0)
}

#[track_caller]
fn refused(ack: &Ack, code: &str) {
    assert_eq!(ack.rejection_code(), Some(code), "{ack:?}");
}

/// What an inbox has of one kind: the bodies.
fn of(inbox: Vec<Delivery>, name: &str) -> Vec<Value> {
    inbox.into_iter().filter(|d| d.name == name).map(|mut d| d.args.remove(0)).collect()
}

fn say(socket: &TestSocket, room: &str, text: &str) -> Ack {
    socket.send("message", json!({ "room": room, "text": text }))
}

/// The texts that a page of history holds.
fn texts(socket: &TestSocket, room: &str) -> Vec<String> {
    let page = good(socket.send("history", json!({ "room": room })));
    let text = |m: &Value| m["text"].as_str().unwrap_or_default().to_owned();
    page["messages"].as_array().unwrap().iter().map(text).collect()
}

#[test]
fn a_wrong_config_is_refused_with_the_key() {
    let read = |json: &str| hubbub_plugin::read_config::<ChatRooms>(json).err().unwrap_or_default();
    assert_eq!(read("{}"), "");
    assert_eq!(read(r#"{"rooms_max":0}"#), "config: `rooms_max`: 0 is not in 1..=10000");
    assert_eq!(
        read(r#"{"history_ttl_days":400}"#),
        "config: `ids_ttl_days`: 365 is not in 401..=36500",
        "ids outlive the history"
    );
    assert!(read(r#"{"reaction_kinds_max":50,"reaction_users_max":500}"#).contains("25000 is not in 1..=1000"));
    assert!(read(r#"{"rooms_listed_max":100,"room_max_chars":256}"#).contains("25600 is not in 0..=10000"));
    assert!(read(r#"{"part":"middle"}"#).contains("expected `front` or `archive`"));
    assert!(read(r#"{"text_max":1}"#).starts_with("config: `text_max`: unknown field"));
}

#[test]
fn what_no_front_has_handled_is_nothing_to_an_archive() {
    let hub = TestHub::new().plugin::<ChatRooms>(json!({ "part": "archive" }));
    let eve = hub.connect_as("eve");
    let forged = json!({ "room": "a", "id": 1, "time_ms": 1, "name": "x", "socket": "x", "moderator": true });
    for name in ["message", "delete", "history", "join"] {
        assert_eq!(eve.send(name, &forged).error_code(), Some("unhandled"), "{name}");
    }
    assert!(hub.failures().is_empty());
}

#[test]
fn without_an_archive_there_is_chat_and_no_memory() {
    let hub = TestHub::new().plugin::<ChatRooms>(json!({ "archive": false }));
    let ann = member(&hub, "ann", "a");
    good(say(&ann, "a", "hi"));
    assert_eq!(of(ann.inbox(), "message")[0]["text"], "hi");
    let bob = hub.connect_as("bob");
    assert_eq!(good(bob.send("join", json!({ "room": "a" })))["last_id"], 1);
    let _ = bob.inbox();
    good(ann.send("typing", json!({ "room": "a" })));
    good(ann.send("typing", json!({ "user": "bob", "on": false })));
    good(ann.send("presence", json!({ "room": "a", "status": "away" })));
    let of_ann = |mut notice: Value| {
        for (key, value) in [("name", "ann"), ("socket", ann.id()), ("user", "ann")] {
            notice[key] = value.into();
        }
        notice
    };
    let expect = [
        ("typing", of_ann(json!({ "room": "a", "on": true }))),
        ("typing", of_ann(json!({ "to": "bob", "on": false }))),
        ("presence", of_ann(json!({ "room": "a", "status": "away" }))),
    ];
    assert_eq!(bob.inbox(), expect);
    for (name, body) in [
        ("history", json!({ "room": "a" })),
        ("edit", json!({ "room": "a", "id": 1, "text": "x" })),
        ("delete", json!({ "room": "a", "id": 1 })),
        ("react", json!({ "room": "a", "id": 1, "emoji": "👍", "on": true })),
        ("read", json!({ "room": "a", "id": 1 })),
        ("rooms", json!({})),
    ] {
        refused(&ann.send(name, body), "no_archive");
    }
}

#[test]
fn a_body_that_is_not_as_it_should_be_is_refused() {
    let hub = hub();
    let ann = member(&hub, "ann", "a");
    for name in ChatRooms::EVENTS.iter().filter(|name| !name.starts_with("mod:")) {
        let nothing = if *name == "rooms" { json!({ "public": 1 }) } else { json!({}) };
        for body in [nothing, json!({ "room": "a", "to": "b", "text": "x", "id": 1, "no_such": 1 }), json!(7)] {
            refused(&ann.send(name, &body), "bad_request");
        }
    }
    // each of few characters, but of more bytes than a hub takes
    for room in [String::new(), "x".repeat(101), "🦊".repeat(65)] {
        for name in ["join", "create"] {
            refused(&ann.send(name, json!({ "room": room })), "room_invalid");
        }
        refused(&say(&ann, &room, "x"), "room_invalid");
    }
    refused(&ann.send("direct", json!({ "to": "🦊".repeat(65), "text": "x" })), "user_invalid");
    refused(&ann.send("history", json!({ "room": "a", "user": "b" })), "bad_request");
    refused(&ann.send("history", json!({ "room": "a", "limit": 0 })), "limit_invalid");
    refused(&ann.send("history", json!({ "room": "a", "limit": 51 })), "limit_invalid");
    refused(&say(&ann, "a", ""), "text_invalid");
    refused(&say(&ann, "a", &"ü".repeat(4001)), "text_invalid");
    assert!(hub.failures().is_empty());
}

#[test]
fn who_is_no_member_may_do_nothing_in_a_room() {
    let hub = hub();
    let (ann, eve) = (member(&hub, "ann", "a"), hub.connect_as("eve"));
    good(say(&ann, "a", "hi"));
    let _ = ann.inbox();
    for (name, body) in [
        ("leave", json!({ "room": "a" })),
        ("invite", json!({ "room": "a", "user": "eve" })),
        ("uninvite", json!({ "room": "a" })),
        ("rename", json!({ "room": "a", "name": "x" })),
        ("presence", json!({ "room": "a", "status": "away" })),
        ("topic", json!({ "room": "a", "text": "x" })),
        ("typing", json!({ "room": "a" })),
        ("message", json!({ "room": "a", "text": "x" })),
        ("edit", json!({ "room": "a", "id": 1, "text": "x" })),
        ("delete", json!({ "room": "a", "id": 1 })),
        ("react", json!({ "room": "a", "id": 1, "emoji": "👍", "on": true })),
        ("read", json!({ "room": "a", "id": 1 })),
        ("history", json!({ "room": "a" })),
    ] {
        refused(&eve.send(name, body), "not_a_member");
    }
    assert!(ann.inbox().is_empty());
}
