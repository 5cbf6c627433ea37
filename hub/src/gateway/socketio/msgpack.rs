//! Between MessagePack and the JSON text with attachments that the hub works with.

use std::fmt::Write;

use bytes::Bytes;
use rmp::encode;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// How deep arrays and maps from a client may lie in each other. What goes out is read as a tree of at most 127 levels:
/// plugins may put some around.
const DEPTH_MAX: usize = 100;

/// A MessagePack value as JSON text; binary becomes attachments.
pub fn to_json(bytes: &[u8]) -> Result<(String, Vec<Bytes>), String> {
    let mut reader = rmp_serde::Deserializer::from_read_ref(bytes);
    let mut writer = Writer { text: String::with_capacity(bytes.len() + 16), attachments: Vec::new(), depth: 0 };
    (&mut writer).deserialize(&mut reader).map_err(|e| e.to_string())?;
    Ok((writer.text, writer.attachments))
}

struct Writer {
    text: String,
    attachments: Vec<Bytes>,
    /// Arrays and maps that are open.
    depth: usize,
}

impl Writer {
    fn deeper<E: Error>(&mut self) -> Result<(), E> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(E::custom(format_args!("more than {DEPTH_MAX} arrays and maps lie in each other")));
        }
        Ok(())
    }

    fn string(&mut self, text: &str) {
        self.text.push_str(&Value::from(text).to_string());
    }
}

impl<'de> DeserializeSeed<'de> for &mut Writer {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut Writer {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MessagePack that JSON can say")
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.text.push_str(if value { "true" } else { "false" });
        Ok(())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        write!(self.text, "{value}").map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        write!(self.text, "{value}").map_err(E::custom)
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        // as JavaScript's JSON does: what is no number is null
        self.text.push_str(&Value::from(value).to_string());
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        self.string(value);
        Ok(())
    }

    fn visit_bytes<E: Error>(self, value: &[u8]) -> Result<(), E> {
        write!(self.text, "{{\"_placeholder\":true,\"num\":{}}}", self.attachments.len()).map_err(E::custom)?;
        self.attachments.push(Bytes::copy_from_slice(value));
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.text.push_str("null");
        Ok(())
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        self.visit_unit()
    }

    /// An extension type: JavaScript's `undefined` comes as one.
    fn visit_newtype_struct<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        serde::de::IgnoredAny::deserialize(reader)?;
        self.visit_unit()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        self.deeper()?;
        self.text.push('[');
        let mut first = true;
        loop {
            let length = self.text.len();
            if !first {
                self.text.push(',');
            }
            first = false;
            if seq.next_element_seed(&mut *self)?.is_none() {
                self.text.truncate(length);
                break;
            }
        }
        self.text.push(']');
        self.depth -= 1;
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.deeper()?;
        self.text.push('{');
        let mut first = true;
        while let Some(key) = map.next_key::<String>()? {
            if !std::mem::take(&mut first) {
                self.text.push(',');
            }
            self.string(&key);
            self.text.push(':');
            map.next_value_seed(&mut *self)?;
        }
        self.text.push('}');
        self.depth -= 1;
        Ok(())
    }
}

/// JSON text as MessagePack; placeholders become binary. The text was checked when it came in, so that a failure
/// would be the hub's own mistake: it is written as nil.
pub fn from_json(text: &str, attachments: &[Bytes]) -> Vec<u8> {
    let value = serde_json::from_str(text).unwrap_or(Value::Null);
    let mut out = Vec::with_capacity(text.len());
    put(&mut out, &value, attachments);
    out
}

/// CONNECT_ERROR with a JSON object as its data.
pub fn connect_error(namespace: &str, body: &str) -> Vec<u8> {
    let data = serde_json::from_str(body).unwrap_or(Value::Null);
    let packet = serde_json::json!({ "type": 4, "nsp": namespace, "data": data });
    let mut out = Vec::new();
    put(&mut out, &packet, &[]);
    out
}

/// Writing to a `Vec` cannot fail.
fn put(out: &mut Vec<u8>, value: &Value, attachments: &[Bytes]) {
    const WHY: &str = "a Vec takes every byte";
    match value {
        Value::Null => encode::write_nil(out).expect(WHY),
        Value::Bool(b) => encode::write_bool(out, *b).expect(WHY),
        Value::Number(n) => match (n.as_i64(), n.as_u64()) {
            (Some(i), _) => {
                encode::write_sint(out, i).expect(WHY);
            }
            (None, Some(u)) => {
                encode::write_uint(out, u).expect(WHY);
            }
            (None, None) => encode::write_f64(out, n.as_f64().unwrap_or(0.0)).expect(WHY),
        },
        Value::String(s) => encode::write_str(out, s).expect(WHY),
        Value::Array(items) => {
            encode::write_array_len(out, items.len() as u32).expect(WHY);
            items.iter().for_each(|item| put(out, item, attachments));
        }
        Value::Object(map) => {
            let number = (map.get("_placeholder") == Some(&Value::Bool(true)))
                .then(|| map.get("num").and_then(Value::as_u64))
                .flatten();
            if let Some(bytes) = number.and_then(|n| attachments.get(n as usize)) {
                return encode::write_bin(out, bytes).expect(WHY);
            }
            encode::write_map_len(out, map.len() as u32).expect(WHY);
            for (key, item) in map {
                encode::write_str(out, key).expect(WHY);
                put(out, item, attachments);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_survives_the_way_there_and_back() {
        let text = r#"["name",{"a":[1,-2,2.5,null,true],"file":{"_placeholder":true,"num":0}},"ü\n"]"#;
        let attachments = [Bytes::from_static(&[1, 2, 3])];
        let packed = from_json(text, &attachments);
        let (back, bins) = to_json(&packed).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&back).unwrap(), serde_json::from_str::<Value>(text).unwrap());
        assert_eq!(bins, attachments);
    }

    #[test]
    fn undefined_and_nan_are_null() {
        assert_eq!(to_json(&[0x91, 0xd4, 0, 0]).unwrap().0, "[null]");
        let mut nan = vec![0x91];
        encode::write_f64(&mut nan, f64::NAN).unwrap();
        assert_eq!(to_json(&nan).unwrap().0, "[null]");
        assert_eq!(to_json(&[0x90]).unwrap().0, "[]");
    }

    #[test]
    fn what_lies_too_deep_to_go_out_again_is_an_error() {
        let nested = |depth| [vec![0x91; depth - 1], vec![0x90]].concat();
        let (text, _) = to_json(&nested(DEPTH_MAX)).unwrap();
        assert_eq!(from_json(&text, &[]), nested(DEPTH_MAX));
        assert!(to_json(&nested(DEPTH_MAX + 1)).is_err());
        let siblings = [vec![0xdc, 1, 0], vec![0x80; 256]].concat();
        assert!(to_json(&siblings).is_ok(), "beside each other they are not deep");
    }

    #[test]
    fn truncated_input_is_an_error() {
        assert!(to_json(&[0x92, 0x01]).is_err());
        assert!(to_json(&[0x81, 0xa1, b'a']).is_err());
    }
}
