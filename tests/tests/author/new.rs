//! A crate from nothing: it builds, tests and loads at once.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use scenarios::{Client, Node, plugins::workspace};
use serde_json::{Value, json};

use super::{hubbub, refused, said};

/// Where all new crates are built: what they depend on is compiled once.
pub fn target() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from);
    target.join("new-plugin")
}

/// Writes the crate of a plugin into a folder. Its dependencies are those that this workspace has fetched already.
pub fn new_crate(dir: &Path, name: &str, more: &[&str]) -> PathBuf {
    said(hubbub(dir, &[&["plugin", "new", name], more].concat()));
    fs::copy(workspace().join("Cargo.lock"), dir.join(name).join("Cargo.lock")).expect("it is copied");
    dir.join(name)
}

/// Runs cargo there, as an author would.
#[track_caller]
fn cargo(dir: &Path, args: &[&str]) {
    let mut cargo = Command::new(env!("CARGO"));
    let output = cargo.current_dir(dir).args(args).env("CARGO_TARGET_DIR", target()).output().expect("cargo runs");
    let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "cargo {args:?}: {said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_crate_builds_tests_and_loads_at_once() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    // it lies in another project's folder, which must not mind
    fs::write(dir.path().join("Cargo.toml"), "[workspace]\nmembers = []\n")?;
    let new = new_crate(dir.path(), "my-greeter", &[]);
    cargo(&new, &["fmt", "--check"]);
    cargo(&new, &["test", "--quiet"]);
    cargo(&new, &["clippy", "--quiet", "--all-targets", "--", "-D", "warnings"]);
    cargo(&new, &["build", "--quiet", "--target", "wasm32-wasip2", "--release"]);
    let component = target().join("wasm32-wasip2/release/my_greeter.wasm");
    let said = said(hubbub(&new, &["plugin", "check", component.to_str().expect("a path that is text")]));
    assert!(said.starts_with("plugin      my-greeter 0.1.0\n"), "{said}");
    assert!(!said.contains("debug info"), "{said}");

    let node = Node::start(&format!(
        "[[plugin]]\nname = \"my-greeter\"\nfile = \"{}\"\nconfig = {{ greeting = \"Hi\" }}\n\
         [[plugin]]\nname = \"rooms\"\nfile = \"{{wasm:rooms}}\"\n",
        component.display()
    ))
    .await;
    let mut ann = Client::connect(node.address, "/", Value::Null).await?;
    assert_eq!(ann.ask("hello", json!("Ann")).await?, json!({ "text": "Hi, Ann" }));
    ann.ask("join", json!({ "room": "tea" })).await?;
    ann.emit("message", json!({ "room": "tea", "text": "milk? :shrug:" })).await?;
    assert_eq!(ann.event_named("message").await?["text"], "milk? ¯\\_(ツ)_/¯");
    node.stop().await;
    Ok(())
}

#[test]
fn a_crate_may_use_an_sdk_in_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let sdk = workspace().join("plugin-sdk");
    let new = new_crate(dir.path(), "borrower", &["--sdk", sdk.to_str().expect("a path that is text")]);
    assert!(!new.join("hubbub-plugin").exists());
    cargo(&new, &["check", "--quiet", "--target", "wasm32-wasip2"]);
    let said = refused(hubbub(dir.path(), &["plugin", "new", "other", "--sdk", "borrower"]));
    assert!(said.starts_with("`borrower` is no SDK: expected the folder of the crate hubbub-plugin"), "{said}");
}

#[test]
fn nothing_is_overwritten_and_names_are_checked() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("mine")).unwrap();
    said(hubbub(dir.path(), &["plugin", "new", "mine"]));
    fs::write(dir.path().join("mine/src/lib.rs"), "// my work").unwrap();
    for path in ["mine", "mine/src"] {
        let said = refused(hubbub(dir.path(), &["plugin", "new", "other", "--path", path]));
        assert_eq!(said, format!("`{path}` is there already and not empty: name another folder with --path\n"));
    }
    assert_eq!(fs::read_to_string(dir.path().join("mine/src/lib.rs")).unwrap(), "// my work");
    assert!(
        refused(hubbub(dir.path(), &["plugin", "new", "mine", "--path", "mine/src/lib.rs"])).contains("as a folder")
    );
    for name in ["../up", "Mine", "my plugin", ""] {
        let said = refused(hubbub(dir.path(), &["plugin", "new", name]));
        assert!(said.contains("expected a name of 1 to 64 lower-case letters"), "{said}");
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}
