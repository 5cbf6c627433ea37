//! The host functions by which a guest acts: on its own event and socket, and by orders on others. What they take is
//! checked here, and counted by [`HostState`].

use std::time::Duration;

use wasmtime::Result;

use super::{
    abi::imports::{self, types},
    explain::quote,
    host::{HostState, ITEM_BYTES},
    limiter::Misuse,
};
use crate::{
    bus::{Emit, Order, OrderAct},
    event::{Origin, Payload, SocketId, Text},
    pipeline::{
        call::{Event, Step, Verdict},
        refusal::Rejection,
    },
};

/// Of the reason that a plugin gives for a leave or disconnect, what is kept; the rest is cut off.
const REASON_MAX_BYTES: usize = 256;
const ASK_TIMEOUT_MAX: Duration = Duration::from_secs(60);

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
        let reason = kept_reason(&reason);
        HostState::raise(self, room.len(), Event::leave(Origin::Plugin, room, reason))
    }

    fn disconnect(&mut self, reason: String) -> Result<()> {
        let reason = kept_reason(&reason);
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
        let reason = kept_reason(&reason);
        self.order(of, OrderAct::Leave { room, reason })
    }

    fn disconnect(&mut self, of: types::Target, reason: String) -> Result<()> {
        let reason = kept_reason(&reason);
        self.order(of, OrderAct::Disconnect { reason })
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

fn kept_reason(reason: &str) -> Text {
    Text::from(&reason[..reason.floor_char_boundary(REASON_MAX_BYTES)])
}
