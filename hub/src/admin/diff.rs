//! What is different between two chains, in words that show no secret.

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{
    config::{is_secret, masked},
    registry::{Placed, Revision},
};

/// What stands where a secret was.
const MASK: &str = "***";

/// What happened to a plugin from one chain to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum What {
    Added,
    Removed,
    /// It is another file.
    File,
    Setting,
    /// It is elsewhere in the chain; its places count from 1.
    Moved,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct Difference {
    pub plugin: String,
    pub what: What,
    /// The path of a setting: `config.words`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// As it was; null: there was nothing.
    pub from: Value,
    pub to: Value,
}

/// All differences, in the order of the newer chain; what was removed comes last.
pub(super) fn differences(from: &Revision, to: &Revision) -> Vec<Difference> {
    let mut found = Vec::new();
    let moved = moved(&from.plugins, &to.plugins);
    for (place, new) in to.plugins.iter().enumerate() {
        let difference = |what, from, to| Difference { plugin: new.name.clone(), what, key: None, from, to };
        let Some(before) = from.plugins.iter().position(|old| old.name == new.name) else {
            found.push(difference(What::Added, Value::Null, file(new)));
            continue;
        };
        let old = &from.plugins[before];
        if old.sha256 != new.sha256 {
            found.push(difference(What::File, file(old), file(new)));
        }
        if moved.contains(&&*new.name) {
            found.push(difference(What::Moved, (before + 1).into(), (place + 1).into()));
        }
        settings(&new.name, "", &old.written, &new.written, &mut found);
    }
    let is_gone = |old: &&Placed| to.plugins.iter().all(|new| new.name != old.name);
    found.extend(from.plugins.iter().filter(is_gone).map(|old| Difference {
        plugin: old.name.clone(),
        what: What::Removed,
        key: None,
        from: file(old),
        to: Value::Null,
    }));
    found
}

fn file(placed: &Placed) -> Value {
    serde_json::json!({ "version": placed.version, "sha256": placed.sha256 })
}

/// Those whose place among the others that stayed is another one: as few as explain the new order.
fn moved<'a>(from: &'a [Placed], to: &'a [Placed]) -> Vec<&'a str> {
    let places: Vec<(usize, &str)> =
        to.iter().filter_map(|new| Some((from.iter().position(|old| old.name == new.name)?, &*new.name))).collect();
    // the longest run of growing places stays: for each its length, and the one before it
    let mut best: Vec<(usize, Option<usize>)> = Vec::with_capacity(places.len());
    for (n, (place, _)) in places.iter().enumerate() {
        let before = (0..n).filter(|m| places[*m].0 < *place).max_by_key(|m| best[*m].0);
        best.push((before.map_or(1, |m| best[m].0 + 1), before));
    }
    let mut at = (0..best.len()).max_by_key(|n| best[*n].0);
    let mut stays = vec![false; places.len()];
    while let Some(n) = at {
        stays[n] = true;
        at = best[n].1;
    }
    places.iter().zip(stays).filter(|(_, stays)| !stays).map(|((_, name), _)| *name).collect()
}

/// Goes down into tables; lists and single values are compared whole.
fn settings(plugin: &str, path: &str, from: &Map<String, Value>, to: &Map<String, Value>, found: &mut Vec<Difference>) {
    let added = to.keys().filter(|key| !from.contains_key(*key));
    for key in from.keys().chain(added) {
        let (old, new) = (from.get(key), to.get(key));
        if old == new {
            continue;
        }
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        if let (Some(Value::Object(old)), Some(Value::Object(new)), false) = (old, new, is_secret(key)) {
            settings(plugin, &path, old, new, found);
            continue;
        }
        let shown = |value: Option<&Value>| match value {
            None => Value::Null,
            Some(_) if is_secret(key) => MASK.into(),
            Some(value) => masked(value),
        };
        let (from, to) = (shown(old), shown(new));
        found.push(Difference { plugin: plugin.to_owned(), what: What::Setting, key: Some(path), from, to });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::Digest;

    fn placed(name: &str, file: &str, written: Value) -> Placed {
        let Value::Object(written) = written else { panic!("settings are an object") };
        Placed { name: name.into(), sha256: Digest::of(file.as_bytes()), version: "1.0.0".into(), written }
    }

    fn revision(plugins: Vec<Placed>) -> Revision {
        Revision { number: 1, plugins, who: "a".into(), why: String::new(), when_ms: 0 }
    }

    fn chain(names: &str) -> Revision {
        revision(names.chars().map(|c| placed(&c.to_string(), "f", json!({}))).collect())
    }

    #[track_caller]
    fn check(from: &Revision, to: &Revision, expected: &[(&str, What, Option<&str>)]) {
        let found = differences(from, to);
        let found: Vec<_> = found.iter().map(|d| (&*d.plugin, d.what, d.key.as_deref())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn the_same_has_no_difference() {
        check(&chain("abc"), &chain("abc"), &[]);
    }

    #[test]
    fn who_comes_and_goes_moves_nobody_else() {
        check(&chain("abc"), &chain("xac"), &[("x", What::Added, None), ("b", What::Removed, None)]);
    }

    #[test]
    fn as_few_as_can_be_have_moved() {
        check(&chain("abcd"), &chain("dabc"), &[("d", What::Moved, None)]);
        check(&chain("abcd"), &chain("bcda"), &[("a", What::Moved, None)]);
        assert_eq!(differences(&chain("abcd"), &chain("dabc"))[0].from, json!(4));
    }

    #[test]
    fn settings_are_named_by_their_path_and_secrets_are_not_shown() {
        let from =
            revision(vec![placed("a", "1", json!({"policy": "skip", "config": {"words": ["x"], "key": "old"}}))]);
        let to = revision(vec![placed("a", "2", json!({"config": {"words": ["y"], "key": "new", "n": 1}}))]);
        let setting = |key| ("a", What::Setting, Some(key));
        check(
            &from,
            &to,
            &[
                ("a", What::File, None),
                setting("config.key"),
                setting("config.words"),
                setting("config.n"),
                setting("policy"),
            ],
        );
        let found = differences(&from, &to);
        assert_eq!((&found[1].from, &found[1].to), (&json!("***"), &json!("***")));
        assert_eq!((&found[2].from, &found[2].to), (&json!(["x"]), &json!(["y"])));
        assert_eq!((&found[4].from, &found[4].to), (&json!("skip"), &Value::Null));
    }
}
