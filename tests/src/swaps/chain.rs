//! The chain that is swapped, as the node should have it.

use std::{path::Path, time::Instant};

use anyhow::{Context, ensure};
use hub::registry::Digest;
use serde_json::{Value, json};

use super::Revision;
use crate::{Operator, admin::admin_toml, operator::good, plugins::stamp_build};

/// As it begins: rooms, and two that stamp what passes them.
const CHAIN: &str = r#"
[[plugin]]
name = "rooms"
file = "{wasm:rooms}"

[[plugin]]
name = "a"
file = "{wasm:stamp}"
config = { tag = "a0", target = true, build = true }

[[plugin]]
name = "b"
file = "{wasm:stamp}"
config = { tag = "b0", target = true, build = true }
"#;

/// The `hub.toml` of a node with the chain as it begins and an admin API, which keeps everything below `dir`.
pub fn toml(dir: &Path) -> String {
    let (data, key) = (dir.join("data"), dir.join("cache.key"));
    let kept = format!("[server]\ndata_dir = {data:?}\n\n[engine]\ncache_key_file = {key:?}\n");
    format!("{kept}\n[registry]\nrevisions_max = 1000000\n\n{}\n{CHAIN}", admin_toml())
}

/// A plugin that stamps.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamping {
    name: &'static str,
    tag: String,
    build: u32,
}

impl Stamping {
    fn is_shown(&self, shown: &Value) -> bool {
        shown["name"] == self.name
            && shown["sha256"] == Digest::of(&stamp_build(self.build)).to_string()
            && shown["settings"]["config"]["tag"] == self.tag
    }
}

/// The two in their order, and what they were.
#[derive(Clone)]
pub struct Chain {
    stamping: [Stamping; 2],
    /// By revision, from the first one on.
    earlier: Vec<(u64, [Stamping; 2])>,
    tags: u32,
}

impl Chain {
    /// What [`toml`] says.
    pub fn first() -> Self {
        let stamping = ["a", "b"].map(|name| Stamping { name, tag: format!("{name}0"), build: 0 });
        Self { stamping, earlier: Vec::new(), tags: 0 }
    }

    /// The chain as it is now, which is revision `number`.
    pub fn revision(&mut self, number: u64) -> Revision {
        let active = Instant::now();
        self.earlier.push((number, self.stamping.clone()));
        Revision { number, stamps: self.stamps(), active }
    }

    /// What it appends to a message.
    pub fn stamps(&self) -> Vec<String> {
        self.stamping.iter().map(|s| format!("{}@{:05}", s.tag, s.build)).collect()
    }

    /// Whether a node shows this chain, as `/v1/chain` and `/v1/chain/revisions/N` do.
    pub fn is_shown(&self, shown: &Value) -> bool {
        let shown = shown["plugins"].as_array().map(Vec::as_slice).unwrap_or_default();
        let [rooms, stamping @ ..] = shown else { return false };
        rooms["name"] == "rooms"
            && stamping.len() == self.stamping.len()
            && stamping.iter().zip(&self.stamping).all(|(shown, own)| own.is_shown(shown))
    }

    /// The nth change: code, config, order, and back to something of which everything was different. Gives the revision.
    pub async fn swap(&mut self, n: usize, operator: &Operator) -> anyhow::Result<u64> {
        match n % 4 {
            0 => self.push_other_build(n / 4 % 2, operator).await,
            1 => self.configure(n / 4 % 2, operator).await,
            2 => self.reverse(operator).await,
            _ => self.go_back(operator).await,
        }
    }

    /// Replaces the code of the one in this place by its other build.
    pub async fn push_other_build(&mut self, at: usize, operator: &Operator) -> anyhow::Result<u64> {
        let stamping = &mut self.stamping[at];
        stamping.build ^= 1;
        changed(&good(operator.push(stamping.name, &stamp_build(stamping.build), Value::Null, None).await?)?)
    }

    /// Replaces it by a build that nobody has seen.
    pub async fn push_new_build(&mut self, at: usize, build: u32, operator: &Operator) -> anyhow::Result<u64> {
        let stamping = &mut self.stamping[at];
        stamping.build = build;
        changed(&good(operator.push(stamping.name, &stamp_build(build), Value::Null, None).await?)?)
    }

    async fn configure(&mut self, at: usize, operator: &Operator) -> anyhow::Result<u64> {
        self.tags += 1;
        let stamping = &mut self.stamping[at];
        stamping.tag = format!("{}{}", stamping.name, self.tags);
        let config = json!({ "tag": stamping.tag, "target": true, "build": true });
        changed(&good(operator.configure(stamping.name, config).await?)?)
    }

    async fn reverse(&mut self, operator: &Operator) -> anyhow::Result<u64> {
        self.stamping.reverse();
        let [first, second] = &self.stamping;
        changed(&good(operator.move_before(first.name, second.name).await?)?)
    }

    async fn go_back(&mut self, operator: &Operator) -> anyhow::Result<u64> {
        let now = &self.stamping;
        let differs = |then: &[Stamping; 2]| {
            then[0].name != now[0].name && then.iter().zip(now.iter().rev()).all(|(then, now)| then.tag != now.tag)
        };
        // a recent one: what is long ago is as good, and says no more
        let found = self.earlier.iter().rev().find(|(_, then)| differs(then));
        let (number, then) = found.or(self.earlier.first()).context("there was a revision")?.clone();
        let same = then == *now;
        self.stamping = then;
        let reply = good(operator.rollback(number).await?)?;
        ensure!(reply["changed"] == !same, "back to revision {number}: {reply}");
        self::number(&reply)
    }
}

fn changed(reply: &Value) -> anyhow::Result<u64> {
    ensure!(reply["changed"] == true, "nothing has changed: {reply}");
    number(reply)
}

fn number(reply: &Value) -> anyhow::Result<u64> {
    reply["revision"].as_u64().with_context(|| format!("no revision: {reply}"))
}
