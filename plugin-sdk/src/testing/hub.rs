//! The hub of the test kit: who is where, and the delivery of what transactions perform.

use std::{cell::RefCell, collections::HashMap, rc::Rc, time::Duration};

use serde_json::{Value, json};

use super::{
    call::{AnswerState, Emit, EventState, Kind, SocketState},
    chain::{Exported, Link},
    socket::{Ack, Delivery, Handshake, PendingAsk, TestSocket, values},
    store::TestStore,
    transaction::{Effect, Refusal, Surroundings, Transaction, ordered},
};
use crate::{
    args::{Args, IntoArgs},
    event::AnswerOutcome,
    log::Level,
    plugin::read_config,
    target::{Target, To},
};

/// When a test's first event is received; each later one a millisecond after the one before.
const EPOCH_MS: u64 = 1_700_000_000_000;

/// Runs one or several plugins natively, with the hub's semantics; the first one added is the first of the chain.
///
/// ```
/// use hubbub_plugin::{prelude::*, testing::TestHub};
///
/// #[derive(Deserialize)]
/// struct Shout {}
/// impl Plugin for Shout {}
/// impl OnMessage for Shout {
///     fn on_message(&self, event: &MessageEvent) -> Outcome {
///         let text: String = event.arg(0)?;
///         event.set_args(text.to_uppercase())?;
///         event.retarget(To::everyone().except_sender());
///         Ok(Pass)
///     }
/// }
/// hubbub_plugin::export!(Shout: OnMessage);
///
/// let hub = TestHub::new().plugin::<Shout>(json!({}));
/// let (ann, bob) = (hub.connect(), hub.connect());
/// assert_eq!(ann.send("say", "hello"), json!({ "ok": true }));
/// assert_eq!(bob.inbox(), [("say", json!("HELLO"))]);
/// assert!(ann.inbox().is_empty());
/// assert_eq!(ann.send("say", 7).rejection_code(), Some("bad_request"));
/// ```
#[derive(Default)]
pub struct TestHub {
    state: Rc<RefCell<State>>,
}

impl TestHub {
    /// A hub without plugins: it relays nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a plugin at the chain's end.
    ///
    /// # Panics
    /// When the plugin refuses the config, with its text.
    #[track_caller]
    pub fn plugin<P: Exported>(self, config: Value) -> Self {
        match read_config::<P>(&config.to_string()) {
            Ok(plugin) => self.state.borrow_mut().chain.push(Link::new(plugin)),
            Err(text) => panic!("plugin `{}` does not start: {text}", P::MANIFEST.name),
        }
        self
    }

    /// Connects an anonymous client to `/`.
    ///
    /// # Panics
    /// When a plugin refuses it.
    #[track_caller]
    pub fn connect(&self) -> TestSocket {
        self.connect_with(Handshake::new())
    }

    /// Connects a client of a user to `/`, as an identity plugin would say.
    ///
    /// # Panics
    /// When a plugin refuses it.
    #[track_caller]
    pub fn connect_as(&self, user: &str) -> TestSocket {
        self.connect_with(Handshake::new().user(user, &[]))
    }

    /// Connects a client.
    ///
    /// # Panics
    /// When a plugin refuses it.
    #[track_caller]
    pub fn connect_with(&self, handshake: Handshake) -> TestSocket {
        match self.try_connect(handshake) {
            Ok(socket) => socket,
            Err(error) => panic!("the connect was refused: {error}"),
        }
    }

    /// Connects a client that may be refused. The error is `connect_error`: `{"message","data":{"code","reason"?}}`.
    pub fn try_connect(&self, handshake: Handshake) -> Result<TestSocket, Value> {
        let id = self.state.borrow_mut().connect(handshake.socket)?;
        Ok(TestSocket { hub: self.state.clone(), id })
    }

    /// Lets all asks that are not yet answered run out of time.
    pub fn time_out_asks(&self) {
        let pending: Vec<u64> = self.state.borrow().asks.iter().map(|ask| ask.id).collect();
        for id in pending {
            self.state.borrow_mut().end_ask(id, Args::none(), AnswerOutcome::TimedOut);
        }
    }

    /// Puts the clock forward: what ends by its time to live or its window ends.
    pub fn advance(&self, time: Duration) {
        self.state.borrow_mut().passed_ms += time.as_millis() as u64;
    }

    /// Begins another life of the store, as a restarted node does: nothing is lost, but the plugin cannot know that.
    pub fn next_epoch(&self) {
        self.state.borrow().store.next_epoch();
    }

    /// How many sockets are in a room of the namespace `/`.
    pub fn room_size(&self, room: &str) -> usize {
        let state = self.state.borrow();
        state.sockets.iter().filter(|s| s.namespace == "/" && s.rooms.iter().any(|r| r == room)).count()
    }

    /// What plugins wrote to their logs since the last look.
    pub fn log(&self) -> Vec<(Level, String)> {
        self.state.borrow().log.take()
    }

    /// Why plugins failed since the last look, as the operator would read it.
    pub fn failures(&self) -> Vec<String> {
        self.state.borrow().failures.take()
    }
}

