//! A plugin's file: what it is and what it wants, read before anything of it is compiled or runs.

use bytes::Bytes;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use wasmparser::{ComponentExternalKind, Encoding, Parser, Payload, Validator};

use super::settings::Capability;
use crate::event::Kind;

/// The ABI that this hub speaks: every `0.1.x` loads.
pub const ABI: &str = "0.1.0";
/// The custom section that holds the manifest.
const MANIFEST_SECTION: &str = "hubbub:manifest";
const MANIFEST_MAX_BYTES: usize = 64 * 1024;
/// A larger file is refused unread.
pub const FILE_MAX_BYTES: usize = 64 << 20;
/// The hub's interfaces, without the capabilities' ones.
const INTERFACES: [&str; 6] = ["types", "event", "rooms", "actions", "answer", "log"];
/// What a component may import beside the hub's own: standard interfaces, which get an empty context.
const WASI: [&str; 6] = ["wasi:cli/", "wasi:clocks/", "wasi:filesystem/", "wasi:io/", "wasi:random/", "wasi:sockets/"];

/// What a plugin says of itself.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Manifest {
    pub name: String,
    pub version: String,
    pub abi: String,
    /// The SDK that it was built with.
    #[serde(default)]
    pub sdk: Option<String>,
    #[serde(default)]
    pub subscriptions: Subscriptions,
}

/// What a plugin wants to be called for, as patterns.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub struct Subscriptions {
    /// Names of messages.
    pub messages: Vec<String>,
    pub namespaces: Vec<String>,
}

impl Default for Subscriptions {
    fn default() -> Self {
        Self { messages: vec!["*".into()], namespaces: vec!["*".into()] }
    }
}

/// A file that may be compiled: a well-formed component whose imports the hub knows.
#[derive(Clone, Debug)]
pub struct Artifact {
    pub bytes: Bytes,
    pub sha256: String,
    pub manifest: Manifest,
    /// Top-level imports, as the file names them.
    pub imports: Vec<String>,
    /// Which capabilities the imports need.
    pub needs: Vec<Capability>,
    pub hooks: Vec<Kind>,
    /// Of the file, what only debuggers read.
    pub debug_bytes: usize,
}

/// Why a file is no plugin for this hub. Each text says what would be right.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ArtifactError {
    #[error("the file has {bytes} bytes, allowed are {FILE_MAX_BYTES}")]
    TooLarge { bytes: usize },
    #[error("not WebAssembly: the file starts with {start}, a component with `\\0asm`")]
    NotWasm { start: String },
    #[error("a core WebAssembly module, not a component: build with `cargo build --target wasm32-wasip2 --release`")]
    CoreModule,
    #[error("damaged WebAssembly: {0}")]
    Damaged(String),
    #[error("the manifest in section `{MANIFEST_SECTION}` is unreadable: {0}")]
    Manifest(String),
    #[error("built for ABI hubbub:plugin {found}, this hub speaks {ABI}: rebuild it with a matching hubbub-plugin")]
    Abi { found: String },
    #[error("imports `{0}`, which this hub does not offer to plugins")]
    Import(String),
    #[error("exports no `hubbub:plugin/lifecycle`: say `hubbub_plugin::export!(YourPlugin: OnMessage);`")]
    NoLifecycle,
    #[error("exports no hook: it would never be called")]
    NoHook,
}

impl Artifact {
    /// Reads and checks a plugin's file. Nothing is compiled.
    pub fn parse(bytes: impl Into<Bytes>) -> Result<Self, ArtifactError> {
        let bytes = bytes.into();
        if bytes.len() > FILE_MAX_BYTES {
            return Err(ArtifactError::TooLarge { bytes: bytes.len() });
        }
        if !bytes.starts_with(b"\0asm") {
            let start = String::from_utf8_lossy(&bytes[..bytes.len().min(8)]).escape_default().to_string();
            return Err(ArtifactError::NotWasm { start: format!("`{start}`") });
        }
        if Parser::is_core_wasm(&bytes) {
            return Err(ArtifactError::CoreModule);
        }
        let damaged = |e: wasmparser::BinaryReaderError| ArtifactError::Damaged(e.to_string());
        let parts = Parts::read(&bytes)?;
        let abi = parts.abi()?;
        let (hooks, needs) = (parts.hooks(), parts.needs()?);
        Validator::new().validate_all(&bytes).map_err(damaged)?;
        if !parts.exports.iter().any(|e| e.starts_with("hubbub:plugin/lifecycle@")) {
            return Err(ArtifactError::NoLifecycle);
        }
        if hooks.is_empty() {
            return Err(ArtifactError::NoHook);
        }
        let manifest = match &parts.manifest {
            Some(json) => {
                let manifest: Manifest =
                    serde_json::from_slice(json).map_err(|e| ArtifactError::Manifest(e.to_string()))?;
                check_abi(&manifest.abi)?;
                manifest
            }
            // written in a language whose SDK makes none
            None => Manifest {
                name: "unnamed".into(),
                version: "0.0.0".into(),
                abi,
                sdk: None,
                subscriptions: Subscriptions::default(),
            },
        };
        let sha256 = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
        let debug_bytes = parts.debug_bytes;
        Ok(Self { sha256, manifest, imports: parts.imports, needs, hooks, debug_bytes, bytes })
    }
}

/// What stands at the top of a component.
#[derive(Default)]
struct Parts {
    imports: Vec<String>,
    exports: Vec<String>,
    manifest: Option<Vec<u8>>,
    debug_bytes: usize,
}

