//! Does what messages ask for.

use std::{
    hash::{BuildHasher, RandomState},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use hubbub_plugin::{Level, log_enabled, log_write, prelude::*};

use crate::{
    describe,
    requests::{self, OrderAct, Reach, Reject, to},
};

pub(crate) fn perform(event: &MessageEvent) -> Outcome {
    match event.name().as_str() {
        "probe:describe" => event.ack(describe_message(event)?)?,
        "probe:credentials" => {
            let asked: requests::Credentials = event.arg(0)?;
            let credentials = event.credentials();
            event.ack(json!({
                "auth": credentials.auth_json(),
                "header": credentials.header(&asked.header),
                "query": credentials.query(&asked.query),
            }))?;
        }
        "probe:rooms" => {
            let requests::Rooms { room, limit } = event.arg(0)?;
            let rooms = event.rooms();
            event.ack(json!({
                "mine": rooms.mine(),
                "contains": rooms.contains(&room),
                "size": rooms.size(&room),
                "members": rooms.members(&room, limit),
            }))?;
        }
        "probe:now" => {
            let ms = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as u64;
            event.ack(json!({ "ms": ms, "random": RandomState::new().hash_one("probe").to_string() }))?;
        }
        "probe:reject" => return event.arg::<Reject>(0)?.perform(event),
        "probe:swallow" => {
            event.emit(To::sender(), "probe:swallowed", Args::none())?;
            return Ok(Swallow);
        }
        "probe:fail" => {
            event.emit(To::everyone(), "probe:failed", Args::none())?;
            event.ack("never seen")?;
            event.join("never-joined");
            return Err(failure(event.arg::<String>(0)?).into());
        }
        name => {
            act(event, name)?;
            event.ack("done")?;
        }
    }
    Ok(Pass)
}

/// Those without an ack of their own.
fn act(event: &MessageEvent, name: &str) -> Result<(), Stop> {
    match name {
        "probe:emit" => {
            let emit: requests::Emit = event.arg(0)?;
            let (to, args) = (to(emit.to, emit.except), Args::list(&emit.args)?);
            match emit.volatile {
                true => event.emit_volatile(to, &emit.name, args)?,
                false => event.emit(to, &emit.name, args)?,
            }
        }
        "probe:raise" => {
            let raise: requests::Raise = event.arg(0)?;
            let args = Args::list(&raise.args)?;
            match raise.to {
                Some(targets) => event.raise_to(to(targets, Vec::new()), &raise.name, args)?,
                None => event.raise(&raise.name, args)?,
            }
        }
        "probe:join" => event.join(&event.arg::<requests::Membership>(0)?.room),
        "probe:leave" => {
            let leave: requests::Membership = event.arg(0)?;
            event.leave(&leave.room, &leave.reason);
        }
        "probe:disconnect" => event.disconnect(&event.arg::<requests::Membership>(0)?.reason),
        "probe:change" => {
            let change: requests::Change = event.arg(0)?;
            if let Some(name) = &change.name {
                event.set_name(name);
            }
            if let Some(args) = &change.args {
                event.set_args(Args::list(args)?)?;
            }
            if let Some(targets) = change.to {
                event.retarget(to(targets, Vec::new()));
            }
        }
        "probe:ask" => {
            let ask: requests::Ask = event.arg(0)?;
            let socket = ask.socket.or_else(|| event.socket()).ok_or_else(|| failure("nobody to ask"))?;
            let timeout = Duration::from_millis(ask.timeout_ms);
            event.ask(&socket, &ask.name, Args::list(&ask.args)?, timeout, &ask.tag)?;
        }
        "probe:order" => order(event, event.arg(0)?),
        "probe:log" => {
            let requests::Log { level, text } = event.arg(0)?;
            let level = match level.as_str() {
                "trace" => Level::Trace,
                "debug" => Level::Debug,
                "info" => Level::Info,
                "warn" => Level::Warn,
                "error" => Level::Error,
                _ => return Err(reject("bad_request", "`level`: must be trace, debug, info, warn or error").into()),
            };
            if log_enabled(level) {
                log_write(level, &text);
            }
        }
        _ => return Err(reject("bad_request", format!("`{name}` is nothing that the probe does")).into()),
    }
    Ok(())
}

fn order(event: &MessageEvent, order: requests::Order) {
    let (orders, of, requests::Membership { room, reason }) =
        (event.orders(), Target::from(order.of), order.membership);
    match order.act {
        OrderAct::Join => orders.join(of, &room),
        OrderAct::Leave => orders.leave(of, &room, &reason),
        OrderAct::Disconnect => orders.disconnect(of, &reason),
    }
}

fn describe_message(event: &MessageEvent) -> Result<Value, Stop> {
    let mut seen = describe(event);
    let lengths: Vec<usize> =
        (0..event.attachment_count()).filter_map(|n| event.attachment(n)).map(|a| a.len()).collect();
    seen["name"] = event.name().into();
    seen["args"] = event.args()?;
    seen["attachments"] = lengths.into();
    seen["no_attachment"] = event.attachment(event.attachment_count()).is_none().into();
    seen["targets"] = json!(event.targets().into_iter().map(Reach::from).collect::<Vec<_>>());
    seen["room"] = event.room().into();
    Ok(seen)
}
