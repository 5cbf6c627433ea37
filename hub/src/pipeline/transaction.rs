//! One root event and all that it leads to: performed whole or not at all.

use std::{
    future::Future,
    pin::Pin,
    time::{Duration, Instant},
};

use super::{
    call::{Acts, Call, Context, Event, Step, Verdict},
    chain::{Chain, Failure, FailureCause, Link, Policy},
    refusal::{Code, Refusal},
};
use crate::{
    bus::{Ask, Effect, Emit},
    event::{Identity, Kind, Origin, Payload, Target, Text},
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
    limits: Limits,
    deadline: Instant,
    /// Shared by all hooks; moves into each call and back.
    context: Option<Context>,
    effects: Vec<Effect>,
    /// The first answer to the client's ack.
    ack: Option<Payload>,
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
}

impl Undone {
    fn by_hub(code: Code, message: impl Into<Text>) -> Self {
        Self { refusal: Refusal::new(code, message), notices: Vec::new() }
    }
}

/// What a root event led to.
pub struct Performed {
    /// In the order in which hooks asked for them. After a refusal: the notices of the rejecting call.
    pub effects: Vec<Effect>,
    /// The plugin's answer to the client's ack, if one gave it.
    pub ack: Option<Payload>,
    /// Set when the event did not go through.
    pub refusal: Option<Refusal>,
    /// The handled membership and identity to take over once the effects are on the log.
    pub joined: Option<Vec<Text>>,
    pub identity: Option<Identity>,
    /// What is to be written to the store; nothing after a refusal.
    pub changes: Changes,
}

impl Performed {
    /// Nothing but a refusal.
    pub fn refused(refusal: Refusal) -> Self {
        Self {
            effects: Vec::new(),
            ack: None,
            refusal: Some(refusal),
            joined: None,
            identity: None,
            changes: Changes::default(),
        }
    }
}

type Walk<'b> = Pin<Box<dyn Future<Output = Result<(), Undone>> + Send + 'b>>;

impl<'a> Transaction<'a> {
    pub fn new(chain: &'a Chain, limits: Limits, context: Context) -> Self {
        Self {
            chain,
            limits,
            deadline: Instant::now() + limits.chain_timeout,
            context: Some(context),
            effects: Vec::new(),
            ack: None,
            untargeted: false,
            handled: false,
            disconnecting: false,
            steps: 0,
        }
    }

    /// Runs a root event. A disconnect brings the leaves of all rooms with it.
    pub async fn run(mut self, root: Event) -> Performed {
        let roots = if root.kind == Kind::Disconnect {
            self.disconnecting = true;
            leaves_and(root, self.context())
        } else {
            vec![root]
        };
        for root in roots {
            if let Err(undone) = self.walk(root, 0).await {
                let Undone { refusal, notices } = undone;
                return Performed { effects: notices, ..Performed::refused(refusal) };
            }
        }
        let unhandled = self.untargeted
            && !self.handled
            && self.effects.is_empty()
            && self.ack.is_none()
            && self.context().draft.changes.is_empty();
        let refusal = unhandled.then(|| Refusal::new(Code::Unhandled, "no plugin handles this event"));
        let Context { joined, identity, draft, .. } = self.take_context();
        Performed { effects: self.effects, ack: self.ack, refusal, joined, identity, changes: draft.changes }
    }

    fn take_context(&mut self) -> Context {
        self.context.take().expect("the context is back after every call")
    }

    fn context(&mut self) -> &mut Context {
        self.context.as_mut().expect("the context is back after every call")
    }

