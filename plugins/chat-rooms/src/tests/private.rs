//! Rooms that somebody made: passwords, invites, topics.

use std::time::Duration;

use super::*;

fn join(socket: &TestSocket, more: Value) -> Ack {
    let mut body = json!({ "room": "p" });
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    socket.send("join", body)
}

#[test]
fn a_room_with_a_password_opens_to_who_knows_it() {
    let hub = hub();
    let (ann, bob) = (hub.connect_as("ann"), hub.connect_as("bob"));
    good(ann.send("create", json!({ "room": "p", "password": "sesame" })));
    refused(&bob.send("create", json!({ "room": "p" })), "room_exists");
    good(join(&ann, json!({})));
    refused(&join(&bob, json!({})), "password_required");
    refused(&join(&bob, json!({ "password": "Sesame" })), "password_wrong");
    refused(&join(&bob, json!({ "password": "x".repeat(2000) })), "password_wrong");
    good(join(&bob, json!({ "password": "sesame" })));
    for password in ["", &"x".repeat(129)] {
        refused(&bob.send("create", json!({ "room": "q", "password": password })), "password_invalid");
    }
    assert!(hub.failures().is_empty());
}

#[test]
fn passwords_cannot_be_guessed_fast() {
    let hub = hub_with(json!({ "password_tries_max": 3 }));
    let (ann, bob) = (hub.connect_as("ann"), hub.connect_as("bob"));
    good(ann.send("create", json!({ "room": "p", "password": "sesame" })));
    for _ in 0..3 {
        refused(&join(&bob, json!({ "password": "x" })), "password_wrong");
    }
    refused(&join(&bob, json!({ "password": "sesame" })), "too_many_tries");
    refused(&join(&hub.connect_as("bob"), json!({ "password": "sesame" })), "too_many_tries");
    hub.advance(Duration::from_secs(61));
    good(join(&bob, json!({ "password": "sesame" })));
}

#[test]
fn a_room_by_invitation_opens_to_the_invited() {
    let hub = hub();
    let (ann, bob, eve) = (hub.connect_as("ann"), hub.connect_as("bob"), hub.connect_as("eve"));
    good(ann.send("create", json!({ "room": "p", "invite_only": true })));
    good(join(&ann, json!({})));
    refused(&join(&bob, json!({})), "invite_required");
    good(ann.send("invite", json!({ "room": "p", "user": "bob" })));
    let by = json!({ "name": "ann", "socket": ann.id(), "user": "ann" });
    assert_eq!(bob.inbox(), [("invited", json!({ "room": "p", "by": by }))]);
    good(join(&bob, json!({})));
    // by a secret, once
    let invite = good(ann.send("invite", json!({ "room": "p" })))["invite"].clone();
    good(join(&eve, json!({ "invite": invite })));
    refused(&join(&hub.connect_as("mia"), json!({ "invite": invite })), "invite_invalid");
    refused(&bob.send("invite", json!({ "room": "p" })), "not_allowed");
    refused(&ann.send("invite", json!({ "room": "p", "user": "" })), "user_invalid");
    // and they end
    good(ann.send("invite", json!({ "room": "p", "user": "zoe" })));
    hub.advance(Duration::from_secs(73 * 3600));
    refused(&join(&hub.connect_as("zoe"), json!({})), "invite_required");
    moderator(&hub, "p");
}

#[test]
fn a_refused_join_uses_up_no_invite() {
    let hub = hub();
    let (ann, eve) = (hub.connect_as("ann"), hub.connect());
    good(ann.send("create", json!({ "room": "p", "invite_only": true })));
    good(join(&ann, json!({})));
    let invite = good(ann.send("invite", json!({ "room": "p" })))["invite"].clone();
    refused(&join(&eve, json!({ "invite": invite, "name": "ann" })), "name_taken");
    good(join(&eve, json!({ "invite": invite, "name": "eve" })));
}

