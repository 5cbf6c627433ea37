//! Too many: connections, sessions, namespaces, refusals.

use std::{net::SocketAddr, time::Duration};

use futures_util::future::join_all;
use scenarios::{
    Client,
    client::DEADLINE,
    memory,
    raw::{Answer, Http, PATH, Polling, SEPARATOR, UPGRADE, request},
};
use serde_json::Value;
use tokio::time::{sleep, timeout};

use crate::{SMALL, Watched};

const OPEN: &str = "EIO=4&transport=polling";

fn crowded(limits: &str) -> String {
    let server = "[server]\nclose_timeout_ms = 300\ntrusted_proxies = [\"127.0.0.2\"]\n";
    let echo = "[[plugin]]\nname = \"echo\"\nfile = \"{wasm:echo}\"\ncapabilities = [\"credentials\"]\n";
    format!("{server}\n[limits]\n{limits}\n\n{echo}")
}

/// A request that the listener let in: TCP connections have the same limit, and those just closed may still count.
async fn let_in(address: SocketAddr, query: &str, headers: &[(&str, &str)]) -> anyhow::Result<Answer> {
    let answered = async {
        loop {
            let answer = request(address, "GET", &format!("{PATH}?{query}"), headers, b"").await;
            match answer {
                Ok(answer) if answer.status != 503 || !answer.body.is_empty() => return answer,
                _ => sleep(Duration::from_millis(20)).await,
            }
        }
    };
    Ok(timeout(DEADLINE, answered).await?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_are_bounded_and_their_places_come_back() -> anyhow::Result<()> {
    const MAX: usize = 12;
    let mut watched = Watched::start(&crowded(&format!("connections_max = {MAX}"))).await?;
    let address = watched.node.address;
    // the good client has one place; polling sessions take no TCP connection while they are not asked
    let opened = join_all((1..MAX).map(|_| Polling::open(address))).await;
    let mut sessions = opened.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    for _ in 0..3 {
        let full = r#"{"code":4,"message":"Too many connections"}"#;
        let answer = let_in(address, OPEN, &[]).await?;
        assert_eq!((answer.status, &*answer.body), (503, full));
        let answer = let_in(address, "EIO=4&transport=websocket", &UPGRADE).await?;
        assert_eq!((answer.status, &*answer.body), (503, full));
        let leaving = sessions.pop().expect("there are some");
        leaving.say("1").await?;
        let open = let_in(address, OPEN, &[]).await?;
        assert_eq!(open.status, 200, "its place is free: {open:?}");
        let open: Value = serde_json::from_str(&open.body[1..])?;
        sessions.push(Polling::of(address, open["sid"].as_str().unwrap_or_default()));
    }
    let works = watched.good.ask("echo", Value::from(1)).await?;
    assert_eq!(works, 1);
    for session in &sessions {
        assert!(session.is_known().await?);
    }
    watched.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tcp_connections_over_the_limit_are_told_so_at_once() -> anyhow::Result<()> {
    const MAX: usize = 12;
    let mut watched = Watched::start(&crowded(&format!("connections_max = {MAX}"))).await?;
    let address = watched.node.address;
    let mut held = Vec::new();
    // each has sent nothing yet, and the good client has its own
    loop {
        let mut http = Http::connect(address).await?;
        http.send("GET", "/healthz", &[], b"").await?;
        match http.answer().await? {
            Some(answer) if answer.status == 200 => held.push(http),
            Some(answer) => {
                assert_eq!((answer.status, answer.header("connection")), (503, Some("close")));
                http.end().await?;
                break;
            }
            // the refusal was overtaken by the reset
            None => break,
        }
        assert!(held.len() < MAX, "no limit");
    }
    assert_eq!(held.len(), MAX - 1);
    drop(held);
    let again = async {
        while Client::connect(address, "/", Value::Null).await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(DEADLINE, again).await?;
    assert_eq!(watched.good.ask("echo", Value::from(1)).await?, 1);
    watched.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_address_has_its_own_limit_whatever_it_says_of_itself() -> anyhow::Result<()> {
    let mut watched = Watched::start(&crowded("connections_per_address_max = 6")).await?;
    let address = watched.node.address;
    let open = |forwarded: &'static str| async move {
        request(address, "GET", &format!("{PATH}?{OPEN}"), &[("x-forwarded-for", forwarded)], b"").await
    };
    for n in 0..5 {
        assert_eq!(open("203.0.113.1").await?.status, 200, "session {n}");
    }
    for forwarded in ["203.0.113.1", "203.0.113.2", "127.0.0.2", "::1", "x, 127.0.0.2"] {
        let answer = open(forwarded).await?;
        assert_eq!((answer.status, &*answer.body), (429, r#"{"code":4,"message":"Too many connections"}"#));
    }
    assert_eq!(watched.good.ask("echo", Value::from(1)).await?, 1);
    watched.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn namespaces_that_come_and_go_leave_nothing_behind() -> anyhow::Result<()> {
    let mut watched = Watched::start(&SMALL.replace("[limits]", "[limits]\nnamespaces_max = 50")).await?;
    let mut client = Client::open(watched.node.address).await?;
    let mut after_first = 0;
    for n in 0..3_000 {
        client.raw(&format!("40/new-{n},")).await?;
        client.raw(&format!("42/new-{n},7[\"echo\"]")).await?;
        while client.text().await? != format!("43/new-{n},7[]") {}
        client.raw(&format!("41/new-{n},")).await?;
        if n == 1_000 {
            after_first = memory::resident_kib();
        }
    }
    let grown = memory::resident_kib().saturating_sub(after_first);
    assert!(grown < 20_000, "two thousand namespaces took {grown} KiB");
    watched.works_after("three thousand namespaces").await?;
    watched.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_refused_connects_ends_who_does_not_fetch_the_refusals() -> anyhow::Result<()> {
    const PAYLOADS_MAX: usize = 10;
    let mut watched = Watched::start(&SMALL.replace("[limits]", "[limits]\nsend_queue_max_bytes = 50_000")).await?;
    let session = Polling::open(watched.node.address).await?;
    let flood = ["40/nowhere,"; 2_000].join(&SEPARATOR.to_string());
    let mut payloads = 0;
    while session.post(&flood).await?.status == 200 {
        payloads += 1;
        assert!(payloads < PAYLOADS_MAX, "{payloads} payloads of 2,000 refusals wait for who fetches none");
    }
    session.forgotten().await?;
    watched.works_after("thousands of refusals").await?;
    watched.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_are_opened_and_left_end_by_themselves() -> anyhow::Result<()> {
    let hasty = SMALL
        .replace("[server]", "[server]\nconnect_timeout_ms = 300")
        .replace("[limits]", "[limits]\nconnections_max = 230");
    let mut watched = Watched::start(&hasty).await?;
    for _ in 0..2 {
        let opened = join_all((0..200).map(|_| Polling::open(watched.node.address))).await;
        let sessions = opened.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
        for session in sessions {
            // a session takes no TCP connection, so that it goes by its own deadline alone
            session.forgotten().await?;
        }
    }
    watched.works_after("abandoned sessions").await?;
    watched.stop().await;
    Ok(())
}
