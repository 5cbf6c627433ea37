//! WebSocket frames as a server sees them (RFC 6455, 5): masked ones in, unmasked ones out.

pub(super) const CONTINUATION: u8 = 0;
pub(super) const TEXT: u8 = 1;
pub(super) const BINARY: u8 = 2;
pub(super) const CLOSE: u8 = 8;
pub(super) const PING: u8 = 9;
pub(super) const PONG: u8 = 10;

/// The longest header of a frame that a server sends.
pub(super) const HEADER_MAX: usize = 10;
/// The longest body of a control frame.
pub(super) const CONTROL_MAX: usize = 125;

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const OPCODE: u8 = 0x0f;
const MASKED: u8 = 0x80;
const LENGTH: u8 = 0x7f;
const LENGTH_IN_2: u8 = 126;
const LENGTH_IN_8: u8 = 127;
const KEY_LEN: usize = 4;

/// What the first bytes of a client's frame say.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The last frame of its message.
    pub(super) is_final: bool,
    pub(super) opcode: u8,
    /// Where the body begins; the masking key is the four bytes before.
    pub(super) body_at: usize,
    pub(super) body_len: usize,
}

/// Why a frame is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameError {
    ReservedBits,
    UnknownOpcode,
    Unmasked,
    BadControl,
    TooBig,
}

impl FrameError {
    /// The status code and text of the close frame that answers it.
    pub(super) fn close(self) -> (u16, &'static str) {
        match self {
            FrameError::ReservedBits => (1002, "reserved bits are set"),
            FrameError::UnknownOpcode => (1002, "unknown opcode"),
            FrameError::Unmasked => (1002, "frame without a mask"),
            FrameError::BadControl => (1002, "control frame in parts or too long"),
            FrameError::TooBig => (1009, "message too big"),
        }
    }
}

impl Header {
    /// Reads the header at the start of `bytes`. `Ok(None)`: more bytes are needed. A body longer than `body_max` is
    /// refused before any of it is read.
    pub(super) fn parse(bytes: &[u8], body_max: usize) -> Result<Option<Header>, FrameError> {
        let [first, second, rest @ ..] = bytes else { return Ok(None) };
        let opcode = first & OPCODE;
        let is_final = first & FIN != 0;
        if first & RESERVED != 0 {
            return Err(FrameError::ReservedBits);
        }
        if !matches!(opcode, CONTINUATION | TEXT | BINARY | CLOSE | PING | PONG) {
            return Err(FrameError::UnknownOpcode);
        }
        if second & MASKED == 0 {
            return Err(FrameError::Unmasked);
        }
        if opcode >= CLOSE && (!is_final || usize::from(second & LENGTH) > CONTROL_MAX) {
            return Err(FrameError::BadControl);
        }
        let (length_len, length) = match second & LENGTH {
            LENGTH_IN_2 => match rest.first_chunk() {
                Some(length) => (2, u64::from(u16::from_be_bytes(*length))),
                None => return Ok(None),
            },
            LENGTH_IN_8 => match rest.first_chunk() {
                Some(length) => (8, u64::from_be_bytes(*length)),
                None => return Ok(None),
            },
            length => (0, u64::from(length)),
        };
        match usize::try_from(length) {
            Ok(body_len) if body_len <= body_max => {
                Ok(Some(Header { is_final, opcode, body_at: 2 + length_len + KEY_LEN, body_len }))
            }
            _ => Err(FrameError::TooBig),
        }
    }

    /// The bytes of the whole frame.
    pub(super) fn frame_len(&self) -> usize {
        self.body_at + self.body_len
    }
}

/// Takes the mask off the body of `frame`, in place, and gives the body.
pub(super) fn unmask<'a>(frame: &'a mut [u8], header: &Header) -> &'a [u8] {
    let (head, body) = frame.split_at_mut(header.body_at);
    let key: [u8; KEY_LEN] = *head.last_chunk().expect("a header ends with its key");
    let [a, b, c, d] = key;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, tail) = body.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, key) in tail.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
    body
}

