//! What operators do: speak to clients through the chain, send sockets away, and let clients connect anew.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use tokio::time::Instant;

use super::{LEAVING_AT_ONCE, Node, asks::Awaited};
use crate::{
    bus::{Ask, Bus, Effect, Emit, Entry},
    delivery::list::Filter,
    event::{Asker, Audience, Origin, Payload, SocketId, Target, Text},
    gateway::{socketio::Socket, transport::CloseReason},
    pipeline::{
        call::{AnswerOutcome, Event},
        refusal::{Code, Refusal},
    },
};

/// Beyond an ask's own timeout, which runs from its delivery.
const ANSWER_GRACE: Duration = Duration::from_secs(10);

/// What an operator has for clients.
#[derive(Clone, Debug)]
pub struct Publish {
    pub namespace: Text,
    pub name: Text,
    pub payload: Payload,
    pub to: Target,
    pub ask: Option<Asking>,
}

/// How an operator waits for the acks of those who get it.
#[derive(Clone, Copy, Debug)]
pub struct Asking {
    pub timeout: Duration,
    /// Sockets at most.
    pub max: usize,
}

/// What became of a publish.
#[derive(Clone, Debug)]
pub struct Published {
    /// Sockets that it was for when it was put on its way; 0 also when a plugin swallowed it.
    pub sockets: usize,
    /// One for each socket that was connected, when answers were asked for.
    pub answers: Vec<Answered>,
}

/// One socket's answer.
#[derive(Clone, Debug)]
pub struct Answered {
    pub socket: SocketId,
    pub outcome: AnswerOutcome,
    pub payload: Payload,
}

/// Why a publish came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublishError {
    /// The chain or the bus did not take it.
    Refused(Refusal),
    /// It would await more acks than it may. Nothing was sent.
    TooMany { sockets: usize, allowed: usize },
}

/// What a socket that is sent away may do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Farewell {
    /// Its client is told, and does not come back by itself.
    Told,
    /// Its connection ends, as if the network had ended it: its client comes back by itself, as a new socket.
    ComeAgain,
}

impl Node {
    /// Runs an event with origin server down its namespace's chain, and delivers what it led to. Once begun it is done
    /// whole, also when nobody waits for it. An event that waits for acks goes to connected sockets as an ask: who loses
    /// its connection with it under way is `Gone`, and not sent it again.
    pub async fn publish(self: &Arc<Self>, publish: Publish) -> Result<Published, PublishError> {
        let node = self.clone();
        let done = tokio::spawn(async move { node.speak(publish).await });
        done.await.unwrap_or_else(|_| Err(Refusal::new(Code::Unavailable, "the server failed on it").into()))
    }

    async fn speak(&self, publish: Publish) -> Result<Published, PublishError> {
        let Publish { namespace, name, payload, to, ask } = publish;
        let event = Event::message(Origin::Server, name, payload, Some(Audience::only(to)));
        let mut decision = self.pipeline.run_detached(&namespace, event).await;
        let (message, refusal) = (decision.message, decision.refusal.clone());
        let mut entry = decision.take_entry();
        let mut awaited = Vec::new();
        let mut sockets = 0;
        if let Some(at) = message {
            let max = ask.map_or(0, |ask| ask.max);
            let connected = self.audience(&entry, at, max, &mut sockets);
            if let Some(ask) = ask {
                if connected.len() > ask.max {
                    self.pipeline.not_logged(Code::LimitExceeded);
                    return Err(PublishError::TooMany { sockets, allowed: ask.max });
                }
                awaited = self.ask_for_acks(&mut entry, at, connected, ask.timeout);
            }
        }
        if !entry.effects.is_empty() {
            let appended = self.bus.append_with(entry, || decision.commit_writes()).await;
            appended.map_err(|(error, _)| self.not_appended(error))?;
        }
        decision.commit(None);
        if let Some(refusal) = refusal {
            return Err(refusal.into());
        }
        let deadline = Instant::now() + ask.map_or(Duration::ZERO, |ask| ask.timeout) + ANSWER_GRACE;
        let mut answers = Vec::with_capacity(awaited.len());
        for (socket, awaited) in awaited {
            let (outcome, payload) = awaited.until(deadline).await;
            answers.push(Answered { socket, outcome, payload });
        }
        Ok(Published { sockets, answers })
    }

