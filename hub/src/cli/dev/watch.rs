//! Waits for saves.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::{
    sync::Notify,
    time::{Instant, timeout},
};

use crate::durable::folder_of;

/// An editor writes a file in several steps, and a checkout many files: a save is over when it is quiet for so long.
const QUIET: Duration = Duration::from_millis(150);
/// Who never pauses is not waited for.
const QUIET_MAX: Duration = Duration::from_secs(2);
/// What counts in the crate's own folder; builds write there too.
const FILES: [&str; 2] = ["Cargo.toml", "build.rs"];

/// Looks at the files that make a component. Any number of saves that nobody has waited for count as one.
pub struct Watch {
    watcher: RecommendedWatcher,
    sources: Vec<PathBuf>,
    saved: Arc<Notify>,
}

/// What counts of what is looked at.
struct Counting {
    /// The crate's own folder.
    dir: PathBuf,
    sources: Vec<PathBuf>,
    files: Vec<PathBuf>,
}

impl Watch {
    /// Begins to look at `sources`, with what is in them, at the manifest in `dir`, and at `files`.
    ///
    /// # Errors
    /// When a file has no folder, or the system cannot watch: its limit on inotify watches may be reached.
    pub fn start<'f>(dir: &Path, sources: &[PathBuf], files: impl Iterator<Item = &'f Path>) -> anyhow::Result<Self> {
        let saved = Arc::new(Notify::new());
        // a file that is replaced is another one: its folder is looked at
        let in_folder = |file: &Path| {
            let folder = folder_of(file).canonicalize();
            let folder = folder.with_context(|| format!("cannot watch `{}`", file.display()))?;
            anyhow::Ok(folder.join(file.file_name().unwrap_or_default()))
        };
        let files = files.map(in_folder).collect::<anyhow::Result<Vec<_>>>()?;
        let mut folders: Vec<PathBuf> = files.iter().filter_map(|file| Some(file.parent()?.to_owned())).collect();
        folders.insert(0, dir.to_owned());
        let counting = Counting { dir: dir.to_owned(), sources: sources.to_vec(), files };
        let handle = {
            let saved = saved.clone();
            move |event: notify::Result<notify::Event>| match event {
                Ok(event) if event.kind.is_access() => {}
                Ok(event) => {
                    if event.paths.iter().any(|path| counting.has(path)) {
                        saved.notify_one();
                    }
                }
                // what was missed may have been a save
                Err(_) => saved.notify_one(),
            }
        };
        let mut watcher = notify::recommended_watcher(handle).context("cannot watch for saves")?;
        for folder in &folders {
            let watching = || format!("cannot watch `{}`", folder.display());
            watcher.watch(folder, RecursiveMode::NonRecursive).with_context(watching)?;
        }
        let mut watch = Self { watcher, sources: sources.to_vec(), saved };
        watch.look();
        Ok(watch)
    }

    /// Ready when something was saved and nothing more is being written.
    pub async fn saved(&mut self) {
        self.saved.notified().await;
        let begun = Instant::now();
        while begun.elapsed() < QUIET_MAX && timeout(QUIET, self.saved.notified()).await.is_ok() {}
        self.look();
    }

    /// A folder that was replaced is another one.
    fn look(&mut self) {
        for folder in &self.sources {
            // one that is not there comes back, or the build says so
            let _ = self.watcher.watch(folder, RecursiveMode::Recursive);
        }
    }
}

impl Counting {
    /// Whether a change of a file may change the component, or what is around it.
    fn has(&self, path: &Path) -> bool {
        self.sources.iter().any(|folder| path.starts_with(folder))
            || FILES.iter().any(|file| path == self.dir.join(file))
            || self.files.iter().any(|file| path == file)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(20);

    async fn saved(watch: &mut Watch) {
        timeout(DEADLINE, watch.saved()).await.expect("it was saved");
    }

    #[test]
    fn builds_do_not_count() {
        let sources = vec!["/crate/src".into(), "/other/src".into()];
        let counting = Counting { dir: "/crate".into(), sources, files: vec!["/etc/hub.toml".into()] };
        let counts = |path: &str| counting.has(path.as_ref());
        for path in [
            "/etc/hub.toml",
            "/crate/src/lib.rs",
            "/crate/src/a/b.rs",
            "/crate/Cargo.toml",
            "/other/src/lib.rs",
            "/crate/src",
        ] {
            assert!(counts(path), "{path}");
        }
        for path in ["/etc/hub.toml~", "/crate/Cargo.lock", "/crate/target", "/crate/README.md", "/crate/srcs/lib.rs"] {
            assert!(!counts(path), "{path}");
        }
    }

    #[tokio::test]
    async fn a_save_is_seen_however_it_is_done() {
        let dir = std::env::temp_dir().join(format!("hub-watch-{}", std::process::id()));
        let src = dir.join("src");
        fs::create_dir_all(&src).unwrap();
        fs::write(src.join("lib.rs"), "1").unwrap();
        let around = dir.join("around");
        fs::create_dir_all(&around).unwrap();
        let config = around.join("hub.toml");
        let mut watch = Watch::start(&dir, std::slice::from_ref(&src), [config.as_path()].into_iter()).unwrap();
        fs::write(&config, "1").unwrap();
        saved(&mut watch).await;
        fs::write(around.join("new"), "2").unwrap();
        fs::rename(around.join("new"), &config).unwrap();
        saved(&mut watch).await;
        fs::write(src.join("lib.rs"), "2").unwrap();
        saved(&mut watch).await;
        // as editors do that replace a file
        fs::write(dir.join("lib.rs.tmp"), "3").unwrap();
        fs::rename(dir.join("lib.rs.tmp"), src.join("lib.rs")).unwrap();
        saved(&mut watch).await;
        fs::write(dir.join("Cargo.toml"), "").unwrap();
        saved(&mut watch).await;
        // as a checkout does that replaces the folder
        fs::remove_dir_all(&src).unwrap();
        saved(&mut watch).await;
        fs::create_dir_all(src.join("deep")).unwrap();
        saved(&mut watch).await;
        fs::write(src.join("deep/mod.rs"), "4").unwrap();
        saved(&mut watch).await;
        fs::remove_dir_all(&dir).unwrap();
    }
}
