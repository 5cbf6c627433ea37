//! Keeps state in every way that there is, for tests. Needs the capability `store`.
//!
//! | event | does | ack |
//! |---|---|---|
//! | `set {key, value}` | keeps a value | `{ok}` |
//! | `get {key}` | | `{value}` |
//! | `swap {key, expected, new}` | compares and sets | `{swapped}` |
//! | `take {key}` | reads a number, adds one and compares and sets it | `{value}` |
//! | `count {key, by}` | increments | `{count}` |
//! | `note {key, text}` | appends to a list of three | `{items}` |
//! | `rank {key, member, score}` | puts into a sorted set of three | `{members}` |
//! | `refused {key}` | increments and meters, then rejects with `refused` | the meter in `data` |
//! | `kept {key}` | the same, and the count stays | the count in `data` |
//! | `enter {key}` | joins the room `key` with a replay of 1000 | |
//! | `say {key, by}` | sends `said` to the room, retained among its last 1000, numbered from 1 by the store | `{number}` |
//! | `once {id, key}` | increments, once for each id | `{count}` |

use std::time::Duration;

use hubbub_plugin::prelude::*;

const MINUTE: Duration = Duration::from_secs(60);
const HISTORY: u32 = 1000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keeper {}

#[derive(Deserialize)]
struct Request {
    #[serde(default)]
    key: String,
    #[serde(default)]
    value: Value,
    expected: Option<Value>,
    new: Option<Value>,
    #[serde(default)]
    by: i64,
    #[serde(default)]
    text: String,
    #[serde(default)]
    member: String,
    #[serde(default)]
    score: u64,
    #[serde(default)]
    id: String,
}

impl Plugin for Keeper {}

impl OnMessage for Keeper {
    fn on_message(&self, event: &MessageEvent) -> Outcome {
        let request: Request = event.arg(0)?;
        let (store, key) = (event.store(), &*request.key);
        let answer = match &*event.name() {
            "set" => {
                store.set(key, &request.value, None)?;
                json!({ "ok": true })
            }
            "get" => json!({ "value": store.get::<Value>(key)? }),
            "swap" => {
                let swapped = store.compare_and_set(key, request.expected.as_ref(), request.new.as_ref(), None)?;
                json!({ "swapped": swapped })
            }
            "take" => {
                let old: Option<u64> = store.get(key)?;
                let new = old.unwrap_or(0) + 1;
                store.compare_and_set(key, old.as_ref(), Some(&new), None)?;
                json!({ "value": new })
            }
            "count" => json!({ "count": store.increment(key, request.by, None) }),
            "note" => {
                store.push(key, &request.text, 3)?;
                json!({ "items": store.items::<String>(key)? })
            }
            "rank" => {
                store.add(key, &request.member, request.score, 3)?;
                json!({ "members": store.members::<String>(key, 0..u64::MAX, 10)? })
            }
            "refused" => {
                store.increment(key, 1, None);
                let meter = store.meter("refused", MINUTE);
                return Err(reject("refused", "as ever").data(&json!({ "meter": meter })).into());
            }
            "kept" => {
                let count = store.increment(key, 1, None);
                return Err(reject("kept", "as ever").data(&json!({ "count": count })).keeping_writes().into());
            }
            "enter" => {
                event.join_with_replay(key, HISTORY);
                return Ok(Pass);
            }
            "say" => {
                let number = store.increment(key, 1, None);
                event.set_name("said");
                event.set_args(json!({ "number": number }))?;
                event.retarget(To::room(key));
                event.retain(HISTORY);
                json!({ "number": number })
            }
            "once" => {
                let id = format!("once:{}", request.id);
                if !store.once(&id, MINUTE) {
                    return Ok(Swallow);
                }
                // asked again by the same event it is still the first one
                if !store.once(&id, MINUTE) {
                    return Err(failure("an event overtook itself").into());
                }
                json!({ "count": store.increment(key, 1, None) })
            }
            _ => return Ok(Pass),
        };
        event.ack(answer)?;
        Ok(Pass)
    }
}

hubbub_plugin::export!(Keeper: OnMessage);

#[cfg(test)]
mod tests {
    use hubbub_plugin::testing::TestHub;

    use super::*;

    #[test]
    fn the_test_kit_keeps_state_as_a_hub_does() {
        let hub = TestHub::new().plugin::<Keeper>(json!({}));
        let ann = hub.connect();
        for (name, arg, ack) in steps() {
            assert_eq!(ann.send(name, arg.clone()), ack, "{name} {arg}");
        }
        assert_eq!(ann.send("refused", json!({ "key": "n" })).rejection_code(), Some("refused"));
        assert_eq!(ann.send("count", json!({ "key": "n", "by": 0 })), json!({ "count": 5 }));
        assert_eq!(ann.send("kept", json!({ "key": "n" })).rejection_code(), Some("kept"));
        assert_eq!(ann.send("count", json!({ "key": "n", "by": 0 })), json!({ "count": 6 }));
        hub.advance(MINUTE);
        assert_eq!(ann.send("once", json!({ "id": "a", "key": "o" })), json!({ "count": 2 }));
    }

    #[test]
    fn who_enters_late_is_sent_what_was_said() {
        let hub = TestHub::new().plugin::<Keeper>(json!({}));
        let (ann, bob) = (hub.connect(), hub.connect());
        ann.send("say", json!({ "key": "tea" }));
        ann.send("say", json!({ "key": "tea" }));
        bob.send("enter", json!({ "key": "tea" }));
        ann.send("say", json!({ "key": "tea" }));
        assert_eq!(bob.inbox(), [1, 2, 3].map(|n| ("said", json!({ "number": n }))));
        assert!(ann.inbox().is_empty());
    }

    /// The same steps that the scenario sends to a node.
    fn steps() -> Vec<(&'static str, Value, Value)> {
        let steps: Value = hubbub_plugin::serde_json::from_str(include_str!("../steps.json")).unwrap();
        let steps = steps.as_array().unwrap().iter();
        let known = ["set", "get", "swap", "take", "count", "note", "rank", "once"];
        steps
            .map(|step| {
                let name = known.iter().find(|name| step[0] == **name).expect("a known event");
                (*name, step[1].clone(), step[2].clone())
            })
            .collect()
    }
}
