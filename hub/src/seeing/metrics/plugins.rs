//! What plugins do, by plugin, version and hook.

use std::{
    collections::HashMap,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;

use super::{
    cells::Timed,
    page::{Page, Sort},
};
use crate::event::{Kind, Text};

/// Of a version, what stands in a label.
const VERSION_MAX_BYTES: usize = 64;

/// What a plugin made of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Pass,
    /// Passed, with changes to the event.
    Change,
    Swallow,
    Reject,
    /// It failed, for a cause that is counted by its own name.
    Fail(&'static str),
}

impl Verdict {
    /// One word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Change => "change",
            Verdict::Swallow => "swallow",
            Verdict::Reject => "reject",
            Verdict::Fail(_) => "fail",
        }
    }
}

/// The verdicts that have counters; the rest of all calls passed unchanged.
const COUNTED: [&str; 4] = ["change", "swallow", "reject", "fail"];
/// The counter behind those: it was not called.
const QUARANTINED: usize = COUNTED.len();

/// The counters of one plugin in one version. They go on counting over changes of its settings, and end with its last
/// place in a chain.
pub struct PluginMeter {
    hooks: [OnceLock<Hook>; 6],
    quarantines: AtomicU64,
}

struct Hook {
    timed: Timed,
    causes: Mutex<Vec<(&'static str, u64)>>,
}

impl PluginMeter {
    fn new() -> Self {
        Self { hooks: Kind::ALL.map(|_| OnceLock::new()), quarantines: AtomicU64::new(0) }
    }

    /// A call has ended after `took`.
    pub fn called(&self, kind: Kind, took: Duration, verdict: Verdict) {
        let hook = self.hook(kind);
        hook.timed.observe(took);
        match verdict {
            Verdict::Pass => {}
            Verdict::Change => hook.timed.count(0),
            Verdict::Swallow => hook.timed.count(1),
            Verdict::Reject => hook.timed.count(2),
            Verdict::Fail(cause) => {
                hook.timed.count(3);
                let mut causes = hook.causes.lock();
                match causes.iter_mut().find(|(known, _)| *known == cause) {
                    Some((_, count)) => *count += 1,
                    None => causes.push((cause, 1)),
                }
            }
        }
    }

    /// Calls that have ended, of all hooks.
    pub fn calls(&self) -> u64 {
        self.hooks().map(|(_, hook)| hook.timed.times().count()).sum()
    }

    /// It was not called, because it is in quarantine.
    pub fn passed_over(&self, kind: Kind) {
        self.hook(kind).timed.count(QUARANTINED);
    }

    /// A quarantine has begun.
    pub fn quarantined(&self) {
        self.quarantines.fetch_add(1, Ordering::Relaxed);
    }

    /// How often a quarantine began, those behind a probe that failed included.
    pub fn quarantines(&self) -> u64 {
        self.quarantines.load(Ordering::Relaxed)
    }

    fn hook(&self, kind: Kind) -> &Hook {
        self.hooks[kind as usize]
            .get_or_init(|| Hook { timed: Timed::new(COUNTED.len() + 1), causes: Mutex::default() })
    }

    fn hooks(&self) -> impl Iterator<Item = (&'static str, &Hook)> {
        Kind::ALL.into_iter().filter_map(move |kind| Some((kind.hook(), self.hooks[kind as usize].get()?)))
    }
}

/// Of a plugin's version, what labels show.
pub fn version_label(version: &str) -> &str {
    &version[..version.floor_char_boundary(VERSION_MAX_BYTES)]
}

/// All plugins that stand in a chain.
#[derive(Default)]
pub struct Plugins {
    by_name: Mutex<HashMap<(Text, Text), Weak<PluginMeter>>>,
}

impl Plugins {
    /// The counters of a plugin, which may be there already: those of hooks that it has not are never made.
    pub fn meter(&self, plugin: &Text, version: &str, has_hook: impl Fn(Kind) -> bool) -> Arc<PluginMeter> {
        let mut by_name = self.by_name.lock();
        by_name.retain(|_, meter| meter.strong_count() > 0);
        let key = (plugin.clone(), Text::from(version_label(version)));
        let meter = by_name.get(&key).and_then(Weak::upgrade).unwrap_or_else(|| Arc::new(PluginMeter::new()));
        by_name.insert(key, Arc::downgrade(&meter));
        drop(by_name);
        for kind in Kind::ALL.into_iter().filter(|kind| has_hook(*kind)) {
            meter.hook(kind);
        }
        meter
    }

