//! Mutes, bans, kicks, shadow bans, and the list of what was done.

use super::*;

#[test]
fn who_is_muted_says_nothing_until_it_ends() {
    let hub = hub();
    let (ann, bob, mo) = (member(&hub, "ann"), member(&hub, "bob"), moderator(&hub));
    good(say(&ann, "hi"));
    let _ = bob.inbox();
    let mute = json!({ "user": "ann", "room": "a", "seconds": 60, "reason": "calm down" });
    let sanction = &good(mo.send("mod:mute", &mute))["sanction"];
    assert_eq!((&sanction["kind"], &sanction["by"]), (&json!("mute"), &json!("mo")));
    let notice = &of(&ann, "mod:notice")[0];
    assert_eq!((&notice["kind"], &notice["reason"]), (&json!("mute"), &json!("calm down")));
    assert_eq!(of(&mo, "mod:sanctioned").len(), 1);
    let told = say(&ann, "why?");
    refused(&told, "muted");
    assert_eq!(data(&told)["until_ms"], sanction["until_ms"]);
    for (name, body) in [
        ("typing", json!({ "room": "a" })),
        ("edit", json!({ "room": "a", "id": 1, "text": "x" })),
        ("react", json!({ "room": "a", "id": 1, "emoji": "👍", "on": true })),
        ("topic", json!({ "room": "a", "text": "x" })),
    ] {
        refused(&ann.send(name, body), "muted");
    }
    refused(&ann.send("rename", json!({ "room": "a", "name": "x" })), "muted");
    good(ann.send("read", json!({ "room": "a", "id": 1 })));
    good(ann.send("presence", json!({ "room": "a", "status": "away" })));
    good(ann.send("join", json!({ "room": "b" })));
    good(ann.send("message", json!({ "room": "b", "text": "elsewhere" })));
    assert!(of(&bob, "message").is_empty());
    hub.advance(MINUTE);
    good(say(&ann, "back"));
    assert_eq!(of(&bob, "message")[0]["text"], "back");
    assert!(hub.failures().is_empty());
}

#[test]
fn a_ban_holds_over_a_reconnect_and_is_lifted() {
    let hub = hub();
    let (ann, mo) = (member(&hub, "ann"), moderator(&hub));
    good(mo.send("mod:ban", json!({ "user": "ann", "seconds": 3600 })));
    assert!(!ann.is_connected());
    assert_eq!(of(&ann, "mod:notice")[0]["kind"], "ban");
    let error = hub.try_connect(Handshake::new().user("ann", &[])).err().unwrap();
    assert_eq!(error["data"]["reason"]["code"], "banned");
    assert!(error["data"]["reason"]["data"]["until_ms"].is_u64());
    good(mo.send("mod:unban", json!({ "user": "ann" })));
    refused(&mo.send("mod:unban", json!({ "user": "ann" })), "not_sanctioned");
    let ann = member(&hub, "ann");
    good(mo.send("mod:ban", json!({ "user": "ann", "room": "a" })));
    assert!(ann.is_connected() && ann.rooms().is_empty());
    refused(&ann.send("join", json!({ "room": "a" })), "banned");
    good(ann.send("join", json!({ "room": "b" })));
    let list = good(mo.send("mod:sanctions", json!({})));
    let id = &list["sanctions"][0]["id"];
    good(mo.send("mod:lift", json!({ "id": id })));
    good(ann.send("join", json!({ "room": "a" })));
    assert_eq!(acts(&mo), ["lift", "ban", "unban", "ban"]);
    assert!(hub.failures().is_empty());
}

#[test]
fn a_guest_is_banned_by_address_and_users_from_there_are_not() {
    let hub = hub();
    let (eve, mo) = (guest(&hub, "192.0.2.1"), moderator(&hub));
    let sanction = &good(mo.send("mod:ban", json!({ "socket": eve.id() })))["sanction"];
    assert_eq!(sanction["socket"], eve.id());
    assert!(!sanction.to_string().contains("192.0.2.1"), "moderators see no addresses");
    assert!(!eve.is_connected());
    let from = |address: &str| Handshake::new().address(address);
    assert!(hub.try_connect(from("192.0.2.1")).is_err());
    assert!(hub.try_connect(from("192.0.2.1").user("ann", &[])).is_ok());
    assert!(hub.try_connect(from("192.0.2.2")).is_ok());
}

#[test]
fn a_socket_of_a_user_stands_for_the_user() {
    let hub = hub();
    let (ann, mo) = (member(&hub, "ann"), moderator(&hub));
    good(mo.send("mod:mute", json!({ "socket": ann.id() })));
    refused(&say(&member(&hub, "ann"), "other socket"), "muted");
    assert_eq!(good(ann.send("mod:me", json!({})))["sanctions"], json!([{ "kind": "mute" }]));
}

