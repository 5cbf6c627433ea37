//! What moderation held back and a moderator lets through.

use hubbub_plugin::prelude::*;

use super::{Front, body};
use crate::wire::Place;

/// What a moderator says of a message that was held; no client gives it a number.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ApproveBody {
    id: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    room: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    number: Option<Value>,
}

impl Front<'_> {
    /// It is said now: it needs a number that comes behind those given meanwhile.
    pub(super) fn number(&self, event: &MessageEvent) -> Outcome {
        if !self.config.is_moderator(event) {
            return Ok(Pass);
        }
        let mut body: ApproveBody = body(event)?;
        let thread = match (&body.room, &body.from, &body.to) {
            (Some(room), None, None) => {
                self.config.check_room(room)?;
                Some(Place::Room(room.clone()).thread(None))
            }
            (None, Some(from), Some(to)) => Some(Place::To(to.clone()).thread(Some(from))),
            _ => None,
        };
        if let Some(thread) = thread {
            let id = self.next_id_of(&thread)?;
            body.number = Some(json!({ "id": id, "time_ms": event.received_ms() }));
        }
        event.set_args(body)?;
        Ok(Pass)
    }
}
