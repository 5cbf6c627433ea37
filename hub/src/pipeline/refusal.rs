//! What a client is told when its event did not go through: a stable code and a short message.

use serde_json::{Value, json};

use crate::event::{Payload, Text};

/// The hub's own codes. A plugin's refusal is always [`Code::Rejected`], with the plugin's code beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// No plugin did anything with the message.
    Unhandled,
    /// A plugin said no.
    Rejected,
    /// A plugin failed, and its policy is to reject.
    PluginFailed,
    /// All instances of a plugin were busy for too long, or the bus stayed full.
    Overloaded,
    /// The chain took longer than one event may.
    Timeout,
    /// The event would have passed a limit of the hub.
    LimitExceeded,
    /// What the event relied on was changed by others, however often it was tried.
    Conflict,
    /// The store is full, gone or too slow. Nothing happened.
    StoreUnavailable,
    /// The node is going down or cannot reach the log. Nothing happened.
    Unavailable,
}

impl Code {
    /// All codes, in the order of their declaration.
    pub const ALL: [Code; 9] = [
        Code::Unhandled,
        Code::Rejected,
        Code::PluginFailed,
        Code::Overloaded,
        Code::Timeout,
        Code::LimitExceeded,
        Code::Conflict,
        Code::StoreUnavailable,
        Code::Unavailable,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Code::Unhandled => "unhandled",
            Code::Rejected => "rejected",
            Code::PluginFailed => "plugin_failed",
            Code::Overloaded => "overloaded",
            Code::Timeout => "timeout",
            Code::LimitExceeded => "limit_exceeded",
            Code::Conflict => "conflict",
            Code::StoreUnavailable => "store_unavailable",
            Code::Unavailable => "unavailable",
        }
    }
}

/// Why a plugin said no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    pub code: Text,
    pub message: Text,
    /// JSON text for the client.
    pub data: Option<Text>,
}

/// An event that did not go through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: Code,
    pub message: Text,
    /// Set when `code` is [`Code::Rejected`].
    pub rejection: Option<Rejection>,
}

impl Refusal {
    /// A refusal by the hub itself.
    pub fn new(code: Code, message: impl Into<Text>) -> Self {
        Self { code, message: message.into(), rejection: None }
    }

    fn body(&self, with_message: bool) -> Value {
        let mut body = json!({ "code": self.code.as_str() });
        if with_message {
            body["message"] = json!(&*self.message);
        }
        if let Some(rejection) = &self.rejection {
            body["reason"] = json!({ "code": &*rejection.code, "message": &*rejection.message });
            if let Some(data) = &rejection.data {
                // the host function let only JSON through
                body["reason"]["data"] = serde_json::from_str(data).unwrap_or(Value::Null);
            }
        }
        body
    }

    /// The arguments of the ack: `[{"error":{"code","message","reason"?}}]`.
    pub fn ack(&self) -> Payload {
        Payload::json(json!([{ "error": self.body(true) }]).to_string())
    }

    /// The arguments of the `error` event that tells a client which asked for no ack:
    /// `[{"error":{...},"event":NAME}]`.
    pub fn error_event(&self, event: &str) -> Payload {
        Payload::json(json!([{ "error": self.body(true), "event": event }]).to_string())
    }

    /// The body of CONNECT_ERROR: `{"message":...,"data":{"code":...,"reason"?}}`.
    pub fn connect_error(&self) -> String {
        json!({ "message": &*self.message, "data": self.body(false) }).to_string()
    }
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        Self { code: Code::Rejected, message: rejection.message.clone(), rejection: Some(rejection) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejection_tells_the_hubs_code_and_the_plugins() {
        let refusal = Refusal::from(Rejection {
            code: "muted".into(),
            message: "you are muted".into(),
            data: Some(r#"{"until":5}"#.into()),
        });
        assert_eq!(
            &*refusal.ack().args,
            r#"[{"error":{"code":"rejected","message":"you are muted","reason":{"code":"muted","data":{"until":5},"message":"you are muted"}}}]"#
        );
        assert_eq!(
            refusal.connect_error(),
            r#"{"data":{"code":"rejected","reason":{"code":"muted","data":{"until":5},"message":"you are muted"}},"message":"you are muted"}"#
        );
    }

    #[test]
    fn every_code_is_an_outcome_that_is_counted() {
        let codes = Code::ALL.map(Code::as_str);
        assert_eq!(crate::seeing::metrics::OUTCOMES[2..], codes);
    }

    #[test]
    fn a_refusal_by_the_hub_has_no_reason() {
        let refusal = Refusal::new(Code::Unhandled, "no plugin handles `x`");
        assert_eq!(
            &*refusal.error_event("x").args,
            r#"[{"error":{"code":"unhandled","message":"no plugin handles `x`"},"event":"x"}]"#
        );
    }
}
