//! Single events on their way: which plugin of which version did what with them, and how long it took.
//!
//! While nobody looks on an event costs one load. What somebody said is never in a record, only who, where and of which
//! name.

mod record;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

pub use self::record::{Record, Step};
use self::record::{cut, push_cut};
use super::feed::{Feed, Subscription, TooMany};
use crate::event::{Kind, SocketId, Text};

/// Steps of one event that are told; further ones are counted.
const STEPS_MAX: usize = 64;
/// Rooms, names and effects of one event that are told.
const TEXTS_MAX: usize = 16;

/// Which events are wanted: those that fit everything that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    pub socket: Option<SocketId>,
    pub user: Option<Text>,
    /// The event goes to it, joins or leaves it, or raises one that does.
    pub room: Option<Text>,
    /// The name of the message or of one that it raised; of other events what they are: `connect`, `join`, ...
    pub event: Option<Text>,
}

impl Filter {
    /// Whether an event may still fit when nothing but its socket is known, and who that is if somebody said so.
    fn may_want(&self, socket: Option<SocketId>, user: Option<&str>) -> bool {
        let is_user = |wanted: &Text| user.is_none_or(|user| user == &**wanted);
        self.socket.is_none_or(|wanted| socket == Some(wanted)) && self.user.as_ref().is_none_or(is_user)
    }

    fn wants(&self, record: &Record) -> bool {
        let is_one = |wanted: &Option<Text>, found: &[String]| {
            wanted.as_ref().is_none_or(|wanted| found.iter().any(|text| *text == *cut(wanted)))
        };
        self.socket.is_none_or(|wanted| record.socket == Some(wanted))
            && self.user.as_ref().is_none_or(|wanted| record.user.as_deref() == Some(cut(wanted)))
            && is_one(&self.room, &record.rooms)
            && is_one(&self.event, &record.names)
    }
}

/// Records events for those who look on.
pub struct Tracer {
    feed: Feed<Filter, Record>,
}

impl Tracer {
    /// At most so many may look on at once.
    pub fn new(followers_max: usize) -> Self {
        Self { feed: Feed::new(followers_max) }
    }

    /// All events that fit, from now on, each when the log has it.
    ///
    /// # Errors
    /// When too many look on already.
    pub fn subscribe(&self, filter: Filter) -> Result<Subscription<Filter, Record>, TooMany> {
        self.feed.subscribe(filter)
    }

    /// Begins to record an event, if somebody may want it.
    pub fn begin(&self, start: impl FnOnce() -> Start) -> Option<Box<Recording>> {
        if !self.feed.is_watched() {
            return None;
        }
        let start = start();
        // who a connecting socket is gets known on its way
        let user = start.user.as_deref().or((start.kind != Kind::Connect).then_some(""));
        if !self.feed.any(|filter| filter.may_want(start.socket, user)) {
            return None;
        }
        Some(Box::new(Recording {
            start,
            depth: 0,
            steps: Vec::new(),
            steps_left_out: 0,
            names: Vec::new(),
            rooms: Vec::new(),
        }))
    }

    fn publish(&self, record: Record) {
        let record = Arc::new(record);
        self.feed.publish(&record, |filter| filter.wants(&record));
    }
}

impl Default for Tracer {
    fn default() -> Self {
        Self::new(super::FOLLOWERS_MAX)
    }
}

/// What is known of an event before its chain has run.
pub struct Start {
    pub began: Instant,
    pub time_ms: u64,
    pub revision: u64,
    pub namespace: Text,
    pub socket: Option<SocketId>,
    pub user: Option<Text>,
    pub kind: Kind,
    pub origin: &'static str,
}

/// An event that is being recorded.
pub struct Recording {
    start: Start,
    /// How many events are around the one that runs: more than none when it was raised.
    depth: usize,
    steps: Vec<Step>,
    steps_left_out: usize,
    names: Vec<String>,
    rooms: Vec<String>,
}

/// What a plugin did with an event.
pub struct Did<'a> {
    pub plugin: &'a str,
    pub version: &'a str,
    pub kind: Kind,
    /// The name of the message, or the room of a join or leave.
    pub what: &'a str,
    /// One of those of [`Step`].
    pub verdict: &'static str,
    /// The code of a rejection, the cause of a failure.
    pub why: Option<&'a str>,
    pub took: Duration,
}

