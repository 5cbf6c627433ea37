//! The event being handled, and what a hook may do about it.

use std::{marker::PhantomData, ops::Deref, time::Duration};

use serde::de::DeserializeOwned;

use crate::{
    args::{self, Args, IntoArgs},
    host,
    outcome::{Failure, Rejection},
    store::Store,
    target::{Target, To},
    view::{Credentials, Orders, Rooms},
};

/// Who caused an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The client of the event's socket.
    Client,
    /// A plugin that raised or ordered it.
    Plugin,
    /// A backend or the node itself.
    Server,
    /// Another node, for a socket whose node died.
    NodeDeath,
}

/// What all events share. A hook's event derefs to it.
///
/// It stands for the event that the hub handles right now, holds nothing itself, and lives as long as the hook.
/// Whatever a hook does is performed only when the event's whole transaction commits.
#[derive(Debug)]
pub struct Event {
    /// An event stays in its hook: neither sent to a thread nor made by anybody else.
    _ambient: PhantomData<*const ()>,
}

impl Event {
    fn ambient() -> Self {
        Self { _ambient: PhantomData }
    }

    /// Who caused it.
    pub fn origin(&self) -> Origin {
        host::origin()
    }

    /// The namespace, like `/` or `/chat`.
    pub fn namespace(&self) -> String {
        host::namespace()
    }

    /// The public id of the event's socket; a publish from a server has none.
    pub fn socket(&self) -> Option<String> {
        host::socket()
    }

    /// Who the socket belongs to, as an identity plugin said; `None` for anonymous ones.
    pub fn user(&self) -> Option<String> {
        host::user()
    }

    /// The user's roles, as an identity plugin said.
    pub fn roles(&self) -> Vec<String> {
        host::roles()
    }

    /// Whether the user has a role.
    pub fn has_role(&self, role: &str) -> bool {
        host::roles().iter().any(|r| r == role)
    }

    /// The client's address, without port; behind trusted proxies the forwarded one.
    pub fn address(&self) -> Option<String> {
        host::address()
    }

    /// Whether the client waits for an ack.
    pub fn wants_ack(&self) -> bool {
        host::wants_ack()
    }

    /// When the node received it, milliseconds since the Unix epoch.
    pub fn received_ms(&self) -> u64 {
        host::received_ms()
    }

