//! One node: takes what clients send, runs it down the chain, and puts what came of it on the bus.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::sleep;

use crate::{
    bus::{AppendError, Ask, Bus, MemoryBus, OrderAct},
    delivery::{Delivery, Followers},
    event::{Origin, Payload, SocketId, Text},
    gateway::socketio::{Handler, Handling, Message, PendingAsk, Socket},
    pipeline::{
        Decision, Pipeline,
        call::{Answer, AnswerOutcome, Event},
        refusal::{Code, Refusal},
    },
};

/// Between gateway, pipeline, bus and delivery.
pub struct Node {
    pipeline: Pipeline,
    bus: MemoryBus,
    delivery: Arc<Delivery>,
    orders: Orders,
    me: Weak<Node>,
}

/// Orders that were given and have not run yet: those for one socket run in the order in which they were given.
struct Orders {
    pending: Mutex<Pending>,
    max: usize,
}

#[derive(Default)]
struct Pending {
    count: usize,
    /// The first one of each socket is being run.
    by_socket: HashMap<SocketId, VecDeque<OrderAct>>,
}

impl Orders {
    /// Whether the caller must run them, because nobody does; `None`: there are too many.
    fn push(&self, socket: SocketId, act: OrderAct) -> Option<bool> {
        let mut pending = self.pending.lock();
        if pending.count >= self.max {
            return None;
        }
        pending.count += 1;
        let queue = pending.by_socket.entry(socket).or_default();
        queue.push_back(act);
        Some(queue.len() == 1)
    }

    /// The one to run now.
    fn first(&self, socket: SocketId) -> Option<OrderAct> {
        self.pending.lock().by_socket.get(&socket)?.front().cloned()
    }

    /// The first one has run. False when it was the last: then nobody runs them any more.
    fn ran(&self, socket: SocketId) -> bool {
        let mut pending = self.pending.lock();
        pending.count -= 1;
        let Some(queue) = pending.by_socket.get_mut(&socket) else { return false };
        queue.pop_front();
        let goes_on = !queue.is_empty();
        if !goes_on {
            pending.by_socket.remove(&socket);
        }
        goes_on
    }

    /// Forgets all of a socket.
    fn forget(&self, socket: SocketId) {
        let mut pending = self.pending.lock();
        let left = pending.by_socket.remove(&socket).map_or(0, |queue| queue.len());
        pending.count -= left;
    }
}

/// Runs a socket's orders. If that panics, those behind must not wait for ever.
struct Runner<'a> {
    orders: &'a Orders,
    socket: SocketId,
}

impl Drop for Runner<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.orders.forget(self.socket);
        }
    }
}

impl Node {
    /// `orders_pending_max`: orders of all sockets that may wait for their turn; further ones are dropped and logged.
    pub fn new(pipeline: Pipeline, bus: MemoryBus, delivery: Arc<Delivery>, orders_pending_max: usize) -> Arc<Self> {
        let orders = Orders { pending: Mutex::default(), max: orders_pending_max };
        Arc::new_cyclic(|me| Self { pipeline, bus, delivery, orders, me: me.clone() })
    }