/// How an event ended.
pub struct End<'a> {
    pub user: Option<&'a str>,
    pub outcome: &'static str,
    /// The plugin's code, when it was rejected.
    pub reason: Option<&'a str>,
    /// What is to be performed, one text each.
    pub effects: Vec<String>,
    /// How often the chain ran.
    pub tries: usize,
}

impl Recording {
    /// The chain runs once more: what it did before counts no longer.
    pub fn restart(&mut self) {
        self.depth = 0;
        self.steps.clear();
        self.steps_left_out = 0;
    }

    /// An event runs within the one before, until [`Recording::leave`].
    pub fn enter(&mut self) {
        self.depth += 1;
    }

    pub fn leave(&mut self) {
        self.depth -= 1;
    }

    /// An event has this name by now, and these rooms.
    pub fn meet<'a>(&mut self, name: &str, rooms: impl Iterator<Item = &'a Text>) {
        push_cut(&mut self.names, name, TEXTS_MAX);
        rooms.for_each(|room| push_cut(&mut self.rooms, room, TEXTS_MAX));
    }

    /// A plugin's turn is over.
    pub fn step(&mut self, did: &Did<'_>) {
        if self.steps.len() >= STEPS_MAX {
            self.steps_left_out += 1;
            return;
        }
        self.steps.push(Step::new(did, self.depth > 0));
    }

    /// All is known but whether the log takes it. Dropped without [`Unlogged::logged`], it did not.
    pub fn end(self, tracer: Arc<Tracer>, end: End<'_>) -> Unlogged {
        let Self { start, steps, steps_left_out, names, rooms, .. } = self;
        let effects_left_out = end.effects.len().saturating_sub(TEXTS_MAX);
        let record = Record {
            time_ms: start.time_ms,
            revision: start.revision,
            namespace: cut(&start.namespace).to_owned(),
            socket: start.socket,
            user: end.user.map(|user| cut(user).to_owned()),
            kind: start.kind.name(),
            origin: start.origin,
            names,
            rooms,
            steps,
            steps_left_out,
            tries: end.tries,
            outcome: end.outcome,
            reason: end.reason.map(|reason| cut(reason).to_owned()),
            effects: end.effects.into_iter().take(TEXTS_MAX).collect(),
            effects_left_out,
            is_logged: false,
            total_us: 0,
        };
        Unlogged { tracer, record: Some(Box::new(record)), began: start.began }
    }
}

/// A record that waits for the log.
pub struct Unlogged {
    tracer: Arc<Tracer>,
    record: Option<Box<Record>>,
    began: Instant,
}

impl Unlogged {
    /// The log has it, or there was nothing to log.
    pub fn logged(mut self) {
        if let Some(record) = &mut self.record {
            record.is_logged = true;
        }
    }
}

