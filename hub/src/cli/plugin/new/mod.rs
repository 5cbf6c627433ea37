//! `hubbub plugin new`: a crate that builds, tests and loads at once.

mod sdk;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail, ensure};
use serde_json::json;

use crate::{cli::say, config::PluginConfig};

/// Where the SDK goes in a new crate.
const SDK_FOLDER: &str = "hubbub-plugin";

/// The files of a new crate. `{{name}}` and its like are filled in.
const TEMPLATE: [(&str, &str); 6] = [
    ("Cargo.toml", include_str!("template/Cargo.toml.txt")),
    ("rust-toolchain.toml", include_str!("template/rust-toolchain.toml.txt")),
    (".gitignore", include_str!("template/gitignore.txt")),
    ("README.md", include_str!("template/README.md.txt")),
    ("src/lib.rs", include_str!("template/lib.rs.txt")),
    ("src/tests.rs", include_str!("template/tests.rs.txt")),
];

/// Names that a plugin may have and a crate may not: Rust's own words and crates, and those that the new crate and the
/// hub's interfaces use.
const NOT_CRATES: &str = "abstract alloc as async await become box break const continue core crate do dyn else enum \
    extern false final fn for gen hubbub hubbub-plugin if impl in let loop macro match mod move mut override priv \
    proc-macro pub ref return self serde static std struct super test trait true try type typeof unsafe unsized use \
    virtual where while yield";

/// Write the crate of a new plugin, which builds, tests and loads at once
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Its name: 1 to 64 lower-case letters, digits and `-`, with a letter first
    #[arg(value_name = "NAME")]
    name: String,

    /// The new folder [default: one of this name, here]
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,

    /// Use the SDK in this folder, in place of a copy within the crate
    #[arg(long, value_name = "DIR")]
    sdk: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Writes the crate. A folder that holds something is left as it is.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { name, path, sdk, json } = args;
    check_name(&name)?;
    let dir = path.unwrap_or_else(|| PathBuf::from(&name));
    let sdk = sdk.map(|dir| find_sdk(&dir)).transpose()?;
    let files = files(&name, sdk.as_deref())?;
    ensure!(is_free(&dir)?, "`{}` is there already and not empty: name another folder with --path", dir.display());
    for (file, text) in &files {
        write(&dir.join(file), text).with_context(|| format!("cannot write `{}`", dir.join(file).display()))?;
    }
    if json {
        let files: Vec<&String> = files.iter().map(|(file, _)| file).collect();
        say(format_args!("{:#}", json!({ "name": name, "path": dir, "files": files })));
    } else {
        say(format_args!("The plugin `{name}` is in {}. In this folder:\n", dir.display()));
        say("  cargo test                                     native tests, without a hub");
        say("  cargo build --target wasm32-wasip2 --release   the component");
        say("  hubbub dev                                     a hub with it, built anew at every save");
    }
    Ok(ExitCode::SUCCESS)
}

fn check_name(name: &str) -> anyhow::Result<()> {
    let name = PluginConfig::parse_name(name)
        .with_context(|| format!("`{}`: expected {}", name.escape_debug(), PluginConfig::NAMES))?;
    ensure!(name.starts_with(|c: char| c.is_ascii_lowercase()), "`{name}`: the name of a crate begins with a letter");
    ensure!(
        NOT_CRATES.split(' ').all(|taken| taken != name),
        "`{name}`: no crate may be called so, name it `{name}-it` or the like"
    );
    Ok(())
}

/// Whether a new crate may go there.
fn is_free(dir: &Path) -> anyhow::Result<bool> {
    match fs::read_dir(dir) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error).with_context(|| format!("cannot use `{}` as a folder", dir.display())),
    }
}

/// A folder with the SDK in it, from the root on.
fn find_sdk(dir: &Path) -> anyhow::Result<String> {
    let manifest = dir.join("Cargo.toml");
    let is_sdk = |text: String| {
        let manifest: Option<toml::Table> = text.parse().ok();
        manifest.and_then(|m| Some(m.get("package")?.get("name")?.as_str()? == SDK_FOLDER)) == Some(true)
    };
    if !fs::read_to_string(&manifest).is_ok_and(is_sdk) {
        bail!("`{}` is no SDK: expected the folder of the crate {SDK_FOLDER}, with its Cargo.toml", dir.display());
    }
    let dir = dir.canonicalize().with_context(|| format!("cannot find `{}`", dir.display()))?;
    dir.into_os_string().into_string().ok().context("the path of the SDK is not UTF-8, which Cargo.toml is")
}

