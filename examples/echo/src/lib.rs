//! Sends back what it gets: what the servers of the public Engine.IO and Socket.IO protocol suites do.
//!
//! | the client | the plugin |
//! |---|---|
//! | connects | emits `auth` with the auth payload (`{}` for none) |
//! | `message` ARGS | emits `message-back` ARGS to it |
//! | `message-with-ack` ARGS, `echo` ARGS | acks ARGS |
//! | `emit-with-ack` ARGS | asks it `emit-with-ack` ARGS, and emits `emit-with-ack` with the answer's arguments |
//!
//! Binary arguments too, in every namespace. No config. Needs the capability `credentials` for the auth payload.

use std::time::Duration;

use hubbub_plugin::prelude::*;

/// How long a client may take to answer `emit-with-ack`.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
const EMIT_WITH_ACK: &str = "emit-with-ack";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Echo {}

impl Plugin for Echo {}

impl OnConnect for Echo {
    fn on_connect(&self, event: &ConnectEvent) -> Outcome {
        let auth = event.credentials().auth_json().unwrap_or_else(|| "{}".into());
        event.emit(To::sender(), "auth", Args::raw(format!("[{auth}]"), Vec::new()))?;
        Ok(Pass)
    }
}

impl OnMessage for Echo {
    const EVENTS: &'static [&'static str] = &["message", "message-with-ack", "echo", EMIT_WITH_ACK];

    fn on_message(&self, event: &MessageEvent) -> Outcome {
        match event.name().as_str() {
            "message" => event.emit(To::sender(), "message-back", event.raw_args())?,
            EMIT_WITH_ACK => {
                let socket = event.socket().ok_or_else(|| reject("no_socket", "only a client can be asked"))?;
                event.ask(&socket, EMIT_WITH_ACK, event.raw_args(), ANSWER_TIMEOUT, "")?;
            }
            _ => event.ack(event.raw_args())?,
        }
        Ok(Pass)
    }
}

impl OnAnswer for Echo {
    fn on_answer(&self, event: &AnswerEvent) -> Outcome {
        match event.outcome() {
            AnswerOutcome::Answered => event.emit(To::sender(), EMIT_WITH_ACK, event.raw_args())?,
            outcome => hubbub_plugin::debug!("no answer: {outcome:?}"),
        }
        Ok(Pass)
    }
}

hubbub_plugin::export!(Echo: OnConnect, OnMessage, OnAnswer);

#[cfg(test)]
mod tests {
    use hubbub_plugin::testing::{Handshake, TestHub};

    use super::*;

    fn hub() -> TestHub {
        TestHub::new().plugin::<Echo>(json!({}))
    }

    #[test]
    fn a_client_gets_its_auth_payload_when_it_connects() {
        let hub = hub();
        let socket = hub.connect_with(Handshake::new().namespace("/custom").auth(json!({ "token": "abc" })));
        assert_eq!(socket.inbox(), [("auth", json!({ "token": "abc" }))]);
        assert_eq!(hub.connect().inbox(), [("auth", json!({}))]);
    }

    #[test]
    fn a_message_comes_back_to_its_sender_alone() {
        let hub = hub();
        let (ann, bob) = (hub.connect(), hub.connect());
        let (_, _) = (ann.inbox(), bob.inbox());
        ann.emit_args("message", Args::list(&(1, "2", [3])).unwrap().with_binary([4, 5]));
        let inbox = ann.inbox();
        assert_eq!(inbox.len(), 1);
        assert_eq!(inbox[0].name, "message-back");
        assert_eq!(inbox[0].args[..3], [json!(1), json!("2"), json!([3])]);
        assert_eq!(inbox[0].attachments, [[4, 5]]);
        assert!(bob.inbox().is_empty());
    }

    #[test]
    fn an_ack_holds_the_same_arguments() {
        let socket = hub().connect();
        for event in ["message-with-ack", "echo"] {
            let ack = socket.send_args(event, Args::list(&(1, "2")).unwrap().with_binary([3]));
            assert_eq!(ack.args, [json!(1), json!("2"), json!({ "_placeholder": true, "num": 0 })]);
            assert_eq!(ack.attachments, [[3]]);
        }
    }

    #[test]
    fn what_the_client_answers_is_emitted_back() {
        let hub = hub();
        let socket = hub.connect();
        let _ = socket.inbox();
        socket.emit(EMIT_WITH_ACK, "how much?");
        let asked = socket.inbox().remove(0);
        assert_eq!(asked, (EMIT_WITH_ACK, json!("how much?")));
        assert!(socket.answer(&asked, Args::list(&(1, 2)).unwrap()));
        let answer = socket.inbox().remove(0);
        assert_eq!((answer.name.as_str(), answer.args), (EMIT_WITH_ACK, vec![json!(1), json!(2)]));

        socket.emit(EMIT_WITH_ACK, 1);
        let unanswered = socket.inbox().remove(0);
        hub.time_out_asks();
        assert!(!socket.answer(&unanswered, 2), "too late");
        assert!(socket.inbox().is_empty());
        assert!(hub.failures().is_empty());
    }
}
