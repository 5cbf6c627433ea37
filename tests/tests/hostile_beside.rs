//! Plugins that misbehave in a message, one way after the other: each is stopped with a text that says what it was, the
//! next event on the same socket works, and the round trips of others are printed beside those of a quiet second. Alone
//! in its program, so that no other test disturbs what is measured.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use scenarios::{Client, Node, log::Log};
use serde_json::{Value, json};

const HOSTILE: &str = r#"
[namespaces]
allow = ["/", "/echo"]

[[plugin]]
name = "hostile"
file = "{wasm:hostile}"
namespaces = ["/"]
limits = { cpu_ms = 100, wall_ms = 1000, instances_max = 8 }
# it is to go on failing
breaker = { failures = 0 }

[[plugin]]
name = "echo"
file = "{wasm:echo}"
namespaces = ["/echo"]
capabilities = ["credentials"]
"#;

/// Round trips of a socket that has nothing to do with the hostile plugin, until told to stop.
async fn watch(address: std::net::SocketAddr, stop: Arc<AtomicBool>) -> anyhow::Result<Vec<u64>> {
    let mut client = Client::connect(address, "/echo", Value::Null).await?;
    let mut micros = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let start = Instant::now();
        client.ask("echo", json!("tick")).await?;
        micros.push(start.elapsed().as_micros() as u64);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(micros)
}

fn p99(mut micros: Vec<u64>) -> u64 {
    micros.sort_unstable();
    micros.get(micros.len() * 99 / 100).copied().unwrap_or(0)
}

/// The p99 of another socket's round trips during some work.
async fn beside(node: &Node, work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<u64> {
    let stop = Arc::new(AtomicBool::new(false));
    let watcher = tokio::spawn(watch(node.address, stop.clone()));
    let until = tokio::time::Instant::now() + Duration::from_secs(1);
    work.await?;
    tokio::time::sleep_until(until).await;
    stop.store(true, Ordering::Relaxed);
    Ok(p99(watcher.await??))
}

/// How often a plugin misbehaves while its neighbours are measured.
const TIMES_PER_SECOND: u32 = 20;

/// One way of misbehaving, again and again for a second: the client gets the code and no more, the log says what it
/// was, the next event works.
async fn check(node: &Node, log: &Log, way: &str, arg: Value, words: &[&str]) -> anyhow::Result<()> {
    let mut client = Client::connect(node.address, "/", Value::Null).await?;
    let mut pace = tokio::time::interval(Duration::from_secs(1) / TIMES_PER_SECOND);
    let until = Instant::now() + Duration::from_secs(1);
    let expect = json!({"error": {"code": "plugin_failed", "message": "a plugin failed on this event"}});
    while Instant::now() < until {
        pace.tick().await;
        assert_eq!(client.ask(way, arg.clone()).await?, expect, "{way}");
    }
    log.line_with(&[&["plugin failed", "plugin=hostile ", "version=0.1.0", "on_message"], words].concat()).await;
    assert_eq!(client.ask("fine", json!(null)).await?, json!("fine"), "the socket goes on after {way}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_way_of_misbehaving_is_stopped_with_its_reason() -> anyhow::Result<()> {
    let log = Log::capture();
    let node = Node::start(HOSTILE).await;
    let ways: [(&str, Value, &[&str]); 13] = [
        ("loop", json!(null), &["cpu_ms exceeded: used 10"]),
        ("memory", json!(100), &["memory_max_bytes exceeded", "allowed 16777216"]),
        ("recursion", json!(100_000_000), &["trapped: memory access out of bounds (a deep recursion overflows"]),
        ("panic", json!(null), &["trapped: panicked at", "asked to panic"]),
        ("abort", json!(null), &["trapped: wasm trap: wasm `unreachable` instruction executed"]),
        ("exit", json!(null), &["trapped: called exit(1)"]),
        ("error", json!(20), &["returned an error"]),
        ("big-args", json!(2_000_000), &["output_max_bytes exceeded: used 2000004, allowed 1048576"]),
        ("big-ack", json!(2_000_000), &["output_max_bytes exceeded"]),
        ("bad-args", json!(null), &["no JSON array"]),
        ("effects", json!(10_000), &["effects_max exceeded: used 1001, allowed 1000"]),
        ("sleep", json!(5000), &["wall_ms exceeded", "allowed 1000 ms"]),
        ("big-emit", json!(2_000_000), &["output_max_bytes exceeded"]),
    ];
    for (way, arg, words) in ways {
        let quiet = beside(&node, async { Ok(()) }).await?;
        let during = beside(&node, check(&node, &log, way, arg, words)).await?;
        let ratio = during as f64 / quiet.max(1) as f64;
        println!("{way}: p99 of another socket {during} us, in the quiet second before {quiet} us: {ratio:.1} times");
    }
    node.stop().await;
    Ok(())
}
