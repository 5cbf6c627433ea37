//! What the test kit promises: the hub's semantics, shown by plugins that do what their config says.

mod script;

use hubbub_plugin::{
    Args, json,
    testing::{Handshake, TestHub, TestSocket},
};
use script::{Script, chain};

/// The names that a socket received since the last look.
fn names(socket: &TestSocket) -> Vec<String> {
    socket.inbox().into_iter().map(|got| got.name).collect()
}

/// A socket in a room.
fn member(hub: &TestHub, room: &str) -> TestSocket {
    let socket = hub.connect();
    socket.send("go", room);
    assert_eq!(socket.rooms(), [room]);
    let _ = socket.inbox();
    socket
}

/// Joins whoever sends `go` to the room that it names, as the first of a chain.
const GO: &str = r#"{"message:go": ["join_arg"]}"#;

#[test]
fn without_plugins_nothing_is_relayed() {
    let hub = TestHub::new();
    let (ann, bob) = (hub.connect(), hub.connect());
    assert_eq!(
        ann.send("x", 1),
        json!({ "error": { "code": "unhandled", "message": "no plugin handles this event" } })
    );
    ann.emit("x", 1);
    assert_eq!(ann.inbox()[0].args[0]["error"]["code"], "unhandled");
    assert!(bob.inbox().is_empty());
}

#[test]
fn each_plugin_sees_what_the_one_before_it_let_through() {
    let hub = chain(&[
        r#"{"message:a": [{"name": "b"}, {"args": 2}, "to_everyone"]}"#,
        r#"{"message:a": [{"ack": "never asked"}], "message:b": [{"name": "c"}, "ack_arg"]}"#,
    ]);
    let ann = hub.connect();
    assert_eq!(ann.send("a", 1), json!(2));
    assert_eq!(ann.inbox(), [("c", json!(2))]);
}

