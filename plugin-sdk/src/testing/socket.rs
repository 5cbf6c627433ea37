//! What a test has in hand: sockets, what they received, and answers to what they sent.

use std::{cell::RefCell, rc::Rc};

use serde::Serialize;
use serde_json::Value;

use super::{
    call::{AnswerState, EventState, SocketState},
    hub::State,
};
use crate::{
    args::{Args, IntoArgs},
    event::{AnswerOutcome, Origin},
};

/// What a client sends at its handshake, for [`TestHub::connect_with`](super::TestHub::connect_with).
#[derive(Clone, Debug, Default)]
pub struct Handshake {
    pub(crate) socket: SocketState,
}

impl Handshake {
    /// A handshake with nothing in it, in the namespace `/`, from 127.0.0.1.
    pub fn new() -> Self {
        let socket = SocketState { namespace: "/".into(), address: Some("127.0.0.1".into()), ..SocketState::default() };
        Self { socket }
    }

    /// Another namespace.
    pub fn namespace(mut self, namespace: &str) -> Self {
        self.socket.namespace = namespace.into();
        self
    }

    /// The auth payload.
    pub fn auth(mut self, auth: Value) -> Self {
        self.socket.auth = Some(auth);
        self
    }

    /// A request header; `name` in lower case.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.socket.headers.insert(name.into(), value.into());
        self
    }

    /// A query parameter.
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.socket.query.insert(name.into(), value.into());
        self
    }

    /// The client's address.
    pub fn address(mut self, address: &str) -> Self {
        self.socket.address = Some(address.into());
        self
    }

    /// Says who the socket belongs to, as an identity plugin before the chain under test would.
    pub fn user(mut self, user: &str, roles: &[&str]) -> Self {
        self.socket.user = Some(user.into());
        self.socket.roles = roles.iter().map(|r| (*r).into()).collect();
        self
    }
}

/// An event that reached a socket. It equals `(name, value)` when the value is its one argument.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// The event's name.
    pub name: String,
    /// Its arguments; a binary one stands as `{"_placeholder":true,"num":N}`.
    pub args: Vec<Value>,
    /// Its binary attachments.
    pub attachments: Vec<Vec<u8>>,
    /// Set when a plugin asked for an answer: see [`TestSocket::answer`].
    pub ask: Option<u64>,
}

impl PartialEq<(&str, Value)> for Delivery {
    fn eq(&self, (name, value): &(&str, Value)) -> bool {
        self.name == *name && self.args == [value.clone()]
    }
}

/// The answer to what a socket sent. It equals a value that is its one argument.
#[derive(Clone, Debug, PartialEq)]
pub struct Ack {
    /// Its arguments.
    pub args: Vec<Value>,
    /// Its binary attachments.
    pub attachments: Vec<Vec<u8>>,
}

impl Ack {
    pub(crate) fn new(args: &Args) -> Self {
        Self { args: values(args), attachments: args.attachments().to_vec() }
    }

    /// The hub's error code, like `unhandled`, `rejected` or `plugin_failed`; `None` when all went well.
    pub fn error_code(&self) -> Option<&str> {
        self.args.first()?["error"]["code"].as_str()
    }

    /// The plugin's code, when it said no.
    pub fn rejection_code(&self) -> Option<&str> {
        self.args.first()?["error"]["reason"]["code"].as_str()
    }

    /// The error's message.
    pub fn error_message(&self) -> Option<&str> {
        self.args.first()?["error"]["message"].as_str()
    }
}

impl PartialEq<Value> for Ack {
    fn eq(&self, value: &Value) -> bool {
        self.args == std::slice::from_ref(value)
    }
}

/// The values of arguments that the test kit has checked.
pub(crate) fn values(args: &Args) -> Vec<Value> {
    serde_json::from_str(args.json()).expect("arguments are checked to be a JSON array before they are performed")
}

/// A connected client. Clones are the same client.
#[derive(Clone)]
pub struct TestSocket {
    pub(crate) hub: Rc<RefCell<State>>,
    pub(crate) id: String,
}

impl TestSocket {
    /// The public id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Sends an event with one argument and waits for its ack.
    pub fn send(&self, name: &str, arg: impl Serialize) -> Ack {
        self.send_args(name, arg.into_args().expect("a test sends what can be JSON"))
    }

    /// Sends an event with any arguments and waits for its ack.
    pub fn send_args(&self, name: &str, args: Args) -> Ack {
        let event = EventState::message(Origin::Client, name, args, None);
        self.hub.borrow_mut().root(&self.id, event, true).expect("a client that waits for an ack gets one")
    }

    /// Sends an event with one argument without waiting for an ack: an error comes as an `error` event.
    pub fn emit(&self, name: &str, arg: impl Serialize) {
        self.emit_args(name, arg.into_args().expect("a test sends what can be JSON"));
    }

    /// Sends an event with any arguments without waiting for an ack.
    pub fn emit_args(&self, name: &str, args: Args) {
        let event = EventState::message(Origin::Client, name, args, None);
        self.hub.borrow_mut().root(&self.id, event, false);
    }

    /// What it received since the last look, in order.
    pub fn inbox(&self) -> Vec<Delivery> {
        self.hub.borrow_mut().take_inbox(&self.id)
    }

    /// The rooms it is in, in the order of joining.
    pub fn rooms(&self) -> Vec<String> {
        self.hub.borrow().socket(&self.id).map(|s| s.rooms.clone()).unwrap_or_default()
    }

    /// Whether it is still connected.
    pub fn is_connected(&self) -> bool {
        self.hub.borrow().socket(&self.id).is_some()
    }

    /// Answers what a plugin asked. Returns whether the plugin still waited.
    pub fn answer(&self, asked: &Delivery, args: impl IntoArgs) -> bool {
        let args = args.into_args().expect("a test sends what can be JSON");
        let ask = asked.ask.expect("only what was asked can be answered");
        self.hub.borrow_mut().end_ask(ask, args, AnswerOutcome::Answered)
    }

    /// Leaves, as the client's own `disconnect()` does.
    pub fn disconnect(&self) {
        self.end("client namespace disconnect");
    }

    /// Loses its connection, with one of Socket.IO's reasons, like `transport close`.
    pub fn end(&self, reason: &str) {
        self.hub.borrow_mut().root(&self.id, EventState::disconnect(Origin::Client, reason), false);
    }
}

/// What a plugin waits for.
pub(crate) struct PendingAsk {
    pub id: u64,
    /// Who was asked: the answer is an event of this socket.
    pub socket: String,
    pub answer: AnswerState,
}
