//! Misbehaves on request, so that tests see a hub stop it.
//!
//! The name of a message says how, its first argument how much (each way has a default that passes a hub's limits).
//! The config says it for hooks that no message reaches: `{"init":"panic","on_join":"loop"}`, in the words of messages.
//! What a sandbox forbids is tried, and the ack says what came of it.
//!
//! | name | it |
//! |---|---|
//! | `fine` | acks `"fine"`: the instance works |
//! | `loop` | never ends |
//! | `memory` | takes N MiB |
//! | `recursion` | calls itself N times |
//! | `panic`, `abort`, `exit` | ends the instance |
//! | `error` | returns an error of N bytes |
//! | `big-args`, `big-ack`, `big-emit` | gives N bytes |
//! | `bad-args` | gives arguments that are no JSON |
//! | `bad-raise` | raises a message again and again down the chain, in other hooks an event of its own kind |
//! | `log-flood` | writes N lines of 2000 bytes |
//! | `print-flood` | prints N lines of 2000 bytes |
//! | `effects` | emits N times |
//! | `sleep` | sleeps N milliseconds |
//! | `stdin` | waits for a line |
//! | `files`, `sockets`, `names`, `env`, `thread` | tries them, acks `{"ok":..}` or `{"error":..}` |

mod ways;

use hubbub_plugin::prelude::*;

use ways::Way;

/// What it does in each hook that is not a message; nothing by default.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Hostile {
    init: Option<Way>,
    on_connect: Option<Way>,
    on_join: Option<Way>,
    on_leave: Option<Way>,
    on_disconnect: Option<Way>,
    on_answer: Option<Way>,
}

impl Plugin for Hostile {
    fn check(&self) -> Result<(), String> {
        match self.init {
            None => Ok(()),
            // there is no event yet: what needs one fails, and this is the point
            Some(way) => way.start().map_err(|failure| failure.to_string()),
        }
    }
}

impl OnConnect for Hostile {
    fn on_connect(&self, event: &ConnectEvent) -> Outcome {
        misbehave(self.on_connect, event)
    }
}

impl OnMessage for Hostile {
    fn on_message(&self, event: &MessageEvent) -> Outcome {
        let Some(way) = Way::parse(&event.name()) else { return Ok(Pass) };
        let amount: Option<u64> = event.arg(0).unwrap_or_default();
        way.act(event, amount)?;
        if way == Way::BigArgs {
            event.set_args("x".repeat(Way::BigArgs.amount(amount)))?;
        }
        Ok(Pass)
    }
}

impl OnJoin for Hostile {
    fn on_join(&self, event: &JoinEvent) -> Outcome {
        misbehave(self.on_join, event)
    }
}

impl OnLeave for Hostile {
    fn on_leave(&self, event: &LeaveEvent) -> Outcome {
        misbehave(self.on_leave, event)
    }
}

impl OnDisconnect for Hostile {
    fn on_disconnect(&self, event: &DisconnectEvent) -> Outcome {
        misbehave(self.on_disconnect, event)
    }
}

impl OnAnswer for Hostile {
    fn on_answer(&self, event: &AnswerEvent) -> Outcome {
        misbehave(self.on_answer, event)
    }
}

fn misbehave(way: Option<Way>, event: &hubbub_plugin::Event) -> Outcome {
    if let Some(way) = way {
        way.act(event, None)?;
    }
    Ok(Pass)
}

hubbub_plugin::export!(Hostile: OnConnect, OnMessage, OnJoin, OnLeave, OnDisconnect, OnAnswer);

#[cfg(test)]
mod tests {
    use hubbub_plugin::testing::TestHub;

    use super::*;

    #[test]
    fn it_is_fine_until_it_is_asked() {
        let hub = TestHub::new().plugin::<Hostile>(json!({}));
        let socket = hub.connect();
        assert_eq!(socket.send("fine", 0), json!("fine"));
        assert_eq!(socket.send("whatever", 0).error_code(), Some("unhandled"));
        assert!(hub.failures().is_empty());
    }

    #[test]
    fn every_way_that_needs_no_sandbox_is_taken() {
        let hub = TestHub::new().plugin::<Hostile>(json!({}));
        let socket = hub.connect();
        socket.send("effects", 7);
        assert_eq!(socket.inbox().len(), 7);
        socket.send("log-flood", 5);
        assert_eq!(hub.log().len(), 5);
        assert_eq!(socket.send("big-ack", 1000).args[0].as_str().map(str::len), Some(1000));
        for way in ["error", "bad-args"] {
            assert_eq!(socket.send(way, 10).error_code(), Some("plugin_failed"));
            assert_eq!(hub.failures().len(), 1);
        }
        assert_eq!(socket.send("recursion", 10), json!("10 calls deep"));
    }

    #[test]
    fn a_config_with_an_unknown_way_is_refused() {
        let text = hubbub_plugin::read_config::<Hostile>(r#"{"on_join":"dance"}"#).err().unwrap();
        assert!(text.starts_with("config: `on_join`: unknown variant `dance`, expected one of `fine`, `loop`"));
    }

    #[test]
    #[should_panic(expected = "asked to panic")]
    fn it_panics_in_init() {
        TestHub::new().plugin::<Hostile>(json!({ "init": "panic" }));
    }
}
