//! One root event and all that it leads to, in the hub's own semantics: performed whole or not at all.

use std::{cell::RefCell, rc::Rc};

use serde_json::{Value, json};

use super::{
    call::{Call, Emit, Ending, EventState, Kind, OrderAct, SocketState, Step, run},
    chain::Link,
    store::{Changes, TestStore},
};
use crate::{
    args::Args,
    event::Origin,
    log::Level,
    outcome::{Rejection, Stop, Swallow},
    target::{Target, To},
};

/// What a transaction performs.
#[derive(Clone, Debug)]
pub(crate) enum Effect {
    Connect,
    Join { room: String, replay: u32 },
    Leave(String),
    Emit(Emit),
    Order { of: Target, act: OrderAct },
    Ask { socket: String, name: String, args: Args, link: usize, tag: String },
    Disconnect,
}

/// An event that did not go through.
#[derive(Debug)]
pub(crate) enum Refusal {
    Unhandled,
    Rejected(Rejection),
    /// A plugin swallowed a connect: a client is answered or refused, never left hanging.
    Swallowed,
    /// The operator's text is with the failures.
    Failed,
}

impl Refusal {
    /// What the client finds as `error`.
    pub(crate) fn body(&self) -> Value {
        match self {
            Refusal::Unhandled => json!({ "code": "unhandled", "message": "no plugin handles this event" }),
            Refusal::Failed => json!({ "code": "plugin_failed", "message": "a plugin failed on this event" }),
            Refusal::Swallowed => json!({ "code": "rejected", "message": "the connection was refused" }),
            Refusal::Rejected(no) => {
                let mut reason = json!({ "code": no.code(), "message": no.message() });
                if let Ok(data) = serde_json::from_str::<Value>(no.data_json()) {
                    reason["data"] = data;
                }
                json!({ "code": "rejected", "message": no.message(), "reason": reason })
            }
        }
    }
}

/// What a root event led to.
pub(crate) struct Performed {
    /// After a refusal: the notices of the rejecting call.
    pub effects: Vec<Effect>,
    pub ack: Option<Args>,
    pub refusal: Option<Refusal>,
    /// The socket as the transaction left it.
    pub socket: SocketState,
    /// After a refusal: what the rejecting call wants kept.
    pub changes: Changes,
}

/// Why a transaction is undone, and what is sent all the same.
struct Undone {
    refusal: Refusal,
    notices: Vec<Effect>,
    changes: Box<Changes>,
}

impl From<Refusal> for Undone {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, notices: Vec::new(), changes: Box::default() }
    }
}

/// What the hooks of a transaction see beside their event.
pub(crate) struct Surroundings {
    pub wants_ack: bool,
    pub received_ms: u64,
    pub runs_order: bool,
    pub others: Vec<(String, Vec<String>)>,
    pub log: Rc<RefCell<Vec<(Level, String)>>>,
    pub failures: Rc<RefCell<Vec<String>>>,
    pub store: TestStore,
}

/// A transaction while its chain runs.
pub(crate) struct Transaction<'a> {
    chain: &'a [Link],
    around: Surroundings,
    socket: SocketState,
    changes: Changes,
    effects: Vec<Effect>,
    ack: Option<Args>,
    untargeted: bool,
    handled: bool,
    disconnecting: bool,
}

impl<'a> Transaction<'a> {
    pub(crate) fn new(chain: &'a [Link], around: Surroundings, socket: SocketState) -> Self {
        let (effects, changes) = (Vec::new(), Changes::default());
        Self {
            chain,
            around,
            socket,
            changes,
            effects,
            ack: None,
            untargeted: false,
            handled: false,
            disconnecting: false,
        }
    }

    /// Runs a root event. A disconnect brings the leaves of all rooms with it.
    pub(crate) fn run(mut self, root: EventState) -> Performed {
        let before = self.socket.clone();
        let walked = match root.kind {
            Kind::Disconnect => self.disconnect(root),
            _ => self.walk(root, 0),
        };
        if let Err(Undone { refusal, notices, changes }) = walked {
            return Performed {
                effects: notices,
                ack: None,
                refusal: Some(refusal),
                socket: before,
                changes: *changes,
            };
        }
        let unhandled = self.untargeted
            && !self.handled
            && self.effects.is_empty()
            && self.ack.is_none()
            && self.changes.is_empty();
        let refusal = unhandled.then_some(Refusal::Unhandled);
        Performed { effects: self.effects, ack: self.ack, refusal, socket: self.socket, changes: self.changes }
    }