#[test]
fn who_is_kicked_leaves_and_may_come_back() {
    let hub = hub();
    let (ann, bob, mo) = (member(&hub, "ann"), member(&hub, "bob"), moderator(&hub));
    let _ = bob.inbox();
    good(mo.send("mod:kick", json!({ "user": "ann", "room": "a", "reason": "enough" })));
    let left = &of(&bob, "left")[0];
    assert_eq!((&left["name"], &left["reason"]), (&json!("ann"), &json!("kicked")));
    assert_eq!(of(&ann, "mod:notice"), [json!({ "kind": "kick", "room": "a", "reason": "enough" })]);
    let ann = enter(ann, "a");
    good(mo.send("mod:kick", json!({ "user": "ann" })));
    assert!(!ann.is_connected());
}

#[test]
fn a_shadowed_user_leaves_no_trace_for_others() {
    let hub = hub();
    let (ann, bob, mo) = (member(&hub, "ann"), member(&hub, "bob"), moderator(&hub));
    good(say(&ann, "before"));
    good(say(&bob, "too"));
    good(ann.send("create", json!({ "room": "p", "invite_only": true })));
    good(ann.send("join", json!({ "room": "p" })));
    let _ = (bob.inbox(), ann.inbox());
    good(mo.send("mod:shadow", json!({ "user": "ann" })));
    assert!(of(&ann, "mod:notice").is_empty(), "nobody is told");
    assert_eq!(good(ann.send("mod:me", json!({})))["sanctions"], json!([]));
    assert_eq!(good(say(&ann, "psst @bob"))["id"], 3);
    good(ann.send("typing", json!({ "room": "a" })));
    good(ann.send("edit", json!({ "room": "a", "id": 1, "text": "changed" })));
    good(ann.send("react", json!({ "room": "a", "id": 1, "emoji": "👍", "on": true })));
    good(ann.send("read", json!({ "room": "a", "id": 2 })));
    good(ann.send("topic", json!({ "room": "a", "text": "secret topic" })));
    good(ann.send("direct", json!({ "to": "bob", "text": "psst" })));
    good(ann.send("invite", json!({ "room": "p", "user": "bob" })));
    good(ann.send("delete", json!({ "room": "a", "id": 1 })));
    assert!(bob.inbox().is_empty());
    let names: Vec<String> = ann.inbox().into_iter().map(|d| d.name).collect();
    assert_eq!(names, ["message", "edited", "reacted", "read", "topic", "deleted"], "as if all were well");
    assert_eq!(texts(&bob), ["before", "too"]);
    let joined = good(member(&hub, "eve").send("join", json!({ "room": "a" })));
    assert_eq!((&joined["topic"], &joined["last_id"]), (&Value::Null, &json!(2)));
    let page = good(bob.send("history", json!({ "user": "ann" })));
    assert_eq!(page["messages"], json!([]));
    good(mo.send("mod:unshadow", json!({ "user": "ann" })));
    good(say(&ann, "after"));
    assert_eq!(of(&bob, "message")[0]["text"], "after");
    assert!(hub.failures().is_empty());
}

/// Whatever anybody can see of the rooms `a` and `b` and of a user without being told.
fn seen_by(hub: &TestHub, user: &str) -> Value {
    let socket = hub.connect_as(user);
    let mut seen: Vec<Value> = ["a", "b"].map(|room| good(socket.send("join", json!({ "room": room })))).into();
    for place in [json!({ "room": "a" }), json!({ "room": "b" }), json!({ "user": "ann" })] {
        seen.push(good(socket.send("history", place)));
    }
    seen.push(good(socket.send("rooms", json!({ "public": true }))));
    socket.disconnect();
    let mut seen = json!(seen);
    for room in [0, 1] {
        seen[room]["you"] = Value::Null;
        let of_others = |m: &Value| m["user"] != user;
        seen[room]["members"] =
            seen[room]["members"].as_array().unwrap().iter().filter(|m| of_others(m)).cloned().collect();
    }
    seen
}

