//! A plugin that keeps failing is put into quarantine, and comes back when it works again.

use std::time::{Duration, Instant};

use scenarios::{Client, Node, Operator, admin::admin_toml, log::Log, operator::good};
use serde_json::{Value, json};

/// From the opening to the first probe: longer than a slow machine needs for the events that come within.
const QUARANTINE: Duration = Duration::from_millis(1500);

async fn node(name: &str, policy: &str) -> Node {
    Node::start(&toml(name, policy, QUARANTINE)).await
}

/// With `rooms` before it.
fn toml(name: &str, policy: &str, quarantine: Duration) -> String {
    let ms = quarantine.as_millis();
    format!(
        r#"
[[plugin]]
name = "rooms"
file = "{{wasm:rooms}}"

[[plugin]]
name = "{name}"
file = "{{wasm:hostile}}"
policy = "{policy}"
breaker = {{ failures = 3, window_ms = 600000, quarantine_ms = {ms} }}
"#
    )
}

fn failed() -> Value {
    json!({ "error": { "code": "plugin_failed", "message": "a plugin failed on this event" } })
}

/// Asks again and again until `is_it` says yes.
async fn until(client: &mut Client, way: &str, is_it: impl Fn(&Value) -> bool) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let answer = client.ask(way, Value::Null).await?;
        if is_it(&answer) {
            return Ok(());
        }
        assert!(Instant::now() < deadline, "{way}: {answer}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_keeps_failing_is_quarantined_and_probed_until_it_works() -> anyhow::Result<()> {
    let log = Log::capture();
    let node = node("broken", "reject").await;
    let mut ann = Client::connect(node.address, "/", Value::Null).await?;
    let mut bob = Client::connect(node.address, "/", Value::Null).await?;
    for client in [&mut ann, &mut bob] {
        assert_eq!(client.ask("join", json!({ "room": "tea" })).await?["ok"], true);
    }
    for _ in 0..3 {
        assert_eq!(ann.ask("panic", Value::Null).await?, failed());
    }
    // it would answer, but is not asked
    assert_eq!(ann.ask("fine", Value::Null).await?, failed());
    let alert = log.line_with(&["ERROR alert", "plugin quarantined", "plugin=broken ", "version=0.1.0"]).await;
    assert!(alert.contains("failures=3") && alert.contains("quarantine_ms=1500"), "{alert}");
    // facts are facts
    let id = bob.id.clone();
    drop(bob);
    assert_eq!(ann.event_named("left").await?["socket"], id);

    let is_open_again =
        |_: &Value| log.text().lines().any(|l| l.contains("stays in quarantine") && l.contains("broken"));
    until(&mut ann, "panic", is_open_again).await?;
    log.line_with(&["ERROR alert", "stays in quarantine", "plugin=broken ", "quarantine_ms=3000"]).await;
    let figure = |name: &str, value: u64| {
        let (text, line) =
            (node.seeing.metrics.render(), format!("{name}{{plugin=\"broken\",version=\"0.1.0\"}} {value}"));
        assert!(text.contains(&line), "{line} is not in\n{text}");
    };
    figure("hubbub_plugin_quarantined", 1);
    figure("hubbub_plugin_quarantines_total", 2);
    until(&mut ann, "fine", |answer| answer == "fine").await?;
    figure("hubbub_plugin_quarantined", 0);
    log.line_with(&["alert", "plugin works again", "plugin=broken "]).await;
    for _ in 0..5 {
        assert_eq!(ann.ask("fine", Value::Null).await?, "fine");
    }
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_go_past_a_quarantined_plugin_that_may_be_skipped() -> anyhow::Result<()> {
    let log = Log::capture();
    let node = node("skippable", "skip").await;
    let mut ann = Client::connect(node.address, "/", Value::Null).await?;
    for _ in 0..3 {
        assert_eq!(ann.ask("panic", Value::Null).await?["error"]["code"], "unhandled");
    }
    log.line_with(&["plugin quarantined", "plugin=skippable "]).await;
    assert_eq!(ann.ask("fine", Value::Null).await?["error"]["code"], "unhandled", "it is not asked");
    assert_eq!(ann.ask("join", json!({ "room": "tea" })).await?["ok"], true, "the others are");
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_others_leaves_the_quarantine_and_one_of_itself_ends_it() -> anyhow::Result<()> {
    let long = Duration::from_secs(600);
    let node = Node::start(&(admin_toml() + &toml("changing", "reject", long))).await;
    let operator = Operator::of(node.admin.expect("it has an admin API"));
    let patch = async |name: &str, settings: Value| {
        good(operator.admin().send("PATCH", &format!("/v1/plugins/{name}"), settings).await?)
    };
    let breaker = async || anyhow::Ok(operator.get("/v1/plugins/changing").await?["breaker"].clone());
    let mut ann = Client::connect(node.address, "/", Value::Null).await?;
    for _ in 0..3 {
        assert_eq!(ann.ask("panic", Value::Null).await?, failed());
    }
    assert_eq!(breaker().await?, "quarantined");

    assert_eq!(patch("rooms", json!({ "policy": "skip" })).await?["changed"], true);
    assert_eq!(breaker().await?, "quarantined");
    assert_eq!(ann.ask("fine", Value::Null).await?, failed());

    assert_eq!(patch("changing", json!({ "policy": "skip" })).await?["changed"], true);
    assert_eq!(breaker().await?, "closed");
    assert_eq!(ann.ask("fine", Value::Null).await?, "fine");

    // so much memory stays with an instance for as long as it lives
    let memory = async || operator.figure(r#"hubbub_plugin_memory_bytes{plugin="changing",version="0.1.0"}"#).await;
    const MIB: f64 = 1024.0 * 1024.0;
    assert_eq!(ann.ask("memory", json!(8)).await?, 8);
    assert!(memory().await? >= 8.0 * MIB);
    assert_eq!(patch("changing", json!({ "policy": "reject" })).await?["changed"], true);
    assert!(memory().await? >= 8.0 * MIB, "a change of policy alone leaves its instances");
    assert_eq!(patch("changing", json!({ "limits": { "wall_ms": 900 } })).await?["changed"], true);
    assert!(memory().await? < 8.0 * MIB, "one of limits makes new ones");
    node.stop().await;
    Ok(())
}
