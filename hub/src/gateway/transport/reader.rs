//! Bytes of a WebSocket to packets. Between two messages it owns nothing.

use std::collections::VecDeque;

use bytes::Bytes;
use socketioxide_core::Str;

use super::{
    close::CloseReason,
    frame::{self, FrameError, Header},
};

/// What a client sent, in its order.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    /// A text message, without its type.
    Text(Str),
    Binary(Bytes),
    /// A WebSocket ping and its body: a pong with the same is due.
    Ping(Bytes),
    /// `2probe`: whether an upgrade would work.
    Probe,
    /// `5`: the upgrade.
    Upgrade,
    /// The last of all: nothing behind it is read.
    End(End),
}

/// How a client ends its connection, or has it ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct End {
    pub(super) reason: CloseReason,
    /// Of the close frame that answers it.
    pub(super) code: u16,
    pub(super) text: &'static str,
}

/// The state between two reads.
#[derive(Default)]
pub(super) struct Reader {
    has_ended: bool,
    saw_pong: bool,
    partial: Option<Box<Partial>>,
}

/// What is not whole yet.
#[derive(Default)]
struct Partial {
    /// The beginning of a frame.
    frame: Vec<u8>,
    /// The frames of a message so far, and its opcode.
    message: Option<(u8, Vec<u8>)>,
}

impl Reader {
    /// Takes what was read, and unmasks it in place. A message longer than `payload_max` ends the connection.
    pub(super) fn feed(&mut self, bytes: &mut [u8], payload_max: usize, inbox: &mut VecDeque<Incoming>) {
        let mut partial = self.partial.take().map(|partial| *partial).unwrap_or_default();
        if partial.frame.is_empty() {
            let used = self.parse(bytes, payload_max, &mut partial.message, inbox);
            partial.frame.extend_from_slice(&bytes[used..]);
        } else {
            partial.frame.extend_from_slice(bytes);
            let used = self.parse(&mut partial.frame, payload_max, &mut partial.message, inbox);
            if used > 0 {
                // a copy, so that a long frame's buffer does not stay
                partial.frame = partial.frame[used..].to_vec();
            }
        }
        let is_partial = !partial.frame.is_empty() || partial.message.is_some();
        self.partial = (is_partial && !self.has_ended).then(|| Box::new(partial));
    }

    /// Whether a pong came since this was asked.
    pub(super) fn take_pong(&mut self) -> bool {
        std::mem::take(&mut self.saw_pong)
    }

    /// Gives how many bytes were whole frames.
    fn parse(
        &mut self,
        bytes: &mut [u8],
        payload_max: usize,
        message: &mut Option<(u8, Vec<u8>)>,
        inbox: &mut VecDeque<Incoming>,
    ) -> usize {
        let mut at = 0;
        while !self.has_ended {
            let header = match Header::parse(&bytes[at..], payload_max) {
                Ok(Some(header)) if header.frame_len() <= bytes.len() - at => header,
                Ok(_) => break,
                Err(error) => {
                    self.refuse(error, inbox);
                    break;
                }
            };
            let frame = &mut bytes[at..at + header.frame_len()];
            at += frame.len();
            let body = frame::unmask(frame, &header);
            match (header.opcode, &mut *message) {
                (frame::CLOSE, _) => self.close(body, inbox),
                (frame::PING, _) => inbox.push_back(Incoming::Ping(Bytes::copy_from_slice(body))),
                (frame::PONG, _) => {}
                (frame::CONTINUATION, Some((opcode, parts))) => {
                    if parts.len() + body.len() > payload_max {
                        self.refuse(FrameError::TooBig, inbox);
                        break;
                    }
                    parts.extend_from_slice(body);
                    if header.is_final {
                        let (opcode, parts) = (*opcode, std::mem::take(parts));
                        *message = None;
                        self.message(opcode, &parts, inbox);
                    }
                }
                (frame::CONTINUATION, None) => self.end(broken("continuation of no message"), inbox),
                (_, Some(_)) => self.end(broken("message within a message"), inbox),
                (opcode, None) if header.is_final => self.message(opcode, body, inbox),
                (opcode, None) => *message = Some((opcode, body.to_vec())),
            }
        }
        at
    }

