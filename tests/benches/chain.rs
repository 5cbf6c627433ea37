//! What an event costs on its way through the chain: CPU time of this thread, through none, one and five plugins
//! that pass. Prints one line of JSON.

use std::{path::Path, sync::Arc, time::Duration};

use hub::{
    delivery::{Delivery, LogLimits, RetainedLimits},
    event::{Origin, Payload, SocketId, Subject, Text},
    gateway::socketio::{Codec, Encoding, PacketLimits},
    pipeline::{
        Pipeline,
        call::Event,
        chain::{Chains, Link, Matches, Policy},
        transaction::Limits,
    },
    plugin::{Engine, EngineSettings, settings::Settings},
    store::{self, LocalStore},
};
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;

const BATCHES: usize = 41;
const EVENTS: usize = 4000;
/// Of the size that the load generator sends.
const ARGS: &str = r#"[{"room":"lobby","text":"hello everyone in the room, how are you doing today? it is a fine day","s":17,"n":4711,"t":1763600000123}]"#;

fn cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

async fn pipeline(engine: &Engine, file: &Path, plugins: usize) -> anyhow::Result<Pipeline> {
    let bytes = std::fs::read(file)?;
    let mut links: Vec<(Matches, Link)> = Vec::new();
    for n in 0..plugins {
        let settings = Settings {
            name: format!("pass-{n}").into(),
            config: "{}".into(),
            capabilities: Vec::new(),
            limits: Default::default(),
        };
        let plugin = Arc::new(engine.load(bytes.clone(), settings).await?);
        links.push((Box::new(|_| true), Link { plugin, policy: [Policy::Reject; 6] }));
    }
    let limits = Limits { chain_timeout: Duration::from_secs(5), rooms_per_socket_max: 100, effects_max: 1000 };
    let packet = PacketLimits {
        event_name_max_bytes: 256,
        attachments_max: 16,
        attachments_max_bytes: 1 << 20,
        namespace_max_bytes: 256,
    };
    let rooms = Arc::new(Delivery::new(
        Codec::new(Encoding::Json, packet),
        1,
        RetainedLimits { per_room_max: 1, max_bytes: 1, replay_max_bytes: 1 },
        LogLimits { max_bytes: 1, keep: Duration::ZERO, replay_max_bytes: 1 },
    ));
    let store = Arc::new(LocalStore::in_memory(store::Limits::default()));
    Ok(Pipeline::new(Chains::new(1, links, 10), limits, rooms, store))
}

/// Nanoseconds of CPU for one event: the median of the batches.
async fn measure(pipeline: &Pipeline) -> f64 {
    let subject = Arc::new(Subject::new(SocketId::random(), "/".into(), None, None));
    let name = Text::from("message");
    let mut batches = Vec::with_capacity(BATCHES);
    for _ in 0..BATCHES {
        let before = cpu_ns();
        for _ in 0..EVENTS {
            let event = Event::message(Origin::Client, name.clone(), Payload::json(ARGS), None);
            std::hint::black_box(pipeline.run(&subject, event, None).await);
        }
        batches.push((cpu_ns() - before) as f64 / EVENTS as f64);
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
            pipeline(&engine, &file, 0).await?,
            pipeline(&engine, &file, 1).await?,
            pipeline(&engine, &file, 5).await?,
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
        Ok(())
    })
}
