//! Folders that go with their tests.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::Alteration;

/// A path in the system's folder for temporary files, where nothing is at first.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(test: &str) -> Self {
        Self(std::env::temp_dir().join(format!("hubbub-registry-{}-{test}", std::process::id())))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Alters a file in place.
    pub(super) fn alter(&self, file: &str, change: &Alteration) {
        let mut bytes = fs::read(self.0.join(file)).unwrap();
        change(&mut bytes);
        fs::write(self.0.join(file), bytes).unwrap();
    }

    /// Names of the files in a folder of it, in order.
    pub(super) fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.0.join(folder)).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A file system of its own, so small that it is soon full.
pub(super) struct SmallDisk(Folder);

impl SmallDisk {
    /// `None` where this process may not mount one.
    pub(super) fn mount(test: &str, size: &str) -> Option<Self> {
        let folder = Folder::new(test);
        fs::create_dir_all(folder.path()).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(folder.path());
        mount.output().ok()?.status.success().then_some(Self(folder))
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}
