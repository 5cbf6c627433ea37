//! One change of the chain, and the chain after it.

use serde_json::{Map, Value};

use super::{RolloutError, Uploaded};
use crate::registry::{Digest, Placed};

/// What an operator wants.
#[derive(Clone, Debug)]
pub enum Change {
    /// Puts a file that the registry has into the chain: in the place of the plugin of this name, which keeps its settings
    /// where `written` says nothing; else at the end. `before`: in front of the plugin of that name.
    Push {
        name: String,
        file: Pushed,
        written: Map<String, Value>,
        before: Option<String>,
    },
    /// Lays settings over those of a plugin, key by key, also within tables; `null` takes a key away. `config` is replaced
    /// whole.
    Configure {
        name: String,
        written: Map<String, Value>,
    },
    /// Turns a plugin on or off.
    Enable {
        name: String,
        enabled: bool,
    },
    Remove {
        name: String,
    },
    /// In front of the plugin named; `None`: to the end.
    Move {
        name: String,
        before: Option<String>,
    },
    /// Puts these in the place of all.
    Take {
        plugins: Vec<Placed>,
    },
    /// To what an earlier revision was.
    Rollback {
        revision: u64,
    },
}

/// The file of a push.
#[derive(Clone, Debug)]
pub enum Pushed {
    /// It was just uploaded, and need not be read again.
    Uploaded(Uploaded),
    /// The registry has it.
    Kept(Digest),
}

impl Pushed {
    fn sha256(&self) -> Digest {
        match self {
            Pushed::Uploaded(uploaded) => uploaded.sha256,
            Pushed::Kept(sha256) => *sha256,
        }
    }
}

impl Change {
    /// The plugins after it. `version`: of a pushed file. A rollback is the registry's matter.
    pub(super) fn after(&self, plugins: &[Placed], version: Option<&str>) -> Result<Vec<Placed>, RolloutError> {
        let mut after = plugins.to_vec();
        match self {
            Change::Push { name, file, written, before } => {
                let sha256 = file.sha256();
                let at = match position(&after, name) {
                    Ok(at) => at,
                    Err(_) => {
                        let (name, version, written) = (name.clone(), String::new(), Map::new());
                        after.push(Placed { name, sha256, version, written });
                        after.len() - 1
                    }
                };
                let placed = &mut after[at];
                placed.sha256 = sha256;
                placed.version = version.unwrap_or_default().to_owned();
                lay_over(&mut placed.written, written)?;
                if let Some(before) = before {
                    put_before(&mut after, at, Some(before))?;
                }
            }
            Change::Configure { name, written } => {
                let at = position(&after, name)?;
                lay_over(&mut after[at].written, written)?;
            }
            Change::Enable { name, enabled } => {
                let at = position(&after, name)?;
                match enabled {
                    true => after[at].written.remove("enabled"),
                    false => after[at].written.insert("enabled".into(), false.into()),
                };
            }
            Change::Remove { name } => {
                let at = position(&after, name)?;
                after.remove(at);
            }
            Change::Move { name, before } => {
                let at = position(&after, name)?;
                put_before(&mut after, at, before.as_deref())?;
            }
            Change::Take { plugins } => after.clone_from(plugins),
            Change::Rollback { .. } => {}
        }
        Ok(after)
    }
}

fn position(plugins: &[Placed], name: &str) -> Result<usize, RolloutError> {
    let found = plugins.iter().position(|plugin| plugin.name == name);
    found.ok_or_else(|| {
        let known: Vec<_> = plugins.iter().map(|plugin| plugin.name.as_str()).collect();
        let known =
            if known.is_empty() { "the chain is empty".into() } else { format!("there are {}", known.join(", ")) };
        RolloutError::NotFound(format!("plugin `{}`: {known}", name.escape_debug()))
    })
}

fn put_before(plugins: &mut Vec<Placed>, at: usize, before: Option<&str>) -> Result<(), RolloutError> {
    let moved = plugins.remove(at);
    let to = match before {
        Some(before) if before == moved.name => at,
        Some(before) => position(plugins, before)?,
        None => plugins.len(),
    };
    plugins.insert(to, moved);
    Ok(())
}

/// Lays settings over others: tables are one with those that are there, key by key, but for `config`, which is a
/// plugin's own; `null` takes away.
fn lay_over(written: &mut Map<String, Value>, over: &Map<String, Value>) -> Result<(), RolloutError> {
    if let Some(key) = ["name", "file"].into_iter().find(|key| over.contains_key(*key)) {
        let text = format!("{key}: not a setting: a plugin's name and file are given apart");
        return Err(RolloutError::Invalid(text));
    }
    for (key, value) in over {
        match value {
            Value::Object(more) if key != "config" => {
                // a word in a table's place gives way to the table
                let mut table = match written.get_mut(key).map(Value::take) {
                    Some(Value::Object(there)) => there,
                    _ => Map::new(),
                };
                more.iter().for_each(|(key, value)| lay(&mut table, key, value));
                written.insert(key.clone(), Value::Object(table));
            }
            value => lay(written, key, value),
        }
    }
    Ok(())
}

