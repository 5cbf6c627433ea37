//! What the environment says over the file: `HUBBUB_SERVER__PING_INTERVAL_MS` is `server.ping_interval_ms`.

use std::path::Path;

use serde_json::Value;
use toml::de::{DeTable, DeValue};

use super::{
    file,
    hint::{SAMPLE, nearest},
    section::Place,
};

const PREFIX: &str = "HUBBUB_";
/// What is set most often has a short name too.
const SHORT: [(&str, &str); 4] = [
    ("HUBBUB_LISTEN", "server.listen"),
    ("HUBBUB_WORKERS", "server.workers"),
    ("HUBBUB_LOG_LEVEL", "log.level"),
    ("HUBBUB_LOG_FORMAT", "log.format"),
];

/// Variables as TOML: on the n-th line the path of the n-th one's key, in quotes, and its value.
#[derive(Default)]
pub struct Variables {
    pub toml: String,
    /// Names, by line.
    pub names: Vec<String>,
    /// What is wrong with a name.
    pub problems: Vec<(Place, String)>,
}

/// A key that is in a file, and the kind of its value.
struct Known {
    path: String,
    name: String,
    value: Value,
}

impl Variables {
    /// Takes those that are the hub's: with two underscores together, a short name, or a name that was meant as one of
    /// them. Others may begin with `HUBBUB_` for reasons of their own.
    pub fn new(variables: &[(String, String)]) -> Self {
        let mut all = Self::default();
        if !variables.iter().any(|(name, _)| name.starts_with(PREFIX)) {
            return all;
        }
        let known = known();
        let mut taken: Vec<(&str, &str)> = Vec::new();
        for (name, value) in variables.iter().filter(|(name, _)| is_ours(name, &known)) {
            let place = Place::Variable(all.names.len());
            all.names.push(name.clone());
            let line = match find(name, &known) {
                Err(text) => Err(text),
                Ok(key) => match taken.iter().find(|(path, _)| *path == key.path) {
                    Some((_, other)) => Err(format!("{}: is set by {other} already: leave out one", key.path)),
                    None => {
                        taken.push((&key.path, name));
                        Ok(format!("{:?} = {}", key.path, as_toml(value, &key.value)))
                    }
                },
            };
            all.toml.push_str(line.as_deref().unwrap_or_default());
            all.toml.push('\n');
            all.problems.extend(line.err().map(|text| (place, text)));
        }
        all
    }
}

/// Every key with one value, and lists. What belongs to plugins is left to the file.
fn known() -> Vec<Known> {
    let sample = file::parse(SAMPLE, Path::new("")).expect("the sample is right").effective();
    let mut known = Vec::new();
    collect(&sample, "", &mut known);
    known
}

fn collect(value: &Value, path: &str, known: &mut Vec<Known>) {
    match value {
        Value::Object(table) => table.iter().filter(|(key, _)| *key != "plugin").for_each(|(key, value)| {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            collect(value, &path, known);
        }),
        value => {
            let name = format!("{PREFIX}{}", path.to_uppercase().replace('.', "__"));
            known.push(Known { path: path.to_owned(), name, value: value.clone() });
        }
    }
}

fn is_ours(name: &str, known: &[Known]) -> bool {
    let folded = |name: &str| name.to_uppercase().replace("__", "_");
    let is_meant = || known.iter().any(|key| folded(&key.name) == folded(name));
    name.starts_with(PREFIX) && (name.contains("__") || SHORT.iter().any(|(short, _)| *short == name) || is_meant())
}

/// The key of a variable; an error says what is wrong with its name.
fn find<'k>(name: &str, known: &'k [Known]) -> Result<&'k Known, String> {
    let short = SHORT.iter().find(|(short, _)| *short == name).map(|(_, path)| *path);
    match known.iter().find(|key| key.name == name || Some(&*key.path) == short) {
        Some(Known { path, value: Value::Array(_), .. }) => Err(format!("{path}: is a list: write it into the file")),
        Some(key) => Ok(key),
        None => {
            // the admin API's keys have the names of others: who misspells one of these means the others
            let is_admins = |name: &str| name.to_uppercase().starts_with("HUBBUB_ADMIN");
            let alike = known.iter().filter(|key| is_admins(&key.name) == is_admins(name));
            let names: Vec<&str> = alike.map(|key| &*key.name).collect();
            let near = nearest(&name.to_uppercase(), &names).map(|near| format!("did you mean `{near}`?"));
            let how = || "names are as in HUBBUB_SERVER__PING_INTERVAL_MS for server.ping_interval_ms".to_owned();
            Err(format!("unknown variable, {}", near.unwrap_or_else(how)))
        }
    }
}

/// A value as the file would have it: text in quotes, unless it is of the kind of `like`.
fn as_toml(value: &str, like: &Value) -> String {
    let is_number = || {
        let is_plain = value.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+-".contains(&b));
        let line = format!("v = {value}");
        is_plain && DeTable::parse(&line).is_ok_and(|t| matches!(t.get_ref()["v"].get_ref(), DeValue::Integer(_)))
    };
    match like {
        Value::Number(_) if is_number() => value.to_owned(),
        Value::Bool(_) if matches!(value, "true" | "false") => value.to_owned(),
        // JSON escapes as TOML does, but for one character
        _ => Value::from(value).to_string().replace('\u{7f}', "\\u007f"),
    }
}
