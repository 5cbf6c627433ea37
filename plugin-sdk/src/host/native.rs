//! The host's functions as the test kit plays them.

use crate::{
    args::Args,
    event::{AnswerOutcome, Origin},
    log::Level,
    target::{Target, To},
    testing::call::{AnswerState, Emit, EventState, Kind, OrderAct, Step, with},
};

pub(crate) fn origin() -> Origin {
    with(|call| call.event.origin)
}

pub(crate) fn namespace() -> String {
    with(|call| call.socket.namespace.clone())
}

pub(crate) fn name() -> String {
    with(|call| call.changed.name.clone())
}

pub(crate) fn args() -> String {
    with(|call| call.changed.args.json().to_owned())
}

pub(crate) fn attachments() -> Vec<Vec<u8>> {
    with(|call| call.changed.args.attachments().to_vec())
}

pub(crate) fn attachment_count() -> u32 {
    with(|call| call.changed.args.attachments().len() as u32)
}

pub(crate) fn attachment(index: u32) -> Option<Vec<u8>> {
    with(|call| call.changed.args.attachments().get(index as usize).cloned())
}

pub(crate) fn targets() -> Vec<Target> {
    with(|call| call.changed.to.as_ref().map(|to| to.targets.clone()).unwrap_or_default())
}

pub(crate) fn room() -> Option<String> {
    with(|call| call.changed.single_room().cloned())
}

pub(crate) fn reason() -> Option<String> {
    with(|call| call.event.reason.clone())
}

pub(crate) fn socket() -> Option<String> {
    with(|call| Some(call.socket.id.clone()).filter(|id| !id.is_empty()))
}

pub(crate) fn user() -> Option<String> {
    with(|call| call.socket.user.clone())
}

pub(crate) fn roles() -> Vec<String> {
    with(|call| call.socket.roles.clone())
}

pub(crate) fn address() -> Option<String> {
    with(|call| call.socket.address.clone())
}

pub(crate) fn wants_ack() -> bool {
    with(|call| call.wants_ack)
}

pub(crate) fn received_ms() -> u64 {
    with(|call| call.received_ms)
}

pub(crate) fn rooms_mine() -> Vec<String> {
    with(|call| call.socket.rooms.clone())
}

pub(crate) fn rooms_contains(room: &str) -> bool {
    with(|call| call.socket.rooms.iter().any(|r| r == room))
}

pub(crate) fn rooms_size(room: &str) -> u32 {
    rooms_members(room, u32::MAX).len() as u32
}

pub(crate) fn rooms_members(room: &str, limit: u32) -> Vec<String> {
    with(|call| {
        let me = (&call.socket.id, &call.socket.rooms);
        let all = call.others.iter().map(|(id, rooms)| (id, rooms)).chain([me]);
        let members = all.filter(|(_, rooms)| rooms.iter().any(|r| r == room)).map(|(id, _)| id.clone());
        members.take(limit as usize).collect()
    })
}

pub(crate) fn set_name(name: &str) {
    with(|call| {
        call.check_name("an event name", Some(name));
        call.message_only("changed the name").name = name.into();
    });
}

pub(crate) fn set_args(args: Args) {
    with(|call| {
        call.check_args(Some(&args));
        call.message_only("changed the arguments").args = args;
    });
}

pub(crate) fn retarget(to: To) {
    with(|call| call.message_only("changed the targets").to = Some(to));
}

/// The test kit's sockets take everything at once, so volatile ones arrive, too.
pub(crate) fn emit(to: To, name: &str, args: Args, _volatile: bool) {
    with(|call| {
        let emit = Emit { to, name: name.into(), args: args.clone(), retain: 0 };
        call.step(Some(name), Some(&args), Step::Emit(emit));
    });
}

pub(crate) fn emit_retained(to: To, name: &str, args: Args, last: u32) {
    with(|call| {
        let emit = Emit { to, name: name.into(), args: args.clone(), retain: last };
        call.step(Some(name), Some(&args), Step::Emit(emit));
    });
}

pub(crate) fn retain(last: u32) {
    with(|call| call.message_only("retained the event").history = last);
}

pub(crate) fn raise(name: &str, args: Args, to: To) {
    with(|call| {
        let to = (!to.targets.is_empty()).then_some(to);
        let raised = EventState::message(Origin::Plugin, name, args.clone(), to);
        call.check_name("an event name", Some(name));
        call.check_args(Some(&args));
        call.raise(raised);
    });
}

pub(crate) fn join(room: &str) {
    with(|call| {
        call.check_name("a room", Some(room));
        call.raise(EventState::join(Origin::Plugin, room));
    });
}

pub(crate) fn join_with_replay(room: &str, replay: u32) {
    with(|call| {
        call.check_name("a room", Some(room));
        call.raise(EventState { history: replay, ..EventState::join(Origin::Plugin, room) });
    });
}

pub(crate) fn leave(room: &str, reason: &str) {
    with(|call| {
        call.check_name("a room", Some(room));
        call.raise(EventState::leave(Origin::Plugin, room, reason));
    });
}

pub(crate) fn disconnect(reason: &str) {
    with(|call| call.raise(EventState::disconnect(Origin::Plugin, reason)));
}

pub(crate) fn ack(args: Args) {
    with(|call| call.step(None, Some(&args.clone()), Step::Ack(args)));
}

pub(crate) fn ask(socket: &str, name: &str, args: Args, _timeout_ms: u32, tag: &str) {
    let step = Step::Ask { socket: socket.into(), name: name.into(), args: args.clone(), tag: tag.into() };
    with(|call| call.step(Some(name), Some(&args), step));
}

fn answer<T>(what: impl FnOnce(&AnswerState) -> T) -> T {
    with(|call| what(call.event.answer.as_ref().expect("only an answer's event type asks, in on_answer")))
}

pub(crate) fn answer_outcome() -> AnswerOutcome {
    answer(|answer| answer.outcome)
}

pub(crate) fn answer_tag() -> String {
    answer(|answer| answer.tag.clone())
}

pub(crate) fn auth() -> Option<String> {
    with(|call| match (call.event.kind, &call.socket.auth) {
        (Kind::Connect, Some(auth)) => Some(auth.to_string()),
        _ => None,
    })
}

pub(crate) fn header(name: &str) -> Option<String> {
    with(|call| call.socket.headers.get(name).cloned())
}

pub(crate) fn query(name: &str) -> Option<String> {
    with(|call| call.socket.query.get(name).cloned())
}

pub(crate) fn set_user(user: &str, roles: Vec<String>) -> bool {
    with(|call| {
        call.check_name("a user", Some(user));
        let set = call.socket.user.is_some() || call.steps.iter().any(|s| matches!(s, Step::Identify { .. }));
        if !set {
            call.steps.push(Step::Identify { user: user.into(), roles });
        }
        !set
    })
}

fn order(of: Target, act: OrderAct) {
    with(|call| call.steps.push(Step::Order { of, act }));
}

pub(crate) fn order_join(of: Target, room: &str) {
    order(of, OrderAct::Join { room: room.into() });
}

pub(crate) fn order_leave(of: Target, room: &str, reason: &str) {
    order(of, OrderAct::Leave { room: room.into(), reason: reason.into() });
}

pub(crate) fn order_disconnect(of: Target, reason: &str) {
    order(of, OrderAct::Disconnect { reason: reason.into() });
}

pub(crate) fn log_enabled(_level: Level) -> bool {
    true
}

pub(crate) fn log_write(level: Level, message: &str) {
    with(|call| call.log.borrow_mut().push((level, message.into())));
}
