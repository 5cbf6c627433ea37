//! One root event and all that it leads to: performed whole or not at all.

mod turn;

use std::{
    future::Future,
    pin::Pin,
    time::{Duration, Instant},
};

use super::{
    call::{Acts, Call, Context, Event, Step, Verdict},
    chain::{Chain, Link},
    refusal::{Code, Refusal},
};
use crate::{
    bus::{Ask, Effect, Emit},
    event::{Asker, Identity, Kind, Origin, Payload, Target, Text},
    seeing::{metrics::Events, trace::Recording},
    store::Changes,
};

/// How much one transaction may do.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// When no further hook is asked: the event is refused, a fact goes on without them.
    pub chain_timeout: Duration,
    /// Rooms that one socket may be in.
    pub rooms_per_socket_max: usize,
    /// Effects and raised events of one transaction, over all plugins.
    pub effects_max: usize,
}

/// A transaction while its chain runs.
pub struct Transaction<'a> {
    chain: &'a Chain,
    events: &'a Events,
    limits: Limits,
    deadline: Instant,
    /// The time as it was last read: when the last call ended.
    clock: Instant,
    /// For those who look on, if anybody does.
    recording: Option<Box<Recording>>,
    /// The event that is on its way and what all hooks share. One for all of them: it moves into each call and back.
    call: Option<Box<Call>>,
    effects: Vec<Effect>,
    /// The first answer to the client's ack.
    ack: Option<Payload>,
    /// Where the message that was walked last is among the effects. The root's walk ends last of all.
    message: Option<usize>,
    /// A message came to the chain's end without a target.
    untargeted: bool,
    /// Some plugin swallowed the event or raised one that was done already: it is not unhandled.
    handled: bool,
    disconnecting: bool,
    steps: usize,
}

/// Why a transaction is undone, and what is sent all the same.
struct Undone {
    refusal: Refusal,
    /// What the rejecting call itself emitted.
    notices: Vec<Effect>,
    /// What it wrote, when it wants that kept.
    changes: Box<Changes>,
}

impl Undone {
    fn by_hub(code: Code, message: impl Into<Text>) -> Self {
        Self { refusal: Refusal::new(code, message), notices: Vec::new(), changes: Box::default() }
    }
}

/// What a root event led to.
pub struct Performed {
    /// In the order in which hooks asked for them. After a refusal: the notices of the rejecting call.
    pub effects: Vec<Effect>,
    /// The plugin's answer to the client's ack, if one gave it.
    pub ack: Option<Payload>,
    /// Where a root message itself is among the effects; `None`: it goes nowhere.
    pub message: Option<usize>,
    /// Set when the event did not go through.
    pub refusal: Option<Refusal>,
    /// A plugin took the event out of its chain.
    pub is_swallowed: bool,
    /// The handled membership and identity to take over once the effects are on the log.
    pub joined: Option<Vec<Text>>,
    pub identity: Option<Identity>,
    /// What is to be written to the store; after a refusal: what the rejecting call wants kept.
    pub changes: Changes,
    pub recording: Option<Box<Recording>>,
    /// When the last call had ended.
    pub ended: Instant,
}

impl Performed {
    /// One word for it: `passed`, `swallowed`, or the code of the refusal.
    pub fn outcome(&self) -> &'static str {
        match &self.refusal {
            Some(refusal) => refusal.code.as_str(),
            None if self.is_swallowed => "swallowed",
            None => "passed",
        }
    }

    /// Nothing but a refusal.
    pub fn refused(refusal: Refusal, ended: Instant) -> Self {
        Self {
            effects: Vec::new(),
            ack: None,
            message: None,
            refusal: Some(refusal),
            is_swallowed: false,
            joined: None,
            identity: None,
            changes: Changes::default(),
            recording: None,
            ended,
        }
    }
}

/// How an event that was not undone came to its end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Passed,
    Swallowed,
}

