//! What is seen while it happens, and what is noted of what operators did.

use scenarios::{
    Client, Node,
    admin::{Admin, DEPLOY, READ},
};
use serde_json::{Value, json};

use super::{member, probe_node, probe_toml};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_change_and_every_refused_caller_is_noted() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let toml = probe_toml() + &format!("\n[server]\ndata_dir = \"{}\"\n", dir.path().display());
    let node = Node::start(&toml).await;
    let admin = Admin::new(node.admin.expect("it has an admin API"), DEPLOY);
    let done = admin.send("POST", "/v1/plugins/probe/disable?why=a%20try", Value::Null).await?.json();
    admin.send("POST", "/v1/plugins/nobody/disable", Value::Null).await?;
    admin.with_token("a-guess-of-a-test").get("/v1/node?why=a%20guess").await?;
    admin.with_token(READ).send("POST", "/v1/plugins/probe/enable", Value::Null).await?;
    // who only looks is not noted
    admin.get("/v1/plugins").await?;
    let answer = admin.get("/v1/audit?last=10").await?;
    let items = answer.json()["items"].as_array().expect("items").clone();
    let seen: Vec<_> = items.iter().map(|line| [&line["who"], &line["what"], &line["result"]]).collect();
    assert_eq!(
        seen,
        [
            [&json!("deploy"), &json!("disable plugin"), &json!("done")],
            [&json!("deploy"), &json!("disable plugin"), &json!("not_found")],
            [&json!(""), &json!("show node"), &json!("unauthorized")],
            [&json!("read"), &json!("enable plugin"), &json!("forbidden")],
        ],
        "{}",
        answer.text
    );
    assert_eq!((&items[0]["revision"], &items[0]["why"]), (&done["revision"], &json!("a try")));
    assert_eq!((&items[0]["target"], &items[0]["address"]), (&json!("/v1/plugins/probe/disable"), &json!("127.0.0.1")));
    for secret in [DEPLOY, READ, "a-guess-of-a-test"] {
        assert!(!answer.text.contains(secret), "{}", answer.text);
    }
    assert_eq!(items[2].get("why"), None, "who was not let in has no words of its own here: {}", answer.text);
    let written = |name: &str| std::fs::read_to_string(dir.path().join(name)).map(|text| text.lines().count());
    assert_eq!((written("audit.jsonl")?, written("audit-refused.jsonl")?), (2, 2));
    assert_eq!(admin.with_token(READ).get("/v1/audit").await?.status, 403);
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_plugin_says_is_shown_and_followed() -> anyhow::Result<()> {
    let (node, admin) = probe_node().await;
    let mut client = Client::connect(node.address, "/", Value::Null).await?;
    client.ask("probe:log", json!({ "level": "warn", "text": "first" })).await?;
    let lines = admin.get("/v1/plugins/probe/logs?last=5").await?;
    assert!(lines.headers.contains("application/x-ndjson"), "{}", lines.headers);
    let line: Value = serde_json::from_str(lines.text.lines().last().unwrap_or_default())?;
    assert_eq!((&line["text"], &line["level"], &line["plugin"]), (&json!("first"), &json!("warn"), &json!("probe")));
    let mut followed = admin.follow("/v1/plugins/probe/logs?last=1&follow=true").await?;
    assert_eq!(followed.next().await?["text"], "first");
    client.ask("probe:log", json!({ "level": "info", "text": "second" })).await?;
    assert_eq!(followed.next().await?["text"], "second");
    // who looks on does not hold the node up
    node.stop().await;
    followed.end().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_traced_for_those_who_ask_for_them() -> anyhow::Result<()> {
    let (node, admin) = probe_node().await;
    let mut ann = member(&node, "/", "ann", &["a"]).await?;
    let mut bea = member(&node, "/", "bea", &["a"]).await?;
    let mut traced = admin.follow("/v1/trace?user=bea&event=probe:now").await?;
    ann.ask("probe:now", json!({})).await?;
    bea.ask("probe:rooms", json!({ "room": "a" })).await?;
    bea.ask("probe:now", json!({})).await?;
    let event = traced.next().await?;
    assert_eq!((&event["user"], &event["names"]), (&json!("bea"), &json!(["probe:now"])), "{event}");
    let step = &event["steps"][0];
    assert_eq!((&step["plugin"], &step["hook"]), (&json!("probe"), &json!("on_message")), "{event}");
    assert!(step["us"].is_u64() && step["version"].is_string(), "{event}");
    assert_eq!(admin.get("/v1/trace?socket=short").await?.status, 400);
    drop(traced);
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_are_there_for_prometheus() -> anyhow::Result<()> {
    let (node, admin) = probe_node().await;
    let _ann = member(&node, "/", "ann", &["a"]).await?;
    let page = admin.with_token(READ).get("/metrics").await?;
    assert_eq!(page.status, 200);
    assert!(page.headers.contains("text/plain; version=0.0.4"), "{}", page.headers);
    assert!(page.text.contains("# TYPE hubbub_"), "{}", page.text);
    assert_eq!(admin.with_token("").get("/metrics").await?.status, 401);
    let shown = admin.get("/v1/plugins/probe").await?.json();
    assert_eq!(shown["breaker"], "closed", "{shown}");
    node.stop().await;
    Ok(())
}
