//! What must hold of everything that clients saw while revisions came and went: nothing lost, doubled or out of order,
//! and each message as one revision makes it.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    time::Instant,
};

use anyhow::{Context, ensure};

use super::load::{Got, Outcome, ROOM_SIZE, Seen, Stamps, is_for_room};

/// A revision as its chain stamps messages.
#[derive(Clone, Debug)]
pub struct Revision {
    pub number: u64,
    /// In the order of the chain.
    pub stamps: Vec<String>,
    /// When it was in force, as whoever asked for it was told.
    pub active: Instant,
}

/// What was found.
#[derive(Clone, Copy, Debug, Default)]
pub struct Found {
    pub sent: usize,
    pub delivered: usize,
    /// Revisions of which a message was seen.
    pub revisions: usize,
}

/// Of times in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Percentiles {
    pub count: usize,
    pub p50: u64,
    pub p99: u64,
    pub max: u64,
}

impl Percentiles {
    pub fn of(mut micros: Vec<u64>) -> Self {
        micros.sort_unstable();
        let at = |percent: usize| micros.get(micros.len() * percent / 100).copied().unwrap_or(0);
        Self { count: micros.len(), p50: at(50), p99: at(99), max: micros.last().copied().unwrap_or(0) }
    }
}

impl fmt::Display for Percentiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |micros: u64| micros as f64 / 1000.0;
        let (p50, p99, max) = (ms(self.p50), ms(self.p99), ms(self.max));
        write!(f, "p50 {p50:.1} ms, p99 {p99:.1} ms, max {max:.1} ms of {}", self.count)
    }
}

/// Checks all of it.
///
/// # Errors
/// With the first thing that is wrong.
pub fn check(outcome: &Outcome, revisions: &[Revision]) -> anyhow::Result<Found> {
    let revisions = Revisions::new(outcome, revisions);
    let mut found = Found::default();
    let mut used = HashSet::new();
    for (sender, seen) in outcome.seen.iter().enumerate() {
        found.sent += seen.sent.len();
        found.delivered += seen.got.len();
        own(sender, seen).with_context(|| format!("client {sender}"))?;
        let first = sender / ROOM_SIZE * ROOM_SIZE;
        let mates = first..(first + ROOM_SIZE).min(outcome.seen.len());
        let room: Vec<_> = in_room(seen).map(|got| (got.sender, got.number, got.stamps)).collect();
        let first: Vec<_> = in_room(&outcome.seen[first]).map(|got| (got.sender, got.number, got.stamps)).collect();
        ensure!(room == first, "client {sender} and the first of its room saw different messages, or another order");
        for mate in mates {
            let of_mate = in_room(seen).filter(|got| got.sender == mate).map(|got| got.number);
            let sent = (0..outcome.seen[mate].sent.len() as u32).filter(|number| is_for_room(*number));
            ensure!(of_mate.eq(sent), "client {sender} did not get the messages of {mate} once each, in order");
        }
        used.extend(revisions.of_sender(sender, seen).with_context(|| format!("client {sender}"))?);
    }
    found.revisions = used.len();
    Ok(found)
}

/// Every message of its own came back once, in the order in which it was sent.
fn own(sender: usize, seen: &Seen) -> anyhow::Result<()> {
    let mut expected = 0;
    for got in seen.got.iter().filter(|got| got.sender == sender) {
        ensure!(got.number == expected, "its message {} came where {expected} should", got.number);
        expected += 1;
    }
    ensure!(expected as usize == seen.sent.len(), "of {} messages {expected} came back", seen.sent.len());
    Ok(())
}

fn in_room(seen: &Seen) -> impl Iterator<Item = &Got> {
    seen.got.iter().filter(|got| is_for_room(got.number))
}

/// Which revisions make which stamps.
struct Revisions<'a> {
    all: &'a [Revision],
    texts: &'a [Vec<String>],
    /// Indexes into `all`, ascending.
    by_stamps: HashMap<Stamps, Vec<usize>>,
}

impl<'a> Revisions<'a> {
    fn new(outcome: &'a Outcome, all: &'a [Revision]) -> Self {
        let by_stamps = outcome.stamps.iter().enumerate().map(|(number, texts)| {
            let fit = all.iter().enumerate().filter(|(_, revision)| revision.stamps == *texts);
            (number as Stamps, fit.map(|(at, _)| at).collect())
        });
        Self { all, texts: &outcome.stamps, by_stamps: by_stamps.collect() }
    }

