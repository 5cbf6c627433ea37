//! Clients: the Engine.IO transport, and Socket.IO on it.

pub mod socketio;
pub mod transport;
