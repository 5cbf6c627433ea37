//! The seam to the hub: the same functions for a guest, where they are the component's imports, and natively, where the
//! test kit plays the hub. Plain functions, no trait object: a component then imports only what its plugin uses, and
//! the hub reads from the imports which capabilities it needs.

#[cfg(not(target_family = "wasm"))]
mod native;
#[cfg(not(target_family = "wasm"))]
mod native_store;
#[cfg(target_family = "wasm")]
mod wasm;

#[cfg(not(target_family = "wasm"))]
pub(crate) use native::*;
#[cfg(not(target_family = "wasm"))]
pub(crate) use native_store::*;
#[cfg(target_family = "wasm")]
pub(crate) use wasm::*;
