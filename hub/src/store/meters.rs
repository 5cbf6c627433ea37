//! Counters of the last while, in memory: what they count must be counted also when the event is refused.

use std::collections::HashMap;

use parking_lot::Mutex;

use super::Key;

/// Bounded counters. A window begins with its first count.
pub(super) struct Meters {
    max: usize,
    counts: Mutex<HashMap<Key, Meter>>,
}

struct Meter {
    count: u32,
    ends_ms: u64,
}

impl Meters {
    pub(super) fn new(max: usize) -> Self {
        Self { max, counts: Mutex::default() }
    }

    /// Counts one and gives the count of the window so far. When there are too many meters, those whose window is
    /// over are forgotten, then some of the others: counting may then begin anew, and nothing grows.
    pub(super) fn add(&self, key: &Key, window_ms: u64, now_ms: u64) -> u32 {
        let mut counts = self.counts.lock();
        if let Some(meter) = counts.get_mut(key) {
            if meter.ends_ms <= now_ms {
                *meter = Meter { count: 0, ends_ms: now_ms.saturating_add(window_ms) };
            }
            meter.count = meter.count.saturating_add(1);
            return meter.count;
        }
        if counts.len() >= self.max {
            counts.retain(|_, meter| meter.ends_ms > now_ms);
            let surplus: Vec<Key> = match counts.len() >= self.max {
                true => counts.keys().take(self.max / 16 + 1).cloned().collect(),
                false => Vec::new(),
            };
            for key in &surplus {
                counts.remove(key);
            }
        }
        counts.insert(key.clone(), Meter { count: 1, ends_ms: now_ms.saturating_add(window_ms) });
        1
    }

    /// Forgets all whose keys begin so.
    pub(super) fn forget(&self, prefix: &[u8]) {
        self.counts.lock().retain(|key, _| !key.bytes.starts_with(prefix));
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Scope, *};

    fn key(name: &str) -> Key {
        Key::new(&Scope { plugin: "p".into(), namespace: "/".into() }, name)
    }

    #[test]
    fn a_window_begins_with_its_first_count() {
        let meters = Meters::new(10);
        let counts = [100, 150, 199, 200].map(|now| meters.add(&key("a"), 100, now));
        assert_eq!(counts, [1, 2, 3, 1]);
    }

    #[test]
    fn there_are_never_more_than_allowed() {
        let meters = Meters::new(16);
        for n in 0..1000 {
            assert_eq!(meters.add(&key(&n.to_string()), 1_000_000, 0), 1);
        }
        assert!(meters.counts.lock().len() <= 16);
    }
}
