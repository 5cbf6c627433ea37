//! A chain with its plugins: how it is made from what a revision says, and what can be said of it while it is in force.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;

use super::RolloutError;
use crate::{
    config::{Config, PluginConfig},
    event::Text,
    pipeline::{
        breaker,
        chain::{Chains, Link, Matches},
    },
    plugin::{Code, Engine, LoadError, WasmPlugin, artifact::Artifact, settings::Settings},
    registry::{Digest, Placed, Registry, Revision},
    seeing::Seeing,
};

/// Instances that a new plugin is given before it takes over from one that has as many.
const WARM_MAX: usize = 16;

/// A revision in force.
pub struct Active {
    pub revision: Arc<Revision>,
    pub running: Vec<Running>,
}

/// A plugin in its place.
#[derive(Clone)]
pub struct Running {
    placed: Placed,
    settings: Arc<PluginConfig>,
    /// `None`: it is off.
    plugin: Option<Arc<WasmPlugin>>,
    /// Where events meet it, with what its breaker knows.
    link: Option<Link>,
}

/// A plugin whose code is there, or one that is off.
pub struct Compiled {
    placed: Placed,
    settings: Arc<PluginConfig>,
    code: Option<Arc<Code>>,
}

/// What can be said of a plugin in its place.
#[derive(Clone, Debug)]
pub struct PluginStatus {
    pub name: String,
    pub version: String,
    pub sha256: Digest,
    pub enabled: bool,
    /// Instances that exist now, idle ones included.
    pub live_instances: usize,
    /// Of machine code, which plugins of the same file share.
    pub code_bytes: usize,
    /// `None`: it is off.
    pub breaker: Option<breaker::Status>,
}

impl Active {
    /// What events take.
    pub fn chains(&self, namespaces_max: usize) -> Chains {
        let links = self.running.iter().filter_map(Running::linked).collect();
        Chains::new(self.revision.number, links, namespaces_max)
    }

    pub fn status(&self) -> Vec<PluginStatus> {
        let status = |running: &Running| PluginStatus {
            name: running.placed.name.clone(),
            version: running.placed.version.clone(),
            sha256: running.placed.sha256,
            enabled: running.plugin.is_some(),
            live_instances: running.plugin.as_ref().map_or(0, |plugin| plugin.live_instances()),
            code_bytes: running.plugin.as_ref().map_or(0, |plugin| plugin.code().size_bytes()),
            breaker: running.link.as_ref().map(|link| link.breaker.status(Instant::now())),
        };
        self.running.iter().map(status).collect()
    }

    fn plugin(&self, name: &str) -> Option<&Running> {
        self.running.iter().find(|running| running.placed.name == name)
    }
}

impl Running {
    fn linked(&self) -> Option<(Matches, Link)> {
        let (own, link) = (self.plugin.clone()?, self.link.clone()?);
        let namespaces = self.settings.namespaces.clone();
        let matches: Matches =
            Box::new(move |name| namespaces.iter().any(|p| p.matches(name)) && own.wants_namespace(name));
        Some((matches, link))
    }

    /// Whether it can go on as it is in a place of the new chain.
    fn fits(&self, compiled: &Compiled) -> bool {
        self.placed == compiled.placed && self.plugin.is_some() == compiled.code.is_some()
    }
}

/// Checks what is written of all plugins, and brings their code in, beside the traffic.
pub async fn compile(
    engine: &Engine,
    registry: &dyn Registry,
    config: &Config,
    plugins: &[Placed],
    old: Option<&Active>,
) -> Result<Vec<Compiled>, RolloutError> {
    let mut compiled = Vec::with_capacity(plugins.len());
    for placed in plugins {
        let settings = settings_of(config, placed)?;
        let known = old.and_then(|old| old.plugin(&placed.name)).filter(|running| running.placed == *placed);
        let code = match known.and_then(|running| running.plugin.as_ref()) {
            _ if !settings.enabled => None,
            Some(plugin) => Some(plugin.code().clone()),
            None => Some(code(engine, registry, config, placed).await?),
        };
        compiled.push(Compiled { placed: placed.clone(), settings: Arc::new(settings), code });
    }
    Ok(compiled)
}

