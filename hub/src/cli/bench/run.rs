//! The course of a run: stages one after the other, each ended by what the threads have counted.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use tokio::sync::watch;

use super::counters::{Count, Counters};
use super::plan::{Pace, Plan};
use super::process::{self, Usage};
use super::progress::Bar;
use super::report::{self, Report};
use super::worker::{self, Faults, Outcome, Phase, Start};
use super::{Mode, Progress, TransportName, open};
use crate::cli::open_files;

/// How often the counts are looked at.
const LOOK: Duration = Duration::from_millis(20);
/// Before and after traffic: nothing has arrived for so long.
const QUIET: Duration = Duration::from_millis(500);
/// The longest wait for that quiet.
const QUIET_MAX: Duration = Duration::from_secs(20);
/// The longest wait for deliveries that are still owed.
const DRAIN_MAX: Duration = Duration::from_secs(60);

/// What one moment showed.
#[derive(Clone, Debug)]
pub(super) struct Moment {
    pub(super) at: Instant,
    /// One for each process that is measured.
    pub(super) usages: Vec<Usage>,
    /// CPU time of the generator itself.
    pub(super) own_cpu_seconds: f64,
    pub(super) opened: u64,
    pub(super) sent: u64,
    pub(super) received: u64,
}

/// The moments that the result is computed from.
#[derive(Debug)]
pub(super) struct Moments {
    /// Before the first connection.
    pub(super) begin: Moment,
    /// All connections are open.
    pub(super) opened: Moment,
    /// All have joined, and it is quiet.
    pub(super) ready: Moment,
    pub(super) measure: Moment,
    pub(super) measured: Moment,
    /// Everything owed has come, or will not come any more, and it is quiet.
    pub(super) end: Moment,
}

/// Files that are open besides connections: runtimes, standard streams, /proc.
const OTHER_FILES: u64 = 40;

/// Carries the plan out. An error means that there is nothing to report: no such process, no server, nobody could join.
pub(super) fn run(plan: Plan, progress: Progress) -> anyhow::Result<Report> {
    let plan = Arc::new(plan);
    check_open_files(&plan)?;
    let address = probe(&plan)?;
    let bar = Bar::new(progress);
    let run = Run::start(plan.clone(), address, bar)?;
    let begin = run.moment()?;
    let (opened, ready) = if plan.mode == Mode::Connect {
        (begin.clone(), begin.clone())
    } else {
        run.open_all()?;
        let opened = run.moment()?;
        run.join_all()?;
        run.wait_for_quiet();
        (opened, run.moment()?)
    };
    run.go(Phase::Warmup);
    run.pass("warm-up", plan.warmup);
    run.go(Phase::Measure);
    let measure = run.moment()?;
    run.pass(if plan.pace == Pace::Still { "holding" } else { "measuring" }, plan.duration);
    let measured = run.moment()?;
    run.go(Phase::Drain);
    run.drain();
    run.wait_for_quiet();
    let end = run.moment()?;
    let moments = Moments { begin, opened, ready, measure, measured, end };
    let (counters, faults) = (run.counters.clone(), run.faults.clone());
    let outcomes = run.finish()?;
    Ok(report::build(&plan, &counters, &faults, &moments, outcomes))
}

fn check_open_files(plan: &Plan) -> anyhow::Result<()> {
    let each = if plan.transport == TransportName::Polling { 2 } else { 1 };
    let needed = plan.grouping.connections as u64 * each + OTHER_FILES;
    match open_files::raise() {
        Some(max) if max < needed => {
            bail!("this run needs {needed} open files and {max} are allowed: see `ulimit -Hn`")
        }
        _ => Ok(()),
    }
}

/// Opens one connection to see that there is a server which this plan can be run against.
fn probe(plan: &Plan) -> anyhow::Result<std::net::SocketAddr> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let address = plan.target.resolve().await?;
        let opened = open::open(plan, address, 0).await.with_context(|| format!("cannot bench {}", plan.target.url))?;
        // How the server takes the end of this connection is not measured.
        let _ = tokio::time::timeout(Duration::from_secs(1), super::churn::close(plan, opened)).await;
        Ok(address)
    })
}

struct Run {
    plan: Arc<Plan>,
    counters: Vec<Arc<Counters>>,
    faults: Arc<Faults>,
    threads: Vec<JoinHandle<std::io::Result<Outcome>>>,
    phase: watch::Sender<Phase>,
    bar: Bar,
}

impl Run {
    fn start(plan: Arc<Plan>, address: std::net::SocketAddr, bar: Bar) -> anyhow::Result<Self> {
        for pid in &plan.pids {
            process::usage(*pid)?;
        }
        let faults = Arc::new(Faults::default());
        let (phase, seen) = watch::channel(Phase::Wait);
        let start = Start { plan: plan.clone(), address, began: Instant::now(), faults: faults.clone(), phase: seen };
        let counters: Vec<_> = (0..plan.threads).map(|_| Arc::new(Counters::default())).collect();
        let threads = counters.iter().enumerate().map(|(index, counters)| {
            let (start, counters) = (start.clone(), counters.clone());
            let name = format!("bench-{index}");
            std::thread::Builder::new().name(name).spawn(move || worker::run(index, start, counters))
        });
        let threads = threads.collect::<Result<_, _>>().context("starting the generator's threads")?;
        Ok(Self { plan, counters, faults, threads, phase, bar })
    }

