//! The registry of a single node: a folder of files.
//!
//! | file | holds |
//! |---|---|
//! | `artifacts/SHA256.wasm` | a plugin |
//! | `artifacts/SHA256.minisig` | its signature, as the minisign tool writes and reads it |
//! | `revisions/NUMBER.json` | a revision, with a check of its own; the highest number is the head, the lowest the oldest that is kept |
//! | `lock` | locked while a process has the registry |
//!
//! Signatures have no check beside themselves: whoever demands one verifies it, and a signature that was taken away or
//! altered is none.

use std::{
    collections::{BTreeMap, HashSet},
    fs::File,
    ops::RangeInclusive,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use parking_lot::{Mutex, RwLock};

use super::{
    Artifact, ArtifactInfo, Digest, Doing, Limits, Proposal, PutFile, Registry, RegistryError, Revision,
    files::{Folder, FoundFile, Placing},
    kept,
};
use crate::signature::SIGNATURE_MAX_BYTES;

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
    /// Whoever holds it makes the next revision, or forgets files that none names. Taken after `puts`.
    commits: Mutex<()>,
    history: RwLock<History>,
    _lock: File,
}

/// The revisions that are kept.
struct History {
    head: Option<Revision>,
    /// The number of the oldest one; 1 when there is none.
    oldest: u64,
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
        let history = RwLock::new(History::read(&revisions)?);
        let (puts, commits) = Default::default();
        let shared = Shared { limits, artifacts, revisions, puts, commits, history, _lock: lock };
        shared.forget_oldest();
        Ok(Self { shared: Arc::new(shared) })
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

