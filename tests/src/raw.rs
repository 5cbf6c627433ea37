//! HTTP and long polling byte by byte: requests that a decent client would never send.

use std::{collections::VecDeque, fmt::Write, net::SocketAddr, time::Duration};

use anyhow::Context;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::client::DEADLINE;

/// Between two packets of a polling payload.
pub const SEPARATOR: char = '\u{1e}';

/// Where the transport answers.
pub const PATH: &str = "/socket.io/";

/// An HTTP answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    /// The first value of a header, named in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| &**value)
    }
}

/// A connection that speaks HTTP.
pub struct Http {
    pub stream: TcpStream,
    unread: Vec<u8>,
}

impl Http {
    pub async fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        Ok(Self { stream: TcpStream::connect(address).await?, unread: Vec::new() })
    }

    /// Writes a whole request.
    pub async fn send(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> anyhow::Result<()> {
        let mut request = format!("{method} {target} HTTP/1.1\r\nhost: hub\r\n");
        for (name, value) in headers {
            write!(request, "{name}: {value}\r\n")?;
        }
        if method == "POST" {
            write!(request, "content-length: {}\r\n", body.len())?;
        }
        request.push_str("\r\n");
        let mut bytes = request.into_bytes();
        bytes.extend_from_slice(body);
        Ok(self.stream.write_all(&bytes).await?)
    }

    /// Reads more; false at the stream's end.
    async fn read(&mut self) -> anyhow::Result<bool> {
        let mut buffer = vec![0; 64 * 1024];
        // who is cut may be reset
        let read = timeout(DEADLINE, self.stream.read(&mut buffer)).await.context("no byte in time")?.unwrap_or(0);
        self.unread.extend_from_slice(&buffer[..read]);
        Ok(read > 0)
    }

    /// The answer to a request; `None` when the stream ends before it.
    pub async fn answer(&mut self) -> anyhow::Result<Option<Answer>> {
        let end = loop {
            if let Some(end) = self.unread.windows(4).position(|w| w == b"\r\n\r\n") {
                break end;
            }
            if !self.read().await? {
                return Ok(None);
            }
        };
        let head = String::from_utf8(self.unread.drain(..end + 4).collect())?;
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).context("no status")?.parse()?;
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        let mut answer = Answer { status, headers, body: String::new() };
        let len: usize = answer.header("content-length").map_or(Ok(0), str::parse)?;
        while self.unread.len() < len {
            anyhow::ensure!(self.read().await?, "the answer breaks off");
        }
        answer.body = String::from_utf8(self.unread.drain(..len).collect())?;
        Ok(Some(answer))
    }

    /// Waits for the stream's end, and gives what came before.
    pub async fn end(&mut self) -> anyhow::Result<Vec<u8>> {
        while self.read().await? {}
        Ok(std::mem::take(&mut self.unread))
    }
}

/// One request on a connection of its own.
pub async fn request(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> anyhow::Result<Answer> {
    let mut http = Http::connect(address).await?;
    http.send(method, target, headers, body).await?;
    http.answer().await?.context("the connection ended without an answer")
}

/// The headers that ask for a WebSocket.
pub const UPGRADE: [(&str, &str); 4] = [
    ("connection", "Upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

/// A long-polling session.
pub struct Polling {
    address: SocketAddr,
    /// The session id, which nobody else knows.
    pub sid: String,
    packets: VecDeque<String>,
}

impl Polling {
    pub async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let answer = request(address, "GET", &format!("{PATH}?EIO=4&transport=polling"), &[], b"").await?;
        anyhow::ensure!(answer.status == 200, "{answer:?}");
        let open: Value = serde_json::from_str(&answer.body[1..])?;
        Ok(Self::of(address, open["sid"].as_str().context("an open packet without sid")?))
    }

    /// One that is open already.
    pub fn of(address: SocketAddr, sid: &str) -> Self {
        Self { address, sid: sid.to_owned(), packets: VecDeque::new() }
    }

    /// Opens one that is in the main namespace; gives its public id too.
    pub async fn connect(address: SocketAddr) -> anyhow::Result<(Self, String)> {
        let mut session = Self::open(address).await?;
        session.say("40").await?;
        let packet = session.packet().await?;
        let body: Value = serde_json::from_str(packet.strip_prefix("40").context("no CONNECT")?)?;
        Ok((session, body["sid"].as_str().context("CONNECT without sid")?.to_owned()))
    }

    /// Where its requests go.
    pub fn target(&self) -> String {
        format!("{PATH}?EIO=4&transport=polling&sid={}", self.sid)
    }

    pub async fn post(&self, body: impl AsRef<[u8]>) -> anyhow::Result<Answer> {
        request(self.address, "POST", &self.target(), &[], body.as_ref()).await
    }

    pub async fn get(&self) -> anyhow::Result<Answer> {
        request(self.address, "GET", &self.target(), &[], b"").await
    }

    /// A request whose answer is read later, or never.
    pub async fn begin(&self, method: &str, body: &[u8]) -> anyhow::Result<Http> {
        let mut http = Http::connect(self.address).await?;
        http.send(method, &self.target(), &[], body).await?;
        Ok(http)
    }

    /// Posts and insists that it was taken.
    pub async fn say(&self, body: &str) -> anyhow::Result<()> {
        let answer = self.post(body).await?;
        anyhow::ensure!((answer.status, &*answer.body) == (200, "ok"), "{body:.80}: {answer:?}");
        Ok(())
    }

    /// The next packet that is no ping; `1` is the session's end.
    pub async fn packet(&mut self) -> anyhow::Result<String> {
        loop {
            match self.packets.pop_front() {
                Some(ping) if ping == "2" => self.say("3").await?,
                Some(packet) => return Ok(packet),
                None => {
                    let answer = self.get().await?;
                    anyhow::ensure!(answer.status == 200, "{answer:?}");
                    self.packets.extend(answer.body.split(SEPARATOR).map(str::to_owned));
                }
            }
        }
    }

    /// Whether the server still knows it.
    pub async fn is_known(&self) -> anyhow::Result<bool> {
        Ok(self.post("3").await?.status == 200)
    }

    /// Waits until the server does not know it any more.
    pub async fn forgotten(&self) -> anyhow::Result<()> {
        let forgotten = async {
            while self.is_known().await? {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            anyhow::Ok(())
        };
        timeout(DEADLINE, forgotten).await.context("the session is still known")?
    }
}
