//! The SDK within this binary, and its manifest without the workspace that it comes from.

use anyhow::{Context, bail};
use rust_embed::Embed;
use toml::{Table, Value};

/// The folder of the SDK, as it was when this binary was built.
#[derive(Embed)]
#[folder = "../plugin-sdk"]
struct Sdk;

/// The manifest that the SDK's own one inherits from.
const WORKSPACE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"));
const MANIFEST: &str = "Cargo.toml";
/// What lies beside the workspace's manifest and concerns the SDK: its licenses, and how it is formatted.
const BESIDE: [(&str, &str); 3] = [
    ("rustfmt.toml", include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../rustfmt.toml"))),
    ("LICENSE-APACHE", include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../LICENSE-APACHE"))),
    ("LICENSE-MIT", include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../LICENSE-MIT"))),
];
/// What of the folder an author needs; the SDK's tests need the workspace.
const FOLDERS: [&str; 2] = ["src/", "wit/"];

/// All files of a crate that stands alone: paths in it, and texts.
pub fn files() -> anyhow::Result<Vec<(String, String)>> {
    let text = |path: &str| -> anyhow::Result<String> {
        let file = Sdk::get(path).with_context(|| format!("the SDK has no `{path}`"))?;
        Ok(String::from_utf8(file.data.into_owned())?)
    };
    let head = format!("# The SDK of hubbub {}, written by `hubbub plugin new`.\n\n", env!("CARGO_PKG_VERSION"));
    let mut files = vec![(MANIFEST.to_owned(), head + &standalone(&text(MANIFEST)?, WORKSPACE)?)];
    files.extend(BESIDE.map(|(name, text)| (name.to_owned(), text.to_owned())));
    for path in Sdk::iter().filter(|path| FOLDERS.iter().any(|folder| path.starts_with(folder))) {
        files.push((path.to_string(), text(&path)?));
    }
    Ok(files)
}

/// A member's manifest with everything filled in that it inherits from its workspace; without lints and tests.
fn standalone(member: &str, workspace: &str) -> anyhow::Result<String> {
    let mut member: Table = member.parse()?;
    let workspace: Table = workspace.parse()?;
    let inherited = |table: &str| {
        let found = workspace.get("workspace").and_then(|root| root.get(table)).and_then(Value::as_table);
        found.with_context(|| format!("the workspace has no {table}"))
    };
    let (package, dependencies) = (inherited("package")?, inherited("dependencies")?);
    member.remove("lints");
    member.remove("dev-dependencies");
    fill(member.get_mut("package"), package)?;
    fill(member.get_mut("dependencies"), dependencies)?;
    for target in member.get_mut("target").and_then(Value::as_table_mut).into_iter().flat_map(|t| t.iter_mut()) {
        fill(target.1.get_mut("dependencies"), dependencies)?;
    }
    Ok(toml::to_string(&member)?)
}

/// Fills in each value of a table that says `workspace = true`, by its key. What it says besides is added.
fn fill(table: Option<&mut Value>, from: &Table) -> anyhow::Result<()> {
    for (key, value) in table.and_then(Value::as_table_mut).into_iter().flat_map(|table| table.iter_mut()) {
        let Some(own) = value.as_table_mut().filter(|own| own.get("workspace").and_then(Value::as_bool) == Some(true))
        else {
            continue;
        };
        own.remove("workspace");
        let inherited = from.get(key).with_context(|| format!("the workspace has no `{key}`"))?.clone();
        *value = merge(key, inherited, std::mem::take(own))?;
    }
    Ok(())
}

fn merge(key: &str, inherited: Value, own: Table) -> anyhow::Result<Value> {
    if own.is_empty() && inherited.get("path").is_none() {
        return Ok(inherited);
    }
    let mut merged = match inherited {
        Value::Table(table) => table,
        Value::String(version) => Table::from_iter([("version".to_owned(), version.into())]),
        _ => bail!("`{key}` inherits what is no dependency, and adds to it"),
    };
    if merged.contains_key("path") {
        bail!("`{key}` is a crate of the workspace: who has the SDK alone cannot have it");
    }
    for (name, value) in own {
        match (merged.get_mut(&name), value) {
            (Some(Value::Array(features)), Value::Array(more)) => features.extend(more),
            (_, value) => {
                merged.insert(name, value);
            }
        }
    }
    Ok(merged.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sdk_is_whole_and_stands_alone() {
        let files = files().unwrap();
        let text = |path: &str| &files.iter().find(|(name, _)| name == path).unwrap_or_else(|| panic!("no {path}")).1;
        assert!(text("src/lib.rs").contains("pub mod prelude"));
        assert!(text("wit/plugin.wit").contains("package hubbub:plugin"));
        assert!(text("LICENSE-MIT").contains("MIT"));
        let manifest: Table = text(MANIFEST).parse().unwrap();
        assert!(!text(MANIFEST).contains("workspace"), "{}", text(MANIFEST));
        assert_eq!(manifest["package"]["name"].as_str(), Some("hubbub-plugin"));
        assert_eq!(manifest["package"]["version"].as_str(), Some(env!("CARGO_PKG_VERSION")));
        assert_eq!(manifest["package"]["edition"].as_str(), Some("2024"));
        assert!(files.iter().all(|(path, _)| !path.starts_with("tests/")));
    }

    #[test]
    fn what_a_member_inherits_is_filled_in() {
        let workspace = "[workspace.package]\nversion = \"1.2.3\"\n[workspace.dependencies]\na = \"1\"\n\
                         b = { version = \"2\", features = [\"x\"] }\nown = { path = \"own\" }\n";
        let member = "[package]\nname = \"m\"\nversion.workspace = true\n[dependencies]\na.workspace = true\nc = \"3\"\n\
                      b = { workspace = true, optional = true, features = [\"y\"] }\n\
                      [target.'cfg(unix)'.dependencies]\na = { workspace = true, optional = true }\n[lints]\nworkspace = true\n";
        let expected = "[package]\nname = \"m\"\nversion = \"1.2.3\"\n[dependencies]\na = \"1\"\nc = \"3\"\n\
                        b = { version = \"2\", optional = true, features = [\"x\", \"y\"] }\n\
                        [target.'cfg(unix)'.dependencies]\na = { version = \"1\", optional = true }\n";
        let filled: Table = standalone(member, workspace).unwrap().parse().unwrap();
        assert_eq!(filled, expected.parse::<Table>().unwrap());
        for (key, text) in [("own", "cannot have it"), ("missing", "the workspace has no `missing`")] {
            let member = format!("[package]\nname = \"m\"\n[dependencies]\n{key}.workspace = true\n");
            assert!(standalone(&member, workspace).unwrap_err().to_string().contains(text));
        }
    }
}
