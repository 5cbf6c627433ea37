//! Who may call.

use scenarios::{
    Node,
    admin::{Admin, DEPLOY, READ, admin_toml},
    log::Log,
};
use serde_json::{Value, json};

use super::{member, probe_node};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_needs_its_role_and_a_refusal_changes_nothing() -> anyhow::Result<()> {
    let (node, admin) = probe_node().await;
    let document = admin.get("/openapi.json").await?.json();
    let client = member(&node, "/", "ann", &["a"]).await?;
    let before = admin.get("/v1/chain").await?.text;
    let mut seen = 0;
    for (path, calls) in document["paths"].as_object().expect("paths") {
        let filled = path.replace("{name}", "probe").replace("{id}", &client.id).replace("{user}", "ann");
        let filled = filled.replace("{room}", "a").replace("{number}", "1").replace("{sha256}", &"0".repeat(64));
        for (method, operation) in calls.as_object().expect("calls") {
            let method = method.to_uppercase();
            if operation["security"].is_null() {
                assert_eq!(path, "/v1/health", "nothing else is open");
                assert_eq!(admin.with_token("").get(path).await?.status, 200);
                continue;
            }
            seen += 1;
            let is_read = operation["description"].as_str().is_some_and(|text| text.contains("role `read`"));
            for token in ["", "wrong", &"x".repeat(5000)] {
                let answer = admin.with_token(token).send(&method, &filled, Value::Null).await?;
                assert_eq!((answer.status, answer.code().as_str()), (401, "unauthorized"), "{method} {path}");
                assert!(answer.headers.contains("www-authenticate: bearer"), "{}", answer.headers);
            }
            if !is_read {
                let answer = admin.with_token(READ).send(&method, &filled, json!({})).await?;
                assert_eq!((answer.status, answer.code().as_str()), (403, "forbidden"), "{method} {path}");
                assert!(answer.message().contains("needs `deploy`"), "{}", answer.message());
            }
        }
    }
    assert!(seen >= 20, "only {seen} calls");
    assert_eq!(admin.with_token(READ).get("/v1/chain").await?.text, before, "the chain is what it was");
    assert_eq!(admin.get("/v1/sockets").await?.json()["total"], 1, "nobody was sent away");
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_token_and_no_hash_is_ever_logged_or_shown() -> anyhow::Result<()> {
    let log = Log::capture();
    let (node, admin) = probe_node().await;
    log.line_with(&["admin API", "deploy (deploy)", "read (read)"]).await;
    for token in [DEPLOY, READ, "wrong-token-of-a-test"] {
        let answer = admin.with_token(token).get("/v1/node").await?;
        assert!(!answer.text.contains(token) && !answer.headers.contains(token));
    }
    node.stop().await;
    let text = log.text();
    for secret in [DEPLOY, READ, "wrong-token-of-a-test", &hub::registry::Digest::of(DEPLOY.as_bytes()).to_string()] {
        assert!(!text.contains(secret), "the log has `{secret}`");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_without_a_token_has_no_admin_api() {
    let error = Node::try_start("[admin]\nlisten = \"127.0.0.1:0\"\n").await.err().expect("it is refused");
    assert!(error.to_string().contains("`hubbub token new`"), "{error}");
    let node = Node::start("").await;
    assert!(node.admin.is_none());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_dev_mode_this_machine_needs_no_token_and_no_page_gets_in() -> anyhow::Result<()> {
    let node = Node::start_dev("").await;
    let admin = Admin::new(node.admin.expect("it has an admin API"), "");
    assert_eq!(admin.get("/v1/node").await?.status, 200);
    let port = admin.address.port();
    let check = async |headers: &[(&str, &str)], status: u16| {
        let answer = admin.call("POST", "/v1/chain/rollback", headers, b"").await?;
        assert_eq!(answer.status, status, "{headers:?}: {}", answer.text);
        anyhow::Ok(())
    };
    // a name that was made to point at this machine, a page that posts a form, and one that is more careful
    check(&[("host", "evil.example")], 403).await?;
    check(&[("host", &format!("evil.example:{port}"))], 403).await?;
    check(&[("origin", "https://evil.example"), ("content-type", "text/plain")], 403).await?;
    check(&[("sec-fetch-site", "cross-site")], 403).await?;
    // what is left of a form is no JSON
    check(&[("content-type", "text/plain")], 415).await?;
    check(&[("host", &format!("localhost:{port}")), ("content-type", "application/json")], 400).await?;
    let answer = admin.call("OPTIONS", "/v1/chain/rollback", &[("origin", "https://evil.example")], b"").await?;
    assert!(answer.status >= 400 && !answer.headers.contains("access-control"), "{}", answer.headers);
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_token_dev_mode_opens_nothing() -> anyhow::Result<()> {
    let node = Node::start_dev(&admin_toml()).await;
    let admin = Admin::new(node.admin.expect("it has an admin API"), "");
    assert_eq!(admin.get("/v1/node").await?.status, 401);
    assert_eq!(admin.with_token(READ).get("/v1/node").await?.status, 200);
    node.stop().await;
    Ok(())
}
