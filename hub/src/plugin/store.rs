//! The host functions of the capability `store`. What they read goes through the transaction's own writes.

use wasmtime::Result;

use super::{
    abi::imports,
    host::HostState,
    limiter::{LimitError, StoreFault},
};
use crate::{
    pipeline::call::{Call, Step},
    store::{Key, Once, Op, OpError, Record, Scope, StoreError, Write},
};

/// A key as a plugin writes it.
const KEY_MAX_BYTES: usize = 512;

impl HostState {
    fn key(&mut self, key: &str) -> Result<Key> {
        if key.len() > KEY_MAX_BYTES {
            return Err(LimitError::new("store key bytes", key.len(), KEY_MAX_BYTES).into());
        }
        let plugin = (&**self.plugin()).into();
        let namespace = (&*self.call()?.context.namespace).into();
        Ok(Key::new(&Scope { plugin, namespace }, key))
    }

    async fn read(&mut self, key: &str) -> Result<Option<Record>> {
        let key = self.key(key)?;
        let Call { context, acts, .. } = self.call()?;
        Ok(context.draft.get(&key, &acts.changes).await.map_err(StoreFault)?)
    }

    async fn read_as<T>(&mut self, key: &str, take: impl FnOnce(Record) -> Result<T, OpError>) -> Result<Option<T>> {
        let record = self.read(key).await?;
        Ok(record.map(take).transpose().map_err(|error| StoreFault(StoreError::Op(error)))?)
    }

    /// Notes a write, and tries it: one that does not fit what the key holds is the plugin's mistake, in its own call.
    async fn write(&mut self, key: &str, bytes: usize, op: Op) -> Result<()> {
        let write = Write { key: self.key(key)?, op };
        self.count_effect(key.len() + bytes)?;
        self.call()?.acts.changes.writes.push(write);
        self.read(key).await.map(|_| ())
    }
}

impl imports::store::Host for HostState {
    async fn get(&mut self, key: String) -> Result<Option<Vec<u8>>> {
        self.read_as(&key, Record::into_bytes).await
    }

    async fn set(&mut self, key: String, value: Vec<u8>, ttl_ms: Option<u64>) -> Result<()> {
        self.write(&key, value.len(), Op::Set { value, ttl_ms }).await
    }

    async fn delete(&mut self, key: String) -> Result<()> {
        self.write(&key, 0, Op::Delete).await
    }

    async fn compare_and_set(
        &mut self,
        key: String,
        expected: Option<Vec<u8>>,
        new: Option<Vec<u8>>,
        ttl_ms: Option<u64>,
    ) -> Result<bool> {
        if self.read_as(&key, Record::into_bytes).await? != expected {
            return Ok(false);
        }
        let bytes = expected.as_ref().map_or(0, Vec::len) + new.as_ref().map_or(0, Vec::len);
        self.write(&key, bytes, Op::CompareAndSet { expected, new, ttl_ms }).await?;
        Ok(true)
    }

    async fn count(&mut self, key: String) -> Result<i64> {
        Ok(self.read_as(&key, Record::into_counter).await?.unwrap_or(0))
    }

    async fn increment(&mut self, key: String, by: i64, ttl_ms: Option<u64>) -> Result<i64> {
        let expected = self.count(key.clone()).await?;
        self.write(&key, 0, Op::Increment { by, expected, ttl_ms }).await?;
        self.count(key).await
    }

    async fn push(&mut self, key: String, item: Vec<u8>, max: u32) -> Result<()> {
        self.write(&key, item.len(), Op::Push { item, max }).await
    }

    async fn items(&mut self, key: String) -> Result<Vec<Vec<u8>>> {
        Ok(self.read_as(&key, Record::into_list).await?.unwrap_or_default())
    }

    async fn add(&mut self, key: String, member: Vec<u8>, score: u64, max: u32) -> Result<()> {
        self.write(&key, member.len(), Op::Add { member, score, max }).await
    }

    async fn remove(&mut self, key: String, member: Vec<u8>) -> Result<()> {
        self.write(&key, member.len(), Op::Remove { member }).await
    }

    async fn remove_below(&mut self, key: String, score: u64) -> Result<()> {
        self.write(&key, 0, Op::RemoveBelow { score }).await
    }

    async fn members(&mut self, key: String, from: u64, before: u64, newest: u32) -> Result<Vec<(u64, Vec<u8>)>> {
        let mut members = self.read_as(&key, Record::into_sorted).await?.unwrap_or_default();
        members.retain(|(score, _)| (from..before).contains(score));
        members.drain(..members.len().saturating_sub(newest as usize));
        Ok(members)
    }

    async fn once(&mut self, key: String, ttl_ms: u64) -> Result<bool> {
        let once = Once { key: self.key(&key)?, ttl_ms };
        self.count_effect(key.len())?;
        let Call { context, acts, .. } = self.call()?;
        if context.draft.is_first(&once.key, &acts.changes) {
            return Ok(true);
        }
        match context.draft.first_ack(&once.key).await.map_err(StoreFault)? {
            Some(ack) => {
                acts.steps.push(Step::Ack(ack));
                Ok(false)
            }
            None => {
                acts.changes.onces.push(once);
                Ok(true)
            }
        }
    }

    fn epoch(&mut self) -> Result<u64> {
        Ok(self.call()?.context.draft.store.epoch())
    }

    async fn meter(&mut self, key: String, window_ms: u64) -> Result<u32> {
        let key = self.key(&key)?;
        self.count_effect(0)?;
        Ok(self.call()?.context.draft.meter(&key, window_ms).await.map_err(StoreFault)?)
    }
}
