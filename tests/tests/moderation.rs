//! Moderation on a real node: front, moderation, archive, one chain, and what others see of it on their wires.

use std::path::{Path, PathBuf};

use scenarios::{
    Client, Node,
    chat::{code, texts},
};
use serde_json::{Value, json};

/// Words that nobody but their sender may ever see, by what becomes of them.
const REJECTED: &str = "zxrejectedword";
const SHADOWED: &str = "zxshadowedword";
const DECLINED: &str = "zxdeclinedword";
const BY_RULE: &str = "zxshadowrule";

fn config(data: Option<&Path>, rules: &str) -> String {
    let data = data.map_or_else(String::new, |path| format!("[server]\ndata_dir = {path:?}\n"));
    format!(
        r#"{data}
[[plugin]]
name = "identity"
file = "{{wasm:identity}}"
capabilities = ["identity", "credentials"]

[[plugin]]
name = "chat-rooms"
file = "{{wasm:chat-rooms}}"
capabilities = ["store"]

[[plugin]]
name = "moderation"
file = "{{wasm:moderation}}"
capabilities = ["store", "orders"]
limits = {{ cpu_ms = 50 }}
{rules}

[[plugin]]
name = "chat-archive"
file = "{{wasm:chat-rooms}}"
capabilities = ["store"]
config = {{ part = "archive" }}
"#
    )
}

const RULES: &str = r#"
[[plugin.config.words]]
name = "rude"
words = ["zxrejectedword"]
action = "reject"
[[plugin.config.words]]
name = "odd"
words = ["zxheldword"]
action = "hold"
[[plugin.config.words]]
name = "spam"
words = ["zxshadowrule"]
action = "shadow"
"#;

async fn connect(node: &Node, user: &str) -> anyhow::Result<Client> {
    let roles: &[&str] = if user == "mo" { &["moderator"] } else { &[] };
    let mut client = Client::connect(node.address, "/", json!({ "user": user, "roles": roles })).await?;
    client.record_wire();
    Ok(client)
}

async fn member(node: &Node, user: &str) -> anyhow::Result<Client> {
    let mut client = connect(node, user).await?;
    good(&mut client, "join", json!({ "room": "tea" })).await?;
    Ok(client)
}

async fn good(client: &mut Client, name: &str, body: Value) -> anyhow::Result<Value> {
    let ack = client.ask(name, body.clone()).await?;
    anyhow::ensure!(ack["ok"] == true, "{name} {body}: {ack}");
    Ok(ack)
}

async fn say(client: &mut Client, text: &str) -> anyhow::Result<Value> {
    client.ask("message", json!({ "room": "tea", "text": text })).await
}

/// Waits until it has passed.
async fn until(time_ms: u64) -> anyhow::Result<()> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis() as u64;
    tokio::time::sleep(std::time::Duration::from_millis(time_ms.saturating_sub(now) + 5)).await;
    Ok(())
}