    /// A whole message: an Engine.IO packet.
    fn message(&mut self, opcode: u8, body: &[u8], inbox: &mut VecDeque<Incoming>) {
        if opcode == frame::BINARY {
            return inbox.push_back(Incoming::Binary(Bytes::copy_from_slice(body)));
        }
        let Ok(text) = std::str::from_utf8(body) else {
            return self
                .end(End { reason: CloseReason::TransportError, code: 1007, text: "text that is not UTF-8" }, inbox);
        };
        match body {
            [b'4', ..] => inbox.push_back(Incoming::Text(Str::copy_from_slice(&text[1..]))),
            b"3" => self.saw_pong = true,
            b"2probe" => inbox.push_back(Incoming::Probe),
            b"5" => inbox.push_back(Incoming::Upgrade),
            b"1" => self.end(End { reason: CloseReason::TransportClose, code: 1000, text: "" }, inbox),
            b"6" => {}
            _ => self.end(End { reason: CloseReason::ParseError, code: 1002, text: "not an Engine.IO packet" }, inbox),
        }
    }

    /// A close frame: the same code goes back.
    fn close(&mut self, body: &[u8], inbox: &mut VecDeque<Incoming>) {
        let end = match body {
            [] => End { reason: CloseReason::TransportClose, code: 1000, text: "" },
            [high, low, text @ ..] => match u16::from_be_bytes([*high, *low]) {
                code @ (1000..=1003 | 1007..=1014 | 3000..=4999) if std::str::from_utf8(text).is_ok() => {
                    End { reason: CloseReason::TransportClose, code, text: "" }
                }
                1000..=1003 | 1007..=1014 | 3000..=4999 => {
                    End { reason: CloseReason::TransportError, code: 1007, text: "close reason that is not UTF-8" }
                }
                _ => broken("close code that does not exist"),
            },
            [_] => broken("half a close code"),
        };
        self.end(end, inbox);
    }

    fn refuse(&mut self, error: FrameError, inbox: &mut VecDeque<Incoming>) {
        let (code, text) = error.close();
        self.end(End { reason: CloseReason::TransportError, code, text }, inbox);
    }

    fn end(&mut self, end: End, inbox: &mut VecDeque<Incoming>) {
        self.has_ended = true;
        inbox.push_back(Incoming::End(end));
    }
}

