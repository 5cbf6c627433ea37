//! Messages that wait for review.

use hubbub_plugin::testing::Delivery;

use super::*;

/// The number of the item that moderators were told of last.
fn held(moderator: &TestSocket) -> Value {
    of(moderator, "mod:held").pop().expect("something is held")
}

#[test]
fn a_held_message_is_said_when_it_is_approved() {
    let hub = hub();
    let (ann, bob, mo) = (member(&hub, "ann"), member(&hub, "bob"), moderator(&hub));
    let _ = (ann.inbox(), bob.inbox());
    let body = json!({ "room": "a", "text": "bitcoin, @bob!", "client_id": "c1" });
    assert_eq!(good(ann.send("message", &body))["id"], 1);
    assert_eq!(good(ann.send("message", &body))["id"], 1, "sent again it is the same one");
    let notices = of(&ann, "mod:notice");
    assert_eq!(notices.len(), 1);
    let expect = json!({
        "kind": "held", "held": 1, "event": "message", "room": "a", "id": 1, "client_id": "c1",
        "code": "word_not_allowed", "message": "the message has a word that is not allowed here",
    });
    assert_eq!(notices[0], expect);
    good(say(&bob, "meanwhile"));
    assert_eq!(texts(&bob), ["meanwhile"]);
    let item = held(&mo);
    assert_eq!((&item["text"], &item["from"]["user"], &item["rule"]), (&body["text"], &json!("ann"), &json!("odd")));
    let page = good(mo.send("mod:queue", json!({})));
    assert_eq!(page["items"], json!([item]));
    refused(&mo.send("mod:approve", json!({ "id": 1, "room": "b" })), "item_differs");
    refused(&mo.send("mod:approve", json!({ "id": 1 })), "item_differs");
    refused(&mo.send("mod:approve", json!({ "id": 2, "room": "a" })), "unknown_item");
    ann.disconnect();
    let _ = bob.inbox();
    good(mo.send("mod:approve", json!({ "id": 1, "room": "a" })));
    let got: Vec<Delivery> = bob.inbox();
    let [mentioned, message] = &got[..] else { panic!("{got:?}") };
    assert_eq!((&*mentioned.name, &mentioned.args[0]["id"]), ("mentioned", &json!(3)));
    let message = &message.args[0];
    assert_eq!((&message["name"], &message["id"], &message["client_id"]), (&json!("ann"), &json!(3), &json!("c1")));
    assert_eq!(texts(&bob), ["meanwhile", "bitcoin, @bob!"]);
    assert_eq!(of(&mo, "mod:decided"), [json!({ "id": 1, "approved": true, "by": "mo" })]);
    refused(&mo.send("mod:approve", json!({ "id": 1, "room": "a" })), "unknown_item");
    assert_eq!(good(say(&bob, "after"))["id"], 4);
    assert!(hub.failures().is_empty());
}

#[test]
fn a_declined_message_is_nowhere() {
    let hub = hub();
    let (ann, bob, mo) = (member(&hub, "ann"), member(&hub, "bob"), moderator(&hub));
    let _ = (ann.inbox(), bob.inbox());
    good(say(&ann, "bitcoin"));
    good(mo.send("mod:decline", json!({ "id": 1, "reason": "no ads" })));
    let notices = of(&ann, "mod:notice");
    assert_eq!((&notices[1]["kind"], &notices[1]["reason"]), (&json!("declined"), &json!("no ads")));
    assert!(bob.inbox().is_empty() && texts(&bob).is_empty());
    assert_eq!(good(mo.send("mod:queue", json!({})))["items"], json!([]));
    assert_eq!(acts(&mo), ["decline", "hold"]);
}

#[test]
fn direct_messages_and_edits_are_held_too() {
    let hub = hub();
    let (ann, bob, mo) = (member(&hub, "ann"), member(&hub, "bob"), moderator(&hub));
    good(ann.send("direct", json!({ "to": "bob", "text": "bitcoin" })));
    let item = held(&mo);
    assert_eq!((&item["to"], &item["room"]), (&json!("bob"), &Value::Null));
    let _ = bob.inbox();
    good(mo.send("mod:approve", json!({ "id": item["id"], "from": "ann", "to": "bob" })));
    assert_eq!(of(&bob, "direct")[0]["id"], 2);
    let page = good(bob.send("history", json!({ "user": "ann" })));
    assert_eq!(page["messages"][0]["text"], "bitcoin", "kept for the pair that it belongs to");
    good(say(&ann, "hi"));
    good(ann.send("edit", json!({ "room": "a", "id": 1, "text": "bitcoin" })));
    assert_eq!(texts(&bob), ["hi"]);
    good(mo.send("mod:approve", json!({ "id": held(&mo)["id"], "room": "a" })));
    assert_eq!(texts(&bob), ["bitcoin"]);
    assert_eq!(of(&bob, "edited")[0]["by"]["name"], "ann");
    assert!(hub.failures().is_empty());
}

