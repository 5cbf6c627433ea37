//! Plugins that misbehave, as real components: what must not be loaded is refused, what floods is cut, what is forbidden
//! fails, and what takes all instances brings `overloaded`.

use std::time::{Duration, Instant};

use hub::plugin::TAKEOVER_INSTANCES;
use scenarios::{Client, Node, log::Log, plugins::wasm};
use serde_json::{Value, json};

const HOSTILE: &str = r#"
[[plugin]]
name = "hostile"
file = "{wasm:hostile}"
limits = { cpu_ms = 100 }
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_of_lines_are_cut_and_the_event_goes_on() -> anyhow::Result<()> {
    let log = Log::capture();
    let node = Node::start(&HOSTILE.replace("\"hostile\"", "\"flood\"")).await;
    let mut client = Client::connect(node.address, "/", Value::Null).await?;
    client.ask("log-flood", json!(500)).await?;
    log.line_with(&["log lines dropped", "plugin=flood ", "on_message", "log_lines_max", "used=500", "allowed=32"])
        .await;
    let flood =
        |lines: &str| lines.lines().filter(|l| l.contains("xxx plugin=flood")).map(str::len).collect::<Vec<_>>();
    let written = flood(&log.text());
    assert_eq!(written.len(), 32);
    assert!(written.iter().all(|len| *len < 1024 + 100), "lines of 2000 bytes are cut at 1024: {written:?}");
    client.ask("print-flood", json!(100)).await?;
    log.line_with(&["plugin printed too much", "plugin=flood ", "dropped_bytes="]).await;
    assert!(flood(&log.text()).len() <= 64, "what is printed counts as lines of the log");
    assert_eq!(client.ask("fine", json!(null)).await?, json!("fine"));
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sandbox_has_no_files_network_or_environment() -> anyhow::Result<()> {
    let node = Node::start(HOSTILE).await;
    let mut client = Client::connect(node.address, "/", Value::Null).await?;
    for way in ["files", "sockets", "names", "thread"] {
        let answer = client.ask(way, json!(null)).await?;
        let text = answer.to_string();
        assert!(text.contains("error") && !text.contains("\"ok\"") && !text.contains("code"), "{way}: {answer}");
    }
    assert_eq!(client.ask("env", json!(null)).await?, json!({ "vars": 0, "args": 0 }));
    assert_eq!(client.ask("stdin", json!(null)).await?, json!({ "ok": "0 bytes" }), "it is at its end");
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_all_instances_are_busy_the_client_hears_overloaded() -> anyhow::Result<()> {
    let log = Log::capture();
    let node = Node::start(
        r#"
[[plugin]]
name = "busy"
file = "{wasm:hostile}"
limits = { instances_max = 1, instance_wait_ms = 50 }
"#,
    )
    .await;
    let mut busy = Client::connect(node.address, "/", Value::Null).await?;
    let mut other = Client::connect(node.address, "/", Value::Null).await?;
    busy.emit("sleep", json!(800)).await?;
    // the first event is on its way; ask until it holds the only instance
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let answer = other.ask("fine", json!(null)).await?;
        if answer == json!({ "error": { "code": "overloaded", "message": "the server is busy, try again" } }) {
            break;
        }
        assert!(Instant::now() < deadline, "never overloaded: {answer}");
        busy.emit("sleep", json!(800)).await?;
    }
    log.line_with(&["plugin=busy ", "instance_wait_ms exceeded: all 1 instances were busy for 50 ms"]).await;
    drop(busy);
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_engine_is_full_the_client_hears_overloaded_and_no_plugin_is_blamed() -> anyhow::Result<()> {
    let log = Log::capture();
    // one instance each: with that of `last` there is no room for another
    let others = 2 + TAKEOVER_INSTANCES - 1;
    let others: String =
        (0..others).map(|n| format!("[[plugin]]\nname = \"pass-{n}\"\nfile = \"{{wasm:pass}}\"\n")).collect();
    let node = Node::start(&format!(
        r#"
[engine]
instances_max = 2

[plugin_defaults.limits]
instances_max = 2

[plugin_defaults.breaker]
failures = 1
failing_percent = 0

{others}
[[plugin]]
name = "last"
file = "{{wasm:hostile}}"
"#
    ))
    .await;
    let mut busy = Client::connect(node.address, "/", Value::Null).await?;
    let mut other = Client::connect(node.address, "/", Value::Null).await?;
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        busy.emit("sleep", json!(800)).await?;
        let answer = other.ask("fine", json!(null)).await?;
        if answer == json!({ "error": { "code": "overloaded", "message": "the server is busy, try again" } }) {
            break;
        }
        assert!(Instant::now() < deadline, "never overloaded: {answer}");
    }
    // of `last`, or of one before it that both clients met at once
    log.line_with(&["engine.instances_max exceeded: allowed 2, of all plugins together"]).await;
    // behind all sleeps the one instance is free again: had the failure been a plugin's own, it would be in quarantine
    assert_eq!(busy.ask("fine", json!(null)).await?, json!("fine"));
    node.stop().await;
    Ok(())
}

/// A copy of a real component with some bytes changed: the config that loads it.
fn changed(change: impl Fn(&mut Vec<u8>)) -> (tempfile::TempDir, String) {
    let mut bytes = std::fs::read(wasm("hello")).expect("the component was built");
    change(&mut bytes);
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("changed.wasm");
    std::fs::write(&file, bytes).expect("the file is written");
    let toml = format!("[[plugin]]\nname = \"bad\"\nfile = {:?}\n", file.display().to_string());
    (dir, toml)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_another_abi_and_a_damaged_one_are_refused() {
    let (_dir, toml) = changed(|bytes| {
        let (own, other) = (b"hubbub:plugin/event@0.1.0", b"hubbub:plugin/event@0.7.0");
        for at in 0..bytes.len() - own.len() {
            if bytes[at..].starts_with(own) {
                bytes[at..at + own.len()].copy_from_slice(other);
            }
        }
    });
    let text = refused(&toml).await;
    assert!(text.contains("plugin `bad`: built for ABI hubbub:plugin 0.7.0, this hub speaks 0.1.0"), "{text}");
    let (_dir, toml) = changed(|bytes| bytes.truncate(bytes.len() / 2));
    let text = refused(&toml).await;
    assert!(text.contains("plugin `bad`: damaged WebAssembly: "), "{text}");
    let (_dir, toml) = changed(Vec::clear);
    let text = refused(&toml).await;
    assert!(text.contains("plugin `bad`: not WebAssembly"), "{text}");
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
