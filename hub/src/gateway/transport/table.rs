//! A sharded slab: values under keys of eight bytes that name nobody else when they are used again.

use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

const SHARDS: usize = 16;

/// The name of a value in a [`Table`]. Stale once the value is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    index: u32,
    generation: u32,
}

/// Values that are shared, by key.
pub(super) struct Table<T> {
    shards: [Mutex<Shard<T>>; SHARDS],
    next_shard: AtomicUsize,
    len: AtomicUsize,
}

struct Shard<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

impl<T: Clone> Table<T> {
    pub(super) fn new() -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::new(Shard { slots: Vec::new(), free: Vec::new() })),
            next_shard: AtomicUsize::new(0),
            len: AtomicUsize::new(0),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    /// Puts in what `make` builds around its key. `make` must not touch this table.
    pub(super) fn insert_with(&self, make: impl FnOnce(Key) -> T) -> T {
        let shard_index = self.next_shard.fetch_add(1, Ordering::Relaxed) % SHARDS;
        let mut shard = self.shards[shard_index].lock();
        let place = match shard.free.pop() {
            Some(place) => place as usize,
            None => {
                shard.slots.push(Slot { generation: 0, value: None });
                shard.slots.len() - 1
            }
        };
        let slot = &mut shard.slots[place];
        let index = u32::try_from(place * SHARDS + shard_index).expect("no node holds four thousand million values");
        let value = make(Key { index, generation: slot.generation });
        slot.value = Some(value.clone());
        self.len.fetch_add(1, Ordering::AcqRel);
        value
    }

    pub(super) fn get(&self, key: Key) -> Option<T> {
        let (shard, place) = self.place(key);
        let shard = shard.lock();
        let slot = shard.slots.get(place)?;
        (slot.generation == key.generation).then(|| slot.value.clone())?
    }

    /// Takes the value out; `None` when it was taken before.
    pub(super) fn remove(&self, key: Key) -> Option<T> {
        let (shard, place) = self.place(key);
        let mut shard = shard.lock();
        let slot = shard.slots.get_mut(place).filter(|slot| slot.generation == key.generation)?;
        let value = slot.value.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        shard.free.push(place as u32);
        self.len.fetch_sub(1, Ordering::AcqRel);
        Some(value)
    }

    /// Calls `visit` with every value, holding no lock meanwhile. Values put in meanwhile may be left out.
    pub(super) fn for_each(&self, mut visit: impl FnMut(T)) {
        for shard in &self.shards {
            let values: Vec<T> = shard.lock().slots.iter().filter_map(|slot| slot.value.clone()).collect();
            values.into_iter().for_each(&mut visit);
        }
    }

    fn place(&self, key: Key) -> (&Mutex<Shard<T>>, usize) {
        let index = key.index as usize;
        (&self.shards[index % SHARDS], index / SHARDS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_until_removed() {
        let table = Table::new();
        let mut keys = Vec::new();
        for n in 0..100 {
            table.insert_with(|key| {
                keys.push(key);
                n
            });
        }
        assert_eq!(table.len(), 100);
        assert!(keys.iter().zip(0..).all(|(key, n)| table.get(*key) == Some(n)));
        let mut seen = Vec::new();
        table.for_each(|n| seen.push(n));
        seen.sort_unstable();
        assert_eq!(seen, (0..100).collect::<Vec<_>>());
        assert_eq!(table.remove(keys[7]), Some(7));
        assert_eq!((table.get(keys[7]), table.remove(keys[7]), table.len()), (None, None, 99));
    }

    #[test]
    fn a_stale_key_never_names_the_slots_next_owner() {
        let table = Table::new();
        let mut stale = None;
        table.insert_with(|key| {
            stale = Some(key);
            0
        });
        let stale = stale.unwrap();
        table.remove(stale);
        for n in 1..=SHARDS {
            table.insert_with(|_| n);
        }
        assert_eq!(table.get(stale), None);
        assert_eq!(table.remove(stale), None);
        assert_eq!(table.len(), SHARDS);
    }
}
