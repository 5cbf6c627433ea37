//! Requests that lead nowhere, sessions of others, and requests that never end.

use futures_util::future::join_all;
use scenarios::{
    Client,
    raw::{Http, PATH, Polling, UPGRADE, request},
};
use serde_json::Value;
use tokio::io::AsyncWriteExt;

use crate::{SMALL, Watched};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_lead_nowhere_get_the_protocols_code() -> anyhow::Result<()> {
    let mut watched = Watched::start(SMALL).await?;
    let address = watched.node.address;
    let (session, _) = Polling::connect(address).await?;
    let own = format!("EIO=4&transport=polling&sid={}", session.sid);
    let table: &[(&str, &str, &str, u16, u8)] = &[
        ("no parameters", "GET", "", 400, 0),
        ("no transport", "GET", "EIO=4", 400, 0),
        ("a transport in capitals", "GET", "EIO=4&transport=POLLING", 400, 0),
        ("no version", "GET", "transport=polling", 400, 5),
        ("the version before", "GET", "EIO=3&transport=polling", 400, 5),
        ("a version that is a text", "GET", "EIO=four&transport=polling", 400, 5),
        ("a version that overflows", "GET", "EIO=99999999999999999999&transport=polling", 400, 5),
        ("a POST without a session", "POST", "EIO=4&transport=polling", 400, 2),
        ("a PUT without a session", "PUT", "EIO=4&transport=polling", 400, 2),
        ("a WebSocket that does not ask for one", "GET", "EIO=4&transport=websocket", 400, 3),
        ("a DELETE of a session", "DELETE", &own, 400, 3),
        ("a PATCH of a session", "PATCH", &own, 400, 3),
    ];
    for (what, method, query, status, code) in table {
        let answer = request(address, method, &format!("{PATH}?{query}"), &[], b"").await?;
        assert_eq!(answer.status, *status, "{what}: {answer:?}");
        assert!(answer.body.starts_with(&format!("{{\"code\":{code},\"message\":\"")), "{what}: {answer:?}");
        watched.works_after(what).await?;
    }
    assert!(session.is_known().await?, "none of it was the session's fault");
    watched.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forged_session_ids_open_nothing() -> anyhow::Result<()> {
    let mut watched = Watched::start(SMALL).await?;
    let address = watched.node.address;
    let (session, id) = Polling::connect(address).await?;
    let sid = &session.sid;
    let other_end = if sid.ends_with('A') { "B" } else { "A" };
    let forged = [
        id.clone(),
        watched.good.id.clone(),
        format!("{}{other_end}", &sid[..sid.len() - 1]),
        sid[..sid.len() - 1].to_owned(),
        format!("{sid}A"),
        format!("{sid}%00"),
        format!("%{:02x}{}", sid.as_bytes()[0], &sid[1..]),
        "A".repeat(20),
        "A".repeat(8_000),
        "__proto__".into(),
        "../../../../etc/passwd".into(),
        "%f0%9f%92%a9".repeat(5),
        "*".into(),
    ];
    for forged in &forged {
        let target = |transport: &str| format!("{PATH}?EIO=4&transport={transport}&sid={forged}");
        let answers = [
            request(address, "GET", &target("polling"), &[], b"").await?,
            request(address, "POST", &target("polling"), &[], b"42[\"message\",\"forged\"]").await?,
            request(address, "GET", &target("websocket"), &UPGRADE, b"").await?,
        ];
        for answer in answers {
            assert_eq!(
                (answer.status, &*answer.body),
                (400, r#"{"code":1,"message":"Session ID unknown"}"#),
                "{forged}"
            );
        }
    }
    assert!(session.is_known().await?, "the real one");
    watched.works_after("forged ids").await?;
    watched.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_http_is_closed() -> anyhow::Result<()> {
    let mut watched = Watched::start(SMALL).await?;
    let long_header = format!("GET {PATH} HTTP/1.1\r\nhost: hub\r\nx: {}\r\n\r\n", "x".repeat(40_000));
    let many_headers = format!("GET {PATH} HTTP/1.1\r\nhost: hub\r\n{}\r\n", "x: y\r\n".repeat(2_000));
    let post = |rest: &str| format!("POST {PATH}?EIO=4&transport=polling&sid=x HTTP/1.1\r\nhost: hub\r\n{rest}");
    let table: &[(&str, &[u8], &str)] = &[
        ("a TLS handshake", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "4"),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "4"),
        ("zeros", &[0; 4096], "4"),
        ("a line without an end", &[b'A'; 40_000], "4"),
        ("a header of 40,000 bytes", long_header.as_bytes(), "431"),
        ("two thousand headers", many_headers.as_bytes(), "431"),
        ("a header line without a colon", b"GET / HTTP/1.1\r\nhost hub\r\n\r\n", "4"),
        ("a length that is no number", post("content-length: many\r\n\r\n").leak().as_bytes(), "4"),
        ("a negative length", post("content-length: -1\r\n\r\n").leak().as_bytes(), "4"),
        ("two lengths", post("content-length: 1\r\ncontent-length: 2\r\n\r\nab").leak().as_bytes(), "4"),
        ("an unknown transfer encoding", post("transfer-encoding: gzip\r\n\r\nab").leak().as_bytes(), "4"),
    ];
    for (what, bytes, status) in table {
        let mut http = Http::connect(watched.node.address).await?;
        let _ = http.stream.write_all(bytes).await;
        let _ = http.stream.shutdown().await;
        let answer = String::from_utf8_lossy(&http.end().await?).into_owned();
        // what does not even begin like a request may be closed without a word
        let is_refused = answer.starts_with(&format!("HTTP/1.1 {status}"));
        assert!(is_refused || (*status == "4" && answer.is_empty()), "{what}: {answer}");
        watched.works_after(what).await?;
    }
    watched.stop().await;
    Ok(())
}

const HASTY: &str = r#"
[server]
close_timeout_ms = 300
header_read_timeout_ms = 400
keep_alive_idle_timeout_ms = 400
body_timeout_ms = 400
connect_timeout_ms = 400

[[plugin]]
name = "echo"
file = "{wasm:echo}"
capabilities = ["credentials"]
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_open_requests_are_dropped_at_their_deadlines() -> anyhow::Result<()> {
    const EACH: usize = 40;
    let mut watched = Watched::start(HASTY).await?;
    let address = watched.node.address;
    let begun = |bytes: &'static str| async move {
        let mut http = Http::connect(address).await?;
        http.stream.write_all(bytes.as_bytes()).await?;
        http.end().await
    };
    let nothing = join_all((0..EACH).map(|_| begun("")));
    let half_headers =
        join_all((0..EACH).map(|_| begun("GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nhost: h")));
    let half_lines = join_all((0..EACH).map(|_| begun("GET /socket.io/?EIO=4&tran")));
    let idle = join_all((0..EACH).map(|_| begun("GET /healthz HTTP/1.1\r\nhost: hub\r\n\r\n")));
    let half_bodies = join_all((0..EACH).map(|_| async {
        let (session, _) = Polling::connect(address).await?;
        let mut http = Http::connect(address).await?;
        let head = format!("POST {} HTTP/1.1\r\nhost: hub\r\ncontent-length: 100\r\n\r\n42[", session.target());
        http.stream.write_all(head.as_bytes()).await?;
        let answer = http.answer().await?;
        assert_eq!(answer.map(|answer| answer.status), Some(408));
        session.forgotten().await
    }));
    let (nothing, half_headers, half_lines, idle, half_bodies) =
        tokio::join!(nothing, half_headers, half_lines, idle, half_bodies);
    for end in nothing.into_iter().chain(half_headers).chain(half_lines) {
        assert!(end?.is_empty(), "there was nothing to answer");
    }
    for end in idle {
        assert!(end?.starts_with(b"HTTP/1.1 200"));
    }
    half_bodies.into_iter().collect::<anyhow::Result<Vec<()>>>()?;
    watched.works_after("half requests").await?;
    watched.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_joins_nothing_is_sent_away() -> anyhow::Result<()> {
    let mut watched = Watched::start(HASTY).await?;
    let mut silent = Client::open(watched.node.address).await?;
    let mut refused = Client::open(watched.node.address).await?;
    refused.raw("40/nowhere,").await?;
    let mut polling = Polling::open(watched.node.address).await?;
    assert_eq!(silent.farewell().await?.reason, "forced server close");
    assert_eq!(refused.farewell().await?.reason, "forced server close");
    assert_eq!(polling.packet().await?, "1");
    let mut left = Client::connect(watched.node.address, "/", Value::Null).await?;
    left.event_named("auth").await?;
    watched.works_after("silent clients").await?;
    watched.stop().await;
    Ok(())
}
