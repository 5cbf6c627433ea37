//! `hubbub plugin push|list|show|config|enable|disable|move|remove|logs|purge`.

use std::{
    fs,
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::{
    ChangeArgs, Failure, Outcome, Remote,
    client::{Call, segment},
    settings::SettingsArgs,
    stream,
    table::{cell, facts, short, table},
};
use crate::{
    cli::terminal::{plain, plain_json},
    config::is_plugin_name,
    plugin::artifact::{Artifact, FILE_MAX_BYTES},
    registry::Digest,
    signature,
};

/// How often the sign of life is drawn anew.
const TICK: Duration = Duration::from_millis(100);

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum PluginCommand {
    /// Put a component into the running chain, or in the place of the one that has its name
    Push {
        /// The component, as in target/wasm32-wasip2/release/my_plugin.wasm
        #[arg(value_name = "FILE")]
        file: PathBuf,

        /// What it is called in the chain [default: as its manifest says]
        #[arg(long, value_name = "NAME")]
        name: Option<String>,

        /// Before which plugin a new one is put [default: at the end]
        #[arg(long, value_name = "NAME")]
        before: Option<String>,

        /// Its signature [default: FILE.minisig, if that is there]
        #[arg(long, value_name = "FILE")]
        signature: Option<PathBuf>,

        /// End the connections of all sockets that it concerns, so that their clients connect anew and on_connect and on_join
        /// run on the new code
        #[arg(long)]
        reconnect: bool,

        #[command(flatten)]
        settings: SettingsArgs,
        #[command(flatten)]
        change: ChangeArgs,
        #[command(flatten)]
        remote: Remote,
    },
    /// The plugins, in the order of the chain
    List {
        #[command(flatten)]
        remote: Remote,
    },
    /// One plugin, with its settings
    Show {
        name: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// Change a plugin's settings, or print them when nothing is changed
    Config {
        name: String,
        #[command(flatten)]
        settings: SettingsArgs,
        #[command(flatten)]
        change: ChangeArgs,
        #[command(flatten)]
        remote: Remote,
    },
    /// Turn a plugin on
    Enable {
        name: String,
        #[command(flatten)]
        change: ChangeArgs,
        #[command(flatten)]
        remote: Remote,
    },
    /// Turn a plugin off; it keeps its place and its settings
    Disable {
        name: String,
        #[command(flatten)]
        change: ChangeArgs,
        #[command(flatten)]
        remote: Remote,
    },
    /// Move a plugin within the chain
    Move {
        name: String,

        /// The plugin before which it is put [default: to the end]
        #[arg(long, value_name = "NAME")]
        before: Option<String>,

        #[command(flatten)]
        change: ChangeArgs,
        #[command(flatten)]
        remote: Remote,
    },
    /// Take a plugin out of the chain; what it keeps in the store stays
    Remove {
        name: String,
        #[command(flatten)]
        change: ChangeArgs,
        #[command(flatten)]
        remote: Remote,
    },
    /// What a plugin has said lately, and says
    Logs {
        name: String,

        /// Of the lines that are there, so many last ones
        #[arg(long, value_name = "N")]
        last: Option<usize>,

        /// All further ones too, until Ctrl-C
        #[arg(long, short)]
        follow: bool,

        #[command(flatten)]
        remote: Remote,
    },
    /// Take away what a plugin keeps in the store, for good
    Purge {
        name: String,

        /// Only there [default: everywhere]
        #[arg(long, value_name = "NS")]
        namespace: Option<String>,

        /// Also while the plugin is in force
        #[arg(long)]
        force: bool,

        /// Do not ask
        #[arg(long)]
        yes: bool,

        #[command(flatten)]
        remote: Remote,
    },
}

/// Runs the command.
pub(in crate::cli) fn run(command: PluginCommand) -> Outcome {
    match command {
        PluginCommand::Push { file, name, before, signature, reconnect, settings, change, remote } => {
            let push = Push::read(&file, name, signature.as_deref(), &settings)?;
            push.run(&remote, before, &change, reconnect)
        }
        PluginCommand::List { remote } => {
            let answer = remote.client()?.call(Call::get("/v1/plugins"))?;
            remote.show(&answer, describe_list);
            Ok(())
        }
        PluginCommand::Show { name, remote } => show(&name, &remote),
        PluginCommand::Config { name, settings, change, remote } => {
            let keys = Value::Object(settings.read()?);
            if keys == json!({}) {
                return show(&name, &remote);
            }
            let call = Call::new("PATCH", path(&name, "")).query(change.query()).json(&keys);
            changed(&remote, &name, call, "has new settings")
        }
        PluginCommand::Enable { name, change, remote } => {
            changed(&remote, &name, Call::new("POST", path(&name, "/enable")).query(change.query()), "is on")
        }
        PluginCommand::Disable { name, change, remote } => {
            changed(&remote, &name, Call::new("POST", path(&name, "/disable")).query(change.query()), "is off")
        }
        PluginCommand::Move { name, before, change, remote } => {
            let place = json!({ "before": before });
            let call = Call::new("POST", path(&name, "/move")).query(change.query()).json(&place);
            changed(&remote, &name, call, "has another place")
        }
        PluginCommand::Remove { name, change, remote } => {
            changed(&remote, &name, Call::new("DELETE", path(&name, "")).query(change.query()), "is removed")
        }
        PluginCommand::Logs { name, last, follow, remote } => stream::logs(&name, last, follow, &remote),
        PluginCommand::Purge { name, namespace, force, yes, remote } => {
            let client = remote.client()?;
            if !yes {
                confirm(&format!("Take away all that `{name}` keeps in the store? It cannot be undone."))?;
            }
            let force = force.then_some(true);
            let call = Call::new("POST", path(&name, "/purge")).with("namespace", namespace).with("force", force);
            let answer = client.call(call)?;
            remote.show(&answer, |answer| format!("{} keys of `{name}` are taken away", answer["keys"]));
            Ok(())
        }
    }
}

fn path(name: &str, act: &str) -> String {
    format!("/v1/plugins/{}{act}", segment(name))
}

/// What is to be pushed, read whole.
struct Push {
    name: String,
    bytes: Vec<u8>,
    /// In base64.
    signature: Option<String>,
    settings: Value,
}

impl Push {
    fn read(
        file: &Path,
        name: Option<String>,
        signature_file: Option<&Path>,
        settings: &SettingsArgs,
    ) -> Result<Self, Failure> {
        let wrong = |error: io::Error| Failure::Usage(format!("cannot read `{}`: {error}", file.display()));
        let size = fs::metadata(file).map_err(wrong)?.len();
        if size > FILE_MAX_BYTES as u64 {
            let text = format!("`{}` has {size} bytes, allowed are {FILE_MAX_BYTES}", file.display());
            return Err(Failure::Refused(text));
        }
        let bytes = fs::read(file).map_err(wrong)?;
        let name = match name {
            Some(name) => name,
            None => {
                let artifact = Artifact::parse(bytes.clone());
                let refused = |text: String| Failure::Refused(format!("`{}`: {}", file.display(), plain(&text)));
                artifact.map_err(|error| refused(error.to_string()))?.manifest.name
            }
        };
        if !is_plugin_name(&name) {
            let right = "say --name NAME, of 1 to 64 lower-case letters, digits and `-`";
            return Err(Failure::Usage(format!("`{}` cannot be the name of a plugin: {right}", plain(&name))));
        }
        let beside = signature::path_of(file);
        let given = signature_file.map(Path::to_owned).or_else(|| beside.is_file().then_some(beside));
        let read = |file: PathBuf| {
            let text = fs::read(&file);
            text.map_err(|error| Failure::Usage(format!("cannot read the signature `{}`: {error}", file.display())))
        };
        let signature = given.map(read).transpose()?.map(|text| STANDARD.encode(text));
        Ok(Self { name, bytes, signature, settings: Value::Object(settings.read()?) })
    }

    fn run(self, remote: &Remote, before: Option<String>, change: &ChangeArgs, reconnect: bool) -> Outcome {
        let client = remote.client()?;
        let Self { name, bytes, signature, settings } = self;
        let sha256 = Digest::of(&bytes);
        let upload = Call::new("PUT", format!("/v1/artifacts/{sha256}")).component(&bytes, signature);
        wait(&format!("{name}: uploading {} kB", bytes.len() / 1000), || client.call(upload))?;
        // in a body: settings may hold secrets, and addresses stand in logs
        let push = json!({ "sha256": sha256.to_string(), "settings": settings, "before": before });
        let call = Call::new("POST", path(&name, "")).query(change.query()).json(&push);
        let answer = wait(&format!("{name}: compiling, warming"), || client.call(call))?;
        let reconnected = match reconnect {
            true => Some(client.call(Call::new("POST", path(&name, "/reconnect")))?["sockets"].clone()),
            false => None,
        };
        let mut all = answer;
        if let Some(sockets) = reconnected {
            all["reconnected"] = sockets;
        }
        remote.show(&all, |answer| {
            let version = plain(&cell(&answer["plugin"]["version"]));
            let mut text = describe_change(&format!("{name} {version}"), "is in the chain", answer);
            match answer["reconnected"].as_u64() {
                None => {}
                Some(1) => text.push_str("\n1 socket connects anew"),
                Some(sockets) => text.push_str(&format!("\n{sockets} sockets connect anew")),
            }
            text
        });
        Ok(())
    }
}

fn show(name: &str, remote: &Remote) -> Outcome {
    let answer = remote.client()?.call(Call::get(path(name, "")))?;
    remote.show(&answer, |plugin| {
        let on = state(plugin);
        let head = facts(&[
            ("plugin", format!("{} {}", cell(&plugin["name"]), cell(&plugin["version"]))),
            ("is", on.into()),
            ("sha256", cell(&plugin["sha256"])),
            ("instances", cell(&plugin["live_instances"])),
            ("code bytes", cell(&plugin["code_bytes"])),
            ("breaker", cell(&plugin["breaker"])),
        ]);
        format!("{head}settings\n{}", plain_json(&format!("{:#}", plugin["settings"])))
    });
    Ok(())
}

fn describe_list(answer: &Value) -> String {
    let rows = answer["items"].as_array().into_iter().flatten().map(|plugin| {
        let on = state(plugin);
        let namespaces = match &plugin["settings"]["namespaces"] {
            Value::Null => "*".into(),
            namespaces => cell(namespaces),
        };
        vec![
            cell(&plugin["name"]),
            cell(&plugin["version"]),
            on.to_owned(),
            namespaces,
            short(&plugin["sha256"]),
            cell(&plugin["live_instances"]),
        ]
    });
    let rows: Vec<Vec<String>> = rows.collect();
    let head = format!("revision {}\n", answer["revision"]);
    head + &table(&["name", "version", "is", "namespaces", "sha256", "instances"], &rows)
}

/// `on`, `off`, or what its breaker does with it.
fn state(plugin: &Value) -> &str {
    match plugin["breaker"].as_str() {
        Some("closed") => "on",
        Some(other) => other,
        None => "off",
    }
}

/// Makes a change of the chain and says what it led to.
fn changed(remote: &Remote, name: &str, call: Call<'_>, what: &str) -> Outcome {
    let client = remote.client()?;
    let answer = wait(&format!("{name}: preparing the chain"), || client.call(call))?;
    remote.show(&answer, |answer| describe_change(name, what, answer));
    Ok(())
}

/// `NAME is on: revision 7, prepared in 3.1 ms, in force after 3.2 ms`.
pub(super) fn describe_change(name: &str, what: &str, answer: &Value) -> String {
    let ms = |key: &str| format!("{:.1} ms", answer[key].as_f64().unwrap_or(0.0));
    if answer["changed"] != true {
        return format!("nothing changed: it was so already in revision {}", answer["revision"]);
    }
    format!(
        "{name} {what}: revision {}, compiled in {}, prepared in {}, in force after {}",
        answer["revision"],
        ms("compiled_ms"),
        ms("prepared_ms"),
        ms("active_ms")
    )
}

/// Shows a sign of life on a terminal while something takes its time.
pub(super) fn wait<T>(text: &str, work: impl FnOnce() -> T) -> T {
    if !io::stderr().is_terminal() {
        return work();
    }
    let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})");
    let style = style.expect("the template is a constant and valid");
    let bar = ProgressBar::new_spinner().with_style(style).with_message(text.to_owned());
    bar.enable_steady_tick(TICK);
    let done = work();
    bar.finish_and_clear();
    done
}

/// Asks on a terminal; elsewhere `--yes` is needed.
fn confirm(question: &str) -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::Usage(format!("{question} Say --yes")));
    }
    eprint!("{question} [y/N] ");
    // a prompt that cannot be written is answered all the same
    let _ = io::stderr().flush();
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer);
    match read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes") {
        true => Ok(()),
        false => Err(Failure::Refused("nothing was done".into())),
    }
}
