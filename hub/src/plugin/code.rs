//! A plugin's machine code and what is known of its file: what all plugins of the same file share.

use wasmtime::component::InstancePre;

use super::{artifact::Artifact, host::HostState, instance::Indices, settings::Capability};
use crate::{event::Kind, pattern::Pattern};

/// Machine code that is ready to be started with any config. Mapped into memory for as long as somebody has it.
pub struct Code {
    /// Of the file, in hex.
    pub sha256: String,
    /// Its own name, from the manifest.
    pub name: String,
    pub version: String,
    pub hooks: [bool; 6],
    /// What has to be granted.
    pub needs: Vec<Capability>,
    pub messages: Vec<Pattern>,
    pub namespaces: Vec<Pattern>,
    pub(super) pre: InstancePre<HostState>,
    pub(super) indices: Indices,
}

impl Code {
    /// `Err`: a subscription is no pattern, or a hook has another shape than the hub's.
    pub(super) fn new(artifact: &Artifact, pre: InstancePre<HostState>) -> Result<Self, String> {
        let patterns = |texts: &[String]| {
            texts.iter().map(|t| Pattern::parse(t)).collect::<Result<Vec<_>, _>>().map_err(|e| e.to_string())
        };
        Ok(Self {
            sha256: artifact.sha256.clone(),
            name: artifact.manifest.name.clone(),
            version: artifact.manifest.version.clone(),
            hooks: Kind::ALL.map(|kind| artifact.hooks.contains(&kind)),
            needs: artifact.needs.clone(),
            messages: patterns(&artifact.manifest.subscriptions.messages)?,
            namespaces: patterns(&artifact.manifest.subscriptions.namespaces)?,
            indices: Indices::new(&pre).map_err(|e| format!("{e:#}"))?,
            pre,
        })
    }

    /// Bytes of machine code.
    pub fn size_bytes(&self) -> usize {
        let range = self.pre.component().image_range();
        range.end as usize - range.start as usize
    }
}
