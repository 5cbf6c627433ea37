//! Who is in which room of a namespace, as the log has it.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;

use super::{
    list::Grouping,
    log::{Ended, Log, Offset, Span},
};
use crate::{
    event::{Audience, SocketId, Target, Text},
    gateway::{socketio::Socket, transport::Packet},
};

/// Rooms that a socket has left, of which packets may still be on their way when its connection is lost.
const PAST_ROOMS_MAX: usize = 32;

/// A socket in its namespace.
pub struct Member {
    pub socket: Arc<Socket>,
    user: Option<Text>,
    /// The last packet before it came.
    since: Offset,
    /// Where it stands in each of its rooms, in the order of joining.
    slots: Mutex<Vec<Slot>>,
    /// The rooms that it has left, for sockets that may come back.
    past: Mutex<Past>,
    /// The number of the last emit that reached it or left it out.
    stamp: AtomicU64,
}

#[derive(Clone)]
struct Slot {
    room: Text,
    index: usize,
    /// The last packet before it joined.
    since: Offset,
}

/// What a socket was reached through earlier.
#[derive(Clone, Default)]
struct Past {
    spans: Vec<Span>,
    /// Who missed something before this packet cannot be told what.
    forgotten: Offset,
}

impl Member {
    pub fn is_in(&self, room: &str) -> bool {
        self.slots.lock().iter().any(|s| &*s.room == room)
    }

    pub fn user(&self) -> Option<&Text> {
        self.user.as_ref()
    }

    /// Its rooms, in the order of joining.
    pub fn rooms(&self) -> Vec<Text> {
        self.slots.lock().iter().map(|s| s.room.clone()).collect()
    }

    /// What its client missed after `from`; without one, since it came. `None`: nobody knows any more, or it is too much.
    pub fn missed(&self, log: &Log, from: Option<Offset>) -> Option<Vec<Arc<Packet>>> {
        let from = from.unwrap_or_default().max(self.since);
        let past = self.past.lock();
        if from < past.forgotten || from > log.last() {
            return None;
        }
        let own = [Target::Everyone, Target::Socket(self.socket.id())].into_iter();
        let own = own.chain(self.user.clone().map(Target::User));
        let own = own.map(|target| Span { target, after: self.since, ended: None });
        let slots = self.slots.lock();
        let rooms = slots.iter().map(|s| Span { target: Target::Room(s.room.clone()), after: s.since, ended: None });
        let spans = own.chain(rooms).chain(past.spans.iter().cloned());
        log.missed(self.socket.namespace(), self.socket.id(), from, spans)
    }

    /// Notes that it has left a room, whose last packet was `ended.last`.
    fn note_past(&self, slot: Slot, ended: Ended) {
        let mut past = self.past.lock();
        if past.spans.len() == PAST_ROOMS_MAX
            && let Some(Ended { at, .. }) = past.spans.remove(0).ended
        {
            past.forgotten = past.forgotten.max(at);
        }
        past.spans.push(Span { target: Target::Room(slot.room), after: slot.since, ended: Some(ended) });
    }
}

/// The sockets, rooms and users of one namespace. Joining and leaving cost the same in a room of any size.
#[derive(Default)]
pub struct Table {
    sockets: HashMap<SocketId, Arc<Member>>,
    rooms: HashMap<Text, Vec<Arc<Member>>>,
    users: HashMap<Text, Vec<Arc<Member>>>,
    /// Sockets that may come back.
    recoverable: usize,
    /// Numbers emits, so that a socket is reached once however many targets name it.
    emits: AtomicU64,
}

impl Table {
    pub fn len(&self) -> usize {
        self.sockets.len()
    }

    pub fn socket(&self, id: SocketId) -> Option<Arc<Member>> {
        self.sockets.get(&id).cloned()
    }

    pub fn rooms(&self) -> usize {
        self.rooms.len()
    }

    pub fn room_size(&self, room: &str) -> usize {
        self.rooms.get(room).map_or(0, Vec::len)
    }

    pub fn members(&self, room: &str, limit: usize) -> Vec<SocketId> {
        self.rooms.get(room).map_or_else(Vec::new, |m| m.iter().take(limit).map(|m| m.socket.id()).collect())
    }

    /// Visits those in `room` and of `user`; without either, all.
    pub fn matching(&self, room: Option<&str>, user: Option<&str>, mut visit: impl FnMut(&Arc<Member>)) {
        match (room, user) {
            (None, None) => self.sockets.values().for_each(visit),
            (Some(room), None) => self.rooms.get(room).into_iter().flatten().for_each(visit),
            (room, Some(user)) => {
                let theirs = self.users.get(user).into_iter().flatten();
                theirs.filter(|member| room.is_none_or(|room| member.is_in(room))).for_each(&mut visit);
            }
        }
    }

    fn groups(&self, grouping: Grouping) -> &HashMap<Text, Vec<Arc<Member>>> {
        match grouping {
            Grouping::Rooms => &self.rooms,
            Grouping::Users => &self.users,
        }
    }

    pub fn groups_len(&self, grouping: Grouping) -> usize {
        self.groups(grouping).len()
    }

    /// Visits all rooms or users, with how many sockets each has.
    pub fn each_group(&self, grouping: Grouping, mut visit: impl FnMut(&Text, usize)) {
        self.groups(grouping).iter().for_each(|(name, members)| visit(name, members.len()));
    }

