//! A node that starts: `hub.toml` makes the first chain; from then on the registry has it, and `--reset-chain` takes the file.

use std::{fs, path::Path};

use hub::config::Overrides;
use scenarios::{Client, Node, Operator, admin::admin_toml, log::Log, plugins::wasm};
use serde_json::{Value, json};

/// A chain of plugins that stamp what passes them: names, files and tags.
fn toml(dir: &Path, plugins: &[(&str, &Path, &str)]) -> String {
    let plugin = |(name, file, tag): &(&str, &Path, &str)| {
        format!("[[plugin]]\nname = \"{name}\"\nfile = {file:?}\nconfig = {{ tag = \"{tag}\", target = true }}\n")
    };
    let plugins: String = plugins.iter().map(plugin).collect();
    format!("[server]\ndata_dir = {:?}\n{}{plugins}", dir.join("data"), admin_toml())
}

async fn tags(node: &Node) -> anyhow::Result<Vec<Value>> {
    let mut client = Client::connect(node.address, "/", Value::Null).await?;
    client.emit("x", json!("m")).await?;
    loop {
        let event = client.event().await?;
        if event[0] == "x" {
            return Ok(event[1..].to_vec());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_registry_has_the_chain_until_the_file_is_asked_for() -> anyhow::Result<()> {
    let log = Log::capture();
    let dir = tempfile::tempdir()?;
    let stamp = wasm("stamp");
    let node = Node::start(&toml(dir.path(), &[("first", &stamp, "old")])).await;
    assert_eq!(tags(&node).await?, [json!("m"), json!("old")]);
    node.stop().await;

    // what the file says by now is told, and nothing that is wrong with it matters
    let broken = dir.path().join("broken.wasm");
    fs::write(&broken, "no plugin")?;
    let changed = toml(dir.path(), &[("first", &stamp, "new"), ("second", &broken, "second")]);
    let node = Node::start(&changed).await;
    log.line_with(&["WARN", "revision=1", "`first` has other settings, `second` is not in the chain", "--reset-chain"])
        .await;
    assert_eq!(tags(&node).await?, [json!("m"), json!("old")]);
    node.stop().await;

    let reset = || Overrides { reset_chain: true, ..Overrides::default() };
    let refused = Node::try_start_under(&changed, reset()).await.err().expect("a refusal").to_string();
    assert_eq!(refused, "plugin `second`");
    fs::copy(&stamp, &broken)?;
    let node = Node::try_start_under(&changed, reset()).await?;
    assert_eq!(tags(&node).await?, [json!("m"), json!("new"), json!("second")]);
    let operator = Operator::of(node.admin.expect("it has an admin API"));
    let history = operator.get("/v1/chain/history").await?;
    let line = |at: usize| ["revision", "who", "why"].map(|key| history["items"][at][key].clone());
    assert_eq!(line(0), [json!(2), json!("hub.toml"), json!("--reset-chain")]);
    assert_eq!(line(1), [json!(1), json!("hub.toml"), json!("the first chain")]);
    node.stop().await;
    Ok(())
}
