//! Plugins that misbehave in hooks which no message reaches, and what is left of a call that failed: nothing.

use scenarios::{Client, Node, log::Log};
use serde_json::{Value, json};

/// `rooms`, and behind it a plugin that misbehaves in one hook. Its name is the test's own: the log is everybody's.
async fn rooms_and(name: &str, config: &str) -> Node {
    let rooms = "[[plugin]]\nname = \"rooms\"\nfile = \"{wasm:rooms}\"\n";
    let hostile = format!(
        "[[plugin]]\nname = \"{name}\"\nfile = \"{{wasm:hostile}}\"\nconfig = {{ {config} }}\nlimits = {{ cpu_ms = 100 }}\n"
    );
    Node::start(&format!("{rooms}{hostile}")).await
}

async fn connect(node: &Node) -> anyhow::Result<Client> {
    Client::connect(node.address, "/", Value::Null).await
}

const FAILED: &str = r#"{"error":{"code":"plugin_failed","message":"a plugin failed on this event"}}"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connect_on_which_a_plugin_fails_is_refused_and_not_left_hanging() -> anyhow::Result<()> {
    let log = Log::capture();
    for (name, way, words) in [
        ("connect-panic", "panic", "trapped: panicked at"),
        ("connect-loop", "loop", "cpu_ms exceeded: used 10"),
        ("connect-memory", "memory", "memory_max_bytes exceeded"),
    ] {
        let node = rooms_and(name, &format!("on_connect = \"{way}\"")).await;
        let error = connect(&node).await.err().expect("a refusal").to_string();
        let expect = json!({ "message": "a plugin failed on this event", "data": { "code": "plugin_failed" } });
        assert_eq!(serde_json::from_str::<Value>(&error)?, expect, "{way}");
        log.line_with(&["plugin failed", &format!("plugin={name} "), "version=0.1.0", "on_connect", words]).await;
        node.stop().await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_join_on_which_a_plugin_fails_changes_no_membership() -> anyhow::Result<()> {
    let log = Log::capture();
    let node = rooms_and("join-loop", r#"on_join = "loop""#).await;
    let mut ann = connect(&node).await?;
    assert_eq!(ann.ask("join", json!({ "room": "tea" })).await?, serde_json::from_str::<Value>(FAILED)?);
    log.line_with(&["plugin failed", "plugin=join-loop ", "on_join", "cpu_ms exceeded: used 10"]).await;
    let ack = ann.ask("message", json!({ "room": "tea", "text": "hi" })).await?;
    assert_eq!(ack["error"]["reason"]["code"], "not_a_member");
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_raised_in_a_join_is_a_failure_with_the_rule_in_its_text() -> anyhow::Result<()> {
    let log = Log::capture();
    let node = rooms_and("join-raise", r#"on_join = "bad-raise""#).await;
    let mut ann = connect(&node).await?;
    assert_eq!(ann.ask("join", json!({ "room": "tea" })).await?, serde_json::from_str::<Value>(FAILED)?);
    log.line_with(&["plugin=join-raise ", "raised a Message in on_join: only later kinds may be raised"]).await;
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaves_and_disconnects_are_performed_whatever_a_plugin_does() -> anyhow::Result<()> {
    let log = Log::capture();
    let node = rooms_and("leave-panic", r#"on_leave = "panic", on_disconnect = "loop""#).await;
    let (mut ann, mut bob) = (connect(&node).await?, connect(&node).await?);
    for client in [&mut ann, &mut bob] {
        assert_eq!(client.ask("join", json!({ "room": "tea" })).await?["ok"], true);
    }
    assert_eq!(bob.ask("leave", json!({ "room": "tea" })).await?, json!({ "ok": true }));
    assert_eq!(ann.event_named("left").await?["socket"], bob.id);
    log.line_with(&["plugin=leave-panic ", "on_leave", "trapped: panicked at"]).await;
    bob.ask("join", json!({ "room": "tea" })).await?;
    let id = bob.id.clone();
    drop(bob);
    assert_eq!(ann.event_named("left").await?["socket"], id);
    log.line_with(&["plugin=leave-panic ", "on_disconnect", "cpu_ms exceeded: used 10"]).await;
    let again = connect(&node).await?.ask("join", json!({ "room": "tea" })).await?;
    assert_eq!(again, json!({ "ok": true, "members": 2 }));
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_skipped_plugin_leaves_nothing_of_its_call_behind() -> anyhow::Result<()> {
    let log = Log::capture();
    let node = Node::start(
        r#"
[[plugin]]
name = "skipped"
file = "{wasm:hostile}"
policy = "skip"
limits = { cpu_ms = 100 }

[[plugin]]
name = "stamp"
file = "{wasm:stamp}"
config = { tag = "behind", target = true }
"#,
    )
    .await;
    let mut client = connect(&node).await?;
    // `effects` has emitted a thousand times before it is stopped, `bad-args` and `big-args` want to change the message
    for (way, amount) in
        [("panic", 0), ("loop", 0), ("effects", 5000), ("big-args", 2_000_000), ("bad-args", 0), ("exit", 0)]
    {
        assert_eq!(client.ask(way, json!(amount)).await?, amount);
        assert_eq!(client.event().await?, [json!(way), json!(amount), json!("behind")]);
        log.line_with(&["plugin failed", "plugin=skipped "]).await;
    }
    assert_eq!(client.ask("fine", json!(0)).await?, "fine");
    assert_eq!(client.event().await?[0], "fine", "and nothing of the thousand emits before it");
    node.stop().await;
    Ok(())
}