fn broken(text: &'static str) -> End {
    End { reason: CloseReason::TransportError, code: 1002, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 1000;
    const FIN: u8 = 0x80;

    fn frame(first: u8, body: &[u8]) -> Vec<u8> {
        let (start, mut header) = frame::header(first, body.len());
        header[start] = first;
        header[start + 1] |= 0x80;
        let key = [1, 2, 3, 4];
        let mut frame = header[start..].to_vec();
        frame.extend_from_slice(&key);
        frame.extend(body.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
        frame
    }

    /// What comes of these bytes, read `step` at a time.
    fn read(bytes: &[u8], step: usize) -> Vec<Incoming> {
        let (mut reader, mut inbox) = (Reader::default(), VecDeque::new());
        for chunk in bytes.to_vec().chunks_mut(step) {
            reader.feed(chunk, MAX, &mut inbox);
        }
        inbox.into()
    }

    fn text(text: &'static str) -> Incoming {
        Incoming::Text(text.into())
    }

    #[track_caller]
    fn check_end(bytes: &[u8], reason: CloseReason, code: u16) {
        let got = read(bytes, bytes.len());
        match &got[..] {
            [Incoming::End(end)] => assert_eq!((end.reason, end.code), (reason, code), "{end:?}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn packets_come_whole_however_they_are_cut() {
        let mut bytes = frame(FIN | frame::TEXT, b"42[\"a\"]");
        bytes.extend(frame(FIN | frame::BINARY, &[0; 300]));
        bytes.extend(frame(FIN | frame::PING, b"?"));
        bytes.extend(frame(FIN | frame::TEXT, "4ü".as_bytes()));
        bytes.extend(frame(FIN | frame::TEXT, b"2probe"));
        bytes.extend(frame(FIN | frame::TEXT, b"5"));
        let expected = [
            text("2[\"a\"]"),
            Incoming::Binary(vec![0; 300].into()),
            Incoming::Ping(Bytes::from_static(b"?")),
            text("ü"),
            Incoming::Probe,
            Incoming::Upgrade,
        ];
        for step in [1, 2, 3, 7, 64, bytes.len()] {
            assert_eq!(read(&bytes, step), expected, "{step} bytes at a time");
        }
    }

    #[test]
    fn fragments_make_one_message_and_control_frames_come_between() {
        let mut bytes = frame(frame::TEXT, b"4\xc3");
        bytes.extend(frame(FIN | frame::PING, b""));
        bytes.extend(frame(frame::CONTINUATION, b"\xbc"));
        bytes.extend(frame(FIN | frame::CONTINUATION, b"!"));
        for step in [1, 5, bytes.len()] {
            assert_eq!(read(&bytes, step), [Incoming::Ping(Bytes::new()), text("ü!")]);
        }
    }

    #[test]
    fn broken_fragments_end_the_connection() {
        check_end(&frame(FIN | frame::CONTINUATION, b"x"), CloseReason::TransportError, 1002);
        check_end(
            &[frame(frame::TEXT, b"4"), frame(FIN | frame::TEXT, b"4")].concat(),
            CloseReason::TransportError,
            1002,
        );
        let parts = [frame(frame::TEXT, &[b'4'; MAX]), frame(FIN | frame::CONTINUATION, b"x")].concat();
        check_end(&parts, CloseReason::TransportError, 1009);
    }

    #[test]
    fn what_is_no_packet_ends_the_connection() {
        for bad in ["", "abc", "9", "0{}", "2", "3probe", "51", "1x"] {
            check_end(&frame(FIN | frame::TEXT, bad.as_bytes()), CloseReason::ParseError, 1002);
        }
        check_end(&frame(FIN | frame::TEXT, b"4\xff"), CloseReason::TransportError, 1007);
        check_end(&frame(FIN | frame::TEXT, b"4\xed\xa0\x80"), CloseReason::TransportError, 1007);
        check_end(&frame(FIN | frame::TEXT, &[b'4'; MAX + 1]), CloseReason::TransportError, 1009);
    }

    #[test]
    fn close_frames_are_answered_with_their_code_or_their_fault() {
        let check = |body: &[u8], reason, code| check_end(&frame(FIN | frame::CLOSE, body), reason, code);
        check(b"", CloseReason::TransportClose, 1000);
        check(b"\x03\xe9bye", CloseReason::TransportClose, 1001);
        check(b"\x0f\xa0", CloseReason::TransportClose, 4000);
        check(b"\x03", CloseReason::TransportError, 1002);
        check(b"\x03\xed", CloseReason::TransportError, 1002);
        check(b"\x00\x01", CloseReason::TransportError, 1002);
        check(b"\x03\xe8\xff", CloseReason::TransportError, 1007);
    }

    #[test]
    fn nothing_behind_an_end_is_read() {
        let mut bytes = frame(FIN | frame::TEXT, b"4last");
        bytes.extend(frame(FIN | frame::TEXT, b"1"));
        bytes.extend(frame(FIN | frame::TEXT, b"4never"));
        for step in [1, bytes.len()] {
            let got = read(&bytes, step);
            assert!(matches!(&got[..], [Incoming::Text(_), Incoming::End(_)]), "{got:?}");
        }
    }

    #[test]
    fn a_pong_is_told_at_once_and_is_no_message() {
        let (mut reader, mut inbox) = (Reader::default(), VecDeque::new());
        reader.feed(&mut frame(FIN | frame::TEXT, b"3"), MAX, &mut inbox);
        assert!(reader.take_pong() && !reader.take_pong() && inbox.is_empty());
    }

    #[test]
    fn between_messages_it_owns_nothing() {
        let (mut reader, mut inbox) = (Reader::default(), VecDeque::new());
        let mut bytes = frame(frame::BINARY, &[0; 500]);
        bytes.extend(frame(FIN | frame::CONTINUATION, &[0; 500]));
        let (first, second) = bytes.split_at_mut(700);
        reader.feed(first, MAX, &mut inbox);
        assert!(reader.partial.is_some());
        reader.feed(second, MAX, &mut inbox);
        assert!(reader.partial.is_none() && inbox.len() == 1);
    }
}