    /// `since`: the last packet before it.
    pub fn add(&mut self, socket: Arc<Socket>, user: Option<Text>, since: Offset) -> Arc<Member> {
        let id = socket.id();
        self.recoverable += usize::from(socket.private_id().is_some());
        let member =
            Member { socket, user, since, slots: Mutex::default(), past: Mutex::default(), stamp: AtomicU64::new(0) };
        let member = Arc::new(member);
        self.sockets.insert(id, member.clone());
        if let Some(user) = &member.user {
            self.users.entry(user.clone()).or_default().push(member.clone());
        }
        member
    }

    /// The member's socket has another connection: it stands in all places where the old one stood.
    pub fn replace(&mut self, member: &Arc<Member>, socket: Arc<Socket>) {
        let new = Arc::new(Member {
            socket,
            user: member.user.clone(),
            since: member.since,
            slots: Mutex::new(member.slots.lock().clone()),
            past: Mutex::new(std::mem::take(&mut *member.past.lock())),
            stamp: AtomicU64::new(0),
        });
        for slot in new.slots.lock().iter() {
            if let Some(members) = self.rooms.get_mut(&slot.room) {
                members[slot.index] = new.clone();
            }
        }
        let sockets = member.user.as_ref().and_then(|user| self.users.get_mut(user));
        for theirs in sockets.into_iter().flatten().filter(|theirs| Arc::ptr_eq(theirs, member)) {
            *theirs = new.clone();
        }
        self.sockets.insert(new.socket.id(), new);
    }

    /// Whether any of its sockets may come back after a lost connection.
    pub fn has_recoverable(&self) -> bool {
        self.recoverable > 0
    }

    /// Whether anybody is reached.
    pub fn reaches(&self, target: &Target) -> bool {
        match target {
            Target::Socket(id) => self.sockets.contains_key(id),
            target => self.audience_size(std::slice::from_ref(target)) > 0,
        }
    }

    /// Out of its rooms and the namespace. Gives the rooms it was in, in the order of joining.
    pub fn remove(&mut self, member: &Arc<Member>) -> Vec<Text> {
        let rooms = member.rooms();
        for room in &rooms {
            self.leave(member, room, None);
        }
        if let Some(member) = self.sockets.remove(&member.socket.id()) {
            self.recoverable -= usize::from(member.socket.private_id().is_some());
        }
        if let Some(user) = &member.user
            && let Some(sockets) = self.users.get_mut(user)
        {
            sockets.retain(|m| !Arc::ptr_eq(m, member));
            if sockets.is_empty() {
                self.users.remove(user);
            }
        }
        rooms
    }

    /// `since`: the last packet before it.
    pub fn join(&mut self, member: &Arc<Member>, room: Text, since: Offset) {
        if member.is_in(&room) {
            return;
        }
        let members = self.rooms.entry(room.clone()).or_default();
        let mut slots = member.slots.lock();
        slots.reserve_exact(1);
        slots.push(Slot { room, index: members.len(), since });
        members.push(member.clone());
    }

    /// `ended`: noted for sockets that may come back.
    pub fn leave(&mut self, member: &Arc<Member>, room: &str, ended: Option<Ended>) {
        let slot = {
            let mut slots = member.slots.lock();
            let Some(at) = slots.iter().position(|s| &*s.room == room) else { return };
            slots.remove(at)
        };
        let index = slot.index;
        if let Some(ended) = ended {
            member.note_past(slot, ended);
        }
        let Some(members) = self.rooms.get_mut(room) else { return };
        members.swap_remove(index);
        if let Some(moved) = members.get(index) {
            let mut slots = moved.slots.lock();
            if let Some(theirs) = slots.iter_mut().find(|s| &*s.room == room) {
                theirs.index = index;
            }
        }
        if members.is_empty() {
            self.rooms.remove(room);
        } else if members.capacity() > 4 * members.len() + 16 {
            members.shrink_to(2 * members.len());
        }
    }

    /// At most how many sockets the targets reach.
    pub fn audience_size(&self, to: &[Target]) -> usize {
        to.iter()
            .map(|target| match target {
                Target::Sender | Target::Socket(_) => 1,
                Target::Room(room) => self.room_size(room),
                Target::User(user) => self.users.get(user).map_or(0, Vec::len),
                Target::Everyone => self.len(),
                Target::EventRoom => 0,
            })
            .sum()
    }

    /// Every socket that the audience names, once.
    pub fn each(&self, audience: &Audience, sender: Option<SocketId>, mut reach: impl FnMut(&Arc<Member>)) {
        let number = self.emits.fetch_add(1, Ordering::Relaxed) + 1;
        let is_plain = audience.except.is_empty() && audience.to.len() == 1;
        for id in &audience.except {
            if let Some(member) = self.sockets.get(id) {
                member.stamp.store(number, Ordering::Relaxed);
            }
        }
        let mut once = |member: &Arc<Member>| {
            if is_plain || member.stamp.swap(number, Ordering::Relaxed) != number {
                reach(member);
            }
        };
        let by_id = |id: &SocketId| self.sockets.get(id);
        for target in &audience.to {
            match target {
                Target::Sender => sender.as_ref().and_then(by_id).into_iter().for_each(&mut once),
                Target::Socket(id) => by_id(id).into_iter().for_each(&mut once),
                Target::Room(room) => self.rooms.get(room).into_iter().flatten().for_each(&mut once),
                Target::User(user) => self.users.get(user).into_iter().flatten().for_each(&mut once),
                Target::Everyone => self.sockets.values().for_each(&mut once),
                // resolved at the end of the chain
                Target::EventRoom => {}
            }
        }
    }
}