    /// Who is where.
    pub fn rooms(&self) -> Rooms<'_> {
        Rooms::of(self)
    }

    /// This plugin's own state in the event's namespace. Needs the capability `store`.
    pub fn store(&self) -> Store<'_> {
        Store::of(self)
    }

    /// What the client sent at its handshake. Needs the capability `credentials`.
    pub fn credentials(&self) -> Credentials<'_> {
        Credentials::of(self)
    }

    /// Acts on other sockets. Needs the capability `orders`.
    pub fn orders(&self) -> Orders<'_> {
        Orders::of(self)
    }

    /// Sends an event to sockets; it passes no further plugin.
    ///
    /// Fails when the arguments cannot be JSON.
    ///
    /// ```
    /// use hubbub_plugin::prelude::*;
    ///
    /// #[derive(Deserialize)]
    /// struct Notices {}
    ///
    /// impl Plugin for Notices {}
    /// impl OnJoin for Notices {
    ///     fn on_join(&self, event: &JoinEvent) -> Outcome {
    ///         event.emit(To::event_room().except_sender(), "joined", json!({ "who": event.user() }))?;
    ///         Ok(Pass)
    ///     }
    /// }
    /// hubbub_plugin::export!(Notices: OnJoin);
    /// ```
    pub fn emit(&self, to: To, name: &str, args: impl IntoArgs) -> Result<(), Failure> {
        host::emit(to, name, args.into_args()?, false);
        Ok(())
    }

    /// Like [`emit`](Event::emit), but dropped for a socket that cannot take it at once: for what is worth nothing
    /// later, like a cursor's position.
    pub fn emit_volatile(&self, to: To, name: &str, args: impl IntoArgs) -> Result<(), Failure> {
        host::emit(to, name, args.into_args()?, true);
        Ok(())
    }

    /// Like [`emit`](Event::emit), and it is kept among the last `last` messages of each room it goes to, for those who
    /// [join with a replay](Event::join_with_replay).
    pub fn emit_retained(&self, to: To, name: &str, args: impl IntoArgs, last: u32) -> Result<(), Failure> {
        host::emit_retained(to, name, args.into_args()?, last);
        Ok(())
    }

    /// Raises a message of the same socket, untargeted: in a message hook it goes down the rest of the chain, in an
    /// earlier one (connect, answer) it enters at the chain's head. In a later one the hook fails.
    pub fn raise(&self, name: &str, args: impl IntoArgs) -> Result<(), Failure> {
        host::raise(name, args.into_args()?, To::default());
        Ok(())
    }

    /// Like [`raise`](Event::raise), with targets.
    pub fn raise_to(&self, to: To, name: &str, args: impl IntoArgs) -> Result<(), Failure> {
        host::raise(name, args.into_args()?, to);
        Ok(())
    }

    /// Raises a join of the event's socket: every plugin's join hook is asked. Nothing when it is a member already.
    pub fn join(&self, room: &str) {
        host::join(room);
    }

    /// Like [`join`](Event::join), and the socket is sent the last `replay` retained messages of the room: behind the
    /// client's ack, and before anything that is sent to the room from now on.
    pub fn join_with_replay(&self, room: &str, replay: u32) {
        host::join_with_replay(room, replay);
    }

    /// Raises a leave of the event's socket. Nothing when it is no member.
    pub fn leave(&self, room: &str, reason: &str) {
        host::leave(room, reason);
    }

    /// Raises the disconnect of the event's socket.
    pub fn disconnect(&self, reason: &str) {
        host::disconnect(reason);
    }

    /// Answers the client's ack. The first answer of a transaction counts; without a waiting client it does nothing.
    pub fn ack(&self, args: impl IntoArgs) -> Result<(), Failure> {
        host::ack(args.into_args()?);
        Ok(())
    }

    /// Sends an event to one socket and asks for its ack. The answer, or that none came within `timeout` (at most a
    /// minute), is an event of its own for this plugin's [`OnAnswer`](crate::OnAnswer), which finds `tag` there. It is
    /// an event of the socket that was asked; of none when that was not there.
    pub fn ask(
        &self,
        socket: &str,
        name: &str,
        args: impl IntoArgs,
        timeout: Duration,
        tag: &str,
    ) -> Result<(), Failure> {
        let timeout_ms = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
        host::ask(socket, name, args.into_args()?, timeout_ms, tag);
        Ok(())
    }
}

/// An event that carries arguments: a message, or an answer.
#[derive(Debug)]
pub struct EventWithArgs {
    event: Event,
}

impl Deref for EventWithArgs {
    type Target = Event;

    fn deref(&self) -> &Event {
        &self.event
    }
}

impl EventWithArgs {
    /// One argument, counted from 0. An `Option` may be missing.
    ///
    /// What does not fit is a rejection with the code `bad_request` and a text that says what was expected.
    ///
    /// ```
    /// # use hubbub_plugin::prelude::*;
    /// #[derive(Deserialize)]
    /// struct Join {
    ///     room: String,
    /// }
    ///
    /// fn on_message(event: &MessageEvent) -> Outcome {
    ///     let body: Join = event.arg(0)?;
    ///     event.join(&body.room);
    ///     Ok(Pass)
    /// }
    /// ```
    pub fn arg<T: DeserializeOwned>(&self, index: usize) -> Result<T, Rejection> {
        args::read_one(&host::args(), index)
    }

    /// All arguments, as a tuple or another sequence. A tuple wants exactly as many as it has fields.
    ///
    /// ```
    /// # use hubbub_plugin::prelude::*;
    /// fn on_message(event: &MessageEvent) -> Outcome {
    ///     let (x, y): (f64, f64) = event.args()?;
    ///     event.ack(x + y)?;
    ///     Ok(Pass)
    /// }
    /// ```
    pub fn args<T: DeserializeOwned>(&self) -> Result<T, Rejection> {
        args::read_all(&host::args())
    }

    /// The arguments as JSON text, an array. A binary argument stands as `{"_placeholder":true,"num":N}`.
    pub fn args_json(&self) -> String {
        host::args()
    }

    /// The arguments with their attachments: to pass them on, or to read what borrows from them.
    pub fn raw_args(&self) -> Args {
        Args::raw(host::args(), host::attachments())
    }

    /// How many binary attachments there are.
    pub fn attachment_count(&self) -> u32 {
        host::attachment_count()
    }

    /// An attachment by its number; `None` when there is no such one.
    pub fn attachment(&self, index: u32) -> Option<Vec<u8>> {
        host::attachment(index)
    }
}