    /// The pipeline, for those who change its chains.
    pub fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    /// Waits until what is on the bus was delivered, at most for `timeout`.
    pub async fn drain(&self, delivery: &Delivery, timeout: Duration) {
        let drained = async {
            while delivery.delivered() < self.bus.last() {
                sleep(Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout(timeout, drained).await.is_err() {
            tracing::warn!(queued_bytes = self.bus.queued_bytes(), "entries were left on the bus at the end");
        }
    }

    /// Puts what an event led to on the log, and only then takes its handled state over.
    async fn commit(&self, socket: &Arc<Socket>, mut decision: Decision) -> Result<(), Refusal> {
        let disconnects = decision.disconnects();
        let entry = decision.take_entry();
        if !entry.effects.is_empty() {
            // nobody else can tell the place of a private entry, and nothing of this socket's is on its way
            if entry.is_private() && socket.position() <= self.delivery.delivered() {
                decision.commit_writes();
                self.delivery.deliver_private(entry, socket);
            } else {
                // who hears of it may ask at once for what it wrote
                let appended = self.bus.append_with(entry, || decision.commit_writes()).await;
                let position = appended.map_err(|(error, _)| not_appended(error))?;
                socket.set_position(position);
            }
        }
        decision.commit(Some(&*socket.subject));
        if disconnects {
            socket.leave();
        }
        Ok(())
    }

    async fn take_connect(&self, socket: Arc<Socket>, auth: Payload) -> Result<(), String> {
        let decision = self.pipeline.run(&socket.subject, Event::connect(auth), None).await;
        if let Some(refusal) = decision.refusal.clone() {
            // what the refusing plugin has to say to others goes out all the same
            if let Err(refusal) = self.commit(&socket, decision).await {
                tracing::warn!(socket = %socket.id(), error = %refusal.message, "a refusal's notices were not sent");
            }
            return Err(refusal.connect_error());
        }
        self.delivery.expect(socket.clone());
        self.commit(&socket, decision).await.map_err(|refusal| {
            self.delivery.expect_no_more(socket.id());
            refusal.connect_error()
        })
    }

    async fn take_message(&self, socket: Arc<Socket>, message: Message) {
        let Message { name, payload, ack } = message;
        let event = Event::message(Origin::Client, name.clone(), payload, None);
        let decision = self.pipeline.run(&socket.subject, event, ack).await;
        if let Err(refusal) = self.commit(&socket, decision).await {
            let mut decision = self.pipeline.refuse(&socket.subject, &name, ack, refusal);
            self.delivery.deliver_private(decision.take_entry(), &socket);
        }
    }

    async fn take_disconnect(&self, socket: Arc<Socket>, reason: Text, by_client: bool) {
        for ask in socket.take_asks() {
            self.answer(&socket, ask, AnswerOutcome::Gone, Payload::default()).await;
        }
        let origin = if by_client { Origin::Client } else { Origin::Server };
        let event = Event::disconnect(origin, reason);
        let decision = self.pipeline.run(&socket.subject, event, None).await;
        self.must_commit(&socket, decision, "disconnect").await;
    }

    async fn answer(&self, socket: &Arc<Socket>, ask: PendingAsk, outcome: AnswerOutcome, payload: Payload) {
        let event = Event::answer(payload, Answer { plugin: ask.plugin, tag: ask.tag, outcome });
        let decision = self.pipeline.run(&socket.subject, event, None).await;
        if let Err(refusal) = self.commit(socket, decision).await {
            tracing::warn!(socket = %socket.id(), error = %refusal.message, "an answer's effects were not performed");
        }
    }

    async fn run_order(&self, socket: &Arc<Socket>, act: OrderAct) {
        if socket.is_gone() {
            return;
        }
        let event = match act {
            OrderAct::Join { room } if socket.subject.is_in(&room) => return,
            OrderAct::Leave { room, .. } if !socket.subject.is_in(&room) => return,
            OrderAct::Join { room } => Event::join(Origin::Plugin, room),
            OrderAct::Leave { room, reason } => Event::leave(Origin::Plugin, room, reason),
            OrderAct::Disconnect { reason } => {
                if !socket.leave() {
                    return;
                }
                Event::disconnect(Origin::Plugin, reason)
            }
        };
        let decision = self.pipeline.run_order(&socket.subject, event).await;
        self.must_commit(socket, decision, "order").await;
    }

    /// A fact is performed whatever it takes: while the bus is full its append is tried again.
    async fn must_commit(&self, socket: &Arc<Socket>, mut decision: Decision, what: &'static str) {
        let entry = decision.take_entry();
        // it will be performed: others' writes need not wait for it
        decision.commit_writes();
        let mut tries = 0u32;
        let mut entry = Some(entry);
        while let Some(next) = entry.take() {
            match self.bus.append(next).await {
                Ok(position) => socket.set_position(position),
                Err((AppendError::Closed, _)) => return,
                Err((error, back)) => {
                    tries += 1;
                    tracing::warn!(socket = %socket.id(), what, tries, %error, "the bus is full: trying again");
                    entry = Some(back);
                }
            }
        }
        decision.commit(Some(&*socket.subject));
    }
}

fn not_appended(error: AppendError) -> Refusal {
    match error {
        AppendError::Full { .. } => Refusal::new(Code::Overloaded, "the server is busy, try again"),
        AppendError::Closed => Refusal::new(Code::Unavailable, "the server is going down"),
    }
}

impl Handler for Node {
    fn connect(&self, socket: Arc<Socket>, auth: Payload) -> Handling<'_, Result<(), String>> {
        Box::pin(self.take_connect(socket, auth))
    }

    fn message(&self, socket: Arc<Socket>, message: Message) -> Handling<'_, ()> {
        Box::pin(self.take_message(socket, message))
    }

    fn answer(&self, socket: Arc<Socket>, id: i64, payload: Payload) -> Handling<'_, ()> {
        Box::pin(async move {
            if let Some(ask) = socket.take_ask(id) {
                Node::answer(self, &socket, ask, AnswerOutcome::Answered, payload).await;
            }
        })
    }

    fn disconnect(&self, socket: Arc<Socket>, reason: Text, by_client: bool) -> Handling<'_, ()> {
        Box::pin(self.take_disconnect(socket, reason, by_client))
    }
}

impl Followers for Node {
    fn order(&self, socket: Arc<Socket>, act: OrderAct) {
        let Some(node) = self.me.upgrade() else { return };
        match self.orders.push(socket.id(), act) {
            Some(true) => {}
            Some(false) => return,
            None => {
                let allowed = self.orders.max;
                return tracing::warn!(socket = %socket.id(), limit = "orders_pending_max", allowed, "order dropped");
            }
        }
        tokio::spawn(async move {
            let _runner = Runner { orders: &node.orders, socket: socket.id() };
            while let Some(act) = node.orders.first(socket.id()) {
                let _turn = socket.connection().turn().await;
                node.run_order(&socket, act).await;
                if !node.orders.ran(socket.id()) {
                    break;
                }
            }
        });
    }

    fn asked(&self, socket: Arc<Socket>, id: i64, ask: &Ask) {
        let (node, timeout) = (self.me.clone(), ask.timeout.max(Duration::from_millis(1)));
        let socket = Arc::downgrade(&socket);
        tokio::spawn(async move {
            sleep(timeout).await;
            let (Some(node), Some(socket)) = (node.upgrade(), socket.upgrade()) else { return };
            let _turn = socket.connection().turn().await;
            // behind its end its asks are nobody's: delivery ends them with its disconnect
            if socket.is_gone() {
                return;
            }
            if let Some(ask) = socket.take_ask(id) {
                node.answer(&socket, ask, AnswerOutcome::TimedOut, Payload::default()).await;
            }
        });
    }

    fn ask_failed(&self, namespace: Text, ask: PendingAsk) {
        let Some(node) = self.me.upgrade() else { return };
        tokio::spawn(async move {
            let answer = Answer { plugin: ask.plugin, tag: ask.tag, outcome: AnswerOutcome::Gone };
            let mut decision = node.pipeline.run_detached(&namespace, Event::answer(Payload::default(), answer)).await;
            let entry = decision.take_entry();
            if !entry.effects.is_empty()
                && let Err((error, _)) = node.bus.append(entry).await
            {
                return tracing::warn!(%error, "an answer's effects were not performed");
            }
            decision.commit(None);
        });
    }
}
