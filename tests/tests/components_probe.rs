//! Every host function, called by the probe on request, through a running node.

use std::time::{SystemTime, UNIX_EPOCH};

use scenarios::{Client, Node, log::Log};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

/// A node whose only plugin is the probe, with this config.
async fn probe(config: &str) -> Node {
    Node::start(&format!("{PROBE}config = {{ {config} }}\n")).await
}

const PROBE: &str = r#"
[namespaces]
allow = ["/", "/other"]

[[plugin]]
name = "probe"
file = "{wasm:probe}"
capabilities = ["identity", "credentials", "orders"]
"#;

/// A socket that has read its `probe:connected`, which is given too.
async fn connect(node: &Node, auth: Value) -> anyhow::Result<(Client, Value)> {
    let mut client = Client::connect(node.address, "/", auth).await?;
    let seen = client.event_named("probe:connected").await?;
    Ok((client, seen))
}

async fn user(node: &Node, user: &str) -> anyhow::Result<Client> {
    Ok(connect(node, json!({ "user": user })).await?.0)
}

/// Everything that each client got before an event that the first one now sends to all. Who is to get nothing is seen
/// to get nothing: all sockets see one order.
async fn got(clients: &mut [&mut Client]) -> anyhow::Result<Vec<Vec<Vec<Value>>>> {
    let fence = json!({ "to": ["everyone"], "name": "fence" });
    assert_eq!(clients[0].ask("probe:emit", fence).await?, "done");
    let mut all = Vec::new();
    for client in clients {
        let mut events = Vec::new();
        loop {
            let event = client.event().await?;
            if event[0] == "fence" {
                break;
            }
            events.push(event);
        }
        all.push(events);
    }
    Ok(all)
}

