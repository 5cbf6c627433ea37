//! The ways to misbehave.

use std::{
    hint::black_box,
    io::Write,
    net::{TcpStream, ToSocketAddrs},
    time::Duration,
};

use hubbub_plugin::{Event, Level, log_write, prelude::*, serde_json};

/// A line of a flood.
const LINE_BYTES: usize = 2000;
/// What one call of the recursion keeps on the stack.
const FRAME_BYTES: usize = 1024;
const MIB: usize = 1 << 20;

/// One way.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Way {
    Fine,
    Loop,
    Memory,
    Recursion,
    Panic,
    Abort,
    Exit,
    Error,
    BigArgs,
    BigAck,
    BigEmit,
    BadArgs,
    BadRaise,
    LogFlood,
    PrintFlood,
    Effects,
    Sleep,
    Stdin,
    Files,
    Sockets,
    Names,
    Env,
    Thread,
}

impl Way {
    /// The way of this name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::deserialize(serde_json::Value::from(name)).ok()
    }

    /// How much: what was asked for, or what passes the limits of a hub.
    pub(crate) fn amount(self, asked: Option<u64>) -> usize {
        let default = match self {
            Way::Memory => 1024,
            Way::Recursion => 10_000_000,
            Way::Error => 10 * MIB,
            Way::BigArgs | Way::BigAck | Way::BigEmit => 8 * MIB,
            Way::LogFlood | Way::PrintFlood | Way::Effects => 10_000,
            Way::Sleep => 10_000,
            _ => 0,
        };
        asked.map_or(default, |n| n as usize)
    }

    /// Misbehaves before there is an event.
    pub(crate) fn start(self) -> Result<(), Failure> {
        let amount = self.amount(None);
        match self {
            Way::Error => Err(failure("x".repeat(amount))),
            _ => {
                self.alone(amount);
                Ok(())
            }
        }
    }

    /// Misbehaves in a hook.
    pub(crate) fn act(self, event: &Event, asked: Option<u64>) -> Result<(), Failure> {
        let amount = self.amount(asked);
        match self {
            Way::Fine => event.ack("fine"),
            Way::Error => Err(failure("x".repeat(amount))),
            Way::BigAck => event.ack("x".repeat(amount)),
            Way::BigEmit => event.emit(To::sender(), "big", "x".repeat(amount)),
            Way::BadArgs => event.emit(To::sender(), "bad", Args::raw("{\"no\":", Vec::new())),
            Way::BadRaise => {
                event.raise("bad-raise", Args::none())?;
                event.join("bad-raise");
                Ok(())
            }
            Way::Effects => (0..amount).try_for_each(|n| event.emit(To::sender(), "effect", n)),
            _ => match self.alone(amount) {
                Some(said) => event.ack(said),
                None => Ok(()),
            },
        }
    }

    /// What needs no event. Says what came of it.
    fn alone(self, amount: usize) -> Option<Value> {
        match self {
            Way::Loop => spin(),
            Way::Memory => {
                let taken: Vec<Vec<u8>> = (0..amount).map(|_| vec![1; MIB]).collect();
                return Some(json!(black_box(&taken).len()));
            }
            Way::Recursion => return Some(json!(format!("{} calls deep", recurse(amount)))),
            Way::Panic => panic!("asked to panic"),
            Way::Abort => std::process::abort(),
            Way::Exit => std::process::exit(7),
            Way::LogFlood => (0..amount).for_each(|_| log_write(Level::Info, &"x".repeat(LINE_BYTES))),
            Way::PrintFlood => {
                let mut out = std::io::stdout().lock();
                (0..amount).for_each(|_| drop(writeln!(out, "{}", "x".repeat(LINE_BYTES))));
            }
            Way::Sleep => std::thread::sleep(Duration::from_millis(amount as u64)),
            Way::Stdin => {
                let mut line = String::new();
                return Some(said(std::io::stdin().read_line(&mut line).map(|bytes| format!("{bytes} bytes"))));
            }
            Way::Files => {
                let read = said(std::fs::read_to_string("/etc/passwd"));
                let written = said(std::fs::write("/tmp/hostile", "x").map(|()| "written".into()));
                return Some(json!({ "read": read, "written": written }));
            }
            Way::Sockets => return Some(said(TcpStream::connect("127.0.0.1:22").map(|_| "connected".into()))),
            Way::Names => {
                let found = ("localhost", 80).to_socket_addrs().map(|found| format!("{} addresses", found.count()));
                return Some(said(found));
            }
            Way::Env => {
                return Some(json!({ "vars": std::env::vars().count(), "args": std::env::args().count() }));
            }
            Way::Thread => {
                return Some(said(std::thread::Builder::new().spawn(|| ()).map(|_| "spawned".into())));
            }
            _ => {}
        }
        None
    }
}

fn said(outcome: std::io::Result<String>) -> Value {
    match outcome {
        Ok(text) => json!({ "ok": text }),
        Err(error) => json!({ "error": error.to_string() }),
    }
}

fn spin() {
    let mut n = 0u64;
    loop {
        n = black_box(n.wrapping_add(1));
    }
}

/// Keeps a frame on the stack for each call that is left.
#[inline(never)]
fn recurse(left: usize) -> usize {
    let frame = black_box([left as u8; FRAME_BYTES]);
    if left == 0 {
        return 0;
    }
    let deeper = recurse(left - 1);
    deeper + usize::from(black_box(&frame).len() == FRAME_BYTES)
}
