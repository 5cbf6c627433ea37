//! Passes every message and asks nothing but its name: what a call costs.

use hubbub_plugin::prelude::*;

#[derive(Deserialize)]
struct PassEverything {}

impl Plugin for PassEverything {}

impl OnMessage for PassEverything {
    fn on_message(&self, event: &MessageEvent) -> Outcome {
        std::hint::black_box(event.name());
        Ok(Pass)
    }
}

hubbub_plugin::export!(PassEverything: OnMessage);
