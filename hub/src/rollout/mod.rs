//! From what an operator wants to a chain that is in force: checked, compiled and warmed beside the traffic, committed to
//! the registry, and only then swapped in.

mod active;
mod change;
mod error;
mod file;
mod loader;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use parking_lot::RwLock;
use tokio::sync::{Mutex, MutexGuard, Semaphore, SemaphorePermit};

use self::{active::Active, loader::Loader};
pub use self::{
    active::{PluginStatus, start_settings},
    change::{Change, Pushed},
    error::RolloutError,
    file::read_file,
};
use crate::{
    config::{Config, PluginConfig},
    pipeline::chain::Current,
    plugin::{Code, Engine, Usage, artifact::Artifact},
    registry::{self, Digest, Placed, Proposal, Registry, Revision},
    seeing::Seeing,
};

/// Plugins of one chain, those that are off included.
const PLUGINS_MAX: usize = 100;
/// Changes that are under way or wait for their turn. Each may hold a plugin's file in memory.
const CHANGES_MAX: usize = 16;
/// What may be written of who changed a chain, and why.
const TEXT_MAX_BYTES: usize = 1000;

/// Changes the chain of a node while traffic flows. One change at a time; whoever comes second waits.
pub struct Rollout {
    engine: Engine,
    registry: Arc<dyn Registry>,
    config: Arc<Config>,
    seeing: Seeing,
    /// What events take.
    chains: Current,
    active: RwLock<Arc<Active>>,
    turns: Mutex<()>,
    /// Of those who have their turn or wait for it.
    places: Semaphore,
}

/// While it is there nobody changes the chain.
pub struct Turn<'a> {
    _place: SemaphorePermit<'a>,
    _turn: MutexGuard<'a, ()>,
}

/// Who changes the chain, and why.
#[derive(Clone, Debug)]
pub struct By {
    pub who: String,
    pub why: String,
    /// The revision that the change was made for; `None`: whichever is in force.
    pub base: Option<u64>,
}

/// What a change led to.
#[derive(Clone, Debug)]
pub struct Rolled {
    /// The revision in force; an unchanged one when there was nothing to change.
    pub revision: Arc<Revision>,
    pub changed: bool,
    /// Until all plugins of the new chain were compiled, and until they had run their `init`.
    pub compiled_in: Duration,
    pub prepared_in: Duration,
    /// Until the new chain was in force.
    pub active_in: Duration,
}

/// A plugin's file that was checked and that the registry has.
#[derive(Clone, Debug)]
pub struct Uploaded {
    pub sha256: Digest,
    /// What it is and what it wants.
    pub artifact: Arc<Artifact>,
}

impl Rollout {
    /// Brings the chain in force that the registry has, or that of the config's `[[plugin]]` tables when it has none or
    /// is told to take them. `seeing` is told of what its plugins do.
    ///
    /// # Errors
    /// When a plugin cannot be loaded: nothing was committed then.
    pub async fn open(
        engine: Engine,
        registry: Arc<dyn Registry>,
        config: Arc<Config>,
        seeing: Seeing,
    ) -> anyhow::Result<Self> {
        let (active, chains) = file::open(&engine, &*registry, &config, &seeing).await?;
        let active = RwLock::new(Arc::new(active));
        let (chains, turns, places) = (Current::new(chains), Mutex::default(), Semaphore::new(CHANGES_MAX));
        Ok(Self { engine, registry, config, seeing, chains, active, turns, places })
    }

    /// What events are run down. It follows every change.
    pub fn chains(&self) -> Current {
        self.chains.clone()
    }

    /// The revision in force.
    pub fn current(&self) -> Arc<Revision> {
        self.active.read().revision.clone()
    }

    /// What there is, and what there was.
    pub fn registry(&self) -> &Arc<dyn Registry> {
        &self.registry
    }

    /// The plugins in force, in their order.
    pub fn status(&self) -> Vec<PluginStatus> {
        self.active.read().status()
    }

    /// What all plugins take, those of old chains that still end included.
    pub fn usage(&self) -> Usage {
        self.engine.usage()
    }

    /// Keeps a file that some chain may name. The same again changes nothing.
    ///
    /// # Errors
    /// When it is no plugin for this hub, is not signed by somebody who is trusted, or the registry does not take it.
    pub async fn upload(&self, bytes: Bytes, signature: Option<String>) -> Result<Uploaded, RolloutError> {
        let artifact = self.loader().check(bytes.clone(), signature.as_deref()).await?;
        let put = self.registry.put(registry::Artifact { bytes, signature }).await;
        Ok(Uploaded { sha256: put.map_err(RolloutError::Registry)?, artifact })
    }

    /// The places of a config's plugins, whose files are kept from now on: for [`Change::Take`].
    ///
    /// # Errors
    /// When one of the files cannot be read or is refused.
    pub async fn keep(&self, plugins: &[PluginConfig]) -> anyhow::Result<Vec<Placed>> {
        file::keep(&self.loader(), plugins).await
    }

