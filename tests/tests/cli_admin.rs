//! The command line over a running node: the real binary, what it says, and how it ends.

use std::{
    process::{Output, Stdio},
    time::Duration,
};

use anyhow::Context;
use scenarios::{
    Client, Node,
    admin::{DEPLOY, READ, admin_toml},
    client::DEADLINE,
    plugins::wasm,
    process::binary,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

/// What a command said, and its exit code.
struct Said {
    code: i32,
    out: String,
    error: String,
}

impl Said {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_default()
    }
}

/// The binary, with nothing of this process's environment that concerns it. Killed when it is dropped.
fn command(environment: &[(&str, &str)], args: &[&str]) -> Command {
    let mut command = Command::new(binary());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("HUBBUB_")) {
        command.env_remove(name);
    }
    command.args(args).envs(environment.iter().copied()).kill_on_drop(true).stdin(Stdio::null());
    command
}

async fn hubbub(environment: &[(&str, &str)], args: &[&str]) -> anyhow::Result<Said> {
    let Output { status, stdout, stderr } = command(environment, args).output().await?;
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    Ok(Said { code: status.code().unwrap_or(-1), out: text(&stdout), error: text(&stderr) })
}

/// A command that goes on and on.
struct Following {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Following {
    /// Reads on until a line has this in it.
    async fn line_with(&mut self, text: &str) -> anyhow::Result<String> {
        loop {
            let line = timeout(DEADLINE, self.lines.next_line()).await.context("nothing came in time")??;
            let line = line.context("it ended")?;
            if line.contains(text) {
                return Ok(line);
            }
        }
    }
}

/// A node, and commands that go there.
struct Remote {
    node: Node,
    url: String,
}

impl Remote {
    async fn start(toml: &str) -> Self {
        Self::start_with("", toml).await
    }

    /// The same with lines in its `[admin]`.
    async fn start_with(admin: &str, toml: &str) -> Self {
        // built first: clients do not live through it
        binary();
        let admin_toml = admin_toml().replace("[admin]\n", &format!("[admin]\n{admin}\n"));
        let node = Node::start(&(admin_toml + toml)).await;
        let url = format!("http://{}", node.admin.expect("it has an admin API"));
        Self { node, url }
    }

    async fn run(&self, args: &[&str]) -> anyhow::Result<Said> {
        self.run_as(DEPLOY, args).await
    }

    async fn run_as(&self, token: &str, args: &[&str]) -> anyhow::Result<Said> {
        hubbub(&[("HUBBUB_ADMIN_URL", &self.url), ("HUBBUB_ADMIN_TOKEN", token)], args).await
    }

    /// The same, done well.
    async fn ok(&self, args: &[&str]) -> anyhow::Result<String> {
        let said = self.run(args).await?;
        assert_eq!(said.code, 0, "{args:?}: {}{}", said.out, said.error);
        Ok(said.out)
    }

    /// The same of one that goes on and on.
    fn follow(&self, args: &[&str]) -> anyhow::Result<Following> {
        let environment = [("HUBBUB_ADMIN_URL", self.url.as_str()), ("HUBBUB_ADMIN_TOKEN", DEPLOY)];
        let mut child = command(&environment, args).stdout(Stdio::piped()).spawn()?;
        let lines = BufReader::new(child.stdout.take().context("it is piped")?).lines();
        Ok(Following { child, lines })
    }

    /// Publishes `traced` again and again until who waits for it has seen enough.
    async fn publish_until<T>(&self, seen: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
        let publishing = async {
            tokio::pin!(seen);
            loop {
                // until it is there to see one
                tokio::select! {
                    seen = &mut seen => return seen,
                    () = tokio::time::sleep(Duration::from_millis(200)) => {}
                }
                self.ok(&["publish", "traced", "--everyone"]).await?;
            }
        };
        timeout(Duration::from_secs(120), publishing).await.context("it was not seen in time")?
    }
}

const LAST: &str = r#"
[[plugin]]
name = "last"
file = "{wasm:stamp}"
config = { tag = "last", target = true }
"#;

/// Lets clients say who they are and where they are.
const PROBE: &str = r#"
[[plugin]]
name = "probe"
file = "{wasm:probe}"
capabilities = ["identity", "credentials", "orders"]
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plugins_are_pushed_looked_at_and_taken_back() -> anyhow::Result<()> {
    let hub = Remote::start(LAST).await;
    let dir = tempfile::tempdir()?;
    let stamp = wasm("stamp").display().to_string();
    let config = dir.path().join("config.toml");
    std::fs::write(&config, "tag = \"new\"\n")?;
    let config = config.display().to_string();
    let pushed = hub.ok(&["plugin", "push", &stamp, "--name", "new", "--config", &config, "--why", "a try"]).await?;
    assert!(pushed.starts_with("new 0.1.0 is in the chain: revision "), "{pushed}");
    let again = hub.ok(&["plugin", "push", &stamp, "--name", "new", "--config", &config]).await?;
    assert!(again.starts_with("nothing changed"), "{again}");
    let list = hub.ok(&["plugin", "list"]).await?;
    let names: Vec<_> = list.lines().skip(2).filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names, ["last", "new"], "{list}");

