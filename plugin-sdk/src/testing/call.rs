//! One hook's turn with one event, as the test kit has it: what it may see, and what it did.

use std::{cell::RefCell, collections::HashMap, rc::Rc};

use serde_json::Value;

use super::store::{Changes, TestStore};
use crate::{
    args::Args,
    event::{AnswerOutcome, Origin},
    log::Level,
    outcome::Rejection,
    target::{Target, To},
};

/// In the order of kinds: a hook raises only later ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Connect,
    Answer,
    Message,
    Join,
    Leave,
    Disconnect,
}

impl Kind {
    pub(crate) fn is_fact(self) -> bool {
        matches!(self, Kind::Leave | Kind::Disconnect)
    }

    pub(crate) fn hook(self) -> &'static str {
        match self {
            Kind::Connect => "on_connect",
            Kind::Answer => "on_answer",
            Kind::Message => "on_message",
            Kind::Join => "on_join",
            Kind::Leave => "on_leave",
            Kind::Disconnect => "on_disconnect",
        }
    }
}

/// An event on its way down the chain.
#[derive(Clone, Debug)]
pub(crate) struct EventState {
    pub kind: Kind,
    pub origin: Origin,
    pub name: String,
    pub args: Args,
    pub to: Option<To>,
    pub room: Option<String>,
    pub reason: Option<String>,
    /// Among how many last messages of its room a message is kept; how many a join wants to be sent.
    pub history: u32,
    pub answer: Option<AnswerState>,
}

#[derive(Clone, Debug)]
pub(crate) struct AnswerState {
    /// The place of the plugin that asked.
    pub link: usize,
    pub tag: String,
    pub outcome: AnswerOutcome,
}

impl EventState {
    fn bare(kind: Kind, origin: Origin) -> Self {
        let (name, args) = (String::new(), Args::none());
        Self { kind, origin, name, args, to: None, room: None, reason: None, history: 0, answer: None }
    }

    pub(crate) fn connect() -> Self {
        Self::bare(Kind::Connect, Origin::Client)
    }

    pub(crate) fn message(origin: Origin, name: &str, args: Args, to: Option<To>) -> Self {
        Self { name: name.into(), args, to, ..Self::bare(Kind::Message, origin) }
    }

    pub(crate) fn join(origin: Origin, room: &str) -> Self {
        Self { room: Some(room.into()), ..Self::bare(Kind::Join, origin) }
    }

    pub(crate) fn leave(origin: Origin, room: &str, reason: &str) -> Self {
        Self { room: Some(room.into()), reason: Some(reason.into()), ..Self::bare(Kind::Leave, origin) }
    }

    pub(crate) fn disconnect(origin: Origin, reason: &str) -> Self {
        Self { reason: Some(reason.into()), ..Self::bare(Kind::Disconnect, origin) }
    }

    pub(crate) fn answer(args: Args, answer: AnswerState) -> Self {
        Self { args, answer: Some(answer), ..Self::bare(Kind::Answer, Origin::Client) }
    }

    /// A join's or leave's room, or the one room that a message goes to.
    pub(crate) fn single_room(&self) -> Option<&String> {
        match (&self.room, self.to.as_ref().map(|to| &to.targets[..])) {
            (Some(room), _) => Some(room),
            (None, Some([Target::Room(room)])) => Some(room),
            _ => None,
        }
    }
}

/// Who a socket is, and where.
#[derive(Clone, Debug, Default)]
pub(crate) struct SocketState {
    /// Empty: the event belongs to no socket.
    pub id: String,
    pub namespace: String,
    pub user: Option<String>,
    pub roles: Vec<String>,
    pub address: Option<String>,
    pub auth: Option<Value>,
    pub headers: HashMap<String, String>,
    pub query: HashMap<String, String>,
    /// In the order of joining.
    pub rooms: Vec<String>,
}

/// What a hook asked for, in the order in which it asked.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Emit(Emit),
    Raise(EventState),
    Ack(Args),
    Identify { user: String, roles: Vec<String> },
    Order { of: Target, act: OrderAct },
    Ask { socket: String, name: String, args: Args, tag: String },
}

