//! The manifest of a plugin: JSON in the custom section `hubbub:manifest`, made by the compiler, so that a hub can read
//! it before anything runs.

/// The version of the WIT package that this SDK is generated from.
pub const ABI: &str = "0.1.0";

/// The SDK's own version.
pub const SDK_VERSION: &str = env!("CARGO_PKG_VERSION");

/// What a plugin says of itself.
#[derive(Clone, Copy, Debug)]
pub struct Manifest {
    /// The crate's name.
    pub name: &'static str,
    /// The crate's version.
    pub version: &'static str,
    /// Patterns of the messages it wants; none without a message hook.
    pub messages: &'static [&'static str],
    /// Patterns of the namespaces it wants.
    pub namespaces: &'static [&'static str],
}

impl Manifest {
    /// How many bytes the JSON has.
    pub const fn json_len(&self) -> usize {
        self.render(Sink::<0>::new()).len
    }

    /// The JSON; `N` must be [`json_len`](Manifest::json_len).
    pub const fn json<const N: usize>(&self) -> [u8; N] {
        self.render(Sink::<N>::new()).bytes
    }

    const fn render<const N: usize>(&self, sink: Sink<N>) -> Sink<N> {
        let sink = sink.raw("{\"name\":").text(self.name).raw(",\"version\":").text(self.version);
        let sink = sink.raw(",\"abi\":").text(ABI).raw(",\"sdk\":").text(SDK_VERSION);
        let sink = sink.raw(",\"subscriptions\":{\"messages\":").list(self.messages);
        sink.raw(",\"namespaces\":").list(self.namespaces).raw("}}")
    }
}

/// Counts bytes, and keeps those that fit.
struct Sink<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Sink<N> {
    const fn new() -> Self {
        Self { bytes: [0; N], len: 0 }
    }

    const fn byte(mut self, byte: u8) -> Self {
        if self.len < N {
            self.bytes[self.len] = byte;
        }
        self.len += 1;
        self
    }

    const fn raw(mut self, text: &str) -> Self {
        let text = text.as_bytes();
        let mut at = 0;
        while at < text.len() {
            self = self.byte(text[at]);
            at += 1;
        }
        self
    }

    /// A JSON string. Names of events may hold anything, control characters too.
    const fn text(mut self, text: &str) -> Self {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let text = text.as_bytes();
        self = self.byte(b'"');
        let mut at = 0;
        while at < text.len() {
            self = match text[at] {
                byte @ (b'"' | b'\\') => self.byte(b'\\').byte(byte),
                byte @ 0..=0x1f => self.raw("\\u00").byte(HEX[(byte >> 4) as usize]).byte(HEX[(byte & 15) as usize]),
                byte => self.byte(byte),
            };
            at += 1;
        }
        self.byte(b'"')
    }

    const fn list(mut self, texts: &[&str]) -> Self {
        self = self.byte(b'[');
        let mut at = 0;
        while at < texts.len() {
            if at > 0 {
                self = self.byte(b',');
            }
            self = self.text(texts[at]);
            at += 1;
        }
        self.byte(b']')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_json_whatever_the_names_are() {
        const MANIFEST: Manifest =
            Manifest { name: "x", version: "1.2.3", messages: &["say \"hi\"", "a\\b\n", "é*"], namespaces: &["*"] };
        const JSON: [u8; MANIFEST.json_len()] = MANIFEST.json();
        let json: serde_json::Value = serde_json::from_slice(&JSON).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "name": "x", "version": "1.2.3", "abi": ABI, "sdk": SDK_VERSION,
                "subscriptions": { "messages": ["say \"hi\"", "a\\b\n", "é*"], "namespaces": ["*"] },
            })
        );
    }
}
