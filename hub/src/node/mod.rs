//! One node: takes what clients send, runs it down the chain, and puts what came of it on the bus.

mod asks;
mod operator;
mod orders;
mod sessions;

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::{sync::Semaphore, time::sleep};

use self::{
    asks::Asks,
    orders::{Orders, Runner},
    sessions::Sessions,
};
pub use self::{
    operator::{Answered, Asking, Publish, PublishError, Published},
    sessions::Settings as SessionSettings,
};

use crate::{
    bus::{AppendError, Ask, Bus, Effect, Entry, MemoryBus, OrderAct},
    delivery::{Delivery, Followers},
    event::{Asker, Origin, Payload, Text},
    gateway::{
        socketio::{Connection, Handler, Handling, Message, Recovery, Socket},
        transport::CloseReason,
    },
    pipeline::{
        Decision, Pipeline,
        call::{Answer, AnswerOutcome, Event},
        refusal::{Code, Refusal},
    },
};

/// Sockets whose windows have ended that leave at the same time.
const LEAVING_AT_ONCE: usize = 64;
/// How often what nobody can have missed is dropped from the log, when nothing new drives it out.
const TRIM_INTERVAL: Duration = Duration::from_secs(5);

/// Between gateway, pipeline, bus and delivery.
pub struct Node {
    pipeline: Pipeline,
    bus: MemoryBus,
    delivery: Arc<Delivery>,
    orders: Orders,
    sessions: Sessions,
    /// Acks that operators wait for.
    asks: Asks,
    me: Weak<Node>,
}

impl Node {
    /// `orders_pending_max`: orders of all sockets that may wait for their turn; further ones are dropped and logged.
    pub fn new(
        pipeline: Pipeline,
        bus: MemoryBus,
        delivery: Arc<Delivery>,
        orders_pending_max: usize,
        sessions: SessionSettings,
    ) -> Arc<Self> {
        let (orders, sessions) = (Orders::new(orders_pending_max), Sessions::new(sessions));
        Arc::new_cyclic(|me| Self { pipeline, bus, delivery, orders, sessions, asks: Asks::default(), me: me.clone() })
    }

    /// Lets sockets leave whose clients did not come back in time, for as long as it is polled. There is one such task.
    pub async fn end_windows(self: Arc<Self>) {
        let leaving = Arc::new(Semaphore::new(LEAVING_AT_ONCE));
        let mut trim = tokio::time::interval(TRIM_INTERVAL);
        loop {
            let claim = tokio::select! {
                claim = self.sessions.next_end() => claim,
                _ = trim.tick() => {
                    self.delivery.trim_log();
                    continue;
                }
            };
            let (reason, socket) = (claim.reason, claim.end());
            let permit = leaving.clone().acquire_owned().await;
            let node = self.clone();
            tokio::spawn(async move {
                let _permit = permit;
                node.end_suspended(socket, reason).await;
            });
        }
    }

    /// Lets all suspended sockets leave, at the node's end.
    pub async fn end_sessions(&self) {
        while let Some(claim) = self.sessions.take_any() {
            self.end_suspended(claim.end(), CloseReason::ServerShuttingDown).await;
        }
    }

    /// Sockets without a connection, whose clients may come back.
    pub fn suspended(&self) -> usize {
        self.sessions.suspended()
    }

