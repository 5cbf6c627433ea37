//! Requests that are refused, and what every answer says.

use super::{
    super::*,
    client::*,
    server::{Server, quiet},
};

#[tokio::test]
async fn the_handshake_of_polling_is_text_that_nobody_may_cache() {
    let server = Server::start().await;
    let answer = request(server.address, "GET", "t=abc&EIO=4&transport=polling&x=%zz&=&y", &[], b"").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=UTF-8"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("access-control-allow-origin"), None);
    let open: serde_json::Value = serde_json::from_str(answer.body.strip_prefix('0').unwrap()).unwrap();
    assert_eq!(open["upgrades"], serde_json::json!(["websocket"]));
    assert_eq!(open["pingInterval"], 25_000);
}

#[tokio::test]
async fn wrong_requests_get_the_codes_of_the_protocol() {
    let server = Server::start().await;
    let check = async |method: &str, query: &str, code: u64| {
        let answer = request(server.address, method, query, &[], b"").await;
        assert_eq!((answer.status, answer.code()), (400, code), "{method} {query}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
    };
    check("GET", "", 0).await;
    check("GET", "EIO=4", 0).await;
    check("GET", "EIO=4&transport=abc", 0).await;
    check("GET", "EIO=4&transport=constructor", 0).await;
    check("GET", "transport=polling", 5).await;
    check("GET", "EIO=3&transport=polling", 5).await;
    check("GET", "EIO=abc&transport=websocket", 5).await;
    check("GET", "EIO=4&transport=websocket", 3).await;
    check("POST", "EIO=4&transport=polling", 2).await;
    check("PUT", "EIO=4&transport=polling", 2).await;
    check("DELETE", "EIO=4&transport=polling", 2).await;
    check("OPTIONS", "EIO=4&transport=polling", 2).await;
    for forged in ["x", "__proto__", "AAAAAAAAAAAAAAAAAAAA", "%00", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
        check("GET", &format!("EIO=4&transport=polling&sid={forged}"), 1).await;
        check("POST", &format!("EIO=4&transport=polling&sid={forged}"), 1).await;
    }
    assert_eq!(server.transport.connections(), 0);
}

#[tokio::test]
async fn the_old_protocol_is_refused_as_a_websocket_too() {
    let server = Server::start().await;
    let mut http = Http::connect(server.address).await;
    http.write(&upgrade_request("EIO=3&transport=websocket", &[])).await;
    let answer = http.answer().await.unwrap();
    assert_eq!((answer.status, answer.code()), (400, 5));
}

#[tokio::test]
async fn a_request_for_a_websocket_must_be_whole() {
    let server = Server::start().await;
    let whole = String::from_utf8(upgrade_request("EIO=4&transport=websocket", &[])).unwrap();
    let broken = [
        ("upgrade: websocket\r\n", ""),
        ("connection: keep-alive, Upgrade\r\n", ""),
        ("version: 13", "version: 8"),
        ("sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ""),
        ("bm9uY2U", "bm9u"),
        ("nonce", "x"),
        ("dGhlIHNhbXBsZSBub25jZQ==", "short"),
    ];
    for (part, instead) in broken.into_iter().filter(|(part, _)| whole.contains(part)) {
        let mut http = Http::connect(server.address).await;
        http.write(whole.replace(part, instead).as_bytes()).await;
        let answer = http.answer().await.unwrap();
        assert_eq!((answer.status, answer.code()), (400, 3), "{part}");
    }
}

#[tokio::test]
async fn the_path_answers_with_and_without_its_last_slash() {
    for path in ["/engine.io", "/engine.io/", "/a/b/", "/"] {
        let server = Server::with(Settings { path: path.into(), ..quiet() }).await;
        for asked in [path.trim_end_matches('/').to_owned(), format!("{}/", path.trim_end_matches('/'))] {
            let mut http = Http::connect(server.address).await;
            let asked = if asked.is_empty() { "/" } else { &asked };
            http.write(format!("GET {asked}?EIO=4&transport=polling HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await;
            assert_eq!(http.answer().await.unwrap().status, 200, "{asked} at {path}");
        }
    }
}

#[tokio::test]
async fn another_pages_origin_is_refused_on_every_way_in() {
    let listed = "https://a.example";
    let server = Server::with(Settings { origins: Origins::List(vec![listed.into()]), ..quiet() }).await;
    let query = "EIO=4&transport=polling";
    let answer = request(server.address, "GET", query, &[("origin", listed)], b"").await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, Some(listed)));
    assert_eq!(answer.header("vary"), Some("Origin"));
    let evil = [("origin", "https://evil.example")];
    let answer = request(server.address, "GET", query, &evil, b"").await;
    assert_eq!((answer.status, answer.code()), (403, 4));
    let mut http = Http::connect(server.address).await;
    http.write(&upgrade_request("EIO=4&transport=websocket", &evil)).await;
    let answer = http.answer().await.unwrap();
    assert_eq!((answer.status, answer.code()), (403, 4));
    assert_eq!(request(server.address, "GET", query, &[], b"").await.status, 200, "who is no browser names no origin");
}

#[tokio::test]
async fn a_preflight_is_answered_and_errors_may_be_read_too() {
    let settings = Settings { origins: Origins::Any, credentials: true, ..quiet() };
    let server = Server::with(settings).await;
    let page = "https://a.example";
    let headers =
        [("origin", page), ("access-control-request-method", "POST"), ("access-control-request-headers", "x-a,x-b")];
    let answer = request(server.address, "OPTIONS", "EIO=4&transport=polling", &headers, b"").await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("access-control-allow-origin"), Some(page));
    assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
    assert_eq!(answer.header("access-control-allow-methods"), Some("GET,HEAD,PUT,PATCH,POST,DELETE"));
    assert_eq!(answer.header("access-control-allow-headers"), Some("x-a,x-b"));
    let answer = request(server.address, "GET", "EIO=4&transport=abc", &[("origin", page)], b"").await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (400, Some(page)));
}

#[tokio::test]
async fn the_handshake_is_kept_with_the_connection() {
    let settings = Settings { trusted_proxies: vec!["127.0.0.0/8".parse().unwrap()], ..quiet() };
    let server = Server::with(settings).await;
    let mut http = Http::connect(server.address).await;
    let headers = [("cookie", "a=b"), ("x-forwarded-for", "192.0.2.7")];
    http.write(&upgrade_request("EIO=4&transport=websocket&token=t%C3%B6p", &headers)).await;
    assert_eq!(http.answer().await.unwrap().status, 101);
    let mut wire = Wire { http };
    wire.send("4keep").await;
    wire.send("4done").await;
    while wire.next().await != text("4done") {}
    let kept = server.kept().await;
    let handshake = kept.handshake();
    assert_eq!(handshake.address().to_string(), "192.0.2.7");
    assert_eq!(handshake.header("cookie"), Some("a=b"));
    assert_eq!(handshake.query("token").as_deref(), Some("töp"));
    assert!(handshake.time().elapsed().unwrap() < super::SOON);
}
