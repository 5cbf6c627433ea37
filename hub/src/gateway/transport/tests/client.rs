//! Raw clients: HTTP requests and WebSocket frames, with nothing between the test and the wire.

use std::{fmt::Write, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

use super::{super::frame, soon};

pub(super) const PATH: &str = "/engine.io/";
pub(super) const FIN_TEXT: u8 = 0x80 | frame::TEXT;
pub(super) const FIN_BINARY: u8 = 0x80 | frame::BINARY;
pub(super) const FIN_CLOSE: u8 = 0x80 | frame::CLOSE;
pub(super) const FIN_PING: u8 = 0x80 | frame::PING;

/// What a WebSocket brings.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message {
    Text(String),
    Binary(Vec<u8>),
    Pong(Vec<u8>),
    /// A close frame: code and text.
    Close(u16, String),
    /// The stream's end, or its breaking.
    End,
}

pub(super) fn text(text: &str) -> Message {
    Message::Text(text.to_owned())
}

/// An HTTP answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| &**value)
    }

    /// The code of Engine.IO's error.
    #[track_caller]
    pub(super) fn code(&self) -> u64 {
        let error: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        assert!(error["message"].is_string(), "{}", self.body);
        error["code"].as_u64().unwrap()
    }
}

/// A connection that speaks HTTP.
pub(super) struct Http {
    pub(super) stream: TcpStream,
    unread: Vec<u8>,
}

impl Http {
    pub(super) async fn connect(address: SocketAddr) -> Self {
        let stream = soon("a connection", TcpStream::connect(address)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, unread: Vec::new() }
    }

    /// A connection whose client takes little before it must read.
    pub(super) async fn connect_narrow(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(8 * 1024).unwrap();
        let stream = soon("a connection", socket.connect(address)).await.unwrap();
        Self { stream, unread: Vec::new() }
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) {
        soon("a write", self.stream.write_all(bytes)).await.unwrap();
    }

    pub(super) async fn begin(&mut self, method: &str, query: &str, headers: &[(&str, &str)], body: &[u8]) {
        let mut request = format!("{method} {PATH}?{query} HTTP/1.1\r\nhost: localhost\r\n");
        for (name, value) in headers {
            write!(request, "{name}: {value}\r\n").unwrap();
        }
        if method == "POST" {
            write!(request, "content-length: {}\r\n", body.len()).unwrap();
        }
        request.push_str("\r\n");
        let mut bytes = request.into_bytes();
        bytes.extend_from_slice(body);
        self.write(&bytes).await;
    }

    /// Reads more; false at the stream's end.
    async fn read(&mut self) -> bool {
        let mut buffer = vec![0; 64 * 1024];
        let read = soon("bytes of the server", self.stream.read(&mut buffer)).await.unwrap_or(0);
        self.unread.extend_from_slice(&buffer[..read]);
        read > 0
    }

    /// The answer; `None` when the stream ends before it.
    pub(super) async fn answer(&mut self) -> Option<Answer> {
        let end = loop {
            if let Some(end) = self.unread.windows(4).position(|w| w == b"\r\n\r\n") {
                break end;
            }
            if !self.read().await {
                return None;
            }
        };
        let head = String::from_utf8(self.unread.drain(..end + 4).collect()).unwrap();
        let mut lines = head.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        let mut answer = Answer { status, headers, body: String::new() };
        let len = answer.header("content-length").map_or(0, |len| len.parse().unwrap());
        while self.unread.len() < len {
            if !self.read().await {
                return None;
            }
        }
        answer.body = String::from_utf8(self.unread.drain(..len).collect()).unwrap();
        Some(answer)
    }

    /// Waits for the stream's end; what comes before is thrown away.
    pub(super) async fn end(&mut self) {
        while self.read().await {}
    }
}

/// One request on a connection of its own.
pub(super) async fn request(
    address: SocketAddr,
    method: &str,
    query: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let mut http = Http::connect(address).await;
    http.begin(method, query, headers, body).await;
    http.answer().await.expect("an answer")
}

/// A long-polling session.
pub(super) struct Polling {
    address: SocketAddr,
    pub(super) sid: String,
}

impl Polling {
    pub(super) async fn open(address: SocketAddr) -> Self {
        let answer = request(address, "GET", "EIO=4&transport=polling", &[], b"").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let open: serde_json::Value = serde_json::from_str(&answer.body[1..]).unwrap();
        Self { address, sid: open["sid"].as_str().unwrap().to_owned() }
    }

    pub(super) fn query(&self) -> String {
        format!("EIO=4&transport=polling&sid={}", self.sid)
    }

    pub(super) async fn get(&self) -> Answer {
        request(self.address, "GET", &self.query(), &[], b"").await
    }

    pub(super) async fn post(&self, body: impl AsRef<[u8]>) -> Answer {
        request(self.address, "POST", &self.query(), &[], body.as_ref()).await
    }

