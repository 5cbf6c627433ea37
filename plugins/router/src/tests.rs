//! Where messages go.

use hubbub_plugin::testing::{TestHub, TestSocket};

use super::*;

/// Joins any room, and targets every `message` at its room, as the rooms plugin does.
#[derive(Deserialize)]
struct Relay {}

impl Plugin for Relay {}

impl OnMessage for Relay {
    fn on_message(&self, event: &MessageEvent) -> Outcome {
        let room = event.arg::<Value>(0)?["room"].as_str().unwrap_or_default().to_owned();
        match event.name().as_str() {
            "join" => event.join(&room),
            _ if room.is_empty() => {}
            _ => event.retarget(To::room(room)),
        }
        Ok(Pass)
    }
}

hubbub_plugin::export!(Relay: OnMessage);

fn hub(rules: Value) -> TestHub {
    TestHub::new().plugin::<Relay>(json!({})).plugin::<Router>(json!({ "rules": rules }))
}

fn member(hub: &TestHub, user: &str, room: &str) -> TestSocket {
    let socket = hub.connect_as(user);
    socket.send("join", json!({ "room": room }));
    socket
}

/// Sends a message of ann in room `a`, says who of ann, bob (in `b`) and carl (in `a` and `urgent`) gets it.
#[track_caller]
fn check(rules: Value, body: Value, reached: [usize; 3]) {
    let hub = hub(rules);
    let (ann, bob, carl) = (member(&hub, "ann", "a"), member(&hub, "bob", "b"), member(&hub, "carl", "a"));
    carl.send("join", json!({ "room": "urgent" }));
    let mut body = body;
    if body["socket"] == "BOB" {
        body["socket"] = json!(bob.id());
    }
    assert_eq!(ann.send("message", &body), json!({ "ok": true }), "{body}");
    assert_eq!([ann.inbox().len(), bob.inbox().len(), carl.inbox().len()], reached, "{body}");
    assert!(hub.failures().is_empty());
}

#[test]
fn a_message_that_no_rule_fits_goes_on_as_it_is() {
    let rules = json!([{ "when": { "event": "other" }, "to": [{ "room": "b" }] },
                       { "when": { "field": "text", "equals": "x" }, "to": ["everyone"] }]);
    check(rules, json!({ "room": "a", "text": "y" }), [1, 0, 1]);
}

#[test]
fn content_routes_to_another_room() {
    let rules =
        json!([{ "when": { "event": "message", "field": "order.state", "equals": "open" }, "to": [{ "room": "b" }] }]);
    check(rules.clone(), json!({ "room": "a", "order": { "state": "open" } }), [0, 1, 0]);
    check(rules, json!({ "room": "a", "order": "open" }), [1, 0, 1]);
}

#[test]
fn content_routes_to_two_rooms_and_who_is_in_both_hears_once() {
    let rules = json!([{ "when": { "field": "text", "starts_with": "#urgent" }, "to": ["keep", { "room": "urgent" }] },
                       { "when": { "field": "text", "contains": "all" }, "to": [{ "room": "a" }, { "room": "b" }] }]);
    check(rules.clone(), json!({ "room": "a", "text": "#urgent!" }), [1, 0, 1]);
    check(rules.clone(), json!({ "room": "b", "text": "#urgent!" }), [0, 1, 1]);
    check(rules.clone(), json!({ "room": "b", "text": "to all" }), [1, 1, 1]);
    check(rules, json!({ "room": "b", "text": "not #urgent" }), [0, 1, 0]);
}

#[test]
fn content_routes_to_a_user() {
    let rules = json!([{ "when": { "field": "text", "starts_with": "@bob " }, "to": [{ "user": "bob" }] },
                       { "when": { "field": "for", "exists": true }, "to": [{ "user_field": "for" }, "sender"] }]);
    check(rules.clone(), json!({ "room": "a", "text": "@bob hi" }), [0, 1, 0]);
    check(rules.clone(), json!({ "room": "a", "for": "carl" }), [1, 0, 1]);
    check(rules.clone(), json!({ "room": "a", "for": "nobody" }), [1, 0, 0]);
    check(rules, json!({ "room": "a", "for": 7 }), [1, 0, 1]);
}

#[test]
fn a_field_names_the_room_or_the_socket() {
    let rules = json!([{ "when": { "field": "socket", "exists": true }, "to": [{ "socket_field": "socket" }] },
                       { "when": { "field": "move", "exists": true }, "to": [{ "room_field": "move.to" }] }]);
    check(rules.clone(), json!({ "room": "a", "socket": "BOB" }), [0, 1, 0]);
    check(rules.clone(), json!({ "room": "a", "move": { "to": "b" } }), [0, 1, 0]);
    check(rules, json!({ "room": "a", "move": {} }), [1, 0, 1]);
}

#[test]
fn a_message_without_arguments_fits_rules_without_fields() {
    let hub = TestHub::new().plugin::<Router>(json!({ "rules": [{ "when": { "event": "ping" }, "to": ["sender"] },
                                            { "when": { "field": "x", "exists": false }, "to": ["everyone"] }] }));
    let (ann, bob) = (hub.connect(), hub.connect());
    ann.send_args("ping", Args::none());
    ann.send_args("pong", Args::none());
    assert_eq!((ann.inbox().len(), bob.inbox().len()), (2, 1));
}

#[test]
fn a_wrong_config_is_refused_with_the_key() {
    let read = |json: Value| hubbub_plugin::read_config::<Router>(&json.to_string()).err().unwrap_or_default();
    let rule = |when: Value, to: Value| json!({ "rules": [{ "when": when, "to": to }] });
    assert_eq!(read(json!({ "rules": [] })), "config: `rules`: must have at least one rule");
    assert_eq!(
        read(rule(json!({ "field": "x" }), json!(["keep"]))),
        "config: `rules[0].when`: `field` needs exactly one of `equals`, `contains`, `starts_with`, `exists`"
    );
    assert_eq!(
        read(rule(json!({ "field": "x", "equals": null, "exists": true }), json!(["keep"]))),
        "config: `rules[0].when`: `field` needs exactly one of `equals`, `contains`, `starts_with`, `exists`"
    );
    assert_eq!(read(rule(json!({}), json!(["keep"]))), "config: `rules[0].when`: must have `event` or `field`");
    assert_eq!(
        read(rule(json!({ "event": "x" }), json!([]))),
        "config: `rules[0].to`: must have at least one destination"
    );
    assert!(
        read(rule(json!({ "event": "x" }), json!([{ "rom": "x" }]))).contains("unknown variant `rom`, expected one of")
    );
    assert!(read(rule(json!({ "event": "x" }), json!([{ "room_field": "a." }]))).contains("`a.` is no path of fields"));
}
