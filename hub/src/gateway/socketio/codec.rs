//! Socket.IO packets to what the hub works with, and back. The payload stays text, checked once.

use std::{collections::VecDeque, fmt::Write, sync::Arc};

use bytes::Bytes;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use socketioxide_core::{
    Str, Value,
    packet::{Packet as RawPacket, PacketData},
    parser::{Parse, ParseConfig, ParseError, ParserState},
};
use socketioxide_parser_common::CommonParser;
use socketioxide_parser_msgpack::MsgPackParser;

use super::{msgpack, placeholders::check_placeholders};
use crate::{
    event::{Payload, PrivateId, SocketId, Text},
    gateway::transport::Packet,
};

/// Names that Socket.IO keeps for itself: an event called like one of them would be mistaken for it.
const RESERVED: [&str; 6] =
    ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"];

/// Whether no event may be called so.
pub fn is_reserved_name(name: &str) -> bool {
    RESERVED.contains(&name)
}

/// How packets are written on the wire; the same for all connections of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// The protocol's own: JSON text, binary attachments beside it.
    #[default]
    Json,
    /// What clients with `socket.io-msgpack-parser` speak: one binary message for each packet.
    Msgpack,
}

/// What a client may send.
#[derive(Clone, Copy, Debug)]
pub struct PacketLimits {
    pub event_name_max_bytes: usize,
    pub attachments_max: usize,
    /// All attachments of one packet together.
    pub attachments_max_bytes: usize,
    pub namespace_max_bytes: usize,
}

/// A packet from a client, checked.
#[derive(Debug, PartialEq)]
pub struct Incoming {
    pub namespace: Text,
    pub body: Body,
}

#[derive(Debug, PartialEq)]
pub enum Body {
    /// The auth payload as the one argument, or no argument.
    Connect(Payload),
    Disconnect,
    Event {
        name: Text,
        payload: Payload,
        ack: Option<i64>,
    },
    Ack {
        id: i64,
        payload: Payload,
    },
}

/// What an event for clients carries beside its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    Nothing,
    /// The number under which an answer is awaited.
    Ack(i64),
    /// One more argument at the end, a text: what the client shows when it comes back, so that it gets what came after.
    Offset(u64),
}

/// Why a client's packet is none. Its connection is closed with `parse error`.
#[derive(Debug, thiserror::Error)]
pub enum PacketError {
    #[error("{0}")]
    Parse(ParseError),
    #[error("{0}")]
    Invalid(&'static str),
    #[error("the arguments are no JSON array: {0}")]
    Json(serde_json::Error),
    #[error("the arguments are no MessagePack array: {0}")]
    Msgpack(String),
}

/// Reads and writes packets.
#[derive(Clone)]
pub struct Codec {
    encoding: Encoding,
    limits: PacketLimits,
    parse: ParseConfig,
}

impl Codec {
    pub fn new(encoding: Encoding, limits: PacketLimits) -> Self {
        let parse = ParseConfig {
            max_incoming_binaries: limits.attachments_max,
            max_incoming_binary_buf_size: limits.attachments_max_bytes,
            ..ParseConfig::default()
        };
        Self { encoding, limits, parse }
    }

    /// A text message of a connection. `None`: more binary messages belong to it.
    pub fn decode_text(&self, state: &ParserState, text: Str) -> Result<Option<Incoming>, PacketError> {
        // the codec passes over what stands behind a DISCONNECT
        if let Some(rest) = text.strip_prefix('1') {
            let behind = if rest.starts_with('/') { rest.split_once(',').map_or("", |(_, b)| b) } else { rest };
            if !behind.is_empty() {
                return Err(PacketError::Invalid("a DISCONNECT has no payload"));
            }
        }
        let decoded = match self.encoding {
            Encoding::Json => {
                check_ack_id(&text)?;
                CommonParser.decode_str(&self.parse, state, text)
            }
            Encoding::Msgpack => MsgPackParser.decode_str(&self.parse, state, text),
        };
        self.checked(decoded)
    }

    /// A binary message of a connection.
    pub fn decode_binary(&self, state: &ParserState, bytes: Bytes) -> Result<Option<Incoming>, PacketError> {
        let decoded = match self.encoding {
            Encoding::Json => CommonParser.decode_bin(&self.parse, state, bytes),
            Encoding::Msgpack => MsgPackParser.decode_bin(&self.parse, state, bytes),
        };
        self.checked(decoded)
    }

