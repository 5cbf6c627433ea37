//! What went out lately, for clients that come back: each gets all that it missed, or is told that it cannot.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    event::{SocketId, Target, Text},
    gateway::transport::Packet,
};

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of all namespaces; beyond it the oldest goes, and with it the way back for those who missed it.
    pub max_bytes: usize,
    /// How long a packet can be missed: until the loss of a connection is noticed, and the recovery window.
    pub keep: Duration,
    /// What one client may have missed: more than its connection takes at once cannot be sent again.
    pub replay_max_bytes: usize,
}

/// What a packet counts beside its bytes.
const FIXED_BYTES: usize = 160;

/// The number of a packet: they count up, one for each packet that can be missed.
pub type Offset = u64;

/// Packets by whom they went to.
pub struct Log {
    limits: Limits,
    channels: HashMap<Place, Channel>,
    /// Every kept packet, oldest first.
    ages: VecDeque<(Instant, Place)>,
    bytes: usize,
    last: Offset,
}

/// A namespace and one of its rooms, users, sockets, or all of it.
type Place = (Text, Target);

#[derive(Default)]
struct Channel {
    items: VecDeque<Item>,
    /// The last packet that is not kept any more. It stays: a channel in which nothing happens costs nobody the way back.
    dropped: Offset,
    /// Nobody is reached through it: it goes with its last packet.
    is_left: bool,
}

struct Item {
    offset: Offset,
    packet: Arc<Packet>,
    except: Arc<[SocketId]>,
}

impl Item {
    fn bytes(&self) -> usize {
        self.packet.frames().len() + self.except.len() * size_of::<SocketId>() + FIXED_BYTES
    }
}

/// For how long a socket was reached through a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    pub target: Target,
    /// Later packets reached it.
    pub after: Offset,
    /// When it no longer belongs there.
    pub ended: Option<Ended>,
}

/// The end of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Up to this packet the socket was reached.
    pub at: Offset,
    /// The last packet that the channel had then.
    pub last: Offset,
}

impl Log {
    pub fn new(limits: Limits) -> Self {
        Self { limits, channels: HashMap::new(), ages: VecDeque::new(), bytes: 0, last: 0 }
    }

    /// The number of the latest packet.
    pub fn last(&self) -> Offset {
        self.last
    }

    /// The number for a new packet.
    pub fn next(&mut self) -> Offset {
        self.last += 1;
        self.last
    }

    /// Keeps a packet of a channel. Offsets never go back.
    pub fn add(&mut self, place: Place, offset: Offset, packet: Arc<Packet>, except: Arc<[SocketId]>) {
        let now = Instant::now();
        let item = Item { offset, packet, except };
        self.bytes += item.bytes();
        let channel = self.channels.entry(place.clone()).or_default();
        channel.items.push_back(item);
        channel.is_left = false;
        self.ages.push_back((now, place));
        self.trim_at(now);
    }

    /// Drops what is older than anybody may miss.
    pub fn trim(&mut self) {
        self.trim_at(Instant::now());
        if self.ages.capacity() > 1024 && self.ages.len() < self.ages.capacity() / 4 {
            self.ages.shrink_to_fit();
        }
    }

    fn trim_at(&mut self, now: Instant) {
        while let Some((at, place)) = self.ages.front() {
            if self.bytes <= self.limits.max_bytes && now.duration_since(*at) <= self.limits.keep {
                return;
            }
            if let Some(channel) = self.channels.get_mut(place)
                && let Some(item) = channel.items.pop_front()
            {
                channel.dropped = item.offset;
                self.bytes -= item.bytes();
                if channel.items.is_empty() {
                    channel.items = VecDeque::new();
                    if channel.is_left {
                        self.channels.remove(place);
                    }
                }
            }
            self.ages.pop_front();
        }
    }

