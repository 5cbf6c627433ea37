//! What a plugin is: a struct read from its config, and a trait for each hook it has.

use serde::de::DeserializeOwned;

use crate::{
    args::at_path,
    event::{AnswerEvent, ConnectEvent, DisconnectEvent, JoinEvent, LeaveEvent, MessageEvent},
    outcome::Outcome,
};

/// A plugin: a struct that is read from its config, with defaults from it. One is made for each instance; several
/// instances may run at once, so what must outlast an event belongs elsewhere than in its fields.
///
/// ```
/// use hubbub_plugin::prelude::*;
///
/// #[derive(Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Greeter {
///     greeting: String,
/// }
///
/// impl Plugin for Greeter {
///     fn check(&self) -> Result<(), String> {
///         if self.greeting.is_empty() {
///             return Err("`greeting`: must not be empty".into());
///         }
///         Ok(())
///     }
/// }
///
/// let read = hubbub_plugin::read_config::<Greeter>;
/// assert!(read(r#"{"greeting":"Hello"}"#).is_ok());
/// let refused = |json| read(json).err().unwrap();
/// assert_eq!(refused(r#"{"greeting":""}"#), "config: `greeting`: must not be empty");
/// assert_eq!(refused(r#"{"greeting":7}"#), "config: `greeting`: invalid type: integer `7`, expected a string");
/// assert_eq!(refused(r#"{"greeting":"Hi","x":1}"#), "config: `x`: unknown field `x`, expected `greeting`");
/// ```
pub trait Plugin: DeserializeOwned + 'static {
    /// The namespaces whose events it wants, `*` for any run of characters. The operator may narrow them.
    const NAMESPACES: &'static [&'static str] = &["*"];

    /// Checks what serde cannot: ranges, lists that must not be empty, keys that exclude one another. The text names
    /// the key and says what would be right.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

/// Asked when a client connects to a namespace. The client is told only after all plugins have passed it.
pub trait OnConnect: Plugin {
    /// A rejection refuses the client (`connect_error`).
    fn on_connect(&self, event: &ConnectEvent) -> Outcome;
}

/// Asked for each message.
pub trait OnMessage: Plugin {
    /// The names of the messages it wants, `*` for any run of characters. It is not called for others.
    const EVENTS: &'static [&'static str] = &["*"];

    /// A message has no target until some plugin gives it one. The client's ack is, if no plugin answers it,
    /// `{"ok":true}`, and the error `unhandled` when no plugin did anything.
    fn on_message(&self, event: &MessageEvent) -> Outcome;
}

/// Asked when a socket becomes member of a room.
pub trait OnJoin: Plugin {
    /// A rejection undoes the join and all that led to it. What the hook emits to the room reaches the new member, too.
    fn on_join(&self, event: &JoinEvent) -> Outcome;
}

/// Told when a socket leaves a room, also because it disconnects.
pub trait OnLeave: Plugin {
    /// What the hook emits to the room reaches those who stay. The leave is a fact: a rejection has no effect but to
    /// drop this call's acts.
    fn on_leave(&self, event: &LeaveEvent) -> Outcome;
}

/// Told when a socket has left its namespace.
pub trait OnDisconnect: Plugin {
    /// The last event of a socket, and a fact.
    fn on_disconnect(&self, event: &DisconnectEvent) -> Outcome;
}

/// Told what became of this plugin's own asks.
pub trait OnAnswer: Plugin {
    /// Called once for each [`ask`](crate::Event::ask) that was performed, as an event of the socket that was asked.
    fn on_answer(&self, event: &AnswerEvent) -> Outcome;
}

/// Reads and checks a plugin's config. The error names the key, says what is there and what would be right.
///
/// A plugin without keys may be a unit struct.
pub fn read_config<P: Plugin>(json: &str) -> Result<P, String> {
    let json = if json.trim().is_empty() { "{}" } else { json };
    let mut reader = serde_json::Deserializer::from_str(json);
    let plugin: P = match serde_path_to_error::deserialize(&mut reader) {
        Ok(plugin) => plugin,
        Err(error) => match serde_json::from_str("null") {
            // a unit struct has no keys
            Ok(unit) if json.trim() == "{}" => unit,
            _ => return Err(format!("config: {}", at_path(&error.path().to_string(), &error.inner().to_string()))),
        },
    };
    plugin.check().map_err(|fault| format!("config: {fault}"))?;
    Ok(plugin)
}