    /// The last event of a socket: one leave for each room, in the order of joining, then the disconnect.
    fn disconnect(&mut self, event: EventState) -> Result<(), Undone> {
        self.disconnecting = true;
        let reason = event.reason.clone().unwrap_or_default();
        for room in self.socket.rooms.clone() {
            self.walk(EventState::leave(event.origin, &room, &reason), 0)?;
        }
        self.walk(event, 0)
    }

    /// Sends an event down the chain from the plugin at `from` on.
    fn walk(&mut self, mut event: EventState, from: usize) -> Result<(), Undone> {
        let chain = self.chain;
        let start = self.effects.len();
        self.begin(&event);
        for (at, link) in chain.iter().enumerate().skip(from) {
            if !link.wants(at, &self.socket.namespace, &event) {
                continue;
            }
            let fact = event.kind.is_fact();
            let call = match self.ask(link, at, &event) {
                Ok(call) => call,
                // a fact goes on without the plugin that failed on it
                Err(text) => {
                    self.around.failures.borrow_mut().push(text);
                    if fact {
                        continue;
                    }
                    return Err(Refusal::Failed.into());
                }
            };
            match call.ending {
                Ending::Swallow | Ending::Reject(_) if fact => {}
                Ending::Reject(no) => {
                    let emits = call.steps.into_iter().filter_map(|step| match step {
                        Step::Emit(emit) => Some(Effect::Emit(emit)),
                        _ => None,
                    });
                    let mut notices: Vec<Effect> = emits.collect();
                    resolve_rooms(&mut notices, &event);
                    // this call's writes are the last ones
                    let changes = match no.keeps_writes() {
                        true => call.changes.since(&self.changes),
                        false => Changes::default(),
                    };
                    return Err(Undone { refusal: Refusal::Rejected(no), notices, changes: Box::new(changes) });
                }
                Ending::Pass => {
                    event = call.changed;
                    self.changes = call.changes;
                    self.take_steps(at, &event, call.steps)?;
                }
                Ending::Swallow if event.kind == Kind::Connect => return Err(Refusal::Swallowed.into()),
                Ending::Swallow => {
                    self.changes = call.changes;
                    self.take_steps(at, &event, call.steps)?;
                    resolve_rooms(&mut self.effects[start..], &event);
                    self.swallow(&event, start);
                    return Ok(());
                }
            }
        }
        resolve_rooms(&mut self.effects[start..], &event);
        self.end(event);
        Ok(())
    }

    /// One plugin's turn. The error is the operator's text: the plugin failed.
    fn ask(&mut self, link: &Link, at: usize, event: &EventState) -> Result<Call, String> {
        let call = Call {
            event: event.clone(),
            socket: self.socket.clone(),
            wants_ack: self.around.wants_ack,
            received_ms: self.around.received_ms,
            others: self.around.others.clone(),
            log: self.around.log.clone(),
            changed: event.clone(),
            steps: Vec::new(),
            ending: Ending::Pass,
            link: at,
            store: self.around.store.clone(),
            changes: self.changes.clone(),
            misuse: None,
        };
        let (mut call, outcome) = run(call, || link.call(event.kind));
        let fault = match outcome {
            Ok(verdict) => {
                if verdict == Swallow {
                    call.ending = Ending::Swallow;
                }
                call.misuse.take().or_else(|| self.forbidden(&call))
            }
            Err(Stop::Rejected(no)) => {
                call.ending = Ending::Reject(no);
                call.misuse.take().or_else(|| self.forbidden(&call))
            }
            Err(Stop::Failed(failure)) => Some(failure.to_string()),
        };
        match fault {
            Some(fault) => Err(format!("plugin `{}`, {}: {fault}", link.name(), event.kind.hook())),
            None => Ok(call),
        }
    }

    /// Raised events of an earlier or equal kind, and orders within orders.
    fn forbidden(&self, call: &Call) -> Option<String> {
        let kind = call.event.kind;
        call.steps.iter().find_map(|step| match step {
            Step::Raise(raised) if raised.kind > kind || (raised.kind == kind && kind == Kind::Message) => None,
            Step::Raise(raised) => Some(format!(
                "raised a {:?} in {}: only later kinds may be raised (connect < answer < message < join < leave < \
                 disconnect)",
                raised.kind,
                kind.hook()
            )),
            Step::Order { .. } if self.around.runs_order => {
                Some("gave an order while an order was run: orders give no further orders".into())
            }
            _ => None,
        })
    }

