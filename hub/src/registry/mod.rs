//! What there is and what is in force: plugins' files by their digests, and the revisions of the chain.

mod digest;
mod files;
mod kept;
mod local;
mod memory;
#[cfg(test)]
mod tests;

use std::{collections::HashSet, pin::Pin};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use self::{digest::Digest, local::LocalRegistry, memory::MemoryRegistry};
use crate::{event::now_ms, signature::SIGNATURE_MAX_BYTES};

/// A plugin in its place in the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    /// Unique in its revision.
    pub name: String,
    pub sha256: Digest,
    /// As its manifest says.
    pub version: String,
    /// The keys of its `[[plugin]]` table as they were written, without `name` and `file`. May hold secrets.
    pub written: Map<String, Value>,
}

/// A chain that is or was in force. Never changed once committed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// From 1 on, without a gap.
    pub number: u64,
    /// In the order of the chain.
    pub plugins: Vec<Placed>,
    pub who: String,
    pub why: String,
    /// Milliseconds since the Unix epoch.
    pub when_ms: u64,
}

/// What the next revision is to be.
#[derive(Clone, Debug)]
pub struct Proposal {
    pub plugins: Vec<Placed>,
    pub who: String,
    pub why: String,
}

impl Proposal {
    /// It in its place, made now.
    fn into_revision(self, number: u64) -> Revision {
        let Self { plugins, who, why } = self;
        Revision { number, plugins, who, why, when_ms: now_ms() }
    }
}

/// A plugin's file as it was put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    pub bytes: Bytes,
    /// The text of a minisign signature of `bytes`.
    pub signature: Option<String>,
}

impl Artifact {
    fn check_signature(&self) -> Result<(), RegistryError> {
        let used = self.signature.as_ref().map_or(0, String::len);
        if used > SIGNATURE_MAX_BYTES {
            let (used, allowed) = (used as u64, SIGNATURE_MAX_BYTES as u64);
            return Err(RegistryError::Limit { limit: "signature_max_bytes", used, allowed, hint: "" });
        }
        Ok(())
    }
}

/// What can be said of an artifact without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactInfo {
    pub sha256: Digest,
    pub size_bytes: u64,
    pub signed: bool,
}

/// How much a registry takes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of all artifacts together.
    pub artifacts_max_bytes: u64,
    /// One revision as it is kept.
    pub revision_max_bytes: usize,
    /// Revisions that are kept, at least one. With the next one the oldest is forgotten, and more than these at the start.
    pub revisions_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { artifacts_max_bytes: 2 << 30, revision_max_bytes: 4 << 20, revisions_max: 1000 }
    }
}

impl Limits {
    /// Which files have to be forgotten so that one of `size_bytes` fits beside the others: as few as can be, those that
    /// were put first, and none that is `named`.
    fn make_room(
        &self,
        size_bytes: u64,
        mut others: Vec<PutFile>,
        named: impl FnOnce() -> Result<HashSet<Digest>, RegistryError>,
    ) -> Result<Vec<Digest>, RegistryError> {
        let allowed = self.artifacts_max_bytes;
        let mut used = others.iter().map(|other| other.size_bytes).sum::<u64>().saturating_add(size_bytes);
        if used <= allowed {
            return Ok(Vec::new());
        }
        let named = named()?;
        others.retain(|other| !named.contains(&other.sha256));
        others.sort_unstable_by_key(|other| other.put);
        let mut forgotten = Vec::new();
        for other in others {
            if used <= allowed {
                break;
            }
            used -= other.size_bytes;
            forgotten.push(other.sha256);
        }
        if used > allowed {
            let hint = "; files that revisions name stay: lower registry.revisions_max, or raise this limit";
            return Err(RegistryError::Limit { limit: "artifacts_max_bytes", used, allowed, hint });
        }
        Ok(forgotten)
    }
}

/// A file among those that may have to make room.
struct PutFile {
    sha256: Digest,
    size_bytes: u64,
    /// The less, the earlier it was put last.
    put: u128,
}

/// Why something was not read or kept. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// Another revision came in between.
    #[error("the chain is at revision {current} by now")]
    Conflict { current: u64 },
    /// A revision would name a file that is not there.
    #[error("plugin file {0} is not in the registry: push it again")]
    Missing(Digest),
    #[error("{limit} exceeded: used {used}, allowed {allowed}{hint}")]
    Limit { limit: &'static str, used: u64, allowed: u64, hint: &'static str },
    /// What is kept is not what was put: its digest or its form is wrong.
    #[error("damaged: {0}")]
    Damaged(String),
    #[error("the registry is unavailable: {0}")]
    Unavailable(String),
}

/// What a registry does for one caller.
pub type Doing<'a, T> = Pin<Box<dyn Future<Output = Result<T, RegistryError>> + Send + 'a>>;

/// A backend.
///
/// Promises: what was put or committed when its future was ready is there for ever, also when the process is killed or
/// the machine stops; a kill at any moment leaves the last committed revision whole; revisions have one order without
/// gaps; an artifact is given back exactly as it was put, or `Damaged`. Two things are forgotten: the oldest revision when
/// there are [`Limits::revisions_max`] and a next one is made, and artifacts that no kept revision names when another one
/// needs their room. What a kept revision names is there.
pub trait Registry: Send + Sync {
    /// Keeps a file. The same again changes nothing, except that a signature is added where there was none or another.
    /// When there is no room for it, files that no revision names make some, the oldest first.
    fn put(&self, artifact: Artifact) -> Doing<'_, Digest>;

    /// A file, its digest checked again.
    fn artifact(&self, sha256: Digest) -> Doing<'_, Option<Artifact>>;

    /// All of them, by digest.
    fn artifacts(&self) -> Doing<'_, Vec<ArtifactInfo>>;

    /// The last revision; `None`: there was none yet.
    fn head(&self) -> Doing<'_, Option<Revision>>;

    /// A revision by its number; `None`: there was none yet, or it is forgotten.
    fn revision(&self, number: u64) -> Doing<'_, Option<Revision>>;

    /// Up to `limit` revisions below `before`, the newest first; `None`: from the head on.
    fn history(&self, before: Option<u64>, limit: usize) -> Doing<'_, Vec<Revision>>;

    /// Makes the next revision, if the head is still `base` (0: there is none) and every file that it names is there.
    fn commit(&self, base: u64, proposal: Proposal) -> Doing<'_, Revision>;
}
