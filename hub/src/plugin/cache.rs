//! Compiled code on disk. Whoever could write there could run anything in the hub: each file is authenticated with a key
//! that is kept elsewhere.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::SystemTime,
};

use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::durable::{folder_of, rename_new, sync_folder};

/// The folder of compiled code, in the node's data folder.
pub const FOLDER: &str = "code";
const KEY_BYTES: usize = 32;
const TAG_BYTES: usize = 32;
const SUFFIX: &str = "code";

/// The secret of this node's cache.
pub struct CacheKey {
    secret: [u8; KEY_BYTES],
    /// Nothing was ever sealed with it.
    is_new: bool,
}

impl CacheKey {
    /// A key of this process: what it caches is of no use to the next one.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn random() -> io::Result<Self> {
        let mut secret = [0; KEY_BYTES];
        getrandom::fill(&mut secret).map_err(io::Error::other)?;
        Ok(Self { secret, is_new: true })
    }

    /// Reads a key's file, or makes one, which is there whole or not at all. Of those who make it at the same time one wins,
    /// and all have its key.
    ///
    /// # Errors
    /// When it cannot be read or made, is no key, or others may read it.
    pub fn open(file: &Path) -> io::Result<Self> {
        match Self::read(file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            read => return read,
        }
        let key = Self::random()?;
        match key.write(file) {
            Ok(()) => Ok(key),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Self::read(file),
            Err(error) => Err(error),
        }
    }

    fn read(file: &Path) -> io::Result<Self> {
        let wrong = |text: String| io::Error::new(io::ErrorKind::InvalidData, text);
        let bytes = fs::read(file)?;
        let mode = fs::metadata(file)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(wrong(format!("others may read it (mode {mode:o}): chmod 600")));
        }
        let found = bytes.len();
        let secret = bytes.try_into().map_err(|_| {
            wrong(format!("it has {found} bytes, a key has {KEY_BYTES}: remove it and another one is made"))
        })?;
        Ok(Self { secret, is_new: false })
    }

    /// Writes it where no file is. What a killed process leaves beside it is never read.
    fn write(&self, file: &Path) -> io::Result<()> {
        let mut unique = [0; 8];
        getrandom::fill(&mut unique).map_err(io::Error::other)?;
        let mut unfinished = file.as_os_str().to_owned();
        unfinished.push(format!(".{:016x}.tmp", u64::from_ne_bytes(unique)));
        let unfinished = PathBuf::from(unfinished);
        let written = || {
            let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
            out.write_all(&self.secret)?;
            out.sync_all()?;
            rename_new(&unfinished, file)
        };
        written().inspect_err(|_| {
            // what cannot be removed does no harm
            let _ = fs::remove_file(&unfinished);
        })?;
        sync_folder(folder_of(file))
    }

    fn mac(&self, name: &str, code: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.secret).expect("a MAC takes keys of any length");
        // the name is in it, so that no file stands for another
        mac.update(&(name.len() as u64).to_be_bytes());
        mac.update(name.as_bytes());
        mac.update(code);
        mac
    }
}

/// Whether a file lies in a folder or below it, whatever links lead there. A folder that is not there has nothing in it.
pub fn is_below(file: &Path, folder: &Path) -> bool {
    let found = file.canonicalize().or_else(|_| folder_of(file).canonicalize());
    found.is_ok_and(|found| folder.canonicalize().is_ok_and(|folder| found.starts_with(folder)))
}

/// A folder of compiled code. A cache: every error in it is logged, and costs compiling again.
pub struct CodeCache {
    dir: PathBuf,
    key: CacheKey,
    max_bytes: u64,
}

