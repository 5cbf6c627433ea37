//! Messages to rooms and users.

use super::*;

#[test]
fn a_message_reaches_all_members_with_id_time_and_sender() {
    let hub = hub();
    let (ann, bob, eve) = (member(&hub, "ann", "a"), member(&hub, "bob", "a"), member(&hub, "eve", "b"));
    let _ = ann.inbox();
    let ack = good(ann.send("message", json!({ "room": "a", "text": "hi", "client_id": "c1" })));
    let time_ms = ack["time_ms"].as_u64().unwrap();
    assert_eq!(ack, json!({ "ok": true, "id": 1, "time_ms": time_ms }));
    let sent = json!({
        "room": "a", "id": 1, "time_ms": time_ms, "name": "ann", "socket": ann.id(), "user": "ann", "text": "hi",
        "client_id": "c1",
    });
    for socket in [&ann, &bob] {
        assert_eq!(socket.inbox(), [("message", sent.clone())]);
    }
    assert!(eve.inbox().is_empty());
    assert_eq!(good(say(&bob, "a", "2"))["id"], 2);
    assert_eq!(good(say(&eve, "b", "1"))["id"], 1, "each room counts for itself");
}

#[test]
fn a_message_sent_twice_is_stored_and_delivered_once() {
    let hub = hub();
    let (ann, bob) = (member(&hub, "ann", "a"), member(&hub, "bob", "a"));
    let _ = ann.inbox();
    let send = |socket: &TestSocket, text: &str| {
        socket.send("message", json!({ "room": "a", "text": text, "client_id": "c1" }))
    };
    let first = good(send(&ann, "hi"));
    assert_eq!(good(send(&ann, "hi")), first);
    // over a new connection of the same user, too
    let again = member(&hub, "ann", "a");
    assert_eq!(good(send(&again, "hi")), first);
    // another user's ids are another's
    assert_eq!(good(send(&bob, "ho"))["id"], 2);
    assert_eq!(of(ann.inbox(), "message").len(), 2);
    assert_eq!(texts(&ann, "a"), ["hi", "ho"]);
    // what was refused was not done
    let refuse = json!({ "room": "a", "text": "REJECT", "client_id": "c2" });
    refused(&ann.send("message", refuse), "judged");
    assert_eq!(good(ann.send("message", json!({ "room": "a", "text": "ok", "client_id": "c2" })))["id"], 3);
    for client_id in ["", &"x".repeat(65)] {
        let body = json!({ "room": "a", "text": "x", "client_id": client_id });
        refused(&ann.send("message", body), "client_id_invalid");
    }
}

#[test]
fn a_rejected_message_leaves_no_trace_and_a_masked_one_is_kept_masked() {
    let hub = hub();
    let (ann, bob) = (member(&hub, "ann", "a"), member(&hub, "bob", "a"));
    refused(&say(&ann, "a", "REJECT @bob"), "judged");
    assert!(bob.inbox().is_empty());
    assert_eq!(good(say(&ann, "a", "a MASK"))["id"], 1);
    assert_eq!(texts(&bob, "a"), ["a ****"]);
}

#[test]
fn a_shadowed_message_is_its_senders_alone_and_in_no_history() {
    let hub = hub();
    let (ann, bob) = (member(&hub, "ann", "a"), member(&hub, "bob", "a"));
    let _ = ann.inbox();
    let ack = good(say(&ann, "a", "SHADOW @bob"));
    assert_eq!((&ack["ok"], &ack["id"]), (&json!(true), &json!(1)), "the sender is not told");
    assert_eq!(of(ann.inbox(), "message").len(), 1);
    assert!(bob.inbox().is_empty(), "no mention either");
    assert!(texts(&bob, "a").is_empty());
    good(say(&bob, "a", "after"));
    assert_eq!(texts(&ann, "a"), ["after"]);
}

#[test]
fn who_is_mentioned_is_told() {
    let hub = hub();
    let (ann, bob) = (member(&hub, "ann", "a"), member(&hub, "bob", "a"));
    let eve = hub.connect();
    good(eve.send("join", json!({ "room": "a", "name": "Eve" })));
    for socket in [&ann, &bob, &eve] {
        let _ = socket.inbox();
    }
    good(say(&ann, "a", "@BOB, @eve! (@bob) x@bob @nobody @ann"));
    let message = of(ann.inbox(), "message").remove(0);
    assert_eq!(
        message["mentions"],
        json!([
            { "name": "bob", "user": "bob" },
            { "name": "Eve", "sockets": [eve.id()] },
            { "name": "ann", "user": "ann" },
        ])
    );
    let by = json!({ "name": "ann", "socket": ann.id(), "user": "ann" });
    let notice = json!({ "room": "a", "id": 1, "by": by });
    assert_eq!(of(bob.inbox(), "mentioned"), std::slice::from_ref(&notice));
    assert_eq!(of(eve.inbox(), "mentioned"), [notice]);
}

#[test]
fn mentions_are_limited() {
    let hub = hub_with(json!({ "mentions_max": 1 }));
    let (ann, _bob) = (member(&hub, "ann", "a"), member(&hub, "bob", "a"));
    let _ = ann.inbox();
    good(say(&ann, "a", "@ann @bob"));
    assert_eq!(of(ann.inbox(), "message")[0]["mentions"].as_array().unwrap().len(), 1);
}

#[test]
fn nobody_sends_without_end() {
    let hub = hub_with(json!({ "events_max": 3, "events_window_s": 1 }));
    let (ann, bob) = (member(&hub, "ann", "a"), member(&hub, "bob", "a"));
    for _ in 0..2 {
        good(ann.send("typing", json!({ "room": "a" })));
    }
    refused(&say(&ann, "a", "x"), "too_fast");
    refused(&hub.connect_as("ann").send("join", json!({ "room": "a" })), "too_fast");
    good(say(&bob, "a", "x"));
    hub.advance(std::time::Duration::from_secs(1));
    good(say(&ann, "a", "x"));
}

#[test]
fn a_reply_names_a_message_that_was() {
    let hub = hub();
    let ann = member(&hub, "ann", "a");
    good(say(&ann, "a", "1"));
    let reply = |to: u64| ann.send("message", json!({ "room": "a", "text": "re", "reply_to": to }));
    good(reply(1));
    assert_eq!(of(ann.inbox(), "message")[1]["reply_to"], 1);
    refused(&reply(3), "unknown_message");
    refused(&reply(0), "unknown_message");
}
