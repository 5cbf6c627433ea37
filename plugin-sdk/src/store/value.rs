//! What a key of the store holds, and what each operation makes of it. Hub, test kit and every backend share this one
//! definition, so that a plugin finds the same semantics wherever it runs.

use serde::{Deserialize, Serialize};

/// What a key holds. A key keeps its kind until it is deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Value {
    Bytes(Vec<u8>),
    Counter(i64),
    /// Oldest first.
    List(Vec<Vec<u8>>),
    /// By score, then by member; each member once.
    Sorted(Vec<(u64, Vec<u8>)>),
}

/// A value and its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub value: Value,
    /// When it is gone, in milliseconds since the Unix epoch.
    pub expires_ms: Option<u64>,
}

/// A change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Whatever was there before; the time to live begins anew.
    Set {
        value: Vec<u8>,
        ttl_ms: Option<u64>,
    },
    Delete,
    /// Counts from 0, only while the count is `expected`: who was told a count can rely on it. The time to live is that
    /// of the first increment.
    Increment {
        by: i64,
        expected: i64,
        ttl_ms: Option<u64>,
    },
    /// Only while the key holds exactly `expected` (`None`: nothing); `new` of `None` deletes it.
    CompareAndSet {
        expected: Option<Vec<u8>>,
        new: Option<Vec<u8>>,
        ttl_ms: Option<u64>,
    },
    /// Appends to a list, of which the last `max` items stay.
    Push {
        item: Vec<u8>,
        max: u32,
    },
    /// Puts a member into a sorted set, or gives it another score; the `max` highest stay.
    Add {
        member: Vec<u8>,
        score: u64,
        max: u32,
    },
    /// Takes a member out of a sorted set.
    Remove {
        member: Vec<u8>,
    },
    /// Takes all members below a score out of a sorted set.
    RemoveBelow {
        score: u64,
    },
}

/// Why an operation does not fit what its key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpError {
    /// The key holds another kind of value.
    WrongKind { holds: &'static str, wants: &'static str },
    /// A compare-and-set found something else.
    Conflict,
    /// The counter would leave the range of 64 bits.
    Overflow,
}

impl std::fmt::Display for OpError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            OpError::WrongKind { holds, wants } => write!(f, "the key holds {holds}, not {wants}: delete it first"),
            OpError::Conflict => f.write_str("the key was changed by somebody else"),
            OpError::Overflow => f.write_str("the counter would leave the range of 64 bits"),
        }
    }
}

impl std::error::Error for OpError {}

impl Value {
    fn kind(&self) -> &'static str {
        match self {
            Value::Bytes(_) => "bytes",
            Value::Counter(_) => "a counter",
            Value::List(_) => "a list",
            Value::Sorted(_) => "a sorted set",
        }
    }
}

impl Record {
    /// Whether it is still there at `now_ms`.
    pub fn is_live(&self, now_ms: u64) -> bool {
        self.expires_ms.is_none_or(|end| end > now_ms)
    }

    /// Takes the value as bytes.
    pub fn into_bytes(self) -> Result<Vec<u8>, OpError> {
        match self.value {
            Value::Bytes(bytes) => Ok(bytes),
            other => Err(OpError::WrongKind { holds: other.kind(), wants: "bytes" }),
        }
    }

    /// Takes the value as a counter.
    pub fn into_counter(self) -> Result<i64, OpError> {
        match self.value {
            Value::Counter(count) => Ok(count),
            other => Err(OpError::WrongKind { holds: other.kind(), wants: "a counter" }),
        }
    }

    /// Takes the value as a list, oldest first.
    pub fn into_list(self) -> Result<Vec<Vec<u8>>, OpError> {
        match self.value {
            Value::List(items) => Ok(items),
            other => Err(OpError::WrongKind { holds: other.kind(), wants: "a list" }),
        }
    }

    /// Takes the value as a sorted set, lowest score first.
    pub fn into_sorted(self) -> Result<Vec<(u64, Vec<u8>)>, OpError> {
        match self.value {
            Value::Sorted(members) => Ok(members),
            other => Err(OpError::WrongKind { holds: other.kind(), wants: "a sorted set" }),
        }
    }
}

