//! Plugins and the chain, changed while the node runs.

use scenarios::{
    Client, Node,
    admin::{Admin, DEPLOY, READ, admin_toml, query},
    plugins::wasm,
};
use serde_json::{Value, json};

/// A node whose chain is one plugin, which sends back what it gets.
async fn stamped() -> (Node, Admin) {
    let toml = admin_toml()
        + r#"
[[plugin]]
name = "last"
file = "{wasm:stamp}"
config = { tag = "last", target = true }
"#;
    let node = Node::start(&toml).await;
    let admin = Admin::new(node.admin.expect("it has an admin API"), DEPLOY);
    (node, admin)
}

fn component(package: &str) -> Vec<u8> {
    std::fs::read(wasm(package)).expect("it was built")
}

/// The tags of all plugins that a message passes.
async fn tags(client: &mut Client) -> anyhow::Result<Value> {
    let packet_tags = client.ask("x", json!("m")).await;
    // the ack carries all arguments, of which the test's client gives the first
    drop(packet_tags);
    loop {
        let event = client.event().await?;
        if event[0] == "x" {
            return Ok(Value::Array(event[2..].to_vec()));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_acts_when_its_push_is_answered_and_is_set_moved_and_removed_alike() -> anyhow::Result<()> {
    let (node, admin) = stamped().await;
    let mut client = Client::connect(node.address, "/", Value::Null).await?;
    assert_eq!(tags(&mut client).await?, json!(["last"]));
    let stamp = component("stamp");
    let settings = json!({ "config": { "tag": "new" } });
    let pushed = admin.push_with("new", &query(&[("why", "because")]), &stamp, None, &settings).await?;
    assert_eq!(pushed.status, 200, "{}", pushed.text);
    let (first, pushed) = (pushed.json()["revision"].as_u64().expect("a number"), pushed.json());
    assert_eq!((&pushed["changed"], &pushed["plugin"]["name"]), (&json!(true), &json!("new")));
    assert_eq!(tags(&mut client).await?, json!(["last", "new"]), "at the end, and at once");

    // the same again changes nothing, with all settings said or with none
    for again in [admin.push_with("new", "", &stamp, None, &settings).await?, admin.push("new", "", &stamp).await?] {
        let again = again.json();
        assert_eq!((&again["changed"], &again["revision"]), (&json!(false), &json!(first)), "{again}");
    }
    let digest = pushed["plugin"]["sha256"].clone();
    let again = admin.send("POST", "/v1/plugins/new", json!({ "sha256": digest })).await?.json();
    assert_eq!((&again["changed"], &again["revision"]), (&json!(false), &json!(first)), "{again}");

    let change = async |method: &str, path: &str, body: Value| {
        let answer = admin.send(method, path, body).await?;
        assert_eq!(answer.status, 200, "{method} {path}: {}", answer.text);
        assert_eq!(answer.json()["changed"], true, "{method} {path}: {}", answer.text);
        anyhow::Ok(answer.json())
    };
    change("POST", "/v1/plugins/new/move", json!({ "before": "last" })).await?;
    assert_eq!(tags(&mut client).await?, json!(["new", "last"]));
    let configured = change("PATCH", "/v1/plugins/new", json!({ "config": { "tag": "newer" } })).await?;
    assert_eq!(tags(&mut client).await?, json!(["newer", "last"]));
    assert_eq!(configured["plugin"]["settings"]["config"], json!({ "tag": "newer" }));
    change("POST", "/v1/plugins/new/disable", Value::Null).await?;
    assert_eq!(tags(&mut client).await?, json!(["last"]));
    assert_eq!(admin.get("/v1/plugins/new").await?.json()["enabled"], false);
    change("POST", "/v1/plugins/new/enable", Value::Null).await?;
    assert_eq!(tags(&mut client).await?, json!(["newer", "last"]));
    change("DELETE", "/v1/plugins/new", Value::Null).await?;
    assert_eq!(tags(&mut client).await?, json!(["last"]));
    assert_eq!(admin.get("/v1/plugins/new").await?.status, 404);

    // what it was is known, and who made it so
    let history = admin.with_token(READ).get("/v1/chain/history?limit=100").await?.json();
    let line = history["items"].as_array().expect("items").iter().find(|line| line["revision"] == first).cloned();
    let line = line.expect("the push is in the history");
    assert_eq!((&line["who"], &line["why"]), (&json!("deploy"), &json!("because")));
    let before = first - 1;
    let diff = admin.get(&format!("/v1/chain/diff?from={before}&to={first}")).await?.json();
    assert_eq!((&diff["items"][0]["plugin"], &diff["items"][0]["what"]), (&json!("new"), &json!("added")), "{diff}");
    change("POST", "/v1/chain/rollback", json!({ "revision": first })).await?;
    assert_eq!(tags(&mut client).await?, json!(["last", "new"]));
    let pages = admin.get("/v1/chain/history?limit=2").await?.json();
    let next = pages["next"].as_u64().expect("there is more");
    let older = admin.get(&format!("/v1/chain/history?limit=2&before={next}")).await?.json();
    assert_eq!(older["items"][0]["revision"], next - 1);
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_changes_at_once_one_is_told_to_look_again() -> anyhow::Result<()> {
    let (node, admin) = stamped().await;
    let base = admin.get("/v1/chain").await?.json()["revision"].as_u64().expect("a number");
    let stamp = component("stamp");
    let push = async |name: &str| {
        let settings = json!({ "config": { "tag": name } });
        admin.push_with(name, &query(&[("base", &base.to_string())]), &stamp, None, &settings).await
    };
    // each with a token of its own, or one would wait for the other's upload
    let digest = admin.get("/v1/plugins/last").await?.json()["sha256"].clone();
    let by_digest = json!({ "sha256": digest, "settings": { "config": { "tag": "b" } } });
    let path = format!("/v1/plugins/b?base={base}");
    let (a, b) = tokio::join!(push("a"), admin.send("POST", &path, by_digest));
    let (a, b) = (a?, b?);
    let mut statuses = [a.status, b.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409], "{} {}", a.text, b.text);
    let (won, lost) = if a.status == 200 { (a, b) } else { (b, a) };
    assert_eq!((lost.code().as_str(), &lost.json()["error"]["current"]), ("conflict", &won.json()["revision"]));
    let plugins = admin.get("/v1/plugins").await?.json();
    assert_eq!(plugins["items"].as_array().map(Vec::len), Some(2), "{plugins}");

    let revision = won.json()["revision"].as_u64().expect("a number");
    let disable =
        async |header: &str| admin.call("POST", "/v1/plugins/last/disable", &[("if-match", header)], b"").await;
    assert_eq!(disable(&format!("\"{base}\"")).await?.status, 409);
    assert_eq!(disable("x").await?.status, 400);
    assert_eq!(disable(&format!("\"{revision}\"")).await?.status, 200);
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_bad_push_is_refused_with_its_reason_and_changes_nothing() -> anyhow::Result<()> {
    let (node, admin) = stamped().await;
    let mut client = Client::connect(node.address, "/", Value::Null).await?;
    let before = (admin.get("/v1/chain").await?.text, admin.get("/v1/chain/history").await?.text);
    let stamp = component("stamp");
    let mut altered = stamp.clone();
    altered[stamp.len() / 2] ^= 0x55;
    let check = async |bytes: &[u8], settings: Value, status: u16, code: &str| {
        for name in ["new", "last"] {
            let answer = admin.push_with(name, "", bytes, None, &settings).await?;
            assert_eq!((answer.status, answer.code().as_str()), (status, code), "{name}: {}", answer.text);
            assert!(!answer.message().is_empty());
        }
        anyhow::Ok(())
    };
    let tag = json!({ "config": { "tag": "x" } });
    check(b"", tag.clone(), 422, "artifact").await?;
    check(b"#!/bin/sh", tag.clone(), 422, "artifact").await?;
    check(&stamp[..stamp.len() - 1], tag.clone(), 422, "artifact").await?;
    check(&wat::parse_str("(module)")?, tag.clone(), 422, "artifact").await?;
    let foreign = r#"(component (import "evil:host/shell@1.0.0" (instance)))"#;
    check(&wat::parse_str(foreign)?, tag.clone(), 422, "artifact").await?;
    let another_abi = r#"(component (import "hubbub:plugin/event@0.9.0" (instance)))"#;
    check(&wat::parse_str(another_abi)?, tag.clone(), 422, "artifact").await?;
    check(&component("keeper"), json!({ "config": {} }), 422, "capability").await?;
    check(&stamp, json!({ "config": { "tagg": "x" } }), 422, "init").await?;
    check(&component("hostile"), json!({ "config": { "init": "panic" } }), 422, "init").await?;
    check(&component("hostile"), json!({ "config": { "init": "loop" } }), 422, "init").await?;
    check(&stamp, json!({ "polcy": "skip" }), 422, "settings").await?;
    check(&stamp, json!({ "limits": { "cpu_ms": 0 } }), 422, "settings").await?;
    check(&stamp, json!({ "file": "/etc/passwd" }), 422, "settings").await?;
    check(&stamp, json!([1]), 400, "invalid").await?;
    let answer = admin.push("new", &query(&[("before", "nobody")]), &stamp).await?;
    assert_eq!((answer.status, answer.code().as_str()), (404, "not_found"), "{}", answer.text);
    // a byte that was altered on its way is another file: its digest tells
    let digest = admin.get("/v1/plugins/last").await?.json()["sha256"].as_str().expect("a digest").to_owned();
    let headers = [("content-type", "application/wasm")];
    let answer = admin.call("PUT", &format!("/v1/artifacts/{digest}"), &headers, &altered).await?;
    assert_eq!((answer.status, answer.code().as_str()), (400, "invalid"), "{}", answer.text);
    let answer = admin.call("PUT", &format!("/v1/artifacts/{digest}"), &headers, &stamp).await?;
    assert_eq!((answer.status, &answer.json()["name"]), (200, &json!("stamp")), "{}", answer.text);
    let unknown = json!({ "sha256": "0".repeat(64), "settings": tag });
    let answer = admin.send("POST", "/v1/plugins/new", unknown).await?;
    assert_eq!((answer.status, answer.code().as_str()), (404, "not_found"), "{}", answer.text);
    for (method, path, body, status) in [
        ("PATCH", "/v1/plugins/last", json!({ "config": {} }), 422),
        ("PATCH", "/v1/plugins/last", json!({ "namespaces": [] }), 422),
        ("PATCH", "/v1/plugins/nobody", json!({ "policy": "skip" }), 404),
        ("POST", "/v1/plugins/nobody/enable", Value::Null, 404),
        ("POST", "/v1/plugins/last/move", json!({ "before": "nobody" }), 404),
        ("DELETE", "/v1/plugins/nobody", Value::Null, 404),
        ("POST", "/v1/chain/rollback", json!({ "revision": 999 }), 404),
        ("POST", "/v1/chain/rollback", json!({ "revision": 0 }), 404),
    ] {
        let answer = admin.send(method, path, body).await?;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text);
    }
    let after = (admin.get("/v1/chain").await?.text, admin.get("/v1/chain/history").await?.text);
    assert_eq!(after, before);
    assert_eq!(tags(&mut client).await?, json!(["last"]), "traffic did not notice");
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_plugin_keeps_is_purged_when_it_is_not_in_force() -> anyhow::Result<()> {
    let toml = admin_toml()
        + r#"
[[plugin]]
name = "keeper"
file = "{wasm:keeper}"
capabilities = ["store"]
config = {}
"#;
    let node = Node::start(&toml).await;
    let admin = Admin::new(node.admin.expect("it has an admin API"), DEPLOY);
    let mut client = Client::connect(node.address, "/", Value::Null).await?;
    for key in ["a", "b"] {
        client.ask("set", json!({ "key": key, "value": 1 })).await?;
    }
    let purge = async |query: &str| admin.send("POST", &format!("/v1/plugins/keeper/purge{query}"), Value::Null).await;
    let refused = purge("").await?;
    assert_eq!((refused.status, refused.code().as_str()), (409, "in_force"), "{}", refused.text);
    assert_eq!(client.ask("get", json!({ "key": "a" })).await?["value"], 1, "nothing was taken away");
    assert_eq!(purge("?namespace=/other&force=true").await?.json()["keys"], 0);
    assert_eq!(purge("?force=true").await?.json()["keys"], 2);
    assert_eq!(client.ask("get", json!({ "key": "a" })).await?["value"], Value::Null);
    client.ask("set", json!({ "key": "a", "value": 1 })).await?;
    admin.send("POST", "/v1/plugins/keeper/disable", Value::Null).await?;
    assert_eq!(purge("?namespace=/").await?.json()["keys"], 1);
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugins_secrets_are_shown_nowhere() -> anyhow::Result<()> {
    let secret = "0123456789abcdef0123456789abcdef-sesame";
    let toml = admin_toml()
        + &format!(
            r#"
[[plugin]]
name = "auth"
file = "{{wasm:auth-token}}"
capabilities = ["identity", "credentials"]
[plugin.config]
keys = [{{ algorithm = "HS256", secret = "{secret}" }}]
"#
        );
    let node = Node::start(&toml).await;
    let admin = Admin::new(node.admin.expect("it has an admin API"), DEPLOY);
    let other = json!({ "config": { "keys": [{ "algorithm": "HS256", "secret": format!("{secret}-2") }] } });
    let changed = admin.send("PATCH", "/v1/plugins/auth", other).await?;
    assert_eq!(changed.status, 200, "{}", changed.text);
    let revision = changed.json()["revision"].as_u64().expect("a number");
    let mut texts = vec![changed.text.clone()];
    let paths = ["/v1/plugins", "/v1/plugins/auth", "/v1/chain", "/v1/chain/history", "/v1/chain/diff"];
    for path in paths.map(str::to_owned).into_iter().chain([format!("/v1/chain/revisions/{}", revision - 1)]) {
        let answer = admin.with_token(READ).get(&path).await?;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        texts.push(answer.text);
    }
    assert!(texts.iter().all(|text| !text.contains("sesame")), "{texts:#?}");
    let diff = admin.get("/v1/chain/diff").await?.json();
    assert_eq!((&diff["items"][0]["key"], &diff["items"][0]["to"]), (&json!("config.keys"), &json!("***")), "{diff}");
    node.stop().await;
    Ok(())
}
