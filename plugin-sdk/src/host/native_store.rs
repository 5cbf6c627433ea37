//! The store as the test kit plays it: the hub's own semantics over a table in memory.

use crate::{
    store::value::{Op, OpError, Record},
    testing::call::{Call, with},
};

fn read<T>(key: &str, take: impl FnOnce(Record) -> Result<T, OpError>) -> Option<T> {
    with(|call| {
        call.check_store_key(key);
        match call.store.read(&call.store_key(key), &call.changes).and_then(|r| r.map(take).transpose()) {
            Ok(found) => found,
            Err(error) => {
                call.misuse(format!("store: {error}"));
                None
            }
        }
    })
}

fn write(key: &str, op: Op) {
    with(|call: &mut Call| {
        call.check_store_key(key);
        let key = call.store_key(key);
        call.changes.writes.push((key.clone(), op));
        if let Err(error) = call.store.read(&key, &call.changes) {
            call.misuse(format!("store: {error}"));
        }
    });
}

pub(crate) fn store_get(key: &str) -> Option<Vec<u8>> {
    read(key, Record::into_bytes)
}

pub(crate) fn store_set(key: &str, value: &[u8], ttl_ms: Option<u64>) {
    write(key, Op::Set { value: value.into(), ttl_ms });
}

pub(crate) fn store_delete(key: &str) {
    write(key, Op::Delete);
}

pub(crate) fn store_compare_and_set(
    key: &str,
    expected: Option<&[u8]>,
    new: Option<&[u8]>,
    ttl_ms: Option<u64>,
) -> bool {
    if store_get(key).as_deref() != expected {
        return false;
    }
    write(key, Op::CompareAndSet { expected: expected.map(Into::into), new: new.map(Into::into), ttl_ms });
    true
}

pub(crate) fn store_count(key: &str) -> i64 {
    read(key, Record::into_counter).unwrap_or(0)
}

pub(crate) fn store_increment(key: &str, by: i64, ttl_ms: Option<u64>) -> i64 {
    write(key, Op::Increment { by, expected: store_count(key), ttl_ms });
    store_count(key)
}

pub(crate) fn store_push(key: &str, item: &[u8], max: u32) {
    write(key, Op::Push { item: item.into(), max });
}

pub(crate) fn store_items(key: &str) -> Vec<Vec<u8>> {
    read(key, Record::into_list).unwrap_or_default()
}

pub(crate) fn store_add(key: &str, member: &[u8], score: u64, max: u32) {
    write(key, Op::Add { member: member.into(), score, max });
}

pub(crate) fn store_remove(key: &str, member: &[u8]) {
    write(key, Op::Remove { member: member.into() });
}

pub(crate) fn store_remove_below(key: &str, score: u64) {
    write(key, Op::RemoveBelow { score });
}

pub(crate) fn store_members(key: &str, from: u64, before: u64, newest: u32) -> Vec<(u64, Vec<u8>)> {
    let mut members = read(key, Record::into_sorted).unwrap_or_default();
    members.retain(|(score, _)| (from..before).contains(score));
    members.drain(..members.len().saturating_sub(newest as usize));
    members
}

pub(crate) fn store_once(key: &str, ttl_ms: u64) -> bool {
    with(|call| {
        call.check_store_key(key);
        let key = call.store_key(key);
        call.once(key, ttl_ms)
    })
}

pub(crate) fn store_meter(key: &str, window_ms: u64) -> u32 {
    with(|call| {
        call.check_store_key(key);
        let key = call.store_key(key);
        call.store.meter(key, window_ms)
    })
}

pub(crate) fn store_epoch() -> u64 {
    with(|call| call.store.epoch())
}
