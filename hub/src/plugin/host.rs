//! The host functions: what a guest asks and does while its hook runs. Shims only convert; the checks are in
//! [`HostState`]'s own methods.

use std::time::Duration;

use wasmtime::{Result, component::ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use super::{
    abi::imports::{self, answer::AskOutcome, log::Level, types},
    explain::quote,
    limiter::{LimitError, MemoryLimiter, Misuse},
    settings::Limits,
    stdio::Stdio,
};
use crate::{
    bus::{Emit, Order, OrderAct},
    event::{Audience, Identity, Kind, Origin, Payload, SocketId, Target, Text},
    pipeline::{
        call::{AnswerOutcome, Call, Event, Step, Verdict},
        refusal::Rejection,
    },
};

/// Of the reason that a plugin gives for a leave or disconnect, what is kept; the rest is cut off.
const REASON_MAX_BYTES: usize = 256;
/// What a target, role or attachment counts beside its own bytes: the hub keeps each of them, however short it is.
const ITEM_BYTES: usize = 32;
const ASK_TIMEOUT_MAX: Duration = Duration::from_secs(60);

/// What belongs to one instance, and to the call that it handles.
pub struct HostState {
    wasi: WasiCtx,
    table: ResourceTable,
    pub memory: MemoryLimiter,
    pub stdio: Stdio,
    plugin: Text,
    limits: Limits,
    /// The event being handled.
    pub call: Option<Box<Call>>,
    /// Ticks of a millisecond that the guest may still run.
    pub ticks_left: u64,
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
    pub fn new(plugin: Text, limits: Limits) -> Self {
        let stdio = Stdio::default();
        let wasi = WasiCtxBuilder::new().stdout(stdio.clone()).stderr(stdio.clone()).build();
        Self {
            wasi,
            table: ResourceTable::new(),
            memory: MemoryLimiter::new(limits.memory_max_bytes),
            stdio,
            plugin,
            limits,
            call: None,
            ticks_left: 0,
            output_bytes: 0,
            log_lines: 0,
        }
    }

    /// Makes room for the next call.
    pub fn begin(&mut self, call: Option<Box<Call>>, cpu: Duration) {
        self.call = call;
        self.ticks_left = cpu.as_millis() as u64 + 1;
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
            tracing::warn!(plugin = %self.plugin, dropped_bytes = kept.dropped_bytes, "plugin printed too much: output dropped");
        }
        Some(text)
    }

    /// Says how many lines were dropped, if any.
    pub fn end_log(&mut self, hook: &'static str) {
        let (used, allowed) = (self.log_lines, self.limits.log_lines_max);
        if used > allowed {
            tracing::warn!(plugin = %self.plugin, hook, limit = "log_lines_max", used, allowed, "log lines dropped");
        }
        self.log_lines = 0;
    }

    pub(super) fn plugin(&self) -> &Text {
        &self.plugin
    }

    pub(super) fn call(&mut self) -> Result<&mut Call> {
        match &mut self.call {
            Some(call) => Ok(call),
            None => Err(Misuse("asked about an event in init, where there is none".into()).into()),
        }
    }

    fn act(&mut self, bytes: usize, step: Step) -> Result<()> {
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

    fn count_output(&mut self, bytes: usize) -> Result<()> {
        self.output_bytes += bytes;
        let max = self.limits.output_max_bytes;
        if self.output_bytes > max {
            return Err(LimitError::new("output_max_bytes", self.output_bytes, max).into());
        }
        Ok(())
    }

    fn raise(&mut self, bytes: usize, event: Event) -> Result<()> {
        if self.call()?.context.subject.is_none() {
            return Err(Misuse("acted on the event's socket, but the event has none".into()).into());
        }
        self.act(bytes, Step::Raise(event))
    }

    fn message_only(&mut self, what: &str) -> Result<&mut Call> {
        let call = self.call()?;
        match call.event.kind {
            Kind::Message => Ok(call),
            kind => Err(Misuse(format!("{what} in {}: only a message can be changed", kind.hook())).into()),
        }
    }

    fn write_log(&mut self, level: Level, message: &str) {
        self.log_lines += 1;
        if self.log_lines > self.limits.log_lines_max {
            return;
        }
        let end = message.floor_char_boundary(self.limits.log_line_max_bytes);
        let message = &message[..end];
        let plugin = &self.plugin;
        match level {
            Level::Trace => tracing::trace!(target: "plugin", %plugin, "{message}"),
            Level::Debug => tracing::debug!(target: "plugin", %plugin, "{message}"),
            Level::Info => tracing::info!(target: "plugin", %plugin, "{message}"),
            Level::Warn => tracing::warn!(target: "plugin", %plugin, "{message}"),
            Level::Error => tracing::error!(target: "plugin", %plugin, "{message}"),
        }
    }
}

fn payload(args: String, attachments: Vec<Vec<u8>>) -> Result<Payload> {
    let well_formed = serde_json::from_str::<Vec<serde::de::IgnoredAny>>(&args);
    if let Err(error) = well_formed {
        let start = &args[..args.floor_char_boundary(40)];
        return Err(Misuse(format!("gave arguments that are no JSON array: `{start}`: {error}")).into());
    }
    Ok(Payload { args: args.into(), attachments: attachments.into_iter().map(Into::into).collect() })
}

fn sum(args: &str, attachments: &[Vec<u8>]) -> usize {
    args.len() + attachments.iter().map(|a| a.len() + ITEM_BYTES).sum::<usize>()
}

/// What lists of targets count towards the output.
fn listed(to: &[types::Target], except: &[String]) -> usize {
    let text = |target: &types::Target| match target {
        types::Target::Room(text) | types::Target::Socket(text) | types::Target::User(text) => text.len(),
        types::Target::Sender | types::Target::EventRoom | types::Target::Everyone => 0,
    };
    let texts = to.iter().map(text).chain(except.iter().map(String::len)).sum::<usize>();
    texts + (to.len() + except.len()) * ITEM_BYTES
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

impl imports::actions::Host for HostState {
    fn set_name(&mut self, new: String) -> Result<()> {
        let new = self.limits.names.event(new)?;
        self.message_only("changed the name")?.acts.change.name = Some(new);
        Ok(())
    }

    fn set_args(&mut self, args: String, attachments: Vec<Vec<u8>>) -> Result<()> {
        self.count_output(sum(&args, &attachments))?;
        let new = payload(args, attachments)?;
        self.message_only("changed the arguments")?.acts.change.payload = Some(new);
        Ok(())
    }

    fn retarget(&mut self, to: Vec<types::Target>, except: Vec<String>) -> Result<()> {
        self.count_output(listed(&to, &except))?;
        let new = self.limits.names.audience(to, except)?;
        self.message_only("changed the targets")?.acts.change.audience = Some(new);
        Ok(())
    }

    fn emit(
        &mut self,
        to: Vec<types::Target>,
        except: Vec<String>,
        event: String,
        args: String,
        attachments: Vec<Vec<u8>>,
        volatile: bool,
    ) -> Result<()> {
        self.count_output(sum(&args, &attachments) + event.len() + listed(&to, &except))?;
        let name = self.limits.names.event(event)?;
        let audience = self.limits.names.audience(to, except)?;
        self.act(0, Step::Emit(Emit { audience, name, payload: payload(args, attachments)?, volatile, retain: 0 }))
    }

    fn emit_retained(
        &mut self,
        to: Vec<types::Target>,
        except: Vec<String>,
        event: String,
        args: String,
        attachments: Vec<Vec<u8>>,
        last: u32,
    ) -> Result<()> {
        self.emit(to, except, event, args, attachments, false)?;
        if let Some(Step::Emit(emit)) = self.call()?.acts.steps.last_mut() {
            emit.retain = last;
        }
        Ok(())
    }

    fn retain(&mut self, last: u32) -> Result<()> {
        self.message_only("retained the event")?.acts.change.retain = Some(last);
        Ok(())
    }

    fn raise(
        &mut self,
        event: String,
        args: String,
        attachments: Vec<Vec<u8>>,
        to: Vec<types::Target>,
        except: Vec<String>,
    ) -> Result<()> {
        self.count_output(sum(&args, &attachments) + event.len() + listed(&to, &except))?;
        let name = self.limits.names.event(event)?;
        let audience = self.limits.names.audience(to, except)?;
        let audience = (!audience.to.is_empty()).then_some(audience);
        let event = Event::message(Origin::Plugin, name, payload(args, attachments)?, audience);
        HostState::raise(self, 0, event)
    }

    fn join(&mut self, room: String) -> Result<()> {
        let room = self.limits.names.room(room)?;
        HostState::raise(self, room.len(), Event::join(Origin::Plugin, room))
    }

    fn join_with_replay(&mut self, room: String, replay: u32) -> Result<()> {
        let room = self.limits.names.room(room)?;
        HostState::raise(self, room.len(), Event { history: replay, ..Event::join(Origin::Plugin, room) })
    }

    fn leave(&mut self, room: String, reason: String) -> Result<()> {
        let room = self.limits.names.room(room)?;
        let reason = Text::from(&reason[..reason.floor_char_boundary(REASON_MAX_BYTES)]);
        HostState::raise(self, room.len(), Event::leave(Origin::Plugin, room, reason))
    }

    fn disconnect(&mut self, reason: String) -> Result<()> {
        let reason = Text::from(&reason[..reason.floor_char_boundary(REASON_MAX_BYTES)]);
        HostState::raise(self, reason.len(), Event::disconnect(Origin::Plugin, reason))
    }

    fn ack(&mut self, args: String, attachments: Vec<Vec<u8>>) -> Result<()> {
        let bytes = sum(&args, &attachments);
        self.count_output(bytes)?;
        self.act(0, Step::Ack(payload(args, attachments)?))
    }

    fn ask(
        &mut self,
        socket: String,
        event: String,
        args: String,
        attachments: Vec<Vec<u8>>,
        timeout_ms: u32,
        tag: String,
    ) -> Result<()> {
        self.count_output(sum(&args, &attachments) + event.len() + tag.len())?;
        let name = self.limits.names.event(event)?;
        let Some(socket) = SocketId::parse(&socket) else {
            return Err(Misuse(format!("asked `{}`, which is no socket id", quote(&socket).escape_debug())).into());
        };
        let timeout = Duration::from_millis(timeout_ms.into()).min(ASK_TIMEOUT_MAX);
        self.act(0, Step::Ask { socket, name, payload: payload(args, attachments)?, timeout, tag: tag.into() })
    }

    fn reject(&mut self, code: String, message: String, data: String) -> Result<()> {
        self.count_output(code.len() + message.len() + data.len())?;
        let data = match data.is_empty() {
            true => None,
            false => match serde_json::from_str::<serde::de::IgnoredAny>(&data) {
                Ok(_) => Some(data.into()),
                Err(error) => return Err(Misuse(format!("rejected with data that is no JSON: {error}")).into()),
            },
        };
        self.call()?.acts.verdict = Verdict::Reject(Rejection { code: code.into(), message: message.into(), data });
        Ok(())
    }

    fn reject_and_keep(&mut self, code: String, message: String, data: String) -> Result<()> {
        self.reject(code, message, data)?;
        self.call()?.acts.keeps_writes = true;
        Ok(())
    }

    fn swallow(&mut self) -> Result<()> {
        self.call()?.acts.verdict = Verdict::Swallow;
        Ok(())
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
        Ok(match level {
            Level::Trace => tracing::enabled!(target: "plugin", tracing::Level::TRACE),
            Level::Debug => tracing::enabled!(target: "plugin", tracing::Level::DEBUG),
            Level::Info => tracing::enabled!(target: "plugin", tracing::Level::INFO),
            Level::Warn => tracing::enabled!(target: "plugin", tracing::Level::WARN),
            Level::Error => tracing::enabled!(target: "plugin", tracing::Level::ERROR),
        })
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

impl HostState {
    fn order(&mut self, of: types::Target, act: OrderAct) -> Result<()> {
        match self.limits.names.target(of)? {
            Some(of) => self.act(0, Step::Order(Order { of, act })),
            None => Ok(()),
        }
    }
}

impl imports::orders::Host for HostState {
    fn join(&mut self, of: types::Target, room: String) -> Result<()> {
        let room = self.limits.names.room(room)?;
        self.order(of, OrderAct::Join { room })
    }

    fn leave(&mut self, of: types::Target, room: String, reason: String) -> Result<()> {
        let room = self.limits.names.room(room)?;
        let reason = reason[..reason.floor_char_boundary(REASON_MAX_BYTES)].into();
        self.order(of, OrderAct::Leave { room, reason })
    }

    fn disconnect(&mut self, of: types::Target, reason: String) -> Result<()> {
        let reason = reason[..reason.floor_char_boundary(REASON_MAX_BYTES)].into();
        self.order(of, OrderAct::Disconnect { reason })
    }
}
