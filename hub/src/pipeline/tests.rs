//! Properties over random chains and verdicts, and the examples that the design names.

use std::{
    future::Future,
    sync::Arc,
    task::{Context as TaskContext, Poll, Waker},
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use proptest::prelude::*;

use super::{
    breaker::{self, Status},
    call::{Call, Context, Event, Rooms, Step, Verdict},
    chain::{Called, Chain, Failure, FailureCause, Link, Plugin, Policy},
    refusal::{Code, Rejection},
    transaction::{Limits, Performed, Transaction},
};
use crate::{
    bus::{Effect, Emit},
    event::{Audience, Kind, Origin, Payload, SocketId, Subject, Target, Text},
    seeing::{Seeing, metrics::Events},
    store::{self, Draft, LocalStore},
};

/// What a scripted plugin does in one kind of hook.
#[derive(Clone, Debug, Default)]
struct Script {
    emits: usize,
    raises: Vec<Raise>,
    ends: Ends,
}

#[derive(Clone, Copy, Debug)]
enum Raise {
    Message,
    Join(u8),
    Leave(u8),
    Disconnect,
}

impl Raise {
    fn kind(self) -> Kind {
        match self {
            Raise::Message => Kind::Message,
            Raise::Join(_) => Kind::Join,
            Raise::Leave(_) => Kind::Leave,
            Raise::Disconnect => Kind::Disconnect,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Ends {
    #[default]
    Pass,
    Swallow,
    Reject,
    Fail,
}

/// Runs scripts and writes down every call: which plugin, which kind, and what came of it.
struct Scripted {
    name: Text,
    index: usize,
    scripts: [Script; 6],
    log: Log,
}

type Log = Arc<Mutex<Vec<Entry>>>;

#[derive(Clone, Debug)]
struct Entry {
    plugin: usize,
    kind: Kind,
    ends: Ends,
    /// The tags of what it emitted.
    emits: Vec<Text>,
    /// It raised what its hook may not raise.
    misuse: bool,
}

impl Plugin for Scripted {
    fn name(&self) -> &Text {
        &self.name
    }

    fn version(&self) -> &str {
        "1.0.0"
    }

    fn has_hook(&self, _: Kind) -> bool {
        true
    }

    fn wants_message(&self, _: &str) -> bool {
        true
    }

    fn call<'a>(&'a self, slot: &'a mut Option<Box<Call>>) -> Called<'a> {
        Box::pin(async move {
            let call = slot.as_mut().expect("a call");
            let kind = call.event.kind;
            let script = &self.scripts[kind as usize];
            let number = self.log.lock().len();
            let tags: Vec<Text> = (0..script.emits).map(|n| format!("{number}.{n}").into()).collect();
            for tag in &tags {
                call.acts.steps.push(Step::Emit(Emit {
                    audience: Audience::only(Target::Everyone),
                    name: tag.clone(),
                    payload: Payload::default(),
                    volatile: false,
                    retain: 0,
                }));
            }
            for raise in &script.raises {
                call.acts.steps.push(Step::Raise(match raise {
                    Raise::Message => Event::message(Origin::Plugin, "raised".into(), Payload::default(), None),
                    Raise::Join(room) => Event::join(Origin::Plugin, format!("r{room}").into()),
                    Raise::Leave(room) => Event::leave(Origin::Plugin, format!("r{room}").into(), "asked".into()),
                    Raise::Disconnect => Event::disconnect(Origin::Plugin, "asked".into()),
                }));
            }
            call.acts.verdict = match script.ends {
                Ends::Reject => Verdict::Reject(Rejection { code: "no".into(), message: "no".into(), data: None }),
                Ends::Swallow => Verdict::Swallow,
                Ends::Pass | Ends::Fail => Verdict::Pass,
            };
            let allowed = |r: &Raise| r.kind() > kind || (kind == Kind::Message && r.kind() == Kind::Message);
            let misuse = !script.raises.iter().all(allowed);
            self.log.lock().push(Entry { plugin: self.index, kind, ends: script.ends, emits: tags, misuse });
            match script.ends {
                Ends::Fail => Err(Box::new(Failure {
                    plugin: self.name.clone(),
                    version: "1.0.0".into(),
                    hook: kind.hook(),
                    cause: FailureCause::Trap("on purpose".into()),
                    details: None,
                })),
                _ => Ok(()),
            }
        })
    }
}

struct NoRooms;

impl Rooms for NoRooms {
    fn size(&self, _: &str, _: &str) -> usize {
        0
    }

    fn members(&self, _: &str, _: &str, _: usize) -> Vec<SocketId> {
        Vec::new()
    }

    fn contains(&self, _: &str, _: &str, _: SocketId) -> bool {
        false
    }
}

/// Nothing here waits, so one poll is enough.
fn now<T>(future: impl Future<Output = T>) -> T {
    match std::pin::pin!(future).poll(&mut TaskContext::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("nothing in these chains waits"),
    }
}

const EFFECTS_MAX: usize = 60;

struct Ran {
    performed: Performed,
    log: Vec<Entry>,
    policies: Vec<Policy>,
}

fn run(scripts: Vec<([Script; 6], Policy)>, rooms: &[&str], event: Event) -> Ran {
    let log = Log::default();
    let policies: Vec<_> = scripts.iter().map(|(_, policy)| *policy).collect();
    let links = scripts
        .into_iter()
        .enumerate()
        .map(|(index, (scripts, policy))| {
            let name: Text = format!("p{index}").into();
            let plugin = Scripted { name, index, scripts, log: log.clone() };
            Link::new(
                Arc::new(plugin),
                [policy; 6],
                breaker::Settings { failures: 0, ..Default::default() },
                &Seeing::default(),
            )
        })
        .collect();
    let performed = perform(&Chain { links }, rooms, event);
    let log = log.lock().clone();
    Ran { performed, log, policies }
}

fn perform(chain: &Chain, rooms: &[&str], event: Event) -> Performed {
    let subject = Subject::new(SocketId::random(), "/".into(), None, None);
    subject.commit(Some(rooms.iter().map(|r| Text::from(*r)).collect()), None);
    let context = Context {
        namespace: "/".into(),
        subject: Some(Arc::new(subject)),
        rooms: Arc::new(NoRooms),
        joined: None,
        identity: None,
        wants_ack: true,
        received_ms: 0,
        runs_order: false,
        draft: Draft::new(Arc::new(LocalStore::in_memory(store::Limits::default()))),
    };
    let limits = Limits { chain_timeout: Duration::from_secs(60), rooms_per_socket_max: 4, effects_max: EFFECTS_MAX };
    now(Transaction::new(chain, limits, context, event, &Events::default(), Instant::now()).run())
}

fn tags(effects: &[Effect]) -> Vec<Text> {
    effects
        .iter()
        .filter_map(|e| match e {
            Effect::Emit(emit) if emit.audience.to == [Target::Everyone] => Some(emit.name.clone()),
            _ => None,
        })
        .collect()
}

fn raise() -> impl Strategy<Value = Raise> {
    prop_oneof![
        3 => Just(Raise::Message),
        3 => (0..6u8).prop_map(Raise::Join),
        2 => (0..6u8).prop_map(Raise::Leave),
        1 => Just(Raise::Disconnect),
    ]
}

fn script() -> impl Strategy<Value = Script> {
    let ends =
        prop_oneof![8 => Just(Ends::Pass), 1 => Just(Ends::Swallow), 1 => Just(Ends::Reject), 1 => Just(Ends::Fail)];
    (0..3usize, prop::collection::vec(raise(), 0..3), ends).prop_map(|(emits, raises, ends)| Script {
        emits,
        raises,
        ends,
    })
}

fn chain() -> impl Strategy<Value = Vec<([Script; 6], Policy)>> {
    let policy = prop_oneof![Just(Policy::Reject), Just(Policy::Skip)];
    prop::collection::vec((prop::array::uniform6(script()), policy), 0..5)
}

fn message() -> Event {
    Event::message(Origin::Client, "x".into(), Payload::default(), None)
}

/// A call counts when its hook returned well and raised only what it may.
fn is_good(entry: &Entry) -> bool {
    !entry.misuse && entry.ends != Ends::Fail
}

/// On a fact a verdict is discarded, with what came with it.
fn counts(entry: &Entry) -> bool {
    is_good(entry) && (!entry.kind.is_fact() || entry.ends == Ends::Pass)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    /// A transaction that went through performs what every good call emitted, each once; one that did not
    /// performs nothing but what the rejecting call emitted.
    #[test]
    fn all_or_nothing(chain in chain(), is_connect in any::<bool>()) {
        let root = if is_connect { Event::connect(Payload::default()) } else { message() };
        let Ran { performed, log, .. } = run(chain, &["r0", "r1"], root);
        let mut got = tags(&performed.effects);
        match &performed.refusal {
            Some(refusal) if refusal.code == Code::Unhandled => prop_assert!(performed.effects.is_empty()),
            Some(refusal) => {
                let last = log.last().expect("somebody refused");
                let expect = match refusal.code {
                    Code::Rejected if last.ends == Ends::Reject => last.emits.clone(),
                    _ => Vec::new(),
                };
                prop_assert_eq!(got, expect);
                prop_assert!(performed.effects.iter().all(|e| matches!(e, Effect::Emit(_))));
                prop_assert!(performed.joined.is_none() && performed.ack.is_none());
            }
            None => {
                let mut expect: Vec<_> = log.iter().filter(|e| counts(e)).flat_map(|e| e.emits.clone()).collect();
                // the effects of one event's hooks stay in order; raised events stand at their place
                got.sort();
                expect.sort();
                if log.iter().map(|e| e.emits.len()).sum::<usize>() < EFFECTS_MAX / 2 {
                    prop_assert_eq!(got, expect);
                }
            }
        }
    }

    /// What a hook raises comes later in the order of kinds, or it is a message further down the chain: so no chain
    /// loops, and a call of an earlier kind never runs inside one of a later kind.
    #[test]
    fn kinds_keep_their_order(chain in chain()) {
        let plugins = chain.len();
        let Ran { log, .. } = run(chain, &["r0"], message());
        prop_assert!(log.iter().all(|e| e.kind >= Kind::Message), "a connect or answer is never raised");
        // a run of calls of one event goes strictly down the chain; it starts anew only for another event
        let mut depth_bound = 0usize;
        for pair in log.windows(2) {
            if pair[1].kind == pair[0].kind && pair[1].plugin > pair[0].plugin {
                continue;
            }
            depth_bound += 1;
        }
        prop_assert!(depth_bound <= EFFECTS_MAX * (plugins + 1) + plugins + 1);
    }

    /// Whatever the plugins do, a disconnect leaves every room, in the order of joining, and then the namespace.
    #[test]
    fn facts_are_always_performed(chain in chain()) {
        let Ran { performed, .. } = run(chain, &["a", "b", "c"], Event::disconnect(Origin::Server, "gone".into()));
        prop_assert!(performed.refusal.is_none());
        let left: Vec<_> = performed.effects.iter().filter_map(|e| match e {
            Effect::Leave(room) => Some(&**room),
            _ => None,
        }).collect();
        prop_assert_eq!(left, ["a", "b", "c"]);
        let is_last = |e: Option<&Effect>| matches!(e, Some(Effect::Disconnect { .. }));
        prop_assert!(is_last(performed.effects.last()));
        let count = performed.effects.iter().filter(|e| matches!(e, Effect::Disconnect { .. })).count();
        prop_assert_eq!(count, 1);
        prop_assert_eq!(performed.joined, Some(Vec::new()));
    }

    /// Membership on the log is what the hooks were told: joins and leaves alternate for each room.
    #[test]
    fn handled_and_logged_membership_agree(chain in chain()) {
        let Ran { performed, .. } = run(chain, &["r0", "r1"], message());
        let mut rooms = vec![Text::from("r0"), Text::from("r1")];
        for effect in &performed.effects {
            match effect {
                Effect::Join { room, .. } => {
                    prop_assert!(!rooms.contains(room), "joined twice");
                    rooms.push(room.clone());
                    prop_assert!(rooms.len() <= 4, "rooms_per_socket_max");
                }
                Effect::Leave(room) => {
                    prop_assert!(rooms.contains(room), "left without being there");
                    rooms.retain(|r| r != room);
                }
                _ => {}
            }
        }
        if performed.refusal.is_none() {
            prop_assert_eq!(performed.joined.unwrap_or_else(|| vec!["r0".into(), "r1".into()]), rooms);
        }
    }

    /// A failure under the policy to skip leaves the event as it was; under the policy to reject it is refused.
    #[test]
    fn failures_follow_their_policy(chain in chain()) {
        let Ran { performed, log, policies } = run(chain, &[], message());
        let fatal = log.iter().find(|e| !is_good(e) && !e.kind.is_fact() && policies[e.plugin] == Policy::Reject);
        let code = performed.refusal.map(|r| r.code);
        match fatal {
            Some(_) => prop_assert_eq!(code, Some(Code::PluginFailed)),
            None => prop_assert_ne!(code, Some(Code::PluginFailed)),
        }
    }
}

fn one(kind: Kind, script: Script) -> [Script; 6] {
    let mut scripts: [Script; 6] = Default::default();
    scripts[kind as usize] = script;
    scripts
}

#[test]
fn without_plugins_a_message_is_unhandled() {
    let Ran { performed, .. } = run(Vec::new(), &[], message());
    assert_eq!(performed.refusal.map(|r| r.code), Some(Code::Unhandled));
}

#[test]
fn a_swallowed_message_is_handled() {
    let swallow = Script { ends: Ends::Swallow, ..Script::default() };
    let Ran { performed, .. } = run(vec![(one(Kind::Message, swallow), Policy::Reject)], &[], message());
    assert!(performed.refusal.is_none() && performed.effects.is_empty());
}

#[test]
fn a_message_itself_is_known_among_all_that_it_led_to() {
    let sent = || {
        let everyone = Some(Audience::only(Target::Everyone));
        Event::message(Origin::Server, "x".into(), Payload::default(), everyone)
    };
    let script = |ends| Script { emits: 2, raises: vec![Raise::Message, Raise::Join(1)], ends };
    let led_to = |ends, event| run(vec![(one(Kind::Message, script(ends)), Policy::Reject)], &[], event).performed;
    let performed = led_to(Ends::Pass, sent());
    let at = performed.message.expect("it goes somewhere");
    assert!(matches!(&performed.effects[at], Effect::Emit(emit) if &*emit.name == "x"), "{:?}", performed.effects);
    for (ends, event) in
        [(Ends::Swallow, sent()), (Ends::Reject, sent()), (Ends::Fail, sent()), (Ends::Pass, message())]
    {
        assert_eq!(led_to(ends, event).message, None, "{ends:?}");
    }
}

#[test]
fn a_rejected_join_undoes_the_message_that_raised_it() {
    let raises = Script { emits: 1, raises: vec![Raise::Join(1)], ends: Ends::Pass };
    let refuses = Script { emits: 1, raises: Vec::new(), ends: Ends::Reject };
    let chain = vec![(one(Kind::Message, raises), Policy::Reject), (one(Kind::Join, refuses), Policy::Reject)];
    let Ran { performed, log, .. } = run(chain, &[], message());
    assert_eq!(tags(&performed.effects), log[2].emits, "only the notice of the rejecting call");
    assert_eq!(performed.refusal.map(|r| r.code), Some(Code::Rejected));
    assert!(performed.joined.is_none());
}

#[test]
fn an_earlier_kind_is_refused_as_a_failure_of_the_plugin() {
    let wrong = Script { emits: 0, raises: vec![Raise::Message], ends: Ends::Pass };
    let right = Script { emits: 0, raises: vec![Raise::Join(1)], ends: Ends::Pass };
    let mut scripts = one(Kind::Join, wrong);
    scripts[Kind::Message as usize] = right;
    let Ran { performed, .. } = run(vec![(scripts, Policy::Reject)], &[], message());
    assert_eq!(performed.refusal.map(|r| r.code), Some(Code::PluginFailed));
}

#[test]
fn nothing_is_raised_behind_a_disconnect() {
    let both = Script { emits: 0, raises: vec![Raise::Disconnect, Raise::Join(3)], ends: Ends::Swallow };
    let Ran { performed, .. } = run(vec![(one(Kind::Message, both), Policy::Reject)], &["r0"], message());
    let kinds: Vec<_> = performed.effects.iter().map(std::mem::discriminant).collect();
    let expect = [Effect::Leave("r0".into()), Effect::Disconnect { tell: true }];
    assert_eq!(kinds, expect.iter().map(std::mem::discriminant).collect::<Vec<_>>());
}

#[test]
fn a_join_reaches_its_new_member_and_a_leave_does_not_reach_the_one_who_left() {
    let mut scripts = one(Kind::Message, Script { raises: vec![Raise::Join(1), Raise::Leave(1)], ..Script::default() });
    scripts[Kind::Join as usize].emits = 1;
    scripts[Kind::Leave as usize].emits = 1;
    let Ran { performed, .. } = run(vec![(scripts, Policy::Reject)], &[], message());
    let order: Vec<_> = performed
        .effects
        .iter()
        .map(|e| match e {
            Effect::Join { .. } => "join",
            Effect::Leave(_) => "leave",
            _ => "emit",
        })
        .collect();
    assert_eq!(order, ["join", "emit", "leave", "emit"]);
}

/// A plugin that fails in every hook, with a breaker that opens at the third failure.
fn failing(policy: Policy, log: &Log, seeing: &Seeing) -> Link {
    let scripts = Kind::ALL.map(|_| Script { ends: Ends::Fail, ..Script::default() });
    let plugin = Scripted { name: "failing".into(), index: 0, scripts, log: log.clone() };
    Link::new(Arc::new(plugin), [policy; 6], breaker::Settings { failures: 3, ..Default::default() }, seeing)
}

#[test]
fn a_plugin_in_quarantine_is_not_called_and_its_policy_decides() {
    for (policy, code) in [(Policy::Reject, Code::PluginFailed), (Policy::Skip, Code::Unhandled)] {
        let log = Log::default();
        let chain = Chain { links: vec![failing(policy, &log, &Seeing::default())] };
        for _ in 0..10 {
            assert_eq!(perform(&chain, &[], message()).refusal.map(|r| r.code), Some(code));
        }
        assert_eq!(log.lock().len(), 3, "the breaker opened at the third failure");
        assert!(matches!(chain.links[0].breaker.status(Instant::now()), Status::Quarantined(_)));
    }
}

#[test]
fn quarantines_are_counted_on_when_settings_change() {
    let (log, seeing) = (Log::default(), Seeing::default());
    let old = Chain { links: vec![failing(Policy::Reject, &log, &seeing)] };
    (0..3).for_each(|_| drop(perform(&old, &[], message())));
    let new = failing(Policy::Skip, &log, &seeing);
    drop(old);
    assert_eq!((new.breaker.status(Instant::now()), new.meter.quarantines()), (Status::Closed, 1));
}

#[test]
fn facts_are_performed_in_quarantine_too() {
    let log = Log::default();
    let chain = Chain { links: vec![failing(Policy::Reject, &log, &Seeing::default())] };
    (0..3).for_each(|_| drop(perform(&chain, &[], message())));
    let performed = perform(&chain, &["a", "b"], Event::disconnect(Origin::Server, "gone".into()));
    assert!(performed.refusal.is_none());
    let count = performed.effects.iter().filter(|e| matches!(e, Effect::Leave(_) | Effect::Disconnect { .. })).count();
    assert_eq!((count, log.lock().len()), (3, 3));
}