/// All files of the crate: paths in it, and texts.
fn files(name: &str, sdk: Option<&str>) -> anyhow::Result<Vec<(String, String)>> {
    let about_sdk = match sdk {
        Some(sdk) => format!("The SDK is used as it is in `{sdk}`."),
        None => format!(
            "`{SDK_FOLDER}/` is the SDK as the hub had it that wrote this crate: `cargo doc --open -p {SDK_FOLDER}`."
        ),
    };
    // an escaped JSON text is one of TOML too
    let path = serde_json::Value::from(sdk.unwrap_or(SDK_FOLDER)).to_string();
    let fill = |text: &str| {
        text.replace("{{name}}", name)
            .replace("{{type}}", &type_name(name))
            .replace("{{file}}", &format!("{}.wasm", name.replace('-', "_")))
            .replace("{{about_sdk}}", &about_sdk)
            .replace("\"{{sdk}}\"", &path)
    };
    let mut files: Vec<_> = TEMPLATE.iter().map(|(file, text)| ((*file).to_owned(), fill(text))).collect();
    if sdk.is_none() {
        files.extend(sdk::files()?.into_iter().map(|(file, text)| (format!("{SDK_FOLDER}/{file}"), text)));
    }
    Ok(files)
}

fn write(file: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(file, text)
}

/// `word-filter` as a type: `WordFilterPlugin`, so that it can be none of the SDK's or the language's own.
fn type_name(name: &str) -> String {
    let stem = name.strip_suffix("-plugin").unwrap_or(name);
    let capital = |word: &str| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_uppercase() + rest
    };
    stem.split('-').map(capital).collect::<String>() + "Plugin"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_plugins_that_can_be_crates() {
        for name in ["a", "greeter", "my-plugin", "v2-filter", "x-"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        let refused = |name: &str| check_name(name).unwrap_err().to_string();
        let expected = "expected a name of 1 to 64 lower-case letters, digits and `-`";
        for name in ["", "Greeter", "my_plugin", "../up", "a b", "é", "a\n", &"n".repeat(65)] {
            assert_eq!(refused(name), format!("`{}`: {expected}", name.escape_debug()));
        }
        for name in ["2fast", "-a"] {
            assert_eq!(refused(name), format!("`{name}`: the name of a crate begins with a letter"));
        }
        assert_eq!(refused("hubbub"), "`hubbub`: no crate may be called so, name it `hubbub-it` or the like");
        assert!(["while", "async", "serde"].iter().all(|name| check_name(name).is_err()));
    }

    #[test]
    fn a_type_is_called_like_its_plugin() {
        let check = |name, expected| assert_eq!(type_name(name), expected);
        check("greeter", "GreeterPlugin");
        check("my-plugin", "MyPlugin");
        check("plugin", "PluginPlugin");
        check("word--filter-2-", "WordFilter2Plugin");
    }

    #[test]
    fn every_place_of_the_template_is_filled_in() {
        for sdk in [None, Some("/a \"folder\"/plugin-sdk")] {
            let files = files("my-plugin", sdk).unwrap();
            for (file, text) in files.iter().filter(|(file, _)| !file.starts_with(SDK_FOLDER)) {
                assert!(!text.contains("{{"), "{file}: {text}");
            }
            let text = |path: &str| &files.iter().find(|(file, _)| file == path).expect("it is there").1;
            let manifest: toml::Table = text("Cargo.toml").parse().unwrap();
            assert_eq!(manifest["dependencies"][SDK_FOLDER]["path"].as_str(), Some(sdk.unwrap_or(SDK_FOLDER)));
            assert!(manifest.contains_key("workspace"));
            assert!(text("src/lib.rs").contains("impl OnMessage for MyPlugin {"));
            assert!(text("README.md").contains("release/my_plugin.wasm"));
            assert_eq!(files.iter().any(|(file, _)| file == "hubbub-plugin/src/lib.rs"), sdk.is_none());
        }
    }
}