#[test]
fn what_is_approved_is_its_authors_and_not_the_moderators() {
    let hub = hub();
    let (ann, bob, mo) = (member(&hub, "ann"), member(&hub, "bob"), moderator(&hub));
    let state = |socket: &TestSocket, list: &str| {
        let listed = good(socket.send("rooms", json!({})))[list][0].clone();
        [listed["last_id"].clone(), listed["read_id"].clone(), listed["unread"].clone()].map(|n| n.as_u64())
    };
    let is = |last: u64, read: u64, unread: u64| [Some(last), Some(read), Some(unread)];
    let approve = |place: Value| {
        let mut body = place;
        body["id"] = held(&mo)["id"].clone();
        good(mo.send("mod:approve", body));
    };
    good(say(&ann, "bitcoin @ann @mo"));
    let _ = ann.inbox();
    approve(json!({ "room": "a" }));
    assert_eq!(of(&mo, "mentioned").len(), 1, "who approves is mentioned as well");
    assert!(of(&ann, "mentioned").is_empty(), "who wrote it is not");
    assert_eq!((state(&ann, "rooms"), state(&mo, "rooms")), (is(2, 2, 0), is(2, 0, 1)));
    good(say(&ann, "bitcoin"));
    good(say(&bob, "meanwhile"));
    approve(json!({ "room": "a" }));
    assert_eq!(state(&ann, "rooms"), is(5, 2, 2), "what came meanwhile is not read by that");
    good(ann.send("direct", json!({ "to": "bob", "text": "hi" })));
    good(ann.send("edit", json!({ "user": "bob", "id": 1, "text": "bitcoin" })));
    approve(json!({ "from": "ann", "to": "bob" }));
    assert_eq!(of(&bob, "edited")[0]["by"]["name"], "ann");
    let page = good(bob.send("history", json!({ "user": "ann" })));
    assert_eq!(page["messages"][0]["text"], "bitcoin");
    assert_eq!((state(&ann, "directs"), state(&bob, "directs")), (is(1, 1, 0), is(1, 0, 1)));
    assert_eq!(good(mo.send("rooms", json!({})))["directs"], json!([]));
    assert!(hub.failures().is_empty());
}

#[test]
fn the_queue_has_limits_and_what_waits_too_long_is_dropped() {
    let hub = hub_with(json!({
        "words": [{ "name": "odd", "words": ["bitcoin"], "action": "hold" }],
        "desk": { "held_max": 3, "held_of_one_max": 2, "held_ttl_hours": 1 },
    }));
    let (ann, bob, mo) = (member(&hub, "ann"), member(&hub, "bob"), moderator(&hub));
    good(say(&ann, "bitcoin 1"));
    good(say(&ann, "bitcoin 2"));
    refused(&say(&ann, "bitcoin 3"), "queue_full");
    good(say(&bob, "bitcoin 4"));
    refused(&say(&bob, "bitcoin 5"), "queue_full");
    let page = good(mo.send("mod:queue", json!({ "limit": 2 })));
    assert_eq!((page["items"].as_array().unwrap().len(), &page["more"]), (2, &json!(true)));
    let page = good(mo.send("mod:queue", json!({ "limit": 2, "before": page["items"][0]["id"] })));
    assert_eq!((&page["items"][0]["text"], &page["more"]), (&json!("bitcoin 1"), &json!(false)));
    hub.advance(60 * MINUTE);
    good(say(&ann, "bitcoin 6"));
    assert_eq!(good(mo.send("mod:queue", json!({})))["items"].as_array().unwrap().len(), 1);
    assert!(hub.failures().is_empty());
}

#[test]
fn what_a_shadowed_user_says_does_not_come_to_review() {
    let hub = hub();
    let (ann, mo) = (member(&hub, "ann"), moderator(&hub));
    good(mo.send("mod:shadow", json!({ "user": "ann" })));
    let _ = ann.inbox();
    good(say(&ann, "bitcoin"));
    assert_eq!(of(&ann, "message").len(), 1);
    assert_eq!(good(mo.send("mod:queue", json!({})))["items"], json!([]));
}