type Walk<'b> = Pin<Box<dyn Future<Output = Result<(), Undone>> + Send + 'b>>;

impl<'a> Transaction<'a> {
    /// A transaction for a root event that begins at `clock`, which is now. `events` counts what is raised.
    pub fn new(
        chain: &'a Chain,
        limits: Limits,
        context: Context,
        root: Event,
        events: &'a Events,
        clock: Instant,
    ) -> Self {
        Self {
            chain,
            events,
            limits,
            deadline: clock + limits.chain_timeout,
            clock,
            recording: None,
            call: Some(Box::new(Call { event: root, context, acts: Acts::default() })),
            effects: Vec::new(),
            ack: None,
            message: None,
            untargeted: false,
            handled: false,
            disconnecting: false,
            steps: 0,
        }
    }

    /// Has it recorded.
    pub fn recorded(mut self, recording: Option<Box<Recording>>) -> Self {
        self.recording = recording;
        self
    }

    /// Runs it. A disconnect brings the leaves of all rooms with it.
    pub async fn run(mut self) -> Performed {
        let walked = if self.event().kind == Kind::Disconnect { self.disconnect().await } else { self.walk(0).await };
        let end = match walked {
            Ok(end) => end,
            Err(Undone { refusal, notices, changes }) => {
                let (changes, recording) = (*changes, self.recording);
                return Performed { effects: notices, changes, recording, ..Performed::refused(refusal, self.clock) };
            }
        };
        let is_swallowed = end == End::Swallowed;
        let unhandled = self.untargeted
            && !self.handled
            && self.effects.is_empty()
            && self.ack.is_none()
            && self.context().draft.changes.is_empty();
        let refusal = unhandled.then(|| Refusal::new(Code::Unhandled, "no plugin handles this event"));
        let Call { context: Context { joined, identity, draft, .. }, .. } = *self.take_call();
        let Self { effects, ack, message, recording, clock: ended, .. } = self;
        let changes = draft.changes;
        Performed { effects, ack, message, refusal, is_swallowed, joined, identity, changes, recording, ended }
    }

    /// A disconnect is the last event: before it, one leave for each room, in the order of joining.
    async fn disconnect(&mut self) -> Result<End, Undone> {
        self.disconnecting = true;
        let leaves = leaves_before(self.event(), &self.call().context);
        for leave in leaves {
            self.walk_raised(leave, 0).await?;
        }
        self.walk(0).await
    }

    fn take_call(&mut self) -> Box<Call> {
        self.call.take().expect("the call is back after every hook")
    }

    fn call(&self) -> &Call {
        self.call.as_ref().expect("the call is back after every hook")
    }

    fn call_mut(&mut self) -> &mut Call {
        self.call.as_mut().expect("the call is back after every hook")
    }

    fn event(&self) -> &Event {
        &self.call().event
    }

    fn context(&mut self) -> &mut Context {
        &mut self.call_mut().context
    }

    /// Sends the event down the chain from the plugin at `from` on.
    async fn walk(&mut self, from: usize) -> Result<End, Undone> {
        let chain = self.chain;
        let start = self.effects.len();
        let kind = self.event().kind;
        self.meet();
        self.begin()?;
        for (at, link) in chain.links.iter().enumerate().skip(from) {
            if !link.wants(self.event()) {
                continue;
            }
            let Some(acts) = self.ask(link).await? else { continue };
            match acts.verdict {
                // a fact: the verdict is discarded, and what came with it
                Verdict::Reject(_) | Verdict::Swallow if kind.is_fact() => {}
                Verdict::Reject(rejection) => {
                    let mut notices = acts.steps.into_iter().filter_map(Step::into_emit).collect::<Vec<_>>();
                    resolve_rooms(&mut notices, self.event());
                    let changes = if acts.keeps_writes { acts.changes } else { Changes::default() };
                    return Err(Undone { refusal: rejection.into(), notices, changes: Box::new(changes) });
                }
                Verdict::Pass => {
                    self.context().draft.changes.append(acts.changes);
                    self.take_steps(link, at, acts.steps).await?;
                }
                // a client is answered or refused, never left hanging
                Verdict::Swallow if kind == Kind::Connect => {
                    return Err(Undone::by_hub(Code::Rejected, "the connection was refused"));
                }
                Verdict::Swallow => {
                    self.context().draft.changes.append(acts.changes);
                    self.take_steps(link, at, acts.steps).await?;
                    self.resolve_rooms_from(start);
                    self.swallow(start);
                    return Ok(End::Swallowed);
                }
            }
        }
        self.resolve_rooms_from(start);
        self.end();
        Ok(End::Passed)
    }

