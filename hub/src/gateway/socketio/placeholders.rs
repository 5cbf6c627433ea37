//! What stands for binary attachments in the text of a packet.

use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::codec::PacketError;

/// Every placeholder must number an attachment that is there: a receiver would fail on it.
pub(super) fn check_placeholders(text: &str, attachments: usize) -> Result<(), PacketError> {
    if attachments == 0 {
        return Ok(());
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    let mut worst = None;
    Placeholders(&mut worst).deserialize(&mut reader).map_err(PacketError::Json)?;
    match worst {
        Some(number) if number >= attachments as u64 => {
            Err(PacketError::Invalid("a placeholder without an attachment"))
        }
        _ => Ok(()),
    }
}

/// Finds the greatest placeholder number; a number that is none counts as the greatest of all.
struct Placeholders<'a>(&'a mut Option<u64>);

impl<'de> DeserializeSeed<'de> for Placeholders<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

macro_rules! leaves {
    ($($visit:ident: $type:ty),*) => { $(fn $visit<E>(self, _: $type) -> Result<(), E> { Ok(()) })* };
}

impl<'de> Visitor<'de> for Placeholders<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    leaves!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Placeholders(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (mut is_placeholder, mut number) = (false, None);
        while let Some(key) = map.next_key::<String>()? {
            match &*key {
                "_placeholder" => {
                    is_placeholder |= map.next_value::<&RawValue>()?.get() == "true";
                }
                "num" => number = map.next_value::<&RawValue>()?.get().parse::<u64>().ok(),
                _ => map.next_value_seed(Placeholders(self.0))?,
            }
        }
        if is_placeholder {
            *self.0 = (*self.0).max(Some(number.unwrap_or(u64::MAX)));
        }
        Ok(())
    }
}
