//! kill -9 at random moments while operators change the chain: each restart comes up with a whole revision that was
//! committed, at least the last one that somebody was told of, and works by it.
//!
//! `HUBBUB_KILLS` says how many kills there are (40).

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use scenarios::{
    Client, Operator, Process,
    swaps::{self, Chain},
};
use serde_json::{Value, json};

const KILLS: usize = 40;
/// For how long pushes go on before a kill.
const WORK_MS: u64 = 1500;

/// What is known of a node's chain.
struct Known {
    /// The last revision that somebody was told of.
    told: (u64, Chain),
    /// What may have been committed behind it: a change was under way.
    asked: Option<Chain>,
    /// How many changes were asked for.
    changes: usize,
    /// Every revision that was ever in force.
    history: Vec<Chain>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_killed_amid_pushes_comes_up_with_a_whole_committed_revision() -> anyhow::Result<()> {
    let kills = std::env::var("HUBBUB_KILLS").map_or(Ok(KILLS), |kills| kills.parse())?;
    let dir = tempfile::tempdir()?;
    let toml = swaps::toml(dir.path());
    let mut known = Known { told: (1, Chain::first()), asked: None, changes: 0, history: vec![Chain::first()] };
    let (mut unsaid, mut starting, begun) = (0, Duration::ZERO, Instant::now());
    for round in 0..=kills {
        let asked = Instant::now();
        let node = Process::start(dir.path(), &toml).await.with_context(|| format!("round {round}"))?;
        starting += asked.elapsed();
        unsaid += usize::from(known.check(&node).await.with_context(|| format!("round {round}"))?);
        if round == kills {
            known.check_history(&node.operator()?).await?;
            node.kill().await?;
            break;
        }
        let work = Duration::from_micros(random() % (WORK_MS * 1000));
        let operator = node.operator()?;
        let killing = AtomicBool::new(false);
        let kill = async {
            tokio::time::sleep(work).await;
            killing.store(true, Ordering::Relaxed);
            node.kill().await
        };
        let (killed, pushed) = tokio::join!(kill, known.push_until_killed(operator, &killing));
        pushed.and(killed).with_context(|| format!("round {round}"))?;
    }
    println!(
        "{kills} kills in {:.0?}: {} changes asked for, {} revisions, {unsaid} of them committed and not told; a start took {:.1?}",
        begun.elapsed(),
        known.changes,
        known.told.0,
        starting / (kills as u32 + 1)
    );
    ensure!(known.told.0 as usize > kills / 2, "too little was committed to show anything");
    Ok(())
}

impl Known {
    /// Changes one thing after the other: new code, config, order, back.
    async fn push_until_killed(&mut self, operator: Operator, killing: &AtomicBool) -> anyhow::Result<()> {
        loop {
            let n = self.changes;
            self.changes += 1;
            let mut chain = self.told.1.clone();
            let done = match n % 4 {
                // a build that nobody has compiled, and in the next turn of this kind one that was
                0 if n.is_multiple_of(8) => chain.push_new_build(n / 8 % 2, 2 + n as u32, &operator).await,
                _ => chain.swap(n, &operator).await,
            };
            match done {
                Ok(number) => {
                    // the number, and what it was, is for `go back`
                    chain.revision(number);
                    if number > self.told.0 {
                        self.history.push(chain.clone());
                    }
                    self.told = (number, chain);
                }
                Err(error) if !killing.load(Ordering::Relaxed) => return Err(error),
                Err(_) => {
                    self.asked = Some(chain);
                    return Ok(());
                }
            }
        }
    }

    /// Looks at what a node that was started again has in force. True: that was committed and nobody was told.
    async fn check(&mut self, node: &Process) -> anyhow::Result<bool> {
        let operator = node.operator()?;
        let shown = operator.get("/v1/chain").await?;
        let number = shown["revision"].as_u64().with_context(|| format!("no revision: {shown}"))?;
        let (told, chain) = &self.told;
        let asked = self.asked.take();
        let is_unsaid = number != *told;
        if is_unsaid {
            ensure!(number == told + 1, "revision {number} is in force, {told} was the last that was told of");
            let mut chain = asked.with_context(|| format!("nobody has asked for revision {number}"))?;
            chain.revision(number);
            self.history.push(chain.clone());
            self.told = (number, chain);
        } else if number == 1 {
            // it begins with the file's
            let mut chain = chain.clone();
            chain.revision(number);
            self.told = (number, chain);
        }
        let chain = &self.told.1;
        ensure!(chain.is_shown(&shown), "revision {number} should stamp {:?}: {shown}", chain.stamps());
        let mut client = Client::connect(node.address, "/", Value::Null).await?;
        client.emit("echo", json!({ "s": 0, "n": 0 })).await?;
        let event = client.event().await?;
        let stamps: Vec<_> = event.iter().skip(2).filter_map(Value::as_str).collect();
        ensure!(stamps == chain.stamps(), "revision {number} stamps {stamps:?}, not {:?}", chain.stamps());
        Ok(is_unsaid)
    }

    /// All that there ever was is there, as it was.
    async fn check_history(&self, operator: &Operator) -> anyhow::Result<()> {
        for (number, chain) in (1..).zip(&self.history) {
            let shown = operator.get(&format!("/v1/chain/revisions/{number}")).await?;
            ensure!(chain.is_shown(&shown), "revision {number} is another: {shown}");
        }
        Ok(())
    }
}

/// Of the system: no run is like another.
fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}
