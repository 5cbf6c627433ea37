//! `hubbub dev`: what is saved is in force a moment later, and nobody loses a connection.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::Context;
use scenarios::{Client, client::DEADLINE, plugins::wasm, process::binary};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader, Lines},
    process::Child,
    time::timeout,
};

use super::new::{new_crate, target};

/// A build of the crate and of all that it depends on, on a machine that does much else.
const BUILD_DEADLINE: Duration = Duration::from_secs(300);

/// A running `hubbub dev`. Killed when it is dropped.
struct Dev {
    child: Child,
    lines: Lines<BufReader<Box<dyn AsyncRead + Unpin + Send>>>,
    seen: String,
    /// Where the compiler's words are.
    stderr: PathBuf,
}

impl Dev {
    fn start(new: &Path, listen: &str, more: &[&str]) -> anyhow::Result<Self> {
        let mut child = tokio::process::Command::new(binary())
            .args(["dev", "--listen", listen, "--admin", &free(), "--path"])
            .arg(new)
            .args(more)
            .env("CARGO_TARGET_DIR", target())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(new.join("stderr.txt"))?)
            .kill_on_drop(true)
            .spawn()?;
        let stdout: Box<dyn AsyncRead + Unpin + Send> = Box::new(child.stdout.take().context("it is piped")?);
        let stderr = new.join("stderr.txt");
        Ok(Self { child, lines: BufReader::new(stdout).lines(), seen: String::new(), stderr })
    }

    /// The next line that has all these words.
    async fn line(&mut self, words: &[&str]) -> anyhow::Result<String> {
        let found = async {
            while let Some(line) = self.lines.next_line().await? {
                self.seen = format!("{}{line}\n", self.seen);
                if words.iter().all(|word| line.contains(word)) {
                    return Ok(line);
                }
            }
            anyhow::bail!("it ended")
        };
        let found = timeout(BUILD_DEADLINE, found).await.context("no such line in time").and_then(|found| found);
        let said = || fs::read_to_string(&self.stderr).unwrap_or_default();
        found.with_context(|| format!("waiting for {words:?} after:\n{}{}", self.seen, said()))
    }

    /// Ends it as Ctrl-C does.
    async fn interrupt(mut self) -> anyhow::Result<()> {
        let id = self.child.id().context("it runs")?;
        anyhow::ensure!(Command::new("kill").args(["-INT", &id.to_string()]).status()?.success(), "no signal");
        let ended = timeout(DEADLINE, self.child.wait()).await.context("it ends in time")??;
        anyhow::ensure!(ended.success(), "{ended}");
        Ok(())
    }
}

/// A port that was free a moment ago.
fn free() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it has an address").to_string()
}

