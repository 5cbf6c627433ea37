//! Joins, leaves, and who is called what.

use std::time::Duration;

use super::*;

fn join_as(socket: &TestSocket, name: &str) -> Ack {
    socket.send("join", json!({ "room": "a", "name": name }))
}

#[test]
fn a_join_says_who_is_there_and_is_told_to_all() {
    let hub = hub();
    let ann = member(&hub, "ann", "a");
    let bob = hub.connect();
    let ack = good(join_as(&bob, "Bob"));
    let a = json!({ "name": "ann", "socket": ann.id(), "user": "ann", "status": "here" });
    let b = json!({ "name": "Bob", "socket": bob.id(), "status": "here" });
    let you = json!({ "name": "Bob", "socket": bob.id() });
    assert_eq!(
        ack,
        json!({
            "ok": true, "room": "a", "you": you, "members": [a, b], "members_count": 2, "topic": null, "last_id": 0,
            "read_id": 0,
        })
    );
    let joined = ("joined", json!({ "room": "a", "name": "Bob", "socket": bob.id() }));
    assert_eq!(ann.inbox(), std::slice::from_ref(&joined));
    assert_eq!(bob.inbox(), [joined]);
    // once more: the same answer, no notice
    assert_eq!(good(bob.send("join", json!({ "room": "a" })))["you"]["name"], "Bob");
    assert!(ann.inbox().is_empty());
    refused(&join_as(&bob, "Rob"), "already_joined");
    good(bob.send("leave", json!({ "room": "a" })));
    let left = json!({ "room": "a", "name": "Bob", "socket": bob.id(), "reason": "left" });
    assert_eq!(ann.inbox(), [("left", left)]);
    assert!(bob.inbox().is_empty());
}

#[test]
fn a_name_is_one_members_whatever_its_case_until_the_member_leaves() {
    let hub = hub();
    let (ann, eve) = (hub.connect(), hub.connect());
    good(join_as(&ann, "Ann"));
    refused(&join_as(&eve, "aNN"), "name_taken");
    refused(&join_as(&eve, "Ａｎｎ"), "name_taken");
    assert_eq!(hub.room_size("a"), 1);
    // another room is another matter
    good(eve.send("join", json!({ "room": "b", "name": "Ann" })));
    ann.end("transport close");
    good(join_as(&eve, "ann"));
}

#[test]
fn sockets_of_one_user_share_a_name_and_the_last_one_frees_it() {
    let hub = hub();
    let (one, two, eve) = (member(&hub, "ann", "a"), member(&hub, "ann", "a"), hub.connect());
    one.disconnect();
    refused(&join_as(&eve, "ann"), "name_taken");
    two.disconnect();
    good(join_as(&eve, "ann"));
    // who comes back is called something else
    let ann = hub.connect_as("ann");
    let name = good(ann.send("join", json!({ "room": "a" })))["you"]["name"].clone();
    assert!(name.as_str().unwrap().starts_with("guest-"), "{name}");
}

#[test]
fn names_are_words_that_can_be_seen() {
    let hub = hub();
    let eve = hub.connect();
    for name in ["", "a b", "a@b", "guest-1", "GUEST-1", "a\u{200b}", "\u{202e}a", "a\n", &"x".repeat(33)] {
        refused(&join_as(&eve, name), "name_invalid");
    }
    good(join_as(&eve, "Zoë.🦊"));
}

#[test]
fn who_says_no_name_gets_one() {
    let hub = hub();
    let (one, two) = (hub.connect(), hub.connect());
    for socket in [&one, &two] {
        let you = good(socket.send("join", json!({ "room": "a" })))["you"].clone();
        assert!(you["name"].as_str().unwrap().starts_with("guest-"), "{you}");
    }
    assert_ne!(one.id(), two.id());
}

/// Chat rooms that are told of no leave, as after a node that was killed.
#[derive(Deserialize)]
#[serde(transparent)]
struct Forgetful(ChatRooms);

impl Plugin for Forgetful {}

impl OnMessage for Forgetful {
    fn on_message(&self, event: &MessageEvent) -> Outcome {
        self.0.on_message(event)
    }
}

hubbub_plugin::export!(Forgetful: OnMessage);

#[test]
fn a_claim_without_a_socket_in_the_room_counts_nothing() {
    let hub = TestHub::new().plugin::<Forgetful>(json!({ "archive": false }));
    let (ann, eve) = (hub.connect(), hub.connect());
    good(join_as(&ann, "Ann"));
    refused(&join_as(&eve, "Ann"), "name_taken");
    ann.end("transport close");
    refused(&join_as(&eve, "Ann"), "name_taken");
    // at first it may belong to somebody on the way in
    hub.advance(Duration::from_secs(2));
    good(join_as(&eve, "Ann"));
}

#[test]
fn a_name_is_renewed_by_speaking_and_lost_by_long_silence() {
    let hub = hub_with(json!({ "name_ttl_days": 1 }));
    let (ann, eve) = (hub.connect(), hub.connect());
    good(join_as(&ann, "Ann"));
    refused(&join_as(&eve, "Ann"), "name_taken");
    // a holder who speaks renews the claim
    hub.advance(Duration::from_secs(20 * 3600));
    good(say(&ann, "a", "still here"));
    hub.advance(Duration::from_secs(20 * 3600));
    refused(&join_as(&eve, "Ann"), "name_taken");
    // and one who is silent loses it in the end
    hub.advance(Duration::from_secs(25 * 3600));
    good(join_as(&eve, "Ann"));
    let _ = eve.inbox();
    good(say(&ann, "a", "who am I?"));
    let name = of(eve.inbox(), "message")[0]["name"].clone();
    assert!(name.as_str().unwrap().starts_with("guest-"), "no two have one name: {name}");
}