    /// A request whose answer is read later.
    pub(super) async fn begin(&self, method: &str, body: &[u8]) -> Http {
        let mut http = Http::connect(self.address).await;
        http.begin(method, &self.query(), &[], body).await;
        http
    }

    /// Posts and insists that it was taken.
    pub(super) async fn say(&self, body: &str) {
        let answer = self.post(body).await;
        assert_eq!((answer.status, &*answer.body), (200, "ok"), "{body}");
    }

    /// The packets of the next GET.
    pub(super) async fn packets(&self) -> Vec<String> {
        let answer = self.get().await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body.split('\u{1e}').map(str::to_owned).collect()
    }

    /// The session is gone: its id is unknown.
    pub(super) async fn assert_gone(&self) {
        let answer = self.post("3").await;
        assert_eq!((answer.status, answer.code()), (400, 1));
    }
}

/// A WebSocket.
pub(super) struct Wire {
    pub(super) http: Http,
}

impl Wire {
    /// Opens a session over WebSocket and takes its first packet.
    pub(super) async fn open(address: SocketAddr) -> Self {
        Self::over(Http::connect(address).await).await
    }

    /// The same on a connection that is there.
    pub(super) async fn over(http: Http) -> Self {
        let mut wire = Self::switch(http, "EIO=4&transport=websocket", b"").await;
        let Message::Text(open) = wire.next().await else { panic!("no open packet") };
        assert!(open.starts_with("0{\"sid\":\""), "{open}");
        wire
    }

    /// A second transport for a session.
    pub(super) async fn upgrade(session: &Polling) -> Self {
        let query = format!("EIO=4&transport=websocket&sid={}", session.sid);
        Self::switch(Http::connect(session.address).await, &query, b"").await
    }

    /// Asks for a WebSocket, with `first` in the same write, and insists on getting it.
    pub(super) async fn switch(mut http: Http, query: &str, first: &[u8]) -> Self {
        let mut bytes = upgrade_request(query, &[]);
        bytes.extend_from_slice(first);
        http.write(&bytes).await;
        let answer = http.answer().await.expect("an answer");
        assert_eq!(answer.status, 101, "{}", answer.body);
        assert_eq!(answer.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        Self { http }
    }

    pub(super) async fn send(&mut self, text: &str) {
        self.http.write(&masked(FIN_TEXT, text.as_bytes())).await;
    }

    pub(super) async fn send_frame(&mut self, first: u8, body: &[u8]) {
        self.http.write(&masked(first, body)).await;
    }

    /// The next message.
    pub(super) async fn next(&mut self) -> Message {
        loop {
            if let Some(message) = self.take_frame() {
                return message;
            }
            if !self.http.read().await {
                assert!(self.http.unread.is_empty(), "the stream ends within a frame");
                return Message::End;
            }
        }
    }

    fn take_frame(&mut self) -> Option<Message> {
        let bytes = &self.http.unread;
        let [first, second, rest @ ..] = &bytes[..] else { return None };
        let (at, len) = match second {
            126 => (4, u16::from_be_bytes(*rest.first_chunk()?) as usize),
            127 => (10, u64::from_be_bytes(*rest.first_chunk()?) as usize),
            len => (2, *len as usize),
        };
        assert!(*second <= 127 && first & 0xf0 == 0x80, "a server's frame is whole and has no mask: {first:#x}");
        let body = bytes.get(at..at + len)?.to_vec();
        let opcode = first & 15;
        self.http.unread.drain(..at + len);
        Some(match opcode {
            frame::TEXT => Message::Text(String::from_utf8(body).unwrap()),
            frame::BINARY => Message::Binary(body),
            frame::PONG => Message::Pong(body),
            frame::CLOSE => {
                let (code, text) = body.split_first_chunk().expect("a server's close has a code");
                Message::Close(u16::from_be_bytes(*code), String::from_utf8(text.to_vec()).unwrap())
            }
            other => panic!("opcode {other}"),
        })
    }

    /// The code of the close frame that must come next, and the stream's end behind it.
    pub(super) async fn close_code(&mut self) -> u16 {
        let Message::Close(code, _) = self.next().await else { panic!("no close frame") };
        assert_eq!(self.next().await, Message::End);
        code
    }
}

/// A request for a WebSocket, with the key of RFC 6455's example.
pub(super) fn upgrade_request(query: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut request = format!(
        "GET {PATH}?{query} HTTP/1.1\r\nhost: localhost\r\nconnection: keep-alive, Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    );
    for (name, value) in headers {
        write!(request, "{name}: {value}\r\n").unwrap();
    }
    request.push_str("\r\n");
    request.into_bytes()
}

/// A client's frame.
pub(super) fn masked(first: u8, body: &[u8]) -> Vec<u8> {
    let (start, mut header) = frame::header(first, body.len());
    header[start] = first;
    header[start + 1] |= 0x80;
    let key = [0xa1, 0x02, 0x7f, 0xee];
    let mut frame = header[start..].to_vec();
    frame.extend_from_slice(&key);
    frame.extend(body.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}
