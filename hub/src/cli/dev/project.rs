//! The author's crate: what cargo says of it, and its build.

use std::{
    env,
    ffi::OsString,
    io::{self, IsTerminal as _},
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, bail, ensure};
use serde_json::{Map, Value};
use tokio::process::Command;

use crate::config::PluginConfig;

/// What components are built for.
const TARGET: &str = "wasm32-wasip2";

/// A crate that makes a plugin.
#[derive(Debug, PartialEq)]
pub struct Project {
    /// What the plugin is called in the chain.
    pub name: String,
    /// The keys of its `[[plugin]]`, from `[package.metadata.hubbub]`; without `name` and `file`.
    pub settings: Map<String, Value>,
    manifest: PathBuf,
    /// The library that becomes the component.
    library: String,
    /// The folders of sources: its own, and those of the crates in its workspace.
    sources: Vec<PathBuf>,
}

/// Where the compiler's words go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Words {
    /// To the screen while it works: the first build takes long.
    Live,
    /// To the screen when there is something to say: warnings and errors.
    IfAny,
}

impl Project {
    /// Asks cargo what the crate in a folder is.
    ///
    /// # Errors
    /// When there is none, or it makes no component.
    pub async fn read(dir: &Path) -> anyhow::Result<Self> {
        let manifest = dir.join("Cargo.toml");
        ensure!(
            manifest.is_file(),
            "there is no `{}`: go to the folder of a plugin, name it with --path, or make one with `hubbub plugin new`",
            manifest.display()
        );
        let manifest = manifest.canonicalize().with_context(|| format!("cannot find `{}`", manifest.display()))?;
        let mut cargo = cargo("metadata", &manifest);
        let output = cargo.args(["--no-deps", "--format-version", "1"]).output().await.context("cannot run cargo")?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr).trim_end());
        }
        Self::of(&serde_json::from_slice(&output.stdout).context("cannot read what `cargo metadata` says")?, manifest)
    }

    fn of(metadata: &Value, manifest: PathBuf) -> anyhow::Result<Self> {
        let packages = metadata["packages"].as_array().context("`cargo metadata` names no packages")?;
        let manifest_of = |package: &Value| package["manifest_path"].as_str().map(PathBuf::from);
        let package = packages.iter().find(|package| manifest_of(package).as_deref() == Some(&*manifest));
        let package = package.with_context(|| format!("`{}` is no package", manifest.display()))?;
        let is_component = |target: &&Value| target["kind"].as_array().is_some_and(|k| k.contains(&"cdylib".into()));
        let library = package["targets"].as_array().into_iter().flatten().find(is_component);
        let library = library.and_then(|target| target["name"].as_str()).with_context(|| {
            let right = "write crate-type = [\"cdylib\", \"rlib\"] under [lib]";
            format!("`{}` makes no component: {right}", manifest.display())
        })?;
        let mut settings = match &package["metadata"]["hubbub"] {
            Value::Null => Map::new(),
            Value::Object(settings) => settings.clone(),
            _ => bail!("`{}`: package.metadata.hubbub: expected a table", manifest.display()),
        };
        let crate_name = package["name"].as_str().context("a package has a name")?;
        // the names of crates may have what those of plugins have not
        let name = match settings.remove("name") {
            Some(name) => name.as_str().unwrap_or_default().to_owned(),
            None => crate_name.replace('_', "-").to_lowercase(),
        };
        let name = PluginConfig::parse_name(&name).with_context(|| {
            format!("`{name}`: expected {}; name it as `name` in [package.metadata.hubbub]", PluginConfig::NAMES)
        })?;
        ensure!(
            !settings.contains_key("file"),
            "package.metadata.hubbub.file: unknown key, cargo says which file it is"
        );
        let sources = packages.iter().filter_map(|package| Some(manifest_of(package)?.parent()?.join("src")));
        Ok(Self { name, settings, library: library.to_owned(), sources: sources.collect(), manifest })
    }

    /// Builds the component; `None`: it does not build, and the compiler has said why. A build that nobody waits for is
    /// ended.
    ///
    /// # Errors
    /// When cargo does not run, or makes no component.
    pub async fn build(&self, words: Words) -> anyhow::Result<Option<PathBuf>> {
        let mut cargo = cargo("build", &self.manifest);
        cargo.args(["--target", TARGET, "--release", "--message-format", "json-render-diagnostics"]);
        match words {
            Words::Live => cargo.stderr(Stdio::inherit()),
            Words::IfAny => {
                let colour = if io::stderr().is_terminal() { "always" } else { "never" };
                cargo.args(["--quiet", "--color", colour]).stderr(Stdio::piped())
            }
        };
        let output = cargo.stdin(Stdio::null()).stdout(Stdio::piped()).output().await.context("cannot run cargo")?;
        eprint!("{}", String::from_utf8_lossy(&output.stderr));
        if !output.status.success() {
            return Ok(None);
        }
        let component = output.stdout.split(|byte| *byte == b'\n').find_map(|line| self.component(line));
        component.map(Some).with_context(|| format!("cargo has made no component of `{}`", self.library))
    }

    /// The component's file, when a line of cargo's says that it was made.
    fn component(&self, line: &[u8]) -> Option<PathBuf> {
        let said: Value = serde_json::from_slice(line).ok()?;
        let is_ours = said["reason"] == "compiler-artifact"
            && said["target"]["name"] == self.library
            && said["manifest_path"].as_str().map(Path::new) == Some(&self.manifest);
        let mut files = said["filenames"].as_array().filter(|_| is_ours)?.iter().filter_map(Value::as_str);
        files.find(|file| file.ends_with(".wasm")).map(PathBuf::from)
    }

    /// The folder of the crate.
    pub fn dir(&self) -> &Path {
        self.manifest.parent().unwrap_or(Path::new("/"))
    }

    /// The folders whose files make the component.
    pub fn sources(&self) -> &[PathBuf] {
        &self.sources
    }
}

