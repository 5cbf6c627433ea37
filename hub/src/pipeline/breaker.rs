//! The circuit breaker of a plugin: one that fails again and again is not called for a while. Its policy decides meanwhile,
//! and one real event at a time probes whether it works again.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use crate::seeing::{
    logs::{Level, Voice},
    metrics::PluginMeter,
};

/// When a plugin is put into quarantine, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// So many failures within the window open the breaker; 0: none ever do.
    pub failures: usize,
    /// How many of a hundred calls, from the first of these failures to the last, must have failed: one that works for most
    /// events is no danger. Who finds an event that it fails on cannot turn it off while the others' calls outweigh its own
    /// at that very time (with the default: more than 20 beside its 20). In a quiet hub, or in one quick burst, a single
    /// client can: against that helps a flood limit before the plugin, or `failures` of 0.
    pub failing_percent: u64,
    pub window: Duration,
    /// From the opening until the first probe. Each probe that fails doubles it for the next one.
    pub quarantine: Duration,
    /// What doubling stops at.
    pub quarantine_max: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            failures: 20,
            failing_percent: 50,
            window: Duration::from_secs(10),
            quarantine: Duration::from_secs(30),
            quarantine_max: Duration::from_secs(600),
        }
    }
}

/// Counts a plugin's failures, and says whether it is to be called.
pub struct Breaker {
    voice: Voice,
    /// Counts quarantines: it outlives a change of settings, which makes a new breaker.
    meter: Arc<PluginMeter>,
    settings: Settings,
    /// All that is looked at while the plugin works.
    is_open: AtomicBool,
    state: Mutex<State>,
}

struct State {
    /// When the last failures were, and how many calls there had been; never more than open the breaker.
    failed: VecDeque<(Instant, u64)>,
    /// When the next probe is due, while it is open.
    until: Option<Instant>,
    is_probed: bool,
    /// How long the quarantine is that runs or comes next.
    quarantine: Duration,
}

/// Whether a plugin is called for an event.
pub enum Turn<'a> {
    Call,
    /// Called, and what comes of it decides whether the quarantine ends.
    Probe(Probe<'a>),
    /// Not called.
    Quarantined,
}

/// The one event that probes a plugin. Dropped without an outcome, the next event does.
pub struct Probe<'a> {
    breaker: &'a Breaker,
    is_settled: bool,
}

/// What a breaker does with its plugin now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Calls it.
    Closed,
    /// Does not call it; the next event behind this time probes it. Zero: the next event does.
    Quarantined(Duration),
    /// An event is probing it.
    Probing,
}

impl Status {
    /// Its name in answers and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Closed => "closed",
            Status::Quarantined(_) => "quarantined",
            Status::Probing => "probing",
        }
    }
}

impl Breaker {
    /// A closed one; `voice` says whose it is, and has its alerts among the plugin's lines; `meter` counts them.
    pub fn new(voice: Voice, meter: Arc<PluginMeter>, settings: Settings) -> Self {
        let state = State { failed: VecDeque::new(), until: None, is_probed: false, quarantine: settings.quarantine };
        Self { voice, meter, settings, is_open: AtomicBool::new(false), state: Mutex::new(state) }
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether the plugin is called for an event at `now`. One load while it works.
    pub fn turn(&self, now: Instant) -> Turn<'_> {
        if !self.is_open.load(Ordering::Acquire) {
            return Turn::Call;
        }
        let mut state = self.state.lock();
        match state.until {
            None => Turn::Call,
            Some(until) if state.is_probed || now < until => Turn::Quarantined,
            Some(_) => {
                state.is_probed = true;
                Turn::Probe(Probe { breaker: self, is_settled: false })
            }
        }
    }

