//! Chains that change while messages flow: a chain whose plugins stamp what passes them, clients that send at a steady pace,
//! and what must hold of everything that they saw.

mod account;
mod chain;
mod load;

pub use account::{Found, Percentiles, Revision, check};
pub use chain::{Chain, toml};
pub use load::{Got, Load, Outcome, ROOM_SIZE, Seen, Stamps};