    fn resolve_rooms_from(&mut self, start: usize) {
        let call = self.call.as_ref().expect("the call is back after every hook");
        resolve_rooms(&mut self.effects[start..], &call.event);
    }

    /// Takes over what a hook did, in its order; raised events run here, at their place.
    async fn take_steps(&mut self, link: &Link, at: usize, steps: Vec<Step>) -> Result<(), Undone> {
        let kind = self.event().kind;
        for step in steps {
            self.steps += 1;
            if self.steps > self.limits.effects_max {
                let text = format!("one event may have {} effects", self.limits.effects_max);
                if kind.is_fact() {
                    tracing::warn!(plugin = %link.plugin.name(), hook = kind.hook(), "{text}: the rest is dropped");
                    return Ok(());
                }
                return Err(Undone::by_hub(Code::LimitExceeded, text));
            }
            match step {
                Step::Emit(emit) => self.effects.push(Effect::Emit(emit)),
                Step::Ack(payload) => {
                    self.ack.get_or_insert(payload);
                }
                Step::Identify(identity) => {
                    let context = self.context();
                    if context.identity().is_none() {
                        context.identity = Some(identity);
                    }
                }
                Step::Order(order) => self.effects.push(Effect::Order(order)),
                Step::Ask { socket, name, payload, timeout, tag } => self.effects.push(Effect::Ask(Ask {
                    socket,
                    name,
                    payload,
                    timeout,
                    by: Asker::Plugin { name: link.plugin.name().clone(), tag },
                })),
                Step::Raise(raised) => self.raise(raised, at).await?,
            }
        }
        Ok(())
    }

    /// A raised event of a later kind enters at the chain's head, a message of a message hook goes down the rest.
    /// [`check_steps`] has refused everything else. Nothing is raised behind a disconnect, which is the last event.
    async fn raise(&mut self, raised: Event, at: usize) -> Result<(), Undone> {
        let moot = match (raised.kind, &raised.room) {
            _ if self.disconnecting => true,
            (Kind::Join, Some(room)) => self.context().is_in(room),
            (Kind::Leave, Some(room)) => !self.context().is_in(room),
            _ => false,
        };
        if moot {
            self.handled = true;
            return Ok(());
        }
        if raised.kind == Kind::Disconnect {
            self.disconnecting = true;
            for leave in leaves_before(&raised, &self.call().context) {
                self.walk_raised(leave, 0).await?;
            }
        }
        let from = if raised.kind == self.event().kind { at + 1 } else { 0 };
        self.walk_raised(raised, from).await
    }

