//! The registry of a single node: a folder of files.
//!
//! | file | holds |
//! |---|---|
//! | `artifacts/SHA256.wasm` | a plugin |
//! | `artifacts/SHA256.minisig` | its signature, as the minisign tool writes and reads it |
//! | `revisions/NUMBER.json` | a revision, with a check of its own; the highest number is the head |
//! | `lock` | locked while a process has the registry |
//!
//! Signatures have no check beside themselves: whoever demands one verifies it, and a signature that was taken away or
//! altered is none.

use std::{collections::BTreeMap, fs::File, path::Path, sync::Arc};

use parking_lot::{Mutex, RwLock};

use super::{
    Artifact, ArtifactInfo, Digest, Doing, Limits, Proposal, Registry, RegistryError, Revision, SIGNATURE_MAX_BYTES,
    files::{Folder, Placing},
    kept,
};

/// A registry in a folder of its own, which no other process has at the same time.
///
/// What was begun is done, also when its future is dropped: whoever does not wait does not know.
pub struct LocalRegistry {
    shared: Arc<Shared>,
}

struct Shared {
    limits: Limits,
    artifacts: Folder,
    revisions: Folder,
    /// Whoever holds it changes artifacts.
    puts: Mutex<()>,
    /// Whoever holds it makes the next revision.
    commits: Mutex<()>,
    head: RwLock<Option<Revision>>,
    _lock: File,
}

impl LocalRegistry {
    /// Opens the registry in `folder`, which is made when it is not there, and sweeps what a killed process has not
    /// finished. Blocks while it reads.
    ///
    /// # Errors
    /// When another process has it, or when its head is not certain: the text names the file and says what to do.
    pub fn open(folder: &Path, limits: Limits) -> Result<Self, RegistryError> {
        let lock = Folder::open(folder)?.lock("lock")?;
        let artifacts = Folder::open(&folder.join("artifacts"))?;
        let revisions = Folder::open(&folder.join("revisions"))?;
        artifacts.sweep()?;
        revisions.sweep()?;
        sweep_signatures(&artifacts)?;
        let head = RwLock::new(read_head(&revisions)?);
        let (puts, commits) = Default::default();
        Ok(Self { shared: Arc::new(Shared { limits, artifacts, revisions, puts, commits, head, _lock: lock }) })
    }

    /// File work beside the runtime's workers.
    fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> Result<T, RegistryError> + Send + 'static,
    ) -> Doing<'_, T> {
        let shared = self.shared.clone();
        Box::pin(async move {
            let done = tokio::task::spawn_blocking(move || work(&shared)).await;
            done.unwrap_or_else(|error| Err(RegistryError::Unavailable(format!("its work broke off: {error}"))))
        })
    }
}

impl Registry for LocalRegistry {
    fn put(&self, artifact: Artifact) -> Doing<'_, Digest> {
        self.blocking(move |shared| shared.put(&artifact))
    }

    fn artifact(&self, sha256: Digest) -> Doing<'_, Option<Artifact>> {
        self.blocking(move |shared| shared.artifact(sha256))
    }

    fn artifacts(&self) -> Doing<'_, Vec<ArtifactInfo>> {
        self.blocking(Shared::artifacts)
    }

    fn forget(&self, sha256: Digest) -> Doing<'_, ()> {
        self.blocking(move |shared| shared.forget(sha256))
    }

    fn head(&self) -> Doing<'_, Option<Revision>> {
        Box::pin(async { Ok(self.shared.head.read().clone()) })
    }

    fn revision(&self, number: u64) -> Doing<'_, Option<Revision>> {
        self.blocking(move |shared| {
            let exists = (1..=shared.head_number()).contains(&number);
            exists.then(|| read_revision(&shared.revisions, number)).transpose()
        })
    }

    fn history(&self, before: Option<u64>, limit: usize) -> Doing<'_, Vec<Revision>> {
        self.blocking(move |shared| {
            let behind_last = before.unwrap_or(u64::MAX).min(shared.head_number() + 1);
            let numbers = (1..behind_last).rev().take(limit);
            numbers.map(|number| read_revision(&shared.revisions, number)).collect()
        })
    }

    fn commit(&self, base: u64, proposal: Proposal) -> Doing<'_, Revision> {
        self.blocking(move |shared| shared.commit(base, proposal))
    }
}

impl Shared {
    fn put(&self, artifact: &Artifact) -> Result<Digest, RegistryError> {
        artifact.check_signature()?;
        let sha256 = Digest::of(&artifact.bytes);
        let _turn = self.puts.lock();
        // a damaged file is no file: putting it again mends it
        let kept = self.artifacts.read(&wasm(sha256))?;
        if kept.is_none_or(|kept| Digest::of(&kept) != sha256) {
            let others = self.artifacts()?.into_iter().filter(|other| other.sha256 != sha256);
            self.limits.check_artifacts(others.map(|other| other.size_bytes).sum(), &artifact.bytes)?;
            self.artifacts.write(&wasm(sha256), &artifact.bytes, Placing::Replacing)?;
        }
        if let Some(signature) = &artifact.signature {
            let kept = self.artifacts.read(&minisig(sha256))?;
            if kept.is_none_or(|kept| kept != signature.as_bytes()) {
                self.artifacts.write(&minisig(sha256), signature.as_bytes(), Placing::Replacing)?;
            }
        }
        Ok(sha256)
    }

