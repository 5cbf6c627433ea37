//! Swaps while messages flow: code, config and order of the chain change again and again, and nobody loses, doubles or
//! reorders anything, no message is made by two revisions, a swap is hardly felt, and nothing is left behind.
//!
//! `HUBBUB_SWAPS` says how many swaps (100; the promise is made for 1000), `HUBBUB_SWAP_RATE` how many messages a second are
//! sent meanwhile (2000; half of what the machine can do where latencies are compared). Figures are printed with
//! `--nocapture`, and mean something with `--release`.

mod footprint;

use std::{
    env,
    time::{Duration, Instant},
};

use footprint::Footprint;
use scenarios::{
    Client, Operator, Process,
    operator::good,
    plugins::unseen,
    swaps::{self, Chain, Load, Percentiles},
};
use serde_json::{Value, json};
use tokio::sync::Mutex;

const SWAPS: usize = 100;
const RATE: f64 = 2000.0;
const CLIENTS: usize = 16;
/// Between the end of a swap and the next.
const PAUSE: Duration = Duration::from_millis(20);
/// A swap is felt by messages that are this near to it.
const NEAR: Duration = Duration::from_millis(100);
/// After so many swaps the node has everything that it needs for swaps.
const WARM: usize = 50;

/// They would disturb each other's figures.
static TURN: Mutex<()> = Mutex::const_new(());

