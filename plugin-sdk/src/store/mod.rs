//! Keyed state that outlives a plugin's instances.

pub mod value;

use std::{marker::PhantomData, ops::Range, time::Duration};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    event::Event,
    host,
    outcome::{Failure, failure},
};

/// This plugin's own state in the event's namespace. A plugin that uses it needs the capability `store`.
///
/// Writes are performed when the event's transaction commits, all or none of them: a refused event leaves no trace.
/// Until then this event's own hooks see them and nobody else does. A key (at most 512 bytes) holds a value, a counter,
/// a list or a sorted set, and keeps its kind until it is deleted; asking for another kind is a failure of the plugin.
/// When the store cannot be reached the call ends and the client is told `store_unavailable`.
///
/// ```
/// use hubbub_plugin::{prelude::*, testing::TestHub};
///
/// #[derive(Deserialize)]
/// struct Counter {}
/// impl Plugin for Counter {}
/// impl OnMessage for Counter {
///     fn on_message(&self, event: &MessageEvent) -> Outcome {
///         let id: String = event.arg(0)?;
///         if !event.store().once(&format!("id:{id}"), std::time::Duration::from_secs(60)) {
///             return Ok(Swallow); // the client gets the ack of the first time
///         }
///         let count = event.store().increment("count", 1, None);
///         event.ack(json!({ "count": count }))?;
///         if count > 2 {
///             return Err(reject("full", "that is enough").into());
///         }
///         Ok(Pass)
///     }
/// }
/// hubbub_plugin::export!(Counter: OnMessage);
///
/// let hub = TestHub::new().plugin::<Counter>(json!({}));
/// let ann = hub.connect();
/// assert_eq!(ann.send("count", "a"), json!({ "count": 1 }));
/// assert_eq!(ann.send("count", "b"), json!({ "count": 2 }));
/// assert_eq!(ann.send("count", "a"), json!({ "count": 1 }));
/// assert_eq!(ann.send("count", "c").rejection_code(), Some("full"));
/// assert_eq!(hub.connect().send("count", "c").rejection_code(), Some("full")); // it never became 3
/// ```
#[derive(Debug)]
pub struct Store<'a>(PhantomData<&'a Event>);

fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(value).map_err(|error| failure(format!("a value cannot be kept as JSON: {error}")))
}

fn decode<T: DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(bytes).map_err(|error| failure(format!("what the key `{key}` holds does not fit: {error}")))
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl<'a> Store<'a> {
    pub(crate) fn of(_event: &'a Event) -> Self {
        Self(PhantomData)
    }

    /// The value under a key.
    ///
    /// # Errors
    /// When what is kept there does not fit `T`.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Failure> {
        host::store_get(key).map(|bytes| decode(key, &bytes)).transpose()
    }

    /// Keeps a value, as JSON; for `ttl` or until it is deleted.
    ///
    /// # Errors
    /// When `T` cannot be JSON.
    pub fn set<T: Serialize + ?Sized>(&self, key: &str, value: &T, ttl: Option<Duration>) -> Result<(), Failure> {
        host::store_set(key, &encode(value)?, ttl.map(ms));
        Ok(())
    }

    /// Whatever the key holds is gone.
    pub fn delete(&self, key: &str) {
        host::store_delete(key);
    }

    /// Keeps `new` (`None`: deletes) if the key holds exactly `expected` (`None`: nothing); `false` if it does not.
    /// When somebody else is faster until the commit, the event's chain runs again.
    ///
    /// # Errors
    /// When `T` cannot be JSON.
    pub fn compare_and_set<T: Serialize + ?Sized>(
        &self,
        key: &str,
        expected: Option<&T>,
        new: Option<&T>,
        ttl: Option<Duration>,
    ) -> Result<bool, Failure> {
        let (expected, new) = (expected.map(encode).transpose()?, new.map(encode).transpose()?);
        Ok(host::store_compare_and_set(key, expected.as_deref(), new.as_deref(), ttl.map(ms)))
    }

    /// A counter; 0 when there is none.
    pub fn count(&self, key: &str) -> i64 {
        host::store_count(key)
    }

    /// Adds to a counter and gives what it is then: when somebody else counts meanwhile, the event's chain runs again. Its time to live is that of its first increment.
    pub fn increment(&self, key: &str, by: i64, ttl: Option<Duration>) -> i64 {
        host::store_increment(key, by, ttl.map(ms))
    }

    /// Appends to a list, of which the last `max` items stay.
    ///
    /// # Errors
    /// When `T` cannot be JSON.
    pub fn push<T: Serialize + ?Sized>(&self, key: &str, item: &T, max: u32) -> Result<(), Failure> {
        host::store_push(key, &encode(item)?, max);
        Ok(())
    }

    /// A list, oldest first.
    ///
    /// # Errors
    /// When an item does not fit `T`.
    pub fn items<T: DeserializeOwned>(&self, key: &str) -> Result<Vec<T>, Failure> {
        host::store_items(key).iter().map(|item| decode(key, item)).collect()
    }

    /// Puts a member into a sorted set, or gives it another score; the `max` highest stay.
    ///
    /// # Errors
    /// When `T` cannot be JSON.
    pub fn add<T: Serialize + ?Sized>(&self, key: &str, member: &T, score: u64, max: u32) -> Result<(), Failure> {
        host::store_add(key, &encode(member)?, score, max);
        Ok(())
    }

    /// Takes a member out of a sorted set.
    ///
    /// # Errors
    /// When `T` cannot be JSON.
    pub fn remove<T: Serialize + ?Sized>(&self, key: &str, member: &T) -> Result<(), Failure> {
        host::store_remove(key, &encode(member)?);
        Ok(())
    }

    /// Takes all members with lower scores out of a sorted set.
    pub fn remove_below(&self, key: &str, score: u64) {
        host::store_remove_below(key, score);
    }

    /// The `newest` highest members of a sorted set with scores in `scores`, lowest first.
    ///
    /// # Errors
    /// When a member does not fit `T`.
    pub fn members<T: DeserializeOwned>(
        &self,
        key: &str,
        scores: Range<u64>,
        newest: u32,
    ) -> Result<Vec<(u64, T)>, Failure> {
        let members = host::store_members(key, scores.start, scores.end, newest);
        members.into_iter().map(|(score, member)| Ok((score, decode(key, &member)?))).collect()
    }

    /// Whether this event is the first one with this key within `ttl`. If not, the client's ack is that of the first
    /// time, and the hook should [`Swallow`](crate::Swallow) the event. A refused event was not done.
    pub fn once(&self, key: &str, ttl: Duration) -> bool {
        host::store_once(key, ms(ttl))
    }

    /// Counts one and gives the count of the window so far, which began with its first count. It is performed at once
    /// and stays when the event is refused: for flood limits.
    pub fn meter(&self, key: &str, window: Duration) -> u32 {
        host::store_meter(key, ms(window))
    }

    /// The number of this life of the store, greater in each. Between two of them the last commits may have been lost
    /// though clients had heard of them: a plugin that gives out numbers leaves some out when the epoch is another one
    /// than that of its last number.
    pub fn epoch(&self) -> u64 {
        host::store_epoch()
    }
}
