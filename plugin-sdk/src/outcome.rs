//! How a hook ends: it lets the event pass, swallows it, says no, or fails.

use std::{error::Error, fmt};

use serde::Serialize;

pub use Verdict::{Pass, Swallow};

/// What a hook returns. `?` turns a [`Rejection`] into "the plugin says no", and any error type, as well as a
/// [`Failure`], into "the plugin failed": two different things all the way to the client.
///
/// ```
/// use hubbub_plugin::prelude::*;
///
/// fn decide(text: &str) -> Outcome {
///     if text.is_empty() {
///         return Err(reject("empty", "say something").into());
///     }
///     let number: u32 = text.parse()?; // the plugin fails when this is no number
///     if number == 0 { Ok(Swallow) } else { Ok(Pass) }
/// }
///
/// assert!(matches!(decide("7"), Ok(Pass)));
/// assert!(matches!(decide(""), Err(Stop::Rejected(no)) if no.code() == "empty"));
/// assert!(matches!(decide("x"), Err(Stop::Failed(why)) if why.to_string().contains("invalid digit")));
/// ```
pub type Outcome = Result<Verdict, Stop>;

/// The ways in which a hook ends well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The event goes on to the next plugin, as this one left it.
    Pass,
    /// The event ends here, silently: no further plugin is asked and nothing is performed for it. What the plugins
    /// did so far, this one too, stays. A connect is refused. On a leave or disconnect it has no effect but to discard
    /// this call's acts.
    Swallow,
}

/// Why a hook stopped an event.
#[derive(Debug)]
pub enum Stop {
    /// The plugin said no: everything that the event's root led to is undone, except what this very call emitted, and
    /// what it wrote if the rejection is [keeping writes](Rejection::keeping_writes).
    Rejected(Rejection),
    /// The plugin failed: what this call did is dropped, and the operator's policy decides about the event.
    Failed(Failure),
}

/// A plugin's "no". The client gets it as `{"error":{"code":"rejected","message":M,"reason":{"code":C,"message":M}}}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    code: String,
    message: String,
    data: String,
    keeps_writes: bool,
}

/// Says no: `code` is for programs (stable, like `not_a_member`), `message` for people.
///
/// ```
/// # use hubbub_plugin::prelude::*;
/// let no = reject("muted", "you are muted").data(&json!({ "until": 1700000000 }));
/// assert_eq!(no.code(), "muted");
/// ```
pub fn reject(code: impl Into<String>, message: impl Into<String>) -> Rejection {
    Rejection { code: code.into(), message: message.into(), data: String::new(), keeps_writes: false }
}

impl Rejection {
    /// Gives the client further data, which it finds in `reason.data` (in `connect_error.data` when a connect is
    /// rejected). Data that cannot be JSON, like a map with keys that are no text, is left out.
    pub fn data(mut self, data: &impl Serialize) -> Self {
        self.data = serde_json::to_string(data).unwrap_or_default();
        self
    }

    /// Performs what this very call wrote to the store although it refuses the event: a sanction, a line of a list of
    /// refusals.
    ///
    /// ```
    /// use hubbub_plugin::{prelude::*, testing::TestHub};
    ///
    /// #[derive(Deserialize)]
    /// struct Three {}
    /// impl Plugin for Three {}
    /// impl OnMessage for Three {
    ///     fn on_message(&self, event: &MessageEvent) -> Outcome {
    ///         let tries = event.store().increment("tries", 1, None);
    ///         let no = reject("no", "no");
    ///         Err(if tries < 3 { no.keeping_writes() } else { no }.data(&tries).into())
    ///     }
    /// }
    /// hubbub_plugin::export!(Three: OnMessage);
    ///
    /// let hub = TestHub::new().plugin::<Three>(json!({}));
    /// let ann = hub.connect();
    /// let tries = || ann.send("try", ()).args[0]["error"]["reason"]["data"].clone();
    /// assert_eq!([tries(), tries(), tries(), tries()], [1, 2, 3, 3]);
    /// ```
    pub fn keeping_writes(mut self) -> Self {
        self.keeps_writes = true;
        self
    }

    /// Whether [`keeping_writes`](Self::keeping_writes) was asked for.
    pub fn keeps_writes(&self) -> bool {
        self.keeps_writes
    }

    /// What programs go by.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// What people read.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// JSON text for the client; empty when there is none.
    pub fn data_json(&self) -> &str {
        &self.data
    }
}

/// The plugin failed. The text is for the operator's log; a client sees only that a plugin failed.
#[derive(Clone, PartialEq, Eq)]
pub struct Failure(String);

/// A failure in the plugin's own words.
///
/// ```
/// # use hubbub_plugin::prelude::*;
/// fn on_anything() -> Outcome {
///     let table: Option<u32> = None;
///     let _number = table.ok_or_else(|| failure("the table is empty"))?;
///     Ok(Pass)
/// }
/// assert!(matches!(on_anything(), Err(Stop::Failed(_))));
/// ```
pub fn failure(text: impl Into<String>) -> Failure {
    Failure(text.into())
}

impl Failure {
    /// The error's text and those of its causes.
    pub(crate) fn of(error: &dyn Error) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        Self(text)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl From<Rejection> for Stop {
    fn from(no: Rejection) -> Self {
        Stop::Rejected(no)
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Stop::Failed(failure)
    }
}

impl<E: Error> From<E> for Stop {
    fn from(error: E) -> Self {
        Stop::Failed(Failure::of(&error))
    }
}