    /// Each message has the stamps of one revision, which is none older than that of the sender's message before, and
    /// none older than the one that was in force when it was sent.
    fn of_sender(&self, sender: usize, seen: &Seen) -> anyhow::Result<Vec<usize>> {
        let (mut used, mut last, mut in_force) = (Vec::new(), 0, 0);
        for got in seen.got.iter().filter(|got| got.sender == sender) {
            let sent = seen.sent[got.number as usize];
            while self.all.get(in_force + 1).is_some_and(|next| next.active < sent) {
                in_force += 1;
            }
            let fit = &self.by_stamps[&got.stamps];
            let (number, texts) = (got.number, &self.texts[got.stamps as usize]);
            ensure!(!fit.is_empty(), "message {number} has stamps of no one revision: {texts:?}");
            let found = fit.iter().find(|at| **at >= last.max(in_force));
            let found = *found.with_context(|| {
                let (last, in_force) = (self.all[last].number, self.all[in_force].number);
                let fit: Vec<_> = fit.iter().map(|at| self.all[*at].number).collect();
                format!("message {number} has {texts:?} of {fit:?}, after one of {last}, when {in_force} was in force")
            })?;
            if found != last || used.is_empty() {
                used.push(found);
            }
            last = found;
        }
        Ok(used)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Two clients of one room; each message is `(sender, number, stamps)`.
    fn outcome(got: [&[(usize, u32, Stamps)]; 2], sent: [usize; 2]) -> Outcome {
        let begun = Instant::now();
        let seen = got.iter().zip(sent).map(|(got, sent)| Seen {
            sent: (0..sent).map(|n| begun + Duration::from_millis(n as u64)).collect(),
            got: got
                .iter()
                .map(|(sender, number, stamps)| Got { sender: *sender, number: *number, stamps: *stamps, at: begun })
                .collect(),
        });
        let texts = |texts: [&str; 2]| texts.map(str::to_owned).to_vec();
        let stamps = vec![texts(["a1", "b1"]), texts(["b1", "a1"]), texts(["a1", "b2"])];
        Outcome { seen: seen.collect(), stamps }
    }

    fn revisions(active_ms: u64) -> Vec<Revision> {
        let begun = Instant::now();
        let revision = |number: u64, stamps: [&str; 2]| Revision {
            number,
            stamps: stamps.map(str::to_owned).to_vec(),
            active: begun + Duration::from_millis((number - 1) * active_ms),
        };
        vec![revision(1, ["a1", "b1"]), revision(2, ["b1", "a1"]), revision(3, ["a1", "b1"])]
    }

    #[track_caller]
    fn check_wrong(got: [&[(usize, u32, Stamps)]; 2], sent: [usize; 2], expected: &str) {
        let error = check(&outcome(got, sent), &revisions(1000)).expect_err("something is wrong with it");
        assert!(format!("{error:#}").contains(expected), "{error:#}");
    }

    const ROOM: [(usize, u32, Stamps); 2] = [(0, 3, 0), (1, 3, 1)];

    fn own_of(sender: usize, stamps: Stamps) -> Vec<(usize, u32, Stamps)> {
        [&[(sender, 0, 0), (sender, 1, 0), (sender, 2, stamps)], &ROOM[..]].concat()
    }

    #[test]
    fn what_is_right_is_right() {
        let found = check(&outcome([&own_of(0, 0), &own_of(1, 1)], [4, 4]), &revisions(1000)).expect("it is right");
        assert_eq!((found.sent, found.delivered, found.revisions), (8, 10, 2));
    }

    #[test]
    fn each_fault_is_seen() {
        let right = own_of(1, 0);
        check_wrong([&own_of(0, 0)[..4], &right], [4, 4], "did not get the messages of 1");
        check_wrong([&own_of(0, 0)[1..], &right], [4, 4], "its message 1 came where 0 should");
        check_wrong([&own_of(0, 0), &right], [5, 4], "of 5 messages 4 came back");
        check_wrong([&[own_of(0, 0), ROOM.to_vec()].concat(), &right], [4, 4], "its message 3 came where 4 should");
        let swapped = [&own_of(1, 0)[..3], &[ROOM[1], ROOM[0]][..]].concat();
        check_wrong([&own_of(0, 0), &swapped], [4, 4], "another order");
        check_wrong([&own_of(0, 2), &right], [4, 4], "stamps of no one revision");
    }

    #[test]
    fn an_older_revision_than_the_one_in_force_is_seen() {
        let got = outcome([&own_of(0, 1), &own_of(1, 1)], [4, 4]);
        let mut long_ago = revisions(0);
        for revision in &mut long_ago {
            revision.active -= Duration::from_secs(1);
        }
        let error = check(&got, &long_ago).expect_err("revision 2 was over");
        assert!(format!("{error:#}").contains("when 3 was in force"), "{error:#}");
        // b1, a1 is revision 2 alone: what came behind it with a1, b1 is of revision 3, not of 1
        let back = outcome([&[(0, 0, 1), (0, 1, 0), (0, 2, 1)], &[]], [3, 0]);
        let error = check(&back, &revisions(1000)).expect_err("it went back");
        assert!(format!("{error:#}").contains("after one of 3"), "{error:#}");
    }
}
