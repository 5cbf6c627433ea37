//! Figures as Prometheus reads them.

use metrics::{Key, Label};
use metrics_exporter_prometheus::{LabelSet, formatting};

use super::cells::{BOUNDS, Times};

/// A text of figures, one family after the other.
#[derive(Default)]
pub struct Page {
    text: String,
}

/// What a figure means to whoever reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// Only grows, until the process ends.
    Counter,
    Gauge,
    Histogram,
}

/// The figures of one name.
pub struct Family<'a> {
    text: &'a mut String,
    name: &'static str,
}

/// Names and values of labels. Values may be any text.
pub type Labels<'a> = &'a [(&'static str, &'a str)];

impl Page {
    /// Begins the figures of a name. Each name comes once on a page.
    pub fn family(&mut self, sort: Sort, name: &'static str, help: &str) -> Family<'_> {
        let word = match sort {
            Sort::Counter => "counter",
            Sort::Gauge => "gauge",
            Sort::Histogram => "histogram",
        };
        formatting::write_help_line(&mut self.text, name, None, None, help);
        formatting::write_type_line(&mut self.text, name, None, None, word);
        Family { text: &mut self.text, name }
    }

    /// One counter without labels.
    pub fn counter(&mut self, name: &'static str, help: &str, value: u64) {
        self.family(Sort::Counter, name, help).count(&[], value);
    }

    /// One gauge without labels.
    pub fn gauge(&mut self, name: &'static str, help: &str, value: u64) {
        self.family(Sort::Gauge, name, help).count(&[], value);
    }

    /// The whole text.
    pub fn into_text(self) -> String {
        self.text
    }
}

impl Family<'_> {
    /// A whole number.
    pub fn count(&mut self, labels: Labels<'_>, value: u64) {
        self.line(labels, value);
    }

    /// Any number.
    pub fn number(&mut self, labels: Labels<'_>, value: f64) {
        self.line(labels, value);
    }

    fn line(&mut self, labels: Labels<'_>, value: impl std::fmt::Display) {
        formatting::write_metric_line::<&str, _>(
            self.text,
            self.name,
            None,
            &set(self.name, labels),
            None,
            value,
            None,
        );
    }

    /// A histogram, in seconds.
    pub fn times(&mut self, labels: Labels<'_>, times: &Times) {
        let labels = set(self.name, labels);
        let mut below = 0;
        for (bound, count) in BOUNDS.iter().zip(times.buckets) {
            below += count;
            let bound = ("le", bound.as_secs_f64());
            formatting::write_metric_line(self.text, self.name, Some("bucket"), &labels, Some(bound), below, None);
        }
        let all = times.count();
        let rest = Some(("le", "+Inf"));
        formatting::write_metric_line(self.text, self.name, Some("bucket"), &labels, rest, all, None);
        let sum = times.sum.as_secs_f64();
        formatting::write_metric_line::<&str, _>(self.text, self.name, Some("sum"), &labels, None, sum, None);
        formatting::write_metric_line::<&str, _>(self.text, self.name, Some("count"), &labels, None, all, None);
    }
}

fn set(name: &'static str, labels: Labels<'_>) -> LabelSet {
    let labels: Vec<Label> = labels.iter().map(|(key, value)| Label::new(*key, (*value).to_owned())).collect();
    LabelSet::from_key_and_global(&Key::from_parts(name, labels), &Default::default())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::seeing::metrics::cells::Timed;

    #[test]
    fn a_page_has_families_with_their_labels() {
        let mut page = Page::default();
        page.counter("things_total", "All things.", 7);
        let mut family = page.family(Sort::Gauge, "kinds", "By kind.");
        family.count(&[("kind", "plain")], 1);
        family.number(&[("kind", "with \"quotes\" and \\ and\na line"), ("other", "x")], 0.5);
        assert_eq!(
            page.into_text(),
            "# HELP things_total All things.\n# TYPE things_total counter\nthings_total 7\n\
             # HELP kinds By kind.\n# TYPE kinds gauge\nkinds{kind=\"plain\"} 1\n\
             kinds{kind=\"with \\\"quotes\\\" and \\\\ and\\na line\",other=\"x\"} 0.5\n"
        );
    }

    #[test]
    fn a_histogram_counts_upwards() {
        let timed = Timed::new(0);
        for micros in [1, 3, 3, 10_000_000] {
            timed.observe(Duration::from_micros(micros));
        }
        let mut page = Page::default();
        page.family(Sort::Histogram, "call_seconds", "Calls.").times(&[("p", "x")], &timed.times());
        let text = page.into_text();
        for line in [
            "call_seconds_bucket{p=\"x\",le=\"0.000001\"} 1",
            "call_seconds_bucket{p=\"x\",le=\"0.000002\"} 1",
            "call_seconds_bucket{p=\"x\",le=\"0.000005\"} 3",
            "call_seconds_bucket{p=\"x\",le=\"5\"} 3",
            "call_seconds_bucket{p=\"x\",le=\"+Inf\"} 4",
            "call_seconds_sum{p=\"x\"} 10.000007",
            "call_seconds_count{p=\"x\"} 4",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
    }
}
