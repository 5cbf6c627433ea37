//! What an operator grants a plugin, and the limits that hold for it.

use std::{fmt, time::Duration};

use super::names::Names;
use crate::event::Text;

/// A plugin's place in the config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// As the operator calls it; unique.
    pub name: Text,
    /// The plugin's own config as JSON text, handed to its `init`.
    pub config: String,
    pub capabilities: Vec<Capability>,
    pub limits: Limits,
}

/// What a plugin may do beyond looking at its events and acting on their own socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// Says who a socket is.
    Identity,
    /// Sees auth payload, headers and query.
    Credentials,
    /// Acts on other sockets.
    Orders,
    /// Keeps state.
    Store,
}

impl Capability {
    pub const ALL: [Capability; 4] =
        [Capability::Identity, Capability::Credentials, Capability::Orders, Capability::Store];

    /// Its name in config, and that of the interface which needs it.
    pub fn as_str(self) -> &'static str {
        match self {
            Capability::Identity => "identity",
            Capability::Credentials => "credentials",
            Capability::Orders => "orders",
            Capability::Store => "store",
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Limits of one plugin. What passes one ends the call with a failure that names limit, used and allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Time on the CPU in one call, looked at every millisecond.
    pub cpu: Duration,
    /// Time of one call with all its waiting.
    pub wall: Duration,
    /// Both, for `init`.
    pub init: Duration,
    /// Linear memory of one instance.
    pub memory_max_bytes: usize,
    /// Names, arguments and attachments that one call hands to the hub.
    pub output_max_bytes: usize,
    /// Acts of one call.
    pub effects_max: usize,
    /// Log lines of one call; further ones are dropped and counted.
    pub log_lines_max: usize,
    /// Length of a log line; the rest is cut off.
    pub log_line_max_bytes: usize,
    /// Instances, and so calls at one time.
    pub instances_max: usize,
    /// How long a call waits for an instance.
    pub instance_wait: Duration,
    /// The hub's own, the same for all plugins.
    pub names: Names,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            cpu: Duration::from_millis(10),
            wall: Duration::from_secs(2),
            init: Duration::from_secs(1),
            memory_max_bytes: 16 << 20,
            output_max_bytes: 1 << 20,
            effects_max: 1000,
            log_lines_max: 32,
            log_line_max_bytes: 1024,
            instances_max: 64,
            instance_wait: Duration::from_secs(1),
            names: Names::default(),
        }
    }
}
