//! From what an operator wants to a chain that is in force: checked, compiled and warmed beside the traffic, committed to
//! the registry, and only then swapped in.

mod change;

use std::time::Duration;

pub use self::change::Change;
use crate::{
    plugin::LoadError,
    registry::{Digest, RegistryError, Revision},
};

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
    pub revision: Revision,
    pub changed: bool,
    /// Until all plugins of the new chain were compiled, and until they had run their `init`.
    pub compiled_in: Duration,
    pub prepared_in: Duration,
    /// Until the new chain was in force.
    pub active_in: Duration,
}

/// Why the chain stays what it was.
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
    /// A plugin was refused: its file, its capabilities, its `init`.
    #[error(transparent)]
    Refused(#[from] LoadError),
    /// Signatures are demanded, and this file has none that counts.
    #[error("plugin {sha256}: {reason}")]
    Unsigned { sha256: Digest, reason: String },
    #[error(transparent)]
    Registry(RegistryError),
}
