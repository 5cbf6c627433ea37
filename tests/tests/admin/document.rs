//! The API's own document: it knows every call, and what is answered fits it.

use std::collections::BTreeSet;

use scenarios::admin::assert_fits;
use serde_json::{Value, json};

use super::{member, probe_node};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_what_the_document_says() -> anyhow::Result<()> {
    let (node, admin) = probe_node().await;
    let document = admin.get("/openapi.json").await?.json();
    assert_eq!(document["openapi"], "3.1.0");
    let client = member(&node, "/", "ann", &["a", "b"]).await?;
    let bea = member(&node, "/other", "bea", &["c"]).await?;
    let cat = member(&node, "/other", "cat", &["d"]).await?;
    let mut called = BTreeSet::new();
    let publish = json!({"namespace": "/", "to": {"room": "a"}, "event": "hi", "args": [1], "ask": {"timeout_ms": 50}});
    let kick_ann = format!("/v1/sockets/{}/kick", client.id);
    let unknown = format!("/v1/artifacts/{}", "0".repeat(64));
    let calls: Vec<(&str, &str, &str, Value)> = vec![
        ("GET", "/v1/plugins", "/v1/plugins", Value::Null),
        ("GET", "/v1/plugins/{name}", "/v1/plugins/probe", Value::Null),
        ("GET", "/v1/plugins/{name}", "/v1/plugins/nobody", Value::Null),
        ("GET", "/v1/chain", "/v1/chain", Value::Null),
        ("GET", "/v1/chain/history", "/v1/chain/history?limit=5", Value::Null),
        ("GET", "/v1/chain/revisions/{number}", "/v1/chain/revisions/1", Value::Null),
        ("GET", "/v1/chain/revisions/{number}", "/v1/chain/revisions/9", Value::Null),
        ("GET", "/v1/chain/diff", "/v1/chain/diff?from=1&to=1", Value::Null),
        ("POST", "/v1/chain/rollback", "/v1/chain/rollback", json!({ "revision": 1 })),
        ("PUT", "/v1/artifacts/{sha256}", &unknown, Value::Null),
        ("PATCH", "/v1/plugins/{name}", "/v1/plugins/probe", json!({ "policy": "skip" })),
        ("POST", "/v1/plugins/{name}", "/v1/plugins/probe", json!({ "sha256": "0" })),
        ("POST", "/v1/plugins/{name}/disable", "/v1/plugins/probe/disable", Value::Null),
        ("POST", "/v1/plugins/{name}/enable", "/v1/plugins/probe/enable", Value::Null),
        ("POST", "/v1/plugins/{name}/move", "/v1/plugins/probe/move", json!({ "before": null })),
        ("POST", "/v1/plugins/{name}/purge", "/v1/plugins/old/purge", Value::Null),
        ("POST", "/v1/plugins/{name}/purge", "/v1/plugins/probe/purge", Value::Null),
        ("GET", "/v1/sockets", "/v1/sockets?limit=1", Value::Null),
        ("GET", "/v1/users", "/v1/users", Value::Null),
        ("GET", "/v1/rooms", "/v1/rooms?limit=1", Value::Null),
        ("GET", "/v1/plugins/{name}/logs", "/v1/plugins/probe/logs", Value::Null),
        ("GET", "/v1/trace", "/v1/trace?socket=short", Value::Null),
        ("GET", "/v1/audit", "/v1/audit", Value::Null),
        ("GET", "/metrics", "/metrics", Value::Null),
        ("GET", "/v1/node", "/v1/node", Value::Null),
        ("GET", "/v1/health", "/v1/health", Value::Null),
        ("POST", "/v1/publish", "/v1/publish", publish),
        ("POST", "/v1/publish", "/v1/publish", json!({})),
        ("POST", "/v1/sockets/{id}/kick", &kick_ann, json!({ "reason": "test" })),
        ("POST", "/v1/sockets/{id}/kick", &kick_ann, Value::Null),
        ("POST", "/v1/users/{user}/kick", "/v1/users/bea/kick", Value::Null),
        ("POST", "/v1/rooms/{room}/kick", "/v1/rooms/d/kick", Value::Null),
        ("POST", "/v1/rooms/{room}/kick", "/v1/rooms/d/kick", Value::Null),
        ("POST", "/v1/plugins/{name}/reconnect", "/v1/plugins/probe/reconnect", Value::Null),
        ("DELETE", "/v1/plugins/{name}", "/v1/plugins/probe", Value::Null),
    ];
    for (method, template, path, body) in calls {
        let answer = admin.send(method, path, body).await?;
        assert_fits(&document, method, template, &answer);
        assert!(answer.headers.contains("cache-control: no-store"), "{path}: {}", answer.headers);
        called.insert(format!("{method} {template}"));
    }
    drop((client, bea, cat));
    let all = document["paths"].as_object().expect("paths").iter().flat_map(|(path, calls)| {
        let methods = calls.as_object().expect("calls").keys();
        methods.map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    let missed: Vec<_> = all.filter(|call| !called.contains(call) && call != "GET /openapi.json").collect();
    assert!(missed.is_empty(), "not called here: {missed:?}");
    node.stop().await;
    Ok(())
}
