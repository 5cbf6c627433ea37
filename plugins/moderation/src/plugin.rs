//! The plugin: judges the texts of messages, and masks or rejects them.
//!
//! `hold`, `shadow` and `mute` need memory that this form has not: a held or muted message is rejected, a shadowed one
//! goes back to its sender alone.

use std::fmt;

use hubbub_plugin::{
    prelude::*,
    serde_json::{self, value::RawValue},
};
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};

use crate::{Action, Config, Counts, Engine, Message};

struct Moderation {
    engine: Engine,
}

impl<'de> Deserialize<'de> for Moderation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let config = Config::deserialize(deserializer)?;
        Ok(Self { engine: Engine::new(&config).map_err(D::Error::custom)? })
    }
}

impl Plugin for Moderation {}

impl OnMessage for Moderation {
    fn on_message(&self, event: &MessageEvent) -> Outcome {
        let json = event.args_json();
        let mut args: Vec<Box<RawValue>> = serde_json::from_str(&json)?;
        let Some(first) = args.first_mut().filter(|first| first.get().starts_with('{')) else { return Ok(Pass) };
        let Fields(mut fields) = serde_json::from_str(first.get())?;
        let (room, roles) = (event.room(), event.roles());
        let mut masked = false;
        for (key, value) in &mut fields {
            if !self.engine.config().fields.contains(key) || !value.get().starts_with('"') {
                continue;
            }
            let text: String = serde_json::from_str(value.get())?;
            let counts = Counts::default();
            let message = Message { text: &text, room: room.as_deref(), roles: &roles, mentions: 0, counts };
            let verdict = self.engine.judge(&message);
            match (verdict.action(), verdict.decisive()) {
                (Action::Allow | Action::Mask, _) | (_, None) => {}
                (Action::Shadow, _) => event.retarget(To::sender()),
                (_, Some(finding)) => {
                    return Err(reject(finding.reason.code(), finding.reason.message()).into());
                }
            }
            if let Some(clean) = verdict.mask(&text) {
                *value = serde_json::value::to_raw_value(&clean)?;
                masked = true;
            }
        }
        if masked {
            *first = RawValue::from_string(write(&fields)?)?;
            let attachments = event.raw_args().attachments().to_vec();
            event.set_args(Args::raw(serde_json::to_string(&args)?, attachments))?;
        }
        Ok(Pass)
    }
}

/// The fields of an object in their order, doubled ones too, with their values as they were written.
struct Fields(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(Entries)
    }
}

fn write(fields: &[(String, Box<RawValue>)]) -> Result<String, serde_json::Error> {
    let mut json = String::from("{");
    for (i, (key, value)) in fields.iter().enumerate() {
        if i > 0 {
            json.push(',');
        }
        json.push_str(&serde_json::to_string(key)?);
        json.push(':');
        json.push_str(value.get());
    }
    json.push('}');
    Ok(json)
}

hubbub_plugin::export!(Moderation: OnMessage);

#[cfg(test)]
mod tests {
    use hubbub_plugin::testing::TestHub;

    use super::*;

    /// Sends every message back to its sender.
    #[derive(Deserialize)]
    struct Mirror {}

    impl Plugin for Mirror {}

    impl OnMessage for Mirror {
        fn on_message(&self, event: &MessageEvent) -> Outcome {
            event.retarget(To::sender());
            Ok(Pass)
        }
    }

    hubbub_plugin::export!(Mirror: OnMessage);

    fn hub(action: &str) -> TestHub {
        let config = json!({ "words": [{ "name": "w", "words": ["idiot"], "action": action }] });
        TestHub::new().plugin::<Moderation>(config).plugin::<Mirror>(json!({}))
    }

    #[test]
    fn a_masked_message_is_otherwise_as_it_was_sent() {
        let hub = hub("mask");
        let socket = hub.connect();
        socket.emit_args("message", Args::raw(r#"[{"n":1.10e2,"text":"you 1diot \"x\"","idiot":"idiot"},7]"#, vec![]));
        let got = serde_json::to_string(&socket.inbox().remove(0).args).unwrap();
        assert_eq!(got, r#"[{"idiot":"idiot","n":110.0,"text":"you ***** \"x\""},7]"#);
        assert!(hub.failures().is_empty());
    }

    #[test]
    fn a_rejected_message_says_why() {
        let hub = hub("reject");
        let socket = hub.connect();
        let ack = socket.send("message", json!({ "text": "IDI0T" }));
        assert_eq!(ack.rejection_code(), Some("word_not_allowed"));
        assert!(socket.inbox().is_empty());
        assert_eq!(socket.send("message", json!({ "text": "fine" })), json!({ "ok": true }));
    }
}