    /// Nobody is reached through it any more. Those who were a moment ago may still come back for its packets.
    pub fn leave(&mut self, place: &Place) {
        let Some(channel) = self.channels.get_mut(place) else { return };
        channel.is_left = true;
        if channel.items.is_empty() {
            self.channels.remove(place);
        }
    }

    /// The last packet of a channel, 0 before the first.
    pub fn last_of(&self, place: &Place) -> Offset {
        self.channels.get(place).map_or(0, |c| c.items.back().map_or(c.dropped, |item| item.offset))
    }

    /// What `socket` missed after `from`, in the order in which it went out, each packet once. `None`: some of it is not
    /// there any more, or it is too much.
    pub fn missed(
        &self,
        namespace: &Text,
        socket: SocketId,
        from: Offset,
        spans: impl IntoIterator<Item = Span>,
    ) -> Option<Vec<Arc<Packet>>> {
        let mut missed: Vec<(Offset, &Arc<Packet>)> = Vec::new();
        for Span { target, after, ended } in spans {
            let after = after.max(from);
            if ended.is_some_and(|ended| ended.last <= after || ended.at <= after) {
                continue;
            }
            let channel = self.channels.get(&(namespace.clone(), target));
            let Some(channel) = channel else {
                // nothing was ever sent there; of a channel that is gone nobody knows
                if ended.is_some() {
                    return None;
                }
                continue;
            };
            if channel.dropped > after || ended.is_some_and(|ended| channel.has_lost(ended.last)) {
                return None;
            }
            let until = ended.map_or(Offset::MAX, |ended| ended.at);
            let first = channel.items.partition_point(|item| item.offset <= after);
            let items = channel.items.range(first..).take_while(|item| item.offset <= until);
            missed.extend(items.filter(|i| !i.except.contains(&socket)).map(|i| (i.offset, &i.packet)));
        }
        missed.sort_by_key(|(offset, _)| *offset);
        // what went to several rooms of the socket
        missed.dedup_by_key(|(offset, _)| *offset);
        let bytes: usize = missed.iter().map(|(_, packet)| packet.frames().len()).sum();
        (bytes <= self.limits.replay_max_bytes).then(|| missed.into_iter().map(|(_, packet)| packet.clone()).collect())
    }
}

