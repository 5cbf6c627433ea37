//! What happens, as a stream for each of a few who look on. Who is too slow misses some, is told how many, and holds
//! nobody up.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::{Mutex, RwLock};
use serde::{Serialize, Serializer, ser::SerializeMap};
use tokio::sync::Notify;

/// Records that wait for one subscriber; further ones are dropped and counted.
const QUEUE_MAX: usize = 1024;

/// Records of one sort, and those who want some of them.
pub struct Feed<F, T> {
    shared: Arc<Shared<F, T>>,
}

struct Shared<F, T> {
    /// All that is looked at while nobody looks on.
    count: AtomicUsize,
    followers_max: usize,
    subscribers: RwLock<Vec<Arc<Subscriber<F, T>>>>,
}

struct Subscriber<F, T> {
    filter: F,
    queue: Mutex<Queue<T>>,
    filled: Notify,
}

struct Queue<T> {
    records: VecDeque<Told<T>>,
    /// Dropped since the last record in the queue.
    missed: u64,
}

/// What a subscriber is told, in its order. As JSON: the record itself, or `{"missed":N}`.
#[derive(Debug, PartialEq, Eq)]
pub enum Told<T> {
    Record(Arc<T>),
    /// So many records were dropped here, because they were not fetched in time.
    Missed {
        missed: u64,
    },
}

/// A stream of records, until it is dropped.
pub struct Subscription<F, T> {
    shared: Arc<Shared<F, T>>,
    subscriber: Arc<Subscriber<F, T>>,
}

/// There are subscribers enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("followers_max exceeded: {allowed} look on already")]
pub struct TooMany {
    pub allowed: usize,
}

impl<T> Clone for Told<T> {
    fn clone(&self) -> Self {
        match self {
            Told::Record(record) => Told::Record(record.clone()),
            Told::Missed { missed } => Told::Missed { missed: *missed },
        }
    }
}

impl<T: Serialize> Serialize for Told<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Told::Record(record) => record.as_ref().serialize(serializer),
            Told::Missed { missed } => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("missed", missed)?;
                map.end()
            }
        }
    }
}

impl<F, T> Feed<F, T> {
    /// Nobody looks on yet; at most so many ever do at once.
    pub fn new(followers_max: usize) -> Self {
        let shared = Shared { count: AtomicUsize::new(0), followers_max, subscribers: RwLock::default() };
        Self { shared: Arc::new(shared) }
    }

    /// Whether anybody looks on: one load.
    pub fn is_watched(&self) -> bool {
        self.shared.count.load(Ordering::Relaxed) > 0
    }

    /// Whether anybody's filter says yes.
    pub fn any(&self, wants: impl Fn(&F) -> bool) -> bool {
        self.is_watched() && self.shared.subscribers.read().iter().any(|subscriber| wants(&subscriber.filter))
    }

    /// Hands a record to all whose filters say yes.
    pub fn publish(&self, record: &Arc<T>, wants: impl Fn(&F) -> bool) {
        if !self.is_watched() {
            return;
        }
        for subscriber in self.shared.subscribers.read().iter().filter(|subscriber| wants(&subscriber.filter)) {
            subscriber.queue.lock().push(record);
            subscriber.filled.notify_one();
        }
    }

    /// All records that `filter` lets through, from now on.
    ///
    /// # Errors
    /// When too many look on already.
    pub fn subscribe(&self, filter: F) -> Result<Subscription<F, T>, TooMany> {
        let queue = Mutex::new(Queue { records: VecDeque::new(), missed: 0 });
        let subscriber = Arc::new(Subscriber { filter, queue, filled: Notify::new() });
        let mut subscribers = self.shared.subscribers.write();
        if subscribers.len() >= self.shared.followers_max {
            return Err(TooMany { allowed: self.shared.followers_max });
        }
        subscribers.push(subscriber.clone());
        self.shared.count.store(subscribers.len(), Ordering::Relaxed);
        Ok(Subscription { shared: self.shared.clone(), subscriber })
    }
}

impl<T> Queue<T> {
    fn push(&mut self, record: &Arc<T>) {
        // where something was missed, that is told first
        let places = 1 + usize::from(self.missed > 0);
        if self.records.len() + places > QUEUE_MAX {
            self.missed += 1;
            return;
        }
        if let Some(missed) = self.take_missed() {
            self.records.push_back(missed);
        }
        self.records.push_back(Told::Record(record.clone()));
    }

