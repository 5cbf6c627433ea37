//! This node's sockets and rooms, and the way of entries to them: one order for all members of a room.

pub mod list;
mod log;
mod retained;
mod table;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::{Mutex, RwLock};
use tokio::sync::oneshot;

use self::{
    log::{Ended, Log},
    retained::{Message, Retained},
    table::{Member, Table},
};
pub use self::{
    log::{Limits as LogLimits, Offset},
    retained::Limits as RetainedLimits,
};
use crate::{
    bus::{Ask, Effect, Emit, Entry, MemoryReader, Order, OrderAct, Position},
    event::{Asker, Audience, SocketId, Target, Text},
    gateway::{
        socketio::{Codec, Mark, Socket},
        transport::{Enqueued, Packet},
    },
    pipeline::call::Rooms,
    seeing::metrics::Cells,
};

/// Entries taken from the bus at a time: the more wait, the more go out in one write for each socket.
const BATCH_MAX: usize = 256;
/// Entries of a batch delivered before other tasks get their turn.
const DELIVER_BURST: usize = 32;
/// Sockets written to before other tasks get their turn.
const FLUSH_BURST: usize = 128;

/// The *logged* membership of this node, and the only writer to it.
pub struct Delivery {
    codec: Codec,
    asks_pending_max: usize,
    namespaces: RwLock<HashMap<Text, Arc<Namespace>>>,
    /// Sockets whose connect or recovery is on its way through the bus.
    expected: Mutex<HashMap<SocketId, Expected>>,
    /// Every entry up to here was handed to its sockets.
    delivered: AtomicU64,
    retained: Mutex<Retained>,
    /// Of namespaces whose sockets may come back.
    log: Mutex<Log>,
    sent: Cells,
}

/// What was handed to connections, whether they took it at once or it waits for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Events, each once for every socket that it went to.
    pub events: u64,
    pub acks: u64,
    /// What answers a connect or ends a socket.
    pub others: u64,
    /// All of them, as WebSocket frames.
    pub bytes: u64,
}

/// What a packet is, by the number of its counter.
#[derive(Clone, Copy)]
enum What {
    Event,
    Ack,
    Other,
}

/// The counter of bytes, behind those of [`What`].
const BYTES: usize = 3;

/// A socket that is on its way.
enum Expected {
    Connect(Arc<Socket>),
    Recovery { socket: Arc<Socket>, from: Option<Offset>, is_complete: oneshot::Sender<bool> },
}

/// One namespace on this node. Comes with its first socket and goes with its last.
#[derive(Default)]
struct Namespace {
    table: RwLock<Table>,
}

/// What delivery cannot do by itself, because it makes new events.
pub trait Followers: Send + Sync + 'static {
    /// An order for a socket of this node.
    fn order(&self, socket: Arc<Socket>, act: OrderAct);
    /// The ask with this id went to the socket; its timeout runs from now.
    fn asked(&self, socket: Arc<Socket>, id: i64, ask: &Ask);
    /// The ask reached nobody.
    fn ask_failed(&self, namespace: Text, ask: Asker);
}

/// How packets reach sockets, and which of them must be flushed in the end.
struct Outgoing {
    /// Nothing else is on its way: small audiences are written to at once.
    direct: bool,
    touched: Vec<Arc<Socket>>,
    /// By [`What`], and bytes; told at the end of a batch.
    sent: [u64; BYTES + 1],
}

impl Outgoing {
    fn give(&mut self, what: What, socket: &Arc<Socket>, packet: &Arc<Packet>, direct: bool) {
        let is_taken = if direct {
            socket.send(packet)
        } else {
            let enqueued = socket.connection().enqueue(packet);
            if enqueued == Enqueued::MustFlush {
                self.touched.push(socket.clone());
            }
            enqueued != Enqueued::Nowhere
        };
        if is_taken {
            self.sent[what as usize] += 1;
            self.sent[BYTES] += packet.frames().len() as u64;
        }
    }

    fn give_one(&mut self, what: What, socket: &Arc<Socket>, packet: &Arc<Packet>) {
        self.give(what, socket, packet, self.direct);
    }
}

impl Delivery {
    /// A node without sockets. `asks_pending_max`: of one socket.
    pub fn new(codec: Codec, asks_pending_max: usize, retained: RetainedLimits, log: LogLimits) -> Self {
        Self {
            codec,
            asks_pending_max,
            namespaces: RwLock::default(),
            expected: Mutex::default(),
            delivered: AtomicU64::new(0),
            retained: Mutex::new(Retained::new(retained)),
            log: Mutex::new(Log::new(log)),
            sent: Cells::new(BYTES + 1),
        }
    }

    /// The place on the log up to which everything was handed to its sockets.
    pub fn delivered(&self) -> Position {
        self.delivered.load(Ordering::Acquire)
    }

