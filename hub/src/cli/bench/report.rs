//! The result of a run: as JSON through serde, as a table through Display.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::counters::{Count, Counters};
use super::plan::{Pace, Plan};
use super::process;
use super::run::{Moment, Moments};
use super::worker::{Faults, MemberOutcome, Outcome, histogram};
use super::{Mode, TransportName};

/// The result. Times are in the unit that their name ends with.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    url: String,
    mode: Mode,
    transport: TransportName,
    namespace: String,
    rooms: Option<usize>,
    senders: usize,
    size_bytes: usize,
    connections: Connections,
    traffic: Option<Traffic>,
    processes: Vec<Process>,
    /// CPU time of all measured processes while measuring.
    cpu_seconds: Option<f64>,
    /// Deliveries for each second of CPU time of the measured processes.
    deliveries_per_cpu_second: Option<f64>,
    /// Resident memory that the connections brought, before and after traffic, for each connection.
    rss_per_connection_bytes: Option<Growth>,
    generator: Generator,
    /// What was wrong, in words; empty when nothing was.
    pub(super) faults: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Connections {
    asked: usize,
    opened: u64,
    failed: u64,
    joined: u64,
    lost: u64,
    /// How long opening took: in connect mode the measured time, elsewhere until the last was open.
    seconds: f64,
    per_second: f64,
    per_cpu_second: Option<f64>,
    handshake_us: Percentiles,
}

#[derive(Debug, Serialize)]
struct Traffic {
    seconds: f64,
    sent: u64,
    sent_per_second: f64,
    deliveries: u64,
    deliveries_per_second: f64,
    /// Whole run, warm-up included, from here on.
    sent_in_all: u64,
    delivered_in_all: u64,
    lost: u64,
    /// Owed to connections that ended early.
    lost_with_connections: u64,
    duplicates: u64,
    out_of_order: u64,
    foreign: u64,
    /// Rooms whose members all saw the same sequence, of the rooms with members.
    rooms_in_one_order: usize,
    rooms_seen: usize,
    /// Members whose sequence is not that of most members of their room.
    members_in_other_order: usize,
    refused: u64,
    stalled: u64,
    unsent: u64,
    acks: u64,
    /// Messages that asked for an ack and got neither that nor a refusal.
    without_ack: u64,
    latency_us: Percentiles,
    /// How long after their time messages were sent at a fixed rate: the generator's lag, which is not in the latency.
    send_lag_us: Option<Percentiles>,
}

/// Percentiles of a duration.
#[derive(Debug, Serialize)]
struct Percentiles {
    p50: u64,
    p90: u64,
    p99: u64,
    p999: u64,
    max: u64,
    mean: f64,
}

#[derive(Debug, Serialize)]
struct Process {
    pid: u32,
    name: String,
    /// While measuring.
    cpu_seconds: f64,
    /// Before the first connection.
    rss_before_bytes: u64,
    /// All connections open and joined, no traffic yet.
    rss_ready_bytes: u64,
    /// After all traffic, connections still open.
    rss_after_bytes: u64,
}

#[derive(Debug, Serialize)]
struct Growth {
    ready: f64,
    after: f64,
}

#[derive(Debug, Serialize)]
struct Generator {
    threads: usize,
    cpu_seconds: f64,
    /// Of the CPU time that its threads could have had while measuring.
    busy: f64,
}

impl From<&Histogram<u64>> for Percentiles {
    fn from(histogram: &Histogram<u64>) -> Self {
        Self {
            p50: histogram.value_at_quantile(0.5),
            p90: histogram.value_at_quantile(0.9),
            p99: histogram.value_at_quantile(0.99),
            p999: histogram.value_at_quantile(0.999),
            max: histogram.max(),
            mean: histogram.mean(),
        }
    }
}