#[derive(Clone, Debug)]
pub(crate) struct Emit {
    pub to: To,
    pub name: String,
    pub args: Args,
    /// Kept among the last so many messages of its rooms; 0: not kept.
    pub retain: u32,
}

#[derive(Clone, Debug)]
pub(crate) enum OrderAct {
    Join { room: String },
    Leave { room: String, reason: String },
    Disconnect { reason: String },
}

/// How a hook ended the event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Ending {
    #[default]
    Pass,
    Swallow,
    Reject(Rejection),
}

/// One hook's turn.
#[derive(Debug)]
pub(crate) struct Call {
    pub event: EventState,
    /// The socket as this transaction has it so far.
    pub socket: SocketState,
    pub wants_ack: bool,
    pub received_ms: u64,
    /// Other sockets of the namespace and their rooms, as performed.
    pub others: Vec<(String, Vec<String>)>,
    pub log: Rc<RefCell<Vec<(Level, String)>>>,
    /// Changes to the event, taken over when the hook passes it.
    pub changed: EventState,
    pub steps: Vec<Step>,
    pub ending: Ending,
    /// The place of the plugin whose hook it is.
    pub link: usize,
    pub store: TestStore,
    /// What the transaction would write so far, this hook's writes included.
    pub changes: Changes,
    /// The first thing it did that its hook may not do.
    pub misuse: Option<String>,
}

thread_local! {
    static CURRENT: RefCell<Option<Call>> = const { RefCell::new(None) };
}

/// Asks or changes the call of the hook that runs now.
pub(crate) fn with<T>(what: impl FnOnce(&mut Call) -> T) -> T {
    CURRENT.with_borrow_mut(|call| match call {
        Some(call) => what(call),
        None => panic!("there is no event outside a hook: run the plugin with `hubbub_plugin::testing::TestHub`"),
    })
}

/// Runs a hook with a call, gives the call back.
pub(crate) fn run<T>(call: Call, hook: impl FnOnce() -> T) -> (Call, T) {
    /// Takes the call away also when the hook panics.
    struct Guard;
    impl Drop for Guard {
        fn drop(&mut self) {
            CURRENT.set(None);
        }
    }
    CURRENT.set(Some(call));
    let guard = Guard;
    let result = hook();
    let call = CURRENT.take().expect("only the guard takes the call away before");
    drop(guard);
    (call, result)
}

impl Call {
    pub(crate) fn misuse(&mut self, text: impl Into<String>) {
        self.misuse.get_or_insert_with(|| text.into());
    }

    /// A step with a name and arguments that the hub would check.
    pub(crate) fn step(&mut self, name: Option<&str>, args: Option<&Args>, step: Step) {
        self.check_name("an event name", name);
        self.check_args(args);
        self.steps.push(step);
    }

    /// A raised event: one of the event's socket.
    pub(crate) fn raise(&mut self, event: EventState) {
        if self.socket.id.is_empty() {
            self.misuse("acted on the event's socket, but the event has none");
        }
        self.steps.push(Step::Raise(event));
    }

    pub(crate) fn check_name(&mut self, what: &str, name: Option<&str>) {
        if let Some(name) = name
            && (name.is_empty() || name.len() > super::NAME_MAX_BYTES)
        {
            let max = super::NAME_MAX_BYTES;
            self.misuse(format!("gave {what} of {} bytes: 1 to {max} are allowed", name.len()));
        }
    }

    pub(crate) fn check_args(&mut self, args: Option<&Args>) {
        let Some(args) = args else { return };
        if let Err(error) = serde_json::from_str::<Vec<serde::de::IgnoredAny>>(args.json()) {
            self.misuse(format!("gave arguments that are no JSON array: `{}`: {error}", args.json()));
        }
    }

    /// The message as this hook has it; a change of any other kind is a misuse.
    pub(crate) fn message_only(&mut self, what: &str) -> &mut EventState {
        if self.event.kind != Kind::Message {
            self.misuse(format!("{what} in {}: only a message can be changed", self.event.kind.hook()));
        }
        &mut self.changed
    }
}
