//! A client of the admin API that can be as wrong as it likes, and a look at the API's own document.

use std::net::SocketAddr;

use anyhow::Context;
use hub::registry::Digest;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines},
    net::TcpStream,
    time::{Duration, timeout},
};

/// How long any call may take: a push compiles.
const DEADLINE: Duration = Duration::from_secs(120);

/// Tokens of tests, one for each role.
pub const DEPLOY: &str = "deploy-token-of-a-test";
pub const READ: &str = "read-token-of-a-test";

/// The headers of a component; `signature`: the text of its `.minisig`, in base64.
pub fn of_component(signature: Option<&str>) -> Vec<(&'static str, &str)> {
    let signature = signature.map(|text| ("hubbub-signature", text));
    [("content-type", "application/wasm")].into_iter().chain(signature).collect()
}

/// The lines of `hub.toml` for an admin API on a free port, with both tokens.
pub fn admin_toml() -> String {
    let token = |name: &str, token: &str| {
        let sha256 = Digest::of(token.as_bytes());
        format!("[[admin.token]]\nname = \"{name}\"\nrole = \"{name}\"\nsha256 = \"{sha256}\"\n")
    };
    format!("[admin]\nlisten = \"127.0.0.1:0\"\n{}{}", token("deploy", DEPLOY), token("read", READ))
}

/// A query, escaped.
pub fn query(pairs: &[(&str, &str)]) -> String {
    let escape = |text: &str| -> String {
        let byte = |b: u8| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") };
        text.bytes().map(byte).collect()
    };
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={}", escape(value))).collect();
    format!("?{}", pairs.join("&"))
}

/// Whom to call, and as whom.
#[derive(Clone, Debug)]
pub struct Admin {
    pub address: SocketAddr,
    token: Option<String>,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: String,
    pub text: String,
}

impl Answer {
    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// The code of an error.
    pub fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }

    /// The text of an error.
    pub fn message(&self) -> String {
        self.json()["error"]["message"].as_str().unwrap_or_default().to_owned()
    }
}

impl Admin {
    /// Calls with this token; an empty one is none.
    pub fn new(address: SocketAddr, token: &str) -> Self {
        Self { address, token: Some(token.to_owned()).filter(|token| !token.is_empty()) }
    }

    /// The same with another token.
    pub fn with_token(&self, token: &str) -> Self {
        Self::new(self.address, token)
    }

    /// A call without a body.
    pub async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.call("GET", path, &[], b"").await
    }

    /// A call with a body of JSON; null: without a body.
    pub async fn send(&self, method: &str, path: &str, body: Value) -> anyhow::Result<Answer> {
        match body {
            Value::Null => self.call(method, path, &[], b"").await,
            body => self.call(method, path, &[("content-type", "application/json")], body.to_string().as_bytes()).await,
        }
    }

    /// A component, with what is to be said beside it in the query.
    pub async fn push(&self, name: &str, query: &str, component: &[u8]) -> anyhow::Result<Answer> {
        let path = format!("/v1/plugins/{name}{query}");
        self.call("POST", &path, &of_component(None), component).await
    }

    /// A component and then, by its digest, where it is put and with which settings; what refuses the first is the answer.
    pub async fn push_with(
        &self,
        name: &str,
        query: &str,
        component: &[u8],
        signature: Option<&str>,
        settings: &Value,
    ) -> anyhow::Result<Answer> {
        let sha256 = Digest::of(component).to_string();
        let target = format!("/v1/artifacts/{sha256}");
        let uploaded = self.call("PUT", &target, &of_component(signature), component).await?;
        if uploaded.status != 200 {
            return Ok(uploaded);
        }
        let by_digest = json!({ "sha256": sha256, "settings": settings });
        self.send("POST", &format!("/v1/plugins/{name}{query}"), by_digest).await
    }

    /// Any call.
    pub async fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> anyhow::Result<Answer> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
        if !headers.iter().any(|(name, _)| *name == "host") {
            head.push_str(&format!("Host: {}\r\n", self.address));
        }
        if let Some(token) = &self.token {
            head.push_str(&format!("Authorization: Bearer {token}\r\n"));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        self.raw(&[head.as_bytes(), body].concat()).await
    }

    /// Bytes as they are, and the answer to them.
    pub async fn raw(&self, request: &[u8]) -> anyhow::Result<Answer> {
        let answered = async {
            let stream = TcpStream::connect(self.address).await?;
            let (mut reader, mut writer) = stream.into_split();
            let request = request.to_vec();
            // who is refused early may not be read to the end
            let writing = tokio::spawn(async move { writer.write_all(&request).await.map(|()| writer) });
            let mut bytes = Vec::new();
            // a connection that was reset behind its answer has given it all the same
            let read = reader.read_to_end(&mut bytes).await;
            writing.abort();
            anyhow::ensure!(!bytes.is_empty(), "no answer: {read:?}");
            parse(&bytes)
        };
        timeout(DEADLINE, answered).await.context("no answer in time")?
    }
}

/// Lines of JSON as they come.
pub struct Followed {
    lines: Lines<BufReader<TcpStream>>,
}