/// Computes the result from what all threads counted and saw.
pub(super) fn build(
    plan: &Plan,
    counters: &[Arc<Counters>],
    faults: &Faults,
    moments: &Moments,
    outcomes: Vec<Outcome>,
) -> Report {
    let total = |count| counters.iter().map(|counters| counters.get(count)).sum::<u64>();
    let (mut latency, mut lag, mut opening) = (histogram(), histogram(), histogram());
    let mut members = Vec::new();
    for outcome in outcomes {
        for (sum, part) in [(&mut latency, outcome.latency), (&mut lag, outcome.lag), (&mut opening, outcome.opening)] {
            sum.add(part).expect("all histograms have the same bounds");
        }
        members.extend(outcome.members);
    }
    let seconds = moments.measured.at.duration_since(moments.measure.at).as_secs_f64();
    let deliveries = moments.measured.received - moments.measure.received;
    let cpu_seconds = cpu_between(&moments.measure, &moments.measured);
    let traffic = (plan.pace != Pace::Still).then(|| {
        let sent = moments.measured.sent - moments.measure.sent;
        let verdict = Verdict::of(plan, &members);
        Traffic {
            seconds,
            sent,
            sent_per_second: sent as f64 / seconds,
            deliveries,
            deliveries_per_second: deliveries as f64 / seconds,
            sent_in_all: total(Count::Sent),
            delivered_in_all: total(Count::Received),
            lost: verdict.lost,
            lost_with_connections: verdict.lost_with_connections,
            duplicates: total(Count::Duplicate),
            out_of_order: total(Count::Late),
            foreign: total(Count::Foreign),
            rooms_in_one_order: verdict.rooms_in_one_order,
            rooms_seen: verdict.rooms_seen,
            members_in_other_order: verdict.members_in_other_order,
            refused: total(Count::Refused),
            stalled: total(Count::Stalled),
            unsent: total(Count::Unsent),
            acks: total(Count::Acked),
            without_ack: if plan.asks_acks && plan.mode == Mode::Broadcast {
                total(Count::Sent).saturating_sub(total(Count::Acked) + total(Count::Refused))
            } else {
                0
            },
            latency_us: (&latency).into(),
            send_lag_us: matches!(plan.pace, Pace::Rate { .. }).then(|| (&lag).into()),
        }
    });
    let connections = connections(plan, &total, moments, &opening);
    let own_cpu = moments.measured.own_cpu_seconds - moments.measure.own_cpu_seconds;
    let open_now = connections.opened.saturating_sub(connections.lost);
    Report {
        url: plan.target.url.clone(),
        mode: plan.mode,
        transport: plan.transport,
        namespace: plan.namespace.clone(),
        rooms: plan.joins.then_some(plan.grouping.rooms),
        senders: if plan.pace == Pace::Still { 0 } else { plan.grouping.senders },
        size_bytes: plan.text.len(),
        faults: fault_texts(&connections, traffic.as_ref(), total(Count::JoinRefused), faults),
        connections,
        traffic,
        processes: processes(plan, moments),
        deliveries_per_cpu_second: cpu_seconds
            .filter(|cpu| *cpu > 0.0 && deliveries > 0)
            .map(|cpu| deliveries as f64 / cpu),
        cpu_seconds,
        rss_per_connection_bytes: growth(plan, moments, open_now),
        generator: Generator {
            threads: plan.threads,
            cpu_seconds: own_cpu,
            busy: own_cpu / seconds / plan.threads as f64,
        },
    }
}

fn connections(plan: &Plan, total: &impl Fn(Count) -> u64, moments: &Moments, opening: &Histogram<u64>) -> Connections {
    let (from, to) = match plan.mode {
        Mode::Connect => (&moments.measure, &moments.measured),
        Mode::Broadcast | Mode::Echo | Mode::Idle => (&moments.begin, &moments.opened),
    };
    let seconds = to.at.duration_since(from.at).as_secs_f64();
    let opened = to.opened - from.opened;
    Connections {
        asked: plan.grouping.connections,
        opened,
        failed: total(Count::OpenFailed),
        joined: total(Count::Joined),
        lost: total(Count::Lost),
        seconds,
        per_second: opened as f64 / seconds,
        per_cpu_second: cpu_between(from, to).filter(|cpu| *cpu > 0.0).map(|cpu| opened as f64 / cpu),
        handshake_us: opening.into(),
    }
}