    /// A call that was no probe failed. `calls`: how many there were so far, this one included.
    pub fn failed(&self, now: Instant, calls: u64) {
        let Settings { failures, failing_percent, window, .. } = self.settings;
        if failures == 0 {
            return;
        }
        let mut state = self.state.lock();
        if state.until.is_some() {
            // it began before the quarantine did
            return;
        }
        if state.failed.len() == failures {
            state.failed.pop_front();
        }
        state.failed.push_back((now, calls));
        let (first, calls_before) = state.failed.front().copied().unwrap_or((now, calls));
        let calls = calls.saturating_sub(calls_before) + 1;
        let is_failing = failures as u64 * 100 >= failing_percent * calls;
        if is_failing && state.failed.len() == failures && now.saturating_duration_since(first) <= window {
            self.open(&mut state, now);
            tracing::error!(
                target: "alert", plugin = %self.voice.plugin(), version = %self.voice.version(), failures, calls,
                window_ms = window.as_millis() as u64, quarantine_ms = state.quarantine.as_millis() as u64,
                "plugin quarantined: it failed too often and is not called, its policy decides"
            );
            let text = format!(
                "quarantined for {} ms: {failures} of {calls} calls failed within {} ms",
                state.quarantine.as_millis(),
                window.as_millis()
            );
            self.voice.say("breaker", Level::Error, None, &text);
        }
    }

    /// What it does with its plugin now.
    pub fn status(&self, now: Instant) -> Status {
        let state = self.state.lock();
        match state.until {
            None => Status::Closed,
            Some(_) if state.is_probed => Status::Probing,
            Some(until) => Status::Quarantined(until.saturating_duration_since(now)),
        }
    }

    fn open(&self, state: &mut State, now: Instant) {
        state.failed.clear();
        state.is_probed = false;
        state.until = Some(now + state.quarantine);
        self.meter.quarantined();
        self.is_open.store(true, Ordering::Release);
    }
}

impl Probe<'_> {
    /// The plugin works again.
    pub fn worked(mut self) {
        self.is_settled = true;
        let breaker = self.breaker;
        let mut state = breaker.state.lock();
        state.until = None;
        state.is_probed = false;
        state.quarantine = breaker.settings.quarantine;
        breaker.is_open.store(false, Ordering::Release);
        let voice = &breaker.voice;
        tracing::info!(
            target: "alert", plugin = %voice.plugin(), version = %voice.version(),
            "plugin works again: its quarantine has ended"
        );
        voice.say("breaker", Level::Info, None, "works again: the quarantine has ended");
    }

    /// It still fails: another quarantine, of double the length.
    pub fn failed(mut self, now: Instant) {
        self.is_settled = true;
        let breaker = self.breaker;
        let mut state = breaker.state.lock();
        state.quarantine = (state.quarantine * 2).min(breaker.settings.quarantine_max);
        breaker.open(&mut state, now);
        let (voice, quarantine_ms) = (&breaker.voice, state.quarantine.as_millis() as u64);
        tracing::error!(
            target: "alert", plugin = %voice.plugin(), version = %voice.version(), quarantine_ms,
            "plugin stays in quarantine: it failed on its probe too"
        );
        let text = format!("quarantined for another {quarantine_ms} ms: the probe failed too");
        voice.say("breaker", Level::Error, None, &text);
    }
}

