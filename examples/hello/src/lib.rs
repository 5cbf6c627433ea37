//! The smallest plugin: answers `hello NAME` with `{"text":"GREETING, NAME"}`. Config: `greeting`, a text.

use hubbub_plugin::prelude::*;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Hello {
    greeting: String,
}

impl Plugin for Hello {}

impl OnMessage for Hello {
    const EVENTS: &'static [&'static str] = &["hello"];

    fn on_message(&self, event: &MessageEvent) -> Outcome {
        let name: String = event.arg(0)?;
        event.ack(json!({ "text": format!("{}, {name}", self.greeting) }))?;
        Ok(Pass)
    }
}

hubbub_plugin::export!(Hello: OnMessage);

#[cfg(test)]
mod tests {
    use hubbub_plugin::testing::TestHub;

    use super::*;

    #[test]
    fn a_hello_is_answered_with_the_greeting() {
        let hub = TestHub::new().plugin::<Hello>(json!({ "greeting": "Good morning" }));
        assert_eq!(hub.connect().send("hello", "Ann"), json!({ "text": "Good morning, Ann" }));
    }
}
