//! A packet to clients: encoded once, shared by all who get it, over both transports.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;

use super::{
    close::CloseReason,
    frame::{self, HEADER_MAX},
};

/// Between two packets in the body of a polling answer.
pub(super) const SEPARATOR: u8 = 0x1e;

/// The longest reason that fits in a close frame beside its code.
const CLOSE_TEXT_MAX: usize = frame::CONTROL_MAX - 2;

/// One or more Engine.IO packets that go out together. The WebSocket frames are one slice of its buffer, the texts of
/// the polling form are slices of the same bytes.
pub struct Packet {
    buffer: Vec<u8>,
    /// Where the frames begin.
    start: usize,
    form: Form,
}

enum Form {
    /// One text; it fills the buffer from `HEADER_MAX` on.
    Text,
    /// Messages of a socket and their attachments, each with its place in the buffer.
    Mixed(Box<[Part]>),
    /// A WebSocket control frame: polling knows nothing like it.
    Control,
    /// A close frame, in polling the packet `1`.
    Close,
}

struct Part {
    start: usize,
    end: usize,
    is_binary: bool,
}

impl Packet {
    /// One text packet. `write` appends it, UTF-8 and with its Engine.IO type in front (`42["a"]`), to a buffer that has
    /// room for `capacity` bytes.
    pub fn text(capacity: usize, write: impl FnOnce(&mut Vec<u8>)) -> Arc<Packet> {
        let mut buffer = Vec::with_capacity(HEADER_MAX + capacity);
        buffer.extend_from_slice(&[0; HEADER_MAX]);
        write(&mut buffer);
        let start = put_header(&mut buffer, frame::TEXT);
        Arc::new(Packet { buffer, start, form: Form::Text })
    }

    /// A message: `text` without the Engine.IO type, and binary frames right behind it. Nothing comes between them.
    pub fn message(text: &str, attachments: &[Bytes]) -> Arc<Packet> {
        let attached: usize = attachments.iter().map(|a| HEADER_MAX + a.len()).sum();
        let mut buffer = Vec::with_capacity(HEADER_MAX + 1 + text.len() + attached);
        buffer.extend_from_slice(&[0; HEADER_MAX]);
        buffer.push(b'4');
        buffer.extend_from_slice(text.as_bytes());
        let start = put_header(&mut buffer, frame::TEXT);
        if attachments.is_empty() {
            return Arc::new(Packet { buffer, start, form: Form::Text });
        }
        let mut parts = Vec::with_capacity(1 + attachments.len());
        parts.push(Part { start: HEADER_MAX, end: buffer.len(), is_binary: false });
        for attachment in attachments {
            let (header_at, header) = frame::header(frame::BINARY, attachment.len());
            buffer.extend_from_slice(&header[header_at..]);
            let start = buffer.len();
            buffer.extend_from_slice(attachment);
            parts.push(Part { start, end: buffer.len(), is_binary: true });
        }
        Arc::new(Packet { buffer, start, form: Form::Mixed(parts.into()) })
    }

    /// One binary packet.
    pub fn binary(body: &[u8]) -> Arc<Packet> {
        let mut buffer = Vec::with_capacity(HEADER_MAX + body.len());
        buffer.extend_from_slice(&[0; HEADER_MAX]);
        buffer.extend_from_slice(body);
        let start = put_header(&mut buffer, frame::BINARY);
        let part = Part { start: HEADER_MAX, end: buffer.len(), is_binary: true };
        Arc::new(Packet { buffer, start, form: Form::Mixed([part].into()) })
    }

    /// The answer to a WebSocket ping.
    pub(super) fn pong(body: &[u8]) -> Arc<Packet> {
        Self::control(frame::PONG, body, Form::Control)
    }

    /// The last packet of a connection. `text` is short and ASCII.
    pub(super) fn close(code: u16, text: &str) -> Arc<Packet> {
        let mut body = code.to_be_bytes().to_vec();
        body.extend_from_slice(&text.as_bytes()[..text.len().min(CLOSE_TEXT_MAX)]);
        Self::control(frame::CLOSE, &body, Form::Close)
    }

    /// The last packet of a connection that ends for `reason`.
    pub(super) fn close_for(reason: CloseReason) -> Arc<Packet> {
        Self::close(reason.code(), reason.as_str())
    }