#[test]
fn an_invite_can_be_taken_back() {
    let hub = hub_with(json!({ "invites_max": 2, "password_tries_max": 100 }));
    let (ann, bob, eve) = (hub.connect_as("ann"), hub.connect_as("bob"), hub.connect_as("eve"));
    good(ann.send("create", json!({ "room": "p", "invite_only": true })));
    good(join(&ann, json!({})));
    let uninvite = |body: Value| ann.send("uninvite", body);
    good(ann.send("invite", json!({ "room": "p", "user": "bob" })));
    good(ann.send("invite", json!({ "room": "p", "user": "bob" })));
    let invite = good(ann.send("invite", json!({ "room": "p" })))["invite"].clone();
    refused(&ann.send("invite", json!({ "room": "p", "user": "zoe" })), "too_many_invites");
    assert_eq!(good(uninvite(json!({ "room": "p", "user": "eve" })))["count"], 0);
    assert_eq!(good(uninvite(json!({ "room": "p", "user": "bob" })))["count"], 1);
    refused(&join(&bob, json!({})), "invite_required");
    assert_eq!(good(uninvite(json!({ "room": "p", "invite": invite })))["count"], 1);
    refused(&join(&eve, json!({ "invite": invite })), "invite_invalid");
    // all at once
    let invite = good(ann.send("invite", json!({ "room": "p" })))["invite"].clone();
    good(ann.send("invite", json!({ "room": "p", "user": "bob" })));
    refused(&uninvite(json!({ "room": "p", "user": "bob", "invite": invite })), "bad_request");
    assert_eq!(good(uninvite(json!({ "room": "p" })))["count"], 2);
    refused(&join(&eve, json!({ "invite": invite })), "invite_invalid");
    // those who are in stay in, and are no hosts
    good(ann.send("invite", json!({ "room": "p", "user": "bob" })));
    good(join(&bob, json!({})));
    refused(&bob.send("uninvite", json!({ "room": "p" })), "not_allowed");
    good(uninvite(json!({ "room": "p" })));
    good(say(&bob, "p", "still here"));
    refused(&member(&hub, "mia", "a").send("uninvite", json!({ "room": "a" })), "not_private");
}

#[test]
fn rooms_are_made_as_the_operator_says() {
    let hub = hub_with(json!({ "create_roles": ["host"] }));
    let ann = member(&hub, "ann", "a");
    refused(&ann.send("create", json!({ "room": "p" })), "not_allowed");
    let host = hub.connect_with(Handshake::new().user("h", &["host"]));
    refused(&host.send("create", json!({ "room": "a" })), "room_exists");
    let both = json!({ "room": "p", "password": "x", "invite_only": true });
    refused(&host.send("create", both), "bad_request");
    good(host.send("create", json!({ "room": "p" })));
    refused(&ann.send("invite", json!({ "room": "a", "user": "h" })), "not_private");
    // nobody comes for two months: it is nobody's
    hub.advance(Duration::from_secs(61 * 24 * 3600));
    good(host.send("create", json!({ "room": "p" })));
}

#[test]
fn a_private_room_stays_closed_while_it_has_a_history() {
    let hub = hub();
    let (ann, eve) = (hub.connect_as("ann"), hub.connect_as("eve"));
    good(ann.send("create", json!({ "room": "p", "invite_only": true })));
    good(join(&ann, json!({})));
    good(ann.send("topic", json!({ "room": "p", "text": "secret" })));
    let days = |days: u64| hub.advance(Duration::from_secs(days * 24 * 3600));
    for _ in 0..10 {
        days(14);
        good(say(&ann, "p", "psst"));
    }
    days(29);
    assert_eq!(texts(&ann, "p").len(), 1);
    refused(&join(&eve, json!({})), "invite_required");
    days(40);
    let open = good(join(&eve, json!({})));
    assert_eq!((&open["topic"], texts(&eve, "p").len()), (&Value::Null, 0));
}

#[test]
fn a_topic_is_told_kept_and_judged() {
    let hub = hub();
    let (ann, bob) = (member(&hub, "ann", "a"), member(&hub, "bob", "a"));
    let _ = ann.inbox();
    let topic = |socket: &TestSocket, text: &str| socket.send("topic", json!({ "room": "a", "text": text }));
    good(topic(&ann, "tea MASK"));
    let told = of(bob.inbox(), "topic").remove(0);
    assert_eq!((&told["text"], &told["by"]["name"], &told["room"]), (&json!("tea ****"), &json!("ann"), &json!("a")));
    refused(&topic(&ann, "REJECT"), "judged");
    good(topic(&ann, "SHADOW"));
    refused(&topic(&ann, &"x".repeat(201)), "text_invalid");
    assert_eq!(good(hub.connect_as("eve").send("join", json!({ "room": "a" })))["topic"], "tea ****");
    good(topic(&bob, ""));
    assert_eq!(good(ann.send("join", json!({ "room": "a" })))["topic"], Value::Null);
    // a room that somebody made has an owner
    good(ann.send("create", json!({ "room": "p" })));
    good(join(&ann, json!({})));
    good(join(&bob, json!({})));
    refused(&bob.send("topic", json!({ "room": "p", "text": "x" })), "not_allowed");
    good(ann.send("topic", json!({ "room": "p", "text": "x" })));
    good(moderator(&hub, "p").send("topic", json!({ "room": "p", "text": "y" })));
}
