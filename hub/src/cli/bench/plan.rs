//! What a run shall do: the command line's words, checked once.

use std::time::Duration;

use anyhow::{Context, bail, ensure};

use super::target::Target;
use super::{Args, Mode, TransportName};

/// At most that many connections, so that a typing error does not exhaust the machine.
const CONNECTIONS_MAX: usize = 1_000_000;
/// At most that many bytes of padding in a message.
const SIZE_MAX_BYTES: usize = 8 << 20;
/// At most that long, so that every run ends by itself.
const DURATION_MAX: Duration = Duration::from_hours(24);
/// Members of a room when neither rooms nor their size is given.
const ROOM_SIZE_DEFAULT: usize = 10;

/// When messages are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Pace {
    /// Never.
    Still,
    /// A sender has this many messages under way; each that comes back to it lets the next one go.
    ClosedLoop { window: u32 },
    /// So many messages a second over all senders, whatever comes back.
    Rate { per_second: f64 },
}

/// A checked run.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) target: Target,
    pub(super) transport: TransportName,
    /// Begins with `/`.
    pub(super) namespace: String,
    /// Payloads of CONNECT packets, as JSON texts, which connections take in turn; may be empty.
    auths: Vec<String>,
    pub(super) mode: Mode,
    pub(super) pace: Pace,
    pub(super) grouping: Grouping,
    /// Whether connections join their rooms.
    pub(super) joins: bool,
    /// Whether messages ask for an ack besides their delivery (in echo mode the ack is the delivery).
    pub(super) asks_acks: bool,
    /// What messages say.
    pub(super) text: String,
    /// The field that carries the mark as text.
    pub(super) mark_field: Option<String>,
    pub(super) warmup: Duration,
    pub(super) duration: Duration,
    /// What is owed and makes no progress for so long is given up.
    pub(super) patience: Duration,
    pub(super) join_event: String,
    pub(super) message_event: String,
    pub(super) threads: usize,
    /// Connections that are being opened at a time, over all threads.
    pub(super) connecting: usize,
    pub(super) pids: Vec<u32>,
    /// Room names are this and the room's number: of this run only, because a server may remember members of earlier ones.
    pub(super) room_prefix: String,
}

impl Plan {
    /// Checks the words of the command line; the error says what to change.
    pub(super) fn parse(args: Args) -> anyhow::Result<Self> {
        let target = Target::parse(&args.url)?;
        ensure!(args.connections > 0, "--connections must be at least 1");
        ensure!(args.connections <= CONNECTIONS_MAX, "--connections is at most {CONNECTIONS_MAX}");
        ensure!(args.size <= SIZE_MAX_BYTES, "--size is at most {SIZE_MAX_BYTES} bytes");
        ensure!(args.namespace.starts_with('/'), "--namespace begins with a slash: /{}", args.namespace);
        let auths = auths(&args)?;
        let (grouping, joins) = grouping(&args)?;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Ok(Self {
            target,
            pace: pace(&args)?,
            joins,
            asks_acks: args.ack || args.mode == Mode::Echo,
            text: args.text.unwrap_or_else(|| "x".repeat(args.size)),
            mark_field: args.mark_field,
            warmup: seconds("--warmup", args.warmup, 0.0)?,
            duration: seconds("--duration", args.duration, 0.1)?,
            patience: seconds("--patience", args.patience, 0.1)?,
            threads: args.threads.unwrap_or(cores).clamp(1, grouping.connections),
            connecting: args.connecting.max(1),
            room_prefix: format!("bench-{:x}-{:x}-", std::process::id(), run_number()),
            message_event: args.message_event.unwrap_or_else(|| default_event(args.mode).to_owned()),
            transport: args.transport,
            namespace: args.namespace,
            auths,
            mode: args.mode,
            grouping,
            join_event: args.join_event,
            pids: args.pid,
        })
    }

    /// What a connection says about itself when it connects.
    pub(super) fn auth(&self, connection: usize) -> Option<&str> {
        self.auths.get(connection % self.auths.len().max(1)).map(String::as_str)
    }

    /// The name of a room.
    pub(super) fn room_name(&self, room: usize) -> String {
        format!("{}{room:05}", self.room_prefix)
    }

    /// Messages that the sender with this number may have under way; None where the pace does not ask.
    pub(super) fn window(&self) -> Option<u32> {
        match self.pace {
            Pace::ClosedLoop { window } => Some(window),
            Pace::Still | Pace::Rate { .. } => None,
        }
    }
}

