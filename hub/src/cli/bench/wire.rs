//! Socket.IO packets as text: written for sending, scanned (not parsed into trees) when received.

use memchr::{memchr, memchr2};

/// Stands between the messages of a long-polling payload.
pub(super) const SEPARATOR: u8 = 0x1e;

/// What the server says in one Engine.IO message, as far as the generator acts on it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Packet<'a> {
    /// The server asks for a sign of life.
    Ping,
    /// The namespace accepted the connection.
    Connected,
    /// The namespace refused the connection; the JSON text says why.
    Refused(&'a [u8]),
    /// The server took the socket out of the namespace, or closes the engine.
    Disconnected,
    /// `["name", ...]`
    Event(&'a [u8]),
    /// The answer to the event with this id: `[...]`
    Ack(u64, &'a [u8]),
    /// Anything else: another namespace, binary, noop.
    Other,
}

/// Reads the head of one Engine.IO text message that is meant for `namespace` (`/` or `/name`).
pub(super) fn parse<'a>(text: &'a [u8], namespace: &str) -> Packet<'a> {
    match text {
        [b'2', ..] => Packet::Ping,
        [b'1', ..] => Packet::Disconnected,
        [b'4', kind, rest @ ..] => parse_socket_packet(*kind, rest, namespace),
        _ => Packet::Other,
    }
}

/// The first message of a long-polling payload, and what follows it.
pub(super) fn split_payload(payload: &[u8]) -> (&[u8], &[u8]) {
    match memchr(SEPARATOR, payload) {
        Some(end) => (&payload[..end], &payload[end + 1..]),
        None => (payload, &[]),
    }
}

fn parse_socket_packet<'a>(kind: u8, mut rest: &'a [u8], namespace: &str) -> Packet<'a> {
    if rest.first() == Some(&b'/') {
        let end = memchr(b',', rest).unwrap_or(rest.len());
        if without_query(&rest[..end]) != namespace.as_bytes() {
            return Packet::Other;
        }
        rest = rest.get(end + 1..).unwrap_or_default();
    } else if namespace != "/" {
        return Packet::Other;
    }
    match kind {
        b'0' => Packet::Connected,
        b'1' => Packet::Disconnected,
        b'2' => Packet::Event(split_id(rest).1),
        b'3' => match split_id(rest) {
            (Some(id), payload) => Packet::Ack(id, payload),
            (None, _) => Packet::Other,
        },
        b'4' => Packet::Refused(rest),
        _ => Packet::Other,
    }
}

fn without_query(namespace: &[u8]) -> &[u8] {
    &namespace[..memchr(b'?', namespace).unwrap_or(namespace.len())]
}

fn split_id(text: &[u8]) -> (Option<u64>, &[u8]) {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (number(&text[..digits]), &text[digits..])
}

fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    digits.iter().try_fold(0u64, |sum, digit| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
}

/// True when the event's payload begins with this name, given as JSON text (`"message"`).
pub(super) fn is_event(payload: &[u8], name_json: &str) -> bool {
    let at = skip_space(payload, 1);
    payload.first() == Some(&b'[') && payload[at..].starts_with(name_json.as_bytes())
}

/// What the generator writes into each message and finds again in each delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// The sender's number, counted from 0 over the whole run.
    pub(super) sender: u32,
    /// The message's number at its sender, counted from 0.
    pub(super) number: u32,
    /// When it was sent, in microseconds since the run began.
    pub(super) sent_us: u64,
}

/// Finds the mark among the members of the payload's first object, in any order. Strings, and with them any padding,
/// are skipped rather than read. With a `field` it is the text of that one, else the numbers `s`, `n` and `t`. None when
/// there is no object or it carries no whole mark.
pub(super) fn find_mark(payload: &[u8], field: Option<&str>) -> Option<Mark> {
    let mut at = memchr(b'{', payload)? + 1;
    let (mut sender, mut sequence, mut sent_us) = (None, None, None);
    loop {
        at = skip_space(payload, at);
        if payload.get(at) != Some(&b'"') {
            return None;
        }
        let key_end = string_end(payload, at + 1)?;
        let key = &payload[at + 1..key_end];
        at = skip_space(payload, key_end + 1);
        if payload.get(at) != Some(&b':') {
            return None;
        }
        let start = skip_space(payload, at + 1);
        at = value_end(payload, start)?;
        let value = &payload[start..at];
        match (field, key) {
            (Some(field), key) if field.as_bytes() == key => return parse_mark(value),
            (None, b"s") => sender = u32::try_from(number(value)?).ok(),
            (None, b"n") => sequence = u32::try_from(number(value)?).ok(),
            (None, b"t") => sent_us = number(value),
            _ => {}
        }
        if let (Some(sender), Some(number), Some(sent_us)) = (sender, sequence, sent_us) {
            return Some(Mark { sender, number, sent_us });
        }
        at = skip_space(payload, at);
        if payload.get(at) != Some(&b',') {
            return None;
        }
        at += 1;
    }
}