    fn checked(&self, decoded: Result<RawPacket, ParseError>) -> Result<Option<Incoming>, PacketError> {
        let packet = match decoded {
            Ok(packet) => packet,
            Err(ParseError::NeedsMoreBinaryData) => return Ok(None),
            Err(error) => return Err(PacketError::Parse(error)),
        };
        let namespace = packet.ns.as_str();
        if namespace.len() > self.limits.namespace_max_bytes {
            return Err(PacketError::Invalid("the namespace is too long"));
        }
        if !namespace.starts_with('/') {
            return Err(PacketError::Invalid("a namespace starts with a slash"));
        }
        let namespace = Text::from(namespace);
        let body = match packet.inner {
            PacketData::Connect(auth) => Body::Connect(self.auth(auth)?),
            PacketData::Disconnect => Body::Disconnect,
            PacketData::Event(value, ack) | PacketData::BinaryEvent(value, ack) => {
                let (text, attachments) = self.text(value)?;
                let (name, args) = self.event(&text, !attachments.is_empty(), attachments.len())?;
                Body::Event { name, payload: Payload { args, attachments }, ack }
            }
            PacketData::EventAck(value, id) | PacketData::BinaryAck(value, id) => {
                let (text, attachments) = self.text(value)?;
                serde_json::from_str::<Vec<IgnoredAny>>(&text).map_err(PacketError::Json)?;
                check_placeholders(&text, attachments.len())?;
                Body::Ack { id, payload: Payload { args: text.as_str().into(), attachments } }
            }
            PacketData::ConnectError(_) => return Err(PacketError::Invalid("a client sends no CONNECT_ERROR")),
        };
        Ok(Some(Incoming { namespace, body }))
    }

    /// The payload as JSON text with its attachments.
    fn text(&self, value: Value) -> Result<(Str, Vec<Bytes>), PacketError> {
        match value {
            Value::Str(text, attachments) => Ok((text, attachments.map(Vec::from).unwrap_or_default())),
            Value::Bytes(bytes) => {
                let (text, attachments) = msgpack::to_json(&bytes).map_err(PacketError::Msgpack)?;
                if attachments.len() > self.limits.attachments_max {
                    return Err(PacketError::Invalid("too many attachments"));
                }
                Ok((Str::from(text), attachments))
            }
        }
    }

    /// An auth payload is an object, or there is none.
    fn auth(&self, value: Option<Value>) -> Result<Payload, PacketError> {
        let Some(value) = value else { return Ok(Payload::default()) };
        let (text, attachments) = self.text(value)?;
        let text = text.trim();
        if self.encoding == Encoding::Msgpack && text == "null" {
            return Ok(Payload::default());
        }
        serde_json::from_str::<&RawValue>(text).map_err(PacketError::Json)?;
        if !text.starts_with('{') {
            return Err(PacketError::Invalid("an auth payload is an object"));
        }
        Ok(Payload { args: format!("[{text}]").into(), attachments })
    }

    /// `["name",a,b]` to the name and `[a,b]`. One pass over the text, which is not recursive.
    fn event(&self, text: &str, is_binary: bool, attachments: usize) -> Result<(Text, Text), PacketError> {
        let parts: Vec<&RawValue> = serde_json::from_str(text).map_err(PacketError::Json)?;
        let Some(name) = parts.first() else { return Err(PacketError::Invalid("an event has a name")) };
        // a real decode: the name may hold escapes
        let name: String =
            serde_json::from_str(name.get()).map_err(|_| PacketError::Invalid("the name of an event is a string"))?;
        if name.len() > self.limits.event_name_max_bytes {
            return Err(PacketError::Invalid("the name of the event is too long"));
        }
        if is_reserved_name(&name) {
            return Err(PacketError::Invalid("the name of the event is reserved"));
        }
        if is_binary {
            check_placeholders(text, attachments)?;
        }
        let args = match parts.get(1) {
            None => Text::from("[]"),
            Some(second) => {
                let at = second.get().as_ptr() as usize - text.as_ptr() as usize;
                let rest = text[at..].trim_end();
                let mut args = String::with_capacity(rest.len() + 1);
                args.push('[');
                args.push_str(rest);
                args.into()
            }
        };
        Ok((name.into(), args))
    }

