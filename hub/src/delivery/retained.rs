//! The last messages of rooms, for those who join later. All the history that the core knows.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, OnceLock},
};

use crate::{
    event::{Payload, Text},
    gateway::{
        socketio::{Codec, Mark},
        transport::Packet,
    },
};

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Messages of one room, whatever plugins ask for.
    pub per_room_max: usize,
    /// All rooms of this node; beyond it the rooms that were silent for longest lose theirs.
    pub max_bytes: usize,
    /// Of one replay, which goes to a client at once: older messages are left out beyond it.
    pub replay_max_bytes: usize,
}

/// What a room and a message of it count beside their texts.
const FIXED_BYTES: usize = 256;

/// A message, and the packet for those whose events carry no offset, encoded once.
pub struct Message {
    name: Text,
    payload: Payload,
    plain: OnceLock<Arc<Packet>>,
}

impl Message {
    pub fn new(name: Text, payload: Payload) -> Arc<Self> {
        Arc::new(Self { name, payload, plain: OnceLock::new() })
    }

    /// The packet that carries this mark.
    pub fn packet(&self, codec: &Codec, namespace: &str, mark: Mark) -> Arc<Packet> {
        match mark {
            Mark::Nothing => self.plain.get_or_init(|| self.encoded(codec, namespace, mark)).clone(),
            mark => self.encoded(codec, namespace, mark),
        }
    }

    fn encoded(&self, codec: &Codec, namespace: &str, mark: Mark) -> Arc<Packet> {
        codec.event_packet(namespace, &self.name, &self.payload, mark)
    }

    fn text_bytes(&self) -> usize {
        self.name.len() + self.payload.len_bytes()
    }

    /// With its packet.
    fn bytes(&self) -> usize {
        2 * self.text_bytes() + FIXED_BYTES
    }
}

/// A namespace and a room in it.
type Place = (Text, Text);

/// Retained messages.
pub struct Retained {
    limits: Limits,
    rooms: HashMap<Place, Room>,
    /// Rooms by the number of their last message.
    by_age: BTreeMap<u64, Place>,
    bytes: usize,
    last: u64,
}

#[derive(Default)]
struct Room {
    messages: VecDeque<Arc<Message>>,
    bytes: usize,
    last: u64,
}

impl Retained {
    pub fn new(limits: Limits) -> Self {
        Self { limits, rooms: HashMap::new(), by_age: BTreeMap::new(), bytes: 0, last: 0 }
    }

    /// Keeps a message among the last `keep` of its room.
    pub fn add(&mut self, namespace: &Text, room: &Text, message: &Arc<Message>, keep: u32) {
        let keep = (keep as usize).min(self.limits.per_room_max);
        if keep == 0 {
            return;
        }
        let place = (namespace.clone(), room.clone());
        let kept = self.rooms.entry(place.clone()).or_default();
        self.bytes -= kept.bytes;
        self.by_age.remove(&kept.last);
        kept.messages.push_back(message.clone());
        if kept.bytes == 0 {
            kept.bytes = 2 * (namespace.len() + room.len()) + FIXED_BYTES;
        }
        kept.bytes += message.bytes();
        while kept.messages.len() > keep {
            kept.bytes -= kept.messages.pop_front().map_or(0, |m| m.bytes());
        }
        self.last += 1;
        kept.last = self.last;
        self.bytes += kept.bytes;
        self.by_age.insert(self.last, place);
        while self.bytes > self.limits.max_bytes {
            let Some((_, oldest)) = self.by_age.pop_first() else { break };
            self.bytes -= self.rooms.remove(&oldest).map_or(0, |room| room.bytes);
        }
    }

    /// The last `n` messages of a room, oldest first.
    pub fn last(&self, namespace: &Text, room: &Text, n: u32) -> Vec<Arc<Message>> {
        let Some(kept) = self.rooms.get(&(namespace.clone(), room.clone())) else { return Vec::new() };
        let mut left = self.limits.replay_max_bytes;
        let fits = |message: &&Arc<Message>| {
            let fits = message.text_bytes() <= left;
            left = left.saturating_sub(message.text_bytes());
            fits
        };
        let mut newest: Vec<_> = kept.messages.iter().rev().take(n as usize).take_while(fits).cloned().collect();
        newest.reverse();
        newest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(name: &str) -> Arc<Message> {
        Message::new(name.into(), Payload::default())
    }

    fn names(retained: &Retained, room: &str, n: u32) -> Vec<String> {
        retained.last(&"/".into(), &room.into(), n).iter().map(|m| m.name.to_string()).collect()
    }

    #[test]
    fn a_room_keeps_its_last_messages() {
        let mut retained = Retained::new(Limits { per_room_max: 3, max_bytes: 10_000, replay_max_bytes: 10_000 });
        for name in ["a", "b", "c", "d", "e"] {
            retained.add(&"/".into(), &"tea".into(), &message(name), 100);
        }
        assert_eq!(names(&retained, "tea", 100), ["c", "d", "e"]);
        assert_eq!(names(&retained, "tea", 2), ["d", "e"]);
        retained.add(&"/".into(), &"tea".into(), &message("f"), 1);
        assert_eq!(names(&retained, "tea", 100), ["f"]);
        assert!(names(&retained, "coffee", 100).is_empty());
    }

    #[test]
    fn rooms_that_are_silent_for_longest_lose_theirs_first() {
        let bytes = 4 * message("a").bytes() + 2 * (2 * (1 + 1) + FIXED_BYTES);
        let mut retained = Retained::new(Limits { per_room_max: 10, max_bytes: bytes, replay_max_bytes: 10_000 });
        for (room, name) in [("1", "a"), ("2", "b"), ("1", "c"), ("3", "d"), ("3", "e")] {
            retained.add(&"/".into(), &room.into(), &message(name), 10);
        }
        assert!(names(&retained, "2", 10).is_empty());
        assert_eq!((names(&retained, "1", 10).len(), names(&retained, "3", 10).len()), (2, 2));
        assert_eq!(retained.bytes, bytes);
        assert_eq!(retained.by_age.len(), retained.rooms.len());
    }
}
