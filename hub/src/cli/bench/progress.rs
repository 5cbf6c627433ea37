//! The progress bar of a run, on standard error.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::Progress;

/// A bar that shows one stage after another, or nothing.
pub(super) struct Bar(ProgressBar);

impl Bar {
    /// A bar as the user asked for it.
    pub(super) fn new(wanted: Progress) -> Self {
        let shown = match wanted {
            Progress::Auto => std::io::stderr().is_terminal(),
            Progress::On => true,
            Progress::Off => false,
        };
        let bar = if shown { ProgressBar::new(0) } else { ProgressBar::hidden() };
        let style = ProgressStyle::with_template("{prefix:>10} [{bar:30}] {msg}");
        bar.set_style(style.expect("the template is a constant and valid").progress_chars("=> "));
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    /// Shows how far a stage has come.
    pub(super) fn show(&self, stage: &'static str, done: u64, total: u64, message: String) {
        self.0.set_prefix(stage);
        self.0.set_length(total);
        self.0.set_position(done);
        self.0.set_message(message);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