    /// An event for clients, encoded once for all of them.
    pub fn event_packet(&self, namespace: &str, name: &str, payload: &Payload, mark: Mark) -> Arc<Packet> {
        let args = payload.args.trim();
        let rest = args.strip_prefix('[').unwrap_or(args).trim_start();
        let mut text = String::with_capacity(name.len() + rest.len() + 28);
        text.push('[');
        text.push_str(&serde_json::Value::from(name).to_string());
        if rest != "]" {
            text.push(',');
        }
        text.push_str(rest);
        if let Mark::Offset(offset) = mark {
            text.pop();
            // a `String` takes every text
            let _ = write!(text, ",\"{offset}\"]");
        }
        let value = self.value(text, &payload.attachments);
        let mut packet = RawPacket::event(Str::copy_from_slice(namespace), value);
        if let Mark::Ack(id) = mark {
            packet.inner.set_ack_id(id);
        }
        self.encode(packet)
    }

    /// The answer to a client's ack.
    pub fn ack_packet(&self, namespace: &str, id: i64, payload: &Payload) -> Arc<Packet> {
        let value = self.value(payload.args.to_string(), &payload.attachments);
        self.encode(RawPacket::ack(Str::copy_from_slice(namespace), value, id))
    }

    /// CONNECT as the server answers it. A private id tells the client that it may come back.
    pub fn connect_packet(&self, namespace: &str, id: SocketId, private_id: Option<PrivateId>) -> Arc<Packet> {
        let value = match private_id {
            Some(private_id) => format!("{{\"sid\":\"{id}\",\"pid\":\"{}\"}}", private_id.reveal()),
            None => format!("{{\"sid\":\"{id}\"}}"),
        };
        let value = self.value(value, &[]);
        self.encode(RawPacket::connect(Str::copy_from_slice(namespace), Some(value)))
    }

    /// CONNECT_ERROR with a JSON object as its body.
    pub fn connect_error_packet(&self, namespace: &str, body: &str) -> Arc<Packet> {
        match self.encoding {
            // the codec's form carries a message only, clients read `data` too
            Encoding::Json => {
                let namespace = if namespace == "/" { String::new() } else { format!("{namespace},") };
                Packet::message(&format!("4{namespace}{body}"), &[])
            }
            Encoding::Msgpack => Packet::binary(&msgpack::connect_error(namespace, body)),
        }
    }

    /// DISCONNECT from a namespace.
    pub fn disconnect_packet(&self, namespace: &str) -> Arc<Packet> {
        self.encode(RawPacket::disconnect(Str::copy_from_slice(namespace)))
    }

    fn value(&self, text: String, attachments: &[Bytes]) -> Value {
        match self.encoding {
            Encoding::Json => {
                Value::Str(text.into(), (!attachments.is_empty()).then(|| VecDeque::from(attachments.to_vec())))
            }
            Encoding::Msgpack => Value::Bytes(msgpack::from_json(&text, attachments).into()),
        }
    }