/// Defines an event type that derefs to what it shares with others.
macro_rules! event_type {
    ($(#[$doc:meta])* $name:ident: $shared:ident) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name {
            shared: $shared,
        }

        impl Deref for $name {
            type Target = $shared;

            fn deref(&self) -> &$shared {
                &self.shared
            }
        }
    };
}

event_type! {
    /// A client connects to a namespace.
    ConnectEvent: Event
}
event_type! {
    /// What a client, a plugin or a server says.
    MessageEvent: EventWithArgs
}
event_type! {
    /// A socket becomes member of a room, unless a plugin says no: [`rooms`](Event::rooms) has it there already.
    JoinEvent: Event
}
event_type! {
    /// A socket leaves a room: a fact, whatever the hook says. [`rooms`](Event::rooms) has it there no more.
    LeaveEvent: Event
}
event_type! {
    /// A socket leaves its namespace, after the leaves of all its rooms: a fact, whatever the hook says.
    DisconnectEvent: Event
}
event_type! {
    /// What became of an [`ask`](Event::ask) of this plugin. Its arguments are those of the ack.
    AnswerEvent: EventWithArgs
}

impl ConnectEvent {
    pub(crate) fn ambient() -> Self {
        Self { shared: Event::ambient() }
    }

    /// Says who the socket belongs to. False when an earlier plugin has said so already: the first one wins.
    /// Needs the capability `identity`.
    pub fn set_user<R: AsRef<str>>(&self, user: &str, roles: &[R]) -> bool {
        host::set_user(user, roles.iter().map(|r| r.as_ref().to_owned()).collect())
    }
}

impl MessageEvent {
    pub(crate) fn ambient() -> Self {
        Self { shared: EventWithArgs { event: Event::ambient() } }
    }

    /// Its name, as the plugins before this one left it.
    pub fn name(&self) -> String {
        host::name()
    }

    /// Where it goes; empty until a plugin gives it a target.
    pub fn targets(&self) -> Vec<Target> {
        host::targets()
    }

    /// The room that it goes to, when exactly one room is its target.
    pub fn room(&self) -> Option<String> {
        host::room()
    }

    /// Gives it another name.
    pub fn set_name(&self, name: &str) {
        host::set_name(name);
    }

    /// Replaces its arguments and attachments. Fails when they cannot be JSON.
    pub fn set_args(&self, args: impl IntoArgs) -> Result<(), Failure> {
        host::set_args(args.into_args()?);
        Ok(())
    }

    /// Keeps it among the last `last` messages of each room it goes to, for those who
    /// [join with a replay](Event::join_with_replay).
    pub fn retain(&self, last: u32) {
        host::retain(last);
    }

    /// Says where it goes, in place of what was said before.
    pub fn retarget(&self, to: To) {
        host::retarget(to);
    }
}

impl JoinEvent {
    pub(crate) fn ambient() -> Self {
        Self { shared: Event::ambient() }
    }

    /// The room that the socket joins.
    pub fn room(&self) -> String {
        host::room().unwrap_or_default()
    }
}

impl LeaveEvent {
    pub(crate) fn ambient() -> Self {
        Self { shared: Event::ambient() }
    }

    /// The room that the socket leaves.
    pub fn room(&self) -> String {
        host::room().unwrap_or_default()
    }

    /// Why, in Socket.IO's words (`transport close`) or a plugin's.
    pub fn reason(&self) -> String {
        host::reason().unwrap_or_default()
    }
}

impl DisconnectEvent {
    pub(crate) fn ambient() -> Self {
        Self { shared: Event::ambient() }
    }

    /// Why, in Socket.IO's words (`transport close`) or a plugin's.
    pub fn reason(&self) -> String {
        host::reason().unwrap_or_default()
    }
}

/// What became of an [`ask`](Event::ask).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerOutcome {
    /// The client's ack came; its arguments are the event's.
    Answered,
    /// No ack came in time.
    TimedOut,
    /// The socket went away before it answered, or was never there.
    Gone,
}

impl AnswerEvent {
    pub(crate) fn ambient() -> Self {
        Self { shared: EventWithArgs { event: Event::ambient() } }
    }

    /// What became of the ask.
    pub fn outcome(&self) -> AnswerOutcome {
        host::answer_outcome()
    }

    /// What the plugin gave the ask along, to know it again.
    pub fn tag(&self) -> String {
        host::answer_tag()
    }
}