    fn control(opcode: u8, body: &[u8], form: Form) -> Arc<Packet> {
        let (start, header) = frame::header(opcode, body.len());
        let mut buffer = header[start..].to_vec();
        buffer.extend_from_slice(body);
        Arc::new(Packet { buffer, start: 0, form })
    }

    /// Its WebSocket frames.
    pub(super) fn frames(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// The bytes that [`Packet::append_to_payload`] adds, the separator in front included.
    pub(super) fn payload_len(&self) -> usize {
        match &self.form {
            Form::Text => 1 + self.buffer.len() - HEADER_MAX,
            Form::Mixed(parts) => parts.iter().map(Part::payload_len).sum(),
            Form::Control => 0,
            Form::Close => 2,
        }
    }

    /// Appends its polling form.
    pub(super) fn append_to_payload(&self, payload: &mut Vec<u8>) {
        match &self.form {
            Form::Text => {
                separate(payload);
                payload.extend_from_slice(&self.buffer[HEADER_MAX..]);
            }
            Form::Mixed(parts) => parts.iter().for_each(|part| part.append_to(payload, &self.buffer)),
            Form::Control => {}
            Form::Close => {
                separate(payload);
                payload.push(b'1');
            }
        }
    }
}

impl Part {
    fn payload_len(&self) -> usize {
        let len = self.end - self.start;
        if self.is_binary { 2 + len.div_ceil(3) * 4 } else { 1 + len }
    }

    fn append_to(&self, payload: &mut Vec<u8>, buffer: &[u8]) {
        separate(payload);
        let body = &buffer[self.start..self.end];
        if !self.is_binary {
            return payload.extend_from_slice(body);
        }
        payload.push(b'b');
        let at = payload.len();
        payload.resize(at + body.len().div_ceil(3) * 4, 0);
        STANDARD.encode_slice(body, &mut payload[at..]).expect("there is room for four characters every three bytes");
    }
}

fn separate(payload: &mut Vec<u8>) {
    if !payload.is_empty() {
        payload.push(SEPARATOR);
    }
}

/// Writes the header of the body that begins at `HEADER_MAX`, and says where it starts.
fn put_header(buffer: &mut [u8], opcode: u8) -> usize {
    let (start, header) = frame::header(opcode, buffer.len() - HEADER_MAX);
    buffer[start..HEADER_MAX].copy_from_slice(&header[start..]);
    start
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(packets: &[&Packet]) -> String {
        let mut payload = Vec::new();
        packets.iter().for_each(|p| p.append_to_payload(&mut payload));
        let counted: usize = packets.iter().map(|p| p.payload_len()).sum();
        assert_eq!(payload.len(), counted.saturating_sub(1), "the first packet has no separator in front");
        String::from_utf8(payload).unwrap()
    }

    #[test]
    fn a_text_is_one_frame_and_one_polling_packet() {
        let packet = Packet::text(8, |buffer| buffer.extend_from_slice(b"42[\"a\"]"));
        assert_eq!(packet.frames(), b"\x81\x0742[\"a\"]");
        assert_eq!(payload(&[&packet, &packet]), "42[\"a\"]\u{1e}42[\"a\"]");
    }

    #[test]
    fn a_message_keeps_its_attachments_behind_it() {
        let packet = Packet::message("51-[0]", &[Bytes::from_static(&[1, 2, 3]), Bytes::new()]);
        assert_eq!(packet.frames(), b"\x81\x07451-[0]\x82\x03\x01\x02\x03\x82\x00");
        assert_eq!(payload(&[&packet]), "451-[0]\u{1e}bAQID\u{1e}b");
    }

    #[test]
    fn long_packets_have_long_headers() {
        for len in [125, 126, 65_535, 65_536] {
            let packet = Packet::binary(&vec![7; len]);
            let (start, header) = frame::header(frame::BINARY, len);
            assert_eq!(packet.frames()[..HEADER_MAX - start], header[start..]);
            assert_eq!(packet.frames().len(), HEADER_MAX - start + len);
            assert!(payload(&[&packet]).starts_with("bBwcH"));
        }
    }

    #[test]
    fn control_frames_are_nothing_in_polling_and_a_close_is_its_packet() {
        assert_eq!(payload(&[&Packet::pong(b"x"), &Packet::message("2", &[])]), "42");
        let close = Packet::close_for(CloseReason::ServerShuttingDown);
        assert_eq!(close.frames(), b"\x88\x16\x03\xe9server shutting down");
        assert_eq!(payload(&[&close]), "1");
    }
}
