//! This node's sockets and rooms, and the way of entries to them: one order for all members of a room.

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

pub use self::retained::Limits as RetainedLimits;
use self::{
    retained::Retained,
    table::{Member, Table},
};
use crate::{
    bus::{Ask, Effect, Emit, Entry, MemoryReader, Order, OrderAct, Position},
    event::{Audience, SocketId, Target, Text},
    gateway::{
        socketio::{Codec, PendingAsk, Socket},
        transport::Packet,
    },
    pipeline::call::Rooms,
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
    /// Sockets whose connect is on its way through the bus.
    expected: Mutex<HashMap<SocketId, Arc<Socket>>>,
    /// Every entry up to here was handed to its sockets.
    delivered: AtomicU64,
    retained: Mutex<Retained>,
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
    fn ask_failed(&self, namespace: Text, ask: PendingAsk);
}

/// How packets reach sockets, and which of them must be flushed in the end.
struct Outgoing {
    /// Nothing else is on its way: small audiences are written to at once.
    direct: bool,
    touched: Vec<Arc<Socket>>,
}

impl Outgoing {
    fn give(&mut self, socket: &Arc<Socket>, packet: &Arc<Packet>, direct: bool) {
        if direct {
            socket.send(packet);
        } else if socket.connection().enqueue(packet) {
            self.touched.push(socket.clone());
        }
    }

    fn give_one(&mut self, socket: &Arc<Socket>, packet: &Arc<Packet>) {
        self.give(socket, packet, self.direct);
    }
}

impl Delivery {
    /// A node without sockets. `asks_pending_max`: of one socket.
    pub fn new(codec: Codec, asks_pending_max: usize, retained: RetainedLimits) -> Self {
        Self {
            codec,
            asks_pending_max,
            namespaces: RwLock::default(),
            expected: Mutex::default(),
            delivered: AtomicU64::new(0),
            retained: Mutex::new(Retained::new(retained)),
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

    /// A socket whose connect is about to be appended.
    pub fn expect(&self, socket: Arc<Socket>) {
        self.expected.lock().insert(socket.id(), socket);
    }

    /// Its connect was not appended after all.
    pub fn expect_no_more(&self, socket: SocketId) {
        self.expected.lock().remove(&socket);
    }

    /// Delivers the bus's entries for as long as it is polled. There is one such task.
    pub async fn run(&self, reader: MemoryReader, followers: Arc<dyn Followers>) {
        let mut entries = Vec::new();
        let mut outgoing = Outgoing { direct: true, touched: Vec::new() };
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
                    socket.send(&self.codec.ack_packet(&entry.namespace, id, &payload));
                }
                Effect::Emit(emit) => {
                    // no target, as an event's room that there is not, is nobody
                    let left_out = emit.audience.to.is_empty() || emit.audience.except.contains(&socket.id());
                    if !left_out && (!emit.volatile || socket.connection().is_writable()) {
                        socket.send(&self.codec.event_packet(&entry.namespace, &emit.name, &emit.payload, None));
                    }
                }
                _ => tracing::error!("an entry that is not private took the private way"),
            }
        }
    }

    fn deliver(&self, entry: Entry, outgoing: &mut Outgoing, followers: &dyn Followers) {
        let found = self.namespaces.read().get(&entry.namespace).cloned();
        let mut namespace = found.unwrap_or_default();
        let mut own = entry.socket.and_then(|id| namespace.table.read().socket(id));
        for effect in entry.effects {
            match (effect, &own) {
                (Effect::Connect { user }, _) => {
                    let Some(socket) = entry.socket.and_then(|id| self.expected.lock().remove(&id)) else { continue };
                    namespace = self.namespaces.write().entry(entry.namespace.clone()).or_default().clone();
                    outgoing.give_one(&socket, &self.codec.connect_packet(&entry.namespace, socket.id()));
                    own = Some(namespace.table.write().add(socket, user));
                }
                (Effect::Emit(emit), _) => self.emit(&entry.namespace, &namespace, entry.socket, &emit, outgoing),
                (Effect::Order(order), _) => self.order(&namespace, entry.socket, order, followers),
                (Effect::Ask(ask), _) => self.ask(&entry.namespace, &namespace, ask, outgoing, followers),
                (Effect::Ack { id, payload }, Some(member)) => {
                    outgoing.give_one(&member.socket, &self.codec.ack_packet(&entry.namespace, id, &payload));
                }
                (Effect::Join { room, replay }, Some(member)) => {
                    if replay > 0 {
                        for packet in self.retained.lock().last(&entry.namespace, &room, replay) {
                            outgoing.give_one(&member.socket, &packet);
                        }
                    }
                    namespace.table.write().join(member, room);
                }
                (Effect::Leave(room), Some(member)) => namespace.table.write().leave(member, &room),
                (Effect::Disconnect { tell }, Some(member)) => {
                    if tell {
                        outgoing.give_one(&member.socket, &self.codec.disconnect_packet(&entry.namespace));
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

    fn remove(&self, name: &Text, namespace: &Arc<Namespace>, member: &Arc<Member>) {
        let mut table = namespace.table.write();
        table.remove(member);
        if table.len() == 0 {
            drop(table);
            // delivery is the only writer: nobody has joined in between
            self.namespaces.write().remove(name);
        }
    }

    fn emit(&self, name: &Text, namespace: &Namespace, sender: Option<SocketId>, emit: &Emit, outgoing: &mut Outgoing) {
        let table = namespace.table.read();
        let mut packet = None;
        if emit.retain > 0 {
            let packet = packet.insert(self.codec.event_packet(name, &emit.name, &emit.payload, None));
            let mut retained = self.retained.lock();
            for (n, target) in emit.audience.to.iter().enumerate() {
                if let Target::Room(room) = target
                    && !emit.audience.to[..n].contains(target)
                {
                    retained.add(name, room, packet, emit.retain);
                }
            }
        }
        let direct = outgoing.direct && table.audience_size(&emit.audience.to) <= FLUSH_BURST;
        table.each(&emit.audience, sender, |member| {
            let socket = &member.socket;
            if emit.volatile && !socket.connection().is_writable() {
                return;
            }
            let packet = packet.get_or_insert_with(|| self.codec.event_packet(name, &emit.name, &emit.payload, None));
            outgoing.give(socket, packet, direct);
        });
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
        let pending = PendingAsk { plugin: ask.plugin.clone(), tag: ask.tag.clone() };
        let member = namespace.table.read().socket(ask.socket);
        let noted =
            member.and_then(|m| Some((m.socket.note_ask(pending.clone(), self.asks_pending_max)?, m.socket.clone())));
        match noted {
            Some((id, socket)) => {
                outgoing.give_one(&socket, &self.codec.event_packet(name, &ask.name, &ask.payload, Some(id)));
                followers.asked(socket, id, &ask);
            }
            None => followers.ask_failed(name.clone(), pending),
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
