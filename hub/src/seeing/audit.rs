//! Who changed what on a running node, and who was refused: one line of JSON each, in files that only their owner reads. Callers
//! who were not let in have a file and a budget of their own: they never drive out a line of those who were.

#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use serde::Serialize;
use serde_json::{Value, json};

use crate::event::now_ms;

/// The files in the data folder, of callers who were let in and of others; those before them have `.1` behind their names.
const FILE: &str = "audit.jsonl";
const REFUSED_FILE: &str = "audit-refused.jsonl";
/// The part of all room that callers have who were not let in: one in so many.
const REFUSED_PART: u64 = 8;
/// Calls of theirs that have a line of their own within [`REFUSED_WINDOW`]; further ones are counted, and the next line behind
/// the window says how many they were.
const REFUSED_MAX: u32 = 30;
const REFUSED_WINDOW: Duration = Duration::from_secs(60);
/// Lines that [`Audit::last`] gives at most, and that a node without a data folder remembers.
const LAST_MAX: usize = 1000;
/// What [`Audit::last`] reads of a file at most.
const LAST_MAX_BYTES: u64 = 1 << 20;
/// Of each text in a line.
const TEXT_MAX_BYTES: usize = 1024;

/// A call that changes something, or was to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name of the caller's token; empty when there was none that counts. Never the token.
    pub who: String,
    pub role: String,
    pub address: String,
    /// What was to be done, as in `plugin push`.
    pub what: String,
    /// To what.
    pub target: String,
    pub outcome: Outcome,
    /// The chain's revision behind it.
    pub revision: Option<u64>,
    /// The caller's own words.
    pub why: Option<String>,
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// With the code that the caller was told.
    Refused(String),
}

/// The audit log. Whatever happens to it, it holds up no call: what the disk does not take is in the node's log.
#[derive(Clone)]
pub struct Audit {
    shared: Arc<Shared>,
}

struct Shared {
    calls: Log,
    refused: Log,
    guard: Mutex<Refused>,
}

/// Lines of one sort.
struct Log {
    file: Option<PathBuf>,
    /// Of the file and the one before it.
    max_bytes: u64,
    /// When there is no file.
    lines_max: usize,
    /// Held while the disk takes its time.
    kept: Mutex<Kept>,
}

/// What is to be written for one call.
#[derive(Debug, Default, PartialEq, Eq)]
struct Lines {
    /// Of who was not let in.
    refused: Vec<String>,
    call: Option<String>,
    /// It must be on the disk at once.
    is_done: bool,
}

/// Calls of the last time that were not let in.
struct Refused {
    /// When those began that are counted together.
    window_began: Instant,
    noted: u32,
    /// Those without a line.
    more: u64,
}

#[derive(Default)]
struct Kept {
    /// Lines that the disk did not take.
    lost: u64,
    /// The last lines, when there is no file.
    recent: VecDeque<String>,
}

#[derive(Serialize)]
struct Line<'a> {
    time_ms: u64,
    who: &'a str,
    role: &'a str,
    address: &'a str,
    what: &'a str,
    target: &'a str,
    result: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
}

impl Audit {
    /// A log in this folder, which must be there: `audit.jsonl`, `audit-refused.jsonl` with an eighth of the room, and the
    /// files before these, together at most `max_bytes`. Without a folder lines go to the node's log only, as they do anyway,
    /// and the last ones are remembered.
    pub fn new(data_dir: Option<&Path>, max_bytes: u64) -> Self {
        let log = |name: &str, max_bytes, lines_max| Log {
            file: data_dir.map(|dir| dir.join(name)),
            max_bytes,
            lines_max,
            kept: Mutex::default(),
        };
        let refused_max_bytes = max_bytes / REFUSED_PART;
        let calls = log(FILE, max_bytes - refused_max_bytes, LAST_MAX);
        let refused = log(REFUSED_FILE, refused_max_bytes, LAST_MAX / REFUSED_PART as usize);
        let guard = Mutex::new(Refused { window_began: Instant::now(), noted: 0, more: 0 });
        Self { shared: Arc::new(Shared { calls, refused, guard }) }
    }

    /// Notes a call. When it returns, a call that was done is on the disk, or in the node's log with the reason why not.
    pub async fn note(&self, entry: Entry) {
        let lines = self.shared.lines(&entry, Instant::now());
        if lines == Lines::default() {
            return;
        }
        for line in lines.refused.iter().chain(&lines.call) {
            tracing::info!(target: "audit", "{line}");
        }
        let shared = self.shared.clone();
        // the disk may take its time, and others have this thread to run on
        let written = tokio::task::spawn_blocking(move || shared.keep(&lines)).await;
        if let Err(error) = written {
            tracing::error!(target: "audit", %error, "an audit line was not kept");
        }
    }

    /// Up to `n` last lines of both sorts, the oldest first.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub async fn last(&self, n: usize) -> io::Result<Vec<Value>> {
        let (shared, n) = (self.shared.clone(), n.min(LAST_MAX));
        tokio::task::spawn_blocking(move || shared.last(n)).await.map_err(io::Error::other)?
    }
}

