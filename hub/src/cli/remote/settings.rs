//! What is said of a plugin on the command line, as the keys of its `[[plugin]]`.

use std::{fs, path::PathBuf};

use serde_json::{Map, Value, json};

use super::Failure;

/// A plugin's settings. What is not said stays as it is.
#[derive(Clone, Debug, Default, clap::Args)]
pub(in crate::cli) struct SettingsArgs {
    /// Where it is called: a namespace, or a pattern as in "/room-*"; may stand several times
    #[arg(long = "namespace", value_name = "NS")]
    namespaces: Vec<String>,

    /// What it may do: identity, credentials, orders or store; may stand several times
    #[arg(long = "capability", value_name = "NAME")]
    capabilities: Vec<String>,

    /// What becomes of an event on which it fails
    #[arg(long, value_name = "POLICY", value_parser = ["reject", "skip"])]
    policy: Option<String>,

    /// Its own config, a TOML or JSON file, in place of the one it has
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Any other key, as in limits.cpu_ms=20; the value is JSON, or else text; may stand several times
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,

    /// A key that goes back to its default, as in limits; may stand several times
    #[arg(long = "unset", value_name = "KEY")]
    unset: Vec<String>,
}

impl SettingsArgs {
    /// The keys that were said.
    pub fn read(&self) -> Result<Map<String, Value>, Failure> {
        let mut keys = Map::new();
        for key in &self.unset {
            keys.insert(key.clone(), Value::Null);
        }
        if !self.namespaces.is_empty() {
            keys.insert("namespaces".into(), json!(self.namespaces));
        }
        if !self.capabilities.is_empty() {
            keys.insert("capabilities".into(), json!(self.capabilities));
        }
        if let Some(policy) = &self.policy {
            keys.insert("policy".into(), json!(policy));
        }
        if let Some(file) = &self.config {
            keys.insert("config".into(), read_config(file)?);
        }
        for pair in &self.set {
            set(&mut keys, pair)?;
        }
        Ok(keys)
    }
}

fn set(keys: &mut Map<String, Value>, pair: &str) -> Result<(), Failure> {
    let Some((path, text)) = pair.split_once('=').filter(|(path, _)| !path.is_empty()) else {
        return Err(Failure::Usage(format!("--set `{pair}`: expected KEY=VALUE, as in limits.cpu_ms=20")));
    };
    if path == "config" || path.starts_with("config.") {
        let text = format!("--set `{path}`: a config is replaced whole: write it into a file, and say --config FILE");
        return Err(Failure::Usage(text));
    }
    let value = serde_json::from_str(text).unwrap_or_else(|_| json!(text));
    let mut table = keys;
    let mut steps = path.split('.').peekable();
    while let Some(step) = steps.next() {
        if steps.peek().is_none() {
            table.insert(step.to_owned(), value);
            break;
        }
        let inner = table.entry(step).or_insert_with(|| json!({}));
        table = match inner {
            Value::Object(inner) => inner,
            _ => return Err(Failure::Usage(format!("--set `{path}`: `{step}` has another value already"))),
        };
    }
    Ok(())
}

/// A file of JSON, when its name says so, else of TOML.
fn read_config(file: &PathBuf) -> Result<Value, Failure> {
    let wrong = |text: String| Failure::Usage(format!("--config `{}`: {text}", file.display()));
    let text = fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    let config: Value = match file.extension().is_some_and(|extension| extension == "json") {
        true => serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?,
        false => {
            let table: toml::Table = toml::from_str(&text).map_err(|error| wrong(error.message().to_owned()))?;
            serde_json::to_value(table).map_err(|error| wrong(error.to_string()))?
        }
    };
    if config.is_object() { Ok(config) } else { Err(wrong("expected a table".into())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(set: &[&str], unset: &[&str]) -> Result<Value, Failure> {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let args = SettingsArgs { set: texts(set), unset: texts(unset), ..SettingsArgs::default() };
        args.read().map(Value::Object)
    }

    #[test]
    fn keys_are_paths_and_values_json_or_text() {
        let read = read(&["limits.cpu_ms=20", "limits.wall_ms=100", "policy=skip", "enabled=false"], &["namespaces"]);
        let expected = json!({
            "limits": {"cpu_ms": 20, "wall_ms": 100}, "policy": "skip", "enabled": false, "namespaces": null
        });
        assert_eq!(read, Ok(expected));
    }

    #[test]
    fn a_config_is_never_set_in_part() {
        for wrong in ["config.words=[]", "config={}", "nothing", "=1"] {
            assert!(matches!(read(&[wrong], &[]), Err(Failure::Usage(_))), "{wrong}");
        }
        assert!(matches!(read(&["policy=skip", "policy.on_message=skip"], &[]), Err(Failure::Usage(_))));
    }
}
