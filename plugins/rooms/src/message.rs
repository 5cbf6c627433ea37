//! The body of a message: read without building a tree, sent on with `from` and `id`.

use std::{
    borrow::Cow,
    hash::{BuildHasher, RandomState},
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use hubbub_plugin::{
    BAD_REQUEST, Failure, Rejection,
    prelude::*,
    serde_json::{self, value::RawValue},
};
use serde::de::IgnoredAny;

use crate::config::Config;

/// A checked message.
pub(crate) struct Message<'a> {
    pub room: Cow<'a, str>,
    /// The whole body, a JSON object.
    json: &'a str,
    /// The client says `from` or `id` itself: they are overwritten, never doubled.
    forged: bool,
    attachments: &'a [Vec<u8>],
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    room: Cow<'a, str>,
    #[serde(borrow)]
    text: Cow<'a, str>,
    from: Option<IgnoredAny>,
    id: Option<IgnoredAny>,
}

impl<'a> Message<'a> {
    pub(crate) fn read(args: &'a Args, config: &Config) -> Result<Self, Rejection> {
        let (body,): (Body<'a>,) = args.all()?;
        let (raw,): (&'a RawValue,) = args.all()?;
        if !raw.get().starts_with('{') {
            return Err(reject(BAD_REQUEST, "argument 1: expected an object {room, text}"));
        }
        config.check_text(&body.text)?;
        let forged = body.from.is_some() || body.id.is_some();
        Ok(Self { room: body.room, json: raw.get(), forged, attachments: args.attachments() })
    }

    /// The body as members get it.
    pub(crate) fn with_sender(&self, from: Option<&str>, id: &str) -> Result<Args, Failure> {
        let attachments = self.attachments.to_vec();
        if self.forged {
            let body: Result<serde_json::Map<String, Value>, _> = serde_json::from_str(self.json);
            let mut body = body.map_err(|e| failure(format!("a body that was read before: {e}")))?;
            body.insert("from".into(), json!(from));
            body.insert("id".into(), json!(id));
            return Ok(Args::raw(json!([body]).to_string(), attachments));
        }
        // ids are made of hexadecimal and base64url characters, which need no escape
        let from = from.map_or_else(|| "null".into(), |from| format!("\"{from}\""));
        let open = self.json.strip_suffix('}').unwrap_or(self.json);
        Ok(Args::raw(format!(r#"[{open},"from":{from},"id":"{id}"}}]"#), attachments))
    }
}

/// An id that no other message has: 64 random bits of this instance and a number.
pub(crate) fn new_id() -> String {
    static INSTANCE: OnceLock<u64> = OnceLock::new();
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let instance = INSTANCE.get_or_init(|| RandomState::new().hash_one("rooms"));
    format!("{instance:016x}{:08x}", NUMBER.fetch_add(1, Ordering::Relaxed))
}