    let mut client = Client::connect(hub.node.address, "/", Value::Null).await?;
    let moved = hub.run(&["plugin", "move", "new", "--before", "last", "--json"]).await?.json();
    assert_eq!(moved["changed"], true, "{moved}");
    client.emit("x", json!("m")).await?;
    assert_eq!(client.event().await?, [json!("x"), json!("m"), json!("new"), json!("last")]);

    let set = hub.ok(&["plugin", "config", "new", "--set", "limits.cpu_ms=20", "--policy", "skip"]).await?;
    assert!(set.starts_with("new has new settings: revision "), "{set}");
    let shown = hub.ok(&["plugin", "show", "new"]).await?;
    assert!(shown.contains("\"cpu_ms\": 20") && shown.contains("\"policy\": \"skip\""), "{shown}");
    assert!(hub.ok(&["plugin", "config", "new"]).await?.contains("\"cpu_ms\": 20"), "nothing to change: it is shown");
    hub.ok(&["plugin", "disable", "new"]).await?;
    hub.ok(&["plugin", "enable", "new"]).await?;
    let diff = hub.ok(&["chain", "diff"]).await?;
    assert!(diff.contains("enabled"), "{diff}");
    hub.ok(&["plugin", "remove", "new"]).await?;
    let history = hub.ok(&["chain", "history"]).await?;
    assert!(history.contains("a try") && history.lines().count() >= 7, "{history}");
    let first = moved["revision"].as_u64().expect("a number").to_string();
    hub.ok(&["chain", "rollback", &first, "--why", "it was better"]).await?;
    assert!(hub.ok(&["chain", "show"]).await?.contains("it was better"));
    client.emit("x", json!("m")).await?;
    assert_eq!(client.event().await?, [json!("x"), json!("m"), json!("new"), json!("last")]);
    hub.node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_way_to_fail_has_its_exit_code_and_says_what_to_do() -> anyhow::Result<()> {
    let hub = Remote::start(LAST).await;
    let stamp = wasm("stamp").display().to_string();
    let check = async |said: Said, code: i32, text: &str| {
        assert_eq!(said.code, code, "{}{}", said.out, said.error);
        assert!(said.error.contains(text) && said.out.is_empty(), "`{text}` is not in: {}{}", said.error, said.out);
        for secret in [DEPLOY, READ, "token-that-nobody-knows"] {
            assert!(!said.error.contains(secret), "{}", said.error);
        }
    };
    check(hub.run(&["plugin", "show", "nobody"]).await?, 1, "there is no plugin `nobody`").await;
    check(hub.run(&["plugin", "push", &stamp]).await?, 1, "init").await;
    check(hub.run(&["plugin", "push", "Cargo.toml"]).await?, 1, "not WebAssembly").await;
    check(hub.run(&["plugin", "push", "missing.wasm"]).await?, 2, "cannot read `missing.wasm`").await;
    check(hub.run(&["plugin", "push", &stamp, "--name", "No Name"]).await?, 2, "lower-case").await;
    check(hub.run(&["plugin", "config", "last", "--set", "config.tag=x"]).await?, 2, "--config FILE").await;
    check(hub.run(&["plugin", "purge", "last"]).await?, 2, "--yes").await;
    check(hub.run(&["plugin", "purge", "last", "--yes"]).await?, 1, "in force").await;
    check(hub.run(&["plugin", "disable", "last", "--base", "999"]).await?, 3, "hubbub chain diff").await;
    check(hub.run(&["plugin", "lst"]).await?, 2, "unrecognized subcommand").await;
    check(hub.run_as(READ, &["plugin", "disable", "last"]).await?, 4, "needs `deploy`").await;
    check(hub.run_as("token-that-nobody-knows", &["node"]).await?, 4, "HUBBUB_ADMIN_TOKEN").await;
    check(hub.run_as("", &["node"]).await?, 4, "HUBBUB_ADMIN_TOKEN").await;
    check(hubbub(&[], &["node", "--url", "http://127.0.0.1:9"]).await?, 4, "cannot reach the admin API").await;
    check(hubbub(&[], &["node", "--url", "https://hub.example"]).await?, 2, "SSH tunnel").await;
    // a node's other listener is no admin API
    let clients = hub.node.url();
    check(hubbub(&[], &["node", "--url", &clients]).await?, 4, "is this the address of an admin API?").await;
    assert_eq!(hub.run(&["chain", "show", "--json"]).await?.json()["revision"], 1, "nothing was changed");
    hub.node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_are_listed_spoken_to_and_sent_away() -> anyhow::Result<()> {
    let hub = Remote::start(PROBE).await;
    let auth = json!({ "user": "ann\u{1b}[2J", "join": ["a room"] });
    let mut ann = Client::connect(hub.node.address, "/", auth).await?;
    let _: Value = ann.ask("probe:now", json!({})).await?;
    let sockets = hub.ok(&["socket", "list"]).await?;
    assert!(sockets.contains(&ann.id) && sockets.contains("a room") && sockets.contains("1 in all"), "{sockets}");
    assert!(!sockets.contains('\u{1b}'), "a user's name acts on the terminal: {sockets:?}");
    assert!(hub.ok(&["room", "list"]).await?.contains("a room"));
    assert!(hub.ok(&["user", "list", "--all"]).await?.contains("ann"));
    assert!(hub.ok(&["node"]).await?.contains("sockets"));
    let sent = hub.ok(&["publish", "news", "plain", "{\"n\":1}", "--room", "a room"]).await?;
    assert!(sent.starts_with("on its way to 1 socket"), "{sent}");
    loop {
        let event = ann.event().await?;
        if event[0] == "news" {
            assert_eq!(event[1..], [json!("plain"), json!({ "n": 1 })]);
            break;
        }
    }
    let asked = hub.ok(&["publish", "vote", "--socket", &ann.id, "--ask", "200"]).await?;
    assert!(asked.contains("timed_out"), "{asked}");
    assert_eq!(hub.run(&["publish", "x"]).await?.code, 2, "to whom?");
    let seen = hub.publish_until(hub.run(&["trace", "--event", "traced", "--count", "1"])).await?;
    assert!(seen.code == 0 && seen.out.contains("message traced -> passed"), "{}{}", seen.out, seen.error);
    ann.ask("probe:log", json!({ "level": "warn", "text": "a\u{1b}line" })).await?;
    let logs = hub.ok(&["plugin", "logs", "probe", "--last", "1"]).await?;
    assert!(logs.contains("warn") && logs.contains("a\\u{1b}line"), "{logs}");
    let kicked = hub.ok(&["socket", "kick", &ann.id, "--reason", "enough"]).await?;
    assert!(kicked.starts_with("1 socket was sent away"), "{kicked}");
    assert_eq!(hub.run(&["socket", "list", "--json"]).await?.json()["total"], 0);
    let audit = hub.ok(&["audit"]).await?;
    assert!(audit.contains("kick socket") && audit.contains("publish"), "{audit}");
    hub.node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_lets_clients_connect_anew_on_the_new_code() -> anyhow::Result<()> {
    let hub = Remote::start(LAST).await;
    let dir = tempfile::tempdir()?;
    let stamp = wasm("stamp").display().to_string();
    let config = dir.path().join("config.toml");
    std::fs::write(&config, "tag = \"newer\"\ntarget = true\n")?;
    let config = config.display().to_string();
    let mut client = Client::connect(hub.node.address, "/", Value::Null).await?;
    let push: [&str; 7] = ["plugin", "push", &stamp, "--name", "last", "--config", &config];
    let pushed = hub.run(&[&push[..], &["--json"][..]].concat()).await?.json();
    assert_eq!((&pushed["changed"], &pushed["reconnected"]), (&json!(true), &Value::Null), "{pushed}");
    client.emit("x", json!("m")).await?;
    assert_eq!(client.event().await?, [json!("x"), json!("m"), json!("newer")], "nobody has to come anew");
    let pushed = hub.run(&[&push[..], &["--reconnect", "--json"][..]].concat()).await?.json();
    assert_eq!((&pushed["changed"], &pushed["reconnected"]), (&json!(false), &json!(1)), "{pushed}");
    let farewell = client.farewell().await?;
    assert!(!farewell.packets.iter().any(|packet| packet.starts_with("41")), "{:?}", farewell.packets);
    let _back = Client::connect(hub.node.address, "/", Value::Null).await?;
    let said = hub.ok(&[&push[..], &["--reconnect"][..]].concat()).await?;
    assert!(said.contains("1 socket connects anew"), "{said}");
    hub.node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_plugin_says_is_followed() -> anyhow::Result<()> {
    let hub = Remote::start(PROBE).await;
    let mut client = Client::connect(hub.node.address, "/", Value::Null).await?;
    for text in ["first", "second"] {
        client.ask("probe:log", json!({ "level": "info", "text": text })).await?;
    }
    let mut logs = hub.follow(&["plugin", "logs", "probe", "--last", "1", "-f"])?;
    let line = logs.line_with("probe").await?;
    assert!(line.contains("second"), "only the last one: {line}");
    client.ask("probe:log", json!({ "level": "warn", "text": "third" })).await?;
    let line = logs.line_with("third").await?;
    assert!(line.contains("warn") && line.contains("on_message"), "{line}");
    assert_eq!(logs.child.try_wait()?, None, "it goes on");
    logs.child.kill().await?;
    hub.node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_plugin_keeps_is_purged_when_it_is_off() -> anyhow::Result<()> {
    let keeper = r#"
[[plugin]]
name = "keeper"
file = "{wasm:keeper}"
capabilities = ["store"]
config = {}
"#;
    let hub = Remote::start(keeper).await;
    let mut client = Client::connect(hub.node.address, "/", Value::Null).await?;
    for key in ["a", "b"] {
        client.ask("set", json!({ "key": key, "value": 1 })).await?;
    }
    let refused = hub.run(&["plugin", "purge", "keeper", "--yes"]).await?;
    assert!(refused.code == 1 && refused.error.contains("in force"), "{}{}", refused.out, refused.error);
    assert_eq!(client.ask("get", json!({ "key": "a" })).await?["value"], 1, "nothing was taken away");
    hub.ok(&["plugin", "disable", "keeper"]).await?;
    let purged = hub.ok(&["plugin", "purge", "keeper", "--namespace", "/other", "--yes"]).await?;
    assert!(purged.starts_with("0 keys of `keeper` are taken away"), "{purged}");
    let purged = hub.run(&["plugin", "purge", "keeper", "--yes", "--json"]).await?.json();
    assert_eq!(purged, json!({ "keys": 2 }));
    hub.ok(&["plugin", "enable", "keeper"]).await?;
    assert_eq!(client.ask("get", json!({ "key": "a" })).await?["value"], Value::Null);
    hub.node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_is_whole_however_small_the_nodes_pages_are() -> anyhow::Result<()> {
    let hub = Remote::start_with("page_max = 2", "").await;
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.push(Client::connect(hub.node.address, "/", Value::Null).await?);
    }
    let first = hub.ok(&["socket", "list"]).await?;
    assert!(first.ends_with("2 of 5: --all shows all\n"), "{first}");
    let one = hub.ok(&["socket", "list", "--limit", "1"]).await?;
    assert!(one.ends_with("1 of 5: --all shows all\n"), "{one}");
    let all = hub.ok(&["socket", "list", "--all"]).await?;
    assert!(all.ends_with("5 in all\n") && clients.iter().all(|client| all.contains(&client.id)), "{all}");
    let refused = hub.run(&["socket", "list", "--limit", "3"]).await?;
    assert!(refused.code == 1 && refused.error.contains("admin.page_max allows 2"), "{}", refused.error);
    assert_eq!(hub.run(&["socket", "list", "--limit", "1", "--all"]).await?.code, 2);
    hub.node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_follows_ends_when_nobody_reads_it_any_more() -> anyhow::Result<()> {
    let hub = Remote::start(PROBE).await;
    for args in [&["trace", "--event", "traced"][..], &["trace", "--event", "traced", "--json"][..]] {
        let mut trace = hub.follow(args)?;
        hub.publish_until(trace.line_with("traced")).await?;
        let Following { mut child, lines } = trace;
        // as `head -1` does
        drop(lines);
        let ended = hub.publish_until(async { Ok(child.wait().await?) }).await?;
        assert!(ended.success(), "{ended}");
    }
    hub.node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_and_rooms_are_sent_away() -> anyhow::Result<()> {
    let hub = Remote::start(PROBE).await;
    let mut clients = Vec::new();
    for (user, room) in [("ann", "tea"), ("ann", "milk"), ("bea", "tea"), ("cat", "a tea/room"), ("dan", "milk")] {
        let auth = json!({ "user": user, "join": [room] });
        let mut client = Client::connect(hub.node.address, "/", auth).await?;
        // behind it the socket is where it wants to be
        let _: Value = client.ask("probe:now", json!({})).await?;
        clients.push(client);
    }
    let kicked = hub.ok(&["socket", "kick", "--user", "ann", "--namespace", "/"]).await?;
    assert!(kicked.starts_with("2 sockets were sent away"), "{kicked}");
    let kicked = hub.ok(&["room", "kick", "tea", "--namespace", "/", "--reason", "closing"]).await?;
    assert!(kicked.starts_with("1 socket was sent away"), "{kicked}");
    assert_eq!(hub.run(&["room", "kick", "a tea/room", "--json"]).await?.json(), json!({ "sockets": 1 }));
    let nobody = hub.run(&["room", "kick", "tea"]).await?;
    assert!(nobody.code == 1 && nobody.error.contains("this room has no socket there"), "{}", nobody.error);
    let elsewhere = hub.run(&["user", "kick", "dan", "--namespace", "/other"]).await?;
    assert!(elsewhere.code == 1 && elsewhere.error.contains("this user has no socket there"), "{}", elsewhere.error);
    let left = hub.run(&["socket", "list", "--json"]).await?.json();
    assert_eq!((&left["total"], &left["items"][0]["user"]), (&json!(1), &json!("dan")), "{left}");
    let kicked = hub.ok(&["user", "kick", "dan", "--reason", "enough"]).await?;
    assert!(kicked.starts_with("1 socket was sent away"), "{kicked}");
    hub.node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_made_once_and_opens_the_node_whose_config_has_its_lines() -> anyhow::Result<()> {
    let made = hubbub(&[], &["token", "new", "--name", "ci", "--role", "read"]).await?;
    assert_eq!(made.code, 0, "{}", made.error);
    let token = made.out.lines().find_map(|line| line.strip_prefix("# hubbub_")).expect("the token");
    let token = format!("hubbub_{}", token.trim());
    let lines: String =
        made.out.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect();
    assert!(!lines.contains(&token), "{lines}");
    let node = Node::start(&format!("[admin]\nlisten = \"127.0.0.1:0\"\n{lines}")).await;
    let url = format!("http://{}", node.admin.expect("it has an admin API"));
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("token");
    std::fs::write(&file, format!("{token}\n"))?;
    let said = hubbub(&[], &["node", "--json", "--url", &url, "--token-file", &file.display().to_string()]).await?;
    assert_eq!((said.code, &said.json()["ready"]), (0, &json!(true)), "{}", said.error);
    let json = hubbub(&[], &["token", "new", "--json"]).await?.json();
    assert!(json["token"].as_str().is_some_and(|other| *other != token) && json["role"] == "deploy", "{json}");
    assert_eq!(hubbub(&[], &["token", "new", "--name", "No Name"]).await?.code, 2);
    node.stop().await;
    Ok(())
}

#[tokio::test]
async fn serve_says_what_to_do_when_nobody_or_anybody_could_use_the_api() -> anyhow::Result<()> {
    let check = async |args: &[&str], text: &str| {
        let said = hubbub(&[], args).await?;
        assert_eq!(said.code, 2, "{args:?}: {}", said.error);
        assert!(said.error.contains(text), "{args:?}: {}", said.error);
        anyhow::Ok(())
    };
    check(&["serve", "--admin", "127.0.0.1:0"], "`hubbub token new`").await?;
    check(&["serve", "--dev", "--admin", "0.0.0.0:0"], "no loopback address").await?;
    Ok(())
}

#[tokio::test]
async fn shells_get_their_completions() -> anyhow::Result<()> {
    for shell in ["bash", "zsh", "fish"] {
        let said = hubbub(&[], &["completions", shell]).await?;
        assert_eq!(said.code, 0, "{}", said.error);
        for word in ["plugin", "rollback", "token-file", "publish"] {
            assert!(said.out.contains(word), "{shell} does not know {word}");
        }
    }
    let help = hubbub(&[], &["plugin", "--help"]).await?.out;
    assert!(help.contains("3 the chain was changed"), "{help}");
    Ok(())
}