/// `"S.N.T"`
fn parse_mark(value: &[u8]) -> Option<Mark> {
    let mut parts = value.strip_prefix(b"\"")?.strip_suffix(b"\"")?.split(|byte| *byte == b'.');
    let mark = Mark {
        sender: u32::try_from(number(parts.next()?)?).ok()?,
        number: u32::try_from(number(parts.next()?)?).ok()?,
        sent_us: number(parts.next()?)?,
    };
    parts.next().is_none().then_some(mark)
}

fn skip_space(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    at.min(text.len()) + rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count()
}

/// The index of the quote that ends the string whose content begins at `at`.
fn string_end(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

/// The index behind the JSON value that begins at `at`.
fn value_end(text: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0usize;
    loop {
        match text.get(at)? {
            b'"' => at = string_end(text, at + 1)? + 1,
            b'{' | b'[' => {
                depth += 1;
                at += 1;
                continue;
            }
            b'}' | b']' => {
                depth = depth.checked_sub(1)?;
                at += 1;
            }
            b',' | b':' => {
                at += 1;
                continue;
            }
            _ => {
                let rest = &text[at..];
                let end = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b':') || byte.is_ascii_whitespace();
                at += rest.iter().position(end).unwrap_or(rest.len());
            }
        }
        if depth == 0 {
            return Some(at);
        }
        at = skip_space(text, at);
    }
}

/// The fixed text around a sender's messages: `42/ns,ID["message",{"room":"r","text":"...","s":S,"n":N,"t":T}]`, or with
/// a field for the mark `"field":"S.N.T"` in place of the numbers.
#[derive(Debug)]
pub(super) struct Template {
    head: String,
    body: String,
    before_number: &'static [u8],
    before_time: &'static [u8],
    end: &'static [u8],
}

impl Template {
    /// `room` is left out where the event has none (echo).
    pub(super) fn new(namespace: &str, event: &str, room: Option<&str>, text: &str, mark_field: Option<&str>) -> Self {
        let room = room.map(|room| format!("\"room\":{},", json_string(room))).unwrap_or_default();
        let (event, text) = (json_string(event), json_string(text));
        let (mark, before_number, before_time, end) = match mark_field {
            None => ("\"s\":".to_owned(), &b",\"n\":"[..], &b",\"t\":"[..], &b"}]"[..]),
            Some(field) => (format!("{}:\"", json_string(field)), &b"."[..], &b"."[..], &b"\"}]"[..]),
        };
        let body = format!("[{event},{{{room}\"text\":{text},{mark}");
        Self { head: format!("42{}", prefix(namespace)), body, before_number, before_time, end }
    }

    /// Appends one message; with `ack_id` the server is asked to answer it.
    pub(super) fn write(&self, out: &mut Vec<u8>, ack_id: Option<u64>, mark: Mark) {
        out.extend_from_slice(self.head.as_bytes());
        if let Some(id) = ack_id {
            write_number(out, id);
        }
        out.extend_from_slice(self.body.as_bytes());
        write_number(out, u64::from(mark.sender));
        out.extend_from_slice(self.before_number);
        write_number(out, u64::from(mark.number));
        out.extend_from_slice(self.before_time);
        write_number(out, mark.sent_us);
        out.extend_from_slice(self.end);
    }
}

