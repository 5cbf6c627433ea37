//! One thread of the generator: opens its share of the connections, joins, sends in time, and hands back what it saw.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, LocalSet};
use tokio::time::MissedTickBehavior;

use super::Mode;
use super::churn;
use super::counters::{Count, Counters, FirstFault};
use super::ledger::Ledger;
use super::link::{self, Link};
use super::member::{Member, State};
use super::open;
use super::plan::{Pace, Plan};

/// Bytes read from a connection at a time.
const READ_BYTES: usize = 64 << 10;
/// Joins that one thread has unanswered at a time.
const JOINING_MAX: usize = 32;
/// A closed loop's sender that has seen nothing come back for that long goes on without.
const STALL_PATIENCE: Duration = Duration::from_secs(5);
/// How often a thread looks for messages that are due; the schedule itself is exact.
const TICK: Duration = Duration::from_millis(1);
/// How often a thread looks for stalled senders.
const STALL_TICK: Duration = Duration::from_millis(200);
/// The longest latency that is told apart, in microseconds.
const LATENCY_MAX_US: u64 = 120_000_000;

/// What all threads are to do now; they only ever go forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    Open,
    Join,
    Wait,
    /// Messages are sent but not measured.
    Warmup,
    Measure,
    /// Nothing more is sent.
    Drain,
    Close,
}

/// The first faults of each kind, over all threads.
#[derive(Debug, Default)]
pub(super) struct Faults {
    pub(super) open: FirstFault,
    pub(super) join: FirstFault,
    pub(super) lost: FirstFault,
    pub(super) refused: FirstFault,
}

/// What a thread needs to begin.
#[derive(Clone)]
pub(super) struct Start {
    pub(super) plan: Arc<Plan>,
    pub(super) address: SocketAddr,
    /// The same instant for all threads: the marks count from it.
    pub(super) began: Instant,
    pub(super) faults: Arc<Faults>,
    pub(super) phase: watch::Receiver<Phase>,
}

/// What a thread saw.
pub(super) struct Outcome {
    pub(super) members: Vec<MemberOutcome>,
    pub(super) latency: Histogram<u64>,
    /// How long after their time scheduled messages were sent: the generator's own fault, not the server's.
    pub(super) lag: Histogram<u64>,
    /// From the TCP connection to the namespace's answer.
    pub(super) opening: Histogram<u64>,
}

/// What one member saw.
pub(super) struct MemberOutcome {
    pub(super) room: usize,
    /// It was there until the end.
    pub(super) stayed: bool,
    /// Its sender number and how many messages it sent.
    pub(super) sent: Option<(u32, u32)>,
    pub(super) ledger: Ledger,
}

/// The state of a thread that its connections share.
pub(super) struct Worker {
    pub(super) plan: Arc<Plan>,
    pub(super) counters: Arc<Counters>,
    pub(super) faults: Arc<Faults>,
    pub(super) read_buffer: RefCell<Box<[u8]>>,
    pub(super) scratch: RefCell<Vec<u8>>,
    pub(super) sending: Cell<bool>,
    pub(super) measuring: Cell<bool>,
    pub(super) window: Option<u32>,
    pub(super) message_event_json: String,
    pub(super) latency: RefCell<Histogram<u64>>,
    pub(super) opening: RefCell<Histogram<u64>>,
    pub(super) address: SocketAddr,
    began: Instant,
    /// The time of the batch being handled, read from the clock once; 0 between batches.
    batch_us: Cell<u64>,
    joining: Cell<usize>,
    join_answered: Notify,
}

impl Worker {
    /// Microseconds since the run began.
    pub(super) fn now_us(&self) -> u64 {
        self.began.elapsed().as_micros() as u64
    }

    /// The same, read from the clock only once for all that was read from a socket at a time.
    pub(super) fn batch_us(&self) -> u64 {
        if self.batch_us.get() == 0 {
            self.batch_us.set(self.now_us());
        }
        self.batch_us.get()
    }

    /// Ends a batch.
    pub(super) fn end_batch(&self) {
        self.batch_us.set(0);
    }

    /// Notes that a join has got its answer, or never will.
    pub(super) fn join_answered(&self) {
        self.joining.set(self.joining.get() - 1);
        self.join_answered.notify_one();
    }

    async fn open_member(self: Rc<Self>, connection: usize) -> Option<(Rc<Member>, JoinHandle<()>)> {
        let started = Instant::now();
        match open::open(&self.plan, self.address, connection).await {
            Ok(opened) => {
                self.opening.borrow_mut().saturating_record(started.elapsed().as_micros() as u64);
                let (link, source) = Link::new(opened, |sid| self.plan.target.request_path("polling", Some(sid)));
                let member = Rc::new(Member::new(self.clone(), link, connection));
                self.counters.add(Count::Opened, 1);
                let running = member.clone();
                let task = tokio::task::spawn_local(async move {
                    let why = link::run(&running, source).await;
                    running.ended(why);
                });
                Some((member, task))
            }
            Err(error) => {
                self.counters.add(Count::OpenFailed, 1);
                self.faults.open.note(|| error.in_full());
                None
            }
        }
    }
}

/// Runs thread number `index` from the first connection to the last.
pub(super) fn run(index: usize, start: Start, counters: Arc<Counters>) -> std::io::Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let plan = start.plan;
    let worker = Rc::new(Worker {
        counters,
        faults: start.faults,
        read_buffer: RefCell::new(vec![0; READ_BYTES].into_boxed_slice()),
        scratch: RefCell::default(),
        sending: Cell::new(false),
        measuring: Cell::new(false),
        window: plan.window(),
        message_event_json: super::wire::json_string(&plan.message_event),
        latency: RefCell::new(histogram()),
        opening: RefCell::new(histogram()),
        address: start.address,
        began: start.began,
        batch_us: Cell::new(0),
        joining: Cell::new(0),
        join_answered: Notify::new(),
        plan,
    });
    let tasks = LocalSet::new();
    Ok(tasks.block_on(&runtime, work(worker, index, start.phase)))
}

