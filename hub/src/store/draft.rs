//! What a transaction would write, and what it therefore reads.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;

use super::{Key, Op, OpError, Record, Store, StoreError, Write, apply};
use crate::event::{Payload, now_ms};

/// Keys whose first reading a transaction remembers: what it has read stays as it was, until the commit finds out.
const READS_KEPT: usize = 64;

/// The writes of a transaction so far. Nothing of it is performed before the commit.
#[derive(Clone)]
pub struct Draft {
    pub store: Arc<dyn Store>,
    pub changes: Changes,
    reads: Vec<(Key, Option<Record>)>,
    /// What this event has metered in earlier tries, which must not count again.
    metered: Arc<Mutex<HashMap<Key, Vec<u32>>>>,
    /// How often it has metered in this one.
    metered_now: HashMap<Key, usize>,
}

/// Writes in their order, and what must happen once only.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    pub writes: Vec<Write>,
    pub onces: Vec<Once>,
}

/// The event must be the first one with this key; the client's ack is kept under it.
#[derive(Clone, Debug)]
pub struct Once {
    pub key: Key,
    pub ttl_ms: u64,
}

impl Changes {
    pub fn len(&self) -> usize {
        self.writes.len() + self.onces.len()
    }

    pub fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.onces.is_empty()
    }

    /// Takes over what came after.
    pub fn append(&mut self, mut later: Changes) {
        self.writes.append(&mut later.writes);
        self.onces.append(&mut later.onces);
    }

    /// All of it as writes, now that the client's ack is known.
    pub fn into_writes(self, ack: &Payload) -> Vec<Write> {
        let Self { mut writes, onces } = self;
        let kept = (!onces.is_empty()).then(|| encode(ack));
        writes.extend(onces.into_iter().map(|Once { key, ttl_ms }| Write {
            key,
            op: Op::CompareAndSet { expected: None, new: kept.clone(), ttl_ms: Some(ttl_ms) },
        }));
        writes
    }
}

impl Draft {
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            changes: Changes::default(),
            reads: Vec::new(),
            metered: Arc::default(),
            metered_now: HashMap::new(),
        }
    }

    /// What a key holds for a hook that has `later` in mind already.
    pub async fn get(&mut self, key: &Key, later: &Changes) -> Result<Option<Record>, StoreError> {
        let kept = self.kept(key).await?;
        let now = now_ms();
        let writes = self.changes.writes.iter().chain(&later.writes).filter(|write| write.key == *key);
        writes.into_iter().try_fold(kept, |record, write| apply(record, &write.op, now)).map_err(|error| match error {
            // somebody else was faster: the commit will find the same, and the chain runs again
            OpError::Conflict => StoreError::Conflict,
            other => StoreError::Op(other),
        })
    }

    /// Counts one, once for the event however often its chain runs.
    pub async fn meter(&mut self, key: &Key, window_ms: u64) -> Result<u32, StoreError> {
        let nth = self.metered_now.entry(key.clone()).or_default();
        *nth += 1;
        let known = self.metered.lock().get(key).and_then(|counts| counts.get(*nth - 1).copied());
        if let Some(count) = known {
            return Ok(count);
        }
        let count = self.store.meter(key, window_ms).await?;
        self.metered.lock().entry(key.clone()).or_default().push(count);
        Ok(count)
    }

    async fn kept(&mut self, key: &Key) -> Result<Option<Record>, StoreError> {
        if let Some((_, record)) = self.reads.iter().find(|(read, _)| read == key) {
            return Ok(record.clone());
        }
        let record = self.store.get(key).await?;
        if self.reads.len() < READS_KEPT {
            self.reads.push((key.clone(), record.clone()));
        }
        Ok(record)
    }

    /// Whether this very event has said so already.
    pub fn is_first(&self, key: &Key, later: &Changes) -> bool {
        self.changes.onces.iter().chain(&later.onces).any(|once| once.key == *key)
    }

    /// The ack of the event that was the first with this key, if there was one.
    pub async fn first_ack(&mut self, key: &Key) -> Result<Option<Payload>, StoreError> {
        let kept = self.kept(key).await?.map(Record::into_bytes).transpose().map_err(StoreError::Op)?;
        kept.map(|bytes| decode(&bytes)).transpose()
    }
}

fn encode(ack: &Payload) -> Vec<u8> {
    let attachments: Vec<&[u8]> = ack.attachments.iter().map(|a| &**a).collect();
    postcard::to_stdvec(&(&*ack.args, attachments)).unwrap_or_default()
}

fn decode(bytes: &[u8]) -> Result<Payload, StoreError> {
    let (args, attachments): (String, Vec<Vec<u8>>) = postcard::from_bytes(bytes)
        .map_err(|error| StoreError::Unavailable(format!("a kept ack cannot be read: {error}")))?;
    Ok(Payload { args: args.into(), attachments: attachments.into_iter().map(Into::into).collect() })
}