fn edit(file: &Path, from: &str, to: &str) -> anyhow::Result<()> {
    let text = fs::read_to_string(file)?;
    anyhow::ensure!(text.contains(from), "`{from}` is not in {}", file.display());
    Ok(fs::write(file, text.replacen(from, to, 1))?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_saved_is_in_force_and_nobody_loses_a_connection() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let new = new_crate(dir.path(), "saved-greeter", &[]);
    let (listen, source) = (free(), new.join("src/lib.rs"));
    let mut dev = Dev::start(&new, &listen, &[])?;
    dev.line(&["ready", &listen]).await?;
    let mut ann = Client::connect(listen.parse()?, "/", Value::Null).await?;
    assert_eq!(ann.ask("hello", json!("Ann")).await?["text"], "Hello, Ann");
    dev.line(&["message", "hello", "saved-greeter pass", "passed: ack"]).await?;

    edit(&source, "{}, {name}", "{} again, {name}")?;
    dev.line(&["in force", "revision"]).await?;
    assert_eq!(ann.ask("hello", json!("Ann")).await?["text"], "Hello again, Ann");

    // what does not compile, and what the hub refuses, changes nothing
    edit(&source, "fn hello", "fn hello hello")?;
    dev.line(&["not built", "stays in force"]).await?;
    assert_eq!(ann.ask("hello", json!("Ann")).await?["text"], "Hello again, Ann");
    edit(&source, "fn hello hello", "fn hello")?;
    edit(&new.join("Cargo.toml"), "config = { greeting = \"Hello\" }", "config = { greeting = 7 }")?;
    dev.line(&["refused", "`greeting`: invalid type"]).await?;
    assert_eq!(ann.ask("hello", json!("Ann")).await?["text"], "Hello again, Ann");

    // a config alone; and what the plugin logs is seen
    edit(&new.join("Cargo.toml"), "greeting = 7", "greeting = \"Bye\"")?;
    dev.line(&["in force", "revision"]).await?;
    assert_eq!(ann.ask("hello", json!("Ann")).await?["text"], "Bye again, Ann");
    ann.ask("message", json!({ "text": ":shrug:" })).await?;
    dev.line(&["saved-greeter", "replaced a word"]).await?;
    dev.interrupt().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_build_that_fails_or_is_refused_waits_for_a_save() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let new = new_crate(dir.path(), "late-greeter", &[]);
    let (listen, source) = (free(), new.join("src/lib.rs"));
    edit(&source, "fn hello", "fn hello hello")?;
    let mut dev = Dev::start(&new, &listen, &[])?;
    dev.line(&["not built", "save"]).await?;
    edit(&new.join("Cargo.toml"), "greeting = \"Hello\"", "greetin = \"Hello\"")?;
    edit(&source, "fn hello hello", "fn hello")?;
    dev.line(&["refused", "unknown field `greetin`"]).await?;
    edit(&new.join("Cargo.toml"), "greetin = \"Hello\"", "greeting = \"Hello\"")?;
    dev.line(&["ready", &listen]).await?;
    let mut ann = Client::connect(listen.parse()?, "/", Value::Null).await?;
    assert_eq!(ann.ask("hello", json!("Ann")).await?["text"], "Hello, Ann");
    dev.interrupt().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_saved_around_the_plugin_is_in_force_too() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let new = new_crate(dir.path(), "inner-greeter", &[]);
    let (config, extra) = (dir.path().join("hub.toml"), dir.path().join("extra.wasm"));
    fs::write(&config, format!("[[plugin]]\nname = \"rooms\"\nfile = {:?}\nenabled = true\n", wasm("rooms")))?;
    fs::copy(wasm("hostile"), &extra)?;
    let text = |path: &Path| path.to_str().map(str::to_owned).context("a path is text");
    let (listen, config_text, extra_text) = (free(), text(&config)?, text(&extra)?);
    let around = ["--config", &config_text, "--with", &extra_text, "--before", "rooms"];
    let mut dev = Dev::start(&new, &listen, &around)?;
    dev.line(&["ready", &listen]).await?;
    let mut ann = Client::connect(listen.parse()?, "/", Value::Null).await?;
    assert_eq!(ann.ask("join", json!({ "room": "tea" })).await?["ok"], true);
    assert_eq!(ann.ask("fine", Value::Null).await?, "fine");
    ann.ask("message", json!({ "room": "tea", "text": "x" })).await?;
    let order = dev.line(&["message", "inner-greeter pass", "extra pass"]).await?;
    let at = |plugin: &str| order.find(plugin).with_context(|| format!("{plugin} is not in {order}"));
    assert!(at("inner-greeter")? < at("rooms")? && at("rooms")? < at("extra")?, "{order}");

    edit(&config, "enabled = true", "enabled = false")?;
    dev.line(&["in force", "revision"]).await?;
    assert_eq!(ann.ask("join", json!({ "room": "tea" })).await?["error"]["code"], "unhandled");
    assert_eq!(ann.ask("fine", Value::Null).await?, "fine");

    fs::copy(wasm("pass"), &extra)?;
    dev.line(&["in force", "revision"]).await?;
    assert_eq!(ann.ask("fine", Value::Null).await?["error"]["code"], "unhandled");

    edit(&config, "enabled = false", "enable = false")?;
    dev.line(&["refused", "enable: unknown key, did you mean `enabled`?"]).await?;
    dev.interrupt().await
}
