//! One change of the chain, and the chain after it.

use serde_json::{Map, Value};

use crate::registry::Digest;

/// What an operator wants.
#[derive(Clone, Debug)]
pub enum Change {
    /// Puts a file that the registry has into the chain: in the place of the plugin of this name, which keeps its settings
    /// where `written` says nothing; else at the end, or before the plugin named by `before`.
    Push {
        name: String,
        sha256: Digest,
        written: Map<String, Value>,
        before: Option<String>,
    },
    /// Lays settings over those of a plugin, key by key; `null` takes a key away. `config` is replaced whole.
    Configure {
        name: String,
        written: Map<String, Value>,
    },
    /// Turns a plugin on or off.
    Enable {
        name: String,
        enabled: bool,
    },
    Remove {
        name: String,
    },
    /// Before the plugin named; `None`: to the end.
    Move {
        name: String,
        before: Option<String>,
    },
    /// To what an earlier revision was.
    Rollback {
        revision: u64,
    },
}
