//! Files, and what is made or said of them.

mod right;
mod variables;
mod wrong;
mod wrong_values;

use std::path::{Path, PathBuf};

use super::{Config, ConfigError, file};

/// A plugin that is right, to put something wrong behind it: its file is one that is there.
const PLUGIN: &str = "[[plugin]]\nname = \"a\"\nfile = \"Cargo.toml\"\n";

/// The folder that paths in the files count from.
fn base() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn parse(text: &str) -> Result<Config, ConfigError> {
    file::parse(text, &base().join("hub.toml"))
}

/// What is said of a wrong file.
#[track_caller]
fn check(text: &str, expected: &str) {
    let error = parse(text).expect_err(text);
    assert_eq!(error.to_string(), expected, "of this file:\n{text}");
}

/// The same with [`PLUGIN`] before it.
#[track_caller]
fn check_plugin(text: &str, expected: &str) {
    check(&format!("{PLUGIN}{text}"), expected);
}

/// A file of its own in a folder that is removed when it is dropped.
struct File {
    path: PathBuf,
}

impl File {
    fn new(name: &str, text: &[u8]) -> Self {
        let dir = std::env::temp_dir().join(format!("hub-config-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("hub.toml");
        std::fs::write(&path, text).unwrap();
        Self { path }
    }
}

impl Drop for File {
    fn drop(&mut self) {
        std::fs::remove_dir_all(self.path.parent().unwrap()).unwrap();
    }
}
