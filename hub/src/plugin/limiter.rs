//! Limits as errors with a name, and the one on memory.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use wasmtime::{ResourceLimiter, Result};

use crate::store::StoreError;

/// Elements of one table: far beyond what a plugin's function pointers need.
const TABLE_MAX_ELEMENTS: usize = 20_000;

/// A limit was passed. Travels through the guest as a trap.
#[derive(Debug)]
pub struct LimitError {
    pub limit: &'static str,
    pub used: String,
    pub allowed: String,
}

impl LimitError {
    pub fn new(limit: &'static str, used: impl fmt::Display, allowed: impl fmt::Display) -> Self {
        Self { limit, used: used.to_string(), allowed: allowed.to_string() }
    }
}

impl fmt::Display for LimitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} exceeded: used {}, allowed {}", self.limit, self.used, self.allowed)
    }
}

impl std::error::Error for LimitError {}

/// A host function was called where it makes no sense or with what makes none. Travels as a trap too.
#[derive(Debug)]
pub struct Misuse(pub String);

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Misuse {}

/// The store did not do what a guest asked. Travels as a trap too.
#[derive(Debug)]
pub struct StoreFault(pub StoreError);

impl fmt::Display for StoreFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "store: {}", self.0)
    }
}

impl std::error::Error for StoreFault {}

/// Bounds an instance's linear memories, all together.
pub struct MemoryLimiter {
    max_bytes: usize,
    used_bytes: usize,
    /// Of all instances of the plugin.
    all_bytes: Arc<AtomicUsize>,
}

impl MemoryLimiter {
    /// `all_bytes` counts what this instance has for as long as it exists, beside the others.
    pub fn new(max_bytes: usize, all_bytes: Arc<AtomicUsize>) -> Self {
        Self { max_bytes, used_bytes: 0, all_bytes }
    }
}

impl Drop for MemoryLimiter {
    fn drop(&mut self) {
        self.all_bytes.fetch_sub(self.used_bytes, Ordering::Relaxed);
    }
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
        let used = self.used_bytes - current.min(self.used_bytes) + desired;
        if used > self.max_bytes {
            return Err(LimitError::new("memory_max_bytes", used, self.max_bytes).into());
        }
        self.all_bytes.fetch_add(used, Ordering::Relaxed);
        self.all_bytes.fetch_sub(self.used_bytes, Ordering::Relaxed);
        self.used_bytes = used;
        Ok(true)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
        if desired > TABLE_MAX_ELEMENTS {
            return Err(LimitError::new("table elements", desired, TABLE_MAX_ELEMENTS).into());
        }
        Ok(true)
    }
}