/// Tells runs apart that hit the same server: seconds since 1970.
fn run_number() -> u64 {
    std::time::UNIX_EPOCH.elapsed().map_or(0, |elapsed| elapsed.as_secs())
}

fn auths(args: &Args) -> anyhow::Result<Vec<String>> {
    let check = |flag: &str, text: &str| {
        let json: serde_json::Value = serde_json::from_str(text).with_context(|| format!("{flag} is no JSON"))?;
        ensure!(json.is_object(), "{flag} is a JSON object, as the Socket.IO client's `auth` option");
        Ok(text.to_owned())
    };
    match (&args.auth, &args.auth_file) {
        (Some(auth), _) => Ok(vec![check("--auth", auth)?]),
        (None, Some(file)) => {
            let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
            text.lines().map(|line| check("each line of --auth-file", line)).collect()
        }
        (None, None) => Ok(Vec::new()),
    }
}

fn default_event(mode: Mode) -> &'static str {
    if mode == Mode::Echo { "echo" } else { "message" }
}

fn seconds(flag: &str, value: f64, min: f64) -> anyhow::Result<Duration> {
    let duration = Duration::try_from_secs_f64(value).ok().filter(|duration| *duration <= DURATION_MAX && value >= min);
    duration.with_context(|| format!("{flag} is {min} to {} seconds, not {value}", DURATION_MAX.as_secs()))
}

fn pace(args: &Args) -> anyhow::Result<Pace> {
    match (args.mode, args.rate) {
        (Mode::Idle | Mode::Connect, None) if !args.closed_loop => Ok(Pace::Still),
        (Mode::Idle | Mode::Connect, _) => bail!("--rate and --closed-loop need --mode broadcast or echo"),
        (_, Some(per_second)) if per_second.is_finite() && per_second > 0.0 => Ok(Pace::Rate { per_second }),
        (_, Some(other)) => bail!("--rate is messages a second over all senders, more than 0, not {other}"),
        (_, None) if args.window == 0 => bail!("--window must be at least 1"),
        (_, None) => Ok(Pace::ClosedLoop { window: args.window }),
    }
}

fn grouping(args: &Args) -> anyhow::Result<(Grouping, bool)> {
    let connections = args.connections;
    let rooms = match (args.rooms, args.room_size) {
        (Some(0), _) | (_, Some(0)) => bail!("--rooms and --room-size must be at least 1"),
        (Some(rooms), _) => Some(rooms),
        (None, size) => size.map(|size| connections.div_ceil(size)),
    };
    if let Some(rooms) = rooms {
        ensure!(
            rooms <= connections,
            "{rooms} rooms are more than {connections} connections: every room needs a member"
        );
    }
    let (rooms, joins) = match args.mode {
        Mode::Broadcast => (rooms.unwrap_or(connections.div_ceil(ROOM_SIZE_DEFAULT)), true),
        Mode::Idle => (rooms.unwrap_or(connections), rooms.is_some()),
        Mode::Echo | Mode::Connect if rooms.is_some() => {
            bail!("--rooms and --room-size need --mode broadcast or idle")
        }
        Mode::Echo | Mode::Connect => (connections, false),
    };
    let senders = args.senders.unwrap_or(rooms);
    ensure!(senders > 0, "--senders must be at least 1");
    ensure!(senders <= connections, "{senders} senders are more than {connections} connections");
    Ok((Grouping { connections, rooms, senders }, joins))
}

/// Who is in which room and who sends. Rooms differ by at most one member, and by at most one sender. Sender `s` belongs
/// to room `s % rooms` and is its member number `s / rooms`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grouping {
    pub(super) connections: usize,
    pub(super) rooms: usize,
    pub(super) senders: usize,
}

impl Grouping {
    /// The room of a connection, and its number among the members.
    fn place(&self, connection: usize) -> (usize, usize) {
        let (small, larger) = (self.connections / self.rooms, self.connections % self.rooms);
        let in_larger = larger * (small + 1);
        if connection < in_larger {
            (connection / (small + 1), connection % (small + 1))
        } else {
            (larger + (connection - in_larger) / small, (connection - in_larger) % small)
        }
    }

    /// The room of a connection.
    pub(super) fn room(&self, connection: usize) -> usize {
        self.place(connection).0
    }