fn cpu_between(from: &Moment, to: &Moment) -> Option<f64> {
    let spent = to.usages.iter().zip(&from.usages).map(|(to, from)| to.cpu_seconds - from.cpu_seconds);
    (!to.usages.is_empty()).then(|| spent.sum())
}

fn processes(plan: &Plan, moments: &Moments) -> Vec<Process> {
    let processes = plan.pids.iter().enumerate().map(|(at, pid)| Process {
        pid: *pid,
        name: process::name(*pid),
        cpu_seconds: moments.measured.usages[at].cpu_seconds - moments.measure.usages[at].cpu_seconds,
        rss_before_bytes: moments.begin.usages[at].rss_bytes,
        rss_ready_bytes: moments.ready.usages[at].rss_bytes,
        rss_after_bytes: moments.end.usages[at].rss_bytes,
    });
    processes.collect()
}

fn growth(plan: &Plan, moments: &Moments, open: u64) -> Option<Growth> {
    let rss = |moment: &Moment| moment.usages.iter().map(|usage| usage.rss_bytes as f64).sum::<f64>();
    let each = |moment: &Moment| (rss(moment) - rss(&moments.begin)) / open as f64;
    let applies = plan.mode != Mode::Connect && !plan.pids.is_empty() && open > 0;
    applies.then(|| Growth { ready: each(&moments.ready), after: each(&moments.end) })
}

/// What the members' ledgers say together.
#[derive(Debug, Default, PartialEq, Eq)]
struct Verdict {
    lost: u64,
    lost_with_connections: u64,
    rooms_seen: usize,
    rooms_in_one_order: usize,
    members_in_other_order: usize,
}

impl Verdict {
    fn of(plan: &Plan, members: &[MemberOutcome]) -> Self {
        let sent: HashMap<u32, u32> = members.iter().filter_map(|member| member.sent).collect();
        let mut verdict = Self::default();
        let mut rooms: HashMap<usize, HashMap<(u64, u64), usize>> = HashMap::new();
        for member in members {
            // In echo mode a room is one connection, whose messages come back to it alone.
            let sent_at = |slot| sent.get(&plan.grouping.sender_at(member.room, slot)).copied().unwrap_or(0);
            let lost = member.ledger.lost(sent_at);
            if member.stayed {
                verdict.lost += lost;
                *rooms.entry(member.room).or_default().entry(member.ledger.sequence()).or_default() += 1;
            } else {
                verdict.lost_with_connections += lost;
            }
        }
        verdict.rooms_seen = rooms.len();
        for sequences in rooms.into_values() {
            verdict.rooms_in_one_order += usize::from(sequences.len() == 1);
            let (all, most): (usize, Option<&usize>) = (sequences.values().sum(), sequences.values().max());
            verdict.members_in_other_order += all - most.copied().unwrap_or(0);
        }
        verdict
    }
}