impl Admin {
    /// An answer that goes on and on.
    pub async fn follow(&self, path: &str) -> anyhow::Result<Followed> {
        let mut stream = TcpStream::connect(self.address).await?;
        let token = self.token.as_deref().unwrap_or_default();
        let head = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\n\r\n", self.address);
        stream.write_all(head.as_bytes()).await?;
        let mut lines = BufReader::new(stream).lines();
        let status = timeout(DEADLINE, lines.next_line()).await.context("no answer in time")??.unwrap_or_default();
        anyhow::ensure!(status.contains(" 200 "), "{status}");
        Ok(Followed { lines })
    }
}

impl Followed {
    /// The next one.
    pub async fn next(&mut self) -> anyhow::Result<Value> {
        loop {
            let line = timeout(DEADLINE, self.lines.next_line()).await.context("nothing came in time")??;
            let line = line.context("it ended")?;
            // between them are the sizes of chunks
            if line.starts_with('{') {
                return Ok(serde_json::from_str(&line)?);
            }
        }
    }

    /// Reads on until it ends.
    pub async fn end(mut self) -> anyhow::Result<()> {
        let ended = async {
            while self.lines.next_line().await?.is_some() {}
            anyhow::Ok(())
        };
        timeout(DEADLINE, ended).await.context("it did not end in time")?
    }
}

fn parse(bytes: &[u8]) -> anyhow::Result<Answer> {
    let split = bytes.windows(4).position(|w| w == b"\r\n\r\n").context("no end of the headers")?;
    let headers = String::from_utf8_lossy(&bytes[..split]).to_lowercase();
    let mut body = &bytes[split + 4..];
    let status: u16 = headers.split(' ').nth(1).context("a status line")?.parse()?;
    if status == 100 {
        return parse(body);
    }
    let mut text = Vec::new();
    if headers.contains("transfer-encoding: chunked") {
        while let Some(end) = body.windows(2).position(|w| w == b"\r\n") {
            let size = usize::from_str_radix(std::str::from_utf8(&body[..end])?, 16)?;
            text.extend_from_slice(body.get(end + 2..end + 2 + size).context("a whole chunk")?);
            body = &body[(end + 4 + size).min(body.len())..];
        }
    } else {
        text.extend_from_slice(body);
    }
    Ok(Answer { status, headers, text: String::from_utf8_lossy(&text).into_owned() })
}

/// Says where `value` is not what a schema of the document says; nothing when it fits.
pub fn misfits(document: &Value, schema: &Value, value: &Value, path: &str) -> Vec<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let pointer = reference.trim_start_matches('#');
        return match document.pointer(pointer) {
            Some(schema) => misfits(document, schema, value, path),
            None => vec![format!("{path}: the document has no {reference}")],
        };
    }
    for key in ["oneOf", "anyOf"] {
        if let Some(choices) = schema[key].as_array() {
            let fits = choices.iter().any(|choice| misfits(document, choice, value, path).is_empty());
            return if fits { Vec::new() } else { vec![format!("{path}: {value} is none of {key}")] };
        }
    }
    let is = |name: &str| match name {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    };
    let is_right_type = match &schema["type"] {
        Value::String(name) => is(name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).any(is),
        _ => true,
    };
    if !is_right_type {
        return vec![format!("{path}: {value} is no {}", schema["type"])];
    }
    if let Some(words) = schema["enum"].as_array()
        && !words.contains(value)
    {
        return vec![format!("{path}: {value} is none of {words:?}")];
    }
    let mut found = Vec::new();
    for (n, item) in value.as_array().into_iter().flatten().enumerate() {
        found.extend(misfits(document, &schema["items"], item, &format!("{path}[{n}]")));
    }
    if let (Some(fields), Some(known)) = (value.as_object(), schema["properties"].as_object()) {
        for (name, field) in fields {
            match known.get(name) {
                Some(schema) => found.extend(misfits(document, schema, field, &format!("{path}.{name}"))),
                None => found.push(format!("{path}.{name}: the document does not know it")),
            }
        }
        let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        found.extend(required.filter(|name| !fields.contains_key(*name)).map(|name| format!("{path}.{name}: missing")));
    }
    found
}

/// Asserts that an answer is what the document says of this call.
///
/// # Panics
/// When it is not.
#[track_caller]
pub fn assert_fits(document: &Value, method: &str, template: &str, answer: &Answer) {
    let operation = &document["paths"][template][method.to_lowercase()];
    assert!(operation.is_object(), "the document does not know {method} {template}");
    let responses = &operation["responses"];
    let response = match &responses[answer.status.to_string()] {
        Value::Null => &responses["default"],
        response => response,
    };
    let kinds: Vec<&String> = response["content"].as_object().into_iter().flatten().map(|(kind, _)| kind).collect();
    let is_said = kinds.iter().any(|kind| answer.headers.contains(&format!("content-type: {kind}")));
    assert!(is_said, "{method} {template}: not of {kinds:?}: {}", answer.headers);
    if !kinds.iter().any(|kind| *kind == "application/json") {
        return;
    }
    let schema = &response["content"]["application/json"]["schema"];
    assert!(schema.is_object(), "{method} {template}: no schema for {}", answer.status);
    let wrong = misfits(document, schema, &answer.json(), "answer");
    assert!(wrong.is_empty(), "{method} {template} {}: {wrong:#?}\n{}", answer.status, answer.text);
}
