//! A chain with its plugins: how it is made from what a revision says, and what can be said of it while it is in force.

use std::{sync::Arc, time::Instant};

use super::{RolloutError, loader::Compiled};
use crate::{
    config::PluginConfig,
    event::Text,
    pipeline::{
        breaker,
        chain::{Chains, Link, Matches},
    },
    plugin::{Code, Engine, TAKEOVER_INSTANCES, WasmPlugin, settings::Settings},
    registry::{Digest, Placed, Revision},
    seeing::Seeing,
};

/// A revision in force.
pub struct Active {
    pub revision: Arc<Revision>,
    pub running: Vec<Running>,
}

/// A plugin in its place.
#[derive(Clone)]
pub struct Running {
    pub placed: Placed,
    settings: Arc<PluginConfig>,
    /// `None`: it is off.
    plugin: Option<Arc<WasmPlugin>>,
    /// Where events meet it, with what its breaker knows.
    link: Option<Link>,
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

    /// A plugin in its place.
    pub fn plugin(&self, name: &str) -> Option<&Running> {
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

    /// The code that it runs.
    pub fn code(&self) -> Option<Arc<Code>> {
        self.plugin.as_ref().map(|plugin| plugin.code().clone())
    }

    /// Whether it can go on as it is in a place of the new chain.
    fn fits(&self, compiled: &Compiled) -> bool {
        self.placed == compiled.placed && self.plugin.is_some() == compiled.code.is_some()
    }

    /// Its plugin, if its instances are what they would be in a place of the new chain.
    fn same_plugin(&self, compiled: &Compiled) -> Option<Arc<WasmPlugin>> {
        let same_code = self.placed.sha256 == compiled.placed.sha256 && compiled.code.is_some();
        let same = same_code && start_settings(&self.settings) == start_settings(&compiled.settings);
        self.plugin.clone().filter(|_| same)
    }
}

/// Starts what is new, with as many instances as what it replaces has; what has not changed goes on as it is, and where
/// only policy, breaker or namespaces have changed its instances do.
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
        let same = before.and_then(|before| before.same_plugin(&compiled));
        let Compiled { placed, settings, code } = compiled;
        let plugin = match (same, code) {
            (Some(same), _) => Some(same),
            (None, None) => None,
            (None, Some(code)) => {
                let plugin = engine.start(code, start_settings(&settings)).await?;
                let busy = before.and_then(|before| Some(before.plugin.as_ref()?.live_instances())).unwrap_or(1);
                plugin.warm(busy.min(TAKEOVER_INSTANCES as usize)).await?;
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
