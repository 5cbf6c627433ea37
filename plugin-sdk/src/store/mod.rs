//! Keyed state that outlives a plugin's instances.

pub mod value;
