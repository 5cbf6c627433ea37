//! t
mod abi;
