//! The registry of a node without a folder: it ends with the process.

use std::collections::{BTreeMap, HashSet, VecDeque};

use parking_lot::Mutex;

use super::{
    Artifact, ArtifactInfo, Digest, Doing, Limits, Proposal, PutFile, Registry, RegistryError, Revision, kept,
};

/// Revisions are kept up to here too, as they are in memory; then the oldest are forgotten.
const HISTORY_MAX_BYTES: usize = 32 << 20;

/// A registry that ends with the process.
pub struct MemoryRegistry {
    limits: Limits,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    artifacts: BTreeMap<Digest, Put>,
    puts: u128,
    /// As they would be kept on a disk: so they take little.
    revisions: VecDeque<Box<[u8]>>,
    revisions_bytes: usize,
    /// The number of the last one.
    head: u64,
}

struct Put {
    artifact: Artifact,
    /// Which put was the last one of it.
    put: u128,
}

impl MemoryRegistry {
    /// An empty one.
    pub fn new(limits: Limits) -> Self {
        Self { limits, state: Mutex::default() }
    }

    fn put_now(&self, sha256: Digest, artifact: Artifact) -> Result<Digest, RegistryError> {
        let mut state = self.state.lock();
        state.puts += 1;
        let now = state.puts;
        if let Some(Put { artifact: kept, put }) = state.artifacts.get_mut(&sha256) {
            *put = now;
            kept.signature = artifact.signature.or_else(|| kept.signature.take());
            kept.bytes = artifact.bytes;
        } else {
            let others = state.artifacts.iter().map(|(sha256, other)| PutFile {
                sha256: *sha256,
                size_bytes: other.artifact.bytes.len() as u64,
                put: other.put,
            });
            let size_bytes = artifact.bytes.len() as u64;
            for forgotten in self.limits.make_room(size_bytes, others.collect(), || Ok(state.named()))? {
                state.artifacts.remove(&forgotten);
            }
            state.artifacts.insert(sha256, Put { artifact, put: now });
        }
        Ok(sha256)
    }

    fn commit_now(&self, base: u64, proposal: Proposal) -> Result<Revision, RegistryError> {
        let mut state = self.state.lock();
        if state.head != base {
            return Err(RegistryError::Conflict { current: state.head });
        }
        if let Some(missing) = proposal.plugins.iter().find(|plugin| !state.artifacts.contains_key(&plugin.sha256)) {
            return Err(RegistryError::Missing(missing.sha256));
        }
        let revision = proposal.into_revision(base + 1);
        let kept = kept::encode(&revision, self.limits.revision_max_bytes)?;
        state.head = revision.number;
        state.revisions_bytes += kept.len();
        state.revisions.push_back(kept.into());
        let revisions_max = self.limits.revisions_max.max(1);
        while state.revisions.len() as u64 > revisions_max
            || (state.revisions_bytes > HISTORY_MAX_BYTES && state.revisions.len() > 1)
        {
            state.revisions_bytes -= state.revisions.pop_front().map_or(0, |oldest| oldest.len());
        }
        Ok(revision)
    }

    /// What a test does behind its back.
    #[cfg(test)]
    pub(super) fn change(&self, sha256: Digest, change: impl FnOnce(&mut Artifact)) {
        change(&mut self.state.lock().artifacts.get_mut(&sha256).expect("a test changes what there is").artifact);
    }
}

impl State {
    /// What the kept revisions name.
    fn named(&self) -> HashSet<Digest> {
        let oldest = self.head + 1 - self.revisions.len() as u64;
        let revisions = (oldest..=self.head).filter_map(|number| self.revision(number).ok()?);
        revisions.flat_map(|revision| revision.plugins).map(|plugin| plugin.sha256).collect()
    }

    fn revision(&self, number: u64) -> Result<Option<Revision>, RegistryError> {
        let behind = self.head.checked_sub(number).and_then(|behind| usize::try_from(behind).ok());
        let at = behind.and_then(|behind| self.revisions.len().checked_sub(behind + 1));
        let kept = at.and_then(|at| self.revisions.get(at));
        let read = kept.map(|kept| kept::decode(number, kept)).transpose();
        read.map_err(|what| RegistryError::Damaged(format!("revision {number}: {what}")))
    }
}

impl Registry for MemoryRegistry {
    fn put(&self, artifact: Artifact) -> Doing<'_, Digest> {
        Box::pin(async move {
            artifact.check_signature()?;
            let sha256 = digest(artifact.bytes.clone()).await?;
            self.put_now(sha256, artifact)
        })
    }

    fn artifact(&self, sha256: Digest) -> Doing<'_, Option<Artifact>> {
        Box::pin(async move {
            let kept = self.state.lock().artifacts.get(&sha256).map(|kept| kept.artifact.clone());
            let Some(artifact) = kept else { return Ok(None) };
            if digest(artifact.bytes.clone()).await? != sha256 {
                return Err(RegistryError::Damaged(format!("{sha256} is not the file that was put: put it again")));
            }
            Ok(Some(artifact))
        })
    }

    fn artifacts(&self) -> Doing<'_, Vec<ArtifactInfo>> {
        Box::pin(async {
            let info = |(sha256, Put { artifact, .. }): (&Digest, &Put)| ArtifactInfo {
                sha256: *sha256,
                size_bytes: artifact.bytes.len() as u64,
                signed: artifact.signature.is_some(),
            };
            Ok(self.state.lock().artifacts.iter().map(info).collect())
        })
    }

    fn head(&self) -> Doing<'_, Option<Revision>> {
        Box::pin(async {
            let state = self.state.lock();
            state.revision(state.head)
        })
    }

    fn revision(&self, number: u64) -> Doing<'_, Option<Revision>> {
        Box::pin(async move { self.state.lock().revision(number) })
    }

    fn history(&self, before: Option<u64>, limit: usize) -> Doing<'_, Vec<Revision>> {
        Box::pin(async move {
            let state = self.state.lock();
            let behind_last = before.unwrap_or(u64::MAX).min(state.head + 1);
            let numbers = (1..behind_last).rev().take(limit);
            numbers.map_while(|number| state.revision(number).transpose()).collect()
        })
    }

    fn commit(&self, base: u64, proposal: Proposal) -> Doing<'_, Revision> {
        Box::pin(async move { self.commit_now(base, proposal) })
    }
}

/// A large file takes a moment, which no worker of the runtime has.
async fn digest(bytes: bytes::Bytes) -> Result<Digest, RegistryError> {
    let done = tokio::task::spawn_blocking(move || Digest::of(&bytes)).await;
    done.map_err(|error| RegistryError::Unavailable(format!("its work broke off: {error}")))
}