    /// Whom the emit at this place reaches now, and how many that are.
    fn audience(&self, entry: &Entry, at: usize, max: usize, sockets: &mut usize) -> Vec<SocketId> {
        let Some(Effect::Emit(emit)) = entry.effects.get(at) else { return Vec::new() };
        let (count, connected) = self.delivery.reached(&entry.namespace, &emit.audience, max);
        *sockets = count;
        connected
    }

    /// Puts one ask for each socket behind the emit at this place, which leaves them out.
    fn ask_for_acks(
        &self,
        entry: &mut Entry,
        at: usize,
        sockets: Vec<SocketId>,
        timeout: Duration,
    ) -> Vec<(SocketId, Awaited<'_>)> {
        let Some(Effect::Emit(Emit { audience, name, payload, .. })) = entry.effects.get_mut(at) else {
            return Vec::new();
        };
        audience.except.extend(&sockets);
        let (name, payload) = (name.clone(), payload.clone());
        let awaited: Vec<_> = sockets.into_iter().map(|socket| (socket, self.asks.begin())).collect();
        let asks = awaited.iter().map(|(socket, awaited)| {
            let by = Asker::Operator(awaited.number());
            Effect::Ask(Ask { socket: *socket, name: name.clone(), payload: payload.clone(), timeout, by })
        });
        let asks: Vec<Effect> = asks.collect();
        entry.effects.splice(at + 1..at + 1, asks);
        awaited
    }

    /// Sends sockets away, each behind what it has under way, and gives how many were still there. Their clients are told,
    /// and the chain sees it as it sees every disconnect. Once begun it is done whole.
    pub async fn kick(self: &Arc<Self>, sockets: Vec<Arc<Socket>>, reason: Text) -> usize {
        self.begin_farewells(sockets, reason, Farewell::Told).await.unwrap_or(0)
    }

    /// Ends the connections of all sockets in whose chain the plugin is, so that their clients come back and `on_connect`
    /// and `on_join` run anew. Gives how many sockets these are; it goes on by itself.
    pub fn reconnect(self: &Arc<Self>, plugin: &str) -> usize {
        let chains = self.pipeline.chains();
        let concerned = |name: &Text| chains.of(name).links.iter().any(|link| **link.plugin.name() == *plugin);
        let namespaces = self.delivery.namespaces().into_iter().filter(concerned);
        let of = |namespace| Filter { namespace: Some(namespace), ..Filter::default() };
        let sockets: Vec<_> = namespaces.flat_map(|namespace| self.delivery.find_sockets(&of(namespace))).collect();
        let count = sockets.len();
        // the task ends by itself: each of its steps has a deadline
        drop(self.begin_farewells(sockets, "reconnect".into(), Farewell::ComeAgain));
        count
    }

    fn begin_farewells(
        self: &Arc<Self>,
        sockets: Vec<Arc<Socket>>,
        reason: Text,
        farewell: Farewell,
    ) -> tokio::task::JoinHandle<usize> {
        let node = self.clone();
        tokio::spawn(async move {
            let each = sockets.into_iter().map(|socket| node.send_away(socket, reason.clone(), farewell));
            let ended = stream::iter(each).buffer_unordered(LEAVING_AT_ONCE);
            ended.fold(0, async |count, was_there| count + usize::from(was_there)).await
        })
    }

    /// The end of a socket in its turn. False: it had left already.
    async fn send_away(&self, socket: Arc<Socket>, reason: Text, farewell: Farewell) -> bool {
        loop {
            let socket = self.sessions.current(&socket);
            let _turn = socket.connection().turn().await;
            if !socket.is_current() {
                continue;
            }
            if !socket.leave() {
                return false;
            }
            let event = Event::disconnect(Origin::Server, reason);
            self.end(&socket, event, farewell == Farewell::Told).await;
            if farewell == Farewell::ComeAgain {
                socket.connection().close_after_flush(CloseReason::TransportClose);
            }
            return true;
        }
    }
}

impl From<Refusal> for PublishError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}
