//! Every figure is compared with what a load of known numbers must have made of it.

use std::collections::HashMap;

use scenarios::{Client, Node};
use serde_json::{Value, json};

/// `hostile` first, so that what it fails on reaches nobody; `probe` does what a message asks of it.
const NODE: &str = r#"
[[plugin]]
name = "hostile"
file = "{wasm:hostile}"
limits = { cpu_ms = 200 }
breaker = { failures = 25, window_ms = 600000, quarantine_ms = 600000 }

[[plugin]]
name = "probe"
file = "{wasm:probe}"
capabilities = ["identity", "credentials", "orders"]
"#;

/// What one client sends of each.
const PASSES: u64 = 40;
const REJECTIONS: u64 = 13;
const SWALLOWED: u64 = 7;
const CHANGES: u64 = 5;
const PANICS: u64 = 6;
const LOOPS: u64 = 2;
const UNHANDLED: u64 = 11;
const EMITS: u64 = 17;
const CLIENTS: u64 = 3;

/// A page's figures by name and labels, as they are written.
struct Page(HashMap<String, f64>);

impl Page {
    fn of(node: &Node) -> Self {
        let text = node.seeing.metrics.render();
        let mut names = Vec::new();
        let mut figures = HashMap::new();
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let name = rest.split(' ').next().expect("a name").to_owned();
                assert!(!names.contains(&name), "{name} comes twice");
                names.push(name);
                continue;
            }
            if line.starts_with('#') {
                continue;
            }
            let (key, value) = line.rsplit_once(' ').expect("a figure and its value");
            let family = names.last().expect("a type before the first figure");
            assert!(key.starts_with(family.as_str()), "{key} stands in the family {family}");
            let twice = figures.insert(key.to_owned(), value.parse().expect("a number"));
            assert!(twice.is_none(), "{key} comes twice");
        }
        Self(figures)
    }

    #[track_caller]
    fn check(&self, key: &str, expected: u64) {
        let found = self.0.get(key).unwrap_or_else(|| panic!("no {key} in {:#?}", self.0));
        assert_eq!(*found, expected as f64, "{key}");
    }

    /// The sum of a family's figures whose labels hold this text.
    fn sum(&self, family: &str, label: &str) -> f64 {
        let of = |key: &&String| key.starts_with(&format!("{family}{{")) && key.contains(label);
        self.0.iter().filter(|(key, _)| of(key)).map(|(_, value)| value).sum()
    }
}

fn event(kind: &str, outcome: &str) -> String {
    format!("hubbub_events_total{{kind=\"{kind}\",outcome=\"{outcome}\"}}")
}

