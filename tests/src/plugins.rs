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

/// The component of `stamp` as its build of this number: other code, as long as the first one, which has number 0.
///
/// # Panics
/// When the component is not as its source says.
pub fn stamp_build(number: u32) -> Vec<u8> {
    let component = component("stamp");
    let (old, new) = (b"stamp build 00000", format!("stamp build {number:05}"));
    assert_eq!(new.len(), old.len(), "builds are numbered up to 99999");
    replace(component, old, new.as_bytes())
}

/// The component of a package, in no way different but for a section that nobody reads: a file that no node has seen.
///
/// # Panics
/// When it cannot be read.
pub fn unseen(package: &str, number: u32) -> Vec<u8> {
    let mut bytes = component(package);
    // a custom section: its id, its length, the length of its name, its name, its content
    bytes.extend(b"\0\x0b\x06number");
    bytes.extend(number.to_le_bytes());
    bytes
}

/// The bytes of a package's component.
///
/// # Panics
/// When it cannot be read.
pub fn component(package: &str) -> Vec<u8> {
    std::fs::read(wasm(package)).expect("the component was built")
}

/// Replaces these bytes by others wherever a component has them.
///
/// # Panics
/// When it has them nowhere.
pub fn replace(mut component: Vec<u8>, old: &[u8], new: &[u8]) -> Vec<u8> {
    assert_eq!(old.len(), new.len(), "a component's parts know their lengths");
    let places: Vec<usize> =
        component.windows(old.len()).enumerate().filter(|(_, w)| *w == old).map(|(at, _)| at).collect();
    assert!(!places.is_empty(), "it has no `{}`", String::from_utf8_lossy(old));
    for at in places {
        component[at..at + old.len()].copy_from_slice(new);
    }
    component
}
