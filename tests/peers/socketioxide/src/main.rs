//! The peer on socketioxide: rooms, echo and a word filter, written as its documentation recommends.
//!
//! Usage: `peer-socketioxide [--port N] [--words bad,worse] [--buffer PACKETS]`. Prints `{"port":N,"pid":N}` when it
//! listens; ends on SIGTERM. What goes beyond a client's buffer is not delivered; its default is socketioxide's own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use socketioxide::SocketIo;
use socketioxide::extract::{AckSender, Data, SocketRef, State};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

#[derive(Deserialize)]
struct Join {
    room: String,
}

/// What the bench sends. A real server would type its messages too; it is the fastest form.
#[derive(Deserialize)]
struct Message {
    room: String,
    text: String,
    s: u64,
    n: u64,
    t: u64,
}

#[derive(Serialize)]
struct Delivery<'a> {
    room: &'a str,
    text: &'a str,
    s: u64,
    n: u64,
    t: u64,
    from: &'a str,
    id: u64,
}

#[derive(Clone)]
struct Shared {
    next_id: Arc<AtomicU64>,
    words: Arc<Vec<String>>,
}

async fn on_join(socket: SocketRef, Data(join): Data<Join>, ack: AckSender) {
    socket.join(join.room.clone());
    let members = socket.within(join.room).sockets().len();
    // A client that is gone needs no ack.
    let _ = ack.send(&json!({ "ok": true, "members": members }));
}

async fn on_message(socket: SocketRef, Data(message): Data<Message>, ack: AckSender, State(shared): State<Shared>) {
    if has_word(&message.text, &shared.words) {
        let _ = ack.send(&json!({ "error": { "code": "rejected", "message": "a forbidden word" } }));
        return;
    }
    let id = shared.next_id.fetch_add(1, Ordering::Relaxed);
    let Message { room, text, s, n, t } = &message;
    let delivery = Delivery { room, text, s: *s, n: *n, t: *t, from: socket.id.as_str(), id };
    // Clients whose buffer is full do not get it: the bench counts them.
    let _ = socket.within(room.clone()).emit("message", &delivery).await;
    let _ = ack.send(&json!({ "ok": true, "id": id }));
}

async fn on_echo(Data(argument): Data<Value>, ack: AckSender) {
    let _ = ack.send(&argument);
}

/// Whether one of the text's words is forbidden, whatever its case.
fn has_word(text: &str, words: &[String]) -> bool {
    !words.is_empty()
        && text
            .split(|c: char| !c.is_alphanumeric())
            .any(|word| words.iter().any(|forbidden| forbidden.eq_ignore_ascii_case(word)))
}

async fn on_connect(socket: SocketRef) {
    socket.on("join", on_join);
    socket.on("message", on_message);
}

async fn on_echo_connect(socket: SocketRef) {
    socket.on("echo", on_echo);
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Arguments { port, words, buffer } = arguments()?;
    let shared = Shared { next_id: Arc::default(), words: Arc::new(words) };
    let mut builder = SocketIo::builder().with_state(shared);
    if let Some(packets) = buffer {
        builder = builder.max_buffer_size(packets);
    }
    let (layer, io) = builder.build_layer();
    io.ns("/", on_connect);
    io.ns("/echo", on_echo_connect);
    let listener = TcpListener::bind(("127.0.0.1", port)).await.context("listening")?;
    let mut terminate = signal(SignalKind::terminate())?;
    println!("{}", json!({ "port": listener.local_addr()?.port(), "pid": std::process::id() }));
    tokio::select! {
        served = axum::serve(listener, axum::Router::new().layer(layer)) => served.context("serving"),
        _ = terminate.recv() => Ok(()),
    }
}

#[derive(Default)]
struct Arguments {
    port: u16,
    words: Vec<String>,
    buffer: Option<usize>,
}

fn arguments() -> anyhow::Result<Arguments> {
    let mut parsed = Arguments::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(flag) = arguments.next() {
        let value = arguments.next().with_context(|| format!("{flag} needs a value"))?;
        match flag.as_str() {
            "--port" => parsed.port = value.parse().context("--port is no port number")?,
            "--words" => parsed.words = value.split(',').map(str::to_owned).collect(),
            "--buffer" => parsed.buffer = Some(value.parse().context("--buffer is a number of packets")?),
            _ => bail!("unknown flag {flag}"),
        }
    }
    Ok(parsed)
}