    pub(super) fn write(&self, page: &mut Page) {
        let mut meters: Vec<_> = {
            let by_name = self.by_name.lock();
            by_name.iter().filter_map(|(key, meter)| Some((key.clone(), meter.upgrade()?))).collect()
        };
        meters.sort_by(|(a, _), (b, _)| a.cmp(b));
        let hooks = || {
            meters.iter().flat_map(|((plugin, version), meter)| {
                meter.hooks().map(move |(hook, counts)| {
                    ([("plugin", &**plugin), ("version", &**version), ("hook", hook)], counts)
                })
            })
        };
        let help = "Calls of plugins by what they made of the event; quarantined ones were not made.";
        let mut family = page.family(Sort::Counter, "hubbub_plugin_verdicts_total", help);
        for ([plugin, version, hook], counts) in hooks() {
            let counted: [u64; COUNTED.len()] = std::array::from_fn(|n| counts.timed.counted(n));
            // read behind the others: a call is timed before its verdict is counted
            let calls = counts.timed.times().count();
            let passed = calls.saturating_sub(counted.iter().sum());
            let quarantined = counts.timed.counted(QUARANTINED);
            let words = ["pass"].into_iter().chain(COUNTED).chain(["quarantined"]);
            for (verdict, count) in words.zip([passed].into_iter().chain(counted).chain([quarantined])) {
                family.count(&[plugin, version, hook, ("verdict", verdict)], count);
            }
        }
        let help =
            "Failures of plugins by cause: trap, error, misuse, start, overloaded, store, or the name of a limit.";
        let mut family = page.family(Sort::Counter, "hubbub_plugin_failures_total", help);
        for ([plugin, version, hook], counts) in hooks() {
            for (cause, count) in counts.causes.lock().iter() {
                family.count(&[plugin, version, hook, ("cause", cause)], *count);
            }
        }
        let help = "How long calls of plugins took, with every wait.";
        let mut family = page.family(Sort::Histogram, "hubbub_plugin_call_seconds", help);
        for (labels, counts) in hooks() {
            family.times(&labels, &counts.timed.times());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(plugins: &Plugins) -> String {
        let mut page = Page::default();
        plugins.write(&mut page);
        page.into_text()
    }

    #[track_caller]
    fn check(plugins: &Plugins, line: &str) {
        let text = text(plugins);
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    }

    #[test]
    fn calls_are_counted_by_their_verdicts_and_failures_by_their_causes() {
        let plugins = Plugins::default();
        let meter = plugins.meter(&"p".into(), "1.2.3", |kind| kind == Kind::Message);
        let micros = Duration::from_micros(3);
        for verdict in [Verdict::Pass, Verdict::Pass, Verdict::Change, Verdict::Reject, Verdict::Fail("trap")] {
            meter.called(Kind::Message, micros, verdict);
        }
        meter.called(Kind::Message, micros, Verdict::Fail("trap"));
        meter.called(Kind::Message, micros, Verdict::Fail("cpu_ms"));
        meter.passed_over(Kind::Message);
        let labels = r#"plugin="p",version="1.2.3",hook="on_message""#;
        for (verdict, count) in
            [("pass", 2), ("change", 1), ("swallow", 0), ("reject", 1), ("fail", 3), ("quarantined", 1)]
        {
            check(&plugins, &format!("hubbub_plugin_verdicts_total{{{labels},verdict=\"{verdict}\"}} {count}"));
        }
        check(&plugins, &format!("hubbub_plugin_failures_total{{{labels},cause=\"trap\"}} 2"));
        check(&plugins, &format!("hubbub_plugin_failures_total{{{labels},cause=\"cpu_ms\"}} 1"));
        check(&plugins, &format!("hubbub_plugin_call_seconds_count{{{labels}}} 7"));
        assert!(!text(&plugins).contains("on_join"), "a hook that it has not");
    }

    #[test]
    fn a_plugin_that_is_gone_is_not_told_of_and_one_with_new_settings_counts_on() {
        let plugins = Plugins::default();
        let has = |kind| kind == Kind::Join;
        let old = plugins.meter(&"p".into(), "1.0.0", has);
        old.called(Kind::Join, Duration::ZERO, Verdict::Pass);
        old.quarantined();
        let again = plugins.meter(&"p".into(), "1.0.0", has);
        drop(old);
        assert_eq!(again.quarantines(), 1);
        check(&plugins, r#"hubbub_plugin_call_seconds_count{plugin="p",version="1.0.0",hook="on_join"} 1"#);
        let new = plugins.meter(&"p".into(), "1.1.0", has);
        drop(again);
        assert!(!text(&plugins).contains("1.0.0"), "{}", text(&plugins));
        check(&plugins, r#"hubbub_plugin_call_seconds_count{plugin="p",version="1.1.0",hook="on_join"} 0"#);
        drop(new);
        assert!(!text(&plugins).contains("hook="));
    }

    #[test]
    fn a_version_is_cut() {
        let plugins = Plugins::default();
        let _meter = plugins.meter(&"p".into(), &"1".repeat(10_000), |kind| kind == Kind::Join);
        assert!(text(&plugins).lines().all(|line| line.len() < 300));
    }
}
