//! What is kept, and how it is changed.

use std::time::Duration;

use super::*;

fn ids(page: &Value) -> Vec<u64> {
    page["messages"].as_array().unwrap().iter().map(|m| m["id"].as_u64().unwrap()).collect()
}

#[test]
fn history_comes_in_pages_and_ends_where_it_is_cut() {
    let hub = hub_with(json!({ "history_max": 10, "history_page_max": 4 }));
    let ann = member(&hub, "ann", "a");
    assert_eq!(good(ann.send("history", json!({ "room": "a" })))["messages"], json!([]));
    for n in 1..=15 {
        // every third one is shadowed: its id is missing
        good(say(&ann, "a", if n % 3 == 0 { "SHADOW" } else { "x" }));
    }
    let page = |before: Option<u64>| good(ann.send("history", json!({ "room": "a", "before": before })));
    let (mut before, mut pages) = (None, Vec::new());
    loop {
        let page = page(before);
        pages.push(ids(&page));
        before = ids(&page).first().copied();
        if page["more"] == false {
            break;
        }
    }
    assert_eq!(pages, [vec![10, 11, 13, 14], vec![4, 5, 7, 8], vec![1, 2]]);
    assert_eq!(ids(&page(Some(12))), [7, 8, 10, 11], "an id that is missing is a place, too");
    assert_eq!(ids(&page(Some(1))), [0u64; 0]);
    for _ in 16..=25 {
        good(say(&ann, "a", "x"));
    }
    let mut all = Vec::new();
    for before in [None, Some(22), Some(18)] {
        all.push(ids(&page(before)));
    }
    assert_eq!(all, [vec![22, 23, 24, 25], vec![18, 19, 20, 21], vec![16, 17]]);
    let eve = hub.connect();
    assert_eq!(good(eve.send("join", json!({ "room": "a" })))["last_id"], 25);
    hub.advance(Duration::from_secs(31 * 24 * 3600));
    assert_eq!(ids(&page(None)), [0u64; 0]);
    assert_eq!(good(say(&ann, "a", "x"))["id"], 26, "ids are never given twice");
}

#[test]
fn what_a_killed_node_may_have_lost_is_numbered_by_nobody_else() {
    let hub = hub();
    let ann = member(&hub, "ann", "a");
    for _ in 0..3 {
        good(say(&ann, "a", "x"));
    }
    hub.next_epoch();
    for _ in 0..2 {
        good(say(&ann, "a", "x"));
    }
    good(say(&member(&hub, "bob", "b"), "b", "a new room begins with 1"));
    let page =
        |before: Option<u64>| ids(&good(ann.send("history", json!({ "room": "a", "before": before, "limit": 3 }))));
    assert_eq!((page(None), page(Some(3))), (vec![3, 1_000_003, 1_000_004], vec![1, 2]));
    good(ann.send("edit", json!({ "room": "a", "id": 1_000_003, "text": "y" })));
}

#[test]
fn a_page_of_long_messages_is_short() {
    let hub = hub_with(json!({ "history_page_max_bytes": 10_000 }));
    let ann = member(&hub, "ann", "a");
    for _ in 0..5 {
        good(say(&ann, "a", &"x".repeat(4000)));
    }
    let page = good(ann.send("history", json!({ "room": "a" })));
    assert_eq!((ids(&page), &page["more"]), (vec![4, 5], &json!(true)));
}

#[test]
fn authors_and_moderators_edit_and_it_is_judged_again() {
    let hub = hub();
    let (ann, bob) = (member(&hub, "ann", "a"), member(&hub, "bob", "a"));
    good(say(&ann, "a", "one"));
    let _ = (ann.inbox(), bob.inbox());
    let edit = |socket: &TestSocket, text: &str| socket.send("edit", json!({ "room": "a", "id": 1, "text": text }));
    good(edit(&ann, "two MASK"));
    let edited = of(bob.inbox(), "edited").remove(0);
    let by = json!({ "name": "ann", "socket": ann.id(), "user": "ann" });
    assert_eq!(edited, json!({ "room": "a", "id": 1, "text": "two ****", "by": by, "time_ms": edited["time_ms"] }));
    refused(&edit(&bob, "mine"), "not_allowed");
    refused(&edit(&ann, "REJECT"), "judged");
    assert_eq!(good(edit(&ann, "SHADOW")), json!({ "ok": true }));
    assert!(of(bob.inbox(), "edited").is_empty());
    assert_eq!(texts(&bob, "a"), ["two ****"]);
    refused(&ann.send("edit", json!({ "room": "a", "id": 2, "text": "x" })), "unknown_message");
    good(edit(&moderator(&hub, "a"), "three"));
    let kept = good(bob.send("history", json!({ "room": "a" })))["messages"][0].clone();
    assert_eq!((&kept["text"], &kept["name"]), (&json!("three"), &json!("ann")));
    assert!(kept["edited_ms"].is_u64());
}

