//! The progress of a run, on standard error.

use std::cell::Cell;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::Progress;

/// How often a line is written where a bar cannot be drawn.
const LINE_EVERY: Duration = Duration::from_secs(1);

/// Shows one stage after another: as a bar on a terminal, as lines elsewhere, or not at all.
pub(super) enum Bar {
    Drawn(ProgressBar),
    Lines { written: Cell<Option<(&'static str, Instant)>> },
    Hidden,
}

impl Bar {
    /// A bar as the user asked for it.
    pub(super) fn new(wanted: Progress) -> Self {
        match (wanted, std::io::stderr().is_terminal()) {
            (Progress::Off, _) | (Progress::Auto, false) => Self::Hidden,
            (Progress::On, false) => Self::Lines { written: Cell::new(None) },
            (Progress::Auto | Progress::On, true) => {
                let style = ProgressStyle::with_template("{prefix:>10} [{bar:30}] {msg}");
                let style = style.expect("the template is a constant and valid").progress_chars("=> ");
                Self::Drawn(ProgressBar::new(0).with_style(style))
            }
        }
    }

    /// Shows how far a stage has come.
    pub(super) fn show(&self, stage: &'static str, done: u64, total: u64, message: String) {
        match self {
            Self::Hidden => {}
            Self::Drawn(bar) => {
                bar.set_prefix(stage);
                bar.set_length(total);
                bar.set_position(done);
                bar.set_message(message);
            }
            Self::Lines { written } => {
                let is_due = written.get().is_none_or(|(last, at)| last != stage || at.elapsed() >= LINE_EVERY);
                if is_due {
                    written.set(Some((stage, Instant::now())));
                    eprintln!("{stage}: {message}");
                }
            }
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Self::Drawn(bar) = self {
            bar.finish_and_clear();
        }
    }
}