    fn take_missed(&mut self) -> Option<Told<T>> {
        let missed = std::mem::take(&mut self.missed);
        (missed > 0).then_some(Told::Missed { missed })
    }

    fn pop(&mut self) -> Option<Told<T>> {
        self.records.pop_front().or_else(|| self.take_missed())
    }
}

impl<F, T> Subscription<F, T> {
    /// The next record; waits for one. May be dropped and called again without a loss.
    pub async fn next(&mut self) -> Told<T> {
        loop {
            if let Some(told) = self.subscriber.queue.lock().pop() {
                return told;
            }
            self.subscriber.filled.notified().await;
        }
    }
}

impl<F, T> Drop for Subscription<F, T> {
    fn drop(&mut self) {
        let mut subscribers = self.shared.subscribers.write();
        subscribers.retain(|other| !Arc::ptr_eq(other, &self.subscriber));
        self.shared.count.store(subscribers.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who wants multiples of a number.
    fn publish(feed: &Feed<u64, u64>, numbers: impl IntoIterator<Item = u64>) {
        numbers.into_iter().for_each(|n| feed.publish(&Arc::new(n), |filter| n % filter == 0));
    }

    async fn next(subscription: &mut Subscription<u64, u64>) -> Told<u64> {
        let next = tokio::time::timeout(std::time::Duration::from_secs(20), subscription.next());
        next.await.expect("a record in time")
    }

    #[tokio::test]
    async fn each_gets_what_its_filter_lets_through() {
        let feed = Feed::new(2);
        assert!(!feed.is_watched());
        let (mut twos, mut threes) = (feed.subscribe(2).unwrap(), feed.subscribe(3).unwrap());
        assert!(feed.is_watched() && feed.any(|filter| *filter == 3) && !feed.any(|filter| *filter == 5));
        publish(&feed, 1..=6);
        for n in [2, 4, 6] {
            assert_eq!(next(&mut twos).await, Told::Record(Arc::new(n)));
        }
        for n in [3, 6] {
            assert_eq!(next(&mut threes).await, Told::Record(Arc::new(n)));
        }
        assert!(twos.subscriber.queue.lock().pop().is_none());
    }

    #[tokio::test]
    async fn who_is_too_slow_is_told_how_many_it_missed_and_where() {
        let feed = Feed::new(1);
        let mut all = feed.subscribe(1).unwrap();
        let max = QUEUE_MAX as u64;
        publish(&feed, 0..max + 10);
        for n in 0..100 {
            assert_eq!(next(&mut all).await, Told::Record(Arc::new(n)));
        }
        publish(&feed, [5000]);
        for n in 100..max {
            assert_eq!(next(&mut all).await, Told::Record(Arc::new(n)));
        }
        assert_eq!(next(&mut all).await, Told::Missed { missed: 10 });
        assert_eq!(next(&mut all).await, Told::Record(Arc::new(5000)));
        publish(&feed, 0..max + 3);
        for _ in 0..max {
            next(&mut all).await;
        }
        assert_eq!(next(&mut all).await, Told::Missed { missed: 3 }, "also when nothing comes behind it");
    }

    #[tokio::test]
    async fn subscribers_have_a_limit_and_their_places_come_back() {
        let feed: Feed<u64, u64> = Feed::new(2);
        let first = feed.subscribe(1).unwrap();
        let _second = feed.subscribe(1).unwrap();
        let error = feed.subscribe(1).err().unwrap();
        assert_eq!(error.to_string(), "followers_max exceeded: 2 look on already");
        drop(first);
        let _third = feed.subscribe(1).unwrap();
        drop((_second, _third));
        assert!(!feed.is_watched());
    }

    #[tokio::test]
    async fn one_who_waits_is_woken() {
        let feed = Arc::new(Feed::new(1));
        let mut all = feed.subscribe(1).unwrap();
        let publisher = {
            let feed = feed.clone();
            tokio::spawn(async move {
                tokio::task::yield_now().await;
                publish(&feed, [7]);
            })
        };
        assert_eq!(next(&mut all).await, Told::Record(Arc::new(7)));
        publisher.await.unwrap();
    }

    #[test]
    fn what_is_told_is_a_line_of_json() {
        let told = [Told::Record(Arc::new(5u64)), Told::Missed { missed: 3 }];
        assert_eq!(serde_json::to_string(&told).unwrap(), r#"[5,{"missed":3}]"#);
    }
}