    /// Runs a raised event in place of the one that is on its way, which goes on behind it. The depth of this recursion
    /// is bounded by the number of kinds and the chain's length.
    fn walk_raised(&mut self, raised: Event, from: usize) -> Walk<'_> {
        Box::pin(async move {
            self.events.raised(raised.kind);
            let outer = std::mem::replace(&mut self.call_mut().event, raised);
            self.recording.iter_mut().for_each(|recording| recording.enter());
            self.walk(from).await?;
            self.recording.iter_mut().for_each(|recording| recording.leave());
            self.call_mut().event = outer;
            Ok(())
        })
    }

    /// Membership changes before the hooks are asked: they see it, and what they emit is delivered behind it. A join's
    /// `joined` reaches the new member too, a leave's `left` only those who stay.
    fn begin(&mut self) -> Result<(), Undone> {
        let event = self.event();
        let (kind, room, history) = (event.kind, event.room.clone(), event.history);
        match (kind, &room) {
            (Kind::Connect, _) => {
                // filled in at the end, when it is known who the socket is
                self.effects.push(Effect::Connect { user: None });
            }
            (Kind::Join, Some(room)) => {
                let max = self.limits.rooms_per_socket_max;
                let mut rooms = self.context().my_rooms();
                if rooms.len() >= max {
                    return Err(Undone::by_hub(Code::LimitExceeded, format!("a socket may be in {max} rooms")));
                }
                rooms.push(room.clone());
                self.context().joined = Some(rooms);
                self.effects.push(Effect::Join { room: room.clone(), replay: history });
            }
            (Kind::Leave, Some(room)) => {
                self.forget_room(room);
                self.effects.push(Effect::Leave(room.clone()));
            }
            _ => {}
        }
        Ok(())
    }

    fn forget_room(&mut self, room: &Text) {
        let mut rooms = self.context().my_rooms();
        rooms.retain(|r| r != room);
        self.context().joined = Some(rooms);
    }

    /// The event is removed, silently, with what [`Transaction::begin`] did for it.
    fn swallow(&mut self, start: usize) {
        self.handled = true;
        self.message = None;
        if let (Kind::Join, Some(room)) = (self.event().kind, self.event().room.clone())
            // its own hooks may have raised the leave already: who was seen to leave was there
            && self.context().is_in(&room)
        {
            self.forget_room(&room);
            self.effects.remove(start);
        }
    }

    /// The end of the chain.
    fn end(&mut self) {
        let event = &mut self.call_mut().event;
        match (event.kind, event.audience.take()) {
            (Kind::Connect, _) => {
                let user = self.context().identity().map(|i| i.user.clone());
                let connect = self.effects.iter_mut().find(|e| matches!(e, Effect::Connect { .. }));
                if let Some(connect) = connect {
                    *connect = Effect::Connect { user };
                }
            }
            (Kind::Message, Some(audience)) => {
                let (name, payload) = (event.name.clone(), event.payload.clone());
                let retain = event.history;
                self.message = Some(self.effects.len());
                self.effects.push(Effect::Emit(Emit { audience, name, payload, volatile: false, retain }));
            }
            (Kind::Message, None) => (self.message, self.untargeted) = (None, true),
            (Kind::Disconnect, _) => {
                let tell = event.origin != Origin::Client;
                self.effects.push(Effect::Disconnect { tell });
            }
            (Kind::Answer | Kind::Join | Kind::Leave, _) => {}
        }
    }
}

/// One leave for each room, in the order of joining.
fn leaves_before(disconnect: &Event, context: &Context) -> Vec<Event> {
    let reason = disconnect.reason.clone().unwrap_or_else(|| "server namespace disconnect".into());
    let leaves = context.my_rooms().into_iter();
    leaves.map(|room| Event::leave(disconnect.origin, room, reason.clone())).collect()
}

/// Resolves "the event's room" of emits, now that the event is at the end of its way. Delivery sees only real targets.
fn resolve_rooms(effects: &mut [Effect], event: &Event) {
    for effect in effects {
        let Effect::Emit(emit) = effect else { continue };
        if !emit.audience.to.contains(&Target::EventRoom) {
            continue;
        }
        let rooms: Vec<Target> = match (&event.room, &event.audience) {
            (Some(room), _) => vec![Target::Room(room.clone())],
            (None, Some(audience)) => audience.to.iter().filter(|t| matches!(t, Target::Room(_))).cloned().collect(),
            (None, None) => Vec::new(),
        };
        emit.audience.to.retain(|t| *t != Target::EventRoom);
        emit.audience.to.extend(rooms);
    }
}
