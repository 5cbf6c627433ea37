//! Plugins keep state: a real component on a real node, in memory and in a folder.

use std::path::PathBuf;

use scenarios::{Client, Node, plugins::workspace};
use serde_json::{Value, json};

const KEEPER: &str = r#"
[[plugin]]
name = "keeper"
file = "{wasm:keeper}"
capabilities = ["store"]
"#;

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("hubbub-scenario-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder can be made");
        Self(path)
    }

    fn config(&self) -> String {
        format!("[server]\ndata_dir = {:?}\n{KEEPER}", self.0.join("data"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn client(node: &Node) -> anyhow::Result<Client> {
    Client::connect(node.address, "/", Value::Null).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_keeps_state_as_the_test_kit_does() -> anyhow::Result<()> {
    let folder = Folder::new("steps");
    let steps = std::fs::read_to_string(workspace().join("tests/plugins/keeper/steps.json"))?;
    let steps: Vec<(String, Value, Value)> = serde_json::from_str(&steps)?;
    for config in [KEEPER.to_owned(), folder.config()] {
        let node = Node::start(&config).await;
        let mut ann = client(&node).await?;
        for (name, arg, ack) in &steps {
            assert_eq!(ann.ask(name, arg.clone()).await?, *ack, "{name} {arg}");
        }
        node.stop().await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_event_leaves_nothing_but_its_meter() -> anyhow::Result<()> {
    let node = Node::start(KEEPER).await;
    let mut ann = client(&node).await?;
    for meter in 1..=3 {
        let error = &ann.ask("refused", json!({ "key": "n" })).await?["error"];
        assert_eq!(error["reason"]["code"], "refused");
        assert_eq!(error["reason"]["data"]["meter"], meter);
    }
    assert_eq!(ann.ask("count", json!({ "key": "n", "by": 0 })).await?["count"], 0);
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_event_keeps_what_its_plugin_wants_kept() -> anyhow::Result<()> {
    let node = Node::start(KEEPER).await;
    let mut ann = client(&node).await?;
    for count in 1..=3 {
        let error = &ann.ask("kept", json!({ "key": "n" })).await?["error"];
        assert_eq!(error["reason"]["data"]["count"], count, "{error}");
    }
    assert_eq!(ann.ask("count", json!({ "key": "n", "by": 0 })).await?["count"], 3);
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn state_outlives_the_node_when_it_has_a_folder() -> anyhow::Result<()> {
    let folder = Folder::new("restart");
    for n in 1..=3 {
        let node = Node::start(&folder.config()).await;
        let mut ann = client(&node).await?;
        assert_eq!(ann.ask("count", json!({ "key": "starts", "by": 1 })).await?["count"], n);
        node.stop().await;
    }
    Ok(())
}

/// Who has an ack knows what was written; so does everybody whom it tells.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acked_is_there_for_everybody() -> anyhow::Result<()> {
    let node = Node::start(KEEPER).await;
    let (mut ann, mut bob) = (client(&node).await?, client(&node).await?);
    for n in 1..=300 {
        assert_eq!(ann.ask("say", json!({ "key": "told" })).await?["number"], n);
        let told = bob.ask("count", json!({ "key": "told", "by": 0 })).await?;
        assert_eq!(told["count"], n, "an ack overtook what it is about");
        let value = json!({ "key": "own", "value": n });
        assert_eq!(ann.ask("set", value).await?["ok"], true);
        assert_eq!(bob.ask("get", json!({ "key": "own" })).await?["value"], n, "the same, alone with its sender");
    }
    node.stop().await;
    Ok(())
}

/// Ten clients read, add one and write at once: who was overtaken runs again and none is lost, or is told `conflict`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_update_is_lost_when_many_change_one_key() -> anyhow::Result<()> {
    let node = Node::start(KEEPER).await;
    let mut tasks = Vec::new();
    for _ in 0..10 {
        let mut client = client(&node).await?;
        tasks.push(tokio::spawn(async move {
            let mut done = 0u64;
            for _ in 0..100 {
                let ack = client.ask("take", json!({ "key": "t" })).await?;
                match ack["error"]["code"].as_str() {
                    None => done += 1,
                    Some(code) => assert_eq!(code, "conflict", "{ack}"),
                }
            }
            anyhow::Ok(done)
        }));
    }
    let mut done = 0;
    for task in tasks {
        done += task.await??;
    }
    let kept = client(&node).await?.ask("get", json!({ "key": "t" })).await?;
    assert_eq!(kept["value"], done, "each ack is one update");
    assert!(done > 0);
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn namespaces_do_not_see_each_others_state() -> anyhow::Result<()> {
    let node = Node::start(&format!("[namespaces]\nallow = [\"/\", \"/b\"]\n{KEEPER}namespaces = [\"*\"]\n")).await;
    let mut ann = client(&node).await?;
    let mut bob = Client::connect(node.address, "/b", Value::Null).await?;
    ann.ask("set", json!({ "key": "a", "value": 1 })).await?;
    assert_eq!(bob.ask("get", json!({ "key": "a" })).await?["value"], Value::Null);
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_is_refused_and_the_next_event_works() -> anyhow::Result<()> {
    let node = Node::start(&format!("[store]\nvalue_max_bytes = 256\nscope_max_bytes = 4096\n{KEEPER}")).await;
    let mut ann = client(&node).await?;
    let ack = ann.ask("set", json!({ "key": "a", "value": "x".repeat(300) })).await?;
    assert_eq!(ack["error"]["code"], "limit_exceeded", "{ack}");
    assert_eq!(ann.ask("set", json!({ "key": "a", "value": "x" })).await?["ok"], true);
    let ack = ann.ask("count", json!({ "key": "a", "by": 1 })).await?;
    assert_eq!(ack["error"]["code"], "plugin_failed", "another kind of value is the plugin's mistake: {ack}");
    let mut full = None;
    for n in 0..100 {
        let ack = ann.ask("set", json!({ "key": format!("k{n}"), "value": "x".repeat(200) })).await?;
        if !ack["error"].is_null() {
            full = Some((n, ack));
            break;
        }
    }
    let (n, ack) = full.expect("a scope has a quota");
    assert_eq!(ack["error"]["code"], "limit_exceeded", "{ack}");
    assert!((15..=20).contains(&n), "4096 bytes hold {n} values of 200 bytes");
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_capability_must_be_granted() {
    let config = KEEPER.replace("capabilities = [\"store\"]\n", "");
    let error = Node::try_start(&config).await.err().expect("it is refused").to_string();
    assert!(error.contains("plugin `keeper` needs the capability `store`, which is not granted"), "{error}");
}
