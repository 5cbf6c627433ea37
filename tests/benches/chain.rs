//! What an event costs on its way through the chain: CPU time of this thread, through none, one and five plugins
//! that pass, and through moderation with 1,000 words. Prints one line of JSON for each.

use std::{path::Path, sync::Arc};

use hub::{
    event::{Origin, Payload, SocketId, Subject, Text},
    pipeline::{Pipeline, call::Event, refusal::Code},
    plugin::{
        Engine, EngineSettings,
        settings::{Capability, Settings},
    },
};
use scenarios::chain::{self, cpu};
use serde_json::json;

const BATCHES: usize = 41;
const EVENTS: usize = 4000;
const WORDS: usize = 1000;
/// Of the size that the load generator sends.
const ARGS: &str = r#"[{"room":"lobby","text":"hello everyone in the room, how are you doing today? it is a fine day","s":17,"n":4711,"t":1763600000123}]"#;

async fn pipeline(engine: &Engine, file: &Path, plugins: usize, config: &str) -> anyhow::Result<Pipeline> {
    let bytes = std::fs::read(file)?;
    let settings = |n: usize| Settings {
        name: format!("plugin-{n}").into(),
        config: config.into(),
        capabilities: Capability::ALL.to_vec(),
        limits: Default::default(),
    };
    chain::pipeline(engine, (0..plugins).map(|n| (bytes.clone(), settings(n))).collect()).await
}

/// Made-up words of 4 to 10 letters, spread over the alphabet as English is, and the rules of a usual chat.
fn moderation() -> String {
    let mut seed = 7_u64;
    let mut next = |n: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % n
    };
    let letters = b"eeeetttaaaooiinnsshhrrddllcumwfgypbvk";
    let mut word = || -> String { (0..4 + next(7)).map(|_| char::from(letters[next(letters.len())])).collect() };
    let list: Vec<String> = (0..WORDS).map(|_| word()).collect();
    let (whole, anywhere) = list.split_at(WORDS / 10 * 9);
    json!({
        "words": [
            { "name": "whole", "words": whole, "action": "mask" },
            { "name": "anywhere", "words": anywhere, "mode": "anywhere", "action": "mask" },
        ],
        "links": { "block": ["evil.example"], "invites": true, "action": "reject" },
        "caps": { "ratio": 0.7, "min_letters": 12, "action": "hold" },
        "repeats": { "chars_max": 8, "words_max": 4, "action": "hold" },
        "mentions": { "max": 5, "action": "reject" },
    })
    .to_string()
}

/// Nanoseconds of CPU for one event: the median of the batches.
async fn measure(pipeline: &Pipeline) -> f64 {
    let subject = Arc::new(Subject::new(SocketId::random(), "/".into(), None, None));
    let name = Text::from("message");
    let mut batches = Vec::with_capacity(BATCHES);
    for _ in 0..BATCHES {
        let before = cpu();
        for _ in 0..EVENTS {
            let event = Event::message(Origin::Client, name.clone(), Payload::json(ARGS), None);
            std::hint::black_box(pipeline.run(&subject, event, None).await);
        }
        batches.push((cpu() - before).as_nanos() as f64 / EVENTS as f64);
    }
    batches.sort_by(f64::total_cmp);
    batches[BATCHES / 2]
}

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let engine = Engine::new(&EngineSettings::default()).map_err(|e| anyhow::anyhow!("{e:#}"))?;
        let file = scenarios::plugins::wasm("pass");
        let chains = [
            pipeline(&engine, &file, 0, "{}").await?,
            pipeline(&engine, &file, 1, "{}").await?,
            pipeline(&engine, &file, 5, "{}").await?,
        ];
        let mut ns = Vec::new();
        for chain in &chains {
            measure(chain).await;
            ns.push(measure(chain).await);
        }
        let (none, one, five) = (ns[0], ns[1], ns[2]);
        println!(
            "{}",
            json!({
                "bench": "chain", "unit": "ns CPU an event", "none": none.round(), "one": one.round(),
                "five": five.round(), "one_plugin": (one - none).round(),
                "each_of_five": ((five - none) / 5.0).round(), "aim_each_at_most": 1000,
            })
        );
        let words = pipeline(&engine, &scenarios::plugins::wasm("moderation"), 1, &moderation()).await?;
        let event = Event::message(Origin::Client, "message".into(), Payload::json(ARGS), None);
        let subject = Arc::new(Subject::new(SocketId::random(), "/".into(), None, None));
        let decided = words.run(&subject, event, None).await;
        let unhandled = decided.refusal.is_some_and(|refusal| refusal.code == Code::Unhandled);
        anyhow::ensure!(unhandled, "moderation lets the message pass");
        measure(&words).await;
        let judged = measure(&words).await;
        println!(
            "{}",
            json!({
                "bench": "moderation", "unit": "ns CPU an event", "words": WORDS, "all": judged.round(),
                "plugin": (judged - none).round(), "aim_at_most": 10_000,
            })
        );
        Ok(())
    })
}
