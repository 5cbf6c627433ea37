//! Who is in which room of a namespace, as the log has it.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;

use crate::{
    event::{Audience, SocketId, Target, Text},
    gateway::socketio::Socket,
};

/// A socket in its namespace.
pub struct Member {
    pub socket: Arc<Socket>,
    user: Option<Text>,
    /// Where it stands in each of its rooms, in the order of joining.
    slots: Mutex<Vec<Slot>>,
    /// The number of the last emit that reached it or left it out.
    stamp: AtomicU64,
}

struct Slot {
    room: Text,
    index: usize,
}

impl Member {
    pub fn is_in(&self, room: &str) -> bool {
        self.slots.lock().iter().any(|s| &*s.room == room)
    }
}

/// The sockets, rooms and users of one namespace. Joining and leaving cost the same in a room of any size.
#[derive(Default)]
pub struct Table {
    sockets: HashMap<SocketId, Arc<Member>>,
    rooms: HashMap<Text, Vec<Arc<Member>>>,
    users: HashMap<Text, Vec<Arc<Member>>>,
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

    pub fn room_size(&self, room: &str) -> usize {
        self.rooms.get(room).map_or(0, Vec::len)
    }

    pub fn members(&self, room: &str, limit: usize) -> Vec<SocketId> {
        self.rooms.get(room).map_or_else(Vec::new, |m| m.iter().take(limit).map(|m| m.socket.id()).collect())
    }

    pub fn add(&mut self, socket: Arc<Socket>, user: Option<Text>) -> Arc<Member> {
        let id = socket.id();
        let member = Arc::new(Member { socket, user, slots: Mutex::default(), stamp: AtomicU64::new(0) });
        self.sockets.insert(id, member.clone());
        if let Some(user) = &member.user {
            self.users.entry(user.clone()).or_default().push(member.clone());
        }
        member
    }

    /// Out of its rooms and the namespace.
    pub fn remove(&mut self, member: &Arc<Member>) {
        let rooms: Vec<Text> = member.slots.lock().iter().map(|s| s.room.clone()).collect();
        for room in rooms {
            self.leave(member, &room);
        }
        self.sockets.remove(&member.socket.id());
        let Some(user) = &member.user else { return };
        if let Some(sockets) = self.users.get_mut(user) {
            sockets.retain(|m| !Arc::ptr_eq(m, member));
            if sockets.is_empty() {
                self.users.remove(user);
            }
        }
    }

    pub fn join(&mut self, member: &Arc<Member>, room: Text) {
        if member.is_in(&room) {
            return;
        }
        let members = self.rooms.entry(room.clone()).or_default();
        let mut slots = member.slots.lock();
        slots.reserve_exact(1);
        slots.push(Slot { room, index: members.len() });
        members.push(member.clone());
    }

    pub fn leave(&mut self, member: &Arc<Member>, room: &str) {
        let slot = {
            let mut slots = member.slots.lock();
            let Some(at) = slots.iter().position(|s| &*s.room == room) else { return };
            slots.remove(at)
        };
        let Some(members) = self.rooms.get_mut(room) else { return };
        members.swap_remove(slot.index);
        if let Some(moved) = members.get(slot.index) {
            let mut slots = moved.slots.lock();
            if let Some(theirs) = slots.iter_mut().find(|s| &*s.room == room) {
                theirs.index = slot.index;
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
