//! A plugin that keeps failing is put into quarantine, and comes back when it works again.

use std::time::{Duration, Instant};

use scenarios::{Client, Node, log::Log};
use serde_json::{Value, json};

/// From the opening to the first probe: longer than a slow machine needs for the events that come within.
const QUARANTINE: Duration = Duration::from_millis(1500);

async fn node(name: &str, policy: &str) -> Node {
    let ms = QUARANTINE.as_millis();
    Node::start(&format!(
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
    ))
    .await
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
