//! Plugins that misbehave, as real components: each is stopped or refused with a text that says what it was, the next
//! event on the same socket works, and nobody else is disturbed.

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

/// One way of misbehaving: the client gets the code and no more, the log says what it was, the next event works.
async fn check(node: &Node, log: &Log, way: &str, arg: Value, words: &[&str]) -> anyhow::Result<()> {
    let mut client = Client::connect(node.address, "/", Value::Null).await?;
    let answer = client.ask(way, arg).await?;
    let expect = json!({"error": {"code": "plugin_failed", "message": "a plugin failed on this event"}});
    assert_eq!(answer, expect, "{way}");
    log.line_with(&[&["hostile", "on_message"], words].concat()).await;
    assert_eq!(client.ask("fine", json!(null)).await?, json!("fine"), "the socket goes on after {way}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_way_of_misbehaving_is_stopped_with_its_reason() -> anyhow::Result<()> {
    let log = Log::capture();
    let node = Node::start(HOSTILE).await;
    let quiet = beside(&node, async { Ok(()) }).await?;
    println!("quiet: p99 of another socket {quiet} us");
    let ways: [(&str, Value, &[&str]); 13] = [
        ("loop", json!(null), &["cpu_ms exceeded: used 101 ms, allowed 100 ms"]),
        ("memory", json!(100), &["memory_max_bytes exceeded", "allowed 16777216"]),
        ("recursion", json!(100_000_000), &["error="]),
        ("panic", json!(null), &["trapped: panicked at"]),
        ("abort", json!(null), &["trapped"]),
        ("exit", json!(null), &["exit"]),
        ("error", json!(20), &["returned an error"]),
        ("big-args", json!(2_000_000), &["output_max_bytes exceeded", "allowed 1048576"]),
        ("big-ack", json!(2_000_000), &["output_max_bytes exceeded"]),
        ("bad-args", json!(null), &["no JSON array"]),
        ("effects", json!(10_000), &["effects_max exceeded: used 1001, allowed 1000"]),
        ("sleep", json!(5000), &["wall_ms exceeded", "allowed 1000 ms"]),
        ("big-emit", json!(2_000_000), &["output_max_bytes exceeded"]),
    ];
    for (way, arg, words) in ways {
        let during = beside(&node, check(&node, &log, way, arg, words)).await?;
        let ratio = during as f64 / quiet.max(1) as f64;
        println!("{way}: p99 of another socket {during} us, {ratio:.1} times the quiet one");
    }
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_of_lines_are_cut_and_the_event_goes_on() -> anyhow::Result<()> {
    let log = Log::capture();
    let node = Node::start(HOSTILE).await;
    let mut client = Client::connect(node.address, "/", Value::Null).await?;
    client.ask("log-flood", json!(500)).await?;
    log.line_with(&["log lines dropped", "hostile", "log_lines_max", "allowed=32"]).await;
    client.ask("print-flood", json!(100)).await?;
    log.line_with(&["plugin printed too much", "hostile"]).await;
    assert!(log.text().lines().all(|l| l.len() < 40_000), "lines are cut");
    assert_eq!(client.ask("fine", json!(null)).await?, json!("fine"));
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sandbox_has_no_files_network_or_environment() -> anyhow::Result<()> {
    let node = Node::start(HOSTILE).await;
    let mut client = Client::connect(node.address, "/", Value::Null).await?;
    for way in ["files", "sockets", "names"] {
        let answer = client.ask(way, json!(null)).await?;
        let text = answer.to_string();
        assert!(text.contains("error") && !text.contains("\"ok\""), "{way}: {answer}");
    }
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_policy_to_skip_the_event_goes_on_as_received() -> anyhow::Result<()> {
    let node = Node::start(
        r#"
[[plugin]]
name = "hostile"
file = "{wasm:hostile}"
policy = "skip"

[[plugin]]
name = "stamp"
file = "{wasm:stamp}"
config = { tag = "behind" }
"#,
    )
    .await;
    let mut client = Client::connect(node.address, "/", Value::Null).await?;
    for way in ["panic", "loop", "effects"] {
        let answer = client.ask(way, json!(null)).await?;
        assert_ne!(answer["error"]["code"], "plugin_failed", "{way}: {answer}");
    }
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_all_instances_are_busy_the_client_hears_overloaded() -> anyhow::Result<()> {
    let node = Node::start(
        r#"
[[plugin]]
name = "hostile"
file = "{wasm:hostile}"
limits = { instances_max = 1, instance_wait_ms = 50, wall_ms = 2000 }
"#,
    )
    .await;
    let mut busy = Client::connect(node.address, "/", Value::Null).await?;
    let mut other = Client::connect(node.address, "/", Value::Null).await?;
    busy.emit("sleep", json!(800)).await?;
    // the first event is on its way; ask until it holds the only instance
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let answer = other.ask("fine", json!(null)).await?;
        if answer["error"]["code"] == "overloaded" {
            break;
        }
        assert!(Instant::now() < deadline, "never overloaded: {answer}");
        busy.emit("sleep", json!(800)).await?;
    }
    drop(busy);
    node.stop().await;
    Ok(())
}

/// A plugin that is not to be loaded: the node does not start, and says why.
async fn refused(toml: &str) -> String {
    match Node::try_start(toml).await {
        Ok(_) => panic!("the node starts with a plugin that it must refuse"),
        Err(error) => format!("{error:#}"),
    }
}

fn written(name: &str, text: &str) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join(name);
    std::fs::write(&file, wat::parse_str(text).unwrap_or_else(|_| text.as_bytes().to_vec()))
        .expect("the file is written");
    let toml = format!("[[plugin]]\nname = \"bad\"\nfile = {:?}\n", file.display().to_string());
    (dir, toml)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_must_not_be_loaded_is_refused_with_what_would_be_right() {
    let (_dir, toml) = written("text.wasm", "this is not WebAssembly");
    assert!(refused(&toml).await.contains("plugin `bad`: not WebAssembly: the file starts with `this is `"));
    let (_dir, toml) = written("module.wasm", "(module)");
    assert!(refused(&toml).await.contains("plugin `bad`: a core WebAssembly module, not a component"));
    let (_dir, toml) = written("import.wasm", r#"(component (import "evil:host/shell@1.0.0" (instance)))"#);
    assert!(refused(&toml).await.contains("plugin `bad`: imports `evil:host/shell@1.0.0`"));
    let (_dir, toml) = written("abi.wasm", r#"(component (import "hubbub:plugin/event@0.9.0" (instance)))"#);
    assert!(refused(&toml).await.contains("plugin `bad`: built for ABI hubbub:plugin 0.9.0, this hub speaks 0.1.0"));
    let text = refused("[[plugin]]\nname = \"echo\"\nfile = \"{wasm:echo}\"\n").await;
    assert!(text.contains("plugin `echo` needs the capability `credentials`, which is not granted"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_init_that_fails_panics_or_loops_keeps_the_node_from_starting() {
    for (way, words) in
        [("panic", "panicked at"), ("loop", "init_ms exceeded"), ("memory", "memory_max_bytes exceeded")]
    {
        let toml =
            format!("[[plugin]]\nname = \"hostile\"\nfile = \"{{wasm:hostile}}\"\nconfig = {{ init = \"{way}\" }}\n");
        let text = refused(&toml).await;
        assert!(text.contains("plugin `hostile` 0.1.0, init") && text.contains(words), "{way}: {text}");
    }
    let toml = "[[plugin]]\nname = \"hello\"\nfile = \"{wasm:hello}\"\nconfig = { greting = \"x\" }\n";
    let text = refused(toml).await;
    assert!(text.contains("greting"), "{text}");
}