/// The header of an unmasked frame that is a whole message. Right-aligned: the first number says where it begins.
pub(super) fn header(opcode: u8, body_len: usize) -> (usize, [u8; HEADER_MAX]) {
    let mut header = [0; HEADER_MAX];
    let start = match (u8::try_from(body_len), u16::try_from(body_len)) {
        (Ok(len), _) if usize::from(len) <= CONTROL_MAX => {
            header[9] = len;
            8
        }
        (_, Ok(len)) => {
            header[7] = LENGTH_IN_2;
            header[8..].copy_from_slice(&len.to_be_bytes());
            6
        }
        _ => {
            header[1] = LENGTH_IN_8;
            header[2..].copy_from_slice(&(body_len as u64).to_be_bytes());
            0
        }
    };
    header[start] = FIN | opcode;
    (start, header)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 1 << 20;

    /// A client's frame.
    fn masked(first: u8, body: &[u8]) -> Vec<u8> {
        let (start, mut header) = header(first, body.len());
        header[start] = first;
        header[start + 1] |= MASKED;
        let key = [0x11, 0x80, 0xfe, 0x05];
        let mut frame = header[start..].to_vec();
        frame.extend_from_slice(&key);
        frame.extend(body.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
        frame
    }

    #[test]
    fn every_length_form_is_read_and_unmasked() {
        for len in [0, 1, 3, 4, 7, 8, 9, 125, 126, 127, 65_535, 65_536, 100_003] {
            let body: Vec<u8> = (0..len).map(|n| n as u8).collect();
            let mut frame = masked(FIN | BINARY, &body);
            let header = Header::parse(&frame, MAX).unwrap().unwrap();
            assert_eq!((header.is_final, header.opcode, header.body_len), (true, BINARY, len));
            assert_eq!(header.frame_len(), frame.len());
            assert_eq!(unmask(&mut frame, &header), body, "{len} bytes");
        }
    }

    #[test]
    fn every_length_form_is_written() {
        for (len, header_len) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let (start, bytes) = header(TEXT, len);
            assert_eq!(bytes[start..].len(), header_len, "{len}");
            let mut as_client = bytes[start..].to_vec();
            assert_eq!(as_client[0], FIN | TEXT);
            as_client[1] |= MASKED;
            as_client.extend_from_slice(&[0; KEY_LEN]);
            assert_eq!(Header::parse(&as_client, MAX).unwrap().unwrap().body_len, len);
        }
    }

    #[test]
    fn an_unfinished_header_asks_for_more() {
        for body_len in [5, 300, 70_000] {
            let frame = masked(FIN | TEXT, &vec![0; body_len]);
            let length_at = frame.len() - body_len - KEY_LEN;
            for cut in 0..length_at {
                assert_eq!(Header::parse(&frame[..cut], MAX), Ok(None), "{cut} bytes of a header for {body_len}");
            }
        }
    }

    #[test]
    fn broken_frames_are_refused_with_the_code_of_their_fault() {
        let check = |bytes: &[u8], error: FrameError, code: u16| {
            assert_eq!(Header::parse(bytes, 1000), Err(error), "{bytes:?}");
            assert_eq!(error.close().0, code);
        };
        check(&[FIN | 0x40 | TEXT, MASKED], FrameError::ReservedBits, 1002);
        check(&[FIN | 0x10 | TEXT, MASKED], FrameError::ReservedBits, 1002);
        check(&[FIN | 3, MASKED], FrameError::UnknownOpcode, 1002);
        check(&[FIN | 11, MASKED], FrameError::UnknownOpcode, 1002);
        check(&[FIN | TEXT, 5], FrameError::Unmasked, 1002);
        check(&[PING, MASKED], FrameError::BadControl, 1002);
        check(&[FIN | CLOSE, MASKED | 126], FrameError::BadControl, 1002);
        check(&[FIN | BINARY, MASKED | 126, 0x03, 0xe9], FrameError::TooBig, 1009);
        check(&[FIN | BINARY, MASKED | 127, 0xff, 0, 0, 0, 0, 0, 0, 0], FrameError::TooBig, 1009);
    }
}
