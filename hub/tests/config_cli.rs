//! The binary: what it says about its flags and its config, and how it ends.

// helpers of tests are no tests to clippy
#![allow(clippy::unwrap_used)]

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

/// How long the binary may take for anything that is asked of it here.
const DEADLINE: Duration = Duration::from_secs(30);

/// A folder that is removed when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("hubbub-cli-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, text: &str) -> PathBuf {
        let path = self.0.join("hub.toml");
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn hubbub(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hubbub"));
    command.args(args);
    prepared(command)
}

/// The same with room for few files: `soft`, and `hard` when it asks for more.
fn with_files(soft: u64, hard: u64, args: &[&str]) -> Command {
    let mut command = Command::new("sh");
    let script = format!("ulimit -Sn {soft} && ulimit -Hn {hard} && exec \"$0\" \"$@\"");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_hubbub")]).args(args);
    prepared(command)
}

/// With nothing of our own environment that the binary would read.
fn prepared(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("HUBBUB_")) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A process that does not outlive its test, and what it writes while it runs.
struct Process {
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
}

impl Process {
    fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let stdout = lines(child.stdout.take().unwrap());
        let stderr = lines(child.stderr.take().unwrap());
        Self { child, stdout, stderr }
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// The first line of its log with this text.
    fn logged(&self, text: &str) -> String {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let line = self.stderr.recv_timeout(deadline.saturating_duration_since(Instant::now()));
            let line = line.unwrap_or_else(|error| panic!("no line with {text}: {error}"));
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Its exit code, and what it has written and was not read yet.
    fn ended(mut self) -> (Option<i32>, String, String) {
        let deadline = Instant::now() + DEADLINE;
        let rest = |stream: &Receiver<String>| {
            let mut text = String::new();
            loop {
                match stream.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                    Ok(line) => text.extend([line.as_str(), "\n"]),
                    Err(RecvTimeoutError::Disconnected) => return text,
                    Err(RecvTimeoutError::Timeout) => panic!("the process does not end; so far: {text}"),
                }
            }
        };
        let (stdout, stderr) = (rest(&self.stdout), rest(&self.stderr));
        // both of its pipes are closed: nothing but its end is left
        (self.child.wait().unwrap().code(), stdout, stderr)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // it has ended already where all went well
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines of a stream as they come, until it is closed.
fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || BufReader::new(stream).lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    receiver
}

fn ended(command: Command) -> (Option<i32>, String, String) {
    Process::start(command).ended()
}

#[test]
fn a_right_config_is_printed_as_a_config() {
    let folder = Folder::new("right");
    let file = folder.file("[server]\nping_interval_ms = 12_000\n");
    let (code, stdout, stderr) = ended(hubbub(&["config", "check", file.to_str().unwrap()]));
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    let (code, again, _) = ended(hubbub(&["config", "check", folder.file(&stdout).to_str().unwrap()]));
    assert_eq!((code, &again), (Some(0), &stdout));
    assert!(stdout.contains("ping_interval_ms = 12000\n"), "{stdout}");
    let mut command = hubbub(&["config", "check", file.to_str().unwrap()]);
    command.env("HUBBUB_SERVER__PING_INTERVAL_MS", "11000");
    let (_, stdout, _) = ended(command);
    assert!(stdout.contains("ping_interval_ms = 11000\n"), "{stdout}");
}

#[test]
fn a_reader_that_has_read_enough_is_no_error() {
    let folder = Folder::new("pipe");
    let file = folder.file("");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = hubbub(&["config", "check", file.to_str().unwrap()]);
    let output = command.stdout(writer).output().unwrap();
    assert_eq!((output.status.code(), &*String::from_utf8_lossy(&output.stderr)), (Some(0), ""));
}

#[test]
fn a_wrong_config_ends_with_2_and_every_problem_on_a_line() {
    let folder = Folder::new("wrong");
    let file = folder.file("[log]\nformat = \"xml\"\n[server]\nlissten = 1\n");
    let expected = "hub.toml:2:10: log.format: expected \"auto\", \"text\" or \"json\", found \"xml\"\n\
                    hub.toml:4:1: server.lissten: unknown key, did you mean `listen`?\n";
    for args in [["config", "check", "FILE"].as_slice(), &["serve", "--config", "FILE"]] {
        let args: Vec<&str> =
            args.iter().map(|arg| if *arg == "FILE" { file.to_str().unwrap() } else { arg }).collect();
        let (code, stdout, stderr) = ended(hubbub(&args));
        assert_eq!((code, stdout.as_str(), stderr.as_str()), (Some(2), "", expected), "{args:?}");
    }
}

#[test]
fn a_missing_config_ends_with_2() {
    let (code, _, stderr) = ended(hubbub(&["serve", "--config", "/no/hub.toml"]));
    let expected = "cannot read the config `/no/hub.toml`: No such file or directory (os error 2)\n";
    assert_eq!((code, stderr.as_str()), (Some(2), expected));
}

#[test]
fn wrong_flags_and_variables_end_with_2() {
    let check = |command: Command, expected: &str| {
        let (code, _, stderr) = ended(command);
        assert_eq!(code, Some(2), "{stderr}");
        assert!(stderr.contains(expected), "{stderr}");
    };
    check(hubbub(&["serv"]), "similar subcommands exist: 'dev', 'user', 'serve'");
    check(hubbub(&["serve", "--lissten", "x"]), "'--listen'");
    check(hubbub(&["serve", "--workers", "0"]), "expected a whole number from 1 to 1024");
    let mut command = hubbub(&["serve"]);
    command.env("HUBBUB_LOG_LEVEL", "loud");
    check(command, "HUBBUB_LOG_LEVEL: log.level: expected a level (off, error, warn, info, debug, trace)");
    let mut command = hubbub(&["serve"]);
    command.env("HUBBUB_SERVER__PING_INTERVAL", "10");
    check(command, "HUBBUB_SERVER__PING_INTERVAL: unknown variable, did you mean `HUBBUB_SERVER__PING_INTERVAL_MS`?");
}

#[test]
fn a_port_in_use_ends_with_1_and_says_so_even_when_nothing_is_logged() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let (code, _, stderr) = ended(hubbub(&["serve", "--listen", &address.to_string(), "--log-level", "off"]));
    let port = address.port();
    let expected = format!(
        "cannot listen on {address}; is port {port} free, and may this user listen there?: Address already in use (os error 98)\n"
    );
    assert_eq!((code, stderr), (Some(1), expected));
}

