//! kill -9 at random moments while a process writes a registry in a folder: it opens again, whole, with everything that was
//! acknowledged.
//!
//! The writer is this very test in a process of its own. `HUBBUB_KILLS` says how often it is killed (200).

use std::{
    env,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use hub::registry::{Artifact, Digest, Limits, LocalRegistry, Placed, Proposal, Registry, Revision};
use serde_json::json;

const KILLS: u64 = 200;
/// Set for the writer: the folder.
const WRITER: &str = "HUBBUB_TEST_REGISTRY_WRITER";
/// How long a writer works before it is killed.
const WORK_MS: u64 = 60;
/// Revisions that are kept.
const KEPT: u64 = 50;
/// All artifacts that a writer puts do not fit: those that no kept revision names make room, at most a sixth of 50 being
/// large.
const ARTIFACTS_MAX_BYTES: u64 = 8 << 20;
/// Revisions that are compared after each kill, with their artifacts; all of them are at the end.
const RECENT: usize = 4;
/// What a line of a writer begins with; others are the test harness's.
const LINE: &str = "writer:";

#[test]
fn a_registry_whose_process_is_killed_opens_whole_with_all_that_was_acknowledged() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    match env::var_os(WRITER) {
        Some(folder) => runtime.block_on(write(Path::new(&folder))),
        None => kill_writers(&runtime),
    }
}

/// A plugin's file of this number: some are small, some take a while to write.
fn artifact(number: u64) -> Artifact {
    let words = if number.is_multiple_of(7) { 40_000 } else { 100 + (number * 7919 % 5000) as usize };
    let bytes = number.to_be_bytes().repeat(words);
    let signature = number.is_multiple_of(3).then(|| format!("signature of {number}"));
    Artifact { bytes: bytes.into(), signature }
}

/// What revision `number` is; it names this artifact and the one before it.
fn proposal(number: u64) -> Proposal {
    let placed = |number: u64| Placed {
        name: format!("plugin-{number}"),
        sha256: Digest::of(&artifact(number).bytes),
        version: "0.1.0".into(),
        // now and then more than one page
        written: [("config".to_owned(), json!("x".repeat((number * 997 % 20_000) as usize)))].into_iter().collect(),
    };
    let plugins = (number.saturating_sub(1).max(1)..=number).map(placed).collect();
    Proposal { plugins, who: "writer".into(), why: format!("change {number}") }
}

/// Puts and commits until it is killed, and says what is acknowledged.
async fn write(folder: &Path) -> anyhow::Result<()> {
    let registry = open(folder)?;
    say("open", 0)?;
    let mut number = registry.head().await?.map_or(0, |head| head.number);
    loop {
        number += 1;
        registry.put(artifact(number)).await?;
        say("put", number)?;
        registry.commit(number - 1, proposal(number)).await?;
        say("commit", number)?;
    }
}

fn open(folder: &Path) -> anyhow::Result<LocalRegistry> {
    let limits = Limits { artifacts_max_bytes: ARTIFACTS_MAX_BYTES, revisions_max: KEPT, ..Limits::default() };
    Ok(LocalRegistry::open(folder, limits)?)
}

fn say(act: &str, number: u64) -> anyhow::Result<()> {
    // in one write: a kill leaves no half of a line, and what is written is with the reader
    Ok(std::io::stdout().lock().write_all(format!("{LINE} {act} {number}\n").as_bytes())?)
}

/// What a writer has said.
#[derive(Clone, Copy, Default)]
struct Said {
    put: u64,
    committed: u64,
}

fn kill_writers(runtime: &tokio::runtime::Runtime) -> anyhow::Result<()> {
    let kills: u64 = env::var("HUBBUB_KILLS").map_or(Ok(KILLS), |kills| kills.parse())?;
    let folder = tempfile::tempdir()?;
    let folder = folder.path().join("registry");
    let (mut said, mut last) = (Said::default(), 0);
    let (mut halves, mut unsaid) = (0, 0);
    let begun = Instant::now();
    for round in 0..kills {
        let mut writer = Writer::start(&folder)?;
        // some do not come as far
        if round % 8 != 7 {
            writer.opened().with_context(|| format!("round {round}"))?;
        }
        thread::sleep(Duration::from_micros(random() % (WORK_MS * 1000)));
        said = writer.kill(said).with_context(|| format!("round {round}"))?;
        halves += u64::from(!unfinished(&folder)?.is_empty());
        // where the last writer began, or what this one was told last
        let base = last.max(said.committed);
        last = runtime.block_on(check(&folder, said, base)).with_context(|| format!("round {round}"))?;
        unsaid += last - base;
    }
    runtime.block_on(check_all(&folder))?;
    println!(
        "{kills} kills in {:.0?}: {last} revisions; {halves} kills left half a file, {unsaid} a revision that nobody had \
         been told of",
        begun.elapsed()
    );
    ensure!(last > kills / 10, "too little was committed to show anything: {last}");
    Ok(())
}