    /// The sender number of a connection, if it sends.
    pub(super) fn sender(&self, connection: usize) -> Option<u32> {
        let (room, member) = self.place(connection);
        let sender = member * self.rooms + room;
        (sender < self.senders).then_some(sender as u32)
    }

    /// How many members a room has.
    pub(super) fn room_size(&self, room: usize) -> usize {
        self.connections / self.rooms + usize::from(room < self.connections % self.rooms)
    }

    /// How many senders a room has.
    pub(super) fn room_senders(&self, room: usize) -> usize {
        self.senders / self.rooms + usize::from(room < self.senders % self.rooms)
    }

    /// The slot of a sender among those of this room; None when it belongs to another.
    pub(super) fn slot(&self, room: usize, sender: u32) -> Option<usize> {
        let sender = sender as usize;
        (sender < self.senders && sender % self.rooms == room).then(|| sender / self.rooms)
    }

    /// The number of the sender with this slot in the room.
    pub(super) fn sender_at(&self, room: usize, slot: usize) -> u32 {
        (slot * self.rooms + room) as u32
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn plan(words: &str) -> anyhow::Result<Plan> {
        let words = ["bench", "http://127.0.0.1:3000"].into_iter().chain(words.split_whitespace());
        Plan::parse(Line::try_parse_from(words)?.args)
    }

    #[test]
    fn every_connection_has_one_place_and_every_sender_one_connection() {
        for (connections, rooms, senders) in [(1, 1, 1), (10, 4, 10), (10, 4, 3), (7, 7, 7), (1000, 3, 200), (9, 2, 1)]
        {
            let grouping = Grouping { connections, rooms, senders };
            let mut sizes = vec![0; rooms];
            let mut numbers = Vec::new();
            for connection in 0..connections {
                let room = grouping.room(connection);
                sizes[room] += 1;
                if let Some(sender) = grouping.sender(connection) {
                    let slot = grouping.slot(room, sender).unwrap();
                    assert!(slot < grouping.room_senders(room));
                    assert_eq!(grouping.sender_at(room, slot), sender);
                    numbers.push(sender as usize);
                }
            }
            numbers.sort_unstable();
            assert_eq!(numbers, (0..senders).collect::<Vec<_>>(), "{grouping:?}");
            let expected: Vec<_> = (0..rooms).map(|room| grouping.room_size(room)).collect();
            assert_eq!(sizes, expected, "{grouping:?}");
        }
    }

    #[test]
    fn a_wrong_command_line_is_told_what_to_change() {
        for (words, expect) in [
            ("--connections 0", "--connections must be at least 1"),
            ("--namespace chat", "--namespace begins with a slash: /chat"),
            ("--rooms 11 --connections 10", "11 rooms are more than 10 connections: every room needs a member"),
            ("--senders 11 --connections 10", "11 senders are more than 10 connections"),
            ("--rooms 0", "--rooms and --room-size must be at least 1"),
            ("--mode echo --rooms 2", "--rooms and --room-size need --mode broadcast or idle"),
            ("--mode idle --rate 5", "--rate and --closed-loop need --mode broadcast or echo"),
            ("--rate 0", "--rate is messages a second over all senders, more than 0, not 0"),
            ("--window 0", "--window must be at least 1"),
            ("--duration 0", "--duration is 0.1 to 86400 seconds, not 0"),
            ("--auth [1]", "--auth is a JSON object, as the Socket.IO client's `auth` option"),
        ] {
            let error = plan(words).err().map(|error| error.to_string());
            assert_eq!(error.as_deref(), Some(expect), "{words}");
        }
    }

    #[test]
    fn what_is_not_said_follows_from_the_mode() {
        let broadcast = plan("--connections 25").unwrap();
        assert_eq!((broadcast.grouping.rooms, broadcast.grouping.senders, broadcast.joins), (3, 3, true));
        assert_eq!(broadcast.pace, Pace::ClosedLoop { window: 1 });
        let echo = plan("--mode echo --connections 25 --rate 100").unwrap();
        assert_eq!((echo.grouping.rooms, echo.grouping.senders, echo.joins), (25, 25, false));
        assert_eq!((echo.message_event.as_str(), echo.asks_acks), ("echo", true));
        let idle = plan("--mode idle --connections 25 --room-size 5").unwrap();
        assert_eq!((idle.grouping.rooms, idle.joins, idle.pace), (5, true, Pace::Still));
    }
}
