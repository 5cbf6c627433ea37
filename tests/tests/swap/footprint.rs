//! What a node takes of its machine, and what of it belongs to its chain.

use std::{
    fmt,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use scenarios::{Operator, Process, memory};

/// How long old revisions may take until nothing of them is left.
const SETTLING: Duration = Duration::from_secs(20);
/// For how long what is resident is looked at.
const SAMPLING: Duration = Duration::from_secs(3);
/// How much more a node may have resident after so many swaps, of what it had after some: what is promised, and what an
/// allocator's moods come to in a short run.
const GROWTH_MAX: [(usize, f64); 2] = [(1000, 1.05), (0, 1.10)];

/// At one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footprint {
    pub resident_kib: u64,
    /// Machine code that is mapped and belongs to no file: that of plugins.
    pub code_kib: u64,
    /// Mappings that hold it.
    pub code_mappings: usize,
    /// Of the plugins in force.
    pub plugins: usize,
    pub live_instances: u64,
    /// Of all plugins that there ever were.
    pub all_instances: u64,
}

impl Footprint {
    /// Once the code that is mapped is that of the chain alone, or does not become less any more. What is resident goes up
    /// and down with every swap: it is the least of some seconds.
    pub async fn settled(node: &Process, operator: &Operator) -> anyhow::Result<Self> {
        let begun = Instant::now();
        let mut least = u64::MAX;
        loop {
            let now = Self::now(node, operator).await?;
            least = least.min(now.resident_kib);
            let is_settled = now.leaves_nothing_behind() && begun.elapsed() > SAMPLING;
            if is_settled || begun.elapsed() > SETTLING {
                return Ok(Self { resident_kib: least, ..now });
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn now(node: &Process, operator: &Operator) -> anyhow::Result<Self> {
        let listed = operator.get("/v1/plugins").await?;
        let plugins = listed["items"].as_array().with_context(|| format!("no plugins: {listed}"))?;
        let code = memory::code(node.pid()?)?;
        Ok(Self {
            resident_kib: memory::resident_kib_of(node.pid()?)?,
            code_kib: code.iter().sum::<u64>() / 1024,
            code_mappings: code.len(),
            plugins: plugins.len(),
            all_instances: operator.figure("hubbub_engine_instances").await? as u64,
            live_instances: plugins.iter().filter_map(|plugin| plugin["live_instances"].as_u64()).sum(),
        })
    }

    fn leaves_nothing_behind(&self) -> bool {
        self.code_mappings <= self.plugins && self.all_instances == self.live_instances
    }

    /// Nothing has grown with the number of swaps.
    pub fn check_against(&self, warm: &Self, swaps: usize) -> anyhow::Result<()> {
        ensure!(self.leaves_nothing_behind(), "code or instances of old revisions are left: {self}");
        let growth = self.resident_kib as f64 / warm.resident_kib as f64;
        let allowed = GROWTH_MAX.into_iter().find(|(from, _)| swaps >= *from).map_or(1.0, |(_, allowed)| allowed);
        ensure!(growth <= allowed, "the resident memory grew by {:.1} %", (growth - 1.0) * 100.0);
        Ok(())
    }
}

impl fmt::Display for Footprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { resident_kib, code_kib, code_mappings, plugins, live_instances, all_instances } = self;
        write!(
            f,
            "{resident_kib} KiB resident, {code_kib} KiB of code in {code_mappings} mappings for {plugins} plugins, \
             {live_instances} live instances of {all_instances}"
        )
    }
}