impl Drop for Probe<'_> {
    fn drop(&mut self) {
        if !self.is_settled {
            self.breaker.state.lock().is_probed = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::seeing::metrics::Plugins;

    const SETTINGS: Settings = Settings {
        failures: 3,
        failing_percent: 50,
        window: Duration::from_secs(10),
        quarantine: Duration::from_secs(30),
        quarantine_max: Duration::from_secs(100),
    };

    /// A breaker and a clock that stands still until it is moved.
    struct Case {
        breaker: Breaker,
        now: Instant,
        calls: Cell<u64>,
    }

    impl Case {
        fn new(settings: Settings) -> Self {
            let voice = Voice::new(Default::default(), "p".into(), "1.0.0".into());
            let meter = Plugins::default().meter(&"p".into(), "1.0.0", |_| false);
            Self { breaker: Breaker::new(voice, meter, settings), now: Instant::now(), calls: Cell::new(0) }
        }

        fn quarantines(&self) -> u64 {
            self.breaker.meter.quarantines()
        }

        fn pass(&mut self, seconds: u64) {
            self.now += Duration::from_secs(seconds);
        }

        fn fail(&self, times: usize) {
            for _ in 0..times {
                self.work(1);
                self.breaker.failed(self.now, self.calls.get());
            }
        }

        /// Calls that do not fail.
        fn work(&self, times: u64) {
            self.calls.set(self.calls.get() + times);
        }

        #[track_caller]
        fn probe(&self) -> Probe<'_> {
            match self.breaker.turn(self.now) {
                Turn::Probe(probe) => probe,
                _ => panic!("a probe is due"),
            }
        }

        fn is_called(&self) -> bool {
            matches!(self.breaker.turn(self.now), Turn::Call)
        }

        fn is_quarantined(&self) -> bool {
            matches!(self.breaker.turn(self.now), Turn::Quarantined)
        }
    }

    #[test]
    fn failures_within_the_window_open_it() {
        let case = Case::new(SETTINGS);
        case.fail(2);
        assert!(case.is_called());
        case.fail(1);
        assert!(case.is_quarantined());
        assert_eq!(case.breaker.status(case.now), Status::Quarantined(SETTINGS.quarantine));
        assert_eq!(case.quarantines(), 1);
    }

    #[test]
    fn failures_that_are_far_between_do_not() {
        let mut case = Case::new(SETTINGS);
        for _ in 0..20 {
            case.fail(1);
            case.pass(6);
        }
        assert!(case.is_called());
        case.pass(60);
        case.fail(2);
        assert!(case.is_called(), "the window slides: two of three are old");
        case.pass(10);
        case.fail(1);
        assert!(case.is_quarantined(), "the window's last moment belongs to it");
    }

    #[test]
    fn one_that_works_for_most_events_stays() {
        let case = Case::new(SETTINGS);
        for _ in 0..100 {
            case.fail(1);
            case.work(3);
        }
        assert!(case.is_called());
        case.fail(1);
        case.work(1);
        case.fail(2);
        assert!(case.is_quarantined(), "three of the last four failed");
        let any = Case::new(Settings { failing_percent: 0, ..SETTINGS });
        for _ in 0..3 {
            any.work(1000);
            any.fail(1);
        }
        assert!(any.is_quarantined(), "however many did not");
    }

    #[test]
    fn no_number_of_failures_opens_one_that_is_off() {
        let case = Case::new(Settings { failures: 0, ..SETTINGS });
        case.fail(1000);
        assert!(case.is_called());
    }

    #[test]
    fn one_event_probes_and_the_others_wait() {
        let mut case = Case::new(SETTINGS);
        case.fail(3);
        case.pass(29);
        assert!(case.is_quarantined());
        case.pass(1);
        let probe = case.probe();
        assert!(case.is_quarantined(), "there is one probe at a time");
        assert_eq!(case.breaker.status(case.now), Status::Probing);
        probe.worked();
        assert!(case.is_called());
        assert_eq!(case.breaker.status(case.now), Status::Closed);
        case.fail(2);
        assert!(case.is_called(), "failures before the quarantine are forgotten");
    }

    #[test]
    fn a_probe_that_fails_doubles_the_quarantine_up_to_its_maximum() {
        let mut case = Case::new(SETTINGS);
        case.fail(3);
        for seconds in [30, 60, 100, 100] {
            assert_eq!(case.breaker.status(case.now), Status::Quarantined(Duration::from_secs(seconds)));
            case.pass(seconds - 1);
            assert!(case.is_quarantined());
            case.pass(1);
            case.probe().failed(case.now);
        }
        assert_eq!(case.quarantines(), 5);
        case.pass(100);
        case.probe().worked();
        case.fail(3);
        assert_eq!(case.breaker.status(case.now), Status::Quarantined(SETTINGS.quarantine), "from the beginning");
    }

    #[test]
    fn a_probe_that_came_to_nothing_leaves_the_next_one_to_another_event() {
        let mut case = Case::new(SETTINGS);
        case.fail(3);
        case.pass(30);
        drop(case.probe());
        assert_eq!(case.breaker.status(case.now), Status::Quarantined(Duration::ZERO));
        case.probe().worked();
        assert!(case.is_called());
    }

    #[test]
    fn calls_that_began_before_the_quarantine_do_not_lengthen_it() {
        let mut case = Case::new(SETTINGS);
        case.fail(3);
        case.pass(20);
        case.fail(10);
        case.pass(10);
        case.probe().worked();
        assert_eq!(case.quarantines(), 1);
    }
}
