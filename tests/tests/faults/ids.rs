//! What CONNECT tells, and what nobody can do with it.

use scenarios::{
    Client,
    raw::{PATH, Polling, UPGRADE, request},
};
use serde_json::{Value, json};

use crate::{ECHO, PROBE, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_id_opens_no_session() -> anyhow::Result<()> {
    let node = start(ECHO).await;
    let (mut ann, id) = Polling::connect(node.address).await?;
    assert_ne!(ann.sid, id, "the public id is no secret");
    let forged = |transport: &str| format!("{PATH}?EIO=4&transport={transport}&sid={id}");
    let answers = [
        request(node.address, "POST", &forged("polling"), &[], b"42[\"message\",\"forged\"]").await?,
        request(node.address, "GET", &forged("polling"), &[], b"").await?,
        request(node.address, "GET", &forged("websocket"), &UPGRADE, b"").await?,
    ];
    for answer in answers {
        assert_eq!((answer.status, &*answer.body), (400, r#"{"code":1,"message":"Session ID unknown"}"#));
    }
    ann.say(r#"42["message","her own"]"#).await?;
    assert!(ann.packet().await?.starts_with("42[\"auth\""));
    assert_eq!(ann.packet().await?, r#"42["message-back","her own"]"#, "nobody spoke for her");
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_connect_carries_its_data() -> anyhow::Result<()> {
    let node = start(PROBE).await;
    let mut client = Polling::open(node.address).await?;
    client.say(r#"40{"reject":{"code":"full","message":"come back later","data":{"after":5}}}"#).await?;
    let body: Value = serde_json::from_str(client.packet().await?.strip_prefix("44").expect("a refusal"))?;
    let reason = json!({ "code": "full", "message": "come back later", "data": { "after": 5 } });
    assert_eq!(body, json!({ "message": "come back later", "data": { "code": "rejected", "reason": reason } }));
    node.stop().await;
    Ok(())
}

/// A client takes itself for recovered when CONNECT brings the private id that it sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_told_of_a_recovery_that_is_none() -> anyhow::Result<()> {
    let node = start(ECHO).await;
    let mut client = Client::open(node.address).await?;
    client.raw(r#"40{"pid":"AAAAAAAAAAAAAAAAAAAA","offset":"17"}"#).await?;
    let body: Value = serde_json::from_str(client.text().await?.strip_prefix("40").expect("a CONNECT"))?;
    assert_eq!(body["sid"].as_str().map(str::len), Some(20), "{body}");
    assert_eq!(body["pid"], Value::Null, "{body}");
    node.stop().await;
    Ok(())
}
