//! The components that scenarios load, built as their authors would.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// Every plugin of the workspace, by package name.
const PACKAGES: [&str; 14] = [
    "hello",
    "echo",
    "rooms",
    "chat-rooms",
    "moderation",
    "auth-token",
    "word-filter",
    "router",
    "pass",
    "stamp",
    "hostile",
    "probe",
    "identity",
    "keeper",
];

/// The workspace's folder.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this crate lies in the workspace")
}

/// The built component of a package. Builds all of them at the first call; that is quick when nothing changed.
///
/// # Panics
/// When they do not build: the compiler has said why.
pub fn wasm(package: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let dir = BUILT.get_or_init(|| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(workspace()).args(["build", "--quiet", "--profile", "plugin", "--target", "wasm32-wasip2"]);
        PACKAGES.iter().for_each(|p| {
            cargo.args(["-p", p]);
        });
        let status = cargo.status().expect("cargo runs");
        assert!(status.success(), "the plugins do not build");
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from);
        target.join("wasm32-wasip2/plugin")
    });
    dir.join(format!("{}.wasm", package.replace('-', "_")))
}