impl CodeCache {
    /// `max_bytes`: of all files together; beyond it those that were used longest ago go. With a new key all of them do: it
    /// seals none.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn open(dir: PathBuf, key: CacheKey, max_bytes: u64) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        let cache = Self { dir, key, max_bytes };
        if cache.key.is_new {
            cache.files().into_iter().for_each(|(_, _, path)| cache.remove(&path));
        }
        Ok(cache)
    }

    /// All files with their sizes, those that were used longest ago first.
    fn files(&self) -> Vec<(SystemTime, u64, PathBuf)> {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let file = |entry: fs::DirEntry| {
            let meta = entry.metadata().ok().filter(fs::Metadata::is_file)?;
            Some((meta.modified().ok()?, meta.len(), entry.path()))
        };
        let mut files: Vec<_> = entries.filter_map(file).collect();
        files.sort();
        files
    }

    /// The code that was put under a name, exactly as it was put.
    pub fn get(&self, name: &str) -> Option<Vec<u8>> {
        let path = self.path(name);
        let mut bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::warn!(file = %path.display(), %error, "compiled code is not read: compiling again");
                }
                return None;
            }
        };
        let whole = bytes.split_last_chunk::<TAG_BYTES>();
        if whole.is_none_or(|(code, tag)| self.key.mac(name, code).verify_slice(tag).is_err()) {
            tracing::warn!(file = %path.display(), "compiled code is not this node's, or was altered: compiling again");
            self.remove(&path);
            return None;
        }
        bytes.truncate(bytes.len() - TAG_BYTES);
        // what is used stays; that it cannot be noted is no harm
        let _ = File::open(&path).and_then(|file| file.set_modified(SystemTime::now()));
        Some(bytes)
    }

    /// Keeps code under a name of letters, digits and `-`.
    pub fn put(&self, name: &str, code: &[u8]) {
        let path = self.path(name);
        let temporary = path.with_extension("new");
        let write = || {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
            file.write_all(code)?;
            file.write_all(&self.key.mac(name, code).finalize().into_bytes())?;
            fs::rename(&temporary, &path)
        };
        if let Err(error) = write() {
            tracing::warn!(file = %path.display(), %error, "compiled code is not kept");
            self.remove(&temporary);
        }
        self.trim(&path);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name).with_extension(SUFFIX)
    }

    fn remove(&self, path: &Path) {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(file = %path.display(), %error, "not removed");
            }
            _ => {}
        }
    }

    /// Makes room; `kept` stays.
    fn trim(&self, kept: &Path) {
        let files = self.files();
        let mut used: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, bytes, path) in files {
            if used <= self.max_bytes {
                return;
            }
            if path != kept {
                used -= bytes;
                self.remove(&path);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    fn cache(dir: &TempDir, key: CacheKey, max_bytes: u64) -> CodeCache {
        CodeCache::open(dir.path().join("code"), key, max_bytes).unwrap()
    }

    fn key(byte: u8) -> CacheKey {
        CacheKey { secret: [byte; KEY_BYTES], is_new: false }
    }

    #[test]
    fn what_was_put_is_given_back_and_nothing_else() {
        let dir = TempDir::new().unwrap();
        let cache = cache(&dir, key(1), 1 << 20);
        assert_eq!(cache.get("one"), None);
        cache.put("one", b"code of one");
        cache.put("two", b"");
        assert_eq!(cache.get("one").as_deref(), Some(&b"code of one"[..]));
        assert_eq!(cache.get("two").as_deref(), Some(&b""[..]));
    }

    #[test]
    fn an_altered_file_is_thrown_away() {
        let dir = TempDir::new().unwrap();
        let cache = cache(&dir, key(1), 1 << 20);
        cache.put("one", b"code");
        let path = cache.path("one");
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut altered = whole.clone();
            altered[at] ^= 1;
            fs::write(&path, &altered).unwrap();
            assert_eq!(cache.get("one"), None, "byte {at}");
            assert!(!path.exists());
        }
        fs::write(&path, &whole[..10]).unwrap();
        assert_eq!(cache.get("one"), None);
    }

    #[test]
    fn no_file_stands_for_another_and_no_key_for_another() {
        let dir = TempDir::new().unwrap();
        let first = cache(&dir, key(1), 1 << 20);
        first.put("one", b"code");
        fs::copy(first.path("one"), first.path("two")).unwrap();
        assert_eq!(first.get("two"), None);
        assert_eq!(cache(&dir, key(2), 1 << 20).get("one"), None);
    }

    #[test]
    fn a_new_key_begins_with_an_empty_folder() {
        let dir = TempDir::new().unwrap();
        let first = cache(&dir, key(1), 1 << 20);
        first.put("one", b"code");
        let _ = cache(&dir, CacheKey::random().unwrap(), 1 << 20);
        assert!(!first.path("one").exists());
    }

    #[test]
    fn what_was_used_longest_ago_makes_room() {
        let dir = TempDir::new().unwrap();
        let cache = cache(&dir, key(1), 300);
        for name in ["one", "two"] {
            cache.put(name, &[0; 100]);
        }
        let long_ago = SystemTime::UNIX_EPOCH;
        File::open(cache.path("two")).unwrap().set_modified(long_ago).unwrap();
        cache.put("three", &[0; 100]);
        assert_eq!(["one", "two", "three"].map(|name| cache.get(name).is_some()), [true, false, true]);
        cache.put("large", &[0; 1000]);
        assert!(cache.get("large").is_some(), "what was just compiled is kept");
    }

    #[test]
    fn a_key_is_made_once_and_nobody_else_may_read_it() {
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("node.key");
        let made = CacheKey::open(&file).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(CacheKey::open(&file).unwrap().secret, made.secret);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        let text = |file: &Path| CacheKey::open(file).err().unwrap().to_string();
        assert_eq!(text(&file), "others may read it (mode 640): chmod 600");
        fs::write(&file, b"short").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(text(&file), "it has 5 bytes, a key has 32: remove it and another one is made");
    }

    #[test]
    fn a_key_that_was_half_written_is_in_nobodys_way() {
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("node.key");
        fs::write(dir.path().join("node.key.0123456789abcdef.tmp"), b"half").unwrap();
        let made = CacheKey::open(&file).unwrap();
        assert_eq!(CacheKey::open(&file).unwrap().secret, made.secret);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "the key, and what was left");
    }

    #[test]
    fn of_those_who_make_a_key_one_wins_and_all_have_it() {
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("node.key");
        let secrets: Vec<_> = std::thread::scope(|scope| {
            let makers: Vec<_> = (0..8).map(|_| scope.spawn(|| CacheKey::open(&file).unwrap().secret)).collect();
            makers.into_iter().map(|maker| maker.join().unwrap()).collect()
        });
        let kept = fs::read(&file).unwrap();
        assert!(secrets.iter().all(|secret| secret[..] == kept[..]));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        let late = key(1).write(&file).unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&file).unwrap(), kept, "it is never replaced");
    }

    #[test]
    fn a_file_is_below_a_folder_whatever_links_lead_there() {
        let dir = TempDir::new().unwrap();
        let code = dir.path().join(FOLDER);
        let check = |file: &Path, expect: bool| assert_eq!(is_below(file, &code), expect, "{}", file.display());
        check(&code.join("node.key"), false);
        fs::create_dir_all(code.join("deep")).unwrap();
        std::os::unix::fs::symlink(code.join("deep"), dir.path().join("link")).unwrap();
        fs::write(code.join("there.key"), b"").unwrap();
        check(&code.join("node.key"), true);
        check(&code.join("there.key"), true);
        check(&code.join("deep/node.key"), true);
        check(&dir.path().join("link/node.key"), true);
        check(&code.join("../node.key"), false);
        check(&dir.path().join("code.key"), false);
        check(Path::new("node.key"), false);
    }
}