    fn loader(&self) -> Loader<'_> {
        Loader { engine: &self.engine, registry: &*self.registry, config: &self.config }
    }

    /// Makes the change, or changes nothing at all. Once it is ready every new event takes the new chain.
    ///
    /// The future may be dropped: the change is then made whole or not at all.
    ///
    /// # Errors
    /// When the chain stays what it was: see [`RolloutError`].
    pub async fn apply(self: &Arc<Self>, change: Change, by: By) -> Result<Rolled, RolloutError> {
        by.check()?;
        let rollout = self.clone();
        // whoever asked may go away in the middle
        let applied = tokio::spawn(async move { rollout.apply_in_turn(change, by).await });
        applied.await.unwrap_or(Err(RolloutError::Broken("the change")))
    }

    /// Waits until nobody else changes the chain.
    ///
    /// # Errors
    /// When too many wait already.
    pub async fn turn(&self) -> Result<Turn<'_>, RolloutError> {
        let _place = self.places.try_acquire().map_err(|_| RolloutError::Busy)?;
        let _turn = self.turns.lock().await;
        Ok(Turn { _place, _turn })
    }

    async fn apply_in_turn(&self, change: Change, by: By) -> Result<Rolled, RolloutError> {
        let _turn = self.turn().await?;
        let begun = Instant::now();
        let old = self.active.read().clone();
        let current = old.revision.number;
        if let Some(base) = by.base.filter(|base| *base != current) {
            return Err(RolloutError::Conflict { base, current });
        }
        let read = self.read(&change).await?;
        let plugins = self.after(&change, &old.revision.plugins, read.as_ref()).await?;
        if plugins.len() > PLUGINS_MAX {
            return Err(RolloutError::Invalid(format!(
                "a chain may have {PLUGINS_MAX} plugins, not {}",
                plugins.len()
            )));
        }
        if plugins == old.revision.plugins {
            let revision = old.revision.clone();
            let none = Duration::ZERO;
            return Ok(Rolled {
                revision,
                changed: false,
                compiled_in: none,
                prepared_in: none,
                active_in: begun.elapsed(),
            });
        }
        let codes = self.loader().compile(&plugins, Some(&old), read.as_ref().and_then(Read::artifact)).await?;
        let compiled_in = begun.elapsed();
        let running = active::start(&self.engine, codes, Some(&old), &self.seeing).await?;
        let prepared_in = begun.elapsed();
        let proposal = Proposal { plugins, who: by.who, why: by.why };
        let revision = self.registry.commit(current, proposal).await.map_err(|error| match error {
            registry::RegistryError::Conflict { current: other } => {
                RolloutError::Conflict { base: current, current: other }
            }
            error => RolloutError::Registry(error),
        })?;
        let active = Active { revision: Arc::new(revision), running };
        self.chains.swap(active.chains(self.config.limits.namespaces_max));
        let revision = active.revision.clone();
        *self.active.write() = Arc::new(active);
        let active_in = begun.elapsed();
        tracing::info!(
            revision = revision.number,
            who = revision.who,
            why = revision.why,
            plugins = revision.plugins.len(),
            compiled_ms = compiled_in.as_millis(),
            active_ms = active_in.as_millis(),
            "chain changed"
        );
        // the last to have the old chain frees its instances and code: as a rule this one, here and not between two events
        tokio::task::spawn_blocking(move || drop(old));
        Ok(Rolled { revision, changed: true, compiled_in, prepared_in, active_in })
    }

    async fn after(
        &self,
        change: &Change,
        plugins: &[Placed],
        read: Option<&Read>,
    ) -> Result<Vec<Placed>, RolloutError> {
        let Change::Rollback { revision } = change else { return change.after(plugins, read.map(Read::version)) };
        match self.registry.revision(*revision).await {
            Ok(Some(earlier)) => Ok(earlier.plugins),
            Ok(None) => Err(RolloutError::NotFound(format!("revision {revision}"))),
            Err(error) => Err(RolloutError::Registry(error)),
        }
    }

    /// The file that is pushed, so that it is read once.
    async fn read(&self, change: &Change) -> Result<Option<Read>, RolloutError> {
        let Change::Push { name, file, .. } = change else { return Ok(None) };
        Ok(Some(match file {
            Pushed::Uploaded(uploaded) => Read::File(uploaded.artifact.clone()),
            Pushed::Kept(sha256) => match self.engine.code(&sha256.to_string()) {
                Some(code) => Read::Code(code),
                None => Read::File(self.loader().read(*sha256, name).await?),
            },
        }))
    }
}

/// What there is of a pushed file.
enum Read {
    /// Some plugin runs it now.
    Code(Arc<Code>),
    File(Arc<Artifact>),
}

impl Read {
    /// As its manifest says.
    fn version(&self) -> &str {
        match self {
            Read::Code(code) => &code.version,
            Read::File(artifact) => &artifact.manifest.version,
        }
    }

    fn artifact(&self) -> Option<&Arc<Artifact>> {
        match self {
            Read::Code(_) => None,
            Read::File(artifact) => Some(artifact),
        }
    }
}

impl By {
    fn check(&self) -> Result<(), RolloutError> {
        match [&self.who, &self.why].into_iter().any(|text| text.len() > TEXT_MAX_BYTES) {
            true => Err(RolloutError::Invalid(format!("who and why may have {TEXT_MAX_BYTES} bytes each"))),
            false => Ok(()),
        }
    }
}
