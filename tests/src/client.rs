//! A small Socket.IO client over WebSocket: every packet in sight, nothing hidden.

use std::{collections::VecDeque, net::SocketAddr, time::Duration};

use anyhow::{Context, bail};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async, tungstenite::Message};

/// How long an answer may take.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// One socket in one namespace.
pub struct Client {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    namespace: String,
    /// The public id.
    pub id: String,
    /// What the server gave it to come back with.
    pub private_id: Option<String>,
    next_ack: u64,
    events: VecDeque<Vec<Value>>,
    wire: Option<String>,
}

/// What a connection's end looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// A close frame with this code.
    Code(u16),
    /// The stream ended without one.
    Lost,
}

/// The last that a connection brought.
#[derive(Debug)]
pub struct Farewell {
    /// Texts that nobody had read, pings left out.
    pub packets: Vec<String>,
    pub end: End,
    /// The text of the close frame.
    pub reason: String,
}

impl Client {
    /// Connects and joins a namespace; a refusal is an error with the body of CONNECT_ERROR.
    pub async fn connect(address: SocketAddr, namespace: &str, auth: Value) -> anyhow::Result<Self> {
        Self::open(address).await?.join(namespace, auth).await
    }

    /// Opens a connection that is in no namespace yet.
    pub async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        Self::open_on(TcpStream::connect(address).await?).await
    }

    /// The same on a stream that is there.
    pub async fn open_on(stream: TcpStream) -> anyhow::Result<Self> {
        stream.set_nodelay(true)?;
        let url = format!("ws://{}/socket.io/?EIO=4&transport=websocket", stream.peer_addr()?);
        let handshake = client_async(url, MaybeTlsStream::Plain(stream));
        let (stream, _) = timeout(DEADLINE, handshake).await.context("no handshake in time")??;
        let mut client = Self {
            stream,
            namespace: "/".into(),
            id: String::new(),
            private_id: None,
            next_ack: 0,
            events: VecDeque::new(),
            wire: None,
        };
        let open = client.text().await?;
        anyhow::ensure!(open.starts_with('0'), "no open packet: {open}");
        Ok(client)
    }

    /// Joins a namespace, which is the one of its calls from now on.
    pub async fn join(mut self, namespace: &str, auth: Value) -> anyhow::Result<Self> {
        self.namespace = namespace.into();
        let auth = if auth.is_null() { String::new() } else { auth.to_string() };
        let prefix = self.prefix();
        self.raw(&format!("40{prefix}{auth}")).await?;
        loop {
            let packet = self.text().await?;
            if let Some(body) = packet.strip_prefix(&format!("40{prefix}")) {
                let body: Value = serde_json::from_str(body)?;
                self.id = body["sid"].as_str().context("CONNECT without sid")?.to_owned();
                self.private_id = body["pid"].as_str().map(str::to_owned);
                return Ok(self);
            }
            if let Some(body) = packet.strip_prefix(&format!("44{prefix}")) {
                bail!("{body}");
            }
        }
    }

    /// Keeps every text frame from now on.
    pub fn record_wire(&mut self) {
        self.wire.get_or_insert_default();
    }

    /// The frames that were kept, pings left out, one a line.
    pub fn wire(&self) -> &str {
        self.wire.as_deref().unwrap_or_default()
    }

    fn prefix(&self) -> String {
        if self.namespace == "/" { String::new() } else { format!("{},", self.namespace) }
    }

    /// Sends a text frame as it is.
    pub async fn raw(&mut self, text: &str) -> anyhow::Result<()> {
        Ok(self.stream.send(Message::text(text)).await?)
    }

    /// Sends a frame of any kind.
    pub async fn frame(&mut self, message: Message) -> anyhow::Result<()> {
        Ok(self.stream.send(message).await?)
    }

    /// Sends an event.
    pub async fn emit(&mut self, name: &str, arg: Value) -> anyhow::Result<()> {
        let packet = format!("42{}{}", self.prefix(), json!([name, arg]));
        self.raw(&packet).await
    }

    /// Sends an event and waits for its ack; events that come before are kept.
    pub async fn ask(&mut self, name: &str, arg: Value) -> anyhow::Result<Value> {
        let id = self.next_ack;
        self.next_ack += 1;
        let packet = format!("42{}{id}{}", self.prefix(), json!([name, arg]));
        self.raw(&packet).await?;
        let answer = format!("43{}{id}[", self.prefix());
        loop {
            let packet = self.text().await?;
            if let Some(args) = packet.strip_prefix(&answer) {
                let args: Vec<Value> = serde_json::from_str(&format!("[{args}"))?;
                return Ok(args.into_iter().next().unwrap_or(Value::Null));
            }
            self.keep(&packet)?;
        }
    }

    /// The next event: its name, then its arguments.
    pub async fn event(&mut self) -> anyhow::Result<Vec<Value>> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(event);
            }
            let packet = self.text().await?;
            self.keep(&packet)?;
        }
    }

    /// The next event of this name; others before it are dropped.
    pub async fn event_named(&mut self, name: &str) -> anyhow::Result<Value> {
        loop {
            let event = self.event().await?;
            if event.first().and_then(Value::as_str) == Some(name) {
                return Ok(event.into_iter().nth(1).unwrap_or(Value::Null));
            }
        }
    }

    fn keep(&mut self, packet: &str) -> anyhow::Result<()> {
        if let Some(event) = packet.strip_prefix(&format!("42{}", self.prefix())) {
            let start = event.find('[').context("an event without arguments")?;
            self.events.push_back(serde_json::from_str(&event[start..])?);
        }
        Ok(())
    }

    /// The next text frame that is no ping.
    pub async fn text(&mut self) -> anyhow::Result<String> {
        loop {
            let message = timeout(DEADLINE, self.stream.next()).await.context("nothing came in time")?;
            match message.context("the connection ended")?? {
                Message::Text(text) if text.as_str() == "2" => self.raw("3").await?,
                Message::Text(text) => {
                    if let Some(wire) = &mut self.wire {
                        wire.push_str(&text);
                        wire.push('\n');
                    }
                    return Ok(text.as_str().to_owned());
                }
                Message::Close(frame) => bail!("closed: {frame:?}"),
                _ => {}
            }
        }
    }

    /// The next binary frame.
    pub async fn binary(&mut self) -> anyhow::Result<Vec<u8>> {
        loop {
            let message = timeout(DEADLINE, self.stream.next()).await.context("nothing came in time")?;
            match message.context("the connection ended")?? {
                Message::Text(text) if text.as_str() == "2" => self.raw("3").await?,
                Message::Binary(bytes) => return Ok(bytes.to_vec()),
                Message::Close(frame) => bail!("closed: {frame:?}"),
                _ => {}
            }
        }
    }

    /// Reads until the connection's end.
    pub async fn end(&mut self) -> anyhow::Result<End> {
        Ok(self.farewell().await?.end)
    }

    /// The same, with what came until then.
    pub async fn farewell(&mut self) -> anyhow::Result<Farewell> {
        let mut packets = Vec::new();
        loop {
            match timeout(DEADLINE, self.stream.next()).await.context("the connection did not end in time")? {
                Some(Ok(Message::Close(Some(frame)))) => {
                    let end = End::Code(frame.code.into());
                    return Ok(Farewell { packets, end, reason: frame.reason.as_str().to_owned() });
                }
                None | Some(Ok(Message::Close(None)) | Err(_)) => {
                    return Ok(Farewell { packets, end: End::Lost, reason: String::new() });
                }
                Some(Ok(Message::Text(text))) if text.as_str() == "2" => {
                    // it may be closing already
                    let _ = self.raw("3").await;
                }
                Some(Ok(Message::Text(text))) => packets.push(text.as_str().to_owned()),
                Some(Ok(_)) => {}
            }
        }
    }
}