#[test]
fn who_is_newly_mentioned_in_an_edit_is_told() {
    let hub = hub();
    let (ann, bob, eve) = (member(&hub, "ann", "a"), member(&hub, "bob", "a"), member(&hub, "eve", "a"));
    good(say(&ann, "a", "@bob"));
    let _ = (bob.inbox(), eve.inbox());
    good(ann.send("edit", json!({ "room": "a", "id": 1, "text": "@bob @eve" })));
    let edited = of(bob.inbox(), "edited").remove(0);
    assert_eq!(edited["mentions"], json!([{ "name": "bob", "user": "bob" }, { "name": "eve", "user": "eve" }]));
    assert_eq!(of(eve.inbox(), "mentioned")[0]["id"], 1);
    good(ann.send("edit", json!({ "room": "a", "id": 1, "text": "SHADOW @bob" })));
    good(ann.send("edit", json!({ "room": "a", "id": 1, "text": "nobody" })));
    assert!(of(bob.inbox(), "mentioned").is_empty(), "once is enough");
    let kept = good(bob.send("history", json!({ "room": "a" })))["messages"][0].clone();
    assert_eq!((&kept["text"], &kept["mentions"]), (&json!("nobody"), &Value::Null));
}

#[test]
fn a_deleted_message_leaves_its_place() {
    let hub = hub();
    let (ann, bob) = (member(&hub, "ann", "a"), member(&hub, "bob", "a"));
    for text in ["one", "two", "three"] {
        good(say(&ann, "a", text));
    }
    let delete = |socket: &TestSocket, id: u64| socket.send("delete", json!({ "room": "a", "id": id }));
    refused(&delete(&bob, 1), "not_allowed");
    good(delete(&ann, 1));
    good(delete(&moderator(&hub, "a"), 2));
    assert_eq!(of(bob.inbox(), "deleted").iter().map(|d| d["id"].clone()).collect::<Vec<_>>(), [1, 2]);
    refused(&delete(&ann, 1), "unknown_message");
    refused(&ann.send("edit", json!({ "room": "a", "id": 1, "text": "x" })), "unknown_message");
    assert_eq!(texts(&bob, "a"), ["", "", "three"]);
    assert_eq!(good(bob.send("history", json!({ "room": "a" })))["messages"][0]["deleted"], true);
}

#[test]
fn anonymous_authors_are_their_socket() {
    let hub = hub();
    let (one, two) = (hub.connect(), hub.connect());
    for socket in [&one, &two] {
        good(socket.send("join", json!({ "room": "a" })));
    }
    good(say(&one, "a", "mine"));
    refused(&two.send("delete", json!({ "room": "a", "id": 1 })), "not_allowed");
    good(one.send("delete", json!({ "room": "a", "id": 1 })));
}

#[test]
fn reactions_are_counted_once_each() {
    let hub = hub_with(json!({ "reaction_kinds_max": 2, "reaction_users_max": 2 }));
    let (ann, bob, eve) = (member(&hub, "ann", "a"), member(&hub, "bob", "a"), member(&hub, "eve", "a"));
    good(say(&ann, "a", "hi"));
    let _ = ann.inbox();
    let react = |socket: &TestSocket, emoji: &str, on: bool| {
        socket.send("react", json!({ "room": "a", "id": 1, "emoji": emoji, "on": on }))
    };
    good(react(&bob, "👍", true));
    good(react(&bob, "👍", true));
    good(react(&ann, "👍", true));
    refused(&react(&eve, "👍", true), "too_many_reactions");
    good(react(&eve, "🦊", true));
    refused(&react(&eve, "🎉", true), "too_many_reactions");
    let counts: Vec<u64> = of(ann.inbox(), "reacted").iter().map(|r| r["count"].as_u64().unwrap()).collect();
    assert_eq!(counts, [1, 1, 2, 1]);
    let reactions =
        |socket: &TestSocket| good(socket.send("history", json!({ "room": "a" })))["messages"][0]["reactions"].clone();
    let thumb = |mine| json!({ "emoji": "👍", "count": 2, "mine": mine });
    assert_eq!(reactions(&bob), json!([thumb(true), { "emoji": "🦊", "count": 1, "mine": false }]));
    good(react(&eve, "🦊", false));
    good(react(&eve, "🦊", false));
    assert_eq!(reactions(&eve), json!([thumb(false)]));
    for emoji in ["", "x", "👍x", "👍 👍", "ü", "🎉🎉🎉🎉🎉🎉🎉🎉🎉"] {
        refused(&react(&eve, emoji, true), "emoji_invalid");
    }
    refused(&eve.send("react", json!({ "room": "a", "id": 9, "emoji": "👍", "on": true })), "unknown_message");
}

#[test]
fn receipts_only_go_forward() {
    let hub = hub();
    let (ann, bob) = (member(&hub, "ann", "a"), member(&hub, "bob", "a"));
    good(say(&ann, "a", "1"));
    good(say(&ann, "a", "2"));
    let _ = ann.inbox();
    let read = |id: u64| bob.send("read", json!({ "room": "a", "id": id }));
    assert_eq!(good(read(2)), json!({ "ok": true, "id": 2 }));
    assert_eq!(good(read(1)), json!({ "ok": true, "id": 2 }));
    refused(&read(3), "unknown_message");
    refused(&read(0), "unknown_message");
    let told = of(ann.inbox(), "read");
    assert_eq!(told.len(), 1);
    assert_eq!((&told[0]["id"], &told[0]["by"]["name"]), (&json!(2), &json!("bob")));
}