/// All that the hub knows.
#[derive(Default)]
pub(crate) struct State {
    chain: Vec<Link>,
    sockets: Vec<SocketState>,
    inboxes: Vec<(String, Vec<Delivery>)>,
    asks: Vec<PendingAsk>,
    log: Rc<RefCell<Vec<(Level, String)>>>,
    failures: Rc<RefCell<Vec<String>>>,
    connects: u64,
    /// By namespace and room.
    retained: HashMap<(String, String), Vec<Delivery>>,
    store: TestStore,
    /// How far the test has put the clock forward.
    passed_ms: u64,
    events: u64,
    ask_count: u64,
}

impl State {
    pub(crate) fn socket(&self, id: &str) -> Option<&SocketState> {
        self.sockets.iter().find(|s| s.id == id)
    }

    pub(crate) fn take_inbox(&mut self, id: &str) -> Vec<Delivery> {
        let inbox = self.inboxes.iter_mut().find(|(owner, _)| owner == id);
        inbox.map(|(_, inbox)| std::mem::take(inbox)).unwrap_or_default()
    }

    fn connect(&mut self, mut socket: SocketState) -> Result<String, Value> {
        self.connects += 1;
        socket.id = format!("socket-{:013}", self.connects);
        let id = socket.id.clone();
        match self.transact(socket, EventState::connect(), false, false) {
            (_, None) => Ok(id),
            (_, Some(refusal)) => {
                let mut data = refusal.body();
                let message = data["message"].take();
                if let Some(body) = data.as_object_mut() {
                    body.remove("message");
                }
                Err(json!({ "message": message, "data": data }))
            }
        }
    }

    /// Runs a root event of a connected socket; of any other one it does nothing but refuse.
    pub(crate) fn root(&mut self, id: &str, event: EventState, wants_ack: bool) -> Option<Ack> {
        let Some(socket) = self.socket(id).cloned() else {
            return wants_ack.then(|| ack_of(json!({ "error": { "code": "unavailable", "message": "disconnected" } })));
        };
        let (kind, name) = (event.kind, event.name.clone());
        if kind == Kind::Disconnect {
            self.end_asks_of(id);
        }
        let (ack, refusal) = self.transact(socket, event, wants_ack, false);
        match (wants_ack, refusal) {
            (true, None) => Some(ack.map_or_else(|| ack_of(json!({ "ok": true })), |args| Ack::new(&args))),
            (true, Some(refusal)) => Some(ack_of(json!({ "error": refusal.body() }))),
            (false, Some(refusal)) if kind == Kind::Message => {
                let args = vec![json!({ "error": refusal.body(), "event": name })];
                self.deliver(id, Delivery { name: "error".into(), args, attachments: Vec::new(), ask: None });
                None
            }
            (false, _) => None,
        }
    }

    /// What a plugin asked has come to its end: an event of the socket that was asked.
    pub(crate) fn end_ask(&mut self, id: u64, args: Args, outcome: AnswerOutcome) -> bool {
        let Some(at) = self.asks.iter().position(|ask| ask.id == id) else { return false };
        let PendingAsk { socket, mut answer, .. } = self.asks.remove(at);
        answer.outcome = outcome;
        if let Some(socket) = self.socket(&socket).cloned() {
            self.transact(socket, EventState::answer(args, answer), false, false);
        }
        true
    }

    /// Nobody will answer any more what this socket was asked.
    fn end_asks_of(&mut self, id: &str) {
        let gone: Vec<u64> = self.asks.iter().filter(|ask| ask.socket == id).map(|ask| ask.id).collect();
        for ask in gone {
            self.end_ask(ask, Args::none(), AnswerOutcome::Gone);
        }
    }

    fn transact(
        &mut self,
        socket: SocketState,
        event: EventState,
        wants_ack: bool,
        runs_order: bool,
    ) -> (Option<Args>, Option<Refusal>) {
        self.events += 1;
        let received_ms = EPOCH_MS + self.events + self.passed_ms;
        self.store.set_clock(received_ms);
        let others = self.sockets.iter().filter(|s| s.id != socket.id && s.namespace == socket.namespace);
        let around = Surroundings {
            wants_ack,
            received_ms,
            runs_order,
            others: others.map(|s| (s.id.clone(), s.rooms.clone())).collect(),
            log: self.log.clone(),
            failures: self.failures.clone(),
            store: self.store.clone(),
        };
        let performed = Transaction::new(&self.chain, around, socket).run(event);
        let socket = performed.socket;
        if !performed.changes.is_empty() {
            let ack = performed.ack.clone().unwrap_or_else(default_ack);
            self.store.commit(performed.changes, &ack);
        }
        // membership and identity as the transaction left them; its emits see them at their own places
        if performed.refusal.is_none()
            && let Some(known) = self.sockets.iter_mut().find(|s| s.id == socket.id)
        {
            known.user.clone_from(&socket.user);
            known.roles.clone_from(&socket.roles);
        }
        self.perform(&socket, performed.effects);
        (performed.ack, performed.refusal)
    }

