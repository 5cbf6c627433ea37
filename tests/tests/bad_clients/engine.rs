//! Engine.IO packets that are none, over WebSocket byte by byte, and in the bodies of long polling.

use scenarios::raw::{Http, PATH, Polling, SEPARATOR, UPGRADE};

use crate::{SMALL, Watched};

const FIN: u8 = 0x80;
const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// A client's frame whose mask changes nothing.
fn frame(first: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match body.len() {
        len @ 0..126 => frame.push(0x80 | len as u8),
        len @ 126..0x1_0000 => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(body);
    frame
}

fn text(body: &str) -> Vec<u8> {
    frame(FIN | TEXT, body.as_bytes())
}

/// The code of the close frame among a server's frames, and its text.
fn close_of(mut bytes: &[u8]) -> Option<(u16, String)> {
    while let [first, len, rest @ ..] = bytes {
        let (len, rest) = match len {
            126 => (u16::from_be_bytes(*rest.first_chunk()?) as usize, &rest[2..]),
            127 => (u64::from_be_bytes(*rest.first_chunk()?) as usize, &rest[8..]),
            len => (*len as usize, rest),
        };
        let (body, behind) = rest.split_at_checked(len)?;
        if first & 0xf == CLOSE {
            let (code, text) = body.split_first_chunk()?;
            return Some((u16::from_be_bytes(*code), String::from_utf8(text.to_vec()).ok()?));
        }
        bytes = behind;
    }
    None
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_that_break_the_rules_are_answered_with_their_fault() -> anyhow::Result<()> {
    let too_big = "4".repeat(100_001);
    let in_parts = [frame(TEXT, &[b'4'; 60_000]), frame(FIN | CONTINUATION, &[b'4'; 60_000])].concat();
    let never_final = (0..30_000).flat_map(|_| frame(CONTINUATION, b"xxxx")).collect::<Vec<u8>>();
    let never_final = [frame(TEXT, b"4"), never_final].concat();
    let table: &[(&str, Vec<u8>, u16)] = &[
        ("an empty packet", text(""), 1002),
        ("an unknown type", text("7"), 1002),
        ("an open packet", text("0{}"), 1002),
        ("a ping from the client's side", text("2"), 1002),
        ("a close packet with something behind it", text("1x"), 1002),
        ("base64 where bytes have frames", text("bAQID"), 1002),
        ("a probe without an upgrade", text("2probe"), 1002),
        ("an upgrade that is none", text("5"), 1002),
        ("the separator of polling", text("6\u{1e}6"), 1002),
        ("text that is no UTF-8", frame(FIN | TEXT, b"4\xff\xfe"), 1007),
        ("text that breaks off within a character", frame(FIN | TEXT, b"4\xc3"), 1007),
        ("half a surrogate pair", frame(FIN | TEXT, b"4\xed\xa0\x80"), 1007),
        ("an overlong slash", frame(FIN | TEXT, b"4\xc0\xaf"), 1007),
        ("a message of one byte too many", text(&too_big), 1009),
        ("a message that is too long in parts", in_parts, 1009),
        ("a message of parts without end", never_final, 1009),
        ("a length beyond all memory", vec![FIN | BINARY, 0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255], 1009),
        ("a frame without a mask", vec![FIN | TEXT, 1, b'6'], 1002),
        ("a compressed frame that was not agreed on", frame(FIN | 0x40 | TEXT, b"6"), 1002),
        ("a reserved bit", frame(FIN | 0x10 | TEXT, b"6"), 1002),
        ("an unknown opcode", frame(FIN | 3, b""), 1002),
        ("a ping in parts", frame(PING, b""), 1002),
        ("a ping that is too long", frame(FIN | PING, &[0; 126]), 1002),
        ("a pong that is too long", frame(FIN | PONG, &[0; 126]), 1002),
        ("a continuation of nothing", frame(FIN | CONTINUATION, b"4"), 1002),
        ("a message within a message", [frame(TEXT, b"4"), text("6")].concat(), 1002),
        ("half a close code", frame(FIN | CLOSE, &[3]), 1002),
        ("a close code that does not exist", frame(FIN | CLOSE, &[0, 9]), 1002),
        ("a close code that nobody may send", frame(FIN | CLOSE, &[3, 0xed]), 1002),
        ("a close reason that is no UTF-8", frame(FIN | CLOSE, &[3, 0xe8, 0xff]), 1007),
    ];
    let mut watched = Watched::start(SMALL).await?;
    for (what, bytes, code) in table {
        let mut http = Http::connect(watched.node.address).await?;
        http.send("GET", &format!("{PATH}?EIO=4&transport=websocket"), &UPGRADE, b"").await?;
        assert_eq!(http.answer().await?.map(|answer| answer.status), Some(101), "{what}");
        // what comes behind a fault is not read: the write may fail
        let _ = tokio::io::AsyncWriteExt::write_all(&mut http.stream, bytes).await;
        let _ = tokio::io::AsyncWriteExt::shutdown(&mut http.stream).await;
        let close = close_of(&http.end().await?);
        assert_eq!(close.as_ref().map(|(code, _)| *code), Some(*code), "{what}: {close:?}");
        watched.works_after(what).await?;
    }
    watched.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_are_no_payload_end_their_session() -> anyhow::Result<()> {
    let too_big = "4".repeat(100_001);
    let separators = SEPARATOR.to_string().repeat(1000);
    let table: &[(&str, &[u8], u16)] = &[
        ("an empty body", b"", 400),
        ("bytes that are no UTF-8", b"4\xff\xfe", 400),
        ("bytes that break off within a character", b"42[\"message\",\"\xc3", 400),
        ("an unknown type", b"7", 400),
        ("an open packet", b"0{}", 400),
        ("a ping from the client's side", b"2", 400),
        ("a probe", b"2probe", 400),
        ("an upgrade", b"5", 400),
        ("nothing but separators", separators.as_bytes(), 400),
        ("a separator at the end", b"6\x1e", 400),
        ("two separators in a row", b"6\x1e\x1e6", 400),
        ("base64 that is none", b"b***", 400),
        ("base64 of one character", b"bA", 400),
        ("base64 for URLs", b"b_-_-", 400),
        ("the form of an old client", b"d=40", 400),
        ("the length of an old client", b"2:40", 400),
        ("an oversized body", too_big.as_bytes(), 413),
    ];
    let mut watched = Watched::start(SMALL).await?;
    for (what, body, status) in table {
        let (session, _) = Polling::connect(watched.node.address).await?;
        let answer = session.post(body).await?;
        assert_eq!(answer.status, *status, "{what}: {answer:?}");
        assert!(answer.body.starts_with("{\"code\":3,"), "{what}: {answer:?}");
        assert!(!session.is_known().await?, "{what}");
        watched.works_after(what).await?;
    }
    // what Socket.IO refuses is an Engine.IO packet all the same: the POST is taken, and the farewell can be fetched
    for (what, body) in [
        ("an event before CONNECT", "42[\"echo\"]"),
        ("an ack before CONNECT", "431[]"),
        ("a DISCONNECT before CONNECT", "41"),
        ("bytes before CONNECT", "bAQID"),
    ] {
        let mut session = Polling::open(watched.node.address).await?;
        session.say(body).await?;
        assert_eq!(session.packet().await?, "1", "{what}");
        session.forgotten().await?;
        watched.works_after(what).await?;
    }
    watched.stop().await;
    Ok(())
}