    /// Sockets that are members of a namespace.
    pub fn sockets(&self) -> usize {
        self.namespaces.read().values().map(|n| n.table.read().len()).sum()
    }

    /// Rooms that have members, of all namespaces.
    pub fn rooms(&self) -> usize {
        self.namespaces.read().values().map(|n| n.table.read().rooms()).sum()
    }

    /// What it has sent so far.
    pub fn sent(&self) -> Sent {
        let of = |what: What| self.sent.sum(what as usize);
        Sent { events: of(What::Event), acks: of(What::Ack), others: of(What::Other), bytes: self.sent.sum(BYTES) }
    }

    /// A socket whose connect is about to be appended.
    pub fn expect(&self, socket: Arc<Socket>) {
        self.expected.lock().insert(socket.id(), Expected::Connect(socket));
    }

    /// A socket whose client is back: its recovery is about to be appended. `from`: the last packet it got; `None`: none.
    /// At the recovery's place the CONNECT is answered and all that was missed is sent, on the socket's new connection,
    /// where everything behind that place follows: then the answer is true. It is false, and nothing is changed, when not
    /// all of it is there.
    pub fn expect_recovery(&self, socket: Arc<Socket>, from: Option<Offset>) -> oneshot::Receiver<bool> {
        let (is_complete, told) = oneshot::channel();
        self.expected.lock().insert(socket.id(), Expected::Recovery { socket, from, is_complete });
        told
    }

    /// Drops what nobody can have missed any more.
    pub fn trim_log(&self) {
        self.log.lock().trim();
    }

    /// Its connect or recovery was not appended after all.
    pub fn expect_no_more(&self, socket: SocketId) {
        self.expected.lock().remove(&socket);
    }

    /// Delivers the bus's entries for as long as it is polled. There is one such task.
    pub async fn run(&self, reader: MemoryReader, followers: Arc<dyn Followers>) {
        let mut entries = Vec::new();
        let mut outgoing = Outgoing { direct: true, touched: Vec::new(), sent: Default::default() };
        loop {
            reader.filled().await;
            if !outgoing.direct {
                // under load whoever is ready to append does so first: the more entries at a time, the fewer writes
                tokio::task::yield_now().await;
            }
            let position = reader.read(&mut entries, BATCH_MAX).await;
            outgoing.direct = entries.len() == 1;
            for (n, entry) in entries.drain(..).enumerate() {
                self.deliver(entry, &mut outgoing, &*followers);
                if n % DELIVER_BURST == DELIVER_BURST - 1 {
                    tokio::task::yield_now().await;
                }
            }
            for (counter, count) in outgoing.sent.iter_mut().enumerate().filter(|(_, count)| **count > 0) {
                self.sent.add(counter, std::mem::take(count));
            }
            self.delivered.store(position, Ordering::Release);
            for (n, socket) in outgoing.touched.drain(..).enumerate() {
                socket.connection().flush();
                if n % FLUSH_BURST == FLUSH_BURST - 1 {
                    tokio::task::yield_now().await;
                }
            }
            if outgoing.touched.capacity() > 16 * 1024 {
                outgoing.touched = Vec::new();
            }
        }
    }

    /// Performs a private entry of a socket that has nothing on its way: nobody else could tell its place.
    pub fn deliver_private(&self, entry: Entry, socket: &Arc<Socket>) {
        for effect in entry.effects {
            match effect {
                Effect::Ack { id, payload } => {
                    self.send_private(What::Ack, socket, &self.codec.ack_packet(&entry.namespace, id, &payload));
                }
                Effect::Emit(emit) => {
                    // no target, as an event's room that there is not, is nobody
                    let left_out = emit.audience.to.is_empty() || emit.audience.except.contains(&socket.id());
                    if !left_out && (!emit.volatile || socket.connection().is_writable()) {
                        let Emit { name, payload, .. } = &emit;
                        let packet = self.codec.event_packet(&entry.namespace, name, payload, Mark::Nothing);
                        self.send_private(What::Event, socket, &packet);
                    }
                }
                _ => tracing::error!("an entry that is not private took the private way"),
            }
        }
    }

    fn send_private(&self, what: What, socket: &Socket, packet: &Arc<Packet>) {
        if socket.send(packet) {
            self.sent.add(what as usize, 1);
            self.sent.add(BYTES, packet.frames().len() as u64);
        }
    }