/// What `op` makes of what a key holds; `None` is a key that holds nothing. An expired record counts as nothing.
pub fn apply(record: Option<Record>, op: &Op, now_ms: u64) -> Result<Option<Record>, OpError> {
    let old = record.filter(|r| r.is_live(now_ms));
    let end = |ttl_ms: &Option<u64>| ttl_ms.map(|ttl| now_ms.saturating_add(ttl));
    match op {
        Op::Set { value, ttl_ms } => Ok(Some(Record { value: Value::Bytes(value.clone()), expires_ms: end(ttl_ms) })),
        Op::Delete => Ok(None),
        Op::Increment { by, expected, ttl_ms } => {
            let expires_ms = old.as_ref().map_or_else(|| end(ttl_ms), |r| r.expires_ms);
            let count = old.map_or(Ok(0), Record::into_counter)?;
            if count != *expected {
                return Err(OpError::Conflict);
            }
            let value = Value::Counter(count.checked_add(*by).ok_or(OpError::Overflow)?);
            Ok(Some(Record { value, expires_ms }))
        }
        Op::CompareAndSet { expected, new, ttl_ms } => {
            if old.map(Record::into_bytes).transpose()? != *expected {
                return Err(OpError::Conflict);
            }
            let set = |value: &Vec<u8>| Record { value: Value::Bytes(value.clone()), expires_ms: end(ttl_ms) };
            Ok(new.as_ref().map(set))
        }
        Op::Push { item, max } => {
            let expires_ms = old.as_ref().and_then(|r| r.expires_ms);
            let mut items = old.map_or_else(|| Ok(Vec::new()), Record::into_list)?;
            items.push(item.clone());
            let surplus = items.len().saturating_sub(*max as usize);
            items.drain(..surplus);
            Ok((!items.is_empty()).then_some(Record { value: Value::List(items), expires_ms }))
        }
        Op::Add { member, score, max } => change_sorted(old, |members| {
            members.retain(|(_, m)| m != member);
            let place = members.partition_point(|(s, m)| (s, m) < (score, member));
            members.insert(place, (*score, member.clone()));
            let surplus = members.len().saturating_sub(*max as usize);
            members.drain(..surplus);
        }),
        Op::Remove { member } => change_sorted(old, |members| members.retain(|(_, m)| m != member)),
        Op::RemoveBelow { score } => change_sorted(old, |members| members.retain(|(s, _)| s >= score)),
    }
}

fn change_sorted(
    old: Option<Record>,
    change: impl FnOnce(&mut Vec<(u64, Vec<u8>)>),
) -> Result<Option<Record>, OpError> {
    let expires_ms = old.as_ref().and_then(|r| r.expires_ms);
    let mut members = old.map_or_else(|| Ok(Vec::new()), Record::into_sorted)?;
    change(&mut members);
    Ok((!members.is_empty()).then_some(Record { value: Value::Sorted(members), expires_ms }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(ops: &[Op]) -> Result<Option<Record>, OpError> {
        ops.iter().try_fold(None, |record, op| apply(record, op, 1000))
    }

    fn set(value: &str, ttl_ms: Option<u64>) -> Op {
        Op::Set { value: value.into(), ttl_ms }
    }

    #[test]
    fn an_expired_record_is_nothing() {
        let record = apply(None, &set("a", Some(50)), 1000).unwrap();
        assert!(record.as_ref().unwrap().is_live(1049));
        let op = Op::CompareAndSet { expected: None, new: Some("b".into()), ttl_ms: None };
        assert_eq!(apply(record.clone(), &op, 1049), Err(OpError::Conflict));
        assert_eq!(apply(record, &op, 1050).unwrap().unwrap().into_bytes().unwrap(), b"b");
    }

    #[test]
    fn a_counter_keeps_the_end_of_its_first_increment() {
        let op = |expected| Op::Increment { by: 2, expected, ttl_ms: Some(100) };
        let first = apply(None, &op(0), 1000).unwrap();
        assert_eq!(apply(first.clone(), &op(0), 1050), Err(OpError::Conflict));
        let second = apply(first, &op(2), 1050).unwrap().unwrap();
        assert_eq!((second.expires_ms, second.into_counter()), (Some(1100), Ok(4)));
        let add = |by, expected| Op::Increment { by, expected, ttl_ms: None };
        let edge = [add(i64::MAX, 0), add(1, i64::MAX)];
        assert_eq!(all(&edge), Err(OpError::Overflow));
    }

    #[test]
    fn a_list_keeps_its_last_items() {
        let push = |item: &str| Op::Push { item: item.into(), max: 2 };
        let record = all(&[push("a"), push("b"), push("c")]).unwrap().unwrap();
        assert_eq!(record.into_list().unwrap(), [b"b", b"c"]);
        assert_eq!(all(&[Op::Push { item: "a".into(), max: 0 }]), Ok(None));
    }

    #[test]
    fn a_sorted_set_holds_each_member_once_and_keeps_the_highest() {
        let add = |member: &str, score| Op::Add { member: member.into(), score, max: 2 };
        let record = all(&[add("a", 5), add("b", 3), add("a", 1), add("c", 9)]).unwrap().unwrap();
        assert_eq!(record.into_sorted().unwrap(), [(3, b"b".to_vec()), (9, b"c".to_vec())]);
        let emptied = [add("a", 5), Op::RemoveBelow { score: 6 }];
        assert_eq!(all(&emptied), Ok(None));
        assert_eq!(all(&[add("a", 5), Op::Remove { member: "a".into() }]), Ok(None));
    }

    #[test]
    fn a_key_keeps_its_kind() {
        let wrong = OpError::WrongKind { holds: "bytes", wants: "a counter" };
        assert_eq!(all(&[set("a", None), Op::Increment { by: 1, expected: 0, ttl_ms: None }]), Err(wrong));
        assert_eq!(wrong.to_string(), "the key holds bytes, not a counter: delete it first");
        assert!(all(&[set("a", None), Op::Delete, Op::Increment { by: 1, expected: 0, ttl_ms: None }]).is_ok());
    }
}
