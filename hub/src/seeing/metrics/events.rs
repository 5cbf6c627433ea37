//! What became of events.

use std::time::Duration;

use super::{
    cells::{Cells, Timed},
    page::{Page, Sort},
};
use crate::event::Kind;

/// What can become of a root event: it passed, it was swallowed, or it was refused with one of the hub's codes.
pub const OUTCOMES: [&str; 11] = [
    "passed",
    "swallowed",
    "unhandled",
    "rejected",
    "plugin_failed",
    "overloaded",
    "timeout",
    "limit_exceeded",
    "conflict",
    "store_unavailable",
    "unavailable",
];

/// Counts the events of a node.
pub struct Events {
    by_kind: [Timed; 6],
    /// By kind; those that plugins raised.
    raised: Cells,
    /// By outcome; those that came to nothing behind the chain.
    not_logged: Cells,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            by_kind: Kind::ALL.map(|_| Timed::new(OUTCOMES.len())),
            raised: Cells::new(Kind::ALL.len()),
            not_logged: Cells::new(OUTCOMES.len()),
        }
    }
}

impl Events {
    /// A root event has run down its chain. `outcome` is one of [`OUTCOMES`]; `took` is from its beginning until all that it
    /// led to was known, with every wait.
    pub fn decided(&self, kind: Kind, outcome: &str, took: Duration) {
        let timed = &self.by_kind[kind as usize];
        timed.observe(took);
        if let Some(outcome) = number(outcome) {
            timed.count(outcome);
        }
    }

    /// A plugin has raised an event that runs.
    pub fn raised(&self, kind: Kind) {
        self.raised.add(kind as usize, 1);
    }

    /// What an event had led to was not put on the log: it was refused after all, with this code.
    pub fn not_logged(&self, code: &str) {
        if let Some(outcome) = number(code) {
            self.not_logged.add(outcome, 1);
        }
    }

    pub(super) fn write(&self, page: &mut Page) {
        let kinds = || Kind::ALL.into_iter().zip(&self.by_kind);
        let mut family = page.family(
            Sort::Counter,
            "hubbub_events_total",
            "Events of clients, orders and lost connections, by what their chain made of them: passed, swallowed, or the code of a refusal.",
        );
        for (kind, timed) in kinds() {
            for (n, outcome) in OUTCOMES.iter().enumerate() {
                family.count(&[("kind", kind.name()), ("outcome", outcome)], timed.counted(n));
            }
        }
        let help = "From an event's beginning until all that it led to was known.";
        let mut family = page.family(Sort::Histogram, "hubbub_event_seconds", help);
        for (kind, timed) in kinds() {
            family.times(&[("kind", kind.name())], &timed.times());
        }
        let help = "Events that plugins raised, in the place of others.";
        let mut family = page.family(Sort::Counter, "hubbub_events_raised_total", help);
        for kind in Kind::ALL {
            family.count(&[("kind", kind.name())], self.raised.sum(kind as usize));
        }
        let help = "Events that had gone through their chain and were refused all the same: the bus did not take them, or a publish would have awaited more acks than it may (limit_exceeded).";
        let mut family = page.family(Sort::Counter, "hubbub_events_not_logged_total", help);
        for code in ["overloaded", "unavailable", "limit_exceeded"] {
            family.count(&[("code", code)], number(code).map_or(0, |n| self.not_logged.sum(n)));
        }
    }
}

fn number(outcome: &str) -> Option<usize> {
    OUTCOMES.iter().position(|known| *known == outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_refused_behind_the_chain_is_counted_by_its_code() {
        let events = Events::default();
        events.decided(Kind::Message, "passed", Duration::ZERO);
        for code in ["overloaded", "limit_exceeded", "limit_exceeded"] {
            events.not_logged(code);
        }
        let mut page = Page::default();
        events.write(&mut page);
        let text = page.into_text();
        for (code, count) in [("overloaded", 1), ("unavailable", 0), ("limit_exceeded", 2)] {
            let line = format!("hubbub_events_not_logged_total{{code=\"{code}\"}} {count}");
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
    }
}