#[test]
fn rooms_and_their_members_are_limited() {
    let hub = hub_with(json!({ "rooms_max": 1, "members_max": 2, "members_listed_max": 1 }));
    let (ann, _bob) = (member(&hub, "ann", "a"), member(&hub, "bob", "a"));
    refused(&ann.send("join", json!({ "room": "b" })), "too_many_rooms");
    let eve = hub.connect();
    refused(&eve.send("join", json!({ "room": "a" })), "room_full");
    let again = good(ann.send("join", json!({ "room": "a" })));
    assert_eq!((again["members"].as_array().unwrap().len(), &again["members_count"]), (2, &json!(2)));
}

#[test]
fn notices_can_be_turned_off() {
    let hub = hub_with(json!({ "notices": false }));
    let (ann, bob) = (member(&hub, "ann", "a"), member(&hub, "bob", "a"));
    bob.disconnect();
    assert!(ann.inbox().is_empty());
}

#[test]
fn typing_is_told_to_the_others() {
    let hub = hub();
    let (ann, bob) = (member(&hub, "ann", "a"), member(&hub, "bob", "a"));
    let _ = ann.inbox();
    good(bob.send("typing", json!({ "room": "a" })));
    good(bob.send("typing", json!({ "room": "a", "on": false })));
    let typing = |on| ("typing", json!({ "room": "a", "name": "bob", "socket": bob.id(), "user": "bob", "on": on }));
    assert_eq!(ann.inbox(), [typing(true), typing(false)]);
    assert!(bob.inbox().is_empty());
}

#[test]
fn a_new_name_is_told_and_the_old_one_is_free() {
    let hub = hub();
    let (ann, bob) = (member(&hub, "ann", "a"), member(&hub, "bob", "a"));
    let _ = ann.inbox();
    let rename = |name: &str| bob.send("rename", json!({ "room": "a", "name": name }));
    refused(&rename("ANN"), "name_taken");
    refused(&rename("a b"), "name_invalid");
    refused(&rename("REJECT"), "judged");
    assert!(ann.inbox().is_empty());
    assert_eq!(good(rename("Bobby"))["you"]["name"], "Bobby");
    let told = json!({ "room": "a", "name": "Bobby", "socket": bob.id(), "user": "bob", "was": "bob" });
    assert_eq!(ann.inbox(), [("renamed", told.clone())]);
    assert_eq!(bob.inbox(), [("renamed", told)]);
    good(rename("Bobby"));
    good(rename("BOBBY"));
    assert_eq!(ann.inbox().len(), 1, "the same name is no news, another case is");
    good(say(&bob, "a", "@ann it is me"));
    assert_eq!(of(ann.inbox(), "message")[0]["name"], "BOBBY");
    good(join_as(&hub.connect(), "bob"));
    refused(&join_as(&hub.connect(), "bobby"), "name_taken");
    good(bob.send("leave", json!({ "room": "a" })));
    good(join_as(&hub.connect(), "bobby"));
    refused(&bob.send("rename", json!({ "room": "a", "name": "x" })), "not_a_member");
}

#[test]
fn a_name_is_judged_when_its_owner_comes() {
    let hub = hub();
    refused(&join_as(&hub.connect(), "REJECT"), "judged");
    assert_eq!(hub.room_size("a"), 0);
    let ann = hub.connect();
    assert_eq!(good(join_as(&ann, "Ann"))["name"], Value::Null, "it stands in `you` alone");
}

#[test]
fn who_is_away_is_listed_so_and_told() {
    let hub = hub_with(json!({ "notices_max": 3 }));
    let (ann, bob) = (member(&hub, "ann", "a"), member(&hub, "bob", "a"));
    let _ = ann.inbox();
    let is = |status: &str| bob.send("presence", json!({ "room": "a", "status": status }));
    good(is("here"));
    assert!(ann.inbox().is_empty(), "that was known");
    good(is("away"));
    good(is("away"));
    let told = json!({ "room": "a", "status": "away", "name": "bob", "socket": bob.id(), "user": "bob" });
    assert_eq!(ann.inbox(), [("presence", told)]);
    good(bob.send("rename", json!({ "room": "a", "name": "rob" })));
    let members = good(ann.send("join", json!({ "room": "a" })))["members"].clone();
    let of_bob = members.as_array().unwrap().iter().find(|m| m["name"] == "rob").unwrap();
    assert_eq!(of_bob["status"], "away");
    refused(&is("asleep"), "bad_request");
    good(is("here"));
    refused(&is("away"), "too_fast");
    hub.advance(Duration::from_secs(60));
    good(is("away"));
    // the next room, and the next visit, begin anew
    good(bob.send("leave", json!({ "room": "a" })));
    let ack = good(bob.send("join", json!({ "room": "a" })));
    assert!(ack["members"].as_array().unwrap().iter().all(|m| m["status"] == "here"), "{ack}");
}
