//! An event from an operator: through the chain, and to a room, a user, a socket, or everyone.

use std::{sync::Arc, time::Duration};

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{
    Shared,
    auth::Caller,
    error::ApiError,
    extract::{Answer, Json},
};
use crate::{
    event::{Payload, SocketId, Target, Text},
    gateway::socketio::is_reserved_name,
    node::{Answered, Asking, Publish, PublishError},
    pipeline::call::AnswerOutcome,
};

/// What is to be sent, and to whom.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PublishBody {
    namespace: String,
    to: To,
    /// The name of the event.
    event: String,
    /// Its arguments; without any, none.
    #[serde(default)]
    #[schema(value_type = Vec<serde_json::Value>)]
    args: Option<Box<RawValue>>,
    /// Wait for the acks of those who get it.
    #[serde(default)]
    ask: Option<Ask>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum To {
    Room(String),
    User(String),
    Socket(String),
    /// Always true.
    Everyone(bool),
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Ask {
    /// From its delivery on.
    timeout_ms: u64,
}

/// What became of it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PublishView {
    /// Sockets that it was for when it was put on its way; 0 also when a plugin swallowed it.
    sockets: usize,
    /// One for each connected socket, when acks were asked for.
    answers: Vec<AnswerView>,
}

#[derive(Debug, Serialize, ToSchema)]
struct AnswerView {
    socket: String,
    outcome: Outcome,
    /// What the client answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<serde_json::Value>)]
    args: Option<Box<RawValue>>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Answered,
    TimedOut,
    /// It left, or its connection was lost, before it answered.
    Gone,
}

impl From<Answered> for AnswerView {
    fn from(answered: Answered) -> Self {
        let Answered { socket, outcome, payload } = answered;
        let outcome = match outcome {
            AnswerOutcome::Answered => Outcome::Answered,
            AnswerOutcome::TimedOut => Outcome::TimedOut,
            AnswerOutcome::Gone => Outcome::Gone,
        };
        let args = RawValue::from_string(payload.args.to_string()).ok();
        let args = args.filter(|_| matches!(outcome, Outcome::Answered));
        Self { socket: socket.to_string(), outcome, args }
    }
}

/// Send an event
///
/// It runs down the namespace's chain with origin server, so that plugins may change or refuse it, and is delivered in one
/// order with all others. With `ask` the answer waits for the clients' acks.
#[utoipa::path(
    post, path = "/v1/publish",
    request_body = PublishBody,
    responses((status = 200, body = PublishView))
)]
pub(super) async fn publish(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Json(body): Json<PublishBody>,
) -> Result<Answer<PublishView>, ApiError> {
    let publish = shared.check_publish(body)?;
    tracing::debug!(namespace = %publish.namespace, event = %publish.name, who = %caller.name, "publish");
    match shared.parts.node.publish(publish).await {
        Ok(published) => {
            let answers = published.answers.into_iter().map(AnswerView::from).collect();
            Ok(Answer(PublishView { sockets: published.sockets, answers }))
        }
        Err(PublishError::Refused(refusal)) => Err(refusal.into()),
        Err(PublishError::TooMany { sockets, allowed }) => Err(ApiError::invalid(format!(
            "ask: the event is for {sockets} sockets, admin.asks_max allows to wait for {allowed}"
        ))),
    }
}

impl Shared {
    fn check_publish(&self, body: PublishBody) -> Result<Publish, ApiError> {
        let PublishBody { namespace, to, event, args, ask } = body;
        let limits = &self.limits;
        if !namespace.starts_with('/') {
            return Err(ApiError::invalid("namespace: expected one that starts with a slash"));
        }
        if is_reserved_name(&event) {
            return Err(ApiError::invalid(format!("event: Socket.IO keeps the name `{event}` for itself")));
        }
        let namespace = name("namespace", namespace, limits.namespace_max_bytes)?;
        let event = name("event", event, limits.event_name_max_bytes)?;
        let to = match to {
            To::Room(room) => Target::Room(name("to.room", room, limits.room_name_max_bytes)?),
            To::User(user) => Target::User(name("to.user", user, limits.user_id_max_bytes)?),
            To::Socket(id) => {
                let id = SocketId::parse(&id);
                Target::Socket(id.ok_or_else(|| ApiError::invalid("to.socket: expected a socket's id"))?)
            }
            To::Everyone(true) => Target::Everyone,
            To::Everyone(false) => return Err(ApiError::invalid("to.everyone: expected true")),
        };
        let args = args.map_or_else(|| "[]".into(), |args| Text::from(args.get().trim()));
        if !args.starts_with('[') {
            return Err(ApiError::invalid("args: expected a list"));
        }
        if args.len() > limits.max_payload_bytes {
            let max = limits.max_payload_bytes;
            return Err(ApiError::invalid(format!("args: limits.max_payload_bytes allows {max}")));
        }
        let max = self.settings.ask_timeout_max;
        let ask = match ask.map(|ask| Duration::from_millis(ask.timeout_ms)) {
            Some(timeout) if timeout.is_zero() || timeout > max => {
                let text =
                    format!("ask.timeout_ms: expected 1 to {}, as admin.ask_timeout_max_ms allows", max.as_millis());
                return Err(ApiError::invalid(text));
            }
            timeout => timeout.map(|timeout| Asking { timeout, max: self.settings.asks_max }),
        };
        Ok(Publish { namespace, name: event, payload: Payload::json(args), to, ask })
    }
}

fn name(what: &str, text: String, max: usize) -> Result<Text, ApiError> {
    if text.is_empty() || text.len() > max {
        return Err(ApiError::invalid(format!("{what}: expected 1 to {max} bytes")));
    }
    Ok(text.into())
}
