//! A message's first argument: its fields are read and written one by one, all else stays as it was sent.

use std::fmt;

use hubbub_plugin::{
    prelude::*,
    serde_json::{self, value::RawValue},
};
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

/// A message whose first argument is an object.
pub(crate) struct Body {
    args: Vec<Box<RawValue>>,
    fields: Fields,
    is_changed: bool,
}

/// A field that holds text.
pub(crate) struct Text {
    at: usize,
    pub text: String,
}

impl Body {
    /// `None`: the first argument is no object.
    pub(crate) fn read(event: &MessageEvent) -> Result<Option<Self>, serde_json::Error> {
        let args: Vec<Box<RawValue>> = serde_json::from_str(&event.args_json())?;
        let Some(first) = args.first().filter(|first| first.get().starts_with('{')) else { return Ok(None) };
        let fields = serde_json::from_str(first.get())?;
        Ok(Some(Self { args, fields, is_changed: false }))
    }

    /// Those of these names.
    pub(crate) fn texts(&self, names: &[String]) -> Result<Vec<Text>, serde_json::Error> {
        let fields = self.fields.0.iter().enumerate();
        let texts = fields.filter(|(_, (key, value))| value.get().starts_with('"') && names.contains(key));
        texts.map(|(at, (_, value))| Ok(Text { at, text: serde_json::from_str(value.get())? })).collect()
    }

    /// How many people it calls, as `chat-rooms` says.
    pub(crate) fn mentions(&self) -> usize {
        let list = self.fields.0.iter().find(|(key, _)| key == "mentions");
        list.and_then(|(_, list)| serde_json::from_str::<Vec<IgnoredAny>>(list.get()).ok()).map_or(0, |list| list.len())
    }

    pub(crate) fn set(&mut self, text: &Text, new: &str) -> Result<(), serde_json::Error> {
        self.fields.0[text.at].1 = serde_json::value::to_raw_value(new)?;
        self.is_changed = true;
        Ok(())
    }

    /// Gives the message what was changed.
    pub(crate) fn write(mut self, event: &MessageEvent) -> Result<(), Stop> {
        if self.is_changed {
            self.args[0] = RawValue::from_string(write(&self.fields.0)?)?;
            let attachments = event.raw_args().attachments().to_vec();
            event.set_args(Args::raw(serde_json::to_string(&self.args)?, attachments))?;
        }
        Ok(())
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
