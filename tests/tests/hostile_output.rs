//! Plugins that hand too much to the hub: texts, lists, and one text many times.

use scenarios::{Client, Node, log::Log};
use serde_json::{Value, json};

const FAILED: &str = r#"{"error":{"code":"plugin_failed","message":"a plugin failed on this event"}}"#;

async fn connect(node: &Node) -> anyhow::Result<Client> {
    Client::connect(node.address, "/", Value::Null).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_of_megabytes_is_cut_before_it_reaches_the_log() -> anyhow::Result<()> {
    let log = Log::capture();
    let node =
        Node::start("[[plugin]]\nname = \"long-error\"\nfile = \"{wasm:hostile}\"\nlimits = { cpu_ms = 100 }\n").await;
    let mut client = connect(&node).await?;
    let answer = client.ask("error", json!(5_000_000)).await?;
    assert_eq!(answer, serde_json::from_str::<Value>(FAILED)?);
    let line = log.line_with(&["plugin=long-error ", "on_message", "returned an error: xxx", "5000000 bytes"]).await;
    assert!(line.len() < 10_000, "{} bytes", line.len());
    node.stop().await;

    let init = r#"
[[plugin]]
name = "h"
file = "{wasm:hostile}"
config = { init = "error" }
limits = { memory_max_bytes = 67_108_864 }
"#;
    let error = Node::try_start(init).await.err().expect("it must not start").to_string();
    assert!(error.starts_with("plugin `h` 0.1.0, init: returned an error: config: xxx"), "{error:.200}");
    assert!(error.len() < 10_000, "{} bytes", error.len());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_list_of_targets_is_output_too() -> anyhow::Result<()> {
    let log = Log::capture();
    let node = Node::start(
        r#"
[[plugin]]
name = "lister"
file = "{wasm:probe}"
capabilities = ["identity", "credentials", "orders"]
limits = { output_max_bytes = 10_000, cpu_ms = 500 }
"#,
    )
    .await;
    let mut client = connect(&node).await?;
    let rooms = |n: usize| (0..n).map(|n| json!({ "room": n.to_string() })).collect::<Vec<_>>();
    for (way, few, many) in [
        ("probe:emit", json!({ "to": rooms(100), "name": "x" }), json!({ "to": rooms(400), "name": "x" })),
        ("probe:change", json!({ "to": rooms(100) }), json!({ "to": rooms(400) })),
        ("probe:raise", json!({ "name": "x", "to": rooms(100) }), json!({ "name": "x", "to": rooms(400) })),
    ] {
        assert_eq!(client.ask(way, few).await?, "done", "{way}");
        assert_eq!(client.ask(way, many).await?, serde_json::from_str::<Value>(FAILED)?, "{way}");
    }
    log.line_with(&["plugin=lister ", "on_message", "output_max_bytes exceeded: used 1", "allowed 10000"]).await;
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_is_too_long_names_its_limit() -> anyhow::Result<()> {
    let log = Log::capture();
    let node = Node::start(
        r#"
[limits]
event_name_max_bytes = 16
room_name_max_bytes = 3
user_id_max_bytes = 13
role_name_max_bytes = 5
roles_max = 2

[[plugin]]
name = "namer"
file = "{wasm:probe}"
capabilities = ["identity", "credentials", "orders"]
"#,
    )
    .await;
    let auth = |user: &str, roles: &[&str]| json!({ "user": user, "roles": roles });
    for (auth, limit) in [
        (auth("anne-and-annie", &[]), "user_id_max_bytes exceeded: used 14, allowed 13"),
        (auth("anne", &["keeper"]), "role_name_max_bytes exceeded: used 6, allowed 5"),
        (auth("anne", &["a", "b", "c"]), "roles_max exceeded: used 3, allowed 2"),
    ] {
        let refused = Client::connect(node.address, "/", auth).await.err().expect("a refusal").to_string();
        assert!(refused.contains("plugin_failed"), "{refused}");
        log.line_with(&["plugin=namer ", "on_connect", limit]).await;
    }
    let mut client = Client::connect(node.address, "/", auth("anne", &["admin", "mod"])).await?;
    assert_eq!(client.ask("probe:join", json!({ "room": "tea" })).await?, "done");
    for (way, argument, limit) in [
        ("probe:join", json!({ "room": "hall" }), "room_name_max_bytes exceeded: used 4, allowed 3"),
        ("probe:emit", json!({ "to": ["sender"], "name": "n".repeat(17) }), "event_name_max_bytes exceeded: used 17"),
        ("probe:emit", json!({ "to": [{ "user": "anne-and-annie" }], "name": "n" }), "user_id_max_bytes exceeded"),
        ("probe:order", json!({ "of": { "room": "hall" }, "act": "disconnect" }), "room_name_max_bytes exceeded"),
    ] {
        assert_eq!(client.ask(way, argument).await?, serde_json::from_str::<Value>(FAILED)?, "{limit}");
        log.line_with(&["plugin=namer ", "on_message", limit]).await;
    }
    node.stop().await;
    Ok(())
}

/// Leaves out 10,000 sockets whose ids are one and the same text of 60 kB: 600 MB out of 200 kB of memory.
const ONE_TEXT_MANY_TIMES: &str = r#"
(component
  (import "hubbub:plugin/types@0.1.0" (instance $types
    (type $t (variant (case "sender") (case "event-room") (case "room" string) (case "socket" string)
      (case "user" string) (case "everyone")))
    (export "target" (type (eq $t)))))
  (alias export $types "target" (type $target))
  (import "hubbub:plugin/actions@0.1.0" (instance $actions
    (alias outer 1 $target (type $outer))
    (export "target" (type $t (eq $outer)))
    (export "retarget" (func (param "to" (list $t)) (param "except" (list string))))))
  (core module $Memory
    (memory (export "memory") 3)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 16)))
  (core instance $memory (instantiate $Memory))
  (core func $retarget (canon lower (func $actions "retarget") (memory (core memory $memory "memory"))))
  (core module $Guest
    (import "host" "retarget" (func $retarget (param i32 i32 i32 i32)))
    (import "host" "memory" (memory 3))
    (func (export "init") (param i32 i32) (result i32) (i32.const 0))
    (func (export "handle") (result i32) (local $at i32)
      (loop $next
        (i32.store offset=65536 (local.get $at) (i32.const 0))
        (i32.store offset=65540 (local.get $at) (i32.const 60000))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (br_if $next (i32.lt_u (local.get $at) (i32.const 80000))))
      (call $retarget (i32.const 0) (i32.const 0) (i32.const 65536) (i32.const 10000))
      (i32.const 0)))
  (core instance $guest (instantiate $Guest (with "host" (instance
    (export "retarget" (func $retarget))
    (export "memory" (memory $memory "memory"))))))
  (func $init (param "config" string) (result (result (error string)))
    (canon lift (core func $guest "init") (memory (core memory $memory "memory"))
      (realloc (core func $memory "realloc"))))
  (func $handle (result (result (error string)))
    (canon lift (core func $guest "handle") (memory (core memory $memory "memory"))))
  (instance $lifecycle (export "init" (func $init)))
  (instance $on-message (export "handle" (func $handle)))
  (export "hubbub:plugin/lifecycle@0.1.0" (instance $lifecycle))
  (export "hubbub:plugin/on-message@0.1.0" (instance $on-message)))
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_text_many_times_is_not_copied_beyond_the_guests_own_memory() -> anyhow::Result<()> {
    let log = Log::capture();
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("many.wasm");
    std::fs::write(&file, wat::parse_str(ONE_TEXT_MANY_TIMES)?)?;
    let node = Node::start(&format!("[[plugin]]\nname = \"many\"\nfile = {:?}\n", file.display().to_string())).await;
    let mut client = connect(&node).await?;
    for _ in 0..3 {
        assert_eq!(client.ask("anything", json!(0)).await?, serde_json::from_str::<Value>(FAILED)?);
    }
    log.line_with(&["plugin failed", "plugin=many ", "on_message", "memory_max_bytes exceeded", "allowed 16777216"])
        .await;
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recursion_without_memory_ends_at_the_stack_and_its_limit_is_named() -> anyhow::Result<()> {
    let log = Log::capture();
    let endless = r#"
(component
  (core module $Guest
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 16))
    (func (export "init") (param i32 i32) (result i32) (i32.const 0))
    (func $deeper (export "handle") (result i32) (i32.add (i32.const 1) (call $deeper))))
  (core instance $guest (instantiate $Guest))
  (func $init (param "config" string) (result (result (error string)))
    (canon lift (core func $guest "init") (memory (core memory $guest "memory"))
      (realloc (core func $guest "realloc"))))
  (func $handle (result (result (error string)))
    (canon lift (core func $guest "handle") (memory (core memory $guest "memory"))))
  (instance $lifecycle (export "init" (func $init)))
  (instance $on-message (export "handle" (func $handle)))
  (export "hubbub:plugin/lifecycle@0.1.0" (instance $lifecycle))
  (export "hubbub:plugin/on-message@0.1.0" (instance $on-message)))
"#;
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("deep.wasm");
    std::fs::write(&file, wat::parse_str(endless)?)?;
    let toml = format!(
        "[engine]\nstack_max_bytes = 262_144\n[[plugin]]\nname = \"deep\"\nfile = {:?}\n",
        file.display().to_string()
    );
    let node = Node::start(&toml).await;
    let mut client = connect(&node).await?;
    for _ in 0..3 {
        assert_eq!(client.ask("anything", json!(0)).await?, serde_json::from_str::<Value>(FAILED)?);
    }
    log.line_with(&["plugin=deep ", "on_message", "stack_max_bytes exceeded: used all of it", "allowed 262144"]).await;
    node.stop().await;
    Ok(())
}
