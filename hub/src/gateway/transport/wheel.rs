//! The timer wheel: one timer for the deadlines of all connections, eight bytes for each.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use parking_lot::Mutex;

use super::table::Key;

/// Slots that the longest deadline is spread over.
const RESOLUTION: u64 = 256;
const TICK_MIN_MS: u64 = 5;
const TICK_MAX_MS: u64 = 250;

/// Keys by the time when their connections are to be looked at. Times are milliseconds since the transport began.
pub(super) struct Wheel {
    tick_ms: u64,
    slots: Box<[Mutex<Vec<Key>>]>,
    /// The last tick whose keys were taken.
    done: AtomicU64,
}

impl Wheel {
    /// A wheel for deadlines of up to `longest`; later ones come back early, to be armed again.
    pub(super) fn new(longest: Duration) -> Self {
        let longest_ms = longest.as_millis() as u64;
        let tick_ms = (longest_ms / RESOLUTION).clamp(TICK_MIN_MS, TICK_MAX_MS);
        let slots = (0..longest_ms / tick_ms + 3).map(|_| Mutex::default()).collect();
        Self { tick_ms, slots, done: AtomicU64::new(0) }
    }

    /// How often [`Wheel::take_due`] is to be called.
    pub(super) fn tick(&self) -> Duration {
        Duration::from_millis(self.tick_ms)
    }

    /// Has `key` taken at the first tick that is not before `at_ms`.
    pub(super) fn arm(&self, key: Key, at_ms: u64) {
        let wanted = at_ms.div_ceil(self.tick_ms);
        loop {
            let done = self.done.load(Ordering::Acquire);
            let tick = wanted.clamp(done + 1, done + self.slots.len() as u64 - 1);
            let mut slot = self.slot(tick).lock();
            // the wheel may have passed this tick since: then its slot's next turn is a whole round away
            if self.done.load(Ordering::Acquire) < tick {
                return slot.push(key);
            }
        }
    }

    /// The keys of the next tick that is over at `now_ms`; `None` when there is none. For one caller.
    pub(super) fn take_due(&self, now_ms: u64) -> Option<Vec<Key>> {
        let tick = self.done.load(Ordering::Acquire) + 1;
        if tick > now_ms / self.tick_ms {
            return None;
        }
        self.done.store(tick, Ordering::Release);
        Some(std::mem::take(&mut *self.slot(tick).lock()))
    }

    fn slot(&self, tick: u64) -> &Mutex<Vec<Key>> {
        &self.slots[(tick % self.slots.len() as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::{super::table::Table, *};

    fn key() -> Key {
        let mut key = None;
        Table::new().insert_with(|k| key = Some(k));
        key.unwrap()
    }

    /// When the wheel, turned every 10 ms from `from`, gives something back.
    fn taken_at(wheel: &Wheel, from: u64) -> u64 {
        (from..)
            .step_by(10)
            .find(|now| std::iter::from_fn(|| wheel.take_due(*now)).any(|keys| !keys.is_empty()))
            .unwrap()
    }

    #[test]
    fn a_key_comes_back_at_its_time_and_not_before() {
        for at in [0, 1, 99, 100, 101, 5_000, 44_999] {
            let wheel = Wheel::new(Duration::from_secs(45));
            wheel.arm(key(), at);
            let taken = taken_at(&wheel, 0);
            assert!(taken >= at && taken <= at + 2 * wheel.tick_ms, "armed for {at}, taken at {taken}");
        }
    }

    #[test]
    fn a_key_beyond_the_wheel_comes_back_early_and_not_at_once() {
        let wheel = Wheel::new(Duration::from_secs(45));
        wheel.arm(key(), 500_000);
        assert!((45_000..46_000).contains(&taken_at(&wheel, 0)));
    }

    #[test]
    fn a_key_that_is_late_comes_at_the_next_tick() {
        let wheel = Wheel::new(Duration::from_secs(45));
        while wheel.take_due(20_000).is_some() {}
        wheel.arm(key(), 3);
        assert!(taken_at(&wheel, 20_000) <= 20_000 + 2 * wheel.tick_ms);
    }
}