    /// Takes over what a hook did, in its order; raised events run here, at their place.
    fn take_steps(&mut self, at: usize, event: &EventState, steps: Vec<Step>) -> Result<(), Undone> {
        for step in steps {
            match step {
                Step::Emit(emit) => self.effects.push(Effect::Emit(emit)),
                Step::Ack(args) => {
                    self.ack.get_or_insert(args);
                }
                Step::Identify { user, roles } => {
                    self.socket.user = Some(user);
                    self.socket.roles = roles;
                }
                Step::Order { of, act } => self.effects.push(Effect::Order { of, act }),
                Step::Ask { socket, name, args, tag } => {
                    self.effects.push(Effect::Ask { socket, name, args, link: at, tag });
                }
                Step::Raise(raised) => self.raise(raised, event.kind, at)?,
            }
        }
        Ok(())
    }

    fn raise(&mut self, raised: EventState, by: Kind, at: usize) -> Result<(), Undone> {
        let is_in = raised.room.as_ref().is_some_and(|room| self.socket.rooms.contains(room));
        let moot = self.disconnecting || (raised.kind == Kind::Join && is_in) || (raised.kind == Kind::Leave && !is_in);
        if moot {
            self.handled = true;
            return Ok(());
        }
        match raised.kind {
            Kind::Disconnect => self.disconnect(raised),
            kind if kind == by => self.walk(raised, at + 1),
            _ => self.walk(raised, 0),
        }
    }

    /// Membership changes before the hooks are asked: they see it, and what they emit is delivered behind it. A join's
    /// notices reach the new member, too, a leave's only those who stay.
    fn begin(&mut self, event: &EventState) {
        match (event.kind, &event.room) {
            (Kind::Connect, _) => self.effects.push(Effect::Connect),
            (Kind::Join, Some(room)) => {
                self.socket.rooms.push(room.clone());
                self.effects.push(Effect::Join { room: room.clone(), replay: event.history });
            }
            (Kind::Leave, Some(room)) => {
                self.socket.rooms.retain(|r| r != room);
                self.effects.push(Effect::Leave(room.clone()));
            }
            _ => {}
        }
    }

    /// The event is removed, silently, with what [`Transaction::begin`] did for it.
    fn swallow(&mut self, event: &EventState, start: usize) {
        self.handled = true;
        if let (Kind::Join, Some(room)) = (event.kind, &event.room)
            // its own hooks may have raised the leave already: who was seen to leave was there
            && self.socket.rooms.contains(room)
        {
            self.socket.rooms.retain(|r| r != room);
            self.effects.remove(start);
        }
    }

    /// The end of the chain.
    fn end(&mut self, event: EventState) {
        match (event.kind, event.to) {
            (Kind::Message, Some(to)) => {
                self.effects.push(Effect::Emit(Emit { to, name: event.name, args: event.args, retain: event.history }));
            }
            (Kind::Message, None) => self.untargeted = true,
            (Kind::Disconnect, _) => self.effects.push(Effect::Disconnect),
            (Kind::Connect | Kind::Answer | Kind::Join | Kind::Leave, _) => {}
        }
    }
}

/// Resolves "the event's room" of emits, now that the event is at the end of its way.
fn resolve_rooms(effects: &mut [Effect], event: &EventState) {
    let rooms: Vec<Target> = match (&event.room, &event.to) {
        (Some(room), _) => vec![Target::Room(room.clone())],
        (None, Some(To { targets, .. })) => targets.iter().filter(|t| matches!(t, Target::Room(_))).cloned().collect(),
        (None, None) => Vec::new(),
    };
    for effect in effects {
        let Effect::Emit(emit) = effect else { continue };
        if emit.to.targets.contains(&Target::EventRoom) {
            emit.to.targets.retain(|t| *t != Target::EventRoom);
            emit.to.targets.extend(rooms.iter().cloned());
        }
    }
}

/// A root event of an order.
pub(crate) fn ordered(act: OrderAct) -> EventState {
    match act {
        OrderAct::Join { room } => EventState::join(Origin::Plugin, &room),
        OrderAct::Leave { room, reason } => EventState::leave(Origin::Plugin, &room, &reason),
        OrderAct::Disconnect { reason } => EventState::disconnect(Origin::Plugin, &reason),
    }
}
