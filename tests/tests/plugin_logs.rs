//! What plugins say, and what the hub says of them.

use hub::{
    event::SocketId,
    seeing::{
        Subscription, Told,
        logs::{Filter as Lines, Level, Line},
    },
};
use scenarios::{Client, Node, client::DEADLINE};
use serde_json::{Value, json};
use tokio::time::timeout;

const NODE: &str = r#"
[[plugin]]
name = "hostile"
file = "{wasm:hostile}"

[[plugin]]
name = "probe"
file = "{wasm:probe}"
capabilities = ["identity", "credentials", "orders"]
"#;

async fn line(lines: &mut Subscription<Lines, Line>) -> Line {
    match timeout(DEADLINE, lines.next()).await.expect("a line in time") {
        Told::Record(line) => Line::clone(&line),
        Told::Missed { missed } => panic!("{missed} lines were missed"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_plugin_says_is_kept_and_can_be_followed() -> anyhow::Result<()> {
    let node = Node::start(NODE).await;
    let mut ann = Client::connect(node.address, "/", Value::Null).await?;
    let mut all = node.seeing.logs.subscribe(None)?;
    let (before, mut of_probe) = node.seeing.logs.follow("probe".into(), 10)?;
    assert!(before.is_empty(), "{before:?}");
    ann.ask("probe:log", json!({ "level": "warn", "text": "mind the gap" })).await?;
    let said = line(&mut of_probe).await;
    assert_eq!((&*said.plugin, &*said.version, said.hook, said.level), ("probe", "0.1.0", "on_message", Level::Warn));
    assert_eq!((said.text.as_str(), said.socket), ("mind the gap", SocketId::parse(&ann.id)));
    assert_eq!(line(&mut all).await, said);

    ann.ask("print-flood", json!(2)).await?;
    for _ in 0..2 {
        let printed = line(&mut all).await;
        assert_eq!((&*printed.plugin, printed.level, printed.text.len()), ("hostile", Level::Info, 1024));
        assert_eq!(printed.socket, SocketId::parse(&ann.id));
    }
    ann.ask("panic", Value::Null).await?;
    // first its last words, then why it ended, with its backtrace
    let failed = loop {
        let next = line(&mut all).await;
        if next.level == Level::Error {
            break next;
        }
    };
    assert!(
        failed.text.starts_with("failed: trapped: panicked at") && failed.text.contains("asked to panic"),
        "{failed:?}"
    );
    assert_eq!((failed.hook, failed.socket), ("on_message", SocketId::parse(&ann.id)));
    let kept = node.seeing.logs.last("hostile", 1000);
    assert_eq!(kept.last().map(|line| Line::clone(line)), Some(failed));
    node.stop().await;
    Ok(())
}
