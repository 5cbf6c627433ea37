//! Why a chain stays what it was.

use super::CHANGES_MAX;
use crate::{
    plugin::{LoadError, artifact::ArtifactError},
    registry::{Digest, RegistryError},
};

/// A change that was not made.
#[derive(Debug, thiserror::Error)]
pub enum RolloutError {
    /// Another revision came in between.
    #[error("the chain is at revision {current} by now, the change was made for {base}")]
    Conflict { base: u64, current: u64 },
    #[error("there is no {0}")]
    NotFound(String),
    /// What was asked for makes no sense, or a plugin's settings are wrong; each line names a key and what would be right.
    #[error("{0}")]
    Invalid(String),
    /// A file was refused before it is any plugin's.
    #[error(transparent)]
    File(#[from] ArtifactError),
    /// A plugin was refused: its file, its capabilities, its `init`.
    #[error(transparent)]
    Refused(#[from] LoadError),
    /// Signatures are demanded, and this file has none that counts.
    #[error("plugin file {sha256}: {reason}")]
    Unsigned { sha256: Digest, reason: String },
    #[error(transparent)]
    Registry(RegistryError),
    #[error("{CHANGES_MAX} changes are under way or wait already: try again later")]
    Busy,
    /// The hub's own fault.
    #[error("{0} broke off: the node's log says why")]
    Broken(&'static str),
}
