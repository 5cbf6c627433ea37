//! The body of a polling answer, filled packet by packet within its limits.

use base64::{Engine, engine::general_purpose::STANDARD};

/// Between two packets in the body of a polling answer.
pub(super) const SEPARATOR: u8 = 0x1e;

/// Engine.IO packets in the order in which they were pushed. The first one is always taken, however long it is.
pub(super) struct Payload {
    bytes: Vec<u8>,
    packets: usize,
    len_max: usize,
    packets_max: usize,
}

impl Payload {
    /// An empty one that takes at most `packets_max` packets, and of several at most `len_max` bytes.
    pub(super) fn new(len_max: usize, packets_max: usize) -> Self {
        Self { bytes: Vec::new(), packets: 0, len_max, packets_max }
    }

    /// Appends a packet with its type in front. False: it has no place, nothing was appended.
    pub(super) fn push_text(&mut self, text: &[u8]) -> bool {
        let fits = self.begin(text.len());
        if fits {
            self.bytes.extend_from_slice(text);
        }
        fits
    }

    /// Appends a binary message. False: it has no place, nothing was appended.
    pub(super) fn push_binary(&mut self, body: &[u8]) -> bool {
        let len = body.len().div_ceil(3) * 4;
        let fits = self.begin(1 + len);
        if fits {
            self.bytes.push(b'b');
            let at = self.bytes.len();
            self.bytes.resize(at + len, 0);
            let room = &mut self.bytes[at..];
            STANDARD.encode_slice(body, room).expect("there is room for four characters every three bytes");
        }
        fits
    }

    /// The body; `None` when nothing was pushed.
    pub(super) fn finish(self) -> Option<Vec<u8>> {
        (self.packets > 0).then_some(self.bytes)
    }

    /// Whether a packet of `len` bytes has place; if so, puts what stands between it and the one before.
    fn begin(&mut self, len: usize) -> bool {
        if self.packets > 0 {
            if self.packets == self.packets_max || self.bytes.len() + 1 + len > self.len_max {
                return false;
            }
            self.bytes.push(SEPARATOR);
        }
        self.packets += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(len_max: usize, packets_max: usize, texts: &[&str], expected: &str) {
        let mut payload = Payload::new(len_max, packets_max);
        let taken = texts.iter().take_while(|text| payload.push_text(text.as_bytes())).count();
        let body = String::from_utf8(payload.finish().unwrap_or_default()).unwrap();
        assert_eq!(body, expected);
        assert_eq!(taken, body.split('\u{1e}').filter(|packet| !packet.is_empty()).count());
    }

    #[test]
    fn a_payload_ends_at_the_first_of_its_limits() {
        check(100, 16, &[], "");
        check(100, 16, &["4a", "4b"], "4a\u{1e}4b");
        check(100, 1, &["4a", "4b"], "4a");
        check(100, 2, &["4a", "4b", "4c"], "4a\u{1e}4b");
        check(5, 16, &["4a", "4b", "4c"], "4a\u{1e}4b");
        check(4, 16, &["4a", "4b", "4c"], "4a");
        check(2, 16, &["4longer", "4b"], "4longer");
    }

    #[test]
    fn a_binary_message_counts_with_its_encoding() {
        let mut payload = Payload::new(8, 16);
        assert!(payload.push_binary(&[1, 2]) && !payload.push_binary(&[3]) && payload.push_binary(&[]));
        assert_eq!(payload.finish().unwrap(), b"bAQI=\x1eb");
    }
}
