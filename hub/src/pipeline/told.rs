//! What those who look on are told of an event, in the words of records.

use crate::{
    bus::{Effect, Order, OrderAct},
    event::{Kind, Origin, Target, Text},
    pipeline::call::Event,
};

/// Of an audience, how many targets are told.
const TARGETS_MAX: usize = 8;
/// Of a name, room or user.
const TEXT_MAX_BYTES: usize = 256;

/// A message's name; of other events what they are.
pub fn name(event: &Event) -> &str {
    match event.kind {
        Kind::Message => &event.name,
        kind => kind.name(),
    }
}

/// A message's name, the room of a join or leave; nothing of other events.
pub fn what(event: &Event) -> &str {
    event.room.as_deref().unwrap_or(&event.name)
}

/// The rooms that an event has to do with as it is now.
pub fn rooms(event: &Event) -> impl Iterator<Item = &Text> {
    let targets = event.audience.iter().flat_map(|audience| &audience.to);
    event.room.iter().chain(targets.filter_map(|target| match target {
        Target::Room(room) => Some(room),
        _ => None,
    }))
}

/// Who caused it.
pub fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Client => "client",
        Origin::Plugin => "plugin",
        Origin::Server => "server",
        Origin::NodeDeath => "node-death",
    }
}

/// One effect, without what it says.
pub fn effect(effect: &Effect) -> String {
    match effect {
        Effect::Connect { .. } => "connect".into(),
        Effect::Recover => "recover".into(),
        Effect::Emit(emit) => format!("emit {} to {}", cut(&emit.name), targets(&emit.audience.to)),
        Effect::Ack { .. } => "ack".into(),
        Effect::Join { room, .. } => format!("join {}", cut(room)),
        Effect::Leave(room) => format!("leave {}", cut(room)),
        Effect::Disconnect { .. } => "disconnect".into(),
        Effect::Order(Order { of, act }) => match act {
            OrderAct::Join { room } => format!("order {} to join {}", target(of), cut(room)),
            OrderAct::Leave { room, .. } => format!("order {} to leave {}", target(of), cut(room)),
            OrderAct::Disconnect { .. } => format!("order {} to disconnect", target(of)),
        },
        Effect::Ask(ask) => format!("ask {} of socket {}", cut(&ask.name), ask.socket),
    }
}

fn targets(to: &[Target]) -> String {
    match to {
        [] => "nobody".into(),
        _ => {
            let told: Vec<String> = to.iter().take(TARGETS_MAX).map(target).collect();
            let rest = to.len().saturating_sub(TARGETS_MAX);
            if rest > 0 { format!("{} and {rest} more", told.join(", ")) } else { told.join(", ") }
        }
    }
}

fn target(target: &Target) -> String {
    match target {
        Target::Sender => "sender".into(),
        Target::EventRoom => "the event's room".into(),
        Target::Room(room) => format!("room {}", cut(room)),
        Target::Socket(id) => format!("socket {id}"),
        Target::User(user) => format!("user {}", cut(user)),
        Target::Everyone => "everyone".into(),
    }
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_MAX_BYTES)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        bus::Emit,
        event::{Audience, Payload},
    };

    #[test]
    fn an_effect_is_told_without_its_arguments() {
        let emit = |to: Vec<Target>| {
            let payload = Payload::json(r#"["secret"]"#);
            let audience = Audience { to, except: Vec::new() };
            effect(&Effect::Emit(Emit { audience, name: "say".into(), payload, volatile: false, retain: 0 }))
        };
        assert_eq!(emit(vec![Target::Room("tea".into()), Target::Sender]), "emit say to room tea, sender");
        assert_eq!(emit(Vec::new()), "emit say to nobody");
        assert_eq!(emit(vec![Target::Sender; 10]), format!("emit say to {} and 2 more", ["sender"; 8].join(", ")));
        assert!(emit(vec![Target::User("u".repeat(100_000).into())]).len() < 300);
        let kick = Order { of: Target::User("ann".into()), act: OrderAct::Disconnect { reason: "why".into() } };
        assert_eq!(effect(&Effect::Order(kick)), "order user ann to disconnect");
    }
}