/// A histogram of microseconds with three digits.
pub(super) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_MAX_US, 3).expect("the bounds are constants and valid")
}

async fn work(worker: Rc<Worker>, index: usize, mut phase: watch::Receiver<Phase>) -> Outcome {
    if worker.plan.mode == Mode::Connect {
        churn::run(&worker, index, &mut phase).await;
        return outcome(&worker, &[], histogram());
    }
    let (members, tasks) = open_all(&worker, index).await;
    reach(&mut phase, Phase::Join).await;
    if worker.plan.joins {
        join_all(&worker, &members).await;
    }
    reach(&mut phase, Phase::Warmup).await;
    worker.sending.set(true);
    let mut lag = histogram();
    let senders: Vec<_> = members.iter().filter(|member| member.sender.is_some()).cloned().collect();
    tokio::select! {
        () = send_in_time(&worker, &senders, &mut lag) => {}
        () = follow_phases(&worker, &mut phase) => {}
    }
    reach(&mut phase, Phase::Close).await;
    let outcome = outcome(&worker, &members, lag);
    members.iter().for_each(|member| member.close());
    // The tasks end when the server has closed; a server that does not is left alone after a while.
    let all_ended = async {
        for task in tasks {
            // The task cannot have been aborted, and its panic has been printed.
            let _ = task.await;
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(2), all_ended).await;
    outcome
}

/// Waits until the run is at least in this phase.
pub(super) async fn reach(phase: &mut watch::Receiver<Phase>, goal: Phase) {
    // The sender lives as long as the run: an error means that the run was given up, and this thread with it.
    let _ = phase.wait_for(|now| *now >= goal).await;
}

async fn follow_phases(worker: &Worker, phase: &mut watch::Receiver<Phase>) {
    reach(phase, Phase::Measure).await;
    worker.measuring.set(true);
    reach(phase, Phase::Drain).await;
    worker.measuring.set(false);
    worker.sending.set(false);
}

async fn open_all(worker: &Rc<Worker>, index: usize) -> (Vec<Rc<Member>>, Vec<JoinHandle<()>>) {
    let plan = &worker.plan;
    let mine = Rc::new(RefCell::new((index..plan.grouping.connections).step_by(plan.threads)));
    let at_a_time = plan.connecting.div_ceil(plan.threads);
    let openers: Vec<_> = (0..at_a_time)
        .map(|_| {
            let (worker, mine) = (worker.clone(), mine.clone());
            tokio::task::spawn_local(async move {
                let mut opened = Vec::new();
                loop {
                    let next = mine.borrow_mut().next();
                    let Some(connection) = next else { return opened };
                    opened.extend(worker.clone().open_member(connection).await);
                }
            })
        })
        .collect();
    let mut opened = Vec::new();
    for opener in openers {
        opened.extend(opener.await.unwrap_or_default());
    }
    opened.into_iter().unzip()
}

async fn join_all(worker: &Worker, members: &[Rc<Member>]) {
    for member in members {
        while worker.joining.get() >= JOINING_MAX {
            worker.join_answered.notified().await;
        }
        if member.state.get() == State::Open {
            worker.joining.set(worker.joining.get() + 1);
            member.join();
        }
    }
}

async fn send_in_time(worker: &Worker, senders: &[Rc<Member>], lag: &mut Histogram<u64>) {
    match worker.plan.pace {
        Pace::Still => std::future::pending().await,
        Pace::ClosedLoop { .. } => {
            for member in senders {
                member.fill_window();
                member.link.flush();
            }
            loop {
                tokio::time::sleep(STALL_TICK).await;
                let now_us = worker.now_us();
                senders.iter().for_each(|member| member.check_stall(now_us, STALL_PATIENCE.as_micros() as u64));
            }
        }
        Pace::Rate { per_second } => {
            let share = per_second * senders.len() as f64 / worker.plan.grouping.senders as f64;
            send_at_rate(worker, senders, share, lag).await;
        }
    }
}

/// Sends `per_second` messages a second, the senders taking turns, each at its time or as soon after it as the thread can.
async fn send_at_rate(worker: &Worker, senders: &[Rc<Member>], per_second: f64, lag: &mut Histogram<u64>) {
    if senders.is_empty() {
        return std::future::pending().await;
    }
    let mut turns = senders.iter().cycle();
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let started = Instant::now();
    let mut sent = 0u64;
    let mut touched: Vec<&Rc<Member>> = Vec::new();
    loop {
        ticks.tick().await;
        let now = started.elapsed().as_secs_f64();
        let due = (now * per_second) as u64;
        while sent < due {
            sent += 1;
            let member = turns.next().expect("a cycle over senders, of which there is one at least, never ends");
            member.queue_scheduled();
            touched.push(member);
            if worker.measuring.get() {
                lag.saturating_record(((now - sent as f64 / per_second) * 1e6) as u64);
            }
        }
        touched.drain(..).for_each(|member| member.link.flush());
    }
}

fn outcome(worker: &Worker, members: &[Rc<Member>], lag: Histogram<u64>) -> Outcome {
    let members = members.iter().map(|member| MemberOutcome {
        room: member.room,
        stayed: member.state.get() == State::Member,
        sent: member.sender.as_ref().map(|sender| (sender.id, sender.next.get())),
        ledger: member.ledger.replace(Ledger::new(0)),
    });
    Outcome {
        members: members.collect(),
        latency: worker.latency.replace(histogram()),
        lag,
        opening: worker.opening.replace(histogram()),
    }
}
