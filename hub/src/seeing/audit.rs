//! Who changed what on a running node, and who was refused: one line of JSON each, in files that only their owner reads. What
//! was refused has a file and a budget of its own: it never drives out a line of what was done.

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

/// The files in the data folder, of what was done and of what was refused; those before them have `.1` behind their names.
const FILE: &str = "audit.jsonl";
const REFUSED_FILE: &str = "audit-refused.jsonl";
/// The part of all room that refused calls have: one in so many.
const REFUSED_PART: u64 = 8;
/// Refused calls that have a line of their own within [`REFUSED_WINDOW`]; further ones are counted, and the next line behind
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
    done: Log,
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
    refused: Vec<String>,
    /// It must be on the disk at once.
    done: Vec<String>,
}

/// Refused calls of the last time.
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
        let done = log(FILE, max_bytes - refused_max_bytes, LAST_MAX);
        let refused = log(REFUSED_FILE, refused_max_bytes, LAST_MAX / REFUSED_PART as usize);
        let guard = Mutex::new(Refused { window_began: Instant::now(), noted: 0, more: 0 });
        Self { shared: Arc::new(Shared { done, refused, guard }) }
    }

    /// Notes a call. When it returns, a call that was done is on the disk, or in the node's log with the reason why not.
    pub async fn note(&self, entry: Entry) {
        let lines = self.shared.lines(&entry, Instant::now());
        if lines == Lines::default() {
            return;
        }
        for line in lines.refused.iter().chain(&lines.done) {
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
        if entry.outcome == Outcome::Done {
            lines.done.push(entry.line());
        } else if guard.noted < REFUSED_MAX {
            guard.noted += 1;
            lines.refused.push(entry.line());
        } else {
            guard.more += 1;
        }
        lines
    }

    fn keep(&self, lines: &Lines) {
        self.done.keep(&lines.done, true);
        self.refused.keep(&lines.refused, false);
    }

    fn last(&self, n: usize) -> io::Result<Vec<Value>> {
        let mut lines = self.done.last(n)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of this test, which goes with it.
    struct Dir(PathBuf);

    impl Dir {
        fn new(name: &str) -> Self {
            let dir = std::env::temp_dir().join(format!("hubbub-audit-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&dir);
            fs::create_dir_all(&dir).unwrap();
            Self(dir)
        }

        fn file(&self) -> PathBuf {
            self.0.join(FILE)
        }

        fn refused_file(&self) -> PathBuf {
            self.0.join(REFUSED_FILE)
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn entry(target: &str, outcome: Outcome) -> Entry {
        Entry {
            who: "ann".into(),
            role: "deploy".into(),
            address: "127.0.0.1".into(),
            what: "plugin push".into(),
            target: target.into(),
            outcome,
            revision: Some(7),
            why: None,
        }
    }

    fn refused() -> Outcome {
        Outcome::Refused("unauthorized".into())
    }

    fn targets(lines: &[Value]) -> Vec<&str> {
        lines.iter().filter_map(|line| line["target"].as_str()).collect()
    }

    #[tokio::test]
    async fn a_call_is_one_line_that_only_its_owner_reads() {
        let dir = Dir::new("line");
        fs::write(dir.file(), "").unwrap();
        fs::set_permissions(dir.file(), Permissions::from_mode(0o644)).unwrap();
        let audit = Audit::new(Some(&dir.0), 1 << 20);
        audit.note(Entry { why: Some("a try".into()), ..entry("rooms", Outcome::Done) }).await;
        audit.note(Entry { revision: None, ..entry("rooms", refused()) }).await;
        let text = fs::read_to_string(dir.file()).unwrap();
        let both = text.clone() + &fs::read_to_string(dir.refused_file()).unwrap();
        let lines: Vec<Value> = both.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(text.starts_with(r#"{"time_ms":"#) && text.ends_with('\n'), "{text}");
        assert!(
            text.contains(r#""who":"ann","role":"deploy","address":"127.0.0.1","what":"plugin push","target":"rooms""#)
        );
        assert_eq!(
            (&lines[0]["result"], &lines[0]["revision"], &lines[0]["why"]),
            (&json!("done"), &json!(7), &json!("a try"))
        );
        assert_eq!((&lines[1]["result"], lines[1].get("revision")), (&json!("unauthorized"), None));
        for file in [dir.file(), dir.refused_file()] {
            assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(audit.last(10).await.unwrap(), lines);
    }

    #[tokio::test]
    async fn both_files_together_keep_their_limit() {
        const MAX: u64 = 4096;
        let dir = Dir::new("rotation");
        let audit = Audit::new(Some(&dir.0), MAX);
        for n in 0..100 {
            audit.note(entry(&n.to_string(), Outcome::Done)).await;
            let len = |file: PathBuf| fs::metadata(file).map_or(0, |meta| meta.len());
            assert!(len(dir.file()) + len(before(&dir.file())) <= MAX);
        }
        let last = audit.last(12).await.unwrap();
        let expected: Vec<String> = (88..100).map(|n| n.to_string()).collect();
        assert_eq!(targets(&last), expected, "over both files, in their order");
        assert_eq!(fs::read_dir(&dir.0).unwrap().count(), 2);
        assert_eq!(fs::metadata(before(&dir.file())).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[tokio::test]
    async fn guessing_tokens_drives_no_line_out() {
        let dir = Dir::new("guesses");
        let audit = Audit::new(Some(&dir.0), 1 << 20);
        for _ in 0..REFUSED_MAX + 500 {
            audit.note(entry("x", refused())).await;
        }
        audit.note(entry("y", Outcome::Done)).await;
        let lines = audit.last(LAST_MAX).await.unwrap();
        assert_eq!(lines.len(), REFUSED_MAX as usize + 1);
        let later = Instant::now() + REFUSED_WINDOW;
        let lines = audit.shared.lines(&entry("z", refused()), later).refused;
        assert!(lines[0].contains(r#""count":500"#) && lines[1].contains(r#""target":"z""#), "{lines:?}");
    }

    #[tokio::test]
    async fn refused_calls_fill_their_own_room_and_drive_no_line_of_what_was_done_out() {
        const MAX: u64 = 65_536;
        let dir = Dir::new("room");
        let audit = Audit::new(Some(&dir.0), MAX);
        audit.note(entry("done", Outcome::Done)).await;
        let mut now = Instant::now();
        for n in 0..200 {
            now += REFUSED_WINDOW;
            let lines = audit.shared.lines(&entry(&n.to_string().repeat(300), refused()), now);
            audit.shared.keep(&lines);
            let files = [dir.refused_file(), before(&dir.refused_file())];
            let used: u64 = files.map(|file| fs::metadata(file).map_or(0, |meta| meta.len())).iter().sum();
            assert!(used <= MAX / REFUSED_PART);
        }
        let lines = audit.last(LAST_MAX).await.unwrap();
        assert_eq!(lines[0]["target"], "done");
        assert!((2..200).contains(&lines.len()), "older refused calls made room: {}", lines.len());
        assert_eq!(targets(&lines).last(), Some(&&*"199".repeat(300)));
    }

    #[tokio::test]
    async fn both_sorts_are_shown_in_the_order_of_their_times() {
        let dir = Dir::new("merged");
        let line = |time_ms: u64| json!({ "time_ms": time_ms, "target": time_ms.to_string() }).to_string() + "\n";
        fs::write(dir.file(), [1, 4, 5].map(line).concat()).unwrap();
        fs::write(dir.refused_file(), [2, 3, 6].map(line).concat()).unwrap();
        let audit = Audit::new(Some(&dir.0), 1 << 20);
        assert_eq!(targets(&audit.last(10).await.unwrap()), ["1", "2", "3", "4", "5", "6"]);
        assert_eq!(targets(&audit.last(3).await.unwrap()), ["4", "5", "6"]);
    }

    #[tokio::test]
    async fn what_the_disk_does_not_take_holds_nobody_up_and_is_counted() {
        let dir = Dir::new("full");
        let audit = Audit::new(Some(&dir.0), 1 << 20);
        // as with a full disk, nothing can be written
        fs::create_dir(dir.file()).unwrap();
        audit.note(entry("a", Outcome::Done)).await;
        audit.note(entry("b", Outcome::Done)).await;
        fs::remove_dir(dir.file()).unwrap();
        audit.note(entry("c", Outcome::Done)).await;
        let lines = audit.last(10).await.unwrap();
        assert_eq!((lines.len(), &lines[0]["count"], &lines[1]["target"]), (2, &json!(2), &json!("c")));
    }

    #[tokio::test]
    async fn half_a_line_of_a_killed_process_spoils_no_other() {
        let dir = Dir::new("torn");
        fs::write(dir.file(), "{\"time_ms\":1,\"wh").unwrap();
        let audit = Audit::new(Some(&dir.0), 1 << 20);
        audit.note(entry("a", Outcome::Done)).await;
        assert_eq!(targets(&audit.last(10).await.unwrap()), ["a"]);
    }

    #[tokio::test]
    async fn without_a_folder_the_last_lines_are_remembered() {
        let audit = Audit::new(None, 1 << 20);
        for n in 0..LAST_MAX + 5 {
            audit.note(entry(&n.to_string(), Outcome::Done)).await;
        }
        let lines = audit.last(usize::MAX).await.unwrap();
        assert_eq!((lines.len(), &lines[0]["target"]), (LAST_MAX, &json!("5")));
        for _ in 0..REFUSED_MAX {
            audit.note(entry("x", refused())).await;
        }
        let kept = audit.shared.done.last(LAST_MAX).unwrap();
        assert_eq!((kept.len(), &kept[0]["target"]), (LAST_MAX, &json!("5")), "refused calls have lines of their own");
    }

    #[tokio::test]
    async fn texts_are_cut() {
        let audit = Audit::new(None, 1 << 20);
        audit.note(entry(&"x".repeat(1 << 20), Outcome::Done)).await;
        assert_eq!(audit.last(1).await.unwrap()[0]["target"].as_str().unwrap().len(), TEXT_MAX_BYTES);
    }
}