    fn artifact(&self, sha256: Digest) -> Result<Option<Artifact>, RegistryError> {
        let Some(bytes) = self.artifacts.read(&wasm(sha256))? else { return Ok(None) };
        if Digest::of(&bytes) != sha256 {
            let path = self.artifacts.path(&wasm(sha256));
            return Err(RegistryError::Damaged(format!(
                "`{}` is not the file that was put: put the same file again, or restore it from a backup",
                path.display()
            )));
        }
        let signature = self.artifacts.read(&minisig(sha256))?.map(|text| self.signature(sha256, text)).transpose()?;
        Ok(Some(Artifact { bytes: bytes.into(), signature }))
    }

    fn signature(&self, sha256: Digest, text: Vec<u8>) -> Result<String, RegistryError> {
        let text = if text.len() > SIGNATURE_MAX_BYTES { None } else { String::from_utf8(text).ok() };
        text.ok_or_else(|| {
            let path = self.artifacts.path(&minisig(sha256));
            RegistryError::Damaged(format!(
                "`{}` is no signature: put the file with its signature again",
                path.display()
            ))
        })
    }

    fn artifacts(&self) -> Result<Vec<ArtifactInfo>, RegistryError> {
        let sizes: BTreeMap<String, u64> = self.artifacts.files()?.into_iter().collect();
        let files = sizes.iter().filter_map(|(name, size)| Some((digest_of(name, WASM)?, *size)));
        let info =
            |(sha256, size_bytes)| ArtifactInfo { sha256, size_bytes, signed: sizes.contains_key(&minisig(sha256)) };
        Ok(files.map(info).collect())
    }

    fn forget(&self, sha256: Digest) -> Result<(), RegistryError> {
        let _turn = self.puts.lock();
        // a signature alone is swept at the next start; a file alone would be one that was never signed
        self.artifacts.remove(&wasm(sha256))?;
        self.artifacts.remove(&minisig(sha256))
    }

    fn head_number(&self) -> u64 {
        self.head.read().as_ref().map_or(0, |head| head.number)
    }

    fn commit(&self, base: u64, proposal: Proposal) -> Result<Revision, RegistryError> {
        let _turn = self.commits.lock();
        let current = self.head_number();
        if current != base {
            return Err(RegistryError::Conflict { current });
        }
        let revision = proposal.into_revision(base + 1);
        let kept = kept::encode(&revision, self.limits.revision_max_bytes)?;
        self.revisions.write(&json(revision.number), &kept, Placing::New)?;
        *self.head.write() = Some(revision.clone());
        Ok(revision)
    }
}

const WASM: &str = ".wasm";
const MINISIG: &str = ".minisig";
const JSON: &str = ".json";

fn wasm(sha256: Digest) -> String {
    format!("{sha256}{WASM}")
}

fn minisig(sha256: Digest) -> String {
    format!("{sha256}{MINISIG}")
}

fn json(number: u64) -> String {
    format!("{number}{JSON}")
}

/// Whose file it is; `None`: it is not one of ours.
fn digest_of(name: &str, ending: &str) -> Option<Digest> {
    name.strip_suffix(ending)?.parse().ok()
}

/// The number of a revision by its file's name, as [`json`] writes it.
fn number_of(name: &str) -> Option<u64> {
    let number = name.strip_suffix(JSON)?.parse().ok()?;
    (json(number) == name).then_some(number)
}

/// Takes away signatures whose files are gone: a forgetting that was cut short.
fn sweep_signatures(artifacts: &Folder) -> Result<(), RegistryError> {
    for (name, _) in artifacts.files()? {
        if let Some(sha256) = digest_of(&name, MINISIG)
            && artifacts.read(&wasm(sha256))?.is_none()
        {
            artifacts.remove(&name)?;
        }
    }
    Ok(())
}

/// The revision of the highest number, when it is whole and none before it is missing.
fn read_head(revisions: &Folder) -> Result<Option<Revision>, RegistryError> {
    let mut numbers: Vec<u64> = revisions.files()?.iter().filter_map(|(name, _)| number_of(name)).collect();
    numbers.sort_unstable();
    let missing = (1..).zip(&numbers).find_map(|(expected, number)| (expected != *number).then_some(expected));
    if let Some(missing) = missing {
        let path = revisions.path(&json(missing));
        return Err(RegistryError::Damaged(format!(
            "`{}` is missing, and there are later ones: restore it from a backup, or {} by moving all later ones away",
            path.display(),
            go_on_before(missing)
        )));
    }
    numbers.last().map(|last| read_revision(revisions, *last)).transpose().map_err(|error| match error {
        RegistryError::Damaged(what) => {
            RegistryError::Damaged(format!("{what}; or {} by moving it away", go_on_before(numbers.len() as u64)))
        }
        other => other,
    })
}

fn go_on_before(number: u64) -> String {
    match number {
        0 | 1 => "begin anew".into(),
        _ => format!("go on with revision {}", number - 1),
    }
}

fn read_revision(revisions: &Folder, number: u64) -> Result<Revision, RegistryError> {
    let file = json(number);
    let read = match revisions.read(&file)? {
        Some(kept) => kept::decode(number, &kept),
        None => Err("it is not there any more"),
    };
    read.map_err(|what| {
        let path = revisions.path(&file);
        RegistryError::Damaged(format!("`{}`: {what}: restore it from a backup", path.display()))
    })
}
