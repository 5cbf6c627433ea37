//! Plugins in a chain without a node, and what they cost.

use std::{sync::Arc, time::Duration};

use hub::{
    delivery::{Delivery, LogLimits, RetainedLimits},
    gateway::socketio::{Codec, Encoding, PacketLimits},
    pipeline::{
        Pipeline, breaker,
        chain::{Chains, Current, Link, Matches, Policy},
        transaction::Limits,
    },
    plugin::{Engine, settings::Settings},
    seeing::Seeing,
    store::{self, LocalStore},
};
use rustix::time::{ClockId, clock_gettime};

/// Plugins one behind the other, for every namespace, with a store in memory.
///
/// # Errors
/// When one of them cannot be loaded.
pub async fn pipeline(engine: &Engine, plugins: Vec<(Vec<u8>, Settings)>) -> anyhow::Result<Pipeline> {
    let seeing = Seeing::default();
    let mut links: Vec<(Matches, Link)> = Vec::new();
    for (bytes, settings) in plugins {
        let plugin = Arc::new(engine.load(bytes, settings).await?);
        links.push((Box::new(|_| true), Link::new(plugin, [Policy::Reject; 6], breaker::Settings::default(), &seeing)));
    }
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
    let limits = Limits { chain_timeout: Duration::from_secs(5), rooms_per_socket_max: 100, effects_max: 1000 };
    let store = Arc::new(LocalStore::in_memory(store::Limits::default()));
    Ok(Pipeline::new(Current::new(Chains::new(1, links, 10)), limits, rooms, store, seeing))
}

/// CPU time of this thread so far.
pub fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