    fn encode(&self, packet: RawPacket) -> Arc<Packet> {
        let encoded = match self.encoding {
            Encoding::Json => CommonParser.encode(packet),
            Encoding::Msgpack => MsgPackParser.encode(packet),
        };
        match encoded {
            Value::Str(text, attachments) => Packet::message(&text, &attachments.map(Vec::from).unwrap_or_default()),
            Value::Bytes(bytes) => Packet::binary(&bytes),
        }
    }
}

/// What stands where an ack id may stand must be one: the codec passes over what it cannot read, and the client would
/// wait for an ack that never comes.
fn check_ack_id(text: &str) -> Result<(), PacketError> {
    let (kind, rest) = text.split_at_checked(1).unwrap_or_default();
    let rest = match kind {
        "2" | "3" => rest,
        "5" | "6" => rest.split_once('-').map_or("", |(_, behind)| behind),
        _ => return Ok(()),
    };
    let rest = if rest.starts_with('/') { rest.split_once(',').map_or("", |(_, behind)| behind) } else { rest };
    let args = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let id = &rest[..rest.len() - args.len()];
    if id.is_empty() || (args.starts_with('[') && id.parse::<i64>().is_ok()) {
        return Ok(());
    }
    Err(PacketError::Invalid("an ack id is a number of at most 63 bits"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codec() -> Codec {
        Codec::new(
            Encoding::Json,
            PacketLimits {
                event_name_max_bytes: 16,
                attachments_max: 2,
                attachments_max_bytes: 100,
                namespace_max_bytes: 32,
            },
        )
    }

    #[track_caller]
    fn check(text: &str, name: &str, args: &str, ack: Option<i64>) {
        let packet = codec().decode_text(&ParserState::default(), Str::from(text.to_owned())).unwrap().unwrap();
        let Body::Event { name: got, payload, ack: got_ack } = packet.body else { panic!("no event: {packet:?}") };
        assert_eq!((&*got, &*payload.args, got_ack), (name, args, ack), "{text}");
    }

    #[test]
    fn events_are_split_into_name_and_arguments() {
        check(r#"2["a"]"#, "a", "[]", None);
        check(r#"2/ns,12["a",1,[2]]"#, "a", "[1,[2]]", Some(12));
        check(r#"2/ns/1,9223372036854775807["a"]"#, "a", "[]", Some(i64::MAX));
        check(r#"2[ "a" , {"b":[]} ] "#, "a", r#"[{"b":[]} ]"#, None);
        check(r#"2["say \"hi\"",1]"#, "say \"hi\"", "[1]", None);
        check(r#"2["caf\u00e9"]"#, "café", "[]", None);
    }

    #[test]
    fn what_is_no_packet_is_refused() {
        let deep = format!("2[\"a\",{}{}]", "[".repeat(100_000), "]".repeat(99_999));
        for bad in [
            "",
            "7",
            "9[]",
            "2",
            "2{}",
            "2[]",
            "2[1]",
            "2[null]",
            "2[[\"a\"]]",
            "2[\"a\"",
            "2[\"a\"]garbage",
            "29223372036854775808[\"a\"]",
            "2/ns,1 [\"a\"]",
            "51-99999999999999999999[\"a\"]",
            "2[\"a\"]\u{1e}2[\"b\"]",
            "2[\"connect\"]",
            "2[\"disconnecting\"]",
            "2[\"newListener\",1]",
            "2[\"a name that is too long\"]",
            "0[]",
            "0\"x\"",
            "0{",
            "0{}x",
            "3[]",
            "3/ns,[]",
            "31{}",
            "31[1",
            "4{}",
            "5[\"a\"]",
            "5x-[\"a\"]",
            "5-[\"a\"]",
            "53-[\"a\"]",
            "599999999999999999999-[\"a\"]",
            "50-",
            "61-[]",
            "1{}",
            "1/ns,x",
            "2/",
            "2/,",
            "/",
            "-1",
            "2é",
            "2/012345678901234567890123456789012,[\"a\"]",
            &deep,
        ] {
            let got = codec().decode_text(&ParserState::default(), Str::from(bad.to_owned()));
            assert!(got.is_err(), "{bad:.40}: {got:?}");
        }
    }

    #[test]
    fn a_hundred_thousand_nested_brackets_are_an_event_like_any_other() {
        let args = format!("[{}{}]", "[".repeat(100_000), "]".repeat(100_000));
        check(&format!("2[\"a\",{}", &args[1..]), "a", &args, None);
    }

    #[test]
    fn binary_events_are_whole_when_their_attachments_are_there() {
        let (codec, state) = (codec(), ParserState::default());
        let text = r#"52-["a",{"_placeholder":true,"num":1},{"_placeholder":true,"num":0}]"#;
        assert_eq!(codec.decode_text(&state, Str::from(text)).unwrap(), None);
        assert_eq!(codec.decode_binary(&state, Bytes::from_static(b"x")).unwrap(), None);
        let packet = codec.decode_binary(&state, Bytes::from_static(b"y")).unwrap().unwrap();
        let Body::Event { payload, .. } = packet.body else { panic!("no event") };
        assert_eq!(payload.attachments, [Bytes::from_static(b"x"), Bytes::from_static(b"y")]);
    }

    #[test]
    fn placeholders_must_have_their_attachments() {
        for bad in [
            r#"51-["a",{"_placeholder":true,"num":1}]"#,
            r#"51-["a",{"_placeholder":true,"num":-1}]"#,
            r#"51-["a",{"_placeholder":true}]"#,
            r#"51-["a",{"b":[{"num":"x","_placeholder":true}]}]"#,
        ] {
            let (codec, state) = (codec(), ParserState::default());
            assert_eq!(codec.decode_text(&state, Str::from(bad)).unwrap(), None);
            assert!(codec.decode_binary(&state, Bytes::from_static(b"x")).is_err(), "{bad}");
        }
        let (codec, state) = (codec(), ParserState::default());
        assert!(codec.decode_binary(&state, Bytes::from_static(b"x")).is_err(), "binary that nothing announced");
        let _ = codec.decode_text(&state, Str::from(r#"51-["a",{"_placeholder":true,"num":0}]"#));
        assert!(codec.decode_text(&state, Str::from(r#"2["b"]"#)).is_err(), "text between attachments");
        let state = ParserState::default();
        let _ = codec.decode_text(&state, Str::from(r#"51-["a",{"_placeholder":true,"num":0}]"#));
        assert!(codec.decode_binary(&state, Bytes::from(vec![0; 101])).is_err(), "attachments too heavy");
    }
}