impl Drop for Unlogged {
    fn drop(&mut self) {
        if let Some(mut record) = self.record.take() {
            record.total_us = self.began.elapsed().as_micros() as u64;
            self.tracer.publish(*record);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::feed::Told, *};

    fn start(socket: SocketId, user: Option<&str>, kind: Kind) -> Start {
        Start {
            began: Instant::now(),
            time_ms: 1,
            revision: 7,
            namespace: "/chat".into(),
            socket: Some(socket),
            user: user.map(Text::from),
            kind,
            origin: "client",
        }
    }

    fn did(verdict: &'static str) -> Did<'static> {
        let took = Duration::from_micros(12);
        Did { plugin: "p", version: "1.0.0", kind: Kind::Message, what: "say", verdict, why: None, took }
    }

    fn end() -> End<'static> {
        End { user: Some("ann"), outcome: "passed", reason: None, effects: Vec::new(), tries: 1 }
    }

    /// Runs a message `say` of a user `ann` to the room `tea`.
    fn say(tracer: &Arc<Tracer>, socket: SocketId) {
        let Some(mut recording) = tracer.begin(|| start(socket, Some("ann"), Kind::Message)) else { return };
        recording.meet("say", [Text::from("tea")].iter());
        recording.step(&did("pass"));
        recording.end(tracer.clone(), end()).logged();
    }

    #[tokio::test]
    async fn an_event_is_told_to_those_whom_it_fits() {
        let tracer = Arc::new(Tracer::new(20));
        let socket = SocketId::random();
        assert!(tracer.begin(|| unreachable!("nobody looks on")).is_none());
        let none = Filter::default;
        let some = |text: &str| Some(Text::from(text));
        let fit = [
            none(),
            Filter { socket: Some(socket), ..none() },
            Filter { user: some("ann"), room: some("tea"), event: some("say"), ..none() },
        ];
        let unfit = [
            Filter { socket: Some(SocketId::random()), ..none() },
            Filter { user: some("bob"), ..none() },
            Filter { room: some("hall"), ..none() },
            Filter { event: some("join"), ..none() },
        ];
        let mut told: Vec<_> = fit.into_iter().map(|filter| tracer.subscribe(filter).unwrap()).collect();
        let untold: Vec<_> = unfit.into_iter().map(|filter| tracer.subscribe(filter).unwrap()).collect();
        say(&tracer, socket);
        for subscription in &mut told {
            let Told::Record(record) = subscription.next().await else { panic!("nothing was missed") };
            assert_eq!((record.user.as_deref(), record.revision, record.is_logged), (Some("ann"), 7, true));
        }
        for mut subscription in untold {
            let next = tokio::time::timeout(Duration::ZERO, subscription.next()).await;
            assert!(next.is_err(), "{next:?}");
        }
    }

    #[tokio::test]
    async fn a_filter_that_cannot_fit_records_nothing() {
        let tracer = Arc::new(Tracer::new(2));
        let socket = SocketId::random();
        let _bob = tracer.subscribe(Filter { user: Some("bob".into()), ..Filter::default() }).unwrap();
        assert!(tracer.begin(|| start(socket, Some("ann"), Kind::Message)).is_none());
        assert!(tracer.begin(|| start(socket, None, Kind::Message)).is_none());
        assert!(tracer.begin(|| start(socket, None, Kind::Connect)).is_some(), "it may become bob");
    }

    #[tokio::test]
    async fn an_event_without_end_is_told_within_bounds() {
        let tracer = Arc::new(Tracer::new(1));
        let mut all = tracer.subscribe(Filter::default()).unwrap();
        let mut recording = tracer.begin(|| start(SocketId::random(), None, Kind::Message)).unwrap();
        let rooms: Vec<Text> = (0..1000).map(|n| format!("{n}{}", "x".repeat(10_000)).into()).collect();
        recording.meet(&"n".repeat(10_000), rooms.iter());
        (0..1000).for_each(|_| recording.step(&did("pass")));
        let effects = vec!["emit".to_owned(); 1000];
        drop(recording.end(tracer.clone(), End { effects, ..end() }));
        let Told::Record(record) = all.next().await else { panic!("nothing was missed") };
        assert_eq!((record.steps.len(), record.steps_left_out), (STEPS_MAX, 1000 - STEPS_MAX));
        assert_eq!((record.effects.len(), record.effects_left_out), (TEXTS_MAX, 1000 - TEXTS_MAX));
        assert!(!record.is_logged, "nobody said that the log has it");
        assert!(serde_json::to_string(&*record).unwrap().len() < 20_000);
    }

    #[tokio::test]
    async fn what_a_chain_did_before_it_ran_again_is_forgotten() {
        let tracer = Arc::new(Tracer::new(1));
        let mut all = tracer.subscribe(Filter::default()).unwrap();
        let mut recording = tracer.begin(|| start(SocketId::random(), None, Kind::Message)).unwrap();
        recording.enter();
        recording.step(&did("reject"));
        recording.restart();
        recording.step(&did("change"));
        recording.end(tracer.clone(), End { tries: 2, ..end() }).logged();
        let Told::Record(record) = all.next().await else { panic!("nothing was missed") };
        assert_eq!((record.steps.len(), record.steps[0].verdict, record.tries), (1, "change", 2));
        assert_eq!(record.steps[0].raised, None);
    }
}
