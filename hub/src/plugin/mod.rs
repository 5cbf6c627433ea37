//! The plugin engine: the only place that knows wasmtime.

mod abi;
mod actions;
pub mod artifact;
pub mod cache;
mod code;
mod cpu;

mod engine;
mod explain;
mod host;
mod instance;
mod limiter;
mod loaded;
pub mod names;
pub mod settings;
mod stdio;
mod store;

pub use code::Code;
pub use engine::{Engine, EngineSettings, LoadError, TAKEOVER_INSTANCES, Usage};
pub use loaded::WasmPlugin;
