//! Users by signed tokens, on a real node and with tokens that Node.js signed.

use std::{process::Command, sync::Arc};

use hub::{
    event::{Payload, SocketId, Subject},
    pipeline::{Pipeline, call::Event},
    plugin::{
        Engine, EngineSettings,
        settings::{Capability, Settings},
    },
};
use scenarios::{
    Client, Node,
    chain::{self, cpu},
    plugins::{wasm, workspace},
};
use serde_json::{Value, json};

const SECRET: &str = "a secret of the test: thirty-two bytes and more";

/// `{algorithm: {key, token}}`: a token of ann for every kind of key.
const SIGNER: &str = r#"
const crypto = require("node:crypto");
const part = (json) => Buffer.from(JSON.stringify(json)).toString("base64url");
const claims = { sub: "ann", name: "Ann", roles: ["moderator"], exp: Math.floor(Date.now() / 1000) + 3600 };
const signed = (alg) => part({ alg }) + "." + part(claims);
const hmac = crypto.createHmac("sha256", process.env.SECRET).update(signed("HS256")).digest("base64url");
const all = { HS256: { key: { secret: process.env.SECRET }, token: signed("HS256") + "." + hmac } };
for (const [alg, type, options, hash] of [
  ["ES256", "ec", { namedCurve: "P-256" }, "sha256"],
  ["EdDSA", "ed25519", {}, null],
  ["RS256", "rsa", { modulusLength: 2048 }, "sha256"],
  ["RS256 3072", "rsa", { modulusLength: 3072 }, "sha256"],
]) {
  const { publicKey, privateKey } = crypto.generateKeyPairSync(type, options);
  const text = signed(alg.split(" ")[0]);
  const signature = crypto.sign(hash, Buffer.from(text), { key: privateKey, dsaEncoding: "ieee-p1363" });
  const public_key = publicKey.export({ type: "spki", format: "pem" });
  all[alg] = { key: { public_key }, token: text + "." + signature.toString("base64url") };
}
console.log(JSON.stringify(all));
"#;

fn node_js(args: &[&str]) -> anyhow::Result<String> {
    let out = Command::new("node").args(args).env("SECRET", SECRET).current_dir(workspace()).output()?;
    anyhow::ensure!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    Ok(String::from_utf8(out.stdout)?.trim().to_owned())
}

/// What the docs say to make a token with.
fn token(user: &str, more: &[&str]) -> anyhow::Result<String> {
    node_js(&[&["plugins/auth-token/token.mjs", user], more].concat())
}

fn config(more: &str) -> String {
    format!(
        r#"
[[plugin]]
name = "auth-token"
file = "{{wasm:auth-token}}"
capabilities = ["identity", "credentials"]
[plugin.config]
keys = [{{ algorithm = "HS256", secret = "{SECRET}" }}]
{more}

[[plugin]]
name = "probe"
file = "{{wasm:probe}}"
capabilities = ["identity", "credentials", "orders"]
"#
    )
}

