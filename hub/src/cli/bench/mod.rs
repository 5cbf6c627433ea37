//! `hubbub bench`: loads any Socket.IO v5 server and checks what it delivers.
//!
//! Every message carries its sender's number, its own number there and the time; every receiver checks for loss,
//! duplicates and order of each sender, and a rolling hash tells whether all members of a room saw one order. The server's
//! CPU time is read from /proc around the measured time, so that a machine shared with the generator still measures it.

mod churn;
mod counters;
mod http;
mod ledger;
mod link;
mod member;
mod open;
mod plan;
mod polling;
mod process;
mod progress;
mod report;
mod run;
mod target;
#[cfg(test)]
mod tests;
mod wire;
mod worker;
mod ws;

use std::{path::PathBuf, process::ExitCode};

use clap::ValueEnum;
use serde::Serialize;

use super::{
    say,
    terminal::{plain_json, plain_lines},
};

/// Load a Socket.IO server and check what it delivers.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The server: http://HOST:PORT, with a path where it is not /socket.io/
    pub(crate) url: String,

    /// What to do: broadcast to rooms, echo with ack, hold idle connections, or connect and disconnect
    #[arg(long, value_enum, default_value = "broadcast")]
    pub(crate) mode: Mode,

    /// Connections that are open at a time
    #[arg(long, short, default_value_t = 100, value_name = "N")]
    pub(crate) connections: usize,

    /// Rooms, of nearly equal size
    #[arg(long, value_name = "N", conflicts_with = "room_size")]
    pub(crate) rooms: Option<usize>,

    /// Members of a room [default: 10]
    #[arg(long, value_name = "N")]
    pub(crate) room_size: Option<usize>,

    /// Connections that send, spread over the rooms [default: one in each room; in echo mode all]
    #[arg(long, value_name = "N")]
    pub(crate) senders: Option<usize>,

    /// Messages a second over all senders, whatever comes back
    #[arg(long, value_name = "MSG/S", conflicts_with = "closed_loop")]
    pub(crate) rate: Option<f64>,

    /// Each sender sends when its own message has come back; so it is when no --rate is given
    #[arg(long)]
    pub(crate) closed_loop: bool,

    /// Messages that a sender has under way in a closed loop
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) window: u32,

    /// Bytes of padding in each message
    #[arg(long, value_name = "BYTES", default_value_t = 128)]
    pub(crate) size: usize,

    /// What messages say, in place of padding
    #[arg(long, value_name = "TEXT", conflicts_with = "size")]
    pub(crate) text: Option<String>,

    /// Carry the generator's mark as text in this field, for servers that take no others [default: the numbers s, n and t]
    #[arg(long, value_name = "FIELD")]
    pub(crate) mark_field: Option<String>,

    /// Seconds that are measured
    #[arg(long, short, value_name = "S", default_value_t = 10.0)]
    pub(crate) duration: f64,

    /// Seconds of the same load before that
    #[arg(long, value_name = "S", default_value_t = 1.0)]
    pub(crate) warmup: f64,

    /// Seconds without progress after which joins and deliveries that are still owed are given up
    #[arg(long, value_name = "S", default_value_t = 5.0)]
    pub(crate) patience: f64,

    /// The namespace
    #[arg(long, value_name = "NS", default_value = "/")]
    pub(crate) namespace: String,

    /// What the client says about itself when it connects: a JSON object
    #[arg(long, value_name = "JSON")]
    pub(crate) auth: Option<String>,

    /// The same for each connection: a file with a JSON object a line; connections take them in turn
    #[arg(long, value_name = "FILE", conflicts_with = "auth")]
    pub(crate) auth_file: Option<PathBuf>,

    /// The transport
    #[arg(long, value_enum, default_value = "websocket")]
    pub(crate) transport: TransportName,

    /// The event that joins a room: its argument is {"room": NAME}, its ack the answer
    #[arg(long, value_name = "EVENT", default_value = "join")]
    pub(crate) join_event: String,

    /// The event that is sent and delivered [default: message; in echo mode echo]
    #[arg(long, value_name = "EVENT")]
    pub(crate) message_event: Option<String>,

    /// Ask for an ack of every message besides its delivery
    #[arg(long)]
    pub(crate) ack: bool,

    /// Connections that are being opened at a time
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub(crate) connecting: usize,

    /// Threads of the generator [default: one for each core]
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,

    /// Processes whose CPU time and memory are measured: those of the server
    #[arg(long, value_name = "PID", value_delimiter = ',')]
    pub(crate) pid: Vec<u32>,

    /// Exit with 1 when anything was lost, doubled, disordered, refused or cut
    #[arg(long)]
    pub(crate) strict: bool,

    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,

    /// Show progress on standard error
    #[arg(long, value_enum, default_value = "auto", value_name = "WHEN")]
    pub(crate) progress: Progress,
}

/// What a run does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    /// Connections join rooms; a message to a room comes to all its members, the sender included.
    Broadcast,
    /// Each message is answered with its own arguments.
    Echo,
    /// Connections are opened and held.
    Idle,
    /// Connections are opened and closed, over and over.
    Connect,
}

/// How a connection is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TransportName {
    Websocket,
    Polling,
}

/// Whether progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Progress {
    /// When standard error is a terminal.
    Auto,
    On,
    Off,
}

/// Runs the bench and prints its result on standard output. It blocks, and starts threads and runtimes of its own: call it
/// outside of any. The exit code is 1 when `--strict` found a fault; an error means that nothing could be measured.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (json, strict, progress) = (args.json, args.strict, args.progress);
    let plan = plan::Plan::parse(args)?;
    let report = run::run(plan, progress)?;
    if json {
        say(plain_json(&serde_json::to_string_pretty(&report)?));
    } else {
        say(plain_lines(report.to_string().trim_end()));
    }
    Ok(if strict && !report.faults.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
