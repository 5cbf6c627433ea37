//! A plugin in its place, with its type forgotten.

use super::call::{EventState, Kind};
use crate::{
    event::{AnswerEvent, ConnectEvent, DisconnectEvent, JoinEvent, LeaveEvent, MessageEvent},
    manifest::Manifest,
    outcome::{Outcome, Pass},
    plugin::Plugin,
};

/// What [`export!`](crate::export) makes of a plugin natively: what the test kit needs.
pub trait Exported: Plugin {
    /// What the component's manifest would say.
    const MANIFEST: Manifest;

    /// The hooks that the component would have.
    fn hooks() -> Hooks<Self>;
}

/// The hooks of a plugin.
pub struct Hooks<P> {
    #[doc(hidden)]
    pub connect: Option<fn(&P, &ConnectEvent) -> Outcome>,
    #[doc(hidden)]
    pub answer: Option<fn(&P, &AnswerEvent) -> Outcome>,
    #[doc(hidden)]
    pub message: Option<fn(&P, &MessageEvent) -> Outcome>,
    #[doc(hidden)]
    pub join: Option<fn(&P, &JoinEvent) -> Outcome>,
    #[doc(hidden)]
    pub leave: Option<fn(&P, &LeaveEvent) -> Outcome>,
    #[doc(hidden)]
    pub disconnect: Option<fn(&P, &DisconnectEvent) -> Outcome>,
}

impl<P> Hooks<P> {
    #[doc(hidden)]
    pub fn none() -> Self {
        Self { connect: None, answer: None, message: None, join: None, leave: None, disconnect: None }
    }

    fn has(&self, kind: Kind) -> bool {
        match kind {
            Kind::Connect => self.connect.is_some(),
            Kind::Answer => self.answer.is_some(),
            Kind::Message => self.message.is_some(),
            Kind::Join => self.join.is_some(),
            Kind::Leave => self.leave.is_some(),
            Kind::Disconnect => self.disconnect.is_some(),
        }
    }
}

/// A plugin in its place.
pub(crate) struct Link {
    manifest: Manifest,
    has: Box<dyn Fn(Kind) -> bool>,
    call: Box<dyn Fn(Kind) -> Outcome>,
}

impl Link {
    pub(crate) fn new<P: Exported>(plugin: P) -> Self {
        let call = move |kind| {
            let hooks = P::hooks();
            let called = match kind {
                Kind::Connect => hooks.connect.map(|hook| hook(&plugin, &ConnectEvent::ambient())),
                Kind::Answer => hooks.answer.map(|hook| hook(&plugin, &AnswerEvent::ambient())),
                Kind::Message => hooks.message.map(|hook| hook(&plugin, &MessageEvent::ambient())),
                Kind::Join => hooks.join.map(|hook| hook(&plugin, &JoinEvent::ambient())),
                Kind::Leave => hooks.leave.map(|hook| hook(&plugin, &LeaveEvent::ambient())),
                Kind::Disconnect => hooks.disconnect.map(|hook| hook(&plugin, &DisconnectEvent::ambient())),
            };
            called.unwrap_or(Ok(Pass))
        };
        Self { manifest: P::MANIFEST, has: Box::new(|kind| P::hooks().has(kind)), call: Box::new(call) }
    }

    pub(crate) fn name(&self) -> &'static str {
        self.manifest.name
    }

    /// Whether this plugin's hook is to be called for the event; `at` is the plugin's place.
    pub(crate) fn wants(&self, at: usize, namespace: &str, event: &EventState) -> bool {
        let asked = |patterns: &[&str], name| patterns.iter().any(|pattern| matches(pattern, name));
        (self.has)(event.kind)
            && asked(self.manifest.namespaces, namespace)
            && match &event.answer {
                Some(answer) => answer.link == at,
                None => event.kind != Kind::Message || asked(self.manifest.messages, &event.name),
            }
    }

    pub(crate) fn call(&self, kind: Kind) -> Outcome {
        (self.call)(kind)
    }
}

/// Whether the whole of `name` fits `pattern`, in which `*` is any run of characters.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, tail)) => name.strip_prefix(head).is_some_and(|rest| {
            let starts = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
            starts.into_iter().any(|at| matches(tail, &rest[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_is_any_run_of_characters() {
        for (pattern, name, fits) in [
            ("*", "", true),
            ("say", "say", true),
            ("say", "sayx", false),
            ("say:*", "say:ü", true),
            ("*:end", "a:b:end", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b", "a", false),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
    }
}
