//! One plugin's turn with an event: whether it is called, what came of it, and who is told.

use std::time::{Duration, Instant};

use super::{
    super::{
        breaker::Turn,
        call::{Acts, Call, Step, Verdict},
        chain::{Failure, FailureCause, Link, Policy},
        refusal::Code,
        told,
    },
    Transaction, Undone,
};
use crate::{
    event::{Kind, SocketId},
    seeing::{logs::Level, metrics::Verdict as Seen, trace::Did},
};

impl Transaction<'_> {
    /// One plugin's turn. `None`: it failed or is in quarantine, and its policy is to skip.
    pub(super) async fn ask(&mut self, link: &Link) -> Result<Option<Acts>, Undone> {
        let kind = self.event().kind;
        let fact = kind.is_fact();
        let began = self.clock;
        if began > self.deadline {
            let text = "the plugins took too long for this event";
            tracing::warn!(plugin = %link.plugin.name(), hook = kind.hook(), "chain_timeout_ms exceeded: plugin not asked");
            self.record(link, "not_asked", Some("chain_timeout_ms"), Duration::ZERO);
            return if fact { Ok(None) } else { Err(Undone::by_hub(Code::Timeout, text)) };
        }
        let turn = link.breaker.turn(began);
        if let Turn::Quarantined = turn {
            link.meter.passed_over(kind);
            self.record(link, "quarantined", None, Duration::ZERO);
            return not_counted(link, kind, Code::PluginFailed);
        }
        let outcome = link.plugin.call(&mut self.call).await;
        self.clock = Instant::now();
        let now = self.clock;
        let call = self.call_mut();
        let outcome = outcome.and_then(|()| check_steps(link, call));
        let cause = outcome.as_ref().err().map(|failure| &failure.cause);
        let verdict = seen(cause, &call.acts);
        link.meter.called(kind, now - began, verdict);
        settle(link, turn, cause, now);
        if outcome.is_ok() && call.acts.verdict == Verdict::Pass {
            call.apply_change();
        }
        let acts = std::mem::take(&mut call.acts);
        if self.recording.is_some() {
            let why = match (verdict, &acts.verdict) {
                (Seen::Fail(cause), _) => Some(cause),
                (Seen::Reject, Verdict::Reject(rejection)) => Some(&*rejection.code),
                _ => None,
            };
            self.record(link, verdict.as_str(), why, now - began);
            self.meet();
        }
        let Err(failure) = outcome else { return Ok(Some(acts)) };
        let socket = self.call().context.subject.as_ref().map(|subject| subject.id);
        log_failure(link, socket, &failure);
        if let FailureCause::Store(_) = failure.cause
            && !fact
        {
            return Err(Undone::by_hub(Code::StoreUnavailable, "the server cannot reach its store, try again"));
        }
        let code = if failure.cause.is_overload() { Code::Overloaded } else { Code::PluginFailed };
        not_counted(link, kind, code)
    }

    /// Those who look on are told what the event is called now, and where it goes.
    pub(super) fn meet(&mut self) {
        if let (Some(recording), Some(call)) = (&mut self.recording, &self.call) {
            recording.meet(told::name(&call.event), told::rooms(&call.event));
        }
    }

    fn record(&mut self, link: &Link, verdict: &'static str, why: Option<&str>, took: Duration) {
        if let (Some(recording), Some(call)) = (&mut self.recording, &self.call) {
            let (plugin, version, event) = (link.plugin.name(), link.plugin.version(), &call.event);
            recording.step(&Did { plugin, version, kind: event.kind, what: told::what(event), verdict, why, took });
        }
    }
}

/// What becomes of an event that a plugin failed on, or was not called for: its policy says. A fact goes on.
fn not_counted(link: &Link, kind: Kind, code: Code) -> Result<Option<Acts>, Undone> {
    let text = match code {
        Code::Overloaded => "the server is busy, try again",
        _ => "a plugin failed on this event",
    };
    match link.policy[kind as usize] {
        Policy::Reject if !kind.is_fact() => Err(Undone::by_hub(code, text)),
        _ => Ok(None),
    }
}

/// What a call looks like to an operator.
fn seen(failed: Option<&FailureCause>, acts: &Acts) -> Seen {
    match (failed, &acts.verdict) {
        (Some(cause), _) => Seen::Fail(cause.name()),
        (None, Verdict::Pass) if acts.change.is_none() => Seen::Pass,
        (None, Verdict::Pass) => Seen::Change,
        (None, Verdict::Swallow) => Seen::Swallow,
        (None, Verdict::Reject(_)) => Seen::Reject,
    }
}

/// Tells a plugin's breaker what came of a call. What was not the plugin's fault counts neither for nor against it.
fn settle(link: &Link, turn: Turn<'_>, failed: Option<&FailureCause>, now: Instant) {
    match (turn, failed) {
        (Turn::Probe(probe), None) => probe.worked(),
        (Turn::Probe(probe), Some(cause)) if cause.is_plugins_own() => probe.failed(now),
        (Turn::Call, Some(cause)) if cause.is_plugins_own() => link.breaker.failed(now, link.meter.calls()),
        _ => {}
    }
}

/// What a hook may raise and give: later kinds, messages down the rest, orders only where they are allowed.
fn check_steps(link: &Link, call: &Call) -> Result<(), Box<Failure>> {
    let kind = call.event.kind;
    for step in &call.acts.steps {
        let misuse = match step {
            Step::Raise(raised) if raised.kind > kind || (raised.kind == kind && kind == Kind::Message) => continue,
            Step::Raise(raised) => format!(
                "raised a {:?} in {}: only later kinds may be raised (connect < answer < message < join < leave < disconnect)",
                raised.kind,
                kind.hook()
            ),
            Step::Order(_) if call.context.runs_order => {
                "gave an order while an order was run: orders give no further orders".into()
            }
            _ => continue,
        };
        return Err(Box::new(Failure {
            plugin: link.plugin.name().clone(),
            version: link.plugin.version().to_owned(),
            hook: kind.hook(),
            cause: FailureCause::Misuse(misuse),
            details: None,
        }));
    }
    Ok(())
}

fn log_failure(link: &Link, socket: Option<SocketId>, failure: &Failure) {
    let details = failure.details.as_deref().unwrap_or("");
    tracing::warn!(
        plugin = %failure.plugin, version = %failure.version, hook = failure.hook, error = %failure.cause, details,
        "plugin failed"
    );
    let separator = if details.is_empty() { "" } else { "\n" };
    let text = format!("failed: {}{separator}{details}", failure.cause);
    link.voice.say(failure.hook, Level::Error, socket, &text);
}