#[cfg(test)]
impl Project {
    /// One that no cargo knows.
    pub fn for_tests(name: &str, settings: Value) -> Self {
        Self {
            name: name.into(),
            settings: settings.as_object().cloned().unwrap_or_default(),
            manifest: "/crate/Cargo.toml".into(),
            library: name.replace('-', "_"),
            sources: Vec::new(),
        }
    }
}

fn cargo(command: &str, manifest: &Path) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    // in the crate's own folder, for its toolchain file
    cargo.current_dir(manifest.parent().unwrap_or(Path::new("/"))).arg(command).arg("--manifest-path").arg(manifest);
    cargo.kill_on_drop(true);
    cargo
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn metadata(package: Value) -> Value {
        let mut package = package;
        package["manifest_path"] = json!("/crate/Cargo.toml");
        json!({ "packages": [{ "name": "hubbub-plugin", "manifest_path": "/crate/hubbub-plugin/Cargo.toml" }, package] })
    }

    fn read(package: Value) -> anyhow::Result<Project> {
        Project::of(&metadata(package), "/crate/Cargo.toml".into())
    }

    #[test]
    fn a_crate_says_how_its_plugin_is_loaded() {
        let settings = json!({ "config": { "greeting": "Hi" }, "namespaces": ["/"] });
        let project = read(json!({
            "name": "My_greeter", "metadata": { "hubbub": settings },
            "targets": [{ "name": "my_greeter", "kind": ["cdylib", "rlib"] }],
        }))
        .unwrap();
        assert_eq!((&*project.name, &*project.library), ("my-greeter", "my_greeter"));
        assert_eq!(Value::from(project.settings.clone()), settings);
        assert_eq!(project.dir(), Path::new("/crate"));
        assert_eq!(project.sources(), [PathBuf::from("/crate/hubbub-plugin/src"), PathBuf::from("/crate/src")]);
        let line = json!({
            "reason": "compiler-artifact", "manifest_path": "/crate/Cargo.toml", "target": { "name": "my_greeter" },
            "filenames": ["/t/libmy_greeter.rlib", "/t/my_greeter.wasm"],
        });
        assert_eq!(project.component(line.to_string().as_bytes()), Some("/t/my_greeter.wasm".into()));
        assert_eq!(project.component(b"warning: none"), None);
    }

    #[tokio::test]
    async fn what_is_no_plugin_says_what_is_missing() {
        let check = |package: Value, expected: &str| {
            let error = read(package).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        let lib = json!([{ "name": "a", "kind": ["lib"] }]);
        check(json!({ "name": "a", "targets": lib }), "write crate-type = [\"cdylib\", \"rlib\"] under [lib]");
        let targets = json!([{ "name": "a", "kind": ["cdylib"] }]);
        let with = |hubbub: Value| json!({ "name": "a", "targets": targets, "metadata": { "hubbub": hubbub } });
        check(with(json!("x")), "package.metadata.hubbub: expected a table");
        check(with(json!({ "name": "A b" })), "expected a name of 1 to 64 lower-case letters");
        check(with(json!({ "file": "a.wasm" })), "package.metadata.hubbub.file: unknown key");
        let nothing = Project::read(Path::new("/nowhere/at/all")).await.unwrap_err().to_string();
        assert!(nothing.contains("make one with `hubbub plugin new`"), "{nothing}");
    }
}
