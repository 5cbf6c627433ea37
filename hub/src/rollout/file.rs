//! The first chain of a node: the registry's, or that of `hub.toml`.

use std::{path::Path, sync::Arc};

use anyhow::Context;
use bytes::Bytes;

use super::{
    active::{self, Active},
    loader::Loader,
};
use crate::{
    config::{Config, PluginConfig},
    pipeline::chain::Chains,
    plugin::{Engine, artifact::FILE_MAX_BYTES},
    registry::{Artifact, Digest, Placed, Proposal, Registry, Revision},
    seeing::Seeing,
    signature,
};

/// Who a revision is of that a config has made.
const WHO: &str = "hub.toml";

/// The chain that a node starts with.
pub async fn open(
    engine: &Engine,
    registry: &dyn Registry,
    config: &Config,
    seeing: &Seeing,
) -> anyhow::Result<(Active, Chains)> {
    let loader = Loader { engine, registry, config };
    let head = registry.head().await.context("the registry is not read")?;
    if let Some(head) = head.as_ref().filter(|_| !config.registry.reset) {
        tell_differences(head, &config.plugins).await;
        return in_force(&loader, seeing, head.clone()).await;
    }
    let plugins = keep(&loader, &config.plugins).await?;
    let (base, why) = match head {
        Some(head) if head.plugins == plugins => return in_force(&loader, seeing, head).await,
        Some(head) => (head.number, "--reset-chain"),
        None => (0, "the first chain"),
    };
    let codes = loader.compile(&plugins, None, None).await?;
    let running = active::start(engine, codes, None, seeing).await?;
    let proposal = Proposal { plugins, who: WHO.into(), why: why.into() };
    let revision = registry.commit(base, proposal).await.context("the first chain is not kept")?;
    Ok(finish(config, revision, running))
}

async fn in_force(loader: &Loader<'_>, seeing: &Seeing, revision: Revision) -> anyhow::Result<(Active, Chains)> {
    let started = async {
        let codes = loader.compile(&revision.plugins, None, None).await?;
        active::start(loader.engine, codes, None, seeing).await
    };
    let running = started.await.with_context(|| {
        let number = revision.number;
        format!("revision {number} of the chain does not start (`serve --reset-chain` takes the config's plugins)")
    })?;
    Ok(finish(loader.config, revision, running))
}

fn finish(config: &Config, revision: Revision, running: Vec<active::Running>) -> (Active, Chains) {
    for plugin in revision.plugins.iter() {
        let (name, version, sha256) = (&plugin.name, &plugin.version, plugin.sha256);
        tracing::info!(plugin = %name, version = %version, %sha256, "plugin loaded");
    }
    let active = Active { revision: Arc::new(revision), running };
    let chains = active.chains(config.limits.namespaces_max);
    (active, chains)
}

/// What `[[plugin]]` tables say, with their files in the registry.
pub async fn keep(loader: &Loader<'_>, configs: &[PluginConfig]) -> anyhow::Result<Vec<Placed>> {
    let mut plugins = Vec::with_capacity(configs.len());
    for (plugin, file) in with_files(configs) {
        let name = || format!("plugin `{}`", plugin.name);
        let bytes = Bytes::from(read_file(file).await.with_context(name)?);
        let signature = signature::read_beside(file)
            .with_context(|| format!("cannot read `{}`", signature::path_of(file).display()))
            .with_context(name)?;
        let artifact = loader.check(bytes.clone(), signature.as_deref()).await.with_context(name)?;
        let sha256 = loader.registry.put(Artifact { bytes, signature }).await.with_context(name)?;
        let version = artifact.manifest.version.clone();
        plugins.push(Placed { name: plugin.name.clone(), sha256, version, written: plugin.written.clone() });
    }
    Ok(plugins)
}

/// Those that have a file; one that is off need not be there.
fn with_files(configs: &[PluginConfig]) -> impl Iterator<Item = (&PluginConfig, &Path)> {
    configs.iter().filter_map(|plugin| {
        let file = plugin.file.as_deref()?;
        if !plugin.enabled && !file.is_file() {
            tracing::info!(plugin = %plugin.name, file = %file.display(), "off, and its file is not there: left out");
            return None;
        }
        Some((plugin, file))
    })
}

/// A plugin's file, if it is not larger than any may be.
///
/// # Errors
/// When it cannot be read.
pub async fn read_file(file: &Path) -> anyhow::Result<Vec<u8>> {
    let size = tokio::fs::metadata(file).await.with_context(|| format!("cannot read `{}`", file.display()))?.len();
    let max = FILE_MAX_BYTES as u64;
    anyhow::ensure!(size <= max, "`{}` has {size} bytes, allowed are {max}", file.display());
    tokio::fs::read(file).await.with_context(|| format!("cannot read `{}`", file.display()))
}

/// Says where the config and the chain in force are not one: the registry is the truth. Nothing that is wrong with the
/// config's files matters then.
async fn tell_differences(head: &Revision, configs: &[PluginConfig]) {
    let (mut differences, mut names) = (Vec::new(), Vec::new());
    for (plugin, file) in with_files(configs) {
        names.push(plugin.name.as_str());
        let Some(placed) = head.plugins.iter().find(|placed| placed.name == plugin.name) else {
            differences.push(format!("`{}` is not in the chain", plugin.name));
            continue;
        };
        match read_file(file).await {
            Err(error) => differences.push(format!("`{}`: {error:#}", plugin.name)),
            Ok(bytes) if Digest::of(&bytes) != placed.sha256 => {
                differences.push(format!("`{}` has another file", plugin.name));
            }
            Ok(_) if plugin.written != placed.written => {
                differences.push(format!("`{}` has other settings", plugin.name));
            }
            Ok(_) => {}
        }
    }
    if names.is_empty() {
        return;
    }
    let extra = head.plugins.iter().filter(|placed| !names.contains(&placed.name.as_str()));
    differences.extend(extra.map(|placed| format!("`{}` is in the chain alone", placed.name)));
    if differences.is_empty() && !head.plugins.iter().map(|placed| placed.name.as_str()).eq(names) {
        differences.push("the order".into());
    }
    if !differences.is_empty() {
        tracing::warn!(
            revision = head.number,
            differences = differences.join(", "),
            "the config's plugins are not those in force: the registry's chain holds; `serve --reset-chain` takes the config's"
        );
    }
}