#[test]
fn of_a_shadowed_user_others_see_no_event_at_all() {
    let hub = hub();
    let (ann, ann2, bob, mo) = (member(&hub, "ann"), member(&hub, "ann"), member(&hub, "bob"), moderator(&hub));
    let _ = (enter(ann.clone(), "b"), enter(bob.clone(), "b"));
    for (from, name, body) in [
        (&ann, "message", json!({ "room": "a", "text": "before" })),
        (&bob, "message", json!({ "room": "a", "text": "too" })),
        (&ann, "direct", json!({ "to": "bob", "text": "before" })),
        (&bob, "direct", json!({ "to": "ann", "text": "too" })),
        (&ann, "create", json!({ "room": "p", "invite_only": true })),
        (&ann, "join", json!({ "room": "p" })),
    ] {
        good(from.send(name, body));
    }
    let before = seen_by(&hub, "bob");
    good(mo.send("mod:shadow", json!({ "user": "ann" })));
    for socket in [&ann, &ann2, &bob, &mo] {
        let _ = socket.inbox();
    }
    // what it gets back itself, on the socket that it uses and on its other one
    let cases = [
        ("message", json!({ "room": "a", "text": "psst @bob @mo" }), ["message"].as_slice(), [].as_slice()),
        ("direct", json!({ "to": "bob", "text": "psst" }), &[], &["direct"]),
        ("edit", json!({ "room": "a", "id": 1, "text": "@bob" }), &["edited"], &[]),
        ("edit", json!({ "user": "bob", "id": 1, "text": "x" }), &["edited"], &["edited"]),
        ("react", json!({ "room": "a", "id": 2, "emoji": "👍", "on": true }), &["reacted"], &[]),
        ("react", json!({ "user": "bob", "id": 2, "emoji": "👍", "on": true }), &["reacted"], &["reacted"]),
        ("read", json!({ "room": "a", "id": 2 }), &["read"], &[]),
        ("read", json!({ "user": "bob", "id": 2 }), &["read"], &["read"]),
        ("typing", json!({ "room": "a" }), &[], &[]),
        ("typing", json!({ "user": "bob" }), &[], &[]),
        ("topic", json!({ "room": "a", "text": "secret" }), &["topic"], &[]),
        ("invite", json!({ "room": "p", "user": "bob" }), &[], &[]),
        ("uninvite", json!({ "room": "p" }), &[], &[]),
        ("create", json!({ "room": "q" }), &[], &[]),
        ("history", json!({ "room": "a" }), &[], &[]),
        ("rooms", json!({ "public": true }), &[], &[]),
        ("delete", json!({ "room": "a", "id": 1 }), &["deleted"], &[]),
        ("delete", json!({ "user": "bob", "id": 1 }), &["deleted"], &["deleted"]),
        ("rename", json!({ "room": "a", "name": "boo" }), &[], &[]),
        ("presence", json!({ "room": "a", "status": "away" }), &[], &[]),
        ("presence", json!({ "room": "b", "status": "away" }), &[], &[]),
    ];
    // these are seen: that somebody is in a room is no secret
    let open = ["join", "leave", "mod:approve"];
    for name in ChatRooms::EVENTS {
        assert!(
            open.contains(name) || cases.iter().any(|(case, ..)| case == name),
            "{name}: what do others see of it?"
        );
    }
    let names = |socket: &TestSocket| socket.inbox().into_iter().map(|d| d.name).collect::<Vec<_>>();
    for (name, body, own, other) in cases {
        let ack = ann.send(name, &body);
        match name {
            "rename" | "presence" => refused(&ack, "too_fast"),
            _ => drop(good(ack)),
        }
        assert_eq!(names(&ann), own, "{name} {body}");
        assert_eq!(names(&ann2), other, "{name} {body}");
        assert!(bob.inbox().is_empty() && mo.inbox().is_empty(), "{name} {body}");
    }
    assert_eq!(seen_by(&hub, "bob"), before);
    good(bob.send("rename", json!({ "room": "a", "name": "boo" })));
    assert!(hub.failures().is_empty());
}

#[test]
fn only_moderators_moderate_and_not_one_another() {
    let hub = hub();
    let (ann, mo) = (member(&hub, "ann"), moderator(&hub));
    for act in ["mute", "ban", "kick", "queue", "approve", "audit", "rules", "rule_set", "slow", "no_such"] {
        refused(&ann.send(&format!("mod:{act}"), json!({ "id": 1, "user": "bob" })), "not_allowed");
    }
    refused(&mo.send("mod:ban", json!({ "user": "mo" })), "not_allowed");
    for (act, body) in [
        ("no_such", json!({})),
        ("mute", json!({})),
        ("mute", json!({ "user": "a", "socket": "b" })),
        ("mute", json!({ "user": "ann", "seconds": 0 })),
        ("mute", json!({ "user": "ann", "reason": "x".repeat(201) })),
        ("mute", json!({ "user": "x".repeat(300) })),
        ("ban", json!({ "user": "ann", "room": "" })),
        ("kick", json!({ "user": "ann", "seconds": 1 })),
        ("slow", json!({ "room": "a", "seconds": 1_000_000 })),
        ("mute", json!({ "user": "ann", "nonsense": 1 })),
    ] {
        refused(&mo.send(&format!("mod:{act}"), body), "bad_request");
    }
    assert!(hub.failures().is_empty());
}

