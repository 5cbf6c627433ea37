//! The plugins as real components: what each file says of itself, and the shipped ones as one chain.

use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use hub::{
    event::Kind,
    plugin::{
        Engine, EngineSettings, TAKEOVER_INSTANCES,
        artifact::Artifact,
        cache::{CacheKey, CodeCache},
        settings::{Capability, Limits, Settings},
    },
};
use scenarios::{Client, Node, plugins::wasm};
use serde_json::{Value, json};

/// What a component must be: its package, hooks, capabilities, and patterns of messages.
type Expected = (&'static str, &'static [Kind], &'static [Capability], &'static [&'static str]);

const CHAT_EVENTS: &[&str] = &[
    "join",
    "leave",
    "create",
    "invite",
    "uninvite",
    "rename",
    "presence",
    "topic",
    "typing",
    "message",
    "direct",
    "edit",
    "delete",
    "react",
    "read",
    "history",
    "rooms",
    "mod:approve",
];

#[test]
fn every_component_is_what_its_source_says() {
    use Capability::{Credentials, Identity, Orders, Store};
    use Kind::{Answer, Connect, Join, Leave, Message};
    let expected: [Expected; 14] = [
        ("hello", &[Message], &[], &["hello"]),
        (
            "echo",
            &[Connect, Answer, Message],
            &[Credentials],
            &["message", "message-with-ack", "echo", "emit-with-ack"],
        ),
        ("rooms", &[Message, Join, Leave], &[], &["join", "message", "leave"]),
        ("word-filter", &[Message], &[], &["*"]),
        ("router", &[Message], &[], &["*"]),
        ("pass", &[Message], &[], &["*"]),
        ("stamp", &[Message], &[], &["*"]),
        ("identity", &[Connect], &[Identity, Credentials], &[]),
        ("auth-token", &[Connect], &[Identity, Credentials], &[]),
        ("hostile", &Kind::ALL, &[], &["*"]),
        ("probe", &Kind::ALL, &[Identity, Credentials, Orders], &["probe:*"]),
        ("keeper", &[Message], &[Store], &["*"]),
        ("moderation", &[Connect, Message, Join], &[Orders, Store], &["*"]),
        ("chat-rooms", &[Message, Join, Leave], &[Store], CHAT_EVENTS),
    ];
    for (package, hooks, needs, messages) in expected {
        let bytes = std::fs::read(wasm(package)).expect("the component was built");
        let artifact = Artifact::parse(bytes).unwrap_or_else(|e| panic!("{package}: {e}"));
        let manifest = &artifact.manifest;
        assert_eq!((&*manifest.name, &*manifest.version), (package, env!("CARGO_PKG_VERSION")));
        assert_eq!((&*manifest.abi, manifest.sdk.is_some()), ("0.1.0", true), "{package}");
        assert_eq!(manifest.subscriptions.messages, messages, "{package}");
        assert_eq!(manifest.subscriptions.namespaces, ["*"], "{package}");
        assert_eq!(artifact.hooks, hooks, "{package}");
        let (missing, unwanted): (Vec<_>, Vec<_>) = (
            needs.iter().filter(|n| !artifact.needs.contains(n)).collect(),
            artifact.needs.iter().filter(|n| !needs.contains(n)).collect(),
        );
        assert!(missing.is_empty() && unwanted.is_empty(), "{package}: lacks {missing:?}, has {unwanted:?} beside");
        let stray = |import: &&String| !import.starts_with("hubbub:plugin/") && !import.starts_with("wasi:");
        assert_eq!(artifact.imports.iter().find(stray), None, "{package}");
    }
}

#[tokio::test]
async fn a_component_that_stands_twice_is_compiled_once() -> anyhow::Result<()> {
    let engine = Engine::new(&EngineSettings::default()).map_err(|error| anyhow::anyhow!("{error:#}"))?;
    let artifact = |package| anyhow::Ok(Arc::new(Artifact::parse(std::fs::read(wasm(package))?)?));
    let first = engine.compile(artifact("pass")?, "first").await?;
    assert!(Arc::ptr_eq(&first, &engine.compile(artifact("pass")?, "second").await?));
    assert!(!Arc::ptr_eq(&first, &engine.compile(artifact("stamp")?, "another").await?));
    let kept = Arc::downgrade(&first);
    drop(first);
    assert!(kept.upgrade().is_none(), "machine code goes with the last plugin that needs it");
    Ok(())
}

#[tokio::test]
async fn a_plugin_that_finds_the_engine_full_is_told_which_limit_that_is() -> anyhow::Result<()> {
    let engine = EngineSettings { instances_max: 2, ..EngineSettings::default() };
    let engine = Engine::new(&engine).map_err(|error| anyhow::anyhow!("{error:#}"))?;
    let settings = |name: &str| Settings {
        name: name.into(),
        config: "{}".into(),
        capabilities: Vec::new(),
        limits: Limits { instances_max: 64, ..Limits::default() },
    };
    let first = engine.load(fs::read(wasm("pass"))?, settings("first")).await?;
    let full = "init: engine.instances_max exceeded: allowed 2, of all plugins together";
    let text = first.warm(64).await.expect_err("there is no room for so many").to_string();
    assert!(text.starts_with("plugin `first` ") && text.contains(full), "{text}");
    assert_eq!(first.live_instances(), 2 + TAKEOVER_INSTANCES as usize);
    let second = engine.start(first.code().clone(), settings("second")).await;
    let text = second.err().expect("there is no room for any").to_string();
    assert!(text.starts_with("plugin `second` ") && text.contains(full), "{text}");
    let code = first.code().clone();
    drop(first);
    engine.start(code, settings("second")).await?;
    Ok(())
}

/// An engine of its own compiles a component, or takes its code from the cache in `dir/code` that `dir/key` seals.
async fn compile_cached(dir: &Path, key: &str) -> anyhow::Result<()> {
    let cache = CodeCache::open(dir.join("code"), CacheKey::open(&dir.join(key))?, 1 << 30)?;
    let engine = Engine::new(&EngineSettings::default()).map_err(|error| anyhow::anyhow!("{error:#}"))?;
    let artifact = Artifact::parse(fs::read(wasm("pass"))?)?;
    engine.with_cache(cache).compile(Arc::new(artifact), "pass").await?;
    Ok(())
}

/// The one file of the cache.
fn cached(dir: &Path) -> anyhow::Result<PathBuf> {
    let files: Vec<_> = fs::read_dir(dir.join("code"))?.collect::<Result<_, _>>()?;
    anyhow::ensure!(files.len() == 1, "one component was compiled: {files:?}");
    Ok(files[0].path())
}

#[tokio::test]
async fn cached_code_is_used_only_as_it_was_sealed_and_with_the_same_key() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    // a key that is new empties the folder: this is about one that is not
    CacheKey::open(&dir.path().join("other"))?;
    compile_cached(dir.path(), "own").await?;
    let file = cached(dir.path())?;
    // what is compiled again is another file in its place; while this one is held, none has its number
    let mut held = File::options().read(true).write(true).open(&file)?;
    let is_held = |held: &File| anyhow::Ok(held.metadata()?.ino() == fs::metadata(&file)?.ino());
    compile_cached(dir.path(), "own").await?;
    assert!(is_held(&held)?, "it was used");
    let middle = held.metadata()?.len() / 2;
    let mut byte = [0];
    held.seek(SeekFrom::Start(middle))?;
    held.read_exact(&mut byte)?;
    held.seek(SeekFrom::Start(middle))?;
    held.write_all(&[byte[0] ^ 1])?;
    compile_cached(dir.path(), "own").await?;
    assert!(!is_held(&held)?, "one byte was altered");
    let held = File::open(&file)?;
    compile_cached(dir.path(), "other").await?;
    assert!(!is_held(&held)?, "another key has sealed it");
    Ok(())
}

const CHAT: &str = r##"
[[plugin]]
name = "identity"
file = "{wasm:identity}"
capabilities = ["identity", "credentials"]

[[plugin]]
name = "rooms"
file = "{wasm:rooms}"

[[plugin]]
name = "word-filter"
file = "{wasm:word-filter}"
config = { words = ["darn"] }

[[plugin]]
name = "router"
file = "{wasm:router}"
[[plugin.config.rules]]
when = { event = "message", field = "text", starts_with = "#urgent" }
to = ["keep", { room = "urgent" }]
[[plugin.config.rules]]
when = { event = "message", field = "text", starts_with = "#away" }
to = [{ room = "urgent" }]
[[plugin.config.rules]]
when = { event = "whisper", field = "text", exists = true }
to = [{ user_field = "to" }, "sender"]
"##;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rooms_word_filter_and_router_are_one_chain() -> anyhow::Result<()> {
    let node = Node::start(CHAT).await;
    let refused = Client::connect(node.address, "/", Value::Null).await.err().expect("no user, no socket").to_string();
    assert!(refused.contains("user_required"), "{refused}");
    let mut clients = Vec::new();
    for (name, rooms) in [("ann", &["tea"][..]), ("bob", &["tea", "urgent"]), ("eve", &["urgent"]), ("eve", &[])] {
        let mut client = Client::connect(node.address, "/", json!({ "user": name })).await?;
        for room in rooms {
            assert_eq!(client.ask("join", json!({ "room": room })).await?["ok"], true);
        }
        clients.push(client);
    }
    let sent = [
        ("message", json!({ "room": "tea", "text": "Darn, no milk" }), "****, no milk", [1, 1, 0, 0]),
        ("message", json!({ "room": "tea", "text": "#urgent darn milk" }), "#urgent **** milk", [1, 1, 1, 0]),
        ("message", json!({ "room": "tea", "text": "#away milk" }), "#away milk", [0, 1, 1, 0]),
        ("whisper", json!({ "to": "eve", "text": "darn" }), "****", [1, 0, 1, 1]),
    ];
    for (name, body, text, _) in &sent {
        let ack = clients[0].ask(name, body.clone()).await?;
        assert_eq!(ack["ok"], true, "{name} {text}: {ack}");
    }
    let (outside, untouched) = (json!({ "room": "urgent", "text": "darn" }), json!({ "text": "darn" }));
    assert_eq!(clients[0].ask("message", outside).await?["error"]["reason"]["code"], "not_a_member");
    assert_eq!(clients[0].ask("nothing", untouched).await?["error"]["code"], "unhandled");
    // the last thing that everybody gets
    clients[0].ask("whisper", json!({ "to": "bob", "text": "end" })).await?;
    clients[0].ask("whisper", json!({ "to": "eve", "text": "end" })).await?;
    for (n, client) in clients.iter_mut().enumerate() {
        let mut expect: Vec<_> =
            sent.iter().filter(|s| s.3[n] == 1).map(|s| (s.0.to_owned(), s.2.to_owned())).collect();
        expect.push(("whisper".into(), "end".into()));
        let mut events = Vec::new();
        while events.len() < expect.len() {
            let event = client.event().await?;
            if event[0] == "message" || event[0] == "whisper" {
                let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
                events.push((text(&event[0]), text(&event[1]["text"])));
            }
        }
        assert_eq!(events, expect, "client {n}");
    }
    node.stop().await;
    Ok(())
}
