//! What scenarios need: a node in this process, the plugins as real components, and a small client.

pub mod admin;
pub mod chain;
pub mod chat;
pub mod client;
pub mod log;
pub mod memory;
pub mod node;
pub mod operator;
pub mod panics;
pub mod plugins;
pub mod process;
pub mod raw;
pub mod script;
pub mod swaps;

pub use client::Client;
pub use node::Node;
pub use operator::Operator;
pub use process::Process;
