//! Rules that change at run time, slow mode and floods.

use super::*;

fn set(moderator: &TestSocket, rule: Value) -> Ack {
    moderator.send("mod:rule_set", json!({ "rule": rule }))
}

#[test]
fn a_new_rule_holds_for_the_next_message() {
    let hub = hub();
    let (ann, mo) = (member(&hub, "ann"), moderator(&hub));
    good(say(&ann, "a pineapple"));
    let fruit = json!({ "kind": "words", "name": "fruit", "words": ["pineapple"], "action": "reject" });
    assert_eq!(good(set(&mo, fruit))["version"], 1);
    assert_eq!(of(&mo, "mod:rules_changed"), [json!({ "version": 1, "by": "mo" })]);
    refused(&say(&ann, "a p1neapple"), "word_not_allowed");
    refused(&say(&ann, "moron"), "word_not_allowed");
    good(mo.send("mod:words", json!({ "name": "fruit", "add": ["banana"], "remove": ["pineapple"] })));
    good(say(&ann, "a pineapple"));
    refused(&say(&ann, "banana"), "word_not_allowed");
    good(mo.send("mod:words", json!({ "name": "allow", "add": ["banana split"] })));
    good(say(&ann, "banana split"));
    good(set(&mo, json!({ "kind": "regex", "name": "phone", "pattern": "\\d{8}", "action": "mask" })));
    good(say(&ann, "call 12345678"));
    assert_eq!(texts(&ann).last().unwrap(), "call ********");
    good(mo.send("mod:rule_remove", json!({ "name": "fruit" })));
    good(say(&ann, "banana"));
    good(mo.send("mod:rule_remove", json!({ "name": "rude" })));
    good(say(&ann, "moron"));
    let rules = good(mo.send("mod:rules", json!({})));
    let rude = rules["rules"].as_array().unwrap().iter().find(|r| r["name"] == "rude").unwrap().clone();
    let expect = json!({
        "kind": "words", "name": "rude", "words": ["moron"], "mode": "whole", "action": "reject", "source": "config", "off": true,
    });
    assert_eq!(rude, expect);
    good(mo.send("mod:rule_reset", json!({ "name": "rude" })));
    refused(&say(&ann, "moron"), "word_not_allowed");
    assert!(hub.failures().is_empty());
}

#[test]
fn a_wrong_rule_is_refused_and_changes_nothing() {
    let hub = hub();
    let mo = moderator(&hub);
    let long = "x".repeat(300);
    for (rule, why) in [
        (json!({ "kind": "regex", "name": "r", "pattern": "(", "action": "mask" }), "no regular expression"),
        (json!({ "kind": "regex", "name": "r", "pattern": "x*", "action": "mask" }), "matches the empty text"),
        (json!({ "kind": "regex", "name": "r", "pattern": long, "action": "mask" }), "200 bytes"),
        (json!({ "kind": "regex", "name": "r", "pattern": "(\\w{50}){50}", "action": "mask" }), "smaller repetitions"),
        (json!({ "kind": "words", "name": "w", "words": [], "action": "mask" }), "no words"),
        (json!({ "kind": "words", "name": "links", "words": ["abc"], "action": "mask" }), "is taken"),
        (json!({ "kind": "words", "name": long, "words": ["abc"], "action": "mask" }), "64 characters"),
        (json!({ "kind": "caps", "name": "c", "ratio": 0.5, "min_letters": 5, "action": "hold" }), "has the name"),
        (json!({ "kind": "caps", "name": "caps", "ratio": 5, "min_letters": 5, "action": "hold" }), "between 0 and 1"),
        (json!({ "kind": "caps", "name": "caps", "ratio": 0.5, "x": 5, "action": "hold" }), "unknown field"),
        (json!({ "kind": "nonsense", "name": "nonsense" }), "unknown variant"),
        (json!({ "name": "x" }), "`kind`"),
    ] {
        let ack = set(&mo, rule.clone());
        refused(&ack, "rule_invalid");
        let message = ack.error_message().unwrap_or_default();
        assert!(message.contains(why), "{rule}: {message}");
    }
    refused(&mo.send("mod:rule_remove", json!({ "name": "no" })), "unknown_rule");
    refused(&mo.send("mod:rule_reset", json!({ "name": "rude" })), "unknown_rule");
    refused(&mo.send("mod:words", json!({ "name": "no", "add": ["abc"] })), "unknown_rule");
    assert_eq!(good(mo.send("mod:rules", json!({})))["version"], 0);
}

