//! Events from an operator.

use scenarios::{
    Node,
    admin::{Admin, DEPLOY},
};
use serde_json::{Value, json};

use super::{member, probe_node, probe_toml};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_reaches_whom_it_is_for_and_nobody_else() -> anyhow::Result<()> {
    let (node, admin) = probe_node().await;
    let mut ann = member(&node, "/", "ann", &["a"]).await?;
    let mut bea = member(&node, "/", "bea", &["b"]).await?;
    let _other = member(&node, "/other", "ann", &["a"]).await?;
    let publish = async |to: Value, name: &str| {
        let body = json!({ "namespace": "/", "to": to, "event": name, "args": ["x", { "n": 1 }] });
        let answer = admin.send("POST", "/v1/publish", body).await?;
        assert_eq!(answer.status, 200, "{}", answer.text);
        anyhow::Ok(answer.json()["sockets"].clone())
    };
    assert_eq!(publish(json!({ "room": "a" }), "to-room").await?, 1);
    assert_eq!(publish(json!({ "user": "bea" }), "to-user").await?, 1);
    assert_eq!(publish(json!({ "socket": bea.id }), "to-socket").await?, 1);
    assert_eq!(publish(json!({ "room": "nowhere" }), "to-nobody").await?, 0);
    assert_eq!(publish(json!({ "everyone": true }), "to-all").await?, 2);
    let events = async |client: &mut scenarios::Client| {
        let mut names = Vec::new();
        loop {
            let event = client.event().await?;
            let name = event[0].as_str().unwrap_or_default().to_owned();
            if let Some(to) = name.strip_prefix("to-") {
                assert_eq!(event[1..], [json!("x"), json!({ "n": 1 })]);
                names.push(to.to_owned());
            }
            if name == "to-all" {
                return anyhow::Ok(names);
            }
        }
    };
    assert_eq!(events(&mut ann).await?, ["room", "all"]);
    assert_eq!(events(&mut bea).await?, ["user", "socket", "all"]);
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acks_are_collected_by_socket_until_their_time_is_over() -> anyhow::Result<()> {
    let (node, admin) = probe_node().await;
    let mut quick = member(&node, "/", "ann", &["a"]).await?;
    let mut silent = member(&node, "/", "bea", &["a"]).await?;
    let mut leaving = member(&node, "/", "cid", &["a"]).await?;
    let (ids, timeout) = ([quick.id.clone(), silent.id.clone(), leaving.id.clone()], 3000);
    let body = json!({
        "namespace": "/", "to": { "room": "a" }, "event": "vote", "args": [7], "ask": { "timeout_ms": timeout }
    });
    let asking = tokio::spawn({
        let admin = admin.clone();
        async move { admin.send("POST", "/v1/publish", body).await }
    });
    let asked = async |client: &mut scenarios::Client| loop {
        let packet = client.text().await?;
        if let Some(id) = packet.strip_prefix("42").and_then(|rest| rest.strip_suffix("[\"vote\",7]")) {
            return anyhow::Ok(id.to_owned());
        }
    };
    let id = asked(&mut quick).await?;
    quick.raw(&format!("43{id}[\"yes\",{{\"n\":2}}]")).await?;
    asked(&mut silent).await?;
    asked(&mut leaving).await?;
    leaving.raw("41").await?;
    let answer = asking.await??;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let answers = answer.json()["answers"].as_array().expect("answers").clone();
    let of = |id: &str| answers.iter().find(|one| one["socket"] == id).cloned().unwrap_or_default();
    assert_eq!((&of(&ids[0])["outcome"], &of(&ids[0])["args"]), (&json!("answered"), &json!(["yes", { "n": 2 }])));
    assert_eq!(of(&ids[1]), json!({ "socket": ids[1], "outcome": "timed_out" }));
    assert_eq!(of(&ids[2]), json!({ "socket": ids[2], "outcome": "gone" }));
    assert_eq!((answers.len(), &answer.json()["sockets"]), (3, &json!(3)));
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_would_await_too_many_acks_is_not_sent_and_counted_as_such() -> anyhow::Result<()> {
    let node = Node::start(&probe_toml().replacen("[admin]\n", "[admin]\nasks_max = 1\n", 1)).await;
    let admin = Admin::new(node.admin.expect("it has an admin API"), DEPLOY);
    let _ann = member(&node, "/", "ann", &["a"]).await?;
    let _bea = member(&node, "/", "bea", &["a"]).await?;
    let ask = json!({ "timeout_ms": 100 });
    let body = json!({ "namespace": "/", "to": { "room": "a" }, "event": "vote", "args": [7], "ask": ask });
    let answer = admin.send("POST", "/v1/publish", body).await?;
    assert_eq!(answer.status, 400, "{}", answer.text);
    assert!(answer.message().contains("for 2 sockets, admin.asks_max allows to wait for 1"), "{}", answer.message());
    let page = node.seeing.metrics.render();
    let line = "hubbub_events_not_logged_total{code=\"limit_exceeded\"} 1";
    assert!(page.lines().any(|l| l == line), "{page}");
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_may_refuse_it_and_says_why() -> anyhow::Result<()> {
    let (node, admin) = probe_node().await;
    let mut ann = member(&node, "/", "ann", &["a"]).await?;
    let reject = json!([{ "code": "muted", "message": "not now", "notice": "seen" }]);
    let body = json!({ "namespace": "/", "to": { "room": "a" }, "event": "probe:reject", "args": reject });
    let answer = admin.send("POST", "/v1/publish", body).await?;
    assert_eq!((answer.status, answer.code().as_str()), (422, "rejected"), "{}", answer.text);
    assert_eq!(answer.json()["error"]["reason"], json!({ "code": "muted", "message": "not now" }));
    // what it says to others along with its refusal goes out all the same
    ann.event_named("seen").await?;
    let body = json!({ "namespace": "/", "to": { "room": "a" }, "event": "probe:fail", "args": ["broken"] });
    let answer = admin.send("POST", "/v1/publish", body).await?;
    assert_eq!((answer.status, answer.code().as_str()), (500, "plugin_failed"), "{}", answer.text);
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_sent_is_refused_with_what_would_be_right() -> anyhow::Result<()> {
    let (node, admin) = probe_node().await;
    let right = json!({ "namespace": "/", "to": { "room": "a" }, "event": "x", "args": [] });
    let check = async |key: &str, value: Value, text: &str| {
        let mut body = right.clone();
        body[key] = value;
        let answer = admin.send("POST", "/v1/publish", body.clone()).await?;
        assert_eq!(answer.status, 400, "{body}: {}", answer.text);
        assert!(answer.message().contains(text), "{body}: {}", answer.message());
        anyhow::Ok(())
    };
    check("namespace", json!("chat"), "starts with a slash").await?;
    check("namespace", json!("/".repeat(300)), "1 to 256 bytes").await?;
    check("event", json!("disconnect"), "for itself").await?;
    check("event", json!(""), "1 to 256 bytes").await?;
    check("to", json!({ "room": "" }), "to.room").await?;
    check("to", json!({ "socket": "x" }), "a socket's id").await?;
    check("to", json!({ "everyone": false }), "expected true").await?;
    check("to", json!({ "planet": "x" }), "unknown variant").await?;
    check("args", json!({ "a": 1 }), "expected a list").await?;
    check("ask", json!({ "timeout_ms": 0 }), "ask_timeout_max_ms").await?;
    check("ask", json!({ "timeout_ms": 10_000_000 }), "ask_timeout_max_ms").await?;
    check("volatile", json!(true), "unknown field").await?;
    node.stop().await;
    Ok(())
}
