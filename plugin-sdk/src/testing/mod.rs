//! The test kit: runs plugins natively, without a hub, with the hub's semantics in small.
//!
//! What holds in a [`TestHub`] as in a hub: the order of the chain and of kinds, what may be raised where, rejections
//! that undo everything but what the rejecting call emitted, leaves and disconnects that are facts, acks. What differs:
//! nothing runs in parallel, limits on time and memory are not enforced, every failure is treated as the policy
//! `reject`, a panic in a plugin is a panic of the test, and capabilities are all granted.

pub(crate) mod call;
mod chain;
mod hub;
mod socket;
pub(crate) mod store;
mod transaction;

pub use chain::{Exported, Hooks};
pub use hub::TestHub;
pub use socket::{Ack, Delivery, Handshake, TestSocket};

/// The longest name of an event, a room or a user.
pub(crate) const NAME_MAX_BYTES: usize = 256;