    fn deliver(&self, entry: Entry, outgoing: &mut Outgoing, followers: &dyn Followers) {
        let found = self.namespaces.read().get(&entry.namespace).cloned();
        let mut namespace = found.unwrap_or_default();
        let mut own = entry.socket.and_then(|id| namespace.table.read().socket(id));
        for effect in entry.effects {
            match (effect, &own) {
                (Effect::Connect { user }, _) => {
                    let expected = entry.socket.and_then(|id| self.expected.lock().remove(&id));
                    let Some(Expected::Connect(socket)) = expected else { continue };
                    namespace = self.namespaces.write().entry(entry.namespace.clone()).or_default().clone();
                    outgoing.give_one(What::Other, &socket, &self.connect_packet(&socket));
                    let since = self.log.lock().last();
                    own = Some(namespace.table.write().add(socket, user, since));
                }
                (Effect::Recover, _) => {
                    own = self.recover(&namespace, entry.socket, own.take(), outgoing);
                }
                (Effect::Emit(emit), _) => self.emit(&entry.namespace, &namespace, entry.socket, &emit, outgoing),
                (Effect::Order(order), _) => self.order(&namespace, entry.socket, order, followers),
                (Effect::Ask(ask), _) => self.ask(&entry.namespace, &namespace, ask, outgoing, followers),
                (Effect::Ack { id, payload }, Some(member)) => {
                    outgoing.give_one(
                        What::Ack,
                        &member.socket,
                        &self.codec.ack_packet(&entry.namespace, id, &payload),
                    );
                }
                (Effect::Join { room, replay }, Some(member)) => {
                    if replay > 0 {
                        let retained = self.retained.lock().last(&entry.namespace, &room, replay);
                        retained.iter().for_each(|message| self.replay(message, &member.socket, outgoing));
                    }
                    let since = self.log.lock().last();
                    namespace.table.write().join(member, room, since);
                }
                (Effect::Leave(room), Some(member)) => self.leave(&namespace, member, room),
                (Effect::Disconnect { tell }, Some(member)) => {
                    if tell {
                        outgoing.give_one(What::Other, &member.socket, &self.codec.disconnect_packet(&entry.namespace));
                    }
                    self.remove(&entry.namespace, &namespace, member);
                    for ask in member.socket.take_asks() {
                        followers.ask_failed(entry.namespace.clone(), ask);
                    }
                    own = None;
                }
                // the socket lives elsewhere, or is gone
                (Effect::Ack { .. } | Effect::Join { .. } | Effect::Leave(_) | Effect::Disconnect { .. }, None) => {}
            }
        }
    }

    fn connect_packet(&self, socket: &Socket) -> Arc<Packet> {
        self.codec.connect_packet(socket.namespace(), socket.id(), socket.private_id())
    }

    /// Sends what was missed and lets the socket's new connection take the old one's place, or does nothing.
    fn recover(
        &self,
        namespace: &Namespace,
        socket: Option<SocketId>,
        member: Option<Arc<Member>>,
        outgoing: &mut Outgoing,
    ) -> Option<Arc<Member>> {
        let expected = socket.and_then(|id| self.expected.lock().remove(&id));
        let Some(Expected::Recovery { socket, from, is_complete }) = expected else { return member };
        let missed = member.as_ref().and_then(|member| member.missed(&self.log.lock(), from));
        let (Some(missed), Some(member)) = (missed, &member) else {
            let _ = is_complete.send(false);
            return member;
        };
        outgoing.give_one(What::Other, &socket, &self.connect_packet(&socket));
        missed.iter().for_each(|packet| outgoing.give_one(What::Event, &socket, packet));
        let id = socket.id();
        let mut table = namespace.table.write();
        table.replace(member, socket);
        let _ = is_complete.send(true);
        table.socket(id)
    }

    /// Sends a retained message to one who joins; a socket that may come back can miss it like any other.
    fn replay(&self, message: &Message, socket: &Arc<Socket>, outgoing: &mut Outgoing) {
        let namespace = socket.namespace();
        let packet = if socket.private_id().is_some() {
            let mut log = self.log.lock();
            let offset = log.next();
            let packet = message.packet(&self.codec, namespace, Mark::Offset(offset));
            let place = (namespace.clone(), Target::Socket(socket.id()));
            log.add(place, offset, packet.clone(), Arc::default());
            packet
        } else {
            message.packet(&self.codec, namespace, Mark::Nothing)
        };
        outgoing.give_one(What::Event, socket, &packet);
    }

    fn leave(&self, namespace: &Namespace, member: &Arc<Member>, room: Text) {
        let place = (member.socket.namespace().clone(), Target::Room(room.clone()));
        let mut log = self.log.lock();
        let ended = member.socket.private_id().is_some().then(|| Ended { at: log.last(), last: log.last_of(&place) });
        let mut table = namespace.table.write();
        table.leave(member, &room, ended);
        if !table.reaches(&place.1) {
            log.leave(&place);
        }
    }

