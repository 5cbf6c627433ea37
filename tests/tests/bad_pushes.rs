//! Pushes that must not come to anything: each kind is refused with its reason, the chain stays what it was, and messages
//! that flow meanwhile do not notice.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use hub::{
    registry::Digest,
    signature::making::{NewKey, Password, SecretKeyFile},
};
use scenarios::{
    Operator, Process,
    admin::{Answer, admin_toml},
    operator::good,
    plugins::{component, replace, stamp_build},
    swaps::{self, Chain, Load, Outcome, Percentiles},
};
use serde_json::{Value, json};

const CLIENTS: usize = 8;
const RATE: f64 = 400.0;
/// Without a push, to compare with.
const QUIET: Duration = Duration::from_secs(2);

async fn start(dir: &Path, toml: &str) -> anyhow::Result<(Process, Operator)> {
    let node = Process::start(dir, toml).await?;
    let operator = node.operator()?;
    Ok((node, operator))
}

/// What is refused, and the words of the reason.
#[track_caller]
fn refused(what: &str, reply: &Answer, status: u16, code: &str, words: &[&str]) {
    assert_eq!((reply.status, &*reply.code()), (status, code), "{what}: {}", reply.text);
    let message = reply.message();
    assert!(words.iter().all(|word| message.contains(word)), "{what}: not all of {words:?} in: {message}");
    assert!(message.len() < 10_000, "{what}: a reason of {} bytes", message.len());
}

/// A component as it is pushed.
type Bad = (&'static str, Vec<u8>, Value, &'static str, &'static [&'static str]);

fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("it is WebAssembly")
}

