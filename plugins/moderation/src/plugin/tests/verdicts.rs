//! What the rules say of messages, done.

use super::super::*;
use hubbub_plugin::testing::TestHub;

/// Sends every message back to its sender.
#[derive(Deserialize)]
struct Mirror {}

impl Plugin for Mirror {}

impl OnMessage for Mirror {
    fn on_message(&self, event: &MessageEvent) -> Outcome {
        event.retarget(To::sender());
        Ok(Pass)
    }
}

hubbub_plugin::export!(Mirror: OnMessage);

fn hub(action: &str) -> TestHub {
    let config = json!({ "words": [{ "name": "w", "words": ["idiot"], "action": action }] });
    TestHub::new().plugin::<Moderation>(config).plugin::<Mirror>(json!({}))
}

#[test]
fn a_masked_message_is_otherwise_as_it_was_sent() {
    let hub = hub("mask");
    let socket = hub.connect();
    socket.emit_args("message", Args::raw(r#"[{"n":1.10e2,"text":"you 1diot \"x\"","idiot":"idiot"},7]"#, vec![]));
    let got = serde_json::to_string(&socket.inbox().remove(0).args).unwrap();
    assert_eq!(got, r#"[{"idiot":"idiot","n":110.0,"text":"you ***** \"x\""},7]"#);
    assert!(hub.failures().is_empty());
}

#[test]
fn a_rejected_message_says_why() {
    let hub = hub("reject");
    let socket = hub.connect();
    let ack = socket.send("message", json!({ "text": "IDI0T" }));
    assert_eq!(ack.rejection_code(), Some("word_not_allowed"));
    assert!(socket.inbox().is_empty());
    assert_eq!(socket.send("message", json!({ "text": "fine" })), json!({ "ok": true }));
}