    /// Bytes that wait for delivery.
    pub fn queued_bytes(&self) -> usize {
        self.bus.queued_bytes()
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
            // nobody else can tell the place of a private entry, and nothing of this socket's is on its way; an event
            // that its client may miss has a place
            let is_private = entry.is_private() && (socket.private_id().is_none() || entry.is_answer());
            if is_private && socket.position() <= self.delivery.delivered() {
                decision.commit_writes();
                self.delivery.deliver_private(entry, socket);
            } else {
                // who hears of it may ask at once for what it wrote
                let appended = self.bus.append_with(entry, || decision.commit_writes()).await;
                socket.set_position(appended.map_err(|(error, _)| self.not_appended(error))?);
            }
        }
        decision.commit(Some(&*socket.subject));
        if disconnects {
            socket.leave();
            self.sessions.close(socket);
        }
        Ok(())
    }

    /// How an event is refused whose entry the bus did not take, which is counted.
    fn not_appended(&self, error: AppendError) -> Refusal {
        let refusal = match error {
            AppendError::Full { .. } => Refusal::new(Code::Overloaded, "the server is busy, try again"),
            AppendError::Closed => Refusal::new(Code::Unavailable, "the server is going down"),
        };
        self.pipeline.not_logged(refusal.code);
        refusal
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
        self.sessions.open(&socket);
        self.commit(&socket, decision).await.map_err(|refusal| {
            self.sessions.close(&socket);
            self.delivery.expect_no_more(socket.id());
            refusal.connect_error()
        })
    }

    async fn take_recovery(&self, wanted: Recovery, connection: Arc<Connection>) -> Option<Arc<Socket>> {
        let claim = self.sessions.claim(wanted.private_id, &wanted.namespace).await?;
        let old = claim.socket.clone();
        // no order for it runs from here on until it is where it will be
        let _turn = old.connection().turn().await;
        if old.is_gone() {
            claim.end();
            return None;
        }
        let socket = old.moved_to(connection);
        let told = self.delivery.expect_recovery(socket.clone(), wanted.offset);
        let entry = Entry { namespace: wanted.namespace, socket: Some(socket.id()), effects: vec![Effect::Recover] };
        match self.bus.append(entry).await {
            Ok(position) => socket.set_position(position),
            Err((error, _)) => {
                tracing::warn!(socket = %socket.id(), %error, "a client that is back gets another socket");
                self.delivery.expect_no_more(socket.id());
                return None;
            }
        }
        if told.await.unwrap_or(false) {
            claim.recovered(&socket);
            tracing::debug!(socket = %socket.id(), "recovered");
            return Some(socket);
        }
        tracing::debug!(socket = %socket.id(), "not recovered: what it missed is not there any more");
        let reason = claim.reason;
        self.end_lost(claim.end(), reason).await;
        None
    }

    /// The end of a socket without a connection, in its turn.
    async fn end_lost(&self, socket: Arc<Socket>, reason: CloseReason) {
        if socket.leave() {
            self.take_disconnect(socket, reason.as_str().into(), false).await;
        }
    }

    /// The socket's end behind its window.
    async fn end_suspended(&self, socket: Arc<Socket>, reason: CloseReason) {
        let _turn = socket.connection().turn().await;
        tracing::debug!(socket = %socket.id(), "did not come back");
        self.end_lost(socket.clone(), reason).await;
    }

    async fn take_loss(&self, socket: Arc<Socket>, reason: CloseReason) {
        if socket.is_gone() {
            return;
        }
        if self.sessions.suspend(&socket, reason) {
            tracing::debug!(socket = %socket.id(), reason = reason.as_str(), "suspended");
            // nothing that it has not answered can be answered on another connection
            for ask in socket.take_asks() {
                self.answer(&socket, ask, AnswerOutcome::Gone, Payload::default()).await;
            }
        } else {
            self.end_lost(socket, reason).await;
        }
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
        let origin = if by_client { Origin::Client } else { Origin::Server };
        self.end(&socket, Event::disconnect(origin, reason), true).await;
    }

    /// The last event of a socket that was marked as gone. A client that did not ask for it hears of it if `is_told`.
    async fn end(&self, socket: &Arc<Socket>, disconnect: Event, is_told: bool) {
        for ask in socket.take_asks() {
            self.answer(socket, ask, AnswerOutcome::Gone, Payload::default()).await;
        }
        let mut decision = self.pipeline.run(&socket.subject, disconnect, None).await;
        if !is_told {
            decision.tell_nobody();
        }
        self.must_commit(socket, decision, "disconnect").await;
    }

    async fn answer(&self, socket: &Arc<Socket>, ask: Asker, outcome: AnswerOutcome, payload: Payload) {
        let answer = match ask {
            Asker::Plugin { name, tag } => Answer { plugin: name, tag, outcome },
            Asker::Operator(number) => return self.asks.end(number, outcome, payload),
        };
        let event = Event::answer(payload, answer);
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
        if decision.disconnects() {
            self.sessions.close(socket);
        }
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

    fn recover(&self, wanted: Recovery, connection: Arc<Connection>) -> Handling<'_, Option<Arc<Socket>>> {
        Box::pin(self.take_recovery(wanted, connection))
    }

    fn disconnect(&self, socket: Arc<Socket>, reason: Text) -> Handling<'_, ()> {
        Box::pin(self.take_disconnect(socket, reason, true))
    }

    fn lost(&self, socket: Arc<Socket>, reason: CloseReason) -> Handling<'_, ()> {
        Box::pin(self.take_loss(socket, reason))
    }
}

impl Followers for Node {
    fn order(&self, socket: Arc<Socket>, act: OrderAct) {
        let Some(node) = self.me.upgrade() else { return };
        match self.orders.push(socket.id(), act) {
            Some(true) => {}
            Some(false) => return,
            None => {
                let allowed = self.orders.max();
                return tracing::warn!(socket = %socket.id(), limit = "orders_pending_max", allowed, "order dropped");
            }
        }
        tokio::spawn(async move {
            let _runner = Runner { orders: &node.orders, socket: socket.id() };
            while let Some(act) = node.orders.first(socket.id()) {
                let socket = node.sessions.current(&socket);
                let _turn = socket.connection().turn().await;
                if !socket.is_current() {
                    continue;
                }
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
            // an ask ends with the connection that it went over
            let (Some(node), Some(socket)) = (node.upgrade(), socket.upgrade()) else { return };
            let _turn = socket.connection().turn().await;
            // behind its end its asks are nobody's: delivery ends them with its disconnect
            if socket.is_gone() || !socket.is_current() {
                return;
            }
            if let Some(ask) = socket.take_ask(id) {
                node.answer(&socket, ask, AnswerOutcome::TimedOut, Payload::default()).await;
            }
        });
    }

    fn ask_failed(&self, namespace: Text, ask: Asker) {
        let Some(node) = self.me.upgrade() else { return };
        let answer = match ask {
            Asker::Plugin { name, tag } => Answer { plugin: name, tag, outcome: AnswerOutcome::Gone },
            Asker::Operator(number) => return node.asks.end(number, AnswerOutcome::Gone, Payload::default()),
        };
        tokio::spawn(async move {
            let mut decision = node.pipeline.run_detached(&namespace, Event::answer(Payload::default(), answer)).await;
            let entry = decision.take_entry();
            if !entry.effects.is_empty()
                && let Err((error, _)) = node.bus.append(entry).await
            {
                let refusal = node.not_appended(error);
                return tracing::warn!(error = %refusal.message, "an answer's effects were not performed");
            }
            decision.commit(None);
        });
    }
}