fn bad_pushes() -> Vec<Bad> {
    let stamp = component("stamp");
    let half = stamp[..stamp.len() / 2].to_vec();
    let abi = replace(stamp.clone(), br#""abi":"0.1.0""#, br#""abi":"9.1.0""#);
    let import = wat(r#"(component (import "evil:host/shell@1.0.0" (instance)))"#);
    let other_abi = wat(r#"(component (import "hubbub:plugin/event@0.9.0" (instance)))"#);
    let hostile = component("hostile");
    let init = |way: &str| json!({ "config": { "init": way } });
    // its text has some megabytes
    let error = json!({ "config": { "init": "error" }, "limits": { "memory_max_bytes": 67_108_864 } });
    vec![
        ("nothing", Vec::new(), Value::Null, "artifact", &["not WebAssembly"]),
        ("a text", b"#!/bin/sh".to_vec(), Value::Null, "artifact", &["not WebAssembly", "#!/bin/s"]),
        ("a core module", wat("(module)"), Value::Null, "artifact", &["a core WebAssembly module, not a component"]),
        ("a truncated one", half, Value::Null, "artifact", &["damaged WebAssembly"]),
        ("a manifest of another ABI", abi, Value::Null, "artifact", &["built for ABI", "9.1.0", "speaks 0.1.0"]),
        ("imports of another ABI", other_abi, Value::Null, "artifact", &["built for ABI", "0.9.0", "speaks 0.1.0"]),
        ("a forbidden import", import, Value::Null, "artifact", &["imports `evil:host/shell@1.0.0`"]),
        (
            "a capability that is not granted",
            component("keeper"),
            Value::Null,
            "capability",
            &["`store`", "not granted"],
        ),
        ("an init that panics", hostile.clone(), init("panic"), "init", &["init", "panicked at"]),
        ("an init that fails", hostile.clone(), error, "init", &["init", "returned an error"]),
        ("an init that loops", hostile.clone(), init("loop"), "init", &["init_ms exceeded"]),
        ("an init that sleeps", hostile.clone(), init("sleep"), "init", &["init_ms exceeded"]),
        ("an init that takes too much", hostile, init("memory"), "init", &["memory_max_bytes exceeded"]),
        ("no config", stamp.clone(), json!({ "config": {} }), "init", &["config", "`tag`"]),
        ("a wrong config", stamp.clone(), json!({ "config": { "tag": 1 } }), "init", &["config", "tag"]),
        ("an unknown setting", stamp.clone(), json!({ "polcy": "skip" }), "settings", &["polcy", "policy"]),
        ("an unknown limit", stamp.clone(), json!({ "limits": { "cpu": 1 } }), "settings", &["limits.cpu"]),
        ("a wrong limit", stamp, json!({ "limits": { "cpu_ms": -1 } }), "settings", &["limits.cpu_ms"]),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_bad_push_is_refused_with_its_reason_and_nobody_notices() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let (node, operator) = start(dir.path(), &swaps::toml(dir.path())).await?;
    let mut chain = Chain::first();
    let load = Load::start(node.address, CLIENTS, RATE).await?;
    tokio::time::sleep(QUIET).await;
    let begun = Instant::now();
    let before = operator.get("/v1/chain").await?;
    for (what, component, settings, code, words) in bad_pushes() {
        // as a new plugin, and in the place of one that works
        for name in ["new", "b"] {
            let reply = operator.push(name, &component, settings.clone(), None).await?;
            // what is in force already is no new plugin's settings
            if name == "b" && reply.status == 200 {
                panic!("{what} took the place of `b`: {}", reply.text);
            }
            refused(what, &reply, 422, code, words);
            assert_eq!(operator.get("/v1/chain").await?, before, "{what} changed the chain");
        }
    }
    let sha256 = Digest::of(&stamp_build(7));
    let target = format!("/v1/artifacts/{sha256}");
    let mut altered = stamp_build(7);
    altered[1000] ^= 1;
    let wasm = [("content-type", "application/wasm")];
    let reply = operator.admin().call("PUT", &target, &wasm, &altered).await?;
    refused("altered by one byte on its way", &reply, 400, "invalid", &["SHA-256", &sha256.to_string()]);
    let reply = operator.admin().send("POST", "/v1/plugins/b", json!({ "sha256": sha256 })).await?;
    refused("a digest that nobody has put", &reply, 404, "not_found", &[&sha256.to_string()]);
    let reply = operator.configure("b", json!({ "tga": "x" })).await?;
    refused("a config that is wrong", &reply, 422, "init", &["tga"]);
    let reply = operator.configure("nobody", json!({})).await?;
    refused("a config of nobody", &reply, 404, "not_found", &["nobody"]);
    assert_eq!(operator.get("/v1/chain").await?, before);
    let outcome = load.end().await?;
    let number = before["revision"].as_u64().unwrap_or_default();
    let found = swaps::check(&outcome, &[chain.revision(number)])?;
    assert_eq!(found.revisions, 1);
    let (quiet, beside) = round_trips(&outcome, begun);
    println!("round trips in quiet: {quiet}; beside bad pushes: {beside}");
    node.kill().await
}

/// Those before a moment, and those from it on.
fn round_trips(outcome: &Outcome, begun: Instant) -> (Percentiles, Percentiles) {
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for (sender, seen) in outcome.seen.iter().enumerate() {
        for got in seen.got.iter().filter(|got| got.sender == sender) {
            let sent = seen.sent[got.number as usize];
            if sent < begun { &mut before } else { &mut after }.push((got.at - sent).as_micros() as u64);
        }
    }
    (Percentiles::of(before), Percentiles::of(after))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_trusted_keys_only_what_one_of_them_signed_is_loaded() -> anyhow::Result<()> {
    let key = |_| NewKey::make(Password::None);
    let (trusted, foreign) = (key(())?, key(())?);
    let sign = |key: &NewKey, bytes: &[u8]| -> anyhow::Result<String> {
        let key = SecretKeyFile::parse(key.secret_file.clone())?.open(Password::None)?;
        Ok(key.sign(bytes, "stamp.wasm")?)
    };
    let dir = tempfile::tempdir()?;
    let (data, public) = (dir.path().join("data"), &trusted.public);
    let keys = format!("[server]\ndata_dir = {data:?}\n[signatures]\ntrusted_keys = [{public:?}]\n{}", admin_toml());
    let (node, operator) = start(dir.path(), &keys).await?;
    let stamp = component("stamp");
    let signature = sign(&trusted, &stamp)?;
    let settings = json!({ "config": { "tag": "a", "target": true } });
    let before = operator.get("/v1/chain").await?;
    let mut altered = stamp.clone();
    altered[stamp.len() / 2] ^= 1;
    let foreign = sign(&foreign, &stamp)?;
    let torn = &signature[..signature.len() / 2];
    for (what, component, signature) in [
        ("unsigned", &stamp, None),
        ("altered by one byte", &altered, Some(&*signature)),
        ("signed by somebody else", &stamp, Some(&*foreign)),
        ("with half a signature", &stamp, Some(torn)),
        ("with a text as its signature", &stamp, Some("trust me")),
    ] {
        let reply = operator.push("a", component, settings.clone(), signature).await?;
        refused(what, &reply, 422, "unsigned", &[]);
        assert_eq!(operator.get("/v1/chain").await?, before, "{what}");
    }
    good(operator.push("a", &stamp, settings.clone(), Some(&signature)).await?)?;
    node.kill().await?;

    // what is on the disk is looked at again: nobody is to slip another file in
    let (node, operator) = start(dir.path(), &keys).await?;
    let after = operator.get("/v1/chain").await?;
    assert_eq!(after["plugins"][0]["name"], "a", "{after}");
    node.kill().await?;
    let file = dir.path().join(format!("data/registry/artifacts/{}.minisig", Digest::of(&stamp)));
    std::fs::write(&file, foreign)?;
    let error = start(dir.path(), &keys).await.err().expect("a foreign signature is none").to_string();
    assert!(error.contains(&Digest::of(&stamp).to_string()), "{error}");
    std::fs::remove_file(&file)?;
    let error = start(dir.path(), &keys).await.err().expect("without a signature it is unsigned").to_string();
    assert!(error.contains(&Digest::of(&stamp).to_string()), "{error}");
    std::fs::write(&file, &signature)?;
    let file = file.with_extension("wasm");
    std::fs::write(&file, &altered)?;
    let error = start(dir.path(), &keys).await.err().expect("it is another file").to_string();
    assert!(error.contains("is not the file that was put"), "{error}");
    std::fs::write(&file, &stamp)?;
    start(dir.path(), &keys).await?.0.kill().await
}