fn of_plugin(figure: &str, plugin: &str, rest: &str) -> String {
    format!("hubbub_plugin_{figure}{{plugin=\"{plugin}\",version=\"0.1.0\"{rest}}}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_figure_is_what_the_load_made_it() -> anyhow::Result<()> {
    let node = Node::start(NODE).await;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = Client::connect(node.address, "/", Value::Null).await?;
        client.event_named("probe:connected").await?;
        assert_eq!(client.ask("probe:join", json!({ "room": "tea" })).await?, "done");
        clients.push(client);
    }
    // all at once, each with its own
    let mut running = Vec::new();
    for mut client in clients {
        running.push(tokio::spawn(async move {
            for _ in 0..PASSES {
                anyhow::ensure!(client.ask("probe:now", Value::Null).await?["ms"].is_u64());
            }
            for _ in 0..REJECTIONS {
                let no = client.ask("probe:reject", json!({ "code": "no", "message": "no" })).await?;
                anyhow::ensure!(no["error"]["code"] == "rejected", "{no}");
            }
            for _ in 0..SWALLOWED {
                client.ask("probe:swallow", Value::Null).await?;
            }
            for _ in 0..CHANGES {
                client.ask("probe:change", json!({ "to": ["sender"] })).await?;
            }
            for (way, times) in [("panic", PANICS), ("loop", LOOPS)] {
                for _ in 0..times {
                    let failed = client.ask(way, Value::Null).await?;
                    anyhow::ensure!(failed["error"]["code"] == "plugin_failed", "{failed}");
                }
            }
            for _ in 0..UNHANDLED {
                let nobody = client.ask("nobody-knows-this", Value::Null).await?;
                anyhow::ensure!(nobody["error"]["code"] == "unhandled", "{nobody}");
            }
            for _ in 0..EMITS {
                client.ask("probe:emit", json!({ "to": [{ "room": "tea" }], "name": "tick" })).await?;
            }
            Ok(client)
        }));
    }
    let mut clients = Vec::new();
    for client in running {
        clients.push(client.await??);
    }
    for client in &mut clients {
        for _ in 0..EMITS * CLIENTS {
            client.event_named("tick").await?;
        }
    }
    let all = |each: u64| each * CLIENTS;
    // to oneself: probe:connected, probe:swallowed, what was changed to go back; to the room of all: ticks
    let events = 1 + SWALLOWED + CHANGES + EMITS * CLIENTS;
    // a packet may be there before it is counted
    let delivered = "hubbub_deliveries_total{packet=\"event\"}";
    let page = until(&node, |page| page.0[delivered] >= all(events) as f64).await;

    let passed = PASSES + CHANGES + EMITS + 1;
    page.check(&event("message", "passed"), all(passed));
    page.check(&event("message", "swallowed"), all(SWALLOWED));
    page.check(&event("message", "rejected"), all(REJECTIONS));
    page.check(&event("message", "plugin_failed"), all(PANICS + LOOPS));
    page.check(&event("message", "unhandled"), all(UNHANDLED));
    let sent = passed + SWALLOWED + REJECTIONS + PANICS + LOOPS + UNHANDLED;
    assert_eq!(page.sum("hubbub_events_total", "kind=\"message\""), all(sent) as f64);
    page.check("hubbub_event_seconds_count{kind=\"message\"}", all(sent));
    page.check(&event("connect", "passed"), CLIENTS);
    page.check("hubbub_events_raised_total{kind=\"join\"}", CLIENTS);
    page.check("hubbub_events_not_logged_total{code=\"overloaded\"}", 0);

    let message = |verdict: &str| format!(",hook=\"on_message\",verdict=\"{verdict}\"");
    let hostile = |verdict: &str, count| page.check(&of_plugin("verdicts_total", "hostile", &message(verdict)), count);
    hostile("fail", all(PANICS + LOOPS));
    hostile("pass", all(sent - PANICS - LOOPS));
    hostile("quarantined", 0);
    let cause = |cause: &str| format!(",hook=\"on_message\",cause=\"{cause}\"");
    page.check(&of_plugin("failures_total", "hostile", &cause("trap")), all(PANICS));
    page.check(&of_plugin("failures_total", "hostile", &cause("cpu_ms")), all(LOOPS));
    page.check(&of_plugin("call_seconds_count", "hostile", ",hook=\"on_message\""), all(sent));
    // it wants its own messages only, and those that got so far
    let probed = passed + SWALLOWED + REJECTIONS;
    let probe = |verdict: &str, count| page.check(&of_plugin("verdicts_total", "probe", &message(verdict)), count);
    probe("pass", all(passed - CHANGES));
    probe("change", all(CHANGES));
    probe("swallow", all(SWALLOWED));
    probe("reject", all(REJECTIONS));
    probe("fail", 0);
    page.check(&of_plugin("call_seconds_count", "probe", ",hook=\"on_message\""), all(probed));
    page.check(&of_plugin("call_seconds_count", "probe", ",hook=\"on_join\""), CLIENTS);
    page.check(&of_plugin("quarantined", "hostile", ""), 0);
    let instances = page.0[&of_plugin("instances", "probe", "")];
    let memory = page.0[&of_plugin("memory_bytes", "probe", "")];
    assert!(instances >= 1.0 && memory >= instances * 65_536.0, "{instances} instances with {memory} bytes");

    page.check("hubbub_connections", CLIENTS);
    page.check("hubbub_connections_accepted_total", CLIENTS);
    page.check("hubbub_connections_refused_total", 0);
    page.check("hubbub_sockets", CLIENTS);
    page.check("hubbub_rooms", 1);
    page.check("hubbub_suspended_sockets", 0);
    page.check("hubbub_bus_queue_bytes", 0);
    page.check("hubbub_chain_revision", 1);
    page.check("hubbub_deliveries_total{packet=\"ack\"}", all(sent));
    page.check("hubbub_deliveries_total{packet=\"other\"}", CLIENTS);
    page.check(delivered, all(events));

    drop(clients);
    let closed = |page: &Page| page.sum("hubbub_connections_closed_total", "reason=");
    // a page is read from top to bottom while things go on
    let is_over = |page: &Page| {
        let gone = [closed(page), page.0[&event("disconnect", "passed")]];
        gone == [CLIENTS as f64; 2] && page.0["hubbub_connections"] == 0.0 && page.0["hubbub_sockets"] == 0.0
    };
    let gone = until(&node, is_over).await;
    gone.check("hubbub_rooms", 0);
    gone.check("hubbub_events_raised_total{kind=\"leave\"}", CLIENTS);
    node.stop().await;
    Ok(())
}

/// Looks until it is as it must become.
async fn until(node: &Node, is_so: impl Fn(&Page) -> bool) -> Page {
    let deadline = std::time::Instant::now() + scenarios::client::DEADLINE;
    loop {
        let page = Page::of(node);
        if is_so(&page) {
            return page;
        }
        assert!(std::time::Instant::now() < deadline, "never: {:#?}", page.0);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