    fn remove(&self, name: &Text, namespace: &Arc<Namespace>, member: &Arc<Member>) {
        let mut table = namespace.table.write();
        let rooms = table.remove(member);
        let targets = rooms.into_iter().map(Target::Room).chain(member.user().cloned().map(Target::User));
        let targets = targets.chain([Target::Socket(member.socket.id()), Target::Everyone]);
        let mut log = self.log.lock();
        targets.filter(|target| !table.reaches(target)).for_each(|target| log.leave(&(name.clone(), target)));
        if table.len() == 0 {
            drop(table);
            // delivery is the only writer: nobody has joined in between
            self.namespaces.write().remove(name);
        }
    }

    fn emit(&self, name: &Text, namespace: &Namespace, sender: Option<SocketId>, emit: &Emit, outgoing: &mut Outgoing) {
        let table = namespace.table.read();
        if emit.retain > 0 {
            let message = Message::new(emit.name.clone(), emit.payload.clone());
            let mut retained = self.retained.lock();
            for (n, target) in emit.audience.to.iter().enumerate() {
                if let Target::Room(room) = target
                    && !emit.audience.to[..n].contains(target)
                {
                    retained.add(name, room, &message, emit.retain);
                }
            }
        }
        let encode = |mark| self.codec.event_packet(name, &emit.name, &emit.payload, mark);
        let mut marked = table.has_recoverable().then(|| self.marked(name, &table, sender, emit, encode));
        let mut plain = None;
        let direct = outgoing.direct && table.audience_size(&emit.audience.to) <= FLUSH_BURST;
        table.each(&emit.audience, sender, |member| {
            let socket = &member.socket;
            if emit.volatile && !socket.connection().is_writable() {
                return;
            }
            let packet = match &mut marked {
                Some(marked) if socket.private_id().is_some() => marked,
                _ => plain.get_or_insert_with(|| encode(Mark::Nothing)),
            };
            outgoing.give(What::Event, socket, packet, direct);
        });
    }

    /// An emit's packet with its offset, in the log for those who miss it. A volatile one is never missed: it carries the
    /// offset of what went before it.
    fn marked(
        &self,
        namespace: &Text,
        table: &Table,
        sender: Option<SocketId>,
        emit: &Emit,
        encode: impl Fn(Mark) -> Arc<Packet>,
    ) -> Arc<Packet> {
        let mut log = self.log.lock();
        if emit.volatile {
            return encode(Mark::Offset(log.last()));
        }
        let offset = log.next();
        let packet = encode(Mark::Offset(offset));
        let except: Arc<[SocketId]> = emit.audience.except.as_slice().into();
        for (n, target) in emit.audience.to.iter().enumerate() {
            let target = match (target, sender) {
                (Target::Sender, Some(id)) => Target::Socket(id),
                (target, _) => target.clone(),
            };
            if table.reaches(&target) && !emit.audience.to[..n].contains(&target) {
                log.add((namespace.clone(), target), offset, packet.clone(), except.clone());
            }
        }
        packet
    }

    fn order(&self, namespace: &Namespace, sender: Option<SocketId>, order: Order, followers: &dyn Followers) {
        let mut sockets = Vec::new();
        let audience = Audience::only(order.of);
        namespace.table.read().each(&audience, sender, |member| sockets.push(member.socket.clone()));
        for socket in sockets {
            followers.order(socket, order.act.clone());
        }
    }

    fn ask(&self, name: &Text, namespace: &Namespace, ask: Ask, outgoing: &mut Outgoing, followers: &dyn Followers) {
        let member = namespace.table.read().socket(ask.socket).filter(|m| m.socket.connection().closed().is_none());
        let noted =
            member.and_then(|m| Some((m.socket.note_ask(ask.by.clone(), self.asks_pending_max)?, m.socket.clone())));
        match noted {
            Some((id, socket)) => {
                outgoing.give_one(
                    What::Event,
                    &socket,
                    &self.codec.event_packet(name, &ask.name, &ask.payload, Mark::Ack(id)),
                );
                followers.asked(socket, id, &ask);
            }
            None => followers.ask_failed(name.clone(), ask.by),
        }
    }
}

impl Rooms for Delivery {
    fn size(&self, namespace: &str, room: &str) -> usize {
        self.namespaces.read().get(namespace).map_or(0, |n| n.table.read().room_size(room))
    }

    fn members(&self, namespace: &str, room: &str, limit: usize) -> Vec<SocketId> {
        self.namespaces.read().get(namespace).map_or_else(Vec::new, |n| n.table.read().members(room, limit))
    }

    fn contains(&self, namespace: &str, room: &str, socket: SocketId) -> bool {
        let namespaces = self.namespaces.read();
        let Some(namespace) = namespaces.get(namespace) else { return false };
        let table = namespace.table.read();
        table.socket(socket).is_some_and(|member| member.is_in(room))
    }
}
