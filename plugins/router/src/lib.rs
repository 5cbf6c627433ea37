//! Routes messages by their content: to another room, to several rooms, to a user, to a socket.
//!
//! Config: `rules`, a list of `{when, to}`. The first rule that fits a message says where it goes, in place of what the
//! plugins before said; a message that none fits goes on as it is. The ack does not change.
//!
//! - `when`: `event` (a name; without one every message), and optionally `field` with exactly one of `equals` (any JSON
//!   value), `contains`, `starts_with` (texts) and `exists` (true or false). A field is one of the first argument,
//!   `"order.state"` one in one.
//! - `to`: a list of `{room}`, `{user}`, `{room_field}`, `{user_field}`, `{socket_field}` (the field's text names it),
//!   `"keep"` (where it goes already), `"sender"`, `"everyone"`. A rule whose `*_field` is no text in a message
//!   does not fit it.
//!
//! ```toml
//! [[plugin.config.rules]]
//! when = { event = "message", field = "text", starts_with = "#urgent" }
//! to = ["keep", { room = "urgent" }]
//! ```
//!
//! The router asks nobody's leave: behind `rooms` it sees only what members may say.

mod rule;

use hubbub_plugin::prelude::*;

use rule::Rule;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Router {
    rules: Vec<Rule>,
}

impl Plugin for Router {
    fn check(&self) -> Result<(), String> {
        if self.rules.is_empty() { Err("`rules`: must have at least one rule".into()) } else { Ok(()) }
    }
}

impl OnMessage for Router {
    fn on_message(&self, event: &MessageEvent) -> Outcome {
        let name = event.name();
        let mut concerned = self.rules.iter().filter(|rule| rule.concerns(&name)).peekable();
        if concerned.peek().is_none() {
            return Ok(Pass);
        }
        // what is not there has no fields
        let body = event.arg::<Option<Value>>(0)?.unwrap_or_default();
        if let Some(to) = concerned.find_map(|rule| rule.route(&body, || event.targets())) {
            event.retarget(to);
        }
        Ok(Pass)
    }
}

hubbub_plugin::export!(Router: OnMessage);

#[cfg(test)]
mod tests;
