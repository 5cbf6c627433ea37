//! Plugins for the realtime event hub Hubbub.
//!
//! A plugin decides what becomes of the events of Socket.IO clients: it answers, routes, changes, rejects. It is a
//! WebAssembly component, so it can do nothing but what this crate offers.
//!
//! # Your first plugin in 15 lines
//!
//! `Cargo.toml` says `crate-type = ["cdylib", "rlib"]` under `[lib]`, and depends on `hubbub-plugin` and `serde` (with
//! its feature `derive`). `src/lib.rs`:
//!
//! ```
//! use hubbub_plugin::prelude::*;
//!
//! #[derive(Deserialize)]
//! struct Hello {
//!     greeting: String,
//! }
//!
//! impl Plugin for Hello {}
//! impl OnMessage for Hello {
//!     const EVENTS: &'static [&'static str] = &["hello"];
//!
//!     fn on_message(&self, event: &MessageEvent) -> Outcome {
//!         let name: String = event.arg(0)?;
//!         event.ack(json!({ "text": format!("{}, {name}", self.greeting) }))?;
//!         Ok(Pass)
//!     }
//! }
//! hubbub_plugin::export!(Hello: OnMessage);
//!
//! // a test, which needs no hub:
//! let hub = hubbub_plugin::testing::TestHub::new().plugin::<Hello>(json!({ "greeting": "Hello" }));
//! assert_eq!(hub.connect().send("hello", "Ann"), json!({ "text": "Hello, Ann" }));
//! ```
//!
//! `cargo build --target wasm32-wasip2 --release` is the whole build. What it makes goes into a hub's config:
//!
//! ```toml
//! [[plugin]]
//! name = "hello"
//! file = "target/wasm32-wasip2/release/hello.wasm"
//! config = { greeting = "Hello" }
//! ```
//!
//! # How it works
//!
//! - The plugin's struct is read from its config ([`Plugin`]); hooks are traits ([`OnConnect`], [`OnMessage`],
//!   [`OnJoin`], [`OnLeave`], [`OnDisconnect`], [`OnAnswer`]); [`export!`] names those that the component has.
//! - A hook gets the event and returns an [`Outcome`]: [`Pass`], [`Swallow`], a rejection ([`reject`]) or a failure
//!   (`?` on any error).
//! - What a hook does ([`Event::emit`], [`Event::join`], [`MessageEvent::retarget`], ...) is performed when the event's
//!   whole transaction commits, or not at all.
//! - [`testing::TestHub`] runs plugins natively, with sockets, rooms and inboxes.

mod args;
#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod bindings;
mod event;
mod export;
mod host;
mod log;
mod manifest;
mod outcome;
mod plugin;
#[doc(hidden)]
pub mod private;
pub mod store;
mod target;
#[cfg(not(target_family = "wasm"))]
pub mod testing;
mod view;

pub use args::{Args, BAD_REQUEST, IntoArgs};
pub use event::{
    AnswerEvent, AnswerOutcome, ConnectEvent, DisconnectEvent, Event, EventWithArgs, JoinEvent, LeaveEvent,
    MessageEvent, Origin,
};
pub use log::{Level, enabled as log_enabled, write as log_write};
pub use manifest::{ABI, Manifest, SDK_VERSION};
pub use outcome::{Failure, Outcome, Pass, Rejection, Stop, Swallow, Verdict, failure, reject};
pub use plugin::{OnAnswer, OnConnect, OnDisconnect, OnJoin, OnLeave, OnMessage, Plugin, read_config};
pub use serde_json::{self, Value, json};
pub use store::Store;
pub use target::{Target, To};
pub use view::{Credentials, Orders, Rooms};

/// What most plugins use: `use hubbub_plugin::prelude::*;`.
pub mod prelude {
    pub use serde::{Deserialize, Serialize};

    pub use crate::{
        AnswerEvent, AnswerOutcome, Args, ConnectEvent, DisconnectEvent, Failure, IntoArgs, JoinEvent, LeaveEvent,
        MessageEvent, OnAnswer, OnConnect, OnDisconnect, OnJoin, OnLeave, OnMessage, Origin, Outcome, Pass, Plugin,
        Rejection, Stop, Swallow, Target, To, Value, failure, json, reject,
    };
}