#[test]
fn a_node_logs_json_where_no_terminal_is_and_ends_well_when_told_to() {
    let folder = Folder::new("signals");
    let file = folder.file("[server]\nlisten = \"127.0.0.1:1\"\n[log]\nlevel = \"error\"\n");
    let path = file.to_str().unwrap();
    for signal in ["-TERM", "-INT"] {
        // a flag stands over a variable, and that over the file
        let mut command = hubbub(&["serve", "--listen", "127.0.0.1:0"]);
        command.env("HUBBUB_CONFIG", path).env("HUBBUB_LISTEN", "127.0.0.1:2").env("HUBBUB_LOG_LEVEL", "info");
        let node = Process::start(command);
        let line = node.logged("\"section\":\"server\"");
        assert!(line.contains("\"message\":\"config\"") && line.contains(" listen=127.0.0.1:0 "), "{line}");
        assert!(!line.contains('\\'), "nothing is escaped: {line}");
        let line: serde_json::Value = serde_json::from_str(&node.logged("\"ready\"")).unwrap();
        assert_eq!(line["level"], "INFO");
        node.signal(signal);
        let (code, _, log) = node.ended();
        assert_eq!(code, Some(0), "{signal}: {log}");
    }
}

#[test]
fn a_node_takes_the_files_that_it_may_have_and_says_once_when_they_are_too_few() {
    let folder = Folder::new("files");
    for (connections_max, level) in [(Some(300), None), (Some(500), Some("WARN")), (None, Some("INFO"))] {
        let limits = connections_max.map_or(String::new(), |max| format!("connections_max = {max}\n"));
        let file = folder.file(&format!("[server]\nlisten = \"127.0.0.1:0\"\n[limits]\n{limits}"));
        let node = Process::start(with_files(100, 500, &["serve", "--config", file.to_str().unwrap()]));
        let mut said = Vec::new();
        loop {
            let line: serde_json::Value = serde_json::from_str(&node.logged("{")).unwrap();
            if line["limit"] == "connections_max" {
                said.push(line);
            } else if line["message"] == "ready" {
                break;
            }
        }
        let limits = fs::read_to_string(format!("/proc/{}/limits", node.child.id())).unwrap();
        let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
        assert_eq!(files.split_whitespace().nth(3), Some("500"), "{files}");
        assert_eq!(said.iter().map(|line| line["level"].as_str()).collect::<Vec<_>>(), Vec::from_iter(level.map(Some)));
        if let [line] = &said[..] {
            let text = line["message"].as_str().unwrap();
            assert!(text.contains("files for 436 connections") && text.contains("connections_max = 436"), "{text}");
        }
    }
}
