//! What scenarios of the chat read in acks.

use serde_json::Value;

/// The code of a plugin's refusal; empty when the ack is none.
pub fn code(ack: &Value) -> &str {
    ack["error"]["reason"]["code"].as_str().unwrap_or_default()
}

/// The texts of a page of history.
pub fn texts(page: &Value) -> Vec<&str> {
    page["messages"].as_array().into_iter().flatten().filter_map(|m| m["text"].as_str()).collect()
}
