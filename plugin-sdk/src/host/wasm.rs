//! The imports of a component, in the SDK's own types.

use crate::{
    args::Args,
    bindings::imports::hubbub::plugin::{
        actions, answer, credentials, event, identity, log as logging, orders, rooms, store, types,
    },
    event::{AnswerOutcome, Origin},
    log::Level,
    target::{Target, To},
};

pub(crate) use actions::{
    disconnect, join, join_with_replay, leave, reject, reject_and_keep, retain, set_name, swallow,
};
pub(crate) use answer::tag as answer_tag;
pub(crate) use credentials::{auth, header, query};
pub(crate) use event::{
    address, args, attachment, attachment_count, name, namespace, reason, received_ms, roles, room, socket, user,
    wants_ack,
};
pub(crate) use rooms::{contains as rooms_contains, members as rooms_members, mine as rooms_mine, size as rooms_size};

pub(crate) use store::{
    add as store_add, compare_and_set as store_compare_and_set, count as store_count, delete as store_delete,
    epoch as store_epoch, get as store_get, increment as store_increment, items as store_items,
    members as store_members, meter as store_meter, once as store_once, push as store_push, remove as store_remove,
    remove_below as store_remove_below, set as store_set,
};

fn to_host(target: Target) -> types::Target {
    match target {
        Target::Sender => types::Target::Sender,
        Target::EventRoom => types::Target::EventRoom,
        Target::Room(room) => types::Target::Room(room),
        Target::Socket(id) => types::Target::Socket(id),
        Target::User(user) => types::Target::User(user),
        Target::Everyone => types::Target::Everyone,
    }
}

fn from_host(target: types::Target) -> Target {
    match target {
        types::Target::Sender => Target::Sender,
        types::Target::EventRoom => Target::EventRoom,
        types::Target::Room(room) => Target::Room(room),
        types::Target::Socket(id) => Target::Socket(id),
        types::Target::User(user) => Target::User(user),
        types::Target::Everyone => Target::Everyone,
    }
}

fn all_to_host(targets: Vec<Target>) -> Vec<types::Target> {
    targets.into_iter().map(to_host).collect()
}

pub(crate) fn origin() -> Origin {
    match event::origin() {
        types::EventOrigin::Client => Origin::Client,
        types::EventOrigin::Plugin => Origin::Plugin,
        types::EventOrigin::Server => Origin::Server,
        types::EventOrigin::NodeDeath => Origin::NodeDeath,
    }
}

pub(crate) fn attachments() -> Vec<Vec<u8>> {
    (0..event::attachment_count()).map_while(event::attachment).collect()
}

pub(crate) fn targets() -> Vec<Target> {
    event::targets().into_iter().map(from_host).collect()
}

pub(crate) fn set_args(args: Args) {
    actions::set_args(args.json(), args.attachments());
}

pub(crate) fn retarget(to: To) {
    actions::retarget(&all_to_host(to.targets), &to.except);
}

pub(crate) fn emit(to: To, name: &str, args: Args, volatile: bool) {
    actions::emit(&all_to_host(to.targets), &to.except, name, args.json(), args.attachments(), volatile);
}

pub(crate) fn emit_retained(to: To, name: &str, args: Args, last: u32) {
    actions::emit_retained(&all_to_host(to.targets), &to.except, name, args.json(), args.attachments(), last);
}

pub(crate) fn raise(name: &str, args: Args, to: To) {
    actions::raise(name, args.json(), args.attachments(), &all_to_host(to.targets), &to.except);
}

pub(crate) fn ack(args: Args) {
    actions::ack(args.json(), args.attachments());
}

pub(crate) fn ask(socket: &str, name: &str, args: Args, timeout_ms: u32, tag: &str) {
    actions::ask(socket, name, args.json(), args.attachments(), timeout_ms, tag);
}

pub(crate) fn answer_outcome() -> AnswerOutcome {
    match answer::outcome() {
        answer::AskOutcome::Answered => AnswerOutcome::Answered,
        answer::AskOutcome::TimedOut => AnswerOutcome::TimedOut,
        answer::AskOutcome::Gone => AnswerOutcome::Gone,
    }
}

pub(crate) fn set_user(user: &str, roles: Vec<String>) -> bool {
    identity::set_user(user, &roles)
}

pub(crate) fn order_join(of: Target, room: &str) {
    orders::join(&to_host(of), room);
}

pub(crate) fn order_leave(of: Target, room: &str, reason: &str) {
    orders::leave(&to_host(of), room, reason);
}

pub(crate) fn order_disconnect(of: Target, reason: &str) {
    orders::disconnect(&to_host(of), reason);
}

fn level(level: Level) -> logging::Level {
    match level {
        Level::Trace => logging::Level::Trace,
        Level::Debug => logging::Level::Debug,
        Level::Info => logging::Level::Info,
        Level::Warn => logging::Level::Warn,
        Level::Error => logging::Level::Error,
    }
}

pub(crate) fn log_enabled(of: Level) -> bool {
    logging::enabled(level(of))
}

pub(crate) fn log_write(of: Level, message: &str) {
    logging::write(level(of), message);
}