impl Channel {
    fn has_lost(&self, offset: Offset) -> bool {
        self.items.binary_search_by_key(&offset, |item| item.offset).is_err()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(max_bytes: usize) -> Log {
        Log::new(Limits { max_bytes, keep: Duration::from_secs(60), replay_max_bytes: 1000 })
    }

    fn place(room: &str) -> Place {
        ("/".into(), Target::Room(room.into()))
    }

    /// Adds packets to rooms; each packet's text is its offset.
    fn add(log: &mut Log, rooms: &[&str], except: &[SocketId]) -> Offset {
        let offset = log.next();
        let packet = Packet::message(&offset.to_string(), &[]);
        for room in rooms {
            log.add(place(room), offset, packet.clone(), except.into());
        }
        offset
    }

    fn since(room: &str, after: Offset) -> Span {
        Span { target: Target::Room(room.into()), after, ended: None }
    }

    fn until(room: &str, after: Offset, at: Offset, last: Offset) -> Span {
        Span { ended: Some(Ended { at, last }), ..since(room, after) }
    }

    fn missed(log: &Log, from: Offset, spans: &[Span]) -> Option<Vec<String>> {
        let packets = log.missed(&"/".into(), SocketId::random(), from, spans.iter().cloned())?;
        Some(packets.iter().map(|p| String::from_utf8_lossy(&p.frames()[3..]).into_owned()).collect())
    }

    #[test]
    fn what_was_missed_comes_in_order_and_once() {
        let mut log = log(1 << 20);
        for rooms in [&["a"][..], &["b"], &["a", "b"], &["c"], &["a"]] {
            add(&mut log, rooms, &[]);
        }
        let both = [since("a", 0), since("b", 0)];
        assert_eq!(missed(&log, 0, &both).unwrap(), ["1", "2", "3", "5"]);
        assert_eq!(missed(&log, 2, &both).unwrap(), ["3", "5"]);
        assert_eq!(
            missed(&log, 0, &[since("a", 1), since("b", 2)]).unwrap(),
            ["3", "5"],
            "nothing from before it joined"
        );
        assert_eq!(missed(&log, 5, &both).unwrap(), [""; 0]);
        assert_eq!(missed(&log, 0, &[since("quiet", 0)]).unwrap(), [""; 0]);
    }

    #[test]
    fn who_was_left_out_missed_nothing() {
        let mut log = log(1 << 20);
        let (ann, bob) = (SocketId::random(), SocketId::random());
        add(&mut log, &["a"], &[ann]);
        let of = |socket| log.missed(&"/".into(), socket, 0, [since("a", 0)]).map(|packets| packets.len());
        assert_eq!((of(ann), of(bob)), (Some(0), Some(1)));
    }

    #[test]
    fn what_is_dropped_cannot_be_missed_but_a_quiet_room_costs_nobody_the_way_back() {
        let mut log = log(3 * (FIXED_BYTES + 4));
        add(&mut log, &["quiet"], &[]);
        for _ in 0..5 {
            add(&mut log, &["busy"], &[]);
        }
        assert_eq!(missed(&log, 2, &[since("busy", 0)]), None);
        assert_eq!(missed(&log, 3, &[since("busy", 0), since("quiet", 0)]).unwrap(), ["4", "5", "6"]);
        assert_eq!(missed(&log, 0, &[since("quiet", 0)]), None);
        assert_eq!(missed(&log, 0, &[since("quiet", 1)]).unwrap(), [""; 0]);
    }

    #[test]
    fn a_room_that_was_left_gives_what_came_before() {
        let mut log = log(1 << 20);
        for _ in 0..3 {
            add(&mut log, &["a"], &[]);
        }
        let left = until("a", 0, 2, 2);
        assert_eq!(missed(&log, 0, std::slice::from_ref(&left)).unwrap(), ["1", "2"]);
        assert_eq!(missed(&log, 1, std::slice::from_ref(&left)).unwrap(), ["2"]);
        assert_eq!(missed(&log, 2, &[left, since("a", 2)]).unwrap(), ["3"], "it came back");
    }

    #[test]
    fn of_a_room_that_is_gone_nobody_knows_what_was_missed() {
        let mut log = log(FIXED_BYTES + 4);
        add(&mut log, &["a"], &[]);
        let left = [until("a", 0, 1, 1)];
        log.leave(&place("a"));
        assert_eq!(missed(&log, 0, &left).unwrap(), ["1"], "it is kept as long as any packet");
        add(&mut log, &["b"], &[]);
        assert_eq!(missed(&log, 0, &left), None);
        assert_eq!(missed(&log, 1, &left).unwrap(), [""; 0]);
        add(&mut log, &["a"], &[]);
        assert_eq!(missed(&log, 0, &left), None, "a new room of that name does not have it");
        log.leave(&place("b"));
        assert_eq!(log.channels.len(), 1);
    }

    #[test]
    fn more_than_a_connection_takes_is_too_much() {
        let mut log = log(1 << 20);
        for _ in 0..300 {
            add(&mut log, &["a"], &[]);
        }
        assert_eq!(missed(&log, 0, &[since("a", 0)]), None);
        assert_eq!(missed(&log, 200, &[since("a", 0)]).unwrap().len(), 100);
    }

    #[test]
    fn what_is_too_old_goes() {
        let mut log = log(1 << 20);
        log.limits.keep = Duration::ZERO;
        add(&mut log, &["a"], &[]);
        std::thread::sleep(Duration::from_millis(1));
        log.trim();
        assert_eq!((log.bytes, log.ages.len(), missed(&log, 0, &[since("a", 0)])), (0, 0, None));
    }
}
