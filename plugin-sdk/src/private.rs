//! What [`export!`](crate::export) expands to. No part of the API.

#[cfg(target_family = "wasm")]
pub use crate::bindings;
pub use crate::manifest::Manifest;
#[cfg(target_family = "wasm")]
pub use guest::{Instance, ambient, finish};

/// The first list that holds something.
pub const fn first(lists: &[&'static [&'static str]]) -> &'static [&'static str] {
    let mut at = 0;
    while at < lists.len() {
        if !lists[at].is_empty() {
            return lists[at];
        }
        at += 1;
    }
    &[]
}

#[cfg(target_family = "wasm")]
mod guest {
    use std::cell::OnceCell;

    use crate::{
        host,
        outcome::{Outcome, Stop, Verdict},
        plugin::{Plugin, read_config},
    };

    /// The one plugin value of a component's instance.
    #[derive(Debug)]
    pub struct Instance<P>(OnceCell<P>);

    impl<P: Plugin> Instance<P> {
        #[expect(clippy::new_without_default, reason = "made in const, for a static")]
        pub const fn new() -> Self {
            Self(OnceCell::new())
        }

        /// Reads the config; once.
        pub fn init(&self, config: &str) -> Result<(), String> {
            let plugin = read_config(config)?;
            self.0.set(plugin).map_err(|_| "init was called twice".into())
        }

        pub fn get(&self) -> Result<&P, String> {
            self.0.get().ok_or_else(|| "a hook was called before init".into())
        }
    }

    /// Tells the host how a hook ended.
    pub fn finish(outcome: Outcome) -> Result<(), String> {
        match outcome {
            Ok(Verdict::Pass) => Ok(()),
            Ok(Verdict::Swallow) => {
                host::swallow();
                Ok(())
            }
            Err(Stop::Rejected(no)) => {
                let reject = if no.keeps_writes() { host::reject_and_keep } else { host::reject };
                reject(no.code(), no.message(), no.data_json());
                Ok(())
            }
            Err(Stop::Failed(failure)) => Err(failure.to_string()),
        }
    }

    /// The event of a hook, by the hook's name.
    pub mod ambient {
        use crate::event::{AnswerEvent, ConnectEvent, DisconnectEvent, JoinEvent, LeaveEvent, MessageEvent};

        pub fn on_connect() -> ConnectEvent {
            ConnectEvent::ambient()
        }

        pub fn on_message() -> MessageEvent {
            MessageEvent::ambient()
        }

        pub fn on_join() -> JoinEvent {
            JoinEvent::ambient()
        }

        pub fn on_leave() -> LeaveEvent {
            LeaveEvent::ambient()
        }

        pub fn on_disconnect() -> DisconnectEvent {
            DisconnectEvent::ambient()
        }

        pub fn on_answer() -> AnswerEvent {
            AnswerEvent::ambient()
        }
    }
}
