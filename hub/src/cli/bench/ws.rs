//! The client's side of WebSocket (RFC 6455): the opening request, masked frames out, plain frames in.

use std::ops::Range;

use thiserror::Error;

/// A message may be as long as this, in bytes; a longer one ends the connection.
pub(super) const MESSAGE_MAX_BYTES: usize = 16 << 20;

/// The key of the RFC's example: the generator proves nothing by it, so one key with its known answer serves all.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// The mask of every frame. It protects proxies from hostile scripts, of which there are none here; that it is always the
/// same costs the server neither more nor less.
const MASK: [u8; 4] = [0x95, 0xe9, 0xd1, 0x5b];

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

/// One frame within a buffer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// The last frame of its message.
    pub(super) last: bool,
    pub(super) opcode: Opcode,
    /// Where in the buffer the payload lies. It ends where the frame ends.
    pub(super) payload: Range<usize>,
}

/// Why the bytes are not a server's WebSocket frames.
#[derive(Debug, Error, PartialEq, Eq)]
pub(super) enum FrameError {
    #[error("the server sent a masked WebSocket frame")]
    Masked,
    #[error("the server sent a WebSocket frame of unknown kind {0}")]
    Kind(u8),
    #[error("the server sent a WebSocket frame of {0} bytes, at most {MESSAGE_MAX_BYTES} are read")]
    TooLong(u64),
}

/// The frame that begins at `at`, or None while it is not whole.
pub(super) fn decode(buffer: &[u8], at: usize) -> Result<Option<Frame>, FrameError> {
    let Some([first, second, rest @ ..]) = buffer.get(at..) else { return Ok(None) };
    let opcode = match first & 0x0f {
        0 => Opcode::Continuation,
        1 => Opcode::Text,
        2 => Opcode::Binary,
        8 => Opcode::Close,
        9 => Opcode::Ping,
        10 => Opcode::Pong,
        other => return Err(FrameError::Kind(other)),
    };
    if second & 0x80 != 0 {
        return Err(FrameError::Masked);
    }
    let (length, head) = match (second & 0x7f, rest) {
        (126, [a, b, ..]) => (u64::from(u16::from_be_bytes([*a, *b])), 4),
        (127, [a, b, c, d, e, f, g, h, ..]) => (u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]), 10),
        (126 | 127, _) => return Ok(None),
        (short, _) => (u64::from(short), 2),
    };
    if length > MESSAGE_MAX_BYTES as u64 {
        return Err(FrameError::TooLong(length));
    }
    let start = at + head;
    let end = start + length as usize;
    Ok((end <= buffer.len()).then_some(Frame { last: first & 0x80 != 0, opcode, payload: start..end }))
}

/// Appends one whole message in a single masked frame.
pub(super) fn encode(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8]) {
    let code = match opcode {
        Opcode::Continuation => 0,
        Opcode::Text => 1,
        Opcode::Binary => 2,
        Opcode::Close => 8,
        Opcode::Ping => 9,
        Opcode::Pong => 10,
    };
    out.push(0x80 | code);
    match payload.len() {
        length @ 0..=125 => out.push(0x80 | length as u8),
        length @ 126..=0xffff => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&MASK);
    let start = out.len();
    out.extend_from_slice(payload);
    for chunk in out[start..].chunks_mut(4) {
        for (byte, key) in chunk.iter_mut().zip(MASK) {
            *byte ^= key;
        }
    }
}

/// The request that opens a WebSocket at this path with query.
pub(super) fn opening(host: &str, path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\nUser-Agent: hubbub-bench\r\n\r\n"
    )
}

/// True when this `Sec-WebSocket-Accept` answers `opening`.
pub(super) fn accepts(accept: Option<&str>) -> bool {
    accept == Some(ACCEPT)
}

/// The code and reason of a close frame, as text for people.
pub(super) fn close_text(payload: &[u8]) -> String {
    match payload {
        [high, low] => format!("the server closed with code {}", u16::from_be_bytes([*high, *low])),
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            format!("the server closed with code {code}: {}", String::from_utf8_lossy(reason))
        }
        _ => "the server closed without a code".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server_frame(payload: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        encode(&mut frame, Opcode::Text, payload);
        let head = frame.len() - payload.len();
        let plain = frame[head..].iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key).collect::<Vec<u8>>();
        frame.truncate(head - MASK.len());
        frame[1] &= 0x7f;
        frame.extend(plain);
        frame
    }

    #[test]
    fn frames_of_every_length_class_are_read_and_a_cut_one_is_awaited() {
        for length in [0, 1, 125, 126, 127, 65_535, 65_536, 70_000] {
            let payload = vec![b'a'; length];
            let frame = server_frame(&payload);
            let found = decode(&frame, 0).unwrap().unwrap();
            assert_eq!((found.last, found.opcode, found.payload.end), (true, Opcode::Text, frame.len()), "{length}");
            assert_eq!(&frame[found.payload], payload, "{length}");
            for cut in [0, 1, 2, 3, 5, 9, frame.len() - 1] {
                if cut < frame.len() {
                    assert_eq!(decode(&frame[..cut], 0), Ok(None), "{length} cut at {cut}");
                }
            }
        }
    }

    #[test]
    fn what_no_server_may_send_is_an_error() {
        assert_eq!(decode(&[0x81, 0x81, 1, 2, 3, 4, 5], 0), Err(FrameError::Masked));
        assert_eq!(decode(&[0x83, 0x00], 0), Err(FrameError::Kind(3)));
        assert_eq!(decode(&[0x81, 127, 0, 0, 0, 1, 0, 0, 0, 0], 0), Err(FrameError::TooLong(1 << 32)));
    }

    #[test]
    fn a_sent_frame_is_masked() {
        let mut out = Vec::new();
        encode(&mut out, Opcode::Text, b"hello");
        assert_eq!((&out[..2], &out[2..6]), (&[0x81, 0x85][..], &MASK[..]));
        let plain: Vec<u8> = out[6..].iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
        assert_eq!(plain, b"hello");
    }

    #[test]
    fn a_close_frame_is_told_in_words() {
        assert_eq!(close_text(&[]), "the server closed without a code");
        assert_eq!(close_text(&[3, 232]), "the server closed with code 1000");
        assert_eq!(close_text(b"\x03\xf0slow"), "the server closed with code 1008: slow");
    }
}