/// Opens what was left, and gives its head's number.
async fn check(folder: &Path, said: Said, base: u64) -> anyhow::Result<u64> {
    let registry = open(folder)?;
    ensure!(unfinished(folder)?.is_empty(), "half a file was not swept");
    let head = registry.head().await?.map_or(0, |head| head.number);
    ensure!(head == base || head == base + 1, "the head is {head}, of {base} its writer knew");
    for (number, revision) in (1..=head).rev().zip(registry.history(None, RECENT).await?) {
        ensure!(is_proposed(&revision, number), "revision {number} is another: {revision:?}");
    }
    for number in head.saturating_sub(RECENT as u64).max(1)..=said.put.max(head) {
        let expected = artifact(number);
        let kept = registry.artifact(Digest::of(&expected.bytes)).await?;
        ensure!(kept.as_ref() == Some(&expected), "artifact {number} was put and is not there as it was");
    }
    Ok(head)
}

/// Every revision that is kept, and every artifact that they name; of the others there is no more than there is room for.
async fn check_all(folder: &Path) -> anyhow::Result<()> {
    let registry = open(folder)?;
    let history = registry.history(None, usize::MAX).await?;
    let head = registry.head().await?.map_or(0, |head| head.number);
    // a kill may come between a revision and the forgetting of the oldest
    ensure!((KEPT.min(head)..=KEPT + 1).contains(&(history.len() as u64)), "{} revisions up to {head}", history.len());
    for (number, revision) in (1..=head).rev().zip(history) {
        ensure!(is_proposed(&revision, number), "revision {number} is another: {revision:?}");
        for plugin in revision.plugins {
            let kept = registry.artifact(plugin.sha256).await?;
            ensure!(kept.is_some(), "{} of revision {number} is gone", plugin.name);
        }
    }
    let bytes: u64 = registry.artifacts().await?.iter().map(|info| info.size_bytes).sum();
    ensure!(bytes <= ARTIFACTS_MAX_BYTES, "{bytes} bytes of artifacts");
    Ok(())
}

fn is_proposed(revision: &Revision, number: u64) -> bool {
    let Proposal { plugins, who, why } = proposal(number);
    let when_ms = revision.when_ms;
    *revision == Revision { number, plugins, who, why, when_ms }
}

fn unfinished(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for part in ["artifacts", "revisions"] {
        // a first writer may be killed before it makes them
        let Ok(entries) = std::fs::read_dir(folder.join(part)) else { continue };
        for entry in entries {
            let name = entry?.file_name().to_string_lossy().into_owned();
            found.extend(name.ends_with(".tmp").then_some(name));
        }
    }
    Ok(found)
}

/// A process that writes.
struct Writer {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Writer {
    /// Starts one.
    fn start(folder: &Path) -> anyhow::Result<Self> {
        let test = "a_registry_whose_process_is_killed_opens_whole_with_all_that_was_acknowledged";
        let mut child = Command::new(env::current_exe()?)
            .args(["--exact", test, "--nocapture"])
            .env(WRITER, folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let lines = BufReader::new(child.stdout.take().context("it is piped")?).lines();
        Ok(Self { child, lines })
    }

    /// Waits until it has opened the registry.
    fn opened(&mut self) -> anyhow::Result<()> {
        match self.line()? {
            Some((act, _)) if act == "open" => Ok(()),
            other => bail!("the writer did not open the registry: {other:?}"),
        }
    }

    /// SIGKILL, and what it had said until then.
    fn kill(mut self, mut said: Said) -> anyhow::Result<Said> {
        self.child.kill()?;
        self.child.wait()?;
        while let Some((act, number)) = self.line()? {
            match &*act {
                "put" => said.put = number,
                "commit" => said.committed = number,
                "open" => {}
                _ => bail!("what is `{act}`?"),
            }
        }
        Ok(said)
    }

    /// The next line that is a writer's; `None` at the end.
    fn line(&mut self) -> anyhow::Result<Option<(String, u64)>> {
        for line in &mut self.lines {
            let line = line?;
            // the harness's own may stand before it on the same line
            let Some((_, said)) = line.split_once(LINE) else { continue };
            let (act, number) = said.trim().split_once(' ').with_context(|| format!("half a line: {line}"))?;
            return Ok(Some((act.to_owned(), number.parse()?)));
        }
        Ok(None)
    }
}

/// Of the system: no run is like another.
fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}
