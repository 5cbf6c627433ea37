//! Bodies, paths and connections that are not what they should be.

use std::time::Duration;

use scenarios::{
    Node,
    admin::{Admin, DEPLOY, admin_toml},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

async fn small_node(limits: &str) -> (Node, Admin) {
    let node = Node::start(&admin_toml().replace("[admin]\n", &format!("[admin]\n{limits}\n"))).await;
    let admin = Admin::new(node.admin.expect("it has an admin API"), DEPLOY);
    (node, admin)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_too_large_is_refused_by_its_limits_name() -> anyhow::Result<()> {
    let (node, admin) = small_node("upload_max_bytes = 5000\nbody_max_bytes = 2000").await;
    let before = admin.get("/v1/chain").await?.text;
    let answer = admin.push("big", "", &vec![0; 5001]).await?;
    assert_eq!((answer.status, answer.code().as_str()), (413, "too_large"));
    assert!(answer.message().contains("admin.upload_max_bytes, which is 5000"), "{}", answer.message());
    // one that is announced is refused unread
    let head = format!(
        "POST /v1/plugins/big HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {DEPLOY}\r\n\
         Content-Type: application/wasm\r\nContent-Length: 99999999999\r\n\r\n"
    );
    assert_eq!(admin.raw(head.as_bytes()).await?.status, 413);
    // one that comes in chunks is counted
    let chunks = head.replace("Content-Length: 99999999999", "Transfer-Encoding: chunked");
    let chunks = [chunks.as_bytes(), format!("1770\r\n{}\r\n0\r\n\r\n", "x".repeat(6000)).as_bytes()].concat();
    assert_eq!(admin.raw(&chunks).await?.status, 413);
    let answer = admin.send("POST", "/v1/publish", json!({ "event": "x".repeat(3000) })).await?;
    assert_eq!(answer.status, 413);
    assert!(answer.message().contains("admin.body_max_bytes"), "{}", answer.message());
    assert_eq!(admin.get("/v1/chain").await?.text, before);
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_does_not_arrive_is_given_up() -> anyhow::Result<()> {
    let (node, admin) = small_node("body_timeout_ms = 300").await;
    let head = format!(
        "POST /v1/plugins/slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {DEPLOY}\r\n\
         Content-Type: application/wasm\r\nContent-Length: 1000\r\n\r\nabc"
    );
    let answer = admin.raw(head.as_bytes()).await?;
    assert_eq!(answer.status, 408, "{}", answer.text);
    assert!(answer.message().contains("admin.body_timeout_ms"), "{}", answer.message());
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_token_uploads_one_component_at_a_time() -> anyhow::Result<()> {
    let (node, admin) = small_node("").await;
    let mut slow = TcpStream::connect(admin.address).await?;
    let head = format!(
        "POST /v1/plugins/slow HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nAuthorization: Bearer {DEPLOY}\r\n\
         Content-Type: application/wasm\r\nContent-Length: 1000\r\n\r\n"
    );
    slow.write_all(head.as_bytes()).await?;
    // it is asked for its body when it has its place
    let mut asked = [0; 25];
    timeout(Duration::from_secs(30), slow.read_exact(&mut asked)).await??;
    assert!(asked.starts_with(b"HTTP/1.1 100 Continue"), "{}", String::from_utf8_lossy(&asked));
    let answer = admin.push("other", "", b"abc").await?;
    assert_eq!((answer.status, answer.code().as_str()), (429, "busy"), "{}", answer.text);
    drop(slow);
    let freed = async {
        while admin.push("other", "", b"abc").await?.status == 429 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        anyhow::Ok(())
    };
    timeout(Duration::from_secs(30), freed).await??;
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paths_that_lead_elsewhere_lead_nowhere() -> anyhow::Result<()> {
    let (node, admin) = small_node("").await;
    let check = async |method: &str, path: &str, status: u16| {
        let answer = admin.send(method, path, json!({})).await?;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text);
        assert!(answer.json()["error"]["code"].is_string(), "{path}: {}", answer.text);
        anyhow::Ok(())
    };
    for name in
        ["%2e%2e", "..%2f..%2fetc%2fpasswd", "a%2Fb", "A", "a.b", "%00", "%C3%A9", &"a".repeat(65), "a%20b", "%ff"]
    {
        check("GET", &format!("/v1/plugins/{name}"), 400).await?;
        check("DELETE", &format!("/v1/plugins/{name}"), 400).await?;
    }
    check("GET", "/v1/plugins/../../etc/passwd", 404).await?;
    check("GET", "/v1/plugins/", 404).await?;
    check("GET", "//v1/plugins", 404).await?;
    check("GET", "/v1/nothing", 404).await?;
    check("PUT", &format!("/v1/artifacts/{}", "g".repeat(64)), 400).await?;
    check("GET", "/v1/chain/revisions/-1", 400).await?;
    check("GET", "/v1/chain/revisions/99999999999999999999", 400).await?;
    check("POST", "/v1/sockets/short/kick", 400).await?;
    check("PUT", "/v1/chain", 405).await?;
    check("GET", "/v1/sockets?limit=0", 400).await?;
    check("GET", "/v1/sockets?limit=1001", 400).await?;
    check("GET", "/v1/sockets?limit=x", 400).await?;
    check("GET", "/v1/sockets?limt=1", 400).await?;
    check("GET", "/v1/sockets?after=nobody", 400).await?;
    check("GET", "/v1/rooms?after=nowhere", 400).await?;
    check("GET", "/v1/plugins/nobody", 404).await?;
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_json_and_components_are_taken() -> anyhow::Result<()> {
    let (node, admin) = small_node("").await;
    let check = async |path: &str, kind: &str, body: &[u8], status: u16| {
        let headers = [("content-type", kind)];
        let headers = if kind.is_empty() { &[][..] } else { &headers[..] };
        let answer = admin.call("POST", path, headers, body).await?;
        assert_eq!(answer.status, status, "{path} {kind}: {}", answer.text);
        anyhow::Ok(())
    };
    check("/v1/publish", "text/plain", b"{}", 415).await?;
    check("/v1/publish", "application/x-www-form-urlencoded", b"{}", 415).await?;
    check("/v1/publish", "", b"{}", 415).await?;
    check("/v1/publish", "application/json", b"", 400).await?;
    check("/v1/publish", "application/json", b"{", 400).await?;
    check("/v1/publish", "application/json", b"[]", 400).await?;
    check("/v1/publish", "application/json; charset=utf-8", &[0xff], 400).await?;
    check("/v1/plugins/x", "text/plain", b"\0asm", 415).await?;
    check("/v1/plugins/x/move", "application/json", br#"{"behind":"a"}"#, 400).await?;
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_bounded_and_a_silent_one_is_closed() -> anyhow::Result<()> {
    let (node, admin) = small_node("connections_max = 2").await;
    let mut held = [TcpStream::connect(admin.address).await?, TcpStream::connect(admin.address).await?];
    let full = async {
        // accepting is the node's matter: the third is let in only as long as one of the others was not
        while admin.get("/v1/health").await?.status != 503 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        anyhow::Ok(())
    };
    timeout(Duration::from_secs(30), full).await??;
    let mut rest = Vec::new();
    timeout(Duration::from_secs(60), held[0].read_to_end(&mut rest)).await??;
    let free = async {
        while admin.get("/v1/health").await?.json()["status"] != "ok" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        anyhow::Ok(())
    };
    timeout(Duration::from_secs(30), free).await??;
    let node_view: Value = admin.get("/v1/node").await?.json();
    assert_eq!(node_view["ready"], true);
    node.stop().await;
    Ok(())
}
