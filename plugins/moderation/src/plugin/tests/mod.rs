//! Moderation between the two parts of `chat-rooms`, natively.

use chat_rooms::ChatRooms;
use hubbub_plugin::testing::{Ack, Handshake, TestHub, TestSocket};

use super::*;

mod queue;
mod rules;
mod sanctions;
mod verdicts;

const MINUTE: Duration = Duration::from_secs(60);

fn hub_with(config: Value) -> TestHub {
    let archive = json!({ "part": "archive" });
    TestHub::new().plugin::<ChatRooms>(json!({})).plugin::<Moderation>(config).plugin::<ChatRooms>(archive)
}

fn hub() -> TestHub {
    hub_with(json!({
        "words": [
            { "name": "rude", "words": ["moron"], "action": "reject" },
            { "name": "mild", "words": ["darn"], "action": "mask" },
            { "name": "spam", "words": ["casino"], "action": "shadow" },
            { "name": "odd", "words": ["bitcoin"], "action": "hold" },
            { "name": "worst", "words": ["heil"], "action": { "mute": { "seconds": 60 } } },
        ],
    }))
}

fn enter(socket: TestSocket, room: &str) -> TestSocket {
    good(socket.send("join", json!({ "room": room })));
    let _ = socket.inbox();
    socket
}

/// A user in the room `a`, with an empty inbox.
fn member(hub: &TestHub, user: &str) -> TestSocket {
    enter(hub.connect_as(user), "a")
}

fn guest(hub: &TestHub, address: &str) -> TestSocket {
    enter(hub.connect_with(Handshake::new().address(address)), "a")
}

fn moderator(hub: &TestHub) -> TestSocket {
    enter(hub.connect_with(Handshake::new().user("mo", &["moderator"])), "a")
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

fn data(ack: &Ack) -> &Value {
    &ack.args[0]["error"]["reason"]["data"]
}

fn say(socket: &TestSocket, text: &str) -> Ack {
    socket.send("message", json!({ "room": "a", "text": text }))
}

/// What an inbox has of one kind: the bodies.
fn of(socket: &TestSocket, name: &str) -> Vec<Value> {
    socket.inbox().into_iter().filter(|d| d.name == name).map(|mut d| d.args.remove(0)).collect()
}

fn texts(socket: &TestSocket) -> Vec<String> {
    let page = good(socket.send("history", json!({ "room": "a" })));
    let text = |m: &Value| m["text"].as_str().unwrap_or_default().to_owned();
    page["messages"].as_array().unwrap().iter().map(text).collect()
}

fn acts(moderator: &TestSocket) -> Vec<String> {
    let page = good(moderator.send("mod:audit", json!({})));
    page["entries"].as_array().unwrap().iter().map(|e| e["act"].as_str().unwrap().to_owned()).collect()
}
