//! Calls of the admin API: what goes over the wire, and what an answer that is no success means.

use std::{fs, io, path::Path, time::Duration};

use serde_json::Value;
use ureq::{
    Agent, AsSendBody,
    http::{Request, Response, Uri, header},
};

use super::Failure;
use crate::cli::terminal::plain;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longer answers are cut off: none is.
const ANSWER_MAX_BYTES: u64 = 64 << 20;
/// A longer file holds no token.
const TOKEN_FILE_MAX_BYTES: u64 = 4096;

/// A node's admin API, and who calls it.
pub(super) struct Client {
    agent: Agent,
    /// Without a slash at its end.
    base: String,
    token: Option<String>,
}

/// What a call carries.
pub(super) enum Body<'a> {
    Empty,
    Json(&'a Value),
    Component { bytes: &'a [u8], signature: Option<String> },
}

/// A call.
pub(super) struct Call<'a> {
    pub method: &'static str,
    pub path: String,
    pub query: Vec<(&'static str, String)>,
    pub body: Body<'a>,
}

impl Call<'_> {
    pub fn get(path: impl Into<String>) -> Self {
        Self { method: "GET", path: path.into(), query: Vec::new(), body: Body::Empty }
    }

    pub fn new(method: &'static str, path: impl Into<String>) -> Self {
        Self { method, ..Self::get(path) }
    }

    pub fn query(mut self, query: Vec<(&'static str, String)>) -> Self {
        self.query.extend(query);
        self
    }

    /// With a parameter, if it has a value.
    pub fn with(mut self, name: &'static str, value: Option<impl ToString>) -> Self {
        self.query.extend(value.map(|value| (name, value.to_string())));
        self
    }
}

impl<'a> Call<'a> {
    pub fn json(self, json: &'a Value) -> Self {
        Self { body: Body::Json(json), ..self }
    }

    pub fn component(self, bytes: &'a [u8], signature: Option<String>) -> Self {
        Self { body: Body::Component { bytes, signature }, ..self }
    }
}

impl Client {
    pub fn new(url: &str, token: Option<&str>, token_file: Option<&Path>) -> Result<Self, Failure> {
        let uri: Option<Uri> = url.parse().ok();
        let scheme = uri.as_ref().and_then(|uri| uri.scheme_str());
        if scheme == Some("https") {
            let text = format!(
                "`{url}`: this command speaks plain HTTP: go through an SSH tunnel, as in ssh -L 3001:127.0.0.1:3001 HOST, \
                 or call a proxy on this machine that adds TLS"
            );
            return Err(Failure::Usage(text));
        }
        if scheme != Some("http") {
            return Err(Failure::Usage(format!(
                "`{url}`: expected the address of an admin API, as in http://127.0.0.1:3001"
            )));
        }
        let token = match token_file {
            Some(file) => Some(read_token(file)?),
            None => token.map(str::trim).filter(|token| !token.is_empty()).map(str::to_owned),
        };
        if token.as_ref().is_some_and(|token| !token.bytes().all(|b| b.is_ascii_graphic())) {
            return Err(Failure::Usage("the token is none: tokens have no spaces, and no letters beyond ASCII".into()));
        }
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            // a token goes nowhere but where it is meant to go
            .max_redirects(0)
            .proxy(None)
            .user_agent(concat!("hubbub/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self { agent: config.into(), base: url.trim_end_matches('/').to_owned(), token })
    }

    /// Makes a call and gives its answer.
    pub fn call(&self, call: Call<'_>) -> Result<Value, Failure> {
        let mut answer = self.send(call)?;
        let body = self.read_body(&mut answer)?;
        read_answer(answer.status().as_u16(), &body)
    }

    /// Makes a call whose answer comes bit by bit.
    pub fn stream(&self, call: Call<'_>) -> Result<impl io::Read + use<>, Failure> {
        let mut answer = self.send(call)?;
        let status = answer.status().as_u16();
        if status == 200 {
            return Ok(answer.into_body().into_reader());
        }
        let body = self.read_body(&mut answer)?;
        Err(read_answer(status, &body).err().unwrap_or_else(|| Failure::Refused(format!("status {status}"))))
    }

    fn read_body(&self, answer: &mut Response<ureq::Body>) -> Result<Vec<u8>, Failure> {
        let body = answer.body_mut().with_config().limit(ANSWER_MAX_BYTES).read_to_vec();
        body.map_err(|error| self.unreachable(error))
    }

    fn send(&self, call: Call<'_>) -> Result<Response<ureq::Body>, Failure> {
        let mut url = format!("{}{}", self.base, call.path);
        if !call.query.is_empty() {
            url.push('?');
            url.push_str(&form_urlencoded::Serializer::new(String::new()).extend_pairs(&call.query).finish());
        }
        let mut request = Request::builder().method(call.method).uri(&url);
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        match call.body {
            Body::Empty => self.run(request.body(())),
            Body::Json(json) => {
                self.run(request.header(header::CONTENT_TYPE, "application/json").body(json.to_string()))
            }
            Body::Component { bytes, signature } => {
                // who is not let in should hear so before it has sent all of it
                request =
                    request.header(header::CONTENT_TYPE, "application/wasm").header(header::EXPECT, "100-continue");
                if let Some(signature) = signature {
                    request = request.header("hubbub-signature", signature);
                }
                self.run(request.body(bytes))
            }
        }
    }

    fn run<B: AsSendBody>(
        &self,
        request: Result<Request<B>, ureq::http::Error>,
    ) -> Result<Response<ureq::Body>, Failure> {
        let request = request.map_err(|error| Failure::Usage(format!("`{}`: {error}", self.base)))?;
        self.agent.run(request).map_err(|error| self.unreachable(error))
    }

    fn unreachable(&self, error: ureq::Error) -> Failure {
        let reason = match error {
            ureq::Error::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                "nobody listens there; does the node run with `--admin ADDR:PORT`, or `[admin] listen`?".to_owned()
            }
            ureq::Error::Io(error) => error.to_string(),
            ureq::Error::HostNotFound => "this host is not known".to_owned(),
            ureq::Error::Timeout(_) => "it did not answer in time".to_owned(),
            error => error.to_string(),
        };
        Failure::Unreachable(format!("cannot reach the admin API at {}: {reason}", self.base))
    }
}

fn read_token(file: &Path) -> Result<String, Failure> {
    let wrong = |text: String| Failure::Usage(format!("--token-file `{}`: {text}", file.display()));
    let size = fs::metadata(file).map_err(|error| wrong(error.to_string()))?.len();
    if size > TOKEN_FILE_MAX_BYTES {
        return Err(wrong(format!("has {size} bytes, a token has fewer")));
    }
    let text = fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    match text.trim() {
        "" => Err(wrong("is empty".into())),
        token => Ok(token.to_owned()),
    }
}

fn read_answer(status: u16, body: &[u8]) -> Result<Value, Failure> {
    let answer: Option<Value> = serde_json::from_slice(body).ok();
    let Some(answer) = answer else {
        let text = format!("the answer (status {status}) is no JSON: is this the address of an admin API?");
        return Err(Failure::Unreachable(text));
    };
    if (200..300).contains(&status) {
        return Ok(answer);
    }
    let error = &answer["error"];
    let Some(message) = error["message"].as_str() else {
        let text = format!("status {status} without a reason: is this the address of an admin API?");
        return Err(Failure::Unreachable(text));
    };
    let message = plain(message);
    Err(match (status, error["code"].as_str()) {
        (401, _) => Failure::Unreachable(format!("{message}; give one with --token-file FILE or HUBBUB_ADMIN_TOKEN")),
        (403, _) => Failure::Unreachable(message),
        // a publish that the store refused has the same code, and no revision
        (409, Some("conflict")) if error["current"].is_number() => {
            Failure::Conflict(format!("{message}; `hubbub chain diff` shows what was changed: look, then try again"))
        }
        _ => match error["reason"]["code"].as_str() {
            Some(code) => Failure::Refused(format!("{message} ({})", plain(code))),
            None => Failure::Refused(message),
        },
    })
}

/// A text as one segment of a path.
pub(super) fn segment(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~' => out.push(char::from(byte)),
            // dots too: a segment of dots alone would be a way up
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_answer_means_decides_how_the_process_ends() {
        let check = |status, body: &str, code: u8, text: &str| {
            let failure = read_answer(status, body.as_bytes()).expect_err(body);
            assert_eq!(failure.code(), code, "{failure}");
            assert!(failure.to_string().contains(text), "{failure}");
        };
        let error = |code: &str| format!(r#"{{"error":{{"code":"{code}","message":"because\u001b[2J"}}}}"#);
        check(401, &error("unauthorized"), 4, "--token-file");
        check(403, &error("forbidden"), 4, "because");
        check(409, r#"{"error":{"code":"conflict","message":"because","current":7}}"#, 3, "try again");
        check(409, &error("conflict"), 1, "because");
        check(409, &error("in_force"), 1, "because");
        check(422, &error("init"), 1, "because\\u{1b}[2J");
        check(500, "<html>", 4, "no JSON");
        check(404, "{}", 4, "status 404");
        assert_eq!(read_answer(200, b"{\"a\":1}"), Ok(serde_json::json!({"a": 1})));
    }

    #[test]
    fn a_segment_is_never_a_way_up() {
        assert_eq!(segment("a/../b c"), "a%2F%2E%2E%2Fb%20c");
        assert_eq!(segment("chat-rooms_1~"), "chat-rooms_1~");
    }

    #[test]
    fn only_plain_http_is_spoken_and_a_bad_token_is_not_repeated() {
        let check = |url: &str, token: Option<&str>, text: &str| {
            let failure = Client::new(url, token, None).err().expect("a failure").to_string();
            assert!(failure.contains(text) && !failure.contains("sesame"), "{failure}");
        };
        check("https://hub.example", None, "SSH tunnel");
        check("127.0.0.1:3001", None, "expected the address");
        check("ftp://x", None, "expected the address");
        check("http://127.0.0.1:1", Some("open sesame"), "the token is none");
    }
}
