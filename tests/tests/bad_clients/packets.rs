//! Socket.IO packets that are none, by a client that has joined.

use scenarios::{Client, client::End};
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;

use crate::{SMALL, Watched};

/// What becomes of a packet.
enum Expect {
    /// The connection is closed as a parse error, and nothing comes before.
    Closed,
    /// The first text that comes begins so, and the connection stays.
    Answer(&'static str),
    /// Nothing comes of it, and the connection stays.
    Nothing,
}

use Expect::{Answer, Closed, Nothing};

const UNHANDLED: Expect = Answer(r#"430[{"error":{"code":"unhandled""#);
const INVALID_NAMESPACE: &str = r#"{"message":"Invalid namespace"}"#;

/// Sends these and looks at what comes of it.
async fn check(watched: &mut Watched, what: &str, frames: Vec<Message>, expect: &Expect) -> anyhow::Result<()> {
    let mut client = Client::connect(watched.node.address, "/", Value::Null).await?;
    client.event_named("auth").await?;
    for frame in frames {
        // it may be closed before the last one
        if client.frame(frame).await.is_err() {
            break;
        }
    }
    match expect {
        Closed => {
            let farewell = client.farewell().await?;
            assert_eq!((farewell.end, &*farewell.reason), (End::Code(1002), "parse error"), "{what}: {farewell:?}");
            assert!(farewell.packets.is_empty(), "{what}: {farewell:?}");
        }
        Answer(start) => {
            let packet = client.text().await?;
            assert!(packet.starts_with(start), "{what}: {packet:.200}");
        }
        Nothing => {}
    }
    if !matches!(expect, Closed) {
        client.raw(r#"4277["echo","still here"]"#).await?;
        loop {
            let packet = client.text().await?;
            if packet == r#"4377["still here"]"# {
                break;
            }
            assert!(matches!(expect, Answer(_)), "{what}: {packet:.200}");
        }
    }
    watched.works_after(what).await
}

async fn check_texts(table: &[(&str, &str, Expect)]) -> anyhow::Result<()> {
    let mut watched = Watched::start(SMALL).await?;
    for (what, text, expect) in table {
        check(&mut watched, what, vec![Message::text(*text)], expect).await?;
    }
    watched.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_no_event_may_have() -> anyhow::Result<()> {
    let long = format!("420[\"{}\"]", "n".repeat(65));
    let longest = format!("420[\"{}\"]", "n".repeat(64));
    let wide = format!("420[\"{}\"]", "é".repeat(33));
    check_texts(&[
        ("a number as name", "42[1,2]", Closed),
        ("true as name", "42[true]", Closed),
        ("an array as name", r#"42[["message"]]"#, Closed),
        ("half a surrogate pair in a name", r#"42["\ud800"]"#, Closed),
        ("an escape that is none in a name", r#"42["\x41"]"#, Closed),
        ("a control character in a name", "42[\"a\u{1}\"]", Closed),
        ("a name that is one byte too long", &long, Closed),
        ("a name as long as it may be", &longest, UNHANDLED),
        ("a name that is too long in bytes, not in characters", &wide, Closed),
        ("an empty name", r#"420[""]"#, UNHANDLED),
        ("a name that a prototype has", r#"420["__proto__"]"#, UNHANDLED),
        ("the reserved name newListener", r#"42["newListener",1]"#, Closed),
        ("the reserved name removeListener", r#"42["removeListener",1]"#, Closed),
        ("a reserved name in escapes", r#"42["disc\u006fnnect"]"#, Closed),
        ("a reserved name in another case", r#"420["Connect"]"#, UNHANDLED),
    ])
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn arguments_that_are_no_json() -> anyhow::Result<()> {
    let unclosed = format!("42[\"echo\",{}", "[".repeat(90_000));
    let overclosed = format!("42[\"echo\",{}]", "]".repeat(90_000));
    let objects = format!("42[\"echo\",{}", "{\"a\":".repeat(18_000));
    check_texts(&[
        ("brackets that are never closed", &unclosed, Closed),
        ("brackets that were never opened", &overclosed, Closed),
        ("objects that are never closed", &objects, Closed),
        ("a comma that is missing", r#"42["echo" 1]"#, Closed),
        ("a comma too many", r#"42["echo",1,]"#, Closed),
        ("a comma in front", r#"42[,"echo"]"#, Closed),
        ("apostrophes", "42['echo',1]", Closed),
        ("NaN", r#"42["echo",NaN]"#, Closed),
        ("undefined", r#"42["echo",undefined]"#, Closed),
        ("a number with a zero in front", r#"42["echo",01]"#, Closed),
        ("a hexadecimal number", r#"42["echo",0x1]"#, Closed),
        ("a comment", r#"42["echo"/*1*/]"#, Closed),
        ("a byte order mark", "42\u{feff}[\"echo\"]", Closed),
        ("a text that is never closed", r#"42["echo","abc]"#, Closed),
        ("an object that is never closed", r#"42["echo",{"a":1]"#, Closed),
        ("a line break in a text", "42[\"echo\",\"a\nb\"]", Closed),
        ("two arrays", r#"42["echo",1]["echo",2]"#, Closed),
        ("a NUL behind the event", "42[\"echo\"]\0", Closed),
        ("a name and no array", r#"42"echo""#, Closed),
        ("an ack id and nothing else", "4212", Closed),
        ("a number that overflows", r#"420["echo",1e999999]"#, Answer("430[1e999999]")),
    ])
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acks_that_nobody_waits_for() -> anyhow::Result<()> {
    check_texts(&[
        ("an ack of nothing", r#"437["late"]"#, Nothing),
        ("an ack with the greatest id", "439223372036854775807[]", Nothing),
        ("an ack without id", "43[]", Closed),
        ("an ack with a negative id", "43-1[]", Closed),
        ("an ack whose id is too great", "439223372036854775808[]", Closed),
        ("an ack that is a number", "4311", Closed),
        ("an ack that is never closed", "431[1", Closed),
        ("an ack with text behind", "431[1]x", Closed),
        ("a binary ack without id", "461-[]", Closed),
    ])
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn namespaces_that_nobody_may_enter() -> anyhow::Result<()> {
    let invalid = |namespace: &str| format!("44{namespace},{INVALID_NAMESPACE}");
    let long = format!("40/new-{},", "n".repeat(36));
    let longest = format!("40/new-{},", "n".repeat(35));
    let deep = format!("40/new-deep,{{\"a\":{}{}}}", "[".repeat(20_000), "]".repeat(20_000));
    check_texts(&[
        ("a namespace that is one byte too long", &long, Closed),
        ("a namespace as long as it may be", &longest, Answer("40/new-nnn")),
        ("a namespace without a comma", "40/new-a", Answer("40/new-a,{\"sid\"")),
        ("an auth payload of 20,000 brackets", &deep, Answer("40/new-deep,{\"sid\"")),
        ("null as auth payload", "40/new-a,null", Closed),
        ("a number as auth payload", "40/new-a,-1", Closed),
        ("an auth payload with text behind", "40/new-a,{}x", Closed),
        ("a DISCONNECT from where it is not", "41/new-a,", Closed),
        ("an ack of where it is not", "43/new-a,1[]", Closed),
        ("an event of where nobody may be", r#"42/nowhere,["echo"]"#, Closed),
        ("an event without a comma behind its namespace", r#"42/new-a["echo"]"#, Closed),
    ])
    .await?;
    let mut watched = Watched::start(SMALL).await?;
    for namespace in ["/nowhere", "/../etc/passwd", "/<script>", "/New-a", "//", "/\u{0}\u{1e}", "/ñew-a", "/*", "/new"]
    {
        let mut client = Client::connect(watched.node.address, "/", Value::Null).await?;
        client.event_named("auth").await?;
        client.raw(&format!("40{namespace},")).await?;
        assert_eq!(client.text().await?, invalid(namespace));
        watched.works_after(namespace).await?;
    }
    watched.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attachments_that_do_not_fit() -> anyhow::Result<()> {
    const PLACEHOLDER: &str = r#"{"_placeholder":true,"num":0}"#;
    let mut watched = Watched::start(SMALL).await?;
    let texts = [
        ("one attachment too many", r#"454-["echo"]"#),
        ("more attachments than there are numbers", r#"4599999999999999999999-["echo"]"#),
        ("a negative number of attachments", r#"45-1-["echo"]"#),
        ("half an attachment", r#"451.5-["echo"]"#),
        ("a count without an end", "451"),
        ("an ack id that is too great", r#"451-9223372036854775808["echo"]"#),
    ];
    for (what, text) in texts {
        check(&mut watched, what, vec![Message::text(text)], &Closed).await?;
    }
    let one = |arg: &str| vec![Message::text(format!("451-[\"echo\",{arg}]")), Message::binary(vec![7; 3])];
    let placeholders = [
        ("a number beyond all", r#"{"_placeholder":true,"num":18446744073709551616}"#),
        ("half a number", r#"{"_placeholder":true,"num":0.5}"#),
        ("no number", r#"{"_placeholder":true}"#),
        ("two numbers, the second without attachment", r#"{"_placeholder":true,"num":0,"num":1}"#),
        ("escapes in its key", r#"{"_pl\u0061ceholder":true,"num":9}"#),
        ("a place deep within", r#"[{"a":[[{"_placeholder":true,"num":9}]]}]"#),
    ];
    for (what, arg) in placeholders {
        check(&mut watched, &format!("a placeholder with {what}"), one(arg), &Closed).await?;
    }
    let deep = format!("{}{PLACEHOLDER}{}", "[".repeat(40_000), "]".repeat(40_000));
    check(&mut watched, "an attachment 40,000 arrays deep", one(&deep), &Closed).await?;
    check(&mut watched, "arguments that break off, with an attachment", one("[1"), &Closed).await?;
    check(
        &mut watched,
        "a reserved name with an attachment",
        [vec![Message::text(format!("451-[\"connect\",{PLACEHOLDER}]"))], vec![Message::binary(vec![7; 3])]].concat(),
        &Closed,
    )
    .await?;
    let announced = Message::text(r#"453-["echo"]"#);
    let heavy = [vec![announced.clone()], vec![Message::binary(vec![7; 40_000]); 3]].concat();
    check(&mut watched, "attachments that are too heavy together", heavy, &Closed).await?;
    for (what, text) in [("a DISCONNECT", "41"), ("a CONNECT", "40/new-a,"), ("another count", r#"451-["echo"]"#)] {
        let frames = vec![announced.clone(), Message::text(text)];
        check(&mut watched, &format!("{what} in place of an attachment"), frames, &Closed).await?;
    }
    watched.stop().await;
    Ok(())
}