fn settings_of(config: &Config, placed: &Placed) -> Result<PluginConfig, RolloutError> {
    config.placed(&placed.name, &placed.written).map_err(|problems| {
        let lines = problems.lines().map(|problem| format!("plugin `{}`: {problem}", placed.name));
        RolloutError::Invalid(lines.collect::<Vec<_>>().join("\n"))
    })
}

async fn code(
    engine: &Engine,
    registry: &dyn Registry,
    config: &Config,
    placed: &Placed,
) -> Result<Arc<Code>, RolloutError> {
    if let Some(code) = engine.code(&placed.sha256.to_string()) {
        return Ok(code);
    }
    let artifact = read(registry, config, placed.sha256, &placed.name).await?;
    Ok(engine.compile(artifact, &placed.name).await?)
}

/// A file as the registry has it, checked again; `plugin` is for errors.
pub async fn read(
    registry: &dyn Registry,
    config: &Config,
    sha256: Digest,
    plugin: &str,
) -> Result<Artifact, RolloutError> {
    let kept = registry.artifact(sha256).await.map_err(RolloutError::Registry)?;
    let kept = kept.ok_or_else(|| RolloutError::NotFound(format!("plugin file {sha256}: push it first")))?;
    check_signature(config, &kept.bytes, kept.signature.as_deref()).await?;
    parse(kept.bytes, plugin).await
}

/// A file's parts. It is checked on a thread of its own: a large one takes a while.
pub async fn parse(bytes: Bytes, plugin: &str) -> Result<Artifact, RolloutError> {
    let parsed = tokio::task::spawn_blocking(move || Artifact::parse(bytes.into())).await;
    let parsed = parsed.map_err(|error| RolloutError::Invalid(format!("the file's check broke off: {error}")))?;
    parsed.map_err(|source| RolloutError::Refused(LoadError::Artifact { plugin: plugin.to_owned(), source }))
}

/// Whether somebody who is trusted has signed it, where that is demanded. All of the file is hashed, on a thread of its own.
pub async fn check_signature(config: &Config, bytes: &Bytes, signature: Option<&str>) -> Result<(), RolloutError> {
    if !config.trusted_keys.demanded() {
        return Ok(());
    }
    let (keys, bytes) = (config.trusted_keys.clone(), bytes.clone());
    let signature = signature.map(str::to_owned);
    let checked = tokio::task::spawn_blocking(move || {
        let checked = keys.check(&bytes, signature.as_deref());
        checked.map_err(|error| RolloutError::Unsigned { sha256: Digest::of(&bytes), reason: error.to_string() })
    });
    checked.await.map_err(|error| RolloutError::Invalid(format!("the signature's check broke off: {error}")))?
}

/// Starts what is new, with as many instances as what it replaces has; what has not changed goes on as it is.
pub async fn start(
    engine: &Engine,
    compiled: Vec<Compiled>,
    old: Option<&Active>,
    seeing: &Seeing,
) -> Result<Vec<Running>, RolloutError> {
    let mut running = Vec::with_capacity(compiled.len());
    for compiled in compiled {
        let before = old.and_then(|old| old.plugin(&compiled.placed.name));
        if let Some(unchanged) = before.filter(|before| before.fits(&compiled)) {
            running.push(Running { settings: compiled.settings, ..unchanged.clone() });
            continue;
        }
        let Compiled { placed, settings, code } = compiled;
        let plugin = match code {
            None => None,
            Some(code) => {
                let plugin = engine.start(code, start_settings(&settings)).await?;
                let busy = before.and_then(|before| Some(before.plugin.as_ref()?.live_instances())).unwrap_or(1);
                plugin.warm(busy.min(WARM_MAX)).await?;
                Some(Arc::new(plugin))
            }
        };
        let link = plugin.clone().map(|plugin| Link::new(plugin, settings.policy, settings.breaker, seeing));
        running.push(Running { placed, settings, plugin, link });
    }
    Ok(running)
}

/// What the engine has to know of a plugin.
pub fn start_settings(plugin: &PluginConfig) -> Settings {
    Settings {
        name: Text::from(&*plugin.name),
        config: plugin.config.to_string(),
        capabilities: plugin.capabilities.clone(),
        limits: plugin.limits.clone(),
    }
}
