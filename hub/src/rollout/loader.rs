//! From a place in a chain to its plugin's code: settings and signature checked, the file read and compiled.

use std::sync::Arc;

use bytes::Bytes;

use super::{RolloutError, active::Active};
use crate::{
    config::{Config, PluginConfig},
    plugin::{Code, Engine, LoadError, artifact::Artifact},
    registry::{Digest, Placed, Registry},
};

/// What plugins' code is made of.
#[derive(Clone, Copy)]
pub struct Loader<'a> {
    pub engine: &'a Engine,
    pub registry: &'a dyn Registry,
    pub config: &'a Config,
}

/// A plugin whose code is there, or one that is off.
pub struct Compiled {
    pub placed: Placed,
    pub settings: Arc<PluginConfig>,
    pub code: Option<Arc<Code>>,
}

impl Loader<'_> {
    /// Checks what is written of all plugins, and brings their code in, beside the traffic. `read`: a file that need not be
    /// read again.
    pub async fn compile(
        &self,
        plugins: &[Placed],
        old: Option<&Active>,
        read: Option<&Arc<Artifact>>,
    ) -> Result<Vec<Compiled>, RolloutError> {
        let mut compiled = Vec::with_capacity(plugins.len());
        for placed in plugins {
            let settings = self.settings(placed)?;
            let known = old.and_then(|old| old.plugin(&placed.name)).filter(|running| running.placed == *placed);
            let code = match known.and_then(|running| running.code()) {
                _ if !settings.enabled => None,
                Some(code) => Some(code),
                None => Some(self.code(placed, read).await?),
            };
            compiled.push(Compiled { placed: placed.clone(), settings: Arc::new(settings), code });
        }
        Ok(compiled)
    }

    fn settings(&self, placed: &Placed) -> Result<PluginConfig, RolloutError> {
        self.config.placed(&placed.name, &placed.written).map_err(|problems| {
            let lines = problems.lines().map(|problem| format!("plugin `{}`: {problem}", placed.name));
            RolloutError::Invalid(lines.collect::<Vec<_>>().join("\n"))
        })
    }

    async fn code(&self, placed: &Placed, read: Option<&Arc<Artifact>>) -> Result<Arc<Code>, RolloutError> {
        let sha256 = placed.sha256.to_string();
        if let Some(code) = self.engine.code(&sha256) {
            return Ok(code);
        }
        let artifact = match read {
            Some(read) if read.sha256 == sha256 => read.clone(),
            _ => self.read(placed.sha256, &placed.name).await?,
        };
        Ok(self.engine.compile(artifact, &placed.name).await?)
    }

    /// A file as the registry has it, checked again; `plugin` is for errors.
    pub async fn read(&self, sha256: Digest, plugin: &str) -> Result<Arc<Artifact>, RolloutError> {
        let kept = self.registry.artifact(sha256).await.map_err(RolloutError::Registry)?;
        let kept = kept.ok_or_else(|| RolloutError::NotFound(format!("plugin file {sha256}: push it first")))?;
        self.check(kept.bytes, kept.signature.as_deref()).await.map_err(|error| match error {
            RolloutError::File(source) => LoadError::Artifact { plugin: plugin.to_owned(), source }.into(),
            error => error,
        })
    }

    /// A file's parts, if somebody who is trusted has signed it, where that is demanded. A large one takes a while, on a
    /// thread of its own.
    pub async fn check(&self, bytes: Bytes, signature: Option<&str>) -> Result<Arc<Artifact>, RolloutError> {
        let (keys, signature) = (self.config.trusted_keys.clone(), signature.map(str::to_owned));
        let checked = tokio::task::spawn_blocking(move || {
            if keys.demanded() {
                let unsigned = |reason: String| RolloutError::Unsigned { sha256: Digest::of(&bytes), reason };
                keys.check(&bytes, signature.as_deref()).map_err(|error| unsigned(error.to_string()))?;
            }
            Ok(Arc::new(Artifact::parse(bytes)?))
        });
        checked.await.unwrap_or(Err(RolloutError::Broken("the file's check")))
    }
}
