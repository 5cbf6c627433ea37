//! The store of the test kit.

use std::{cell::RefCell, collections::HashMap, rc::Rc};

use super::call::{Call, Step};
use crate::{
    args::Args,
    store::value::{Op, OpError, Record, apply},
};

const KEY_MAX_BYTES: usize = 512;

/// The place of the plugin, the namespace, and the plugin's key.
pub(crate) type Key = (usize, String, String);

/// What is kept, and the clock by which it ends.
#[derive(Clone, Debug, Default)]
pub(crate) struct TestStore {
    table: Rc<RefCell<Table>>,
}

#[derive(Debug, Default)]
struct Table {
    records: HashMap<Key, Record>,
    acks: HashMap<Key, (Args, u64)>,
    meters: HashMap<Key, (u32, u64)>,
    now_ms: u64,
    epoch: u64,
}

/// What a transaction would write.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    pub writes: Vec<(Key, Op)>,
    pub onces: Vec<(Key, u64)>,
}

impl Changes {
    pub(crate) fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.onces.is_empty()
    }

    /// What was added to `earlier`.
    pub(crate) fn since(mut self, earlier: &Changes) -> Self {
        self.writes.drain(..earlier.writes.len());
        self.onces.drain(..earlier.onces.len());
        self
    }
}

impl TestStore {
    pub(crate) fn set_clock(&self, now_ms: u64) {
        self.table.borrow_mut().now_ms = now_ms;
    }

    pub(crate) fn read(&self, key: &Key, changes: &Changes) -> Result<Option<Record>, OpError> {
        let table = self.table.borrow();
        let kept = table.records.get(key).filter(|r| r.is_live(table.now_ms)).cloned();
        let writes = changes.writes.iter().filter(|(k, _)| k == key);
        writes.into_iter().try_fold(kept, |record, (_, op)| apply(record, op, table.now_ms))
    }

    pub(crate) fn commit(&self, changes: Changes, ack: &Args) {
        let mut table = self.table.borrow_mut();
        let now_ms = table.now_ms;
        for (key, op) in changes.writes {
            let record = table.records.remove(&key);
            // it was tried when the hook wrote it, and nobody else writes meanwhile
            if let Ok(Some(record)) = apply(record, &op, now_ms) {
                table.records.insert(key, record);
            }
        }
        for (key, ttl_ms) in changes.onces {
            table.acks.insert(key, (ack.clone(), now_ms.saturating_add(ttl_ms)));
        }
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.table.borrow().epoch
    }

    pub(crate) fn next_epoch(&self) {
        self.table.borrow_mut().epoch += 1;
    }

    pub(crate) fn meter(&self, key: Key, window_ms: u64) -> u32 {
        let mut table = self.table.borrow_mut();
        let now_ms = table.now_ms;
        let (count, ends_ms) = table.meters.entry(key).or_default();
        if *ends_ms <= now_ms {
            (*count, *ends_ms) = (0, now_ms.saturating_add(window_ms));
        }
        *count += 1;
        *count
    }
}

impl Call {
    pub(crate) fn store_key(&self, key: &str) -> Key {
        (self.link, self.socket.namespace.clone(), key.to_owned())
    }

    pub(crate) fn check_store_key(&mut self, key: &str) {
        if key.len() > KEY_MAX_BYTES {
            self.misuse(format!("store key bytes exceeded: used {}, allowed {KEY_MAX_BYTES}", key.len()));
        }
    }

    /// Whether this event is the first one with the key; if not, it has the ack of the first one now.
    pub(crate) fn once(&mut self, key: Key, ttl_ms: u64) -> bool {
        if self.changes.onces.iter().any(|(k, _)| *k == key) {
            return true;
        }
        let first = {
            let table = self.store.table.borrow();
            table.acks.get(&key).filter(|(_, ends_ms)| *ends_ms > table.now_ms).map(|(ack, _)| ack.clone())
        };
        match first {
            Some(ack) => self.steps.push(Step::Ack(ack)),
            None => {
                self.changes.onces.push((key, ttl_ms));
                return true;
            }
        }
        false
    }
}