/// The next thing that a hook saw, as `probe:saw` tells all.
async fn saw(client: &mut Client) -> anyhow::Result<Value> {
    client.event_named("probe:saw").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connect_says_who_comes_once_and_for_all() -> anyhow::Result<()> {
    let node = probe("").await;
    let auth = json!({ "user": "ann", "roles": ["mod", "host"], "join": ["hall", "tea"] });
    let (mut ann, seen) = connect(&node, auth.clone()).await?;
    assert_eq!((&seen["set"], &seen["set_again"]), (&json!(true), &json!(false)));
    assert_eq!(serde_json::from_str::<Value>(seen["auth"].as_str().unwrap_or_default())?, auth);
    assert_eq!((&seen["transport"], &seen["event"]["origin"]), (&json!("websocket"), &json!("client")));
    let credentials = ann.ask("probe:credentials", json!({ "header": "host", "query": "EIO" })).await?;
    assert_eq!((&credentials["header"], &credentials["query"]), (&json!(node.address.to_string()), &json!("4")));
    let none = ann.ask("probe:credentials", json!({ "header": "x-none", "query": "none" })).await?;
    assert_eq!((&none["header"], &none["query"]), (&Value::Null, &Value::Null));

    let (mut nobody, seen) = connect(&node, Value::Null).await?;
    assert_eq!((&seen["auth"], &seen["set"], &seen["event"]["user"]), (&Value::Null, &Value::Null, &Value::Null));
    let mut described = ann.ask("probe:describe", json!(7)).await?;
    let received_ms = described["received_ms"].take().as_u64().expect("a time");
    assert!(now_ms().abs_diff(received_ms) < 60_000, "{received_ms}");
    let expect = json!({
        "origin": "client", "namespace": "/", "socket": ann.id, "user": "ann", "roles": ["mod", "host"],
        "address": "127.0.0.1", "wants_ack": true, "received_ms": null, "rooms": ["hall", "tea"],
        "name": "probe:describe", "args": [7], "attachments": [], "no_attachment": true, "targets": [], "room": null,
    });
    assert_eq!(described, expect);
    assert_eq!(nobody.ask("probe:describe", json!(7)).await?["user"], Value::Null);

    let no = json!({ "code": "full", "message": "come back later", "data": { "after": 5 }, "notice": "knock" });
    let refused = Client::connect(node.address, "/", json!({ "reject": no })).await.err().expect("a refusal");
    let reason = json!({ "code": "full", "message": "come back later", "data": { "after": 5 } });
    let expect = json!({ "message": "come back later", "data": { "code": "rejected", "reason": reason } });
    assert_eq!(serde_json::from_str::<Value>(&refused.to_string())?, expect);
    assert_eq!(nobody.event_named("knock").await?, "full");
    node.stop().await;
    Ok(())
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("later than 1970").as_millis() as u64
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attachments_clock_and_randomness_reach_the_guest() -> anyhow::Result<()> {
    let node = probe("").await;
    let (mut ann, _) = connect(&node, Value::Null).await?;
    ann.raw(r#"452-900["probe:describe",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#).await?;
    ann.frame(Message::binary(vec![1, 2, 3])).await?;
    ann.frame(Message::binary(vec![0; 5000])).await?;
    let ack = ann.text().await?;
    let seen: Value = serde_json::from_str(ack.strip_prefix("43900").expect("the ack"))?;
    assert_eq!((&seen[0]["attachments"], &seen[0]["no_attachment"]), (&json!([3, 5000]), &json!(true)));

    let (one, two) = (ann.ask("probe:now", json!(0)).await?, ann.ask("probe:now", json!(0)).await?);
    assert!(now_ms().abs_diff(one["ms"].as_u64().expect("a time")) < 60_000, "{one}");
    assert_ne!(one["random"], two["random"]);
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn targets_reach_whom_they_name_and_nobody_twice() -> anyhow::Result<()> {
    let node = probe("").await;
    let (mut ann, mut ann2) = (user(&node, "ann").await?, user(&node, "ann").await?);
    let (mut bob, mut eve) = (user(&node, "bob").await?, user(&node, "eve").await?);
    let mut far = Client::connect(node.address, "/other", json!({ "user": "ann" })).await?;
    far.event_named("probe:connected").await?;
    for (client, rooms) in [(&mut ann, &["a"][..]), (&mut bob, &["a", "b"]), (&mut eve, &["b"])] {
        for room in rooms {
            assert_eq!(client.ask("probe:join", json!({ "room": room })).await?, "done");
        }
    }
    let (eve_id, nobody) = (eve.id.clone(), "A".repeat(20));
    let cases: [(Value, Value, [usize; 4]); 11] = [
        (json!(["sender"]), json!([]), [1, 0, 0, 0]),
        // a message without a room has no event's room
        (json!(["event_room"]), json!([]), [0, 0, 0, 0]),
        (json!(["everyone"]), json!([]), [1, 1, 1, 1]),
        (json!(["everyone"]), json!([bob.id, ann.id]), [0, 1, 0, 1]),
        (json!([{ "room": "a" }]), json!([]), [1, 0, 1, 0]),
        (json!([{ "room": "a" }, { "room": "b" }]), json!([]), [1, 0, 1, 1]),
        (json!([{ "room": "a" }, { "room": "b" }]), json!([ann.id]), [0, 0, 1, 1]),
        (json!([{ "user": "ann" }]), json!([]), [1, 1, 0, 0]),
        (json!([{ "socket": eve_id }, { "room": "b" }, { "user": "eve" }, "everyone"]), json!([]), [1, 1, 1, 1]),
        // a room called like a socket is a room as any other: it reaches who joined it
        (json!([{ "room": eve_id }]), json!([]), [0, 0, 0, 0]),
        (json!([{ "socket": nobody }, { "room": "empty" }, { "user": "nobody" }]), json!([]), [0, 0, 0, 0]),
    ];
    for (to, except, expect) in cases {
        let emit = json!({ "to": to, "except": except, "name": "hit", "args": [1, "two"] });
        assert_eq!(ann.ask("probe:emit", emit).await?, "done");
        let events = got(&mut [&mut ann, &mut ann2, &mut bob, &mut eve]).await?;
        assert!(events.iter().flatten().all(|e| *e == [json!("hit"), json!(1), json!("two")]), "{events:?}");
        let counts: Vec<_> = events.iter().map(Vec::len).collect();
        assert_eq!(counts, expect, "to {to} except {except}");
    }
    far.emit("probe:emit", json!({ "to": ["sender"], "name": "own" })).await?;
    assert_eq!(far.event().await?, [json!("own")], "a namespace hears nothing of another");
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_events_room_is_the_one_that_the_chain_has_left_in_the_end() -> anyhow::Result<()> {
    let router = r#"
[[plugin]]
name = "router"
file = "{wasm:router}"
[[plugin.config.rules]]
when = { event = "probe:emit", field = "name", equals = "late" }
to = [{ room = "a" }]
"#;
    let node = Node::start(&format!("{PROBE}{router}")).await;
    let (mut ann, mut bob, mut eve) = (user(&node, "ann").await?, user(&node, "bob").await?, user(&node, "eve").await?);
    for client in [&mut ann, &mut bob] {
        client.ask("probe:join", json!({ "room": "a" })).await?;
    }
    // when it emits, the message has no target: a plugin behind it gives one
    let emit = json!({ "to": ["event_room"], "except": [ann.id], "name": "late" });
    assert_eq!(ann.ask("probe:emit", emit).await?, "done");
    let events = got(&mut [&mut ann, &mut bob, &mut eve]).await?;
    let names: Vec<Vec<_>> = events.iter().map(|e| e.iter().map(|e| e[0].as_str().unwrap_or("")).collect()).collect();
    assert_eq!(names, [vec!["probe:emit"], vec!["late", "probe:emit"], vec![]]);
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rooms_are_seen_as_the_events_before_have_left_them() -> anyhow::Result<()> {
    let node = probe("").await;
    let (mut ann, mut bob) = (user(&node, "ann").await?, user(&node, "bob").await?);
    let look = json!({ "room": "tea" });
    let empty = json!({ "mine": [], "contains": false, "size": 0, "members": [] });
    assert_eq!(ann.ask("probe:rooms", look.clone()).await?, empty);
    ann.ask("probe:join", look.clone()).await?;
    // twice is once
    ann.ask("probe:join", look.clone()).await?;
    let alone = json!({ "mine": ["tea"], "contains": true, "size": 1, "members": [ann.id] });
    assert_eq!(ann.ask("probe:rooms", look.clone()).await?, alone);
    let from_outside = json!({ "mine": [], "contains": false, "size": 1, "members": [ann.id] });
    assert_eq!(bob.ask("probe:rooms", look.clone()).await?, from_outside);
    bob.ask("probe:join", look.clone()).await?;
    let limited = bob.ask("probe:rooms", json!({ "room": "tea", "limit": 1 })).await?;
    assert_eq!((&limited["size"], limited["members"].as_array().map(Vec::len)), (&json!(2), Some(1)));
    bob.ask("probe:leave", json!({ "room": "tea", "reason": "enough" })).await?;
    assert_eq!(ann.ask("probe:rooms", look).await?, alone);
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_and_raised_messages_go_down_the_rest_of_the_chain() -> anyhow::Result<()> {
    let stamp = "[[plugin]]\nname = \"stamp\"\nfile = \"{wasm:stamp}\"\nconfig = { tag = \"s\", target = true }\n";
    let node = Node::start(&format!("{PROBE}{stamp}")).await;
    let (mut ann, mut bob) = (user(&node, "ann").await?, user(&node, "bob").await?);
    // the probe would describe a message of this name, if it came to it
    let raise = json!({ "name": "probe:describe", "args": [1] });
    assert_eq!(ann.ask("probe:raise", raise.clone()).await?, 1, "the first answer counts: the stamp's");
    let to_bob = json!({ "name": "hi", "args": [2], "to": [{ "socket": bob.id }] });
    assert_eq!(ann.ask("probe:raise", to_bob.clone()).await?, "done");
    let change = json!({ "name": "news", "args": [3], "to": ["everyone"] });
    assert_eq!(ann.ask("probe:change", change).await?, "done");
    let events = got(&mut [&mut ann, &mut bob]).await?;
    let mine = [
        json!(["probe:describe", 1, "s"]),
        json!(["probe:raise", raise, "s"]),
        json!(["probe:raise", to_bob, "s"]),
        json!(["news", 3, "s"]),
    ];
    assert_eq!(json!(events[0]), json!(mine));
    assert_eq!(json!(events[1]), json!([["hi", 2, "s"], ["news", 3, "s"]]));
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_become_events_of_the_sockets_that_they_name() -> anyhow::Result<()> {
    let node = probe("watch = true").await;
    let (mut ann, mut bob) = (user(&node, "ann").await?, user(&node, "bob").await?);
    let mut bob2 = user(&node, "bob").await?;
    let join = json!({ "of": { "socket": bob.id }, "act": "join", "room": "club" });
    assert_eq!(ann.ask("probe:order", join).await?, "done");
    let seen = json!({ "hook": "join", "room": "club", "origin": "plugin", "socket": bob.id, "rooms": ["club"] });
    assert_eq!(saw(&mut ann).await?, seen);
    assert_eq!(bob.ask("probe:rooms", json!({ "room": "club" })).await?["mine"], json!(["club"]));

    // to a user: all their sockets, those that are members already left alone
    ann.ask("probe:order", json!({ "of": { "user": "bob" }, "act": "join", "room": "club" })).await?;
    assert_eq!(saw(&mut ann).await?["socket"], bob2.id);
    ann.ask("probe:order", json!({ "of": { "room": "club" }, "act": "leave", "room": "club", "reason": "closing" }))
        .await?;
    let mut left = [saw(&mut ann).await?, saw(&mut ann).await?];
    left.sort_by_key(|seen| seen["socket"] != bob.id);
    for (seen, id) in left.iter().zip([&bob.id, &bob2.id]) {
        let expect = json!({
            "hook": "leave", "room": "club", "origin": "plugin", "socket": id, "rooms": [], "reason": "closing",
        });
        assert_eq!(*seen, expect);
    }

    bob.ask("probe:join", json!({ "room": "tea" })).await?;
    assert_eq!(saw(&mut ann).await?["room"], "tea");
    ann.ask("probe:order", json!({ "of": { "socket": bob.id }, "act": "disconnect", "reason": "kicked" })).await?;
    let (leave, gone) = (saw(&mut ann).await?, saw(&mut ann).await?);
    assert_eq!((&leave["hook"], &leave["room"], &leave["reason"]), (&json!("leave"), &json!("tea"), &json!("kicked")));
    let expect = json!({ "hook": "disconnect", "origin": "plugin", "socket": bob.id, "rooms": [], "reason": "kicked" });
    assert_eq!(gone, expect);
    while bob.text().await? != "41" {}
    assert_eq!(bob2.ask("probe:rooms", json!({ "room": "tea" })).await?["size"], 0, "others stay, the room is empty");
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_within_an_order_undoes_what_was_ordered() -> anyhow::Result<()> {
    let log = Log::capture();
    let node = probe(r#"watch = true, order_on_join = "b""#).await;
    let mut ann = user(&node, "ann").await?;
    // the join's own hook may give an order; the hook that runs this order may not
    assert_eq!(ann.ask("probe:join", json!({ "room": "a" })).await?, "done");
    log.line_with(&["plugin failed", "probe", "on_join", "gave an order while an order was run"]).await;
    let rooms = ann.ask("probe:rooms", json!({ "room": "b" })).await?;
    assert_eq!((&rooms["mine"], &rooms["size"]), (&json!(["a"]), &json!(0)));
    node.stop().await;
    Ok(())
}

/// The id under which a client is asked, and the question's arguments.
async fn asked(client: &mut Client, name: &str) -> anyhow::Result<String> {
    loop {
        let packet = client.text().await?;
        let Some((id, args)) = packet.strip_prefix("42").and_then(|p| p.split_once('[')) else { continue };
        if args.starts_with(&json!(name).to_string()) && !id.is_empty() {
            return Ok(id.to_owned());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ask_is_answered_times_out_or_finds_nobody() -> anyhow::Result<()> {
    let node = probe("").await;
    let (mut ann, mut bob) = (user(&node, "ann").await?, user(&node, "bob").await?);
    let ask = |socket: &str, timeout_ms: u64, tag: &str| json!({ "socket": socket, "name": "q", "args": ["sure?"], "timeout_ms": timeout_ms, "tag": tag });
    assert_eq!(ann.ask("probe:ask", ask(&bob.id, 20_000, "one")).await?, "done");
    let id = asked(&mut bob, "q").await?;
    bob.raw(&format!(r#"43{id}["yes",2]"#)).await?;
    let expect = |outcome: &str, tag: &str, socket: Value, args: Value| json!({ "outcome": outcome, "tag": tag, "args": args, "attachments": 0, "socket": socket });
    assert_eq!(ann.event_named("probe:answer").await?, expect("answered", "one", json!(bob.id), json!(["yes", 2])));

    ann.ask("probe:ask", ask(&bob.id, 30, "two")).await?;
    assert_eq!(ann.event_named("probe:answer").await?, expect("timed-out", "two", json!(bob.id), json!([])));
    // too late: the answer's hook is not asked again
    let id = asked(&mut bob, "q").await?;
    bob.raw(&format!(r#"43{id}["late"]"#)).await?;
    bob.ask("probe:now", json!(0)).await?;
    assert!(got(&mut [&mut ann]).await?[0].is_empty());

    ann.ask("probe:ask", ask(&"A".repeat(20), 20_000, "three")).await?;
    assert_eq!(ann.event_named("probe:answer").await?, expect("gone", "three", Value::Null, json!([])));

    let bob_id = bob.id.clone();
    ann.ask("probe:ask", ask(&bob_id, 20_000, "four")).await?;
    asked(&mut bob, "q").await?;
    drop(bob);
    assert_eq!(ann.event_named("probe:answer").await?, expect("gone", "four", json!(bob_id), json!([])));
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_rejected_or_failed_leaves_no_trace_but_the_notice() -> anyhow::Result<()> {
    let node = probe(r#"reject_rooms = ["closed"]"#).await;
    let (mut ann, mut bob) = (user(&node, "ann").await?, user(&node, "bob").await?);
    let no = json!({ "code": "muted", "message": "you are muted", "data": [1], "notice": "tried" });
    let reason = json!({ "code": "muted", "message": "you are muted", "data": [1] });
    let refused = json!({ "error": { "code": "rejected", "message": "you are muted", "reason": reason } });
    assert_eq!(ann.ask("probe:reject", no.clone()).await?, refused);
    // who asks for no ack hears of it as well
    ann.emit("probe:reject", no).await?;
    let mut told = refused.clone();
    told["event"] = json!("probe:reject");
    assert_eq!(ann.event_named("error").await?, told);

    let failed = ann.ask("probe:fail", json!("/etc/secret: not for clients")).await?;
    assert_eq!(failed, json!({ "error": { "code": "plugin_failed", "message": "a plugin failed on this event" } }));
    assert_eq!(ann.ask("probe:swallow", json!(0)).await?, json!({ "ok": true }));
    let closed = ann.ask("probe:join", json!({ "room": "closed" })).await?;
    assert_eq!(
        (&closed["error"]["code"], &closed["error"]["reason"]["code"]),
        (&json!("rejected"), &json!("room_closed"))
    );
    let events = got(&mut [&mut ann, &mut bob]).await?;
    let notice = json!(["probe:refused", { "room": "closed", "is_in": true }]);
    assert_eq!(json!(events[0]), json!([["probe:swallowed"], notice]));
    assert_eq!(json!(events[1]), json!([["tried", "muted"], ["tried", "muted"], notice]));
    let rooms = ann.ask("probe:rooms", json!({ "room": "closed" })).await?;
    assert_eq!((&rooms["mine"], &rooms["size"]), (&json!([]), &json!(0)));
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_goes_is_seen_to_leave_each_room_in_the_order_of_joining() -> anyhow::Result<()> {
    let node = probe("watch = true").await;
    let mut ann = user(&node, "ann").await?;
    for (way, origin, reason) in [
        ("plugin", "plugin", "enough"),
        ("packet", "client", "client namespace disconnect"),
        ("transport", "server", "transport close"),
    ] {
        let (mut bob, _) = connect(&node, json!({ "join": ["x", "y"] })).await?;
        let joins = [saw(&mut ann).await?, saw(&mut ann).await?];
        assert!(joins.iter().zip(["x", "y"]).all(|(j, room)| j["hook"] == "join" && j["room"] == room), "{joins:?}");
        let id = bob.id.clone();
        match way {
            "plugin" => bob.emit("probe:disconnect", json!({ "reason": reason })).await?,
            "packet" => bob.raw("41").await?,
            _ => drop(bob),
        }
        let mut seen = Vec::new();
        for _ in 0..3 {
            seen.push(saw(&mut ann).await?);
        }
        let leave = |room: &str, rooms: &[&str]| json!({ "hook": "leave", "room": room, "origin": origin, "socket": id, "rooms": rooms, "reason": reason });
        let gone = json!({ "hook": "disconnect", "origin": origin, "socket": id, "rooms": [], "reason": reason });
        assert_eq!(seen, [leave("x", &["y"]), leave("y", &[]), gone], "{way}");
    }
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_disconnects_its_socket_is_acked_before() -> anyhow::Result<()> {
    let node = probe("").await;
    let mut bob = user(&node, "bob").await?;
    assert_eq!(bob.ask("probe:disconnect", json!({ "reason": "bye" })).await?, "done");
    assert_eq!(bob.text().await?, "41", "and then it is told");
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_for_one_socket_run_in_the_order_in_which_they_were_given() -> anyhow::Result<()> {
    let node = probe("").await;
    let (mut ann, mut bob) = (user(&node, "ann").await?, user(&node, "bob").await?);
    for n in 0..200 {
        for act in ["join", "leave"] {
            let order = json!({ "of": { "socket": bob.id }, "act": act, "room": format!("r{n}"), "reason": "" });
            ann.emit("probe:order", order).await?;
        }
    }
    let last = json!({ "of": { "socket": bob.id }, "act": "join", "room": "last" });
    assert_eq!(ann.ask("probe:order", last).await?, "done");
    // the last one has run when the room has a member
    loop {
        let mine = bob.ask("probe:rooms", json!({ "room": "last" })).await?["mine"].clone();
        if mine.as_array().is_some_and(|rooms| rooms.contains(&json!("last"))) {
            assert_eq!(mine, json!(["last"]), "who was sent away after each join is in no other room");
            break;
        }
    }
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_above_the_send_queue_is_no_slow_consumer() -> anyhow::Result<()> {
    let limits = "[limits]\nsend_queue_max_bytes = 65536\n";
    let node = Node::start(&format!("{limits}{PROBE}")).await;
    let (mut ann, mut bob) = (user(&node, "ann").await?, user(&node, "bob").await?);
    let text = "x".repeat(30_000);
    for n in 0..200 {
        ann.emit("probe:emit", json!({ "to": [{ "user": "bob" }], "name": "burst", "args": [n, text] })).await?;
    }
    for n in 0..200 {
        assert_eq!(bob.event().await?[1], n, "a client that reads is not cut");
    }
    node.stop().await;
    Ok(())
}
