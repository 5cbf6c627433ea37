//! The log: text on a terminal, JSON elsewhere.

use std::io::{self, IsTerminal};

use tracing_subscriber::{EnvFilter, fmt, util::SubscriberInitExt};

use crate::config::{Log, LogFormat};

/// Sends what is logged from now on to standard error. Without a terminal there are no colours.
///
/// # Errors
/// When the process logs already.
pub fn init(log: &Log) -> anyhow::Result<()> {
    let is_terminal = io::stderr().is_terminal();
    let filter = EnvFilter::try_new(&log.level)?;
    let subscriber = fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(is_terminal);
    if is_json(log.format, is_terminal) {
        subscriber.json().flatten_event(true).finish().try_init()?;
    } else {
        subscriber.finish().try_init()?;
    }
    Ok(())
}

fn is_json(format: LogFormat, is_terminal: bool) -> bool {
    match format {
        LogFormat::Auto => !is_terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_auto_asks_for_a_terminal() {
        let check = |format, expected| assert_eq!([false, true].map(|t| is_json(format, t)), expected, "{format:?}");
        check(LogFormat::Auto, [true, false]);
        check(LogFormat::Text, [false, false]);
        check(LogFormat::Json, [true, true]);
    }
}