#[test]
fn a_targeted_message_is_acked_without_a_plugins_word() {
    let hub = chain(&[r#"{"message:x": ["to_everyone"]}"#]);
    assert_eq!(hub.connect().send("x", 1), json!({ "ok": true }));
}

#[test]
fn the_first_ack_counts() {
    let hub = chain(&[r#"{"message:x": [{"ack": 1}, {"ack": 2}]}"#, r#"{"message:x": [{"ack": 3}]}"#]);
    assert_eq!(hub.connect().send("x", 0), json!(1));
}

#[test]
fn a_rejected_join_changes_no_membership() {
    let hub = chain(&[
        r#"{"message:go": [{"emit": "gone"}, "join_arg", {"ack": "in"}]}"#,
        r#"{"join:closed": [{"emit": "knock"}, "reject"], "join": [{"emit": "in"}]}"#,
    ]);
    let ann = hub.connect();
    let ack = ann.send("go", "closed");
    let reason = json!({ "code": "no", "message": "said no" });
    assert_eq!(ack, json!({ "error": { "code": "rejected", "message": "said no", "reason": reason } }));
    assert_eq!(names(&ann), ["knock"], "only what the rejecting call emitted");
    assert!(ann.rooms().is_empty());
    assert_eq!(ann.send("go", "open"), json!("in"));
    assert_eq!(names(&ann), ["in", "gone"], "in the order in which the script acts");
}

#[test]
fn a_raised_join_enters_at_the_chains_head_and_a_message_goes_down_the_rest() {
    let hub = chain(&[
        r#"{"join": [{"emit": "join at 1"}], "message:m": [{"emit": "m at 1"}]}"#,
        r#"{"message:x": ["join_arg", {"raise": "m"}], "message:m": [{"emit": "m at 2"}]}"#,
        r#"{"join": [{"emit": "join at 3"}], "message:m": [{"emit": "m at 3"}]}"#,
    ]);
    let ann = hub.connect();
    assert_eq!(ann.send("x", "room"), json!({ "ok": true }));
    assert_eq!(names(&ann), ["join at 1", "join at 3", "m at 3"]);
}

#[test]
fn raising_an_earlier_or_equal_kind_is_a_failure() {
    for (script, what) in [
        (r#"{"join": [{"raise": "m"}]}"#, "on_join: raised a Message in on_join"),
        (r#"{"join": [{"join": "another"}]}"#, "on_join: raised a Join in on_join"),
    ] {
        let hub = chain(&[GO, script]);
        let ann = hub.connect();
        let ack = ann.send("go", "a");
        assert_eq!(ack, json!({ "error": { "code": "plugin_failed", "message": "a plugin failed on this event" } }));
        assert!(hub.failures()[0].contains(what));
        assert!(ann.rooms().is_empty());
    }
}

#[test]
fn leaves_and_disconnects_are_facts() {
    for end in ["reject", "swallow", "fail"] {
        let script = format!(
            r#"{{"leave": [{{"emit_all": "dropped"}}, "{end}"], "disconnect": [{{"emit_all": "dropped"}}, "{end}"]}}"#
        );
        let hub = chain(&[GO, &script, r#"{"leave": [{"emit_all": "left"}], "disconnect": [{"emit_all": "gone"}]}"#]);
        let (ann, bob) = (member(&hub, "a"), hub.connect());
        ann.end("transport close");
        assert_eq!(names(&bob), ["left", "gone"], "{end}: only that call's acts are discarded");
        assert_eq!(hub.room_size("a"), 0);
        assert!(!ann.is_connected());
    }
}

#[test]
fn a_disconnect_leaves_every_room_in_the_order_of_joining() {
    let hub = chain(&[r#"{"message:go": ["join_arg"], "message:bye": ["disconnect"], "leave": ["emit_room_all"]}"#]);
    let (ann, bob) = (hub.connect(), hub.connect());
    for room in ["b", "a", "c"] {
        ann.send("go", room);
    }
    ann.send("bye", 0);
    assert_eq!(names(&bob), ["b", "a", "c"]);
    assert_eq!(ann.send("x", 0).error_code(), Some("unavailable"));
}

#[test]
fn who_leaves_does_not_hear_of_it_and_who_joins_does() {
    let hub = chain(&[r#"{"message:go": ["join_arg"], "message:back": ["leave_arg"],
            "join": [{"emit_event_room": "joined"}], "leave": [{"emit_event_room": "left"}]}"#]);
    let (ann, bob) = (member(&hub, "a"), member(&hub, "a"));
    assert_eq!(names(&ann), ["joined"]);
    bob.send("back", "a");
    assert_eq!((names(&ann), names(&bob)), (vec!["left".into()], vec![]));
}

#[test]
fn swallow_ends_only_this_event() {
    let hub = chain(&[r#"{"message:x": [{"emit": "before"}, "to_everyone", "swallow"]}"#, r#"{"message": ["fail"]}"#]);
    let ann = hub.connect();
    assert_eq!(ann.send("x", 0), json!({ "ok": true }));
    assert_eq!(names(&ann), ["before"]);
}

#[test]
fn an_emit_to_the_events_room_follows_a_later_retarget() {
    let hub = chain(&[
        GO,
        r#"{"message:x": [{"room": "a"}, {"emit_event_room": "note"}]}"#,
        r#"{"message:x": [{"room": "b"}]}"#,
    ]);
    let (ann, bob) = (member(&hub, "a"), member(&hub, "b"));
    ann.send("x", 0);
    assert_eq!((names(&ann), names(&bob)), (vec![], vec!["note".into(), "x".into()]));
}

#[test]
fn joining_again_asks_nobody_and_is_no_unhandled_message() {
    let hub = chain(&[r#"{"message:go": ["join_arg"], "join": [{"emit": "joined"}]}"#]);
    let ann = member(&hub, "a");
    assert_eq!(ann.send("go", "a"), json!({ "ok": true }));
    assert!(ann.inbox().is_empty());
}

#[test]
fn a_failure_leaves_no_trace_and_tells_the_client_nothing() {
    let hub = chain(&[GO, r#"{"message:x": [{"emit": "lost"}, {"ack": "lost"}, {"join": "lost"}, "fail"]}"#]);
    let ann = hub.connect();
    let ack = ann.send("x", 0);
    assert_eq!(ack, json!({ "error": { "code": "plugin_failed", "message": "a plugin failed on this event" } }));
    assert!(ann.inbox().is_empty() && ann.rooms().is_empty());
    assert_eq!(hub.failures(), ["plugin `hubbub-plugin`, on_message: asked to fail"]);
    assert!(hub.failures().is_empty());
}

#[test]
fn arguments_that_are_no_json_array_are_a_failure() {
    let hub = chain(&[r#"{"message:x": [{"emit_raw": "{}"}], "message:y": [{"emit_raw": "[1"}]}"#]);
    for name in ["x", "y"] {
        assert_eq!(hub.connect().send(name, 0).error_code(), Some("plugin_failed"));
        assert!(hub.failures()[0].contains("gave arguments that are no JSON array"));
    }
}

#[test]
fn each_socket_is_reached_once_in_its_own_namespace() {
    let hub = chain(&[GO, r#"{"message:x": [{"to_many": "a"}]}"#]);
    let ann = member(&hub, "a");
    let phones = [hub.connect_as("bob"), hub.connect_as("bob")];
    let elsewhere = hub.connect_with(Handshake::new().namespace("/other").user("bob", &[]));
    ann.send("x", 0);
    assert_eq!(names(&ann), ["x"]);
    for phone in &phones {
        assert_eq!(names(phone), ["x"]);
    }
    assert!(elsewhere.inbox().is_empty());
}

#[test]
fn a_connect_that_is_refused_leaves_no_socket() {
    let hub = chain(&[r#"{"connect": [{"emit_all": "somebody knocks"}, "reject"]}"#]);
    let error = hub.try_connect(Handshake::new()).err().unwrap();
    let reason = json!({ "code": "no", "message": "said no" });
    assert_eq!(error, json!({ "message": "said no", "data": { "code": "rejected", "reason": reason } }));
}

#[test]
fn a_connect_may_join_and_emit_to_itself() {
    let hub =
        chain(&[r#"{"connect": [{"join": "a"}, {"emit": "welcome"}, {"raise": "m"}], "message:m": ["ack_arg"]}"#]);
    let ann = hub.connect();
    assert_eq!((ann.rooms(), names(&ann)), (vec!["a".into()], vec!["welcome".into()]));
}

#[test]
fn the_first_who_says_a_user_wins() {
    let hub =
        chain(&[r#"{"connect": [{"user": "ann"}]}"#, r#"{"connect": [{"user": "eve"}], "message:who": ["ack_user"]}"#]);
    assert_eq!(hub.connect().send("who", 0), json!("ann"));
    assert_eq!(hub.connect_as("bob").send("who", 0), json!("bob"));
}

#[test]
fn handled_membership_is_seen_by_later_hooks_of_the_same_event() {
    let hub = chain(&[GO, r#"{"message:go": ["ack_size"]}"#]);
    let _bob = member(&hub, "a");
    assert_eq!(hub.connect().send("go", "a"), json!([["a"], 2]));
}

#[test]
fn a_malformed_argument_is_a_rejection() {
    let hub = chain(&[GO]);
    let ack = hub.connect().send("go", 7);
    assert_eq!(ack.rejection_code(), Some("bad_request"));
    assert_eq!(ack.error_message(), Some("argument 1: invalid type: integer `7`, expected a string"));
    assert_eq!(hub.connect().send_args("go", Args::none()).error_message(), Some("argument 1 is missing"));
    assert!(hub.failures().is_empty());
}

#[test]
fn an_answer_comes_to_the_plugin_that_asked() {
    let hub = chain(&[
        r#"{"answer": [{"emit": "not asked"}]}"#,
        r#"{"message:ask": ["ask"], "answer": [{"emit": "answered"}, {"raise": "m"}]}"#,
        r#"{"message:m": [{"emit": "m"}]}"#,
    ]);
    let ann = hub.connect();
    ann.send("ask", 0);
    let asked = ann.inbox().remove(0);
    assert!(ann.answer(&asked, 1));
    assert_eq!(names(&ann), ["answered", "m"]);
    assert!(!ann.answer(&asked, 1), "only once");
    ann.send("ask", 0);
    ann.disconnect();
    hub.time_out_asks();
    assert!(hub.failures().is_empty());
}

#[test]
#[should_panic(expected = "plugin `hubbub-plugin` does not start: config: `join[0]`: unknown variant `dance`")]
fn a_plugin_that_refuses_its_config_fails_the_test() {
    TestHub::new().plugin::<Script>(json!({ "join": ["dance"] }));
}

#[test]
#[should_panic(expected = "there is no event outside a hook")]
fn targets_of_the_sender_need_an_event() {
    let _ = hubbub_plugin::To::everyone().except_sender();
}

#[test]
fn a_swallowed_join_is_no_membership_and_a_swallowed_connect_a_refusal() {
    let hub = chain(&[GO, r#"{"join": [{"emit_event_room": "joined"}, "swallow"]}"#]);
    let ann = hub.connect();
    assert_eq!(ann.send("go", "a"), json!({ "ok": true }));
    assert!(ann.rooms().is_empty() && ann.inbox().is_empty());
    let hub = chain(&[r#"{"connect": ["swallow"]}"#]);
    let error = hub.try_connect(Handshake::new()).err().unwrap();
    assert_eq!(error, json!({ "message": "the connection was refused", "data": { "code": "rejected" } }));
}

#[test]
fn membership_has_changed_when_its_hooks_are_asked() {
    let hub = chain(&[
        r#"{"message:go": ["join_arg"], "message:back": ["leave_arg"], "join": ["ack_mine"], "leave": ["ack_mine"]}"#,
    ]);
    let ann = hub.connect();
    assert_eq!(ann.send("go", "a"), json!(["a"]));
    assert_eq!(ann.send("back", "a"), json!([]));
}
