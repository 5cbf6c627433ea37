//! What one member of a room received: loss, duplicates, order of each sender, and the order of all.

use std::collections::HashSet;

/// A number so far ahead of the expected one that it cannot be a gap but only a damaged message.
const GAP_MAX: u32 = 1 << 22;

/// What one delivery was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// New, and no earlier message of its sender comes after it (as far as is known now).
    InOrder,
    /// New, but a later message of the same sender came before it.
    Late,
    /// Seen before.
    Duplicate,
    /// Of a sender that has no business in this room, or a number that nobody sent.
    Foreign,
}

/// The record of one member.
#[derive(Debug)]
pub(super) struct Ledger {
    /// For each sender of the room the number that should come next.
    next: Vec<u32>,
    /// Numbers that were skipped and may still come: sender's slot in the upper half.
    missing: HashSet<u64>,
    received: u64,
    hash: u64,
}

impl Ledger {
    /// The ledger of a member of a room with that many senders.
    pub(super) fn new(senders: usize) -> Self {
        Self { next: vec![0; senders], missing: HashSet::new(), received: 0, hash: 0 }
    }

    /// Notes message `number` of the sender with this slot in the room. `None` stands for a foreign sender.
    pub(super) fn record(&mut self, slot: Option<usize>, number: u32) -> Delivery {
        let Some((slot, next)) = slot.and_then(|slot| Some((slot as u64, self.next.get_mut(slot)?))) else {
            return Delivery::Foreign;
        };
        let verdict = if number == *next {
            *next += 1;
            Delivery::InOrder
        } else if number > *next {
            if number - *next > GAP_MAX {
                return Delivery::Foreign;
            }
            self.missing.extend((*next..number).map(|skipped| slot << 32 | u64::from(skipped)));
            *next = number + 1;
            Delivery::InOrder
        } else if self.missing.remove(&(slot << 32 | u64::from(number))) {
            Delivery::Late
        } else {
            return Delivery::Duplicate;
        };
        self.received += 1;
        self.hash = (self.hash.rotate_left(5) ^ (slot << 32 | u64::from(number))).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        verdict
    }

    /// How many of the messages that were sent never came; `sent` says how many the sender with this slot sent.
    pub(super) fn lost(&self, sent: impl Fn(usize) -> u32) -> u64 {
        let tail = |(slot, next): (usize, &u32)| u64::from(sent(slot).saturating_sub(*next));
        self.missing.len() as u64 + self.next.iter().enumerate().map(tail).sum::<u64>()
    }

    /// Equal for two members exactly when both received the same messages in the same order (but for chance, 1 in 2^64).
    pub(super) fn sequence(&self) -> (u64, u64) {
        (self.received, self.hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn play(events: &[(usize, u32)]) -> (Ledger, Vec<Delivery>) {
        let mut ledger = Ledger::new(2);
        let verdicts = events.iter().map(|(slot, number)| ledger.record(Some(*slot), *number)).collect();
        (ledger, verdicts)
    }

    #[test]
    fn each_fault_is_told_from_the_others() {
        use Delivery::*;
        let check = |events: &[(usize, u32)], sent: [u32; 2], expect: &[Delivery], lost| {
            let (ledger, verdicts) = play(events);
            assert_eq!(verdicts, expect, "{events:?}");
            assert_eq!(ledger.lost(|slot| sent[slot]), lost, "{events:?}");
        };
        check(&[(0, 0), (1, 0), (0, 1)], [2, 1], &[InOrder, InOrder, InOrder], 0);
        check(&[(0, 1), (0, 0)], [2, 0], &[InOrder, Late], 0);
        check(&[(0, 0), (0, 0)], [1, 0], &[InOrder, Duplicate], 0);
        check(&[(0, 2), (0, 0), (0, 0)], [3, 0], &[InOrder, Late, Duplicate], 1);
        check(&[(0, 0)], [3, 2], &[InOrder], 4);
        check(&[(7, 0), (0, u32::MAX)], [0, 0], &[Foreign, Foreign], 0);
        check(&[], [0, 0], &[], 0);
    }

    #[test]
    fn sequences_are_equal_only_for_the_same_order() {
        let sequence = |events| play(events).0.sequence();
        assert_eq!(sequence(&[(0, 0), (1, 0)]), sequence(&[(0, 0), (1, 0)]));
        assert_ne!(sequence(&[(0, 0), (1, 0)]), sequence(&[(1, 0), (0, 0)]));
        assert_ne!(sequence(&[(0, 0)]), sequence(&[(0, 0), (0, 1)]));
    }

    #[test]
    fn a_sender_of_another_room_is_foreign() {
        let mut ledger = Ledger::new(1);
        assert_eq!(ledger.record(None, 0), Delivery::Foreign);
        assert_eq!(ledger.sequence().0, 0);
    }
}
