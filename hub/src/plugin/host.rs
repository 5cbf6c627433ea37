//! The host functions: what a guest asks and does while its hook runs. Shims only convert; the checks are in
//! [`HostState`]'s own methods.

use std::time::Duration;

use wasmtime::{Result, component::ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use super::{
    abi::imports::{self, answer::AskOutcome, log::Level, types},
    cpu::CpuTime,
    limiter::{LimitError, MemoryLimiter, Misuse},
    settings::Limits,
    stdio::Stdio,
};
use crate::{
    event::{Audience, Identity, Kind, Origin, Target, Text},
    pipeline::call::{AnswerOutcome, Call, Event, Step},
    seeing::logs::{self, Voice},
};

/// What a target, role or attachment counts beside its own bytes: the hub keeps each of them, however short it is.
pub(super) const ITEM_BYTES: usize = 32;

/// What belongs to one instance, and to the call that it handles.
pub struct HostState {
    wasi: WasiCtx,
    table: ResourceTable,
    pub memory: MemoryLimiter,
    pub stdio: Stdio,
    voice: Voice,
    pub limits: Limits,
    /// The event being handled.
    pub call: Option<Box<Call>>,
    pub cpu: CpuTime,
    output_bytes: usize,
    log_lines: usize,
}

impl WasiView for HostState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl HostState {
    /// A state without an event: no files, no network, no environment; clocks and randomness work.
    pub fn new(voice: Voice, limits: Limits, memory: MemoryLimiter) -> Self {
        let stdio = Stdio::default();
        let wasi = WasiCtxBuilder::new().stdout(stdio.clone()).stderr(stdio.clone()).build();
        Self {
            wasi,
            table: ResourceTable::new(),
            memory,
            stdio,
            voice,
            limits,
            call: None,
            cpu: CpuTime::new(),
            output_bytes: 0,
            log_lines: 0,
        }
    }

    /// Makes room for the next call.
    pub fn begin(&mut self, call: Option<Box<Call>>, cpu: Duration) {
        self.call = call;
        self.cpu.begin(cpu);
        self.output_bytes = 0;
        self.log_lines = 0;
    }

    /// What the last call printed goes to the log, line by line, and counts as its lines.
    pub fn flush_output(&mut self) -> Option<String> {
        let kept = self.stdio.take()?;
        let text = String::from_utf8_lossy(&kept.text).into_owned();
        for line in text.lines() {
            self.write_log(Level::Info, line);
        }
        if kept.dropped_bytes > 0 {
            let dropped_bytes = kept.dropped_bytes;
            tracing::warn!(plugin = %self.plugin(), dropped_bytes, "plugin printed too much: output dropped");
            self.say(logs::Level::Warn, &format!("printed too much: {dropped_bytes} bytes dropped"));
        }
        Some(text)
    }

    /// Says how many lines were dropped, if any.
    pub fn end_log(&mut self, hook: &'static str) {
        let (used, allowed) = (self.log_lines, self.limits.log_lines_max);
        if used > allowed {
            tracing::warn!(plugin = %self.plugin(), hook, limit = "log_lines_max", used, allowed, "log lines dropped");
            let text = format!("log_lines_max exceeded: used {used}, allowed {allowed}: lines dropped");
            self.voice.say(hook, logs::Level::Warn, None, &text);
        }
        self.log_lines = 0;
    }

    pub(super) fn plugin(&self) -> &Text {
        self.voice.plugin()
    }

    pub(super) fn call(&mut self) -> Result<&mut Call> {
        match &mut self.call {
            Some(call) => Ok(call),
            None => Err(Misuse("asked about an event in init, where there is none".into()).into()),
        }
    }

    pub(super) fn act(&mut self, bytes: usize, step: Step) -> Result<()> {
        self.count_effect(bytes)?;
        self.call()?.acts.steps.push(step);
        Ok(())
    }

    /// Counts one more effect of so many bytes before it is taken.
    pub(super) fn count_effect(&mut self, bytes: usize) -> Result<()> {
        self.count_output(bytes)?;
        let max = self.limits.effects_max;
        let acts = &self.call()?.acts;
        if acts.steps.len() + acts.changes.len() >= max {
            return Err(LimitError::new("effects_max", max + 1, max).into());
        }
        Ok(())
    }

    pub(super) fn count_output(&mut self, bytes: usize) -> Result<()> {
        self.output_bytes += bytes;
        let max = self.limits.output_max_bytes;
        if self.output_bytes > max {
            return Err(LimitError::new("output_max_bytes", self.output_bytes, max).into());
        }
        Ok(())
    }

    pub(super) fn raise(&mut self, bytes: usize, event: Event) -> Result<()> {
        if self.call()?.context.subject.is_none() {
            return Err(Misuse("acted on the event's socket, but the event has none".into()).into());
        }
        self.act(bytes, Step::Raise(event))
    }

    pub(super) fn message_only(&mut self, what: &str) -> Result<&mut Call> {
        let call = self.call()?;
        match call.event.kind {
            Kind::Message => Ok(call),
            kind => Err(Misuse(format!("{what} in {}: only a message can be changed", kind.hook())).into()),
        }
    }

    /// Whether a line of this level reaches anybody: the node's log has its level, and what operators look at has all but
    /// the finest.
    fn is_heard(&self, level: Level) -> bool {
        match level {
            Level::Trace => tracing::enabled!(target: "plugin", tracing::Level::TRACE),
            Level::Debug => tracing::enabled!(target: "plugin", tracing::Level::DEBUG),
            Level::Info | Level::Warn | Level::Error => true,
        }
    }

    /// A line for those who look at this plugin.
    fn say(&self, level: logs::Level, text: &str) {
        let call = self.call.as_ref();
        let socket = call.and_then(|call| Some(call.context.subject.as_ref()?.id));
        self.voice.say(call.map_or("init", |call| call.event.kind.hook()), level, socket, text);
    }

    fn write_log(&mut self, level: Level, message: &str) {
        self.log_lines += 1;
        if self.log_lines > self.limits.log_lines_max {
            return;
        }
        let end = message.floor_char_boundary(self.limits.log_line_max_bytes);
        let message = &message[..end];
        if self.is_heard(level) {
            self.say(kept_level(level), message);
        }
        let plugin = self.plugin();
        match level {
            Level::Trace => tracing::trace!(target: "plugin", %plugin, "{message}"),
            Level::Debug => tracing::debug!(target: "plugin", %plugin, "{message}"),
            Level::Info => tracing::info!(target: "plugin", %plugin, "{message}"),
            Level::Warn => tracing::warn!(target: "plugin", %plugin, "{message}"),
            Level::Error => tracing::error!(target: "plugin", %plugin, "{message}"),
        }
    }
}

fn kept_level(level: Level) -> logs::Level {
    match level {
        Level::Trace => logs::Level::Trace,
        Level::Debug => logs::Level::Debug,
        Level::Info => logs::Level::Info,
        Level::Warn => logs::Level::Warn,
        Level::Error => logs::Level::Error,
    }
}

fn guest_target(target: &Target) -> types::Target {
    match target {
        Target::Sender => types::Target::Sender,
        Target::EventRoom => types::Target::EventRoom,
        Target::Room(room) => types::Target::Room(room.to_string()),
        Target::Socket(id) => types::Target::Socket(id.to_string()),
        Target::User(user) => types::Target::User(user.to_string()),
        Target::Everyone => types::Target::Everyone,
    }
}

impl types::Host for HostState {}

impl imports::event::Host for HostState {
    fn kind(&mut self) -> Result<types::EventKind> {
        Ok(match self.call()?.event.kind {
            Kind::Connect => types::EventKind::Connect,
            Kind::Answer => types::EventKind::Answer,
            Kind::Message => types::EventKind::Message,
            Kind::Join => types::EventKind::Join,
            Kind::Leave => types::EventKind::Leave,
            Kind::Disconnect => types::EventKind::Disconnect,
        })
    }

    fn origin(&mut self) -> Result<types::EventOrigin> {
        Ok(match self.call()?.event.origin {
            Origin::Client => types::EventOrigin::Client,
            Origin::Plugin => types::EventOrigin::Plugin,
            Origin::Server => types::EventOrigin::Server,
            Origin::NodeDeath => types::EventOrigin::NodeDeath,
        })
    }

    fn namespace(&mut self) -> Result<String> {
        Ok(self.call()?.context.namespace.to_string())
    }

    fn name(&mut self) -> Result<String> {
        Ok(self.call()?.name().to_string())
    }

    fn args(&mut self) -> Result<String> {
        let call = self.call()?;
        match call.event.kind {
            // the auth payload is a credential: its capability hands it out
            Kind::Connect => Ok("[]".into()),
            _ => Ok(call.payload().args.to_string()),
        }
    }

    fn attachment_count(&mut self) -> Result<u32> {
        Ok(self.call()?.payload().attachments.len() as u32)
    }

    fn attachment(&mut self, index: u32) -> Result<Option<Vec<u8>>> {
        Ok(self.call()?.attachment(index).map(|b| b.to_vec()))
    }

    fn targets(&mut self) -> Result<Vec<types::Target>> {
        Ok(self.call()?.audience().map(|a| a.to.iter().map(guest_target).collect()).unwrap_or_default())
    }

    fn room(&mut self) -> Result<Option<String>> {
        let call = self.call()?;
        let room = match (&call.acts.change.audience, &call.event.room) {
            (Some(Audience { to, .. }), None) => match &to[..] {
                [Target::Room(room)] => Some(room),
                _ => None,
            },
            _ => call.event.single_room(),
        };
        Ok(room.map(|r| r.to_string()))
    }

    fn reason(&mut self) -> Result<Option<String>> {
        Ok(self.call()?.event.reason.as_ref().map(|r| r.to_string()))
    }

    fn socket(&mut self) -> Result<Option<String>> {
        Ok(self.call()?.context.subject.as_ref().map(|s| s.id.to_string()))
    }

    fn user(&mut self) -> Result<Option<String>> {
        Ok(self.call()?.context.identity().map(|i| i.user.to_string()))
    }

    fn roles(&mut self) -> Result<Vec<String>> {
        let identity = self.call()?.context.identity();
        Ok(identity.map(|i| i.roles.iter().map(|r| r.to_string()).collect()).unwrap_or_default())
    }

    fn address(&mut self) -> Result<Option<String>> {
        Ok(self.call()?.context.subject.as_ref().and_then(|s| s.address.as_ref()).map(|a| a.to_string()))
    }

    fn wants_ack(&mut self) -> Result<bool> {
        Ok(self.call()?.context.wants_ack)
    }

    fn received_ms(&mut self) -> Result<u64> {
        Ok(self.call()?.context.received_ms)
    }
}

impl imports::rooms::Host for HostState {
    fn mine(&mut self) -> Result<Vec<String>> {
        Ok(self.call()?.context.my_rooms().iter().map(|r| r.to_string()).collect())
    }

    fn contains(&mut self, room: String) -> Result<bool> {
        Ok(self.call()?.context.is_in(&room))
    }

    fn size(&mut self, room: String) -> Result<u32> {
        Ok(self.call()?.context.room_size(&room) as u32)
    }

    fn members(&mut self, room: String, limit: u32) -> Result<Vec<String>> {
        let context = &self.call()?.context;
        let members = context.rooms.members(&context.namespace, &room, limit as usize);
        Ok(members.iter().map(|id| id.to_string()).collect())
    }
}

impl imports::answer::Host for HostState {
    fn outcome(&mut self) -> Result<AskOutcome> {
        match self.call()?.event.answer.as_ref().map(|a| a.outcome) {
            Some(AnswerOutcome::Answered) => Ok(AskOutcome::Answered),
            Some(AnswerOutcome::TimedOut) => Ok(AskOutcome::TimedOut),
            Some(AnswerOutcome::Gone) => Ok(AskOutcome::Gone),
            None => Err(Misuse("asked for an answer outside on_answer".into()).into()),
        }
    }

    fn tag(&mut self) -> Result<String> {
        match &self.call()?.event.answer {
            Some(answer) => Ok(answer.tag.to_string()),
            None => Err(Misuse("asked for an answer outside on_answer".into()).into()),
        }
    }
}

impl imports::log::Host for HostState {
    fn enabled(&mut self, level: Level) -> Result<bool> {
        Ok(self.is_heard(level))
    }

    fn write(&mut self, level: Level, message: String) -> Result<()> {
        self.write_log(level, &message);
        Ok(())
    }
}

impl imports::credentials::Host for HostState {
    fn auth(&mut self) -> Result<Option<String>> {
        let call = self.call()?;
        if call.event.kind != Kind::Connect {
            return Ok(None);
        }
        let args = &call.event.payload.args;
        let auth = args.strip_prefix('[').and_then(|a| a.strip_suffix(']')).unwrap_or("");
        Ok((!auth.is_empty()).then(|| auth.to_owned()))
    }

    fn header(&mut self, name: String) -> Result<Option<String>> {
        let credentials = self.call()?.context.subject.as_ref().and_then(|s| s.credentials.clone());
        Ok(credentials.and_then(|c| c.header(&name)))
    }

    fn query(&mut self, name: String) -> Result<Option<String>> {
        let credentials = self.call()?.context.subject.as_ref().and_then(|s| s.credentials.clone());
        Ok(credentials.and_then(|c| c.query(&name)))
    }
}

impl imports::identity::Host for HostState {
    fn set_user(&mut self, user: String, roles: Vec<String>) -> Result<bool> {
        let user = self.limits.names.user(user)?;
        let roles = self.limits.names.roles(roles)?;
        let call = self.call()?;
        let set = call.acts.steps.iter().any(|s| matches!(s, Step::Identify(_)));
        if call.event.kind != Kind::Connect || set || call.context.identity().is_some() {
            return Ok(false);
        }
        let bytes = user.len() + roles.iter().map(|r| r.len() + ITEM_BYTES).sum::<usize>();
        self.act(bytes, Step::Identify(Identity { user, roles }))?;
        Ok(true)
    }
}