fn write_number(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// The CONNECT packet of a namespace, with an auth payload as JSON text.
pub(super) fn connect_packet(namespace: &str, auth: Option<&str>) -> Vec<u8> {
    format!("40{}{}", prefix(namespace), auth.unwrap_or_default()).into_bytes()
}

/// The DISCONNECT packet of a namespace.
pub(super) fn disconnect_packet(namespace: &str) -> Vec<u8> {
    format!("41{}", prefix(namespace)).into_bytes()
}

/// The event that joins a room, to be acknowledged under `id`.
pub(super) fn join_packet(namespace: &str, event: &str, room: &str, id: u64) -> Vec<u8> {
    format!("42{}{id}[{},{{\"room\":{}}}]", prefix(namespace), json_string(event), json_string(room)).into_bytes()
}

/// An ack that says no: `{"error": ...}` or `{"ok": false}`, as Hubbub and its peers answer.
pub(super) fn is_refusal(ack: &[u8]) -> bool {
    let Ok([answer]) = serde_json::from_slice::<[serde_json::Value; 1]>(ack) else { return false };
    answer.get("error").is_some_and(|error| !error.is_null())
        || answer.get("ok") == Some(&serde_json::Value::Bool(false))
}

fn prefix(namespace: &str) -> String {
    if namespace == "/" { String::new() } else { format!("{namespace},") }
}

/// A string as JSON text.
pub(super) fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: Mark = Mark { sender: 3, number: 17, sent_us: 1_234_567 };

    #[test]
    fn a_written_message_carries_its_mark() {
        for field in [None, Some("client_id")] {
            let template = Template::new("/chat", "message", Some("a \"quoted\" room"), "so \"what\"", field);
            let mut out = Vec::new();
            template.write(&mut out, Some(905), MARK);
            assert!(out.starts_with(b"42/chat,905[\"message\",{"), "{}", String::from_utf8_lossy(&out));
            let Packet::Event(payload) = parse(&out, "/chat") else { panic!("not an event") };
            assert!(is_event(payload, "\"message\""));
            assert_eq!(find_mark(payload, field), Some(MARK));
            let json: serde_json::Value = serde_json::from_slice(payload).unwrap();
            let fields = json[1].as_object().unwrap().len();
            assert_eq!((fields, json[1]["text"].as_str()), (if field.is_some() { 3 } else { 5 }, Some("so \"what\"")));
        }
    }

    #[test]
    fn a_mark_is_found_in_any_order_and_among_any_other_members() {
        for payload in [
            r#"["message",{"n":17,"s":3,"t":1234567}]"#,
            r#"["message", { "s" : 3 , "n" : 17 , "t" : 1234567 } , "offset"]"#,
            r#"["message",{"from":"s\":9","id":null,"deep":{"s":[1,{"n":2}],"t":"}"},"t":1234567,"text":"\\\"s\":4","n":17,"s":3}]"#,
            r#"[{"text":"","s":3,"e":{},"a":[],"n":17,"t":1234567}]"#,
        ] {
            assert_eq!(find_mark(payload.as_bytes(), None), Some(MARK), "{payload}");
        }
    }

    #[test]
    fn a_payload_without_a_whole_mark_has_none() {
        for payload in [
            r#"["message"]"#,
            r#"["message",{}]"#,
            r#"["message",{"s":3,"n":17}]"#,
            r#"["message",{"s":-3,"n":17,"t":1}]"#,
            r#"["message",{"s":3,"n":17,"t":"#,
            r#"["message",{"s":3,"n":1.5,"t":1}]"#,
            r#"["message",{"text":"unterminated\"#,
            r#"["message",{"s":99999999999999999999999,"n":1,"t":1}]"#,
            r#"["message",{"a":[}]"#,
        ] {
            assert_eq!(find_mark(payload.as_bytes(), None), None, "{payload}");
        }
        for value in ["17", r#""3.17""#, r#""3.17.1.1""#, r#""3.x.1""#, r#""3..1""#] {
            let payload = format!(r#"["message",{{"s":3,"n":17,"t":1,"c":{value}}}]"#);
            assert_eq!(find_mark(payload.as_bytes(), Some("c")), None, "{payload}");
        }
    }

    #[test]
    fn packets_are_told_apart_by_kind_and_namespace() {
        let check =
            |text: &'static str, namespace, expect| assert_eq!(parse(text.as_bytes(), namespace), expect, "{text}");
        check("2", "/", Packet::Ping);
        check("1", "/", Packet::Disconnected);
        check("6", "/", Packet::Other);
        check("", "/", Packet::Other);
        check("4", "/", Packet::Other);
        check(r#"40{"sid":"x"}"#, "/", Packet::Connected);
        check(r#"40/chat,{"sid":"x"}"#, "/chat", Packet::Connected);
        check(r#"40/chat,{"sid":"x"}"#, "/", Packet::Other);
        check(r#"40{"sid":"x"}"#, "/chat", Packet::Other);
        check("41/chat,", "/chat", Packet::Disconnected);
        check("41/chat", "/chat", Packet::Disconnected);
        check(r#"44/chat,{"message":"no"}"#, "/chat", Packet::Refused(br#"{"message":"no"}"#));
        check(r#"42["a"]"#, "/", Packet::Event(br#"["a"]"#));
        check(r#"4212["a"]"#, "/", Packet::Event(br#"["a"]"#));
        check(r#"4312[1]"#, "/", Packet::Ack(12, b"[1]"));
        check(r#"43/chat,0[]"#, "/chat", Packet::Ack(0, b"[]"));
        check("43[]", "/", Packet::Other);
    }

    #[test]
    fn an_ack_with_an_error_is_a_refusal() {
        for (ack, expect) in [
            (r#"[{"ok":true,"members":3}]"#, false),
            (r#"[{"ok":true,"error":null}]"#, false),
            ("[]", false),
            (r#"["fine"]"#, false),
            (r#"[{"ok":false}]"#, true),
            (r#"[{"error":{"code":"unhandled","message":"no plugin"}}]"#, true),
        ] {
            assert_eq!(is_refusal(ack.as_bytes()), expect, "{ack}");
        }
    }
}
