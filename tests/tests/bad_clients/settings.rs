//! What an operator forbids is forbidden on every way in, and what ends is told to everybody.

use scenarios::{
    Client,
    client::End,
    raw::{PATH, Polling, SEPARATOR, UPGRADE, request},
};
use serde_json::Value;
use tokio::net::TcpStream;

use crate::{SMALL, Watched};

const PAGE: &str = "https://chat.example";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_other_origins_come_in_nowhere() -> anyhow::Result<()> {
    let listed = format!("[server.cors]\norigins = [\"{PAGE}\"]\ncredentials = true\n\n[namespaces]");
    let mut watched = Watched::start(&SMALL.replace("[namespaces]", &listed)).await?;
    let address = watched.node.address;
    let (session, _) = Polling::connect(address).await?;
    let polling = format!("{PATH}?EIO=4&transport=polling");
    let websocket = format!("{PATH}?EIO=4&transport=websocket");
    for other in ["https://chat.example.evil", "http://chat.example", "https://chat.example:444", "null", "", "*"] {
        let origin = [("origin", other)];
        let upgrade = [&UPGRADE[..], &origin].concat();
        let answers = [
            request(address, "GET", &polling, &origin, b"").await?,
            request(address, "OPTIONS", &polling, &origin, b"").await?,
            request(address, "GET", &websocket, &upgrade, b"").await?,
            request(address, "GET", &session.target(), &origin, b"").await?,
            request(address, "POST", &session.target(), &origin, b"42[\"echo\"]").await?,
        ];
        for answer in answers {
            assert_eq!((answer.status, &*answer.body), (403, r#"{"code":4,"message":"Forbidden"}"#), "{other}");
            assert_eq!(answer.header("access-control-allow-origin"), None, "{other}");
        }
    }
    assert!(session.is_known().await?, "forged requests of pages end nothing");
    let origin = [("origin", PAGE)];
    let answer = request(address, "GET", &polling, &origin, b"").await?;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, Some(PAGE)));
    assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
    let answer = request(address, "GET", &websocket, &[&UPGRADE[..], &origin].concat(), b"").await?;
    assert_eq!(answer.status, 101);
    watched.works_after("other pages").await?;
    watched.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_path_is_the_configured_one_alone() -> anyhow::Result<()> {
    scenarios::panics::watch();
    let node = scenarios::Node::start("[server]\npath = \"/live/hub\"\nclose_timeout_ms = 300\n").await;
    let query = "?EIO=4&transport=polling";
    for path in ["/live/hub/", "/live/hub"] {
        assert_eq!(request(node.address, "GET", &format!("{path}{query}"), &[], b"").await?.status, 200, "{path}");
    }
    for path in ["/socket.io/", "/live/", "/live/hub/x", "/live/hub//", "/LIVE/HUB/", "/live/%68ub/", "/"] {
        let answer = request(node.address, "GET", &format!("{path}{query}"), &[], b"").await?;
        assert_eq!(answer.status, 404, "{path}");
    }
    node.stop().await;
    scenarios::panics::assert_none();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transports_that_are_off_are_off_for_everybody() -> anyhow::Result<()> {
    scenarios::panics::watch();
    let node = scenarios::Node::start("[server]\ntransports = [\"websocket\"]\n").await;
    for (method, query) in [("GET", "EIO=4&transport=polling"), ("POST", "EIO=4&transport=polling&sid=x")] {
        let answer = request(node.address, method, &format!("{PATH}?{query}"), &[], b"").await?;
        assert_eq!((answer.status, &*answer.body), (400, r#"{"code":0,"message":"Transport unknown"}"#));
    }
    Client::connect(node.address, "/", Value::Null).await?;
    node.stop().await;
    scenarios::panics::assert_none();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nodes_end_is_told_on_both_transports_and_nobody_comes_in_any_more() -> anyhow::Result<()> {
    let mut watched = Watched::start(SMALL).await?;
    let address = watched.node.address;
    let (mut waits, _) = Polling::connect(address).await?;
    assert!(waits.packet().await?.starts_with("42[\"auth\""));
    let mut get = waits.begin("GET", b"").await?;
    // a POST is answered behind the GET's begin
    waits.say("3").await?;
    let mut half = TcpStream::connect(address).await?;
    tokio::io::AsyncWriteExt::write_all(&mut half, b"GET /socket.io/?EIO").await?;
    watched.node.begin_stop();
    let answer = get.answer().await?.expect("an answer");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.body.split(SEPARATOR).next_back(), Some("1"), "{answer:?}");
    let farewell = watched.good.farewell().await?;
    assert_eq!((farewell.end, &*farewell.reason), (End::Code(1001), "server shutting down"));
    // whoever comes now finds no server, or one that says so
    if let Ok(answer) = request(address, "GET", &format!("{PATH}?EIO=4&transport=polling"), &[], b"").await {
        assert_eq!(answer.status, 503, "{answer:?}");
    }
    watched.stop().await;
    Ok(())
}
