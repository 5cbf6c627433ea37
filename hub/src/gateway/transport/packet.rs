//! A packet to clients: encoded once, shared by all who get it, over both transports.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    close::CloseReason,
    frame::{self, HEADER_MAX},
    payload::Payload,
};

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
    pub(crate) fn frames(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// Appends its polling form, from the frame on that begins at `from`, as far as the payload takes it. Gives where the
    /// first frame begins that is left: the end of the frames when none is.
    pub(super) fn append_to(&self, payload: &mut Payload, from: usize) -> usize {
        let end = self.frames().len();
        let taken = match &self.form {
            Form::Text => payload.push_text(&self.buffer[HEADER_MAX..]),
            Form::Mixed(parts) => {
                let left = parts.iter().filter(|part| part.end - self.start > from);
                let taken = left.take_while(|part| part.append_to(payload, &self.buffer)).last();
                return taken.map_or(from, |part| part.end - self.start);
            }
            Form::Control => true,
            Form::Close => payload.push_text(b"1"),
        };
        if taken { end } else { from }
    }
}

impl Part {
    fn append_to(&self, payload: &mut Payload, buffer: &[u8]) -> bool {
        let body = &buffer[self.start..self.end];
        if self.is_binary { payload.push_binary(body) } else { payload.push_text(body) }
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
        let mut payload = Payload::new(usize::MAX, usize::MAX);
        for packet in packets {
            assert_eq!(packet.append_to(&mut payload, 0), packet.frames().len());
        }
        String::from_utf8(payload.finish().unwrap()).unwrap()
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
    fn a_message_may_go_in_several_payloads() {
        let packet = Packet::message("52-[0]", &[Bytes::from_static(&[1, 2, 3]), Bytes::new()]);
        let mut from = 0;
        for (end, expected) in [(9, "452-[0]"), (14, "bAQID"), (16, "b")] {
            let mut payload = Payload::new(usize::MAX, 1);
            from = packet.append_to(&mut payload, from);
            assert_eq!((from, &*payload.finish().unwrap()), (end, expected.as_bytes()));
        }
        assert_eq!(from, packet.frames().len());
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
