//! A folder whose files are there whole or not at all, whenever the process is killed or the machine stops.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::RegistryError;
use crate::durable::{rename_new, sync_folder};

/// What a file is called until it is whole.
const UNFINISHED: &str = ".tmp";
/// What is kept may hold secrets: it is for its owner alone.
const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;

/// One folder. Who writes takes care that nobody else writes the same file at the same time.
pub(super) struct Folder {
    path: PathBuf,
}

/// A file of a folder.
pub(super) struct FoundFile {
    pub name: String,
    pub size_bytes: u64,
    pub modified: SystemTime,
}

/// What becomes of a file that is there already.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Placing {
    /// It stays, and writing is an error.
    New,
    /// The new one takes its place, in one step.
    Replacing,
}

impl Folder {
    /// Opens the folder, or makes it. Nobody else may read it then, whoever could before.
    pub(super) fn open(path: &Path) -> Result<Self, RegistryError> {
        let opened = || {
            DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(path)?;
            if fs::metadata(path)?.permissions().mode() & 0o7777 != FOLDER_MODE {
                fs::set_permissions(path, Permissions::from_mode(FOLDER_MODE))?;
            }
            path.parent().map_or(Ok(()), sync_folder)
        };
        opened().map_err(|error| cannot("open the folder", path, &error))?;
        Ok(Self { path: path.to_owned() })
    }

    /// Where a file of this name is.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Takes away what a killed process has not finished.
    pub(super) fn sweep(&self) -> Result<(), RegistryError> {
        for FoundFile { name, .. } in self.files()? {
            if name.ends_with(UNFINISHED) {
                self.remove(&name)?;
            }
        }
        Ok(())
    }

    /// All files whose names are text.
    pub(super) fn files(&self) -> Result<Vec<FoundFile>, RegistryError> {
        let listed = || {
            let mut files = Vec::new();
            for entry in fs::read_dir(&self.path)? {
                let entry = entry?;
                match entry.metadata() {
                    Ok(metadata) if metadata.is_file() => {
                        // a name that is no text is none of ours
                        let Ok(name) = entry.file_name().into_string() else { continue };
                        files.push(FoundFile { name, size_bytes: metadata.len(), modified: metadata.modified()? });
                    }
                    Ok(_) => {}
                    // removed meanwhile
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(files)
        };
        listed().map_err(|error| cannot("list", &self.path, &error))
    }

    /// Whether there is such a file.
    pub(super) fn has(&self, name: &str) -> Result<bool, RegistryError> {
        self.path(name).try_exists().map_err(|error| cannot("look for", &self.path(name), &error))
    }

    /// What a file holds; `None`: there is none.
    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, RegistryError> {
        match fs::read(self.path(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(cannot("read", &self.path(name), &error)),
        }
    }

    /// Writes a file whole. It is on the disk when this returns; after an error it is as if nothing had been written.
    pub(super) fn write(&self, name: &str, bytes: &[u8], placing: Placing) -> Result<(), RegistryError> {
        let path = self.path(name);
        let unfinished = self.path(&format!("{name}{UNFINISHED}"));
        let written = write_and_sync(&unfinished, bytes).and_then(|()| place(&unfinished, &path, placing));
        if let Err(error) = written {
            // what cannot be removed now is swept at the next start
            let _ = fs::remove_file(&unfinished);
            return Err(cannot("write", &path, &error));
        }
        sync_folder(&self.path).map_err(|error| {
            if placing == Placing::New {
                // who was told that it failed must not find it; what stays all the same refuses the next one of this name
                let _ = fs::remove_file(&path);
            }
            cannot("write", &path, &error)
        })
    }

    /// Sets the time of a file's last change. It need not outlive the machine.
    pub(super) fn touch(&self, name: &str, time: SystemTime) -> Result<(), RegistryError> {
        let path = self.path(name);
        let touched = File::options().write(true).open(&path).and_then(|file| file.set_modified(time));
        touched.map_err(|error| cannot("write", &path, &error))
    }

    /// Removes a file, if there is one.
    pub(super) fn remove(&self, name: &str) -> Result<(), RegistryError> {
        match fs::remove_file(self.path(name)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(cannot("remove", &self.path(name), &error)),
        }
        sync_folder(&self.path).map_err(|error| cannot("remove", &self.path(name), &error))
    }

    /// Takes the folder for this process alone, until what it gives is dropped.
    pub(super) fn lock(&self, name: &str) -> Result<File, RegistryError> {
        let path = self.path(name);
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(FILE_MODE);
        let file = options.open(&path).map_err(|error| cannot("open", &path, &error))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(fs::TryLockError::WouldBlock) => Err(RegistryError::Unavailable(format!(
                "`{}` is in use by another process: stop it, or give each node a data_dir of its own",
                self.path.display()
            ))),
            Err(fs::TryLockError::Error(error)) => Err(cannot("lock", &path, &error)),
        }
    }
}

fn write_and_sync(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(FILE_MODE).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn place(from: &Path, to: &Path, placing: Placing) -> io::Result<()> {
    match placing {
        Placing::New => rename_new(from, to),
        Placing::Replacing => fs::rename(from, to),
    }
}

fn cannot(act: &str, path: &Path, error: &io::Error) -> RegistryError {
    RegistryError::Unavailable(format!("cannot {act} `{}`: {error}", path.display()))
}