impl Shared {
    /// What is to be written; it may be nothing but a count for later.
    fn lines(&self, entry: &Entry, now: Instant) -> Lines {
        let mut guard = self.guard.lock();
        let mut lines = Lines::default();
        if now.saturating_duration_since(guard.window_began) >= REFUSED_WINDOW {
            (guard.window_began, guard.noted) = (now, 0);
            let more = std::mem::take(&mut guard.more);
            if more > 0 {
                lines.refused.push(count("refused calls without a line", more));
            }
        }
        if entry.was_let_in() {
            lines.is_done = entry.outcome == Outcome::Done;
            lines.call = Some(entry.line());
        } else if guard.noted < REFUSED_MAX {
            guard.noted += 1;
            lines.refused.push(entry.line());
        } else {
            guard.more += 1;
        }
        lines
    }

    fn keep(&self, lines: &Lines) {
        self.calls.keep(lines.call.as_slice(), lines.is_done);
        self.refused.keep(&lines.refused, false);
    }

    fn last(&self, n: usize) -> io::Result<Vec<Value>> {
        let mut lines = self.calls.last(n)?;
        lines.extend(self.refused.last(n)?);
        // lines of one time stay as they are: each sort is in its order
        lines.sort_by_key(|line| line["time_ms"].as_u64().unwrap_or(0));
        lines.drain(..lines.len().saturating_sub(n));
        Ok(lines)
    }
}

impl Log {
    fn keep(&self, lines: &[String], must_sync: bool) {
        if lines.is_empty() {
            return;
        }
        let mut kept = self.kept.lock();
        let Some(file) = &self.file else {
            kept.recent.extend(lines.iter().cloned());
            let over = kept.recent.len().saturating_sub(self.lines_max);
            kept.recent.drain(..over);
            return;
        };
        let lost = (kept.lost > 0).then(|| count("audit lines that the disk did not take", kept.lost));
        let text: String = lost.iter().chain(lines).flat_map(|line| [line.as_str(), "\n"]).collect();
        match append(file, text.as_bytes(), self.max_bytes / 2, must_sync) {
            Ok(()) => kept.lost = 0,
            Err(error) => {
                kept.lost += lines.len() as u64;
                tracing::error!(
                    target: "audit", %error, file = %file.display(), lost = kept.lost,
                    "the audit log takes nothing: lines are here alone"
                );
            }
        }
    }

    fn last(&self, n: usize) -> io::Result<Vec<Value>> {
        let kept = self.kept.lock();
        let parsed = |line: &str| serde_json::from_str(line).ok();
        let mut lines: Vec<Value> = Vec::new();
        match &self.file {
            None => lines.extend(kept.recent.iter().rev().filter_map(|line| parsed(line)).take(n)),
            Some(file) => {
                for file in [file, &before(file)] {
                    let left = n - lines.len();
                    lines.extend(tail(file)?.lines().rev().filter_map(parsed).take(left));
                }
            }
        }
        lines.reverse();
        Ok(lines)
    }
}

impl Entry {
    /// Whether its caller may make such calls; this one may have been refused all the same.
    fn was_let_in(&self) -> bool {
        match &self.outcome {
            Outcome::Done => true,
            Outcome::Refused(code) => !self.who.is_empty() && !matches!(code.as_str(), "unauthorized" | "forbidden"),
        }
    }

    fn line(&self) -> String {
        let line = Line {
            time_ms: now_ms(),
            who: cut(&self.who),
            role: cut(&self.role),
            address: cut(&self.address),
            what: cut(&self.what),
            target: cut(&self.target),
            result: match &self.outcome {
                Outcome::Done => "done",
                Outcome::Refused(code) => cut(code),
            },
            revision: self.revision,
            why: self.why.as_deref().map(cut),
        };
        serde_json::to_string(&line).expect("texts and numbers are JSON")
    }
}

fn count(what: &str, count: u64) -> String {
    json!({ "time_ms": now_ms(), "what": what, "count": count }).to_string()
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_MAX_BYTES)]
}

/// The file before this one.
fn before(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".1");
    name.into()
}

/// Appends whole lines or nothing. The file is opened anew each time: an operator may have moved it away.
fn append(file: &Path, text: &[u8], max_bytes: u64, must_sync: bool) -> io::Result<()> {
    let mut open = open(file)?;
    let mut len = open.metadata()?.len();
    if len > 0 && len + text.len() as u64 > max_bytes {
        fs::rename(file, before(file))?;
        open = self::open(file)?;
        len = 0;
    }
    let written = begin_line(&mut open, len).and_then(|()| open.write_all(text));
    if let Err(error) = written {
        // half a line would spoil the next one
        open.set_len(len)?;
        return Err(error);
    }
    if must_sync { open.sync_data() } else { Ok(()) }
}

fn open(file: &Path) -> io::Result<File> {
    let open = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(file)?;
    if open.metadata()?.permissions().mode() & 0o077 != 0 {
        open.set_permissions(Permissions::from_mode(0o600))?;
    }
    Ok(open)
}

/// A process that was killed may have left half a line.
fn begin_line(open: &mut File, len: u64) -> io::Result<()> {
    if len == 0 {
        return Ok(());
    }
    let mut last = [0];
    open.seek(SeekFrom::Start(len - 1))?;
    open.read_exact(&mut last)?;
    if last == *b"\n" { Ok(()) } else { open.write_all(b"\n") }
}

/// The end of a file that may not be there. It may begin within a line.
fn tail(file: &Path) -> io::Result<String> {
    let mut open = match File::open(file) {
        Ok(open) => open,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(error),
    };
    let len = open.metadata()?.len();
    open.seek(SeekFrom::Start(len.saturating_sub(LAST_MAX_BYTES)))?;
    let mut bytes = Vec::new();
    open.take(LAST_MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
