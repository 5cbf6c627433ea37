//! What two users say to each other.

use super::*;

#[test]
fn a_direct_message_is_for_two_users_and_kept_for_them() {
    let hub = hub();
    let (ann, ann2, bob, eve) =
        (hub.connect_as("ann"), hub.connect_as("ann"), hub.connect_as("bob"), hub.connect_as("eve"));
    let ack = good(ann.send("direct", json!({ "to": "bob", "text": "psst" })));
    assert_eq!(ack["id"], 1);
    let got = json!({
        "to": "bob", "id": 1, "time_ms": ack["time_ms"], "name": "ann", "socket": ann.id(), "user": "ann",
        "text": "psst",
    });
    assert_eq!(bob.inbox(), [("direct", got.clone())]);
    assert_eq!(ann2.inbox(), [("direct", got.clone())]);
    assert!(ann.inbox().is_empty() && eve.inbox().is_empty());
    good(bob.send("direct", json!({ "to": "ann", "text": "what?", "client_id": "1" })));
    good(bob.send("direct", json!({ "to": "ann", "text": "what?", "client_id": "1" })));
    let page = |socket: &TestSocket, user: &str| good(socket.send("history", json!({ "user": user })));
    let messages = page(&ann, "bob")["messages"].clone();
    assert_eq!(messages.as_array().unwrap().len(), 2);
    assert_eq!(messages[0], got);
    assert_eq!(page(&bob, "ann")["messages"], messages);
    assert_eq!(page(&eve, "bob")["messages"], json!([]));
    refused(&ann.send("direct", json!({ "to": "bob", "text": "REJECT" })), "judged");
    good(ann.send("direct", json!({ "to": "bob", "text": "SHADOW" })));
    assert_eq!(page(&bob, "ann")["messages"].as_array().unwrap().len(), 2);
    // without an identity there is nobody to answer to
    let nobody = hub.connect();
    refused(&nobody.send("direct", json!({ "to": "bob", "text": "x" })), "user_required");
    refused(&nobody.send("history", json!({ "user": "bob" })), "user_required");
    refused(&ann.send("direct", json!({ "to": "", "text": "x" })), "user_invalid");
}

/// Two users, the second one twice, with a message between them.
fn pair(hub: &TestHub) -> (TestSocket, TestSocket, TestSocket) {
    let (ann, bob, bob2) = (hub.connect_as("ann"), hub.connect_as("bob"), hub.connect_as("bob"));
    good(ann.send("direct", json!({ "to": "bob", "text": "hi" })));
    for socket in [&ann, &bob, &bob2] {
        let _ = socket.inbox();
    }
    (ann, bob, bob2)
}

fn kept(socket: &TestSocket, user: &str) -> Value {
    good(socket.send("history", json!({ "user": user })))["messages"].clone()
}

#[test]
fn a_direct_message_is_edited_and_deleted_by_its_author() {
    let hub = hub();
    let (ann, bob, bob2) = pair(&hub);
    let edit = |socket: &TestSocket, user: &str, text: &str| {
        socket.send("edit", json!({ "user": user, "id": 1, "text": text }))
    };
    good(edit(&ann, "bob", "hi MASK @bob"));
    let by = json!({ "name": "ann", "socket": ann.id(), "user": "ann" });
    for socket in [&ann, &bob, &bob2] {
        let edited = of(socket.inbox(), "edited").remove(0);
        let time_ms = edited["time_ms"].clone();
        assert_eq!(edited, json!({ "to": "bob", "id": 1, "text": "hi **** @bob", "by": by, "time_ms": time_ms }));
    }
    refused(&edit(&ann, "bob", "REJECT"), "judged");
    good(edit(&ann, "bob", "SHADOW"));
    refused(&edit(&bob, "ann", "mine"), "not_allowed");
    // nobody else has this thread, and no moderator this power
    refused(&edit(&hub.connect_as("eve"), "bob", "x"), "unknown_message");
    let boss = hub.connect_with(Handshake::new().user("bob", &["moderator"]));
    refused(&edit(&boss, "ann", "x"), "not_allowed");
    assert!(bob.inbox().is_empty());
    assert_eq!(kept(&bob, "ann")[0]["text"], "hi **** @bob");
    refused(&bob.send("delete", json!({ "user": "ann", "id": 1 })), "not_allowed");
    good(ann.send("delete", json!({ "user": "bob", "id": 1 })));
    assert_eq!(of(bob2.inbox(), "deleted")[0]["to"], "bob");
    assert_eq!(kept(&ann, "bob")[0]["deleted"], true);
    refused(&hub.connect().send("delete", json!({ "user": "bob", "id": 1 })), "user_required");
    refused(&ann.send("delete", json!({ "user": "bob", "room": "a", "id": 1 })), "bad_request");
    assert!(hub.failures().is_empty());
}

#[test]
fn both_users_react_read_and_are_seen_to_type() {
    let hub = hub();
    let (ann, bob, bob2) = pair(&hub);
    good(bob.send("react", json!({ "user": "ann", "id": 1, "emoji": "👍", "on": true })));
    let reacted = of(ann.inbox(), "reacted").remove(0);
    assert_eq!((&reacted["to"], &reacted["count"], &reacted["by"]["user"]), (&json!("ann"), &json!(1), &json!("bob")));
    assert_eq!(kept(&ann, "bob")[0]["reactions"][0]["mine"], false);
    good(bob.send("read", json!({ "user": "ann", "id": 1 })));
    let read = of(ann.inbox(), "read").remove(0);
    assert_eq!((&read["to"], &read["id"], &read["by"]["user"]), (&json!("ann"), &json!(1), &json!("bob")));
    refused(&bob.send("read", json!({ "user": "ann", "id": 2 })), "unknown_message");
    let _ = bob2.inbox();
    good(ann.send("typing", json!({ "user": "bob" })));
    let typing = json!({ "to": "bob", "name": "ann", "socket": ann.id(), "user": "ann", "on": true });
    assert_eq!(bob2.inbox(), [("typing", typing)]);
    assert!(ann.inbox().is_empty());
}
