//! w
pub mod bus;
pub mod event;
pub mod pipeline;
pub mod plugin;
