//! What those who look on are told: events on their way, and what plugins say.

use std::time::Duration;

use hub::{
    event::SocketId,
    seeing::{
        Subscription, Told,
        trace::{Filter, Record},
    },
};
use scenarios::{Client, Node, client::DEADLINE};
use serde_json::{Value, json};
use tokio::time::timeout;

const NODE: &str = r#"
[[plugin]]
name = "hostile"
file = "{wasm:hostile}"
policy = { on_message = "skip" }
breaker = { failures = 2, window_ms = 600000, quarantine_ms = 600000 }

[[plugin]]
name = "rooms"
file = "{wasm:rooms}"

[[plugin]]
name = "probe"
file = "{wasm:probe}"
capabilities = ["identity", "credentials", "orders"]
"#;

async fn record(events: &mut Subscription<Filter, Record>) -> Value {
    match timeout(DEADLINE, events.next()).await.expect("a record in time") {
        Told::Record(record) => serde_json::to_value(&*record).expect("a record is JSON"),
        Told::Missed { missed } => panic!("{missed} records were missed"),
    }
}

/// `plugin verdict why` of each step, with the name or room of what was raised.
fn steps(record: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().map(|text| format!(" {text}")).unwrap_or_default();
    let steps = record["steps"].as_array().expect("steps").iter();
    steps
        .map(|step| {
            assert_eq!(step["version"], "0.1.0");
            assert!(step["us"].is_u64());
            let (plugin, hook) = (step["plugin"].as_str().expect("a name"), text(&step["hook"]));
            format!("{plugin}{hook}{}{}{}", text(&step["raised"]), text(&step["verdict"]), text(&step["why"]))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_events_record_says_which_plugin_did_what_with_it() -> anyhow::Result<()> {
    let node = Node::start(NODE).await;
    let auth = json!({ "user": "ann", "roles": [] });
    let mut all = node.seeing.tracer.subscribe(Filter::default())?;
    let mut ann = Client::connect(node.address, "/", auth).await?;

    let connect = record(&mut all).await;
    assert_eq!(
        (&connect["kind"], &connect["user"], &connect["socket"]),
        (&json!("connect"), &json!("ann"), &json!(ann.id))
    );
    assert_eq!(steps(&connect), ["hostile on_connect pass", "probe on_connect pass"]);
    assert_eq!(connect["effects"], json!(["connect", "emit probe:connected to sender"]));

    ann.ask("join", json!({ "room": "tea" })).await?;
    let join = record(&mut all).await;
    assert_eq!((&join["kind"], &join["origin"], &join["revision"]), (&json!("message"), &json!("client"), &json!(1)));
    assert_eq!((&join["names"], &join["rooms"]), (&json!(["join"]), &json!(["tea"])));
    assert_eq!(
        steps(&join),
        [
            "hostile on_message pass",
            "rooms on_message pass",
            "hostile on_join tea pass",
            "rooms on_join tea pass",
            "probe on_join tea pass"
        ]
    );
    assert_eq!((&join["outcome"], &join["is_logged"], &join["tries"]), (&json!("passed"), &json!(true), &json!(1)));
    let effects = join["effects"].as_array().expect("effects");
    assert!(effects.contains(&json!("join tea")) && effects.contains(&json!("ack")), "{join}");

    ann.ask("message", json!({ "room": "tea", "text": "a secret" })).await?;
    let said = record(&mut all).await;
    assert_eq!(said["rooms"], json!(["tea"]));
    assert!(said["effects"].as_array().expect("effects").contains(&json!("emit message to room tea")), "{said}");
    assert!(!said.to_string().contains("secret"), "{said}");
    assert!(said["total_us"].as_u64() >= said["steps"][0]["us"].as_u64(), "{said}");

    ann.ask("probe:reject", json!({ "code": "rude", "message": "no" })).await?;
    let rejected = record(&mut all).await;
    assert_eq!(steps(&rejected), ["hostile on_message pass", "probe on_message reject rude"]);
    assert_eq!((&rejected["outcome"], &rejected["reason"]), (&json!("rejected"), &json!("rude")));

    for _ in 0..2 {
        ann.ask("panic", Value::Null).await?;
        assert_eq!(steps(&record(&mut all).await), ["hostile on_message fail trap"]);
    }
    ann.ask("probe:now", Value::Null).await?;
    assert_eq!(steps(&record(&mut all).await), ["hostile on_message quarantined", "probe on_message pass"]);
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_choose_by_socket_user_room_and_name() -> anyhow::Result<()> {
    let node = Node::start(NODE).await;
    let connect = async |user: &str| Client::connect(node.address, "/", json!({ "user": user, "roles": [] })).await;
    let (mut ann, mut bob) = (connect("ann").await?, connect("bob").await?);
    let tracer = &node.seeing.tracer;
    let mut of_ann = tracer.subscribe(Filter { socket: SocketId::parse(&ann.id), ..Filter::default() })?;
    let mut of_bob = tracer.subscribe(Filter { user: Some("bob".into()), ..Filter::default() })?;
    let mut in_hall = tracer.subscribe(Filter { room: Some("hall".into()), ..Filter::default() })?;
    let mut messages = tracer.subscribe(Filter { event: Some("message".into()), ..Filter::default() })?;
    for client in [&mut ann, &mut bob] {
        for room in ["tea", "hall"] {
            client.ask("join", json!({ "room": room })).await?;
        }
    }
    ann.ask("message", json!({ "room": "tea", "text": "hi" })).await?;
    let user = |record: &Value| record["user"].as_str().unwrap_or_default().to_owned();
    for names in ["join", "join", "message"] {
        let record = record(&mut of_ann).await;
        assert_eq!((user(&record).as_str(), &record["names"][0]), ("ann", &json!(names)));
    }
    for _ in 0..2 {
        assert_eq!(user(&record(&mut of_bob).await), "bob");
    }
    for name in ["ann", "bob"] {
        let record = record(&mut in_hall).await;
        assert_eq!((user(&record).as_str(), &record["rooms"]), (name, &json!(["hall"])));
    }
    assert_eq!(record(&mut messages).await["rooms"], json!(["tea"]));
    for rest in [of_ann, of_bob, in_hall, messages].iter_mut() {
        let next = timeout(Duration::ZERO, rest.next()).await;
        assert!(next.is_err(), "{next:?}");
    }
    node.stop().await;
    Ok(())
}
