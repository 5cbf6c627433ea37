//! The hub's words as JSON.

use serde::Serializer;

use crate::event::{SocketId, Text};

/// A shared text.
pub fn text<S: Serializer>(text: &Text, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

/// A socket's public id, or null.
pub fn socket<S: Serializer>(socket: &Option<SocketId>, serializer: S) -> Result<S::Ok, S::Error> {
    match socket {
        Some(id) => serializer.serialize_str(id.as_str()),
        None => serializer.serialize_none(),
    }
}