#[test]
fn a_demoted_moderator_hears_of_nothing_any_more() {
    let hub = hub();
    let (mo, other) = (moderator(&hub), hub.connect_with(Handshake::new().user("may", &["moderator"])));
    good(mo.send("mod:mute", json!({ "user": "ann" })));
    assert_eq!(of(&other, "mod:sanctioned").len(), 1);
    let other = hub.connect_as("may");
    good(mo.send("mod:mute", json!({ "user": "bob" })));
    assert!(other.inbox().is_empty());
}

#[test]
fn sanctions_have_limits_and_those_that_ended_make_room() {
    let hub = hub_with(json!({ "desk": { "sanctions_max": 3 } }));
    let mo = moderator(&hub);
    for user in ["a", "b", "c"] {
        good(mo.send("mod:mute", json!({ "user": user, "seconds": 30 })));
    }
    refused(&mo.send("mod:mute", json!({ "user": "d" })), "too_many_sanctions");
    hub.advance(MINUTE);
    good(mo.send("mod:mute", json!({ "user": "d" })));
    let list = good(mo.send("mod:sanctions", json!({ "limit": 1 })));
    assert_eq!((list["sanctions"][0]["user"].as_str(), &list["more"]), (Some("d"), &json!(false)));
    let hub = super::hub();
    let mo = moderator(&hub);
    for n in 0..20 {
        good(mo.send("mod:mute", json!({ "user": "a", "room": format!("r{n}") })));
    }
    refused(&mo.send("mod:mute", json!({ "user": "a", "room": "r20" })), "too_many_sanctions");
    good(mo.send("mod:mute", json!({ "user": "a", "room": "r19", "seconds": 5 })));
}

#[test]
fn every_decision_is_in_the_audit_list_and_no_text() {
    let hub = hub();
    let (ann, mo) = (member(&hub, "ann"), moderator(&hub));
    refused(&say(&ann, "you moron"), "word_not_allowed");
    good(say(&ann, "darn"));
    good(say(&ann, "casino"));
    good(say(&ann, "bitcoin"));
    let told = say(&ann, "heil");
    refused(&told, "muted");
    assert_eq!(data(&told)["rule_code"], "word_not_allowed");
    refused(&say(&ann, "fine words"), "muted");
    assert_eq!(of(&ann, "mod:notice").last().unwrap()["kind"], "mute");
    let page = good(mo.send("mod:audit", json!({ "user": "ann" })));
    let entries = page["entries"].as_array().unwrap();
    let brief: Vec<_> = entries.iter().map(|e| (e["act"].as_str().unwrap(), e["rule"].as_str())).collect();
    let expect = ["mute", "hold", "shadow", "mask", "reject"].into_iter();
    let rules = ["worst", "odd", "spam", "mild", "rude"].into_iter().map(Some);
    assert_eq!(brief, [("refused", None)].into_iter().chain(expect.zip(rules)).collect::<Vec<_>>());
    for word in ["moron", "darn", "casino", "bitcoin", "heil", "fine words"] {
        assert!(!page.to_string().contains(word), "{word}");
    }
    let first = good(mo.send("mod:audit", json!({ "user": "ann", "limit": 2 })));
    assert_eq!(first["more"], true);
    let before = &first["entries"][1]["id"];
    let rest = good(mo.send("mod:audit", json!({ "user": "ann", "before": before })));
    assert_eq!(rest["entries"].as_array().unwrap()[..], entries[2..]);
    assert_eq!(hub.log().iter().filter(|(_, line)| line.contains("rule=rude")).count(), 1, "logged");
    hub.advance(2 * MINUTE);
    good(say(&ann, "back"));
}

#[test]
fn who_makes_many_entries_does_not_fill_the_audit_list() {
    let hub = hub_with(json!({
        "words": [{ "name": "rude", "words": ["moron"], "action": "reject" }], "desk": { "audit_per_minute_max": 3 },
    }));
    let (ann, bob, mo) = (member(&hub, "ann"), member(&hub, "bob"), moderator(&hub));
    refused(&say(&bob, "moron"), "word_not_allowed");
    for _ in 0..20 {
        refused(&say(&ann, "moron"), "word_not_allowed");
    }
    assert_eq!(acts(&mo).len(), 4);
}