#[test]
fn rules_at_run_time_have_limits() {
    let hub = hub();
    let mo = moderator(&hub);
    for n in 0..4 {
        good(set(&mo, json!({ "kind": "regex", "name": format!("r{n}"), "pattern": "abc", "action": "mask" })));
    }
    let ack = set(&mo, json!({ "kind": "regex", "name": "more", "pattern": "abc", "action": "mask" }));
    refused(&ack, "too_many_rules");
    let many: Vec<String> = (0..2000).map(|n| format!("w{n:06}")).collect();
    refused(&set(&mo, json!({ "kind": "words", "name": "many", "words": many, "action": "mask" })), "rule_invalid");
    let long: Vec<String> = (0..1000).map(|n| format!("{n:060}")).collect();
    refused(&set(&mo, json!({ "kind": "words", "name": "long", "words": long, "action": "mask" })), "too_many_rules");
    for n in 0..200 {
        good(mo.send("mod:slow", json!({ "room": format!("r{n}"), "seconds": 5 })));
    }
    refused(&mo.send("mod:slow", json!({ "room": "more", "seconds": 5 })), "too_many_rules");
}

#[test]
fn in_a_slow_room_one_waits_but_a_moderator_does_not() {
    let hub = hub();
    let (ann, bob, mo) = (member(&hub, "ann"), member(&hub, "bob"), moderator(&hub));
    good(mo.send("mod:slow", json!({ "room": "a", "seconds": 30 })));
    assert_eq!(good(ann.send("mod:me", json!({})))["slow"], json!({ "a": 30 }));
    refused(&say(&ann, "moron"), "word_not_allowed");
    good(say(&ann, "one"));
    let told = say(&ann, "two");
    refused(&told, "slow_mode");
    assert!((29_000..30_000).contains(&data(&told)["wait_ms"].as_u64().unwrap()), "{told:?}");
    good(ann.send("edit", json!({ "room": "a", "id": 1, "text": "an edit" })));
    good(say(&bob, "me too"));
    good(say(&mo, "x"));
    good(say(&mo, "y"));
    hub.advance(Duration::from_secs(30));
    good(say(&ann, "two"));
    good(mo.send("mod:slow", json!({ "room": "a", "seconds": 0 })));
    good(say(&ann, "three"));
    assert!(hub.failures().is_empty());
}

#[test]
fn floods_are_counted_by_user_or_address_and_repeats_by_looks() {
    let flood = json!({ "window_seconds": 10, "messages_max": 4, "same_max": 2, "action": "reject" });
    let hub = hub_with(json!({ "flood": flood, "mentions": { "max": 1, "action": "reject" } }));
    let (ann, mo) = (member(&hub, "ann"), moderator(&hub));
    good(say(&ann, "buy now"));
    good(say(&ann, "BUY now!!!"));
    refused(&say(&ann, "buy... n\u{f3}w"), "same_message_again");
    good(say(&member(&hub, "ann"), "another socket"));
    refused(&say(&ann, "five"), "too_many_messages");
    (0..6).for_each(|_| drop(good(say(&mo, "mo"))));
    hub.advance(Duration::from_secs(10));
    good(say(&ann, "later"));
    refused(&say(&ann, "@ann @mo"), "too_many_mentions");
    let (eve, fox) = (guest(&hub, "192.0.2.1"), guest(&hub, "192.0.2.1"));
    for n in 0..2 {
        good(say(&eve, &format!("eve {n}")));
        good(say(&fox, &format!("fox {n}")));
    }
    refused(&say(&fox, "from one address"), "too_many_messages");
    assert!(hub.failures().is_empty());
}

#[test]
fn the_config_is_checked_with_the_key() {
    let read = |json: &str| hubbub_plugin::read_config::<Moderation>(json).err().unwrap_or_default();
    assert_eq!(read("{}"), "");
    assert!(read(r#"{"desk":{"held_max":0}}"#).contains("`desk.held_max`: 0 is not in 1..=1000"));
    assert!(read(r#"{"desk":{"moderators":1}}"#).starts_with("config: `desk.moderators`: unknown field"));
}
