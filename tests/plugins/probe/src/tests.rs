//! The probe does what it says.

use hubbub_plugin::testing::{Handshake, TestHub};

use super::*;

fn hub(config: Value) -> TestHub {
    TestHub::new().plugin::<Probe>(config)
}

#[test]
fn it_says_who_connects() {
    let hub = hub(json!({}));
    let auth = json!({ "user": "ann", "roles": ["mod"], "join": ["a"] });
    let handshake = Handshake::new().auth(auth).header("user-agent", "test").query("transport", "websocket");
    let socket = hub.connect_with(handshake);
    let seen = socket.inbox().remove(0).args.remove(0);
    assert_eq!((seen["set"].clone(), seen["set_again"].clone()), (json!(true), json!(false)));
    assert_eq!((seen["user_agent"].clone(), seen["transport"].clone()), (json!("test"), json!("websocket")));
    let seen = socket.send("probe:describe", 7).args.remove(0);
    assert_eq!(seen["user"], "ann");
    assert_eq!(seen["roles"], json!(["mod"]));
    assert_eq!(seen["rooms"], json!(["a"]));
    assert_eq!(seen["args"], json!([7]));
}

#[test]
fn it_refuses_a_connect_and_joins() {
    let hub = hub(json!({ "reject_rooms": ["closed"] }));
    let auth = json!({ "reject": { "code": "no", "message": "not you", "data": 7 } });
    let error = hub.try_connect(Handshake::new().auth(auth)).err().unwrap();
    let reason = json!({ "code": "no", "message": "not you", "data": 7 });
    assert_eq!(error, json!({ "message": "not you", "data": { "code": "rejected", "reason": reason } }));
    let socket = hub.connect();
    let _ = socket.inbox();
    assert_eq!(socket.send("probe:join", json!({ "room": "closed" })).rejection_code(), Some("room_closed"));
    assert!(socket.rooms().is_empty());
    assert_eq!(socket.inbox(), [("probe:refused", json!({ "room": "closed", "is_in": true }))]);
}

#[test]
fn it_orders_and_watches() {
    let hub = hub(json!({ "watch": true }));
    let (ann, bob) = (hub.connect(), hub.connect());
    let (_, _) = (ann.inbox(), bob.inbox());
    let order = json!({ "of": { "socket": bob.id() }, "act": "join", "room": "a" });
    assert_eq!(ann.send("probe:order", order), json!("done"));
    assert_eq!(bob.rooms(), ["a"]);
    let saw = json!({ "hook": "join", "room": "a", "origin": "plugin", "socket": bob.id(), "rooms": ["a"] });
    assert_eq!(ann.inbox(), [("probe:saw", saw)]);
    ann.send("probe:order", json!({ "of": { "socket": bob.id() }, "act": "disconnect", "reason": "kicked" }));
    assert!(!bob.is_connected());
    assert_eq!(ann.inbox().len(), 2, "a leave and a disconnect");
    assert!(hub.failures().is_empty());
}

#[test]
fn an_order_within_an_order_is_a_failure() {
    let hub = hub(json!({ "order_on_join": "b" }));
    let ann = hub.connect();
    ann.send("probe:order", json!({ "of": "sender", "act": "join", "room": "a" }));
    assert!(ann.rooms().is_empty());
    let failures = hub.failures();
    assert!(failures[0].contains("plugin `probe`, on_join: gave an order while an order was run"), "{failures:?}");
}

#[test]
fn it_asks_and_hears_the_end() {
    let hub = hub(json!({}));
    let (ann, bob) = (hub.connect(), hub.connect());
    let (_, _) = (ann.inbox(), bob.inbox());
    let ask = |socket: &str| json!({ "socket": socket, "name": "q", "args": [1], "timeout_ms": 50, "tag": "t" });
    ann.send("probe:ask", ask(bob.id()));
    assert!(bob.answer(&bob.inbox()[0], "yes"));
    ann.send("probe:ask", ask(bob.id()));
    hub.time_out_asks();
    ann.send("probe:ask", ask("socket-nobody"));
    let ends = ann.inbox().into_iter().map(|got| (got.args[0]["outcome"].clone(), got.args[0]["socket"].clone()));
    let bob = json!(bob.id());
    let expected = [(json!("answered"), bob.clone()), (json!("timed-out"), bob), (json!("gone"), json!(null))];
    assert_eq!(ends.collect::<Vec<_>>(), expected);
}

#[test]
fn it_changes_and_raises_messages() {
    let hub = hub(json!({}));
    let (ann, bob) = (hub.connect(), hub.connect());
    let (_, _) = (ann.inbox(), bob.inbox());
    ann.send("probe:change", json!({ "name": "n", "args": [1], "to": ["everyone"] }));
    assert_eq!(bob.inbox(), [("n", json!(1))]);
    ann.send("probe:raise", json!({ "name": "r", "args": [2], "to": [{ "socket": bob.id() }] }));
    assert_eq!(bob.inbox(), [("r", json!(2))]);
    ann.send("probe:emit", json!({ "name": "e", "to": ["everyone"], "except": [ann.id()], "args": [3] }));
    assert_eq!(bob.inbox(), [("e", json!(3))]);
    assert_eq!(ann.send("probe:swallow", 0), json!({ "ok": true }));
    assert_eq!(ann.send("probe:fail", "broken").error_code(), Some("plugin_failed"));
    assert_eq!(hub.failures(), ["plugin `probe`, on_message: broken"]);
    assert!(bob.inbox().is_empty());
}