fn setting<T: std::str::FromStr>(name: &str, default: T) -> T {
    env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// A node with the chain that is swapped, in a process of its own.
async fn start(dir: &std::path::Path) -> anyhow::Result<(Process, Operator, Chain)> {
    let node = Process::start(dir, &swaps::toml(dir)).await?;
    let operator = node.operator()?;
    Ok((node, operator, Chain::first()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn swaps_lose_double_and_reorder_nothing_and_leave_nothing_behind() -> anyhow::Result<()> {
    let _turn = TURN.lock().await;
    let (swaps, rate) = (setting("HUBBUB_SWAPS", SWAPS), setting("HUBBUB_SWAP_RATE", RATE));
    let dir = tempfile::tempdir()?;
    let (node, operator, mut chain) = start(dir.path()).await?;
    let load = Load::start(node.address, CLIENTS, rate).await?;
    let mut revisions = vec![chain.revision(operator.revision().await?)];
    let (begun, mut warm, mut swapping) = (Instant::now(), None, Duration::ZERO);
    for n in 0..swaps {
        let asked = Instant::now();
        let number = chain.swap(n, &operator).await?;
        swapping += asked.elapsed();
        revisions.push(chain.revision(number));
        if n + 1 == WARM.min(swaps) {
            warm = Some(Footprint::settled(&node, &operator).await?);
        }
        tokio::time::sleep(PAUSE).await;
    }
    let took = begun.elapsed();
    let end = Footprint::settled(&node, &operator).await?;
    let outcome = load.end().await?;
    let found = swaps::check(&outcome, &revisions)?;
    println!(
        "{swaps} swaps in {took:.1?}, {:.1} ms each, at {:.0} messages a second: {} messages, {} deliveries, {} revisions seen; \
         0 lost, 0 doubled, 0 reordered, none of two revisions",
        swapping.as_secs_f64() * 1000.0 / swaps as f64,
        found.sent as f64 / took.as_secs_f64(),
        found.sent,
        found.delivered,
        found.revisions
    );
    let warm = warm.expect("there was a swap");
    println!("after {WARM} swaps: {warm}\nafter {swaps} swaps: {end}");
    end.check_against(&warm, swaps)?;
    node.kill().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_swap_between_compiled_plugins_is_hardly_felt() -> anyhow::Result<()> {
    let _turn = TURN.lock().await;
    let swaps = setting("HUBBUB_SWAPS", SWAPS).div_ceil(4);
    let dir = tempfile::tempdir()?;
    let (node, operator, mut chain) = start(dir.path()).await?;
    // compiled from here on
    for _ in 0..2 {
        chain.push_other_build(0, &operator).await?;
    }
    let capacity = capacity(&node).await?;
    let rate = env::var("HUBBUB_SWAP_RATE").map_or(Ok(capacity / 2.0), |rate| rate.parse())?;
    let load = Load::start(node.address, CLIENTS, rate).await?;
    let mut revisions = vec![chain.revision(operator.revision().await?)];
    let mut windows = Vec::new();
    tokio::time::sleep(NEAR * 3).await;
    for _ in 0..swaps {
        let asked = Instant::now();
        let number = chain.push_other_build(0, &operator).await?;
        revisions.push(chain.revision(number));
        windows.push((asked - NEAR, Instant::now() + NEAR));
        // as much time without a swap as with one
        tokio::time::sleep(NEAR * 4).await;
    }
    let outcome = load.end().await?;
    swaps::check(&outcome, &revisions)?;
    let (mut near, mut far) = (Vec::new(), Vec::new());
    for (sender, seen) in outcome.seen.iter().enumerate() {
        let mut window = windows.iter().peekable();
        for got in seen.got.iter().filter(|got| got.sender == sender) {
            let sent = seen.sent[got.number as usize];
            while window.next_if(|(_, end)| *end < sent).is_some() {}
            let is_near = window.peek().is_some_and(|(begin, _)| *begin < got.at);
            if is_near { &mut near } else { &mut far }.push((got.at - sent).as_micros() as u64);
        }
    }
    let (near, far) = (Percentiles::of(near), Percentiles::of(far));
    println!(
        "{swaps} swaps between compiled plugins at {rate:.0} of {capacity:.0} messages a second; round trips within \
         {NEAR:?} of a swap: {near}; others: {far}; p99 ratio {:.2}",
        near.p99 as f64 / far.p99 as f64
    );
    node.kill().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_pushed_is_active_soon() -> anyhow::Result<()> {
    let _turn = TURN.lock().await;
    let rounds = setting("HUBBUB_SWAPS", SWAPS).div_ceil(25) as u32;
    let dir = tempfile::tempdir()?;
    let (node, operator, mut chain) = start(dir.path()).await?;
    for _ in 0..2 {
        chain.push_other_build(0, &operator).await?;
    }
    for loaded in [false, true] {
        let load = match loaded {
            true => Some(Load::start(node.address, CLIENTS, setting("HUBBUB_SWAP_RATE", RATE)).await?),
            false => None,
        };
        let (mut known, mut new) = (Vec::new(), Vec::new());
        let mut revisions = vec![chain.revision(operator.revision().await?)];
        let size = unseen("rooms", 0).len();
        for n in 0..rounds {
            let asked = Instant::now();
            let number = chain.push_other_build(0, &operator).await?;
            known.push(asked.elapsed().as_micros() as u64);
            revisions.push(chain.revision(number));
            let component = unseen("rooms", 2 * n + u32::from(loaded));
            let asked = Instant::now();
            let pushed = good(operator.push("rooms", &component, Value::Null, None).await?)?;
            new.push(asked.elapsed().as_micros() as u64);
            anyhow::ensure!(pushed["changed"] == true, "{pushed}");
            revisions.push(chain.revision(operator.revision().await?));
        }
        let (known, new) = (Percentiles::of(known), Percentiles::of(new));
        let beside = if loaded { "beside the load" } else { "alone" };
        println!("from push to active, {beside}: compiled before: {known}; {size} bytes never seen: {new}");
        if let Some(load) = load {
            swaps::check(&load.end().await?, &revisions)?;
        }
    }
    node.kill().await
}

/// Round trips a second when clients send as fast as answers come.
async fn capacity(node: &Process) -> anyhow::Result<f64> {
    const TIME: Duration = Duration::from_secs(2);
    let mut tasks = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = Client::connect(node.address, "/", Value::Null).await?;
        tasks.push(tokio::spawn(async move {
            let (begun, mut asked) = (Instant::now(), 0);
            while begun.elapsed() < TIME {
                client.ask("echo", json!({ "s": 0, "n": 0 })).await?;
                asked += 1;
            }
            anyhow::Ok(asked)
        }));
    }
    let mut asked = 0;
    for task in tasks {
        asked += task.await??;
    }
    Ok(f64::from(asked) / TIME.as_secs_f64())
}
