//! Lines of the plugin's log, which the hub writes to its own. Limited in number and length for each call.

use crate::host;

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

/// Whether anybody would see a line of this level. The macros ask before they format.
pub fn enabled(level: Level) -> bool {
    host::log_enabled(level)
}

/// Writes a line.
pub fn write(level: Level, message: &str) {
    host::log_write(level, message);
}

/// Writes a line of a level to the plugin's log; formats it only when somebody would see it.
///
/// ```
/// # use hubbub_plugin::prelude::*;
/// fn on_message(event: &MessageEvent) -> Outcome {
///     hubbub_plugin::log!(hubbub_plugin::Level::Info, "{} came", event.name());
///     hubbub_plugin::debug!("from {:?}", event.address());
///     Ok(Pass)
/// }
/// ```
#[macro_export]
macro_rules! log {
    ($level:expr, $($text:tt)+) => {
        if $crate::log_enabled($level) {
            $crate::log_write($level, &::std::format!($($text)+));
        }
    };
}

/// [`log!`](crate::log!) at [`Level::Trace`].
#[macro_export]
macro_rules! trace {
    ($($text:tt)+) => { $crate::log!($crate::Level::Trace, $($text)+) };
}

/// [`log!`](crate::log!) at [`Level::Debug`].
#[macro_export]
macro_rules! debug {
    ($($text:tt)+) => { $crate::log!($crate::Level::Debug, $($text)+) };
}

/// [`log!`](crate::log!) at [`Level::Info`].
#[macro_export]
macro_rules! info {
    ($($text:tt)+) => { $crate::log!($crate::Level::Info, $($text)+) };
}

/// [`log!`](crate::log!) at [`Level::Warn`].
#[macro_export]
macro_rules! warn {
    ($($text:tt)+) => { $crate::log!($crate::Level::Warn, $($text)+) };
}

/// [`log!`](crate::log!) at [`Level::Error`].
#[macro_export]
macro_rules! error {
    ($($text:tt)+) => { $crate::log!($crate::Level::Error, $($text)+) };
}
