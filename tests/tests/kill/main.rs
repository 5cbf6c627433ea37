//! kill -9 at random moments: the store opens again, loses no more than the documented window, and breaks no invariant.
//!
//! Each station is a node with a data folder of its own, killed again and again while clients write, join, leave and
//! create rooms. `HUBBUB_KILLS` says how many kills there are in all (40). Most of a round is the compiler of the plugins.

mod account;
mod load;
mod probe;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use account::Account;
use load::Load;
use probe::Probe;
use scenarios::Process;

const KILLS: usize = 40;
const STATIONS: usize = 2;

/// `[store] sync_interval_ms`.
const SYNC_INTERVAL: Duration = Duration::from_millis(100);
/// What a writer that shares its processor with the rest of this test may come late by.
const MARGIN: Duration = Duration::from_millis(500);

/// For how long clients are at work before a kill.
const LOAD_MS: std::ops::Range<u64> = 100..1200;

const CHAIN: &str = r#"
[[plugin]]
name = "identity"
file = "{wasm:identity}"
capabilities = ["identity", "credentials"]

[[plugin]]
name = "chat-rooms"
file = "{wasm:chat-rooms}"
capabilities = ["store"]
# a password is hashed slowly, on purpose
limits = { cpu_ms = 100 }
config = { events_max = 1_000_000, password_tries_max = 1000, history_max = 1_000_000 }

[[plugin]]
name = "chat-archive"
file = "{wasm:chat-rooms}"
capabilities = ["store"]
# a whole page of history, with the host's own work in a build for debugging
limits = { cpu_ms = 100 }
config = { part = "archive", history_max = 1_000_000 }
"#;

/// What all kills of a station came to.
#[derive(Default)]
struct Outcome {
    kills: usize,
    acked: usize,
    lost: usize,
    /// The age of the oldest acked message that was lost, at the kill.
    lost_age: Duration,
    /// The longest that was allowed, on this disk.
    window: Duration,
    starting: Duration,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_node_loses_no_more_than_its_window_and_breaks_no_invariant() -> anyhow::Result<()> {
    let kills = match std::env::var("HUBBUB_KILLS") {
        Ok(kills) => kills.parse()?,
        Err(_) => KILLS,
    };
    let begun = Instant::now();
    let stations: Vec<_> = (0..STATIONS).map(|n| tokio::spawn(station(n as u64, kills.div_ceil(STATIONS)))).collect();
    let mut all = Outcome::default();
    for station in stations {
        let Outcome { kills, acked, lost, lost_age, window, starting } = station.await??;
        all.kills += kills;
        all.acked += acked;
        all.lost += lost;
        all.lost_age = all.lost_age.max(lost_age);
        all.window = all.window.max(window);
        all.starting += starting;
    }
    println!(
        "{} kills in {:.0?}: {} messages acked, {} of them lost, none older than {:.0?} \
         (allowed with this disk: {:.0?}); a start takes {:.0?}",
        all.kills,
        begun.elapsed(),
        all.acked,
        all.lost,
        all.lost_age,
        all.window,
        all.starting / all.kills as u32,
    );
    Ok(())
}

async fn station(number: u64, kills: usize) -> anyhow::Result<Outcome> {
    let dir = tempfile::tempdir()?;
    let sync_ms = SYNC_INTERVAL.as_millis();
    let data = dir.path().join("data");
    let toml = format!("[server]\ndata_dir = {data:?}\n[store]\nsync_interval_ms = {sync_ms}\n{CHAIN}");
    let (mut account, mut outcome) = (Account::default(), Outcome::default());
    let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ (number + 1));
    for round in 0..kills {
        let node = start(dir.path(), &toml, &mut outcome).await?;
        account.check(node.address, round).await?;
        let probe = Probe::start(dir.path())?;
        let load = Load::start(node.address, round).await?;
        tokio::time::sleep(Duration::from_millis(random.within(LOAD_MS))).await;
        node.kill().await?;
        let killed = Instant::now();
        // one write of the file may just have begun, and the next one waits for it; each is a few of the probe's
        let window = SYNC_INTERVAL + MARGIN + 3 * probe.end()?;
        account.killed(load.end().await?, killed, window);
        outcome.window = outcome.window.max(window);
        outcome.kills += 1;
    }
    let node = start(dir.path(), &toml, &mut outcome).await?;
    account.check(node.address, kills).await?;
    account.check_all(node.address).await?;
    node.kill().await?;
    Ok(Outcome { acked: account.acked, lost: account.lost, lost_age: account.lost_age, ..outcome })
}

async fn start(dir: &Path, toml: &str, outcome: &mut Outcome) -> anyhow::Result<Process> {
    let begun = Instant::now();
    let node = Process::start(dir, toml).await?;
    outcome.starting += begun.elapsed();
    Ok(node)
}

/// Numbers without a pattern that matters, the same in each run.
struct Random(u64);

impl Random {
    fn within(&mut self, range: std::ops::Range<u64>) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        range.start + self.0 % (range.end - range.start)
    }
}
