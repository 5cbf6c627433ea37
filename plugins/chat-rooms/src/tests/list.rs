//! The list of rooms, and how much of them is unread.

use super::*;

fn rooms(socket: &TestSocket) -> Value {
    good(socket.send("rooms", json!({})))
}

#[test]
fn a_client_finds_its_rooms_with_what_it_has_not_read() {
    let hub = hub_with(json!({ "history_max": 5 }));
    let (ann, bob) = (member(&hub, "ann", "a"), member(&hub, "bob", "a"));
    for text in ["1", "SHADOW", "3", "SHADOW", "5"] {
        good(say(&ann, "a", text));
    }
    let state = |socket: &TestSocket| rooms(socket)["rooms"][0].clone();
    let is = |last_id: u64, read_id: u64, unread: u64| json!({ "room": "a", "last_id": last_id, "read_id": read_id, "unread": unread });
    assert_eq!(state(&bob), is(5, 0, 3), "what nobody was shown is not unread");
    assert_eq!(state(&ann), is(5, 5, 0), "who says something has read what was before");
    good(bob.send("read", json!({ "room": "a", "id": 4 })));
    assert_eq!(state(&bob), is(5, 4, 1));
    refused(&say(&ann, "a", "REJECT"), "judged");
    assert_eq!(state(&bob), is(5, 4, 1));
    for _ in 0..9 {
        good(say(&ann, "a", "x"));
    }
    assert_eq!(state(&bob), is(14, 4, 5), "no more than is kept");
    // it is the user's, whatever its connection
    bob.disconnect();
    let again = hub.connect_as("bob");
    assert_eq!(rooms(&again)["rooms"], json!([]));
    assert_eq!(good(again.send("join", json!({ "room": "a" })))["read_id"], 4);
    good(again.send("read", json!({ "room": "a", "id": 14 })));
    assert_eq!(state(&again), is(14, 14, 0));
    hub.advance(std::time::Duration::from_secs(31 * 24 * 3600));
    let eve = member(&hub, "eve", "a");
    assert_eq!(state(&eve), is(14, 0, 0), "what has ended is not unread");
}

#[test]
fn a_user_finds_whom_it_talked_with() {
    let hub = hub_with(json!({ "directs_listed_max": 2 }));
    let (ann, bob) = (hub.connect_as("ann"), hub.connect_as("bob"));
    for to in ["bob", "mia", "bob", "zoe"] {
        good(ann.send("direct", json!({ "to": to, "text": "hi" })));
        hub.advance(std::time::Duration::from_secs(1));
    }
    let direct = rooms(&bob)["directs"][0].clone();
    let time_ms = direct["time_ms"].clone();
    assert_eq!(direct, json!({ "user": "ann", "last_id": 2, "read_id": 0, "unread": 2, "time_ms": time_ms }));
    let of_ann = rooms(&ann)["directs"].clone();
    let users: Vec<&str> = of_ann.as_array().unwrap().iter().map(|d| d["user"].as_str().unwrap()).collect();
    assert_eq!(users, ["zoe", "bob"], "the newest first, and no more than are kept");
    assert_eq!(of_ann[1]["unread"], 0);
    assert_eq!(rooms(&hub.connect())["directs"], json!([]));
}

#[test]
fn public_rooms_are_listed_while_somebody_is_there() {
    let hub = hub_with(json!({ "rooms_listed_max": 3 }));
    let ann = hub.connect_as("ann");
    good(ann.send("create", json!({ "room": "secret", "invite_only": true })));
    good(ann.send("join", json!({ "room": "secret" })));
    let public = |socket: &TestSocket| -> Vec<String> {
        let list = good(socket.send("rooms", json!({ "public": true })))["public"].clone();
        list.as_array()
            .unwrap()
            .iter()
            .map(|r| format!("{} {}", r["room"].as_str().unwrap(), r["members_count"]))
            .collect()
    };
    assert!(public(&ann).is_empty(), "a private room is nobody's business");
    let members: Vec<TestSocket> =
        ["b", "c", "c", "d", "e"].iter().zip(0..).map(|(room, n)| member(&hub, &format!("u{n}"), room)).collect();
    assert_eq!(public(&ann), ["c 2", "d 1", "e 1"], "those that were joined last");
    good(members[3].send("topic", json!({ "room": "d", "text": "tea" })));
    assert_eq!(good(ann.send("rooms", json!({ "public": true })))["public"][1]["topic"], "tea");
    members[4].disconnect();
    assert_eq!(public(&ann), ["c 2", "d 1"]);
    // a name that was public once and is private now
    good(ann.send("create", json!({ "room": "e", "password": "x" })));
    good(ann.send("join", json!({ "room": "e" })));
    assert_eq!(public(&ann), ["c 2", "d 1"]);
    assert_eq!(good(ann.send("rooms", json!({})))["public"], Value::Null);
}
