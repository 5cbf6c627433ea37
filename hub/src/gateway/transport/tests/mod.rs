//! The transport on real sockets: raw clients against `serve`.

mod app;
mod client;
mod heartbeat;
mod http;
mod limits;
mod listener;
mod order;
mod polling;
mod server;
mod shutdown;
mod upgrade;
mod websocket;

use std::time::Duration;

use super::*;

/// Within this everything that is awaited must happen, also on a busy machine.
const SOON: Duration = Duration::from_secs(10);

/// Awaits something that must happen soon.
#[track_caller]
fn soon<T>(what: &'static str, work: impl Future<Output = T>) -> impl Future<Output = T> {
    let caller = std::panic::Location::caller();
    async move {
        match timeout(SOON, work).await {
            Ok(value) => value,
            Err(_) => panic!("{what} did not come in {SOON:?}, awaited at {caller}"),
        }
    }
}

/// Waits until something holds, giving others their turn meanwhile.
#[track_caller]
fn until(what: &'static str, holds: impl Fn() -> bool) -> impl Future<Output = ()> {
    soon(what, async move {
        while !holds() {
            yield_now().await;
        }
    })
}