    /// Performs effects in their order; orders become events of their own after all of them.
    fn perform(&mut self, socket: &SocketState, effects: Vec<Effect>) {
        let mut orders = Vec::new();
        for effect in effects {
            match effect {
                Effect::Connect => {
                    self.sockets.push(SocketState { rooms: Vec::new(), ..socket.clone() });
                    self.inboxes.push((socket.id.clone(), Vec::new()));
                }
                Effect::Join { room, replay } => {
                    let kept =
                        self.retained.get(&(socket.namespace.clone(), room.clone())).cloned().unwrap_or_default();
                    for delivery in kept.iter().skip(kept.len().saturating_sub(replay as usize)) {
                        self.deliver(&socket.id, delivery.clone());
                    }
                    self.change_rooms(&socket.id, |rooms| rooms.push(room));
                }
                Effect::Leave(room) => self.change_rooms(&socket.id, |rooms| rooms.retain(|r| *r != room)),
                Effect::Emit(emit) => self.emit(socket, emit),
                Effect::Order { of, act } => orders.push((of, act)),
                Effect::Ask { socket: asked, name, args, link, tag } => {
                    self.ask(&socket.namespace, asked, name, &args, link, tag);
                }
                Effect::Disconnect => self.remove(&socket.id),
            }
        }
        for (of, act) in orders {
            for id in self.reached(socket, &of.into()) {
                if let Some(target) = self.socket(&id).cloned() {
                    let event = ordered(act.clone());
                    let is_in = event.room.as_ref().is_some_and(|room| target.rooms.contains(room));
                    let moot = (event.kind == Kind::Join && is_in) || (event.kind == Kind::Leave && !is_in);
                    if !moot {
                        self.transact(target, event, false, true);
                    }
                }
            }
        }
    }

    fn ask(&mut self, namespace: &str, asked: String, name: String, args: &Args, link: usize, tag: String) {
        let answer = AnswerState { link, tag, outcome: AnswerOutcome::Gone };
        if self.socket(&asked).is_none_or(|s| s.namespace != namespace) {
            // nobody was asked: the answer is nobody's event
            let nobody = SocketState { namespace: namespace.into(), ..SocketState::default() };
            self.transact(nobody, EventState::answer(Args::none(), answer), false, false);
            return;
        }
        self.ask_count += 1;
        let id = self.ask_count;
        self.asks.push(PendingAsk { id, socket: asked.clone(), answer });
        let (args, attachments) = (values(args), args.attachments().to_vec());
        self.deliver(&asked, Delivery { name, args, attachments, ask: Some(id) });
    }

    fn remove(&mut self, id: &str) {
        self.end_asks_of(id);
        self.sockets.retain(|s| s.id != id);
    }

    fn change_rooms(&mut self, id: &str, change: impl FnOnce(&mut Vec<String>)) {
        if let Some(socket) = self.sockets.iter_mut().find(|s| s.id == id) {
            change(&mut socket.rooms);
        }
    }

    fn emit(&mut self, socket: &SocketState, emit: Emit) {
        let (args, attachments) = (values(&emit.args), emit.args.attachments().to_vec());
        for target in emit.to.targets.iter().filter(|_| emit.retain > 0) {
            let Target::Room(room) = target else { continue };
            let kept = self.retained.entry((socket.namespace.clone(), room.clone())).or_default();
            let (args, attachments) = (args.clone(), attachments.clone());
            kept.push(Delivery { name: emit.name.clone(), args, attachments, ask: None });
            kept.drain(..kept.len().saturating_sub(emit.retain as usize));
        }
        for id in self.reached(socket, &emit.to) {
            let (args, attachments) = (args.clone(), attachments.clone());
            self.deliver(&id, Delivery { name: emit.name.clone(), args, attachments, ask: None });
        }
    }

    fn deliver(&mut self, id: &str, delivery: Delivery) {
        if let Some((_, inbox)) = self.inboxes.iter_mut().find(|(owner, _)| owner == id) {
            inbox.push(delivery);
        }
    }

    /// The sockets that targets reach, each once.
    fn reached(&self, socket: &SocketState, to: &To) -> Vec<String> {
        let fits = |s: &&SocketState| {
            s.namespace == socket.namespace
                && !to.except.contains(&s.id)
                && to.targets.iter().any(|target| match target {
                    Target::Sender => s.id == socket.id, // nobody's event has the empty id
                    Target::EventRoom => false,
                    Target::Room(room) => s.rooms.contains(room),
                    Target::Socket(id) => s.id == *id,
                    Target::User(user) => s.user.as_ref() == Some(user),
                    Target::Everyone => true,
                })
        };
        self.sockets.iter().filter(fits).map(|s| s.id.clone()).collect()
    }
}

/// What a client gets when no plugin acks.
fn default_ack() -> Args {
    json!({ "ok": true }).into_args().expect("a JSON value can be JSON")
}

fn ack_of(value: Value) -> Ack {
    Ack::new(&value.into_args().expect("a JSON value can be JSON"))
}