fn fault_texts(
    connections: &Connections,
    traffic: Option<&Traffic>,
    joins_refused: u64,
    faults: &Faults,
) -> Vec<String> {
    let mut texts = Vec::new();
    let mut fault = |count: u64, what: &str, first: Option<String>| {
        if count > 0 {
            let first = first.map(|text| format!(" (first: {text})")).unwrap_or_default();
            texts.push(format!("{count} {what}{first}"));
        }
    };
    fault(connections.failed, "connections could not be opened", faults.open.text());
    fault(connections.lost, "connections ended early", faults.lost.text());
    fault(joins_refused, "joins were refused", faults.join.text());
    if let Some(traffic) = traffic {
        fault(traffic.refused, "messages were refused", faults.refused.text());
        fault(traffic.without_ack, "messages got no ack", None);
        fault(traffic.lost, "deliveries were lost", None);
        fault(traffic.lost_with_connections, "deliveries were owed to connections that ended early", None);
        fault(traffic.duplicates, "deliveries came twice", None);
        fault(traffic.out_of_order, "deliveries came after a later one of the same sender", None);
        fault(traffic.foreign, "deliveries belong to no sender of the room", None);
        fault(traffic.members_in_other_order as u64, "members saw another order than the rest of their room", None);
        fault(traffic.stalled, "times a sender waited in vain for its own message", None);
        fault(traffic.unsent, "messages could not be sent because the server did not read", None);
    }
    texts
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |name: &str, text: String| writeln!(out, "{name:<22} {text}");
        let connections = &self.connections;
        row("server", format!("{} ({:?}, namespace {})", self.url, self.transport, self.namespace).to_lowercase())?;
        row("connections", connections.to_string())?;
        row("handshake", connections.handshake_us.to_string())?;
        if let Some(rate) = connections.per_cpu_second {
            row("connections/CPU-s", format!("{rate:.0}"))?;
        }
        if let Some(rooms) = self.rooms {
            row("rooms", format!("{rooms}, {} joined", connections.joined))?;
        }
        if let Some(traffic) = &self.traffic {
            row(
                "sent",
                format!(
                    "{} in {:.2} s, {:.0}/s by {} senders",
                    traffic.sent, traffic.seconds, traffic.sent_per_second, self.senders
                ),
            )?;
            row("deliveries", format!("{}, {:.0}/s", traffic.deliveries, traffic.deliveries_per_second))?;
            row("latency", traffic.latency_us.to_string())?;
            if let Some(lag) = &traffic.send_lag_us {
                row("generator's lag", lag.to_string())?;
            }
            row(
                "whole run",
                format!(
                    "{} sent, {} delivered, {} lost, {} twice, {} out of order",
                    traffic.sent_in_all,
                    traffic.delivered_in_all,
                    traffic.lost + traffic.lost_with_connections,
                    traffic.duplicates,
                    traffic.out_of_order
                ),
            )?;
            if self.mode == Mode::Broadcast {
                row("one order", format!("in {} of {} rooms", traffic.rooms_in_one_order, traffic.rooms_seen))?;
            }
        }
        for process in &self.processes {
            row(
                &format!("{} {}", process.name, process.pid),
                format!(
                    "{:.2} CPU-s; resident {} before, {} connected, {} at the end",
                    process.cpu_seconds,
                    mebibytes(process.rss_before_bytes),
                    mebibytes(process.rss_ready_bytes),
                    mebibytes(process.rss_after_bytes)
                ),
            )?;
        }
        if let Some(rate) = self.deliveries_per_cpu_second {
            row("deliveries/CPU-s", format!("{rate:.0}"))?;
        }
        if let Some(growth) = &self.rss_per_connection_bytes {
            row("bytes/connection", format!("{:.0} connected, {:.0} at the end", growth.ready, growth.after))?;
        }
        let generator = &self.generator;
        row(
            "generator",
            format!(
                "{:.2} CPU-s, {:.0} % of {} threads",
                generator.cpu_seconds,
                generator.busy * 100.0,
                generator.threads
            ),
        )?;
        for fault in &self.faults {
            row("FAULT", fault.clone())?;
        }
        Ok(())
    }
}

impl fmt::Display for Connections {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { asked, opened, failed, lost, seconds, per_second, .. } = self;
        write!(
            out,
            "{opened} opened in {seconds:.2} s, {per_second:.0}/s, {asked} at a time; {failed} failed, {lost} lost"
        )
    }
}

impl fmt::Display for Percentiles {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |us: u64| us as f64 / 1000.0;
        let [p50, p90, p99, p999, max] = [self.p50, self.p90, self.p99, self.p999, self.max].map(ms);
        write!(out, "p50 {p50:.2}  p90 {p90:.2}  p99 {p99:.2}  p99.9 {p999:.2}  max {max:.2} ms")
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