    fn head(&self) -> Doing<'_, Option<Revision>> {
        Box::pin(async { Ok(self.shared.history.read().head.clone()) })
    }

    fn revision(&self, number: u64) -> Doing<'_, Option<Revision>> {
        self.blocking(move |shared| shared.revision(number))
    }

    fn history(&self, before: Option<u64>, limit: usize) -> Doing<'_, Vec<Revision>> {
        self.blocking(move |shared| {
            let kept = shared.kept();
            let behind_last = before.unwrap_or(u64::MAX).min(kept.end() + 1);
            let numbers = (*kept.start()..behind_last).rev().take(limit);
            numbers.map_while(|number| shared.revision(number).transpose()).collect()
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
        let files = self.artifacts.files()?;
        // later than every file, although clocks are coarse and may be set back
        let latest = files.iter().map(|file| file.modified).max().unwrap_or(UNIX_EPOCH);
        if kept.is_none_or(|kept| Digest::of(&kept) != sha256) {
            self.make_room(sha256, artifact.bytes.len() as u64, files)?;
            self.artifacts.write(&wasm(sha256), &artifact.bytes, Placing::Replacing)?;
        }
        // who puts it again is about to name it
        self.artifacts.touch(&wasm(sha256), SystemTime::now().max(latest + Duration::from_micros(1)))?;
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
        let signature = self.artifacts.read(&minisig(sha256))?.and_then(signature);
        Ok(Some(Artifact { bytes: bytes.into(), signature }))
    }

    /// So that a file of this size may be put beside those that are there.
    fn make_room(&self, sha256: Digest, size_bytes: u64, files: Vec<FoundFile>) -> Result<(), RegistryError> {
        let put_file = |file: FoundFile| {
            let put = file.modified.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
            Some(PutFile { sha256: digest_of(&file.name, WASM)?, size_bytes: file.size_bytes, put })
        };
        let others = files.into_iter().filter_map(put_file).filter(|other| other.sha256 != sha256);
        // what is forgotten here is not named by a revision that comes in between
        let _turn = self.commits.lock();
        for forgotten in self.limits.make_room(size_bytes, others.collect(), || self.named())? {
            tracing::info!(sha256 = %forgotten, "a plugin's file that no revision names makes room for another");
            // a signature alone is swept at the next start; a file alone would be one that was never signed
            self.artifacts.remove(&wasm(forgotten))?;
            self.artifacts.remove(&minisig(forgotten))?;
        }
        Ok(())
    }

    /// What the kept revisions name. A damaged one cannot come into force again and names nothing.
    fn named(&self) -> Result<HashSet<Digest>, RegistryError> {
        let mut named = HashSet::new();
        for number in self.kept() {
            match self.revision(number) {
                Ok(revision) => {
                    named.extend(revision.into_iter().flat_map(|it| it.plugins).map(|plugin| plugin.sha256))
                }
                Err(RegistryError::Damaged(_)) => {}
                Err(other) => return Err(other),
            }
        }
        Ok(named)
    }

    fn artifacts(&self) -> Result<Vec<ArtifactInfo>, RegistryError> {
        let files = self.artifacts.files()?.into_iter();
        let sizes: BTreeMap<String, u64> = files.map(|file| (file.name, file.size_bytes)).collect();
        let files = sizes.iter().filter_map(|(name, size)| Some((digest_of(name, WASM)?, *size)));
        let info =
            |(sha256, size_bytes)| ArtifactInfo { sha256, size_bytes, signed: sizes.contains_key(&minisig(sha256)) };
        Ok(files.map(info).collect())
    }

    /// The numbers of the revisions that are kept.
    fn kept(&self) -> RangeInclusive<u64> {
        let history = self.history.read();
        history.oldest..=history.number()
    }

    fn revision(&self, number: u64) -> Result<Option<Revision>, RegistryError> {
        if !self.kept().contains(&number) {
            return Ok(None);
        }
        let read = read_revision(&self.revisions, number);
        // it may have been forgotten meanwhile
        if self.kept().contains(&number) { read.map(Some) } else { Ok(None) }
    }

    fn commit(&self, base: u64, proposal: Proposal) -> Result<Revision, RegistryError> {
        let _turn = self.commits.lock();
        let current = self.history.read().number();
        if current != base {
            return Err(RegistryError::Conflict { current });
        }
        for plugin in &proposal.plugins {
            if !self.artifacts.has(&wasm(plugin.sha256))? {
                return Err(RegistryError::Missing(plugin.sha256));
            }
        }
        let revision = proposal.into_revision(base + 1);
        let kept = kept::encode(&revision, self.limits.revision_max_bytes)?;
        self.revisions.write(&json(revision.number), &kept, Placing::New)?;
        self.history.write().head = Some(revision.clone());
        self.forget_oldest();
        Ok(revision)
    }

    /// Of more revisions than are kept, the first: one after the other, so that a kill leaves no gap.
    fn forget_oldest(&self) {
        while self.kept().count() as u64 > self.limits.revisions_max.max(1) {
            let oldest = {
                let mut history = self.history.write();
                history.oldest += 1;
                history.oldest - 1
            };
            if let Err(error) = self.revisions.remove(&json(oldest)) {
                // the commit stands; the next one tries again
                tracing::warn!(%error, revision = oldest, "an old revision of the chain is not forgotten");
                self.history.write().oldest = oldest;
                return;
            }
        }
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

/// What is no text, or too long for one, is no signature.
fn signature(text: Vec<u8>) -> Option<String> {
    Some(text).filter(|text| text.len() <= SIGNATURE_MAX_BYTES).and_then(|text| String::from_utf8(text).ok())
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
    for FoundFile { name, .. } in artifacts.files()? {
        if let Some(sha256) = digest_of(&name, MINISIG)
            && !artifacts.has(&wasm(sha256))?
        {
            artifacts.remove(&name)?;
        }
    }
    Ok(())
}

impl History {
    /// When the revision of the highest number is whole and none is missing between the lowest and it.
    fn read(revisions: &Folder) -> Result<Self, RegistryError> {
        let mut numbers: Vec<u64> = revisions.files()?.iter().filter_map(|file| number_of(&file.name)).collect();
        numbers.sort_unstable();
        let (Some(&oldest), Some(&last)) = (numbers.first(), numbers.last()) else {
            return Ok(Self { head: None, oldest: 1 });
        };
        let missing = (oldest..).zip(&numbers).find_map(|(expected, number)| (expected != *number).then_some(expected));
        if let Some(missing) = missing {
            let path = revisions.path(&json(missing));
            return Err(RegistryError::Damaged(format!(
                "`{}` is missing, and there are later ones: restore it from a backup, or go on with revision {} by moving \
                 all later ones away",
                path.display(),
                missing - 1
            )));
        }
        match read_revision(revisions, last) {
            Ok(head) => Ok(Self { head: Some(head), oldest }),
            Err(RegistryError::Damaged(what)) => {
                let go_on = match last == oldest {
                    true => "begin anew".to_owned(),
                    false => format!("go on with revision {}", last - 1),
                };
                Err(RegistryError::Damaged(format!("{what}; or {go_on} by moving it away")))
            }
            Err(other) => Err(other),
        }
    }

    /// The head's; 0: there is none.
    fn number(&self) -> u64 {
        self.head.as_ref().map_or(0, |head| head.number)
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