fn lay(table: &mut Map<String, Value>, key: &str, value: &Value) {
    match value {
        Value::Null => table.remove(key),
        value => table.insert(key.to_owned(), value.clone()),
    };
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().cloned().expect("an object")
    }

    fn placed(name: &str, written: Value) -> Placed {
        let (sha256, version) = (Digest::of(name.as_bytes()), "1.0.0".into());
        Placed { name: name.into(), sha256, version, written: map(written) }
    }

    #[track_caller]
    fn check(change: Change, expect: Result<&[(&str, Value)], &str>) {
        let plugins = [placed("one", json!({ "policy": "skip" })), placed("two", json!({}))];
        let after = change.after(&plugins, Some("2.0.0"));
        match (after, expect) {
            (Ok(after), Ok(expect)) => {
                let after: Vec<_> = after.iter().map(|p| (p.name.as_str(), Value::Object(p.written.clone()))).collect();
                assert_eq!(after, expect);
            }
            (Err(error), Err(expect)) => assert_eq!(error.to_string(), expect),
            (after, _) => panic!("{after:?}"),
        }
    }

    fn push(name: &str, written: Value, before: Option<&str>) -> Change {
        let file = Pushed::Kept(Digest::of(b"new"));
        Change::Push { name: name.into(), file, written: map(written), before: before.map(Into::into) }
    }

    #[test]
    fn a_push_keeps_the_place_and_the_settings_that_it_does_not_name() {
        let one = json!({ "policy": "skip", "config": { "a": 1 } });
        check(push("one", json!({ "config": { "a": 1 } }), None), Ok(&[("one", one), ("two", json!({}))]));
        check(
            push("new", json!({}), None),
            Ok(&[("one", json!({ "policy": "skip" })), ("two", json!({})), ("new", json!({}))]),
        );
        check(
            push("new", json!({}), Some("one")),
            Ok(&[("new", json!({})), ("one", json!({ "policy": "skip" })), ("two", json!({}))]),
        );
        check(push("one", json!({ "policy": null }), Some("one")), Ok(&[("one", json!({})), ("two", json!({}))]));
        check(push("new", json!({}), Some("three")), Err("there is no plugin `three`: there are one, two"));
        let text = "name: not a setting: a plugin's name and file are given apart";
        check(push("new", json!({ "name": "x" }), None), Err(text));
    }

    #[test]
    fn a_push_is_of_its_files_digest_and_version() {
        let after = push("two", json!({}), None).after(&[placed("two", json!({}))], Some("2.0.0")).unwrap();
        assert_eq!((after[0].sha256, after[0].version.as_str()), (Digest::of(b"new"), "2.0.0"));
    }

    #[test]
    fn settings_are_laid_over_and_taken_away() {
        let configure = |written| Change::Configure { name: "one".into(), written: map(written) };
        check(
            configure(json!({ "policy": null, "config": {} })),
            Ok(&[("one", json!({ "config": {} })), ("two", json!({}))]),
        );
        let off = Change::Enable { name: "two".into(), enabled: false };
        check(off, Ok(&[("one", json!({ "policy": "skip" })), ("two", json!({ "enabled": false }))]));
        let on = Change::Enable { name: "two".into(), enabled: true };
        check(on, Ok(&[("one", json!({ "policy": "skip" })), ("two", json!({}))]));
    }

    #[test]
    fn a_setting_within_a_table_leaves_the_others() {
        let after = |there: Value, over: Value| {
            let mut there = map(there);
            lay_over(&mut there, &map(over)).unwrap();
            Value::Object(there)
        };
        let limits = json!({ "limits": { "cpu_ms": 50, "wall_ms": 100 }, "policy": "skip" });
        assert_eq!(
            after(limits.clone(), json!({ "limits": { "wall_ms": 200, "init_ms": null } })),
            json!({ "limits": { "cpu_ms": 50, "wall_ms": 200 }, "policy": "skip" })
        );
        assert_eq!(
            after(
                limits.clone(),
                json!({ "limits": { "cpu_ms": null }, "policy": { "on_message": "reject", "default": null } })
            ),
            json!({ "limits": { "wall_ms": 100 }, "policy": { "on_message": "reject" } })
        );
        assert_eq!(after(limits, json!({ "limits": null, "policy": null })), json!({}));
        let config = json!({ "config": { "a": 1 } });
        assert_eq!(after(config, json!({ "config": { "b": null } })), json!({ "config": { "b": null } }));
    }

    #[test]
    fn plugins_are_moved_and_removed() {
        let to = |before: Option<&str>| Change::Move { name: "one".into(), before: before.map(Into::into) };
        let (one, two) = (("one", json!({ "policy": "skip" })), ("two", json!({})));
        check(to(None), Ok(&[two.clone(), one.clone()]));
        check(to(Some("two")), Ok(&[one.clone(), two.clone()]));
        check(to(Some("one")), Ok(&[one.clone(), two.clone()]));
        check(Change::Remove { name: "two".into() }, Ok(&[one]));
        check(Change::Remove { name: "x".into() }, Err("there is no plugin `x`: there are one, two"));
    }
}
