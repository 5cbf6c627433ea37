//! From what an operator wants to a chain that is in force: checked, compiled and warmed beside the traffic, committed to
//! the registry, and only then swapped in.

mod active;
mod change;
mod error;
mod file;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use parking_lot::RwLock;
use tokio::sync::Mutex;

use self::active::Active;
pub use self::{
    active::{PluginStatus, start_settings},
    change::Change,
    error::RolloutError,
    file::read_file,
};
use crate::{
    config::Config,
    pipeline::chain::Current,
    plugin::{Engine, artifact},
    registry::{self, Digest, Placed, Proposal, Registry, Revision},
    seeing::Seeing,
};

/// Plugins of one chain, those that are off included.
const PLUGINS_MAX: usize = 100;
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
    turn: Mutex<()>,
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

/// A plugin's file that the registry has, and what it says of itself.
#[derive(Clone, Debug)]
pub struct Uploaded {
    pub sha256: Digest,
    pub name: String,
    pub version: String,
    pub size_bytes: u64,
    pub hooks: Vec<&'static str>,
    /// Capabilities that have to be granted.
    pub needs: Vec<&'static str>,
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
        Ok(Self { engine, registry, config, seeing, chains: Current::new(chains), active, turn: Mutex::default() })
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

    /// Plugins' files whose code is mapped now, and bytes of machine code of all of them.
    pub fn mapped(&self) -> (usize, usize) {
        self.engine.mapped()
    }

    /// Keeps a file that some chain may name. The same again changes nothing.
    ///
    /// # Errors
    /// When it is no plugin for this hub, is not signed by somebody who is trusted, or the registry does not take it.
    pub async fn upload(&self, bytes: Bytes, signature: Option<String>) -> Result<Uploaded, RolloutError> {
        active::check_signature(&self.config, &bytes, signature.as_deref()).await?;
        let artifact = active::parse(bytes.clone(), "upload").await?;
        let sha256 =
            self.registry.put(registry::Artifact { bytes, signature }).await.map_err(RolloutError::Registry)?;
        Ok(described(sha256, &artifact))
    }

    /// What a file that the registry has says of itself.
    ///
    /// # Errors
    /// When the registry has none, or what it has is damaged or not signed by somebody who is trusted.
    pub async fn artifact(&self, sha256: Digest) -> Result<Uploaded, RolloutError> {
        let artifact = active::read(&*self.registry, &self.config, sha256, "artifact").await?;
        Ok(described(sha256, &artifact))
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
        applied.await.unwrap_or_else(|error| Err(RolloutError::Invalid(format!("the change broke off: {error}"))))
    }

    async fn apply_in_turn(&self, change: Change, by: By) -> Result<Rolled, RolloutError> {
        let _turn = self.turn.lock().await;
        let begun = Instant::now();
        let old = self.active.read().clone();
        let current = old.revision.number;
        if let Some(base) = by.base.filter(|base| *base != current) {
            return Err(RolloutError::Conflict { base, current });
        }
        let plugins = self.after(&change, &old.revision.plugins).await?;
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
        let codes = active::compile(&self.engine, &*self.registry, &self.config, &plugins, Some(&old)).await?;
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

    async fn after(&self, change: &Change, plugins: &[Placed]) -> Result<Vec<Placed>, RolloutError> {
        match change {
            Change::Push { sha256, .. } => {
                let version = self.version(*sha256).await?;
                change.after(plugins, Some(&version))
            }
            Change::Rollback { revision } => match self.registry.revision(*revision).await {
                Ok(Some(earlier)) => Ok(earlier.plugins),
                Ok(None) => Err(RolloutError::NotFound(format!("revision {revision}"))),
                Err(error) => Err(RolloutError::Registry(error)),
            },
            change => change.after(plugins, None),
        }
    }

    /// The version in a file's manifest.
    async fn version(&self, sha256: Digest) -> Result<String, RolloutError> {
        match self.engine.code(&sha256.to_string()) {
            Some(code) => Ok(code.version.clone()),
            None => Ok(self.artifact(sha256).await?.version),
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

fn described(sha256: Digest, artifact: &artifact::Artifact) -> Uploaded {
    Uploaded {
        sha256,
        name: artifact.manifest.name.clone(),
        version: artifact.manifest.version.clone(),
        size_bytes: artifact.bytes.len() as u64,
        hooks: artifact.hooks.iter().map(|kind| kind.hook()).collect(),
        needs: artifact.needs.iter().map(|capability| capability.as_str()).collect(),
    }
}
