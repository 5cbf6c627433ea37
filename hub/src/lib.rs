//! Hubbub, a realtime event hub: clients speak Socket.IO, WebAssembly plugins decide what becomes of what they say.
//!
//! [`run`] is a whole node: the binary and the tests start the very same one.

pub mod admin;
pub mod bus;
pub mod cli;
pub mod config;
pub mod delivery;
mod durable;
pub mod event;
pub mod gateway;
pub mod node;
pub mod pattern;
pub mod pipeline;
pub mod plugin;
pub mod registry;
pub mod rollout;
mod run;
pub mod seeing;
pub mod signature;
pub mod store;

pub use run::{Inside, Listeners, load_plugin, run, run_seen};
