//! What comes through.

use hubbub_plugin::testing::TestHub;

use super::*;

/// Sends every message back to its sender, behind the filter.
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

#[track_caller]
fn check(config: Value, sent: &str, got: &str) {
    let hub = TestHub::new().plugin::<WordFilter>(config).plugin::<Mirror>(json!({}));
    let socket = hub.connect();
    socket.emit_args("message", Args::raw(sent, vec![]));
    let got: Vec<Value> = serde_json::from_str(got).unwrap();
    assert_eq!(socket.inbox().remove(0).args, got);
    assert!(hub.failures().is_empty());
}

fn mask(sent: &str, got: &str) {
    check(json!({ "words": ["darn"] }), sent, got);
}

#[test]
fn only_the_named_fields_are_masked() {
    mask(
        r#"[{"text":"a darn day","keep":{"darn":"darn","text":"darn"}},"darn",{"text":["darn"]}]"#,
        r#"[{"text":"a **** day","keep":{"darn":"darn","text":"darn"}},"darn",{"text":["darn"]}]"#,
    );
    check(
        json!({ "words": ["darn"], "fields": ["title", "body.text"] }),
        r#"[{"title":"Darn","text":"darn","body":{"text":"DARN","x":1}},{"body":"darn"}]"#,
        r#"[{"title":"****","text":"darn","body":{"text":"****","x":1}},{"body":"darn"}]"#,
    );
}

#[test]
fn an_escape_hides_no_word() {
    mask(r#"[{"text":"d\u0061rn"}]"#, r#"[{"text":"****"}]"#);
    mask(r#"[{"text":"\"darn\" \\ darn\n"}]"#, r#"[{"text":"\"****\" \\ ****\n"}]"#);
    mask(r#"[{"t\u0065xt":"darn"}]"#, r#"[{"text":"****"}]"#);
}

#[test]
fn a_field_that_stands_twice_is_masked_twice() {
    let filter: WordFilter = hubbub_plugin::read_config(r#"{"words":["darn"]}"#).unwrap();
    let masked = filter.mask(r#"[{"text":"darn","text":"darn 1e400"}]"#).unwrap();
    assert_eq!(masked.as_deref(), Some(r#"[{"text":"****","text":"**** 1e400"}]"#));
}

#[test]
fn what_needs_no_mask_stays_byte_for_byte() {
    let filter: WordFilter = hubbub_plugin::read_config(r#"{"words":["darn"]}"#).unwrap();
    let masked = filter.mask("[ {\"n\": 1.10e2 ,\"big\":12345678901234567890123, \"text\" : \"darn\" } ]").unwrap();
    let same = "[ {\"n\": 1.10e2 ,\"big\":12345678901234567890123, \"text\" : \"****\" } ]";
    assert_eq!(masked.as_deref(), Some(same));
    assert_eq!(filter.mask(r#"[{"text":"fine"},{}, 7]"#).unwrap(), None);
}

#[test]
fn attachments_stay_with_a_masked_message() {
    let hub = TestHub::new().plugin::<WordFilter>(json!({ "words": ["darn"] })).plugin::<Mirror>(json!({}));
    let socket = hub.connect();
    let args = Args::none().with(&json!({ "text": "darn" })).unwrap().with_binary([1, 2]);
    socket.emit_args("message", args);
    let got = socket.inbox().remove(0);
    assert_eq!((got.args[0]["text"].as_str(), got.attachments), (Some("****"), vec![vec![1, 2]]));
}

#[test]
fn a_message_with_a_word_is_rejected_when_the_operator_wants_it() {
    let hub =
        TestHub::new().plugin::<WordFilter>(json!({ "words": ["darn"], "mode": "reject" })).plugin::<Mirror>(json!({}));
    let socket = hub.connect();
    let ack = socket.send("message", json!({ "text": "Darn it" }));
    assert_eq!(ack.rejection_code(), Some("word_not_allowed"));
    assert!(socket.inbox().is_empty());
    assert_eq!(socket.send("message", json!({ "text": "fine", "darn": "darn" })), json!({ "ok": true }));
}

#[test]
fn a_wrong_config_is_refused_with_the_key() {
    let read = |json: &str| hubbub_plugin::read_config::<WordFilter>(json).err().unwrap_or_default();
    assert_eq!(read("{}"), "config: missing field `words`");
    assert_eq!(read(r#"{"words":[]}"#), "config: `words`: must have at least one word");
    assert_eq!(
        read(r#"{"words":["a b"]}"#),
        "config: `words`: `a b` is no word: it must be made of letters, digits and `_`"
    );
    assert_eq!(
        read(r#"{"words":["a"],"mode":"drop"}"#),
        "config: `mode`: unknown variant `drop`, expected `mask` or `reject`"
    );
    assert_eq!(
        read(r#"{"words":["a"],"fields":["a..b"]}"#),
        "config: `fields`: `a..b` is no path of fields like `text` or `body.text`"
    );
}