fn of_kind<'a>(events: &'a [Vec<Value>], name: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event[0] == name).map(|event| &event[1]).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mute_holds_until_it_ends_and_a_ban_over_reconnects() -> anyhow::Result<()> {
    let node = Node::start(&config(None, RULES)).await;
    let (mut ann, mut bob, mut mo) =
        (member(&node, "ann").await?, member(&node, "bob").await?, member(&node, "mo").await?);
    let ack = good(&mut mo, "mod:mute", json!({ "user": "ann", "room": "tea", "seconds": 1 })).await?;
    let notice = ann.event_named("mod:notice").await?;
    assert_eq!((&notice["kind"], &notice["until_ms"]), (&json!("mute"), &ack["sanction"]["until_ms"]));
    let told = say(&mut ann, "hello?").await?;
    assert_eq!(code(&told), "muted", "{told}");
    until(told["error"]["reason"]["data"]["until_ms"].as_u64().expect("it has an end")).await?;
    assert_eq!(say(&mut ann, "hello again").await?["ok"], true);
    assert_eq!(bob.event_named("message").await?["text"], "hello again");

    good(&mut mo, "mod:kick", json!({ "user": "ann", "room": "tea" })).await?;
    assert_eq!(ann.event_named("mod:notice").await?["kind"], "kick");
    let left = bob.event_named("left").await?;
    assert_eq!((&left["name"], &left["reason"]), (&json!("ann"), &json!("kicked")));
    assert_eq!(code(&say(&mut ann, "x").await?), "not_a_member");
    good(&mut ann, "join", json!({ "room": "tea" })).await?;

    good(&mut mo, "mod:ban", json!({ "user": "ann", "reason": "enough" })).await?;
    let notice = ann.event_named("mod:notice").await?;
    assert_eq!((&notice["kind"], &notice["reason"]), (&json!("ban"), &json!("enough")));
    assert_eq!(bob.event_named("left").await?["reason"], "banned");
    assert_eq!(ann.text().await?, "41", "its connection to the namespace ends");
    let refused = connect(&node, "ann").await.err().expect("it stays out").to_string();
    assert!(refused.contains(r#""code":"banned""#) && refused.contains("enough"), "{refused}");
    good(&mut mo, "mod:unban", json!({ "user": "ann" })).await?;
    member(&node, "ann").await?;
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_rejected_held_or_shadowed_is_nowhere() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let config = config(Some(&data), RULES);
    let node = Node::start(&config).await;
    let (mut ann, mut eve) = (member(&node, "ann").await?, member(&node, "eve").await?);
    let (mut bob, mut mo) = (member(&node, "bob").await?, member(&node, "mo").await?);
    assert_eq!(say(&mut ann, "first words").await?["id"], 1);
    assert_eq!(say(&mut eve, "eve is here").await?["id"], 2);
    good(&mut mo, "mod:shadow", json!({ "user": "eve", "reason": "a bot" })).await?;

    assert_eq!(code(&say(&mut ann, &format!("@bob {REJECTED}")).await?), "word_not_allowed");
    assert_eq!(code(&ann.ask("edit", json!({ "room": "tea", "id": 1, "text": REJECTED })).await?), "word_not_allowed");
    assert_eq!(code(&ann.ask("direct", json!({ "to": "bob", "text": REJECTED })).await?), "word_not_allowed");
    assert_eq!(say(&mut ann, &format!("@bob {BY_RULE}")).await?["ok"], true);
    let held = good(&mut ann, "message", json!({ "room": "tea", "text": format!("zxheldword {DECLINED}") })).await?;
    let secret = |text: &str| format!("{text} {SHADOWED}");
    for (name, body) in [
        ("message", json!({ "room": "tea", "text": secret("@bob"), "client_id": "c7" })),
        ("direct", json!({ "to": "bob", "text": secret("psst") })),
        ("edit", json!({ "room": "tea", "id": 2, "text": secret("eve") })),
        ("topic", json!({ "room": "tea", "text": SHADOWED })),
        ("react", json!({ "room": "tea", "id": 1, "emoji": "👎", "on": true })),
        ("read", json!({ "room": "tea", "id": 1 })),
        ("typing", json!({ "room": "tea" })),
    ] {
        good(&mut eve, name, body).await?;
    }
    assert!(eve.event_named("message").await?["text"].is_string());
    let item = mo.event_named("mod:held").await?;
    good(&mut mo, "mod:decline", json!({ "id": item["id"] })).await?;
    let notices = [ann.event_named("mod:notice").await?, ann.event_named("mod:notice").await?];
    assert_eq!((&notices[0]["kind"], &notices[0]["id"]), (&json!("held"), &held["id"]));
    assert_eq!((&notices[1]["kind"], &notices[1]["id"]), (&json!("declined"), &held["id"]));

    // one that is approved comes as the author's, with a new id, and is kept
    assert_eq!(say(&mut ann, "zxheldword is fine").await?["ok"], true);
    let item = mo.event_named("mod:held").await?;
    assert_eq!(say(&mut ann, "the last word").await?["ok"], true);
    good(&mut mo, "mod:approve", json!({ "id": item["id"], "room": "tea" })).await?;
    let mut seen = Vec::new();
    loop {
        let event = bob.event().await?;
        let is_last = event[1]["text"] == "zxheldword is fine";
        seen.push(event);
        if is_last {
            break;
        }
    }
    let said = of_kind(&seen, "message");
    let brief: Vec<_> = said.iter().map(|m| (m["name"].as_str(), m["text"].as_str())).collect();
    let by = |name, text| (Some(name), Some(text));
    let expect = [
        by("ann", "first words"),
        by("eve", "eve is here"),
        by("ann", "the last word"),
        by("ann", "zxheldword is fine"),
    ];
    assert_eq!(brief, expect);
    for name in ["typing", "reacted", "read", "edited", "topic", "direct", "mentioned"] {
        assert!(of_kind(&seen, name).is_empty(), "{name}: {seen:?}");
    }
    let page = bob.ask("history", json!({ "room": "tea" })).await?;
    assert_eq!(texts(&page), ["first words", "eve is here", "the last word", "zxheldword is fine"]);
    let last = page["messages"][3]["id"].as_u64();
    let mut fox = connect(&node, "fox").await?;
    let joined = good(&mut fox, "join", json!({ "room": "tea" })).await?;
    assert_eq!((joined["last_id"].as_u64(), &joined["topic"]), (last, &Value::Null), "what is unread counts from here");
    fox.ask("history", json!({ "room": "tea" })).await?;
    bob.ask("history", json!({ "user": "eve" })).await?;
    bob.ask("history", json!({ "user": "ann" })).await?;

    for (who, client) in [("bob", &bob), ("fox", &fox)] {
        let wire = client.wire();
        assert!(wire.contains("first words"), "{who}'s wire is on record");
        for word in [REJECTED, SHADOWED, DECLINED, BY_RULE] {
            assert!(!wire.contains(word), "{who} saw {word}: {wire}");
        }
    }
    let audit = mo.ask("mod:audit", json!({})).await?;
    let mut acts: Vec<&str> =
        audit["entries"].as_array().into_iter().flatten().filter_map(|e| e["act"].as_str()).collect();
    // those of one millisecond have no order
    acts.sort_unstable();
    let expect = ["approve", "decline", "hold", "hold", "reject", "reject", "reject", "shadow", "shadow"];
    assert_eq!(acts, expect, "{audit}");
    for word in [REJECTED, SHADOWED, DECLINED, BY_RULE] {
        assert!(!audit.to_string().contains(word), "{word}: {audit}");
    }
    node.stop().await;

    // nor on disk, but for the rules themselves in the chain's revisions; what was held for a while may be there until its
    // place is used again
    std::fs::remove_dir_all(data.join("registry"))?;
    let mut files = Vec::new();
    collect(&data, &mut files)?;
    assert!(files.iter().any(|bytes| holds(bytes, "first words")), "the store is where it is looked for");
    for word in [REJECTED, SHADOWED, BY_RULE] {
        assert!(!files.iter().any(|bytes| holds(bytes, word)), "{word} is on disk");
    }
    Ok(())
}

/// A number in letters.
fn letters(n: usize) -> String {
    n.to_string().bytes().map(|digit| char::from(b'a' + 2 * (digit - b'0'))).collect()
}

fn collect(dir: &Path, files: &mut Vec<Vec<u8>>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path: PathBuf = entry?.path();
        match path.is_dir() {
            true => collect(&path, files)?,
            false => files.push(std::fs::read(path)?),
        }
    }
    Ok(())
}

fn holds(bytes: &[u8], word: &str) -> bool {
    bytes.windows(word.len()).any(|window| window == word.as_bytes())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_change_for_all_instances_and_everything_outlives_a_restart() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let config = config(Some(&folder.path().join("data")), RULES);
    let node = Node::start(&config).await;
    let mut mo = member(&node, "mo").await?;
    let mut clients = Vec::new();
    for n in 0..8 {
        clients.push(member(&node, &format!("user{n}")).await?);
    }
    for round in 1..=5 {
        let rule =
            json!({ "kind": "words", "name": "fruit", "words": [format!("zxfruit{round}x")], "action": "reject" });
        let ack = good(&mut mo, "mod:rule_set", json!({ "rule": rule })).await?;
        assert_eq!(ack["version"], round);
        // all at once, so that several instances are asked
        for client in &mut clients {
            client.emit("message", json!({ "room": "tea", "text": format!("a zxfruit{round}x") })).await?;
        }
        for client in &mut clients {
            let error = client.event_named("error").await?;
            assert_eq!(code(&error), "word_not_allowed", "{error}");
            assert_eq!(say(client, &format!("round {}", round)).await?["ok"], true);
        }
    }
    let rule = json!({ "kind": "regex", "name": "large", "pattern": "\\w{30,}", "action": "mask" });
    let ack = mo.ask("mod:rule_set", json!({ "rule": rule })).await?;
    assert_eq!(code(&ack), "rule_invalid", "{ack}");
    // all that may be compiled within one event
    for pattern in
        ["(?i)\\b[a-z]+@[a-z]+\\.(com|org)\\b", "\\b\\d{3}-\\d{4}\\b", "\\w+zx!!", "(?i)(foo|bar|baz|qux){1,30}zx"]
    {
        let rule = json!({ "kind": "regex", "name": pattern, "pattern": pattern, "action": "mask" });
        good(&mut mo, "mod:rule_set", json!({ "rule": rule })).await?;
    }
    let words: Vec<String> = (0..1990).map(|n| format!("zx{}word", letters(n))).collect();
    let rule = json!({ "kind": "words", "name": "many", "words": words, "action": "reject" });
    good(&mut mo, "mod:rule_set", json!({ "rule": rule })).await?;
    good(&mut mo, "mod:slow", json!({ "room": "tea", "seconds": 600 })).await?;
    let called = say(&mut clients[0], "call 555-1234").await?;
    assert_eq!(called["ok"], true, "{called}");
    let again = say(&mut clients[0], "again").await?;
    assert_eq!(code(&again), "slow_mode", "{again}");
    good(&mut mo, "mod:ban", json!({ "user": "user1", "seconds": 3600 })).await?;
    good(&mut mo, "mod:mute", json!({ "user": "user2" })).await?;
    good(&mut clients[3], "message", json!({ "room": "tea", "text": "zxheldword" })).await?;
    // a client that does not close its side keeps its connection, and with it the store, for the close timeout
    drop((clients, mo));
    node.stop().await;

    let node = Node::start(&config).await;
    let mut mo = member(&node, "mo").await?;
    let refused = connect(&node, "user1").await.err().expect("it stays out").to_string();
    assert!(refused.contains("banned"), "{refused}");
    let mut two = member(&node, "user2").await?;
    assert_eq!(code(&say(&mut two, "hello").await?), "muted");
    let mut four = member(&node, "user4").await?;
    assert_eq!(code(&say(&mut four, "zxfruit5x").await?), "word_not_allowed");
    assert_eq!(say(&mut four, "zxfruit4x").await?["ok"], true);
    let again = say(&mut four, "again").await?;
    assert_eq!(code(&again), "slow_mode", "{again}");
    let queue = good(&mut mo, "mod:queue", json!({})).await?;
    assert_eq!(queue["items"][0]["from"]["user"], "user3");
    let list = good(&mut mo, "mod:sanctions", json!({})).await?;
    let users: Vec<_> = list["sanctions"].as_array().into_iter().flatten().map(|s| s["user"].as_str()).collect();
    assert_eq!(users, [Some("user2"), Some("user1")]);
    node.stop().await;
    Ok(())
}

/// The plain rooms give messages neither numbers nor a history: all that moderation does works all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_rooms_are_moderated_too() -> anyhow::Result<()> {
    let chat = config(None, RULES);
    let archive = chat.find("[[plugin]]\nname = \"chat-archive\"").expect("it is the last");
    let rooms = "name = \"rooms\"\nfile = \"{wasm:rooms}\"";
    let plain = chat[..archive]
        .replace("name = \"chat-rooms\"\nfile = \"{wasm:chat-rooms}\"\ncapabilities = [\"store\"]", rooms);
    let node = Node::start(&plain).await;
    let (mut ann, mut bob, mut mo) =
        (member(&node, "ann").await?, member(&node, "bob").await?, member(&node, "mo").await?);
    assert_eq!(code(&say(&mut ann, "a zxrejectedword").await?), "word_not_allowed");
    good(&mut mo, "mod:mute", json!({ "user": "ann", "room": "tea", "seconds": 60 })).await?;
    assert_eq!(code(&say(&mut ann, "hello?").await?), "muted");
    good(&mut mo, "mod:unmute", json!({ "user": "ann", "room": "tea" })).await?;
    good(&mut mo, "mod:shadow", json!({ "user": "ann" })).await?;
    assert_eq!(say(&mut ann, SHADOWED).await?["ok"], true);
    good(&mut mo, "mod:unshadow", json!({ "user": "ann" })).await?;
    assert_eq!(say(&mut ann, "back again").await?["ok"], true);
    assert_eq!(bob.event_named("message").await?["text"], "back again");
    good(&mut mo, "mod:kick", json!({ "user": "ann", "room": "tea", "reason": "enough" })).await?;
    let left = bob.event_named("left").await?;
    assert_eq!((&left["user"], code(&say(&mut ann, "hello?").await?)), (&json!("ann"), "not_a_member"));
    good(&mut mo, "mod:ban", json!({ "user": "ann", "room": "tea", "seconds": 60 })).await?;
    assert_eq!(code(&ann.ask("join", json!({ "room": "tea" })).await?), "banned");
    node.stop().await;
    Ok(())
}