    /// Sends an event down the chain from the plugin at `from` on.
    async fn walk(&mut self, mut event: Event, from: usize) -> Result<(), Undone> {
        let chain = self.chain;
        let start = self.effects.len();
        self.begin(&event)?;
        for (at, link) in chain.links.iter().enumerate().skip(from) {
            if !link.wants(&event) {
                continue;
            }
            let (back, acts) = self.ask(link, event).await?;
            event = back;
            let Some(acts) = acts else { continue };
            match acts.verdict {
                // a fact: the verdict is discarded, and what came with it
                Verdict::Reject(_) | Verdict::Swallow if event.kind.is_fact() => {}
                Verdict::Reject(rejection) => {
                    let mut notices = acts.steps.into_iter().filter_map(Step::into_emit).collect::<Vec<_>>();
                    resolve_rooms(&mut notices, &event);
                    return Err(Undone { refusal: rejection.into(), notices });
                }
                Verdict::Pass => {
                    self.context().draft.changes.append(acts.changes);
                    self.take_steps(link, at, &event, acts.steps).await?;
                }
                // a client is answered or refused, never left hanging
                Verdict::Swallow if event.kind == Kind::Connect => {
                    return Err(Undone::by_hub(Code::Rejected, "the connection was refused"));
                }
                Verdict::Swallow => {
                    self.context().draft.changes.append(acts.changes);
                    self.take_steps(link, at, &event, acts.steps).await?;
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

    /// One plugin's turn. `None` for the acts: it failed and its policy is to skip.
    async fn ask(&mut self, link: &Link, event: Event) -> Result<(Event, Option<Acts>), Undone> {
        let fact = event.kind.is_fact();
        if Instant::now() > self.deadline {
            let text = "the plugins took too long for this event";
            tracing::warn!(plugin = %link.plugin.name(), hook = event.kind.hook(), "chain_timeout_ms exceeded: plugin not asked");
            return if fact { Ok((event, None)) } else { Err(Undone::by_hub(Code::Timeout, text)) };
        }
        let call = Call { event, context: self.take_context(), acts: Acts::default() };
        let mut slot = Some(Box::new(call));
        let outcome = link.plugin.call(&mut slot).await;
        let mut call = *slot.expect("a plugin gives the call back");
        let outcome = outcome.and_then(|()| check_steps(link, &call));
        if outcome.is_ok() && call.acts.verdict == Verdict::Pass {
            call.apply_change();
        }
        let Call { event, context, acts } = call;
        self.context = Some(context);
        let Err(failure) = outcome else { return Ok((event, Some(acts))) };
        log_failure(&failure);
        if let FailureCause::Store(_) = failure.cause
            && !fact
        {
            return Err(Undone::by_hub(Code::StoreUnavailable, "the server cannot reach its store, try again"));
        }
        match link.policy[event.kind as usize] {
            Policy::Reject if !fact => Err(match failure.cause {
                FailureCause::Overloaded { .. } => Undone::by_hub(Code::Overloaded, "the server is busy, try again"),
                _ => Undone::by_hub(Code::PluginFailed, "a plugin failed on this event"),
            }),
            _ => Ok((event, None)),
        }
    }

    /// Takes over what a hook did, in its order; raised events run here, at their place.
    async fn take_steps(&mut self, link: &Link, at: usize, event: &Event, steps: Vec<Step>) -> Result<(), Undone> {
        for step in steps {
            self.steps += 1;
            if self.steps > self.limits.effects_max {
                let text = format!("one event may have {} effects", self.limits.effects_max);
                if event.kind.is_fact() {
                    tracing::warn!(plugin = %link.plugin.name(), hook = event.kind.hook(), "{text}: the rest is dropped");
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
                    plugin: link.plugin.name().clone(),
                    tag,
                })),
                Step::Raise(raised) => self.raise(raised, event, at).await?,
            }
        }
        Ok(())
    }

    /// A raised event of a later kind enters at the chain's head, a message of a message hook goes down the rest.
    /// [`check_steps`] has refused everything else. Nothing is raised behind a disconnect, which is the last event.
    async fn raise(&mut self, raised: Event, by: &Event, at: usize) -> Result<(), Undone> {
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
            for event in leaves_and(raised, self.context()) {
                self.walk_boxed(event, 0).await?;
            }
            return Ok(());
        }
        let from = if raised.kind == by.kind { at + 1 } else { 0 };
        self.walk_boxed(raised, from).await
    }

    /// The recursion of raised events; its depth is bounded by the number of kinds and the chain's length.
    fn walk_boxed(&mut self, event: Event, from: usize) -> Walk<'_> {
        Box::pin(self.walk(event, from))
    }

    /// Membership changes before the hooks are asked: they see it, and what they emit is delivered behind it. A join's
    /// `joined` reaches the new member too, a leave's `left` only those who stay.
    fn begin(&mut self, event: &Event) -> Result<(), Undone> {
        match (event.kind, &event.room) {
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
                self.effects.push(Effect::Join { room: room.clone(), replay: event.history });
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
    fn swallow(&mut self, event: &Event, start: usize) {
        self.handled = true;
        if let (Kind::Join, Some(room)) = (event.kind, &event.room)
            // its own hooks may have raised the leave already: who was seen to leave was there
            && self.context().is_in(room)
        {
            self.forget_room(room);
            self.effects.remove(start);
        }
    }

    /// The end of the chain.
    fn end(&mut self, event: Event) {
        match (event.kind, event.audience) {
            (Kind::Connect, _) => {
                let user = self.context().identity().map(|i| i.user.clone());
                let connect = self.effects.iter_mut().find(|e| matches!(e, Effect::Connect { .. }));
                if let Some(connect) = connect {
                    *connect = Effect::Connect { user };
                }
            }
            (Kind::Message, Some(audience)) => {
                let (name, payload) = (event.name, event.payload);
                let retain = event.history;
                self.effects.push(Effect::Emit(Emit { audience, name, payload, volatile: false, retain }));
            }
            (Kind::Message, None) => self.untargeted = true,
            (Kind::Disconnect, _) => {
                self.effects.push(Effect::Disconnect { tell: event.origin != Origin::Client });
            }
            (Kind::Answer | Kind::Join | Kind::Leave, _) => {}
        }
    }
}

/// A disconnect is the last event: before it, one leave for each room, in the order of joining.
pub fn leaves_and(disconnect: Event, context: &Context) -> Vec<Event> {
    let reason = disconnect.reason.clone().unwrap_or_else(|| "server namespace disconnect".into());
    let leaves = context.my_rooms().into_iter().map(|room| Event::leave(disconnect.origin, room, reason.clone()));
    leaves.chain([disconnect.clone()]).collect()
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

/// What a hook may raise and give: later kinds, messages down the rest, orders only where they are allowed.
fn check_steps(link: &Link, call: &Call) -> Result<(), Box<Failure>> {
    let kind = call.event.kind;
    for step in &call.acts.steps {
        let misuse = match step {
            Step::Raise(raised) if raised.kind > kind || (raised.kind == kind && kind == Kind::Message) => continue,
            Step::Raise(raised) => format!(
                "raised a {:?} in {}: only later kinds may be raised (connect < answer < message < join < leave < disconnect)",
                raised.kind,
                kind.hook()
            ),
            Step::Order(_) if call.context.runs_order => {
                "gave an order while an order was run: orders give no further orders".into()
            }
            _ => continue,
        };
        return Err(Box::new(Failure {
            plugin: link.plugin.name().clone(),
            version: link.plugin.version().to_owned(),
            hook: kind.hook(),
            cause: FailureCause::Misuse(misuse),
            details: None,
        }));
    }
    Ok(())
}

fn log_failure(failure: &Failure) {
    let details = failure.details.as_deref().unwrap_or("");
    tracing::warn!(
        plugin = %failure.plugin, version = %failure.version, hook = failure.hook, error = %failure.cause, details,
        "plugin failed"
    );
}