    fn total(&self, count: Count) -> u64 {
        self.counters.iter().map(|counters| counters.get(count)).sum()
    }

    fn go(&self, phase: Phase) {
        self.phase.send_replace(phase);
    }

    fn moment(&self) -> anyhow::Result<Moment> {
        let usages = self.plan.pids.iter().map(|pid| process::usage(*pid)).collect::<anyhow::Result<_>>();
        let usages = usages.context("a measured process is gone")?;
        Ok(Moment {
            at: Instant::now(),
            usages,
            own_cpu_seconds: process::usage(std::process::id()).map_or(0.0, |usage| usage.cpu_seconds),
            opened: self.total(Count::Opened),
            sent: self.total(Count::Sent),
            received: self.total(Count::Received),
        })
    }

    fn open_all(&self) -> anyhow::Result<()> {
        self.go(Phase::Open);
        let asked = self.plan.grouping.connections as u64;
        let started = Instant::now();
        loop {
            let (opened, failed) = (self.total(Count::Opened), self.total(Count::OpenFailed));
            let rate = opened as f64 / started.elapsed().as_secs_f64();
            self.bar.show("connecting", opened, asked, format!("{opened} of {asked}, {rate:.0}/s, {failed} failed"));
            if opened + failed >= asked {
                break;
            }
            self.look()?;
        }
        if self.total(Count::Opened) == 0 {
            bail!("no connection could be opened: {}", self.faults.open.text().unwrap_or_default());
        }
        Ok(())
    }

    fn join_all(&self) -> anyhow::Result<()> {
        self.go(Phase::Join);
        if !self.plan.joins {
            return Ok(());
        }
        let opened = self.total(Count::Opened);
        let mut progress = (0, Instant::now());
        loop {
            let (joined, refused) = (self.total(Count::Joined), self.total(Count::JoinRefused));
            let answered = joined + refused + self.total(Count::Lost);
            self.bar.show("joining", answered, opened, format!("{joined} of {opened}, {refused} refused"));
            if answered >= opened {
                break;
            }
            if progress.0 != answered {
                progress = (answered, Instant::now());
            } else if progress.1.elapsed() > self.plan.patience {
                let (event, seconds) = (&self.plan.join_event, self.plan.patience.as_secs_f64());
                bail!("{} of {opened} `{event}` events were not acknowledged within {seconds} s", opened - answered);
            }
            self.look()?;
        }
        if self.total(Count::Joined) == 0 {
            let said = self.faults.join.text().or(self.faults.lost.text()).unwrap_or_default();
            bail!("the server let nobody join a room with `{}`: {said}", self.plan.join_event);
        }
        Ok(())
    }

    /// Waits until nothing arrives any more: joins may have led to notices for all members of a room.
    fn wait_for_quiet(&self) {
        let arrived = || [Count::Other, Count::Received, Count::Duplicate, Count::Acked].map(|count| self.total(count));
        self.wait_until_still(|| arrived().iter().sum(), QUIET, QUIET_MAX, || false);
    }

    fn drain(&self) {
        let (expected, received) = (|| self.total(Count::Expected), || self.total(Count::Received));
        self.wait_until_still(received, self.plan.patience, DRAIN_MAX, || received() >= expected());
    }

    /// Returns when `done`, or when the count has not changed for `patience`, or after `longest`.
    fn wait_until_still(
        &self,
        count: impl Fn() -> u64,
        patience: Duration,
        longest: Duration,
        done: impl Fn() -> bool,
    ) {
        let started = Instant::now();
        let mut progress = (count(), started);
        while !done() && progress.1.elapsed() < patience && started.elapsed() < longest {
            std::thread::sleep(LOOK);
            let now = count();
            self.bar.show("waiting", 1, 1, "for what is still under way".to_owned());
            if now != progress.0 {
                progress = (now, Instant::now());
            }
        }
    }

    fn pass(&self, stage: &'static str, duration: Duration) {
        let started = Instant::now();
        let before = (self.total(Count::Received), self.total(Count::Opened));
        loop {
            let elapsed = started.elapsed();
            let seconds = elapsed.as_secs_f64().max(0.001);
            let (received, opened) = (self.total(Count::Received) - before.0, self.total(Count::Opened) - before.1);
            let message = match self.plan.mode {
                Mode::Connect => format!("{:.0} connections/s", opened as f64 / seconds),
                Mode::Idle => format!("{} lost", self.total(Count::Lost)),
                Mode::Broadcast | Mode::Echo => format!("{:.0} deliveries/s", received as f64 / seconds),
            };
            self.bar.show(stage, elapsed.as_millis() as u64, duration.as_millis() as u64, message);
            let Some(left) = duration.checked_sub(elapsed).filter(|left| !left.is_zero()) else { return };
            std::thread::sleep(left.min(LOOK * 5));
        }
    }

    /// A pause between two looks at the counts; an error when a thread has ended before its time.
    fn look(&self) -> anyhow::Result<()> {
        std::thread::sleep(LOOK);
        if self.threads.iter().any(JoinHandle::is_finished) {
            bail!("a thread of the generator ended early");
        }
        Ok(())
    }

    fn finish(self) -> anyhow::Result<Vec<Outcome>> {
        self.go(Phase::Close);
        let outcomes = self.threads.into_iter().map(|thread| match thread.join() {
            Ok(outcome) => outcome.context("a thread of the generator could not start"),
            Err(_) => Err(anyhow!("a thread of the generator panicked")),
        });
        outcomes.collect()
    }
}
