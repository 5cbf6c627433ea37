//! Finds the texts of a message that the config names, in the order in which they stand there.

use std::{borrow::Cow, fmt};

use hubbub_plugin::serde_json::{self, value::RawValue};
use serde::de::{Deserializer, MapAccess, Visitor};

/// A text of a message.
pub(crate) struct Text<'a> {
    /// As it stands in the message, with quotes and escapes.
    pub raw: &'a str,
    pub decoded: Cow<'a, str>,
}

/// The texts of these arguments at any of the paths. A field that stands there twice is found twice: no reader gets an
/// unfiltered one.
pub(crate) fn find<'a>(args: &[&'a RawValue], fields: &[String]) -> Result<Vec<Text<'a>>, serde_json::Error> {
    let paths: Vec<&str> = fields.iter().map(String::as_str).collect();
    let mut texts = Vec::new();
    for arg in args {
        find_in(arg, &paths, &mut texts)?;
    }
    Ok(texts)
}

/// `paths` are those that lead on from here. The recursion is as deep as the longest path of the config.
fn find_in<'a>(raw: &'a RawValue, paths: &[&str], texts: &mut Vec<Text<'a>>) -> Result<(), serde_json::Error> {
    if !raw.get().starts_with('{') {
        return Ok(());
    }
    for (key, value) in serde_json::Deserializer::from_str(raw.get()).deserialize_map(Entries)? {
        let mut further = Vec::new();
        let mut named = false;
        for path in paths {
            match path.split_once('.') {
                Some((head, tail)) if head == key => further.push(tail),
                None if *path == key => named = true,
                _ => {}
            }
        }
        if named && value.get().starts_with('"') {
            let decoded = serde_json::from_str::<CowText>(value.get())?.0;
            texts.push(Text { raw: value.get(), decoded });
        } else if !further.is_empty() {
            find_in(value, &further, texts)?;
        }
    }
    Ok(())
}

/// A text that is borrowed when it has no escapes.
#[derive(serde::Deserialize)]
struct CowText<'a>(#[serde(borrow)] Cow<'a, str>);

/// The entries of an object, doubled keys too.
struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some((CowText(key), value)) = map.next_entry()? {
            entries.push((key, value));
        }
        Ok(entries)
    }
}