impl Parts {
    fn read(bytes: &[u8]) -> Result<Self, ArtifactError> {
        let damaged = |e: wasmparser::BinaryReaderError| ArtifactError::Damaged(e.to_string());
        let mut parts = Self::default();
        let mut depth = 0usize;
        for payload in Parser::new(0).parse_all(bytes) {
            match payload.map_err(damaged)? {
                Payload::Version { encoding: Encoding::Component, .. } => depth += 1,
                Payload::Version { encoding: Encoding::Module, .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(section) if depth == 1 => {
                    for import in section {
                        parts.imports.push(import.map_err(damaged)?.name.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(section) if depth == 1 => {
                    for export in section {
                        let export = export.map_err(damaged)?;
                        if export.kind == ComponentExternalKind::Instance {
                            parts.exports.push(export.name.name.to_owned());
                        }
                    }
                }
                Payload::CustomSection(section) if section.name() == MANIFEST_SECTION => {
                    if section.data().len() > MANIFEST_MAX_BYTES {
                        return Err(ArtifactError::Manifest(format!(
                            "it has {} bytes, allowed are {MANIFEST_MAX_BYTES}",
                            section.data().len()
                        )));
                    }
                    parts.manifest = Some(section.data().to_vec());
                }
                Payload::CustomSection(section) if section.name().starts_with(".debug_") => {
                    parts.debug_bytes += section.data().len();
                }
                _ => {}
            }
        }
        Ok(parts)
    }

    /// The ABI version in the names of imports and exports; all must be one that this hub speaks.
    fn abi(&self) -> Result<String, ArtifactError> {
        let mut found = ABI.to_owned();
        for name in self.imports.iter().chain(&self.exports) {
            if let Some((_, version)) = name.strip_prefix("hubbub:plugin/").and_then(|n| n.split_once('@')) {
                check_abi(version)?;
                version.clone_into(&mut found);
            }
        }
        Ok(found)
    }

    fn hooks(&self) -> Vec<Kind> {
        let exported = |kind: &Kind| {
            let prefix = format!("hubbub:plugin/{}@", kind.hook().replace('_', "-"));
            self.exports.iter().any(|e| e.starts_with(&prefix))
        };
        Kind::ALL.into_iter().filter(exported).collect()
    }

    /// The capabilities that the imports need. An import that nobody offers is an error.
    fn needs(&self) -> Result<Vec<Capability>, ArtifactError> {
        let mut needs = Vec::new();
        for import in &self.imports {
            let Some(interface) = import.strip_prefix("hubbub:plugin/") else {
                if WASI.iter().any(|w| import.starts_with(w)) {
                    continue;
                }
                return Err(ArtifactError::Import(import.clone()));
            };
            let interface = interface.split('@').next().unwrap_or(interface);
            match Capability::ALL.into_iter().find(|c| c.as_str() == interface) {
                Some(capability) => needs.push(capability),
                None if INTERFACES.contains(&interface) => {}
                None => return Err(ArtifactError::Import(import.clone())),
            }
        }
        Ok(needs)
    }
}

/// Same major, and below 1.0 the same minor.
fn check_abi(version: &str) -> Result<(), ArtifactError> {
    let minor = |v: &str| v.split('.').take(2).map(str::to_owned).collect::<Vec<_>>();
    if minor(version) == minor(ABI) { Ok(()) } else { Err(ArtifactError::Abi { found: version.to_owned() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: impl Into<Bytes>, expect: &str) {
        assert_eq!(Artifact::parse(bytes).expect_err("a refusal").to_string(), expect);
    }

    fn component(text: &str) -> Vec<u8> {
        wat::parse_str(text).expect("the test's text is a component")
    }

    #[test]
    fn what_is_no_component_is_refused_with_what_would_be_right() {
        check(&b"#!/bin/sh\n"[..], "not WebAssembly: the file starts with `#!/bin/s`, a component with `\\0asm`");
        check("", "not WebAssembly: the file starts with ``, a component with `\\0asm`");
        check(
            component("(module)"),
            "a core WebAssembly module, not a component: build with `cargo build --target wasm32-wasip2 --release`",
        );
        check(
            component("(component)"),
            "exports no `hubbub:plugin/lifecycle`: say `hubbub_plugin::export!(YourPlugin: OnMessage);`",
        );
    }

    #[test]
    fn imports_that_nobody_offers_are_named() {
        check(
            component(r#"(component (import "evil:host/shell@1.0.0" (instance)))"#),
            "imports `evil:host/shell@1.0.0`, which this hub does not offer to plugins",
        );
        check(
            component(r#"(component (import "hubbub:plugin/telepathy@0.1.0" (instance)))"#),
            "imports `hubbub:plugin/telepathy@0.1.0`, which this hub does not offer to plugins",
        );
    }

    #[test]
    fn another_abi_is_refused_before_anything_else_is_looked_at() {
        check(
            component(r#"(component (import "hubbub:plugin/event@0.9.0" (instance)))"#),
            "built for ABI hubbub:plugin 0.9.0, this hub speaks 0.1.0: rebuild it with a matching hubbub-plugin",
        );
    }

    #[test]
    fn a_truncated_file_is_damaged() {
        let whole = component(r#"(component (import "wasi:io/poll@0.2.0" (instance)))"#);
        let error = Artifact::parse(whole[..whole.len() - 3].to_vec()).expect_err("a refusal");
        assert!(matches!(error, ArtifactError::Damaged(_)), "{error}");
    }

    #[test]
    fn debug_information_is_counted_wherever_it_is() {
        let text = r#"(component (core module (@custom ".debug_line" "12345") (@custom "name" "")) (@custom ".debug_str" "67"))"#;
        assert_eq!(Parts::read(&component(text)).unwrap().debug_bytes, 7);
    }

    #[test]
    fn a_patch_release_of_the_abi_loads() {
        assert_eq!(check_abi("0.1.7"), Ok(()));
        assert!(check_abi("1.1.0").is_err());
    }
}
