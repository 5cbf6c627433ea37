//! w
pub mod bus;
pub mod event;
pub mod pattern;
pub mod pipeline;
pub mod plugin;