async fn refused(node: &Node, auth: Value) -> anyhow::Result<(String, String)> {
    let error = Client::connect(node.address, "/", auth).await.err().expect("it is refused").to_string();
    let error: Value = serde_json::from_str(&error)?;
    anyhow::ensure!(error["data"]["code"] == "rejected", "{error}");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok((text(&error["data"]["reason"]["code"]), text(&error["message"])))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_a_good_token_is_its_user_for_all_plugins_behind() -> anyhow::Result<()> {
    let node = Node::start(&config("")).await;
    let auth = json!({ "token": token("ann", &["Ann Lee", "moderator", "staff"])? });
    let mut ann = Client::connect(node.address, "/", auth).await?;
    let expect = json!({ "user": "ann", "name": "Ann Lee", "roles": ["moderator", "staff"], "guest": false });
    assert_eq!(ann.event_named("identity").await?, expect);
    let seen = ann.ask("probe:describe", Value::Null).await?;
    assert_eq!((&seen["user"], &seen["roles"]), (&json!("ann"), &json!(["moderator", "staff"])));
    // a client cannot say it beside its token
    let auth = json!({ "token": token("bob", &[])?, "user": "root", "roles": ["admin"] });
    let mut bob = Client::connect(node.address, "/", auth).await?;
    assert_eq!(bob.event_named("identity").await?, json!({ "user": "bob", "roles": [], "guest": false }));
    let seen = bob.ask("probe:describe", Value::Null).await?;
    assert_eq!((&seen["user"], &seen["roles"]), (&json!("bob"), &json!([])));
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connect_without_a_good_token_is_refused_with_the_reason() -> anyhow::Result<()> {
    let node = Node::start(&config(r#"audience = "chat""#)).await;
    let good = token("ann", &[])?;
    let unsigned = format!("{}.", good.rsplit_once('.').expect("it has dots").0);
    for (auth, code, message) in [
        (Value::Null, "token_missing", "a token is required"),
        (json!({ "token": "x" }), "token_malformed", "the token is malformed: it must have three parts"),
        (json!({ "token": unsigned }), "token_signature", "the token's signature does not hold"),
        (json!({ "token": good }), "token_audience", "the token is for another audience"),
    ] {
        let (found, text) = refused(&node, auth).await?;
        assert!(found == code && text.starts_with(message), "{found}: {text}");
    }
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_without_a_token_is_a_guest_where_there_are_guests() -> anyhow::Result<()> {
    let node = Node::start(&config(r#"guests = { allow = true, roles = ["visitor"] }"#)).await;
    let mut guest = Client::connect(node.address, "/", json!({ "name": "Eve" })).await?;
    let me = guest.event_named("identity").await?;
    assert_eq!((&me["name"], &me["roles"], &me["guest"]), (&json!("Eve"), &json!(["visitor"]), &json!(true)), "{me}");
    let seen = guest.ask("probe:describe", Value::Null).await?;
    assert_eq!((&seen["user"], &seen["roles"]), (&me["user"], &me["roles"]));
    let mut other = Client::connect(node.address, "/", Value::Null).await?;
    assert_ne!(other.event_named("identity").await?["user"], me["user"]);
    assert_eq!(refused(&node, json!({ "token": "x" })).await?.0, "token_malformed");
    node.stop().await;
    let closed = Node::start(&config("guests = { allow = false }")).await;
    assert_eq!(refused(&closed, json!({ "name": "Eve" })).await?.0, "guests_refused");
    closed.stop().await;
    Ok(())
}

/// A pipeline of this plugin alone.
async fn pipeline(algorithm: &str, mut key: Value) -> anyhow::Result<Pipeline> {
    key["algorithm"] = algorithm.into();
    let engine = Engine::new(&EngineSettings::default()).map_err(|e| anyhow::anyhow!("{e:#}"))?;
    let settings = Settings {
        name: "auth-token".into(),
        config: json!({ "keys": [key] }).to_string(),
        capabilities: vec![Capability::Identity, Capability::Credentials],
        limits: Default::default(),
    };
    chain::pipeline(&engine, vec![(std::fs::read(wasm("auth-token"))?, settings)]).await
}

#[tokio::test]
async fn every_kind_of_signature_is_verified_within_the_cpu_that_a_call_may_use() -> anyhow::Result<()> {
    const CALLS: usize = 51;
    let all: Value = serde_json::from_str(&node_js(&["-e", SIGNER])?)?;
    for (kind, made) in all.as_object().expect("an object by algorithm") {
        let algorithm = kind.split(' ').next().unwrap_or_default();
        let pipeline = pipeline(algorithm, made["key"].clone()).await?;
        let auth = json!([{ "token": made["token"] }]).to_string();
        let mut times = Vec::new();
        for _ in 0..CALLS {
            let subject = Arc::new(Subject::new(SocketId::random(), "/".into(), None, None));
            let before = cpu();
            let decision = pipeline.run(&subject, Event::connect(Payload::json(auth.as_str())), None).await;
            times.push(cpu() - before);
            assert!(decision.refusal.is_none(), "{kind}: {:?}", decision.refusal);
        }
        times.sort();
        let median = times[CALLS / 2];
        println!("{kind}: {} us CPU for a connect", median.as_micros());
        assert!(median < hub::plugin::settings::Limits::default().cpu * 3 / 4, "{kind}: {median:?}");
    }
    Ok(())
}
