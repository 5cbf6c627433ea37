//! Faults that were seen in other servers of Engine.IO and Socket.IO, and the tests that fail when the node has one.
//!
//! | fault | test |
//! |---|---|
//! | a socket's id is the id of its session | `ids::a_socket_id_opens_no_session` |
//! | CONNECT is answered in one fixed form: no data with a refusal, recovery is promised and not kept | `ids::a_refused_connect_carries_its_data`, `ids::nobody_is_told_of_a_recovery_that_is_none` |
//! | a namespace's first clients race with its creation | `connects::twenty_first_clients_are_all_seen_to_leave`; `storms.rs` for broadcasts |
//! | CONNECT is answered before anybody listens | `connects::events_right_behind_a_connect_wait_for_it` |
//! | a socket stays until its disconnect hooks have ended | `connects::a_quick_reconnect_is_answered` |
//! | who is cut while it connects stays behind as a ghost | `connects::who_is_cut_while_it_connects_is_seen_to_leave` |
//! | every event has a task of its own | `order::one_senders_events_are_handled_in_their_order`; `order.mjs` for 20,000 |
//! | no back-pressure | `order::nothing_more_is_read_while_an_event_is_handled` |
//! | pongs that nobody reads while an event is handled | `order::a_busy_client_does_not_time_out` |
//! | receivers see different orders | `order::members_on_both_transports_see_one_order`; `order.mjs` for 50 members |
//! | event names with JSON escapes end the connection | `texts::a_name_may_hold_json_escapes` |
//! | text behind an event is taken along, and splits packets of pollers | `texts::what_stands_behind_an_event_reaches_nobody`, `texts::a_separator_within_a_text_stays_within_it` |
//! | deep nesting ends the connection, or the process | `texts::a_hundred_thousand_brackets_are_an_event` |
//! | deep MessagePack becomes nothing, which ends whoever gets it | `texts::deep_messagepack_ends_its_sender_and_nobody_else` |
//! | an ack id that fits no integer is passed over, and no ack ever comes | `texts::an_ack_id_beyond_all_integers_is_refused` |
//! | ends without their reason | `ends::every_end_is_told_with_its_reason`, `ends::silence_is_a_ping_timeout` |
//! | aborted polls are not noticed | `ends::an_aborted_poll_is_an_end` |
//! | the end overtakes the last event, or comes twice | `ends::the_end_comes_once_and_behind_the_last_event` |
//! | the first ping comes at once | `transport::the_first_ping_comes_after_the_interval` |
//! | compression and transports that nobody asked for | `transport::nothing_is_offered_that_is_not_kept` |
//! | every receiver has a copy of a broadcast | `transport::a_broadcast_is_shared_by_all_who_wait_for_it` |
//!
//! Not to be seen through a node are those beneath: `hub/src/gateway/transport/tests` has what an idle connection costs
//! (`limits`), partial writes and writing while a handler waits (`order`), a POST whose client goes away and a close
//! packet that overtakes its GET (`polling`), and every way to upgrade (`upgrade`).

mod connects;
mod ends;
mod ids;
mod order;
mod texts;
mod transport;

use scenarios::{Client, Node};
use serde_json::Value;

/// A node that does not wait long for pollers who do not fetch their farewell. The config begins within `[server]`.
async fn start(toml: &str) -> Node {
    Node::start(&format!("[server]\nclose_timeout_ms = 300\n{toml}")).await
}

/// Tells what it sees to everybody.
const PROBE: &str = r#"
[[plugin]]
name = "probe"
file = "{wasm:probe}"
namespaces = ["*"]
capabilities = ["identity", "credentials", "orders"]
config = { watch = true }
"#;

const ROOMS: &str = r#"
[[plugin]]
name = "rooms"
file = "{wasm:rooms}"
"#;

const ECHO: &str = r#"
[[plugin]]
name = "echo"
file = "{wasm:echo}"
capabilities = ["credentials"]
"#;

/// A plugin that takes 50 ms in a hook, and is passed over then.
fn slow(hook: &str) -> String {
    format!(
        r#"
[[plugin]]
name = "slow"
file = "{{wasm:hostile}}"
policy = "skip"
limits = {{ wall_ms = 50 }}
config = {{ {hook} = "sleep" }}
"#
    )
}

/// The next thing that a hook of this kind saw.
async fn saw(watcher: &mut Client, hook: &str) -> anyhow::Result<Value> {
    loop {
        let seen = watcher.event_named("probe:saw").await?;
        if seen["hook"] == hook {
            return Ok(seen);
        }
    }
}
