//! What was probably meant by a key that there is not.

use std::path::Path;

use serde_json::Value;

use super::{effective::is_secret, file};

/// A file with everything that may be left out, to see which keys there are.
pub const SAMPLE: &str = r#"
server = { workers = 1, static_dir = ".", data_dir = "." }
engine = { cache_key_file = "node.key" }
admin = { listen = "127.0.0.1:3001" }
signatures = { trusted_keys = ["RWSEgAqG8oEBrRzKfEjQZyhsZcwqfIm/2RHx3BvdSbTX2sVankFeJQrg"] }
plugin = [{ name = "sample", file = "sample.wasm", enabled = false }]
"#;

/// Says what is wrong with a line that is no TOML: the parser's words, unless it is one of the usual slips.
pub fn syntax(text: &str, at: usize, parser: &str) -> String {
    let (before, behind) = text.split_at(text.floor_char_boundary(at));
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before[line_start..].to_owned() + behind.lines().next().unwrap_or_default();
    let Some((key, value)) = line.split_once('=').map(|(key, value)| (key.trim(), value.trim())) else {
        return parser.to_owned();
    };
    let is_plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "_-.:/*".contains(c));
    // what has no letter and no colon was meant as a number
    let is_text = is_plain(value) && value.contains(|c: char| c.is_ascii_alphabetic() || "/:*".contains(c));
    match value {
        _ if is_secret(key) => parser.to_owned(),
        "" => format!("there is no value behind `{key} =`"),
        _ if is_text && is_plain(key) => format!("text stands in quotes, as in {key} = \"{value}\""),
        _ => parser.to_owned(),
    }
}

/// Says what would be right instead of `name` in the table at `path`, where `known` are the keys.
pub fn hint(name: &str, path: &str, known: &[&'static str]) -> String {
    if let Some(table) = home(name, path) {
        return format!("it belongs in [{table}]");
    }
    match nearest(name, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => {
            let mut known = known.to_vec();
            known.sort_unstable();
            known.dedup();
            format!("known here are {}", known.join(", "))
        }
    }
}

/// A known key that has `name` as its first or last words (`cpu` for `cpu_ms`), or that few letters make of it.
pub fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let has_words = |known: &&&str| {
        let (behind, before) = (known.strip_prefix(name), known.strip_suffix(name));
        behind.is_some_and(|rest| rest.starts_with('_')) || before.is_some_and(|rest| rest.ends_with('_'))
    };
    let letters_max = 2.max(name.chars().count() / 4);
    let by_letters = || {
        let distances = known.iter().map(|known| (strsim::damerau_levenshtein(known, name), *known));
        // of a short key hardly a letter would be left
        let near = distances.filter(|(letters, known)| *letters <= letters_max && *letters < known.len().div_ceil(2));
        near.min().map(|(_, known)| known)
    };
    known.iter().find(has_words).copied().or_else(by_letters)
}

/// The other table that has this very key: one within the table at `path`, or else the only one of all.
fn home(name: &str, path: &str) -> Option<String> {
    let path: String = without_indexes(path);
    let mut sample = file::parse(SAMPLE, Path::new("")).ok()?.effective();
    if path != "admin"
        && let Some(tables) = sample.as_object_mut()
    {
        // its keys have the names of others: who misplaces one of these means the others
        tables.remove("admin");
    }
    if path != "plugin_defaults" {
        // whoever misplaces a limit of plugins means one plugin
        sample["plugin_defaults"].take();
    }
    let mut homes = Vec::new();
    collect(&sample, "", name, &mut homes);
    homes.retain(|home| *home != path);
    let within = homes.iter().find(|home| home.strip_prefix(&*path).is_some_and(|rest| rest.starts_with('.')));
    within.or_else(|| homes.first().filter(|_| homes.len() == 1)).cloned()
}

/// `plugin[2].limits` as its header has it: `plugin.limits`.
fn without_indexes(path: &str) -> String {
    path.split('.').map(|step| step.split('[').next().unwrap_or(step)).collect::<Vec<_>>().join(".")
}

/// The paths of tables with this key; a key of the root is in no table.
fn collect(value: &Value, path: &str, name: &str, homes: &mut Vec<String>) {
    match value {
        Value::Object(table) => {
            if table.contains_key(name) && !path.is_empty() {
                homes.push(path.to_owned());
            }
            for (key, value) in table {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                collect(value, &path, name, homes);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, path, name, homes)),
        _ => {}
    }
}
