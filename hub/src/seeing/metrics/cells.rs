//! Counters that many threads add to without getting in each other's way, and histograms of times made of them.
//!
//! Why not the handles of the `metrics` crate: its Prometheus recorder keeps every sample of a histogram, with a reading of
//! the clock, until somebody asks; and a handle that outlives an idle time counts into nothing. These cost two additions on
//! lines of memory that other threads leave alone, and keep a fixed number of bytes.

use std::{
    sync::{
        LazyLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

/// Beyond so many threads some share their cells.
const SHARDS_MAX: usize = 16;
const CELLS_OF_A_LINE: usize = 16;

/// The upper bounds of a histogram's buckets.
pub const BOUNDS: [Duration; 21] = [
    Duration::from_micros(1),
    Duration::from_micros(2),
    Duration::from_micros(5),
    Duration::from_micros(10),
    Duration::from_micros(20),
    Duration::from_micros(50),
    Duration::from_micros(100),
    Duration::from_micros(200),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_millis(2),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(20),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
];

const BUCKETS: usize = BOUNDS.len() + 1;
const SUM: usize = BUCKETS;

/// Two lines of most processors' caches, as they fetch them in pairs.
#[derive(Default)]
#[repr(align(128))]
struct Line([AtomicU64; CELLS_OF_A_LINE]);

/// A fixed number of counters.
pub struct Cells {
    lines: Box<[Line]>,
    lines_of_a_shard: usize,
}

impl Cells {
    /// So many counters, all zero.
    pub fn new(len: usize) -> Self {
        let lines_of_a_shard = len.div_ceil(CELLS_OF_A_LINE);
        Self { lines: (0..lines_of_a_shard * *SHARDS).map(|_| Line::default()).collect(), lines_of_a_shard }
    }

    /// Adds to the counter of this number.
    pub fn add(&self, cell: usize, more: u64) {
        self.cell(mine(), cell).fetch_add(more, Ordering::Relaxed);
    }

    /// What was added so far. What is added meanwhile may be in it or not.
    pub fn sum(&self, cell: usize) -> u64 {
        (0..*SHARDS).map(|shard| self.cell(shard, cell).load(Ordering::Relaxed)).fold(0, u64::wrapping_add)
    }

    fn cell(&self, shard: usize, cell: usize) -> &AtomicU64 {
        &self.lines[shard * self.lines_of_a_shard + cell / CELLS_OF_A_LINE].0[cell % CELLS_OF_A_LINE]
    }
}

/// A histogram of times, and counters beside it.
pub struct Timed {
    cells: Cells,
}

/// What a histogram holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// How many took at most as long as each of `BOUNDS` and longer than the one before; last those beyond.
    pub buckets: [u64; BUCKETS],
    pub sum: Duration,
}

impl Timed {
    /// An empty one with so many counters.
    pub fn new(counters: usize) -> Self {
        Self { cells: Cells::new(BUCKETS + 1 + counters) }
    }

    /// Takes one time up.
    pub fn observe(&self, time: Duration) {
        let bucket = BOUNDS.iter().position(|bound| time <= *bound).unwrap_or(BOUNDS.len());
        self.cells.add(bucket, 1);
        self.cells.add(SUM, time.as_nanos() as u64);
    }

    /// Adds one to a counter.
    pub fn count(&self, counter: usize) {
        self.cells.add(SUM + 1 + counter, 1);
    }

    /// What a counter holds.
    pub fn counted(&self, counter: usize) -> u64 {
        self.cells.sum(SUM + 1 + counter)
    }

    /// All times so far.
    pub fn times(&self) -> Times {
        let buckets = std::array::from_fn(|bucket| self.cells.sum(bucket));
        Times { buckets, sum: Duration::from_nanos(self.cells.sum(SUM)) }
    }
}

impl Times {
    /// How many there were.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

static SHARDS: LazyLock<usize> =
    LazyLock::new(|| thread::available_parallelism().map_or(4, |n| n.get()).clamp(1, SHARDS_MAX));

/// Which shard this thread adds to.
fn mine() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! { static MINE: usize = NEXT.fetch_add(1, Ordering::Relaxed) % *SHARDS; }
    MINE.with(|mine| *mine)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn what_many_threads_add_is_all_there() {
        let cells = Arc::new(Cells::new(40));
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let cells = cells.clone();
                thread::spawn(move || (0..40_000).for_each(|n| cells.add(n % 40, 2)))
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!((0..40).all(|cell| cells.sum(cell) == 16_000));
    }

    #[test]
    fn a_time_is_in_the_first_bucket_that_is_long_enough() {
        let timed = Timed::new(2);
        for (nanos, bucket) in [(0, 0), (1000, 0), (1001, 1), (150_000, 7), (5_000_000_000, 20), (5_000_000_001, 21)] {
            let before = timed.times();
            timed.observe(Duration::from_nanos(nanos));
            let after = timed.times();
            assert_eq!(after.buckets[bucket], before.buckets[bucket] + 1, "{nanos} ns");
            assert_eq!(after.sum - before.sum, Duration::from_nanos(nanos));
        }
        timed.count(1);
        assert_eq!((timed.times().count(), timed.counted(0), timed.counted(1)), (6, 0, 1));
    }
}
