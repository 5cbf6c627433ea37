//! Appends its tag to the arguments of every message: shows which plugins a message passed, and in which order. Config:
//! `tag`; `target` (optional) sends what nobody has targeted to the sender, and acks it with its arguments; `build`
//! (optional) appends `@` and the number of its build to the tag: which code it was.

use std::hint::black_box;

use hubbub_plugin::prelude::*;

/// The number is 00000 as it is compiled. Scenarios make other builds of the component by writing others into the file.
static BUILD: [u8; 17] = *b"stamp build 00000";
const DIGITS: usize = 5;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stamp {
    tag: String,
    #[serde(default)]
    target: bool,
    #[serde(default)]
    build: bool,
}

impl Stamp {
    fn text(&self) -> String {
        if !self.build {
            return self.tag.clone();
        }
        // read from memory, where the file may have another number than the compiler saw
        let build = black_box(&BUILD);
        format!("{}@{}", self.tag, String::from_utf8_lossy(&build[build.len() - DIGITS..]))
    }
}

impl Plugin for Stamp {}

impl OnMessage for Stamp {
    fn on_message(&self, event: &MessageEvent) -> Outcome {
        let args = event.raw_args().with(&self.text())?;
        event.set_args(args.clone())?;
        if self.target && event.targets().is_empty() {
            event.retarget(To::sender());
            event.ack(args)?;
        }
        Ok(Pass)
    }
}

hubbub_plugin::export!(Stamp: OnMessage);

#[cfg(test)]
mod tests {
    use hubbub_plugin::testing::TestHub;

    use super::*;

    #[test]
    fn stamps_show_the_chains_order() {
        let hub = TestHub::new()
            .plugin::<Stamp>(json!({ "tag": "a" }))
            .plugin::<Stamp>(json!({ "tag": "b", "target": true }))
            .plugin::<Stamp>(json!({ "tag": "c", "build": true }));
        let socket = hub.connect();
        assert_eq!(socket.send("x", 1).args, [json!(1), json!("a"), json!("b")]);
        assert_eq!(socket.inbox()[0].args, [json!(1), json!("a"), json!("b"), json!("c@00000")]);
    }
}
