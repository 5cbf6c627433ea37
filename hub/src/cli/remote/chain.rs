//! `hubbub chain show|history|diff|rollback`.

use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    ChangeArgs, Outcome, Remote,
    client::Call,
    plugin::{describe_change, wait},
    table::{cell, facts, short, table, utc},
};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ChainCommand {
    /// The chain in force, or an earlier one
    Show {
        /// [default: the one in force]
        revision: Option<u64>,
        #[command(flatten)]
        remote: Remote,
    },
    /// What the chain was, the newest first
    History {
        /// Only revisions below this one
        #[arg(long, value_name = "REVISION")]
        before: Option<u64>,

        #[arg(long, value_name = "N")]
        limit: Option<usize>,

        #[command(flatten)]
        remote: Remote,
    },
    /// What is different between two revisions
    Diff {
        /// [default: the one before the other]
        from: Option<u64>,
        /// [default: the one in force]
        to: Option<u64>,
        #[command(flatten)]
        remote: Remote,
    },
    /// Make the chain what it was; that becomes a new revision
    Rollback {
        revision: u64,
        #[command(flatten)]
        change: ChangeArgs,
        #[command(flatten)]
        remote: Remote,
    },
}

/// Runs the command.
pub(in crate::cli) fn run(command: ChainCommand) -> Outcome {
    match command {
        ChainCommand::Show { revision, remote } => {
            let path = revision.map_or("/v1/chain".into(), |revision| format!("/v1/chain/revisions/{revision}"));
            let answer = remote.client()?.call(Call::get(path))?;
            remote.show(&answer, describe_revision);
        }
        ChainCommand::History { before, limit, remote } => {
            let call = Call::get("/v1/chain/history").with("before", before).with("limit", limit);
            let answer = remote.client()?.call(call)?;
            remote.show(&answer, describe_history);
        }
        ChainCommand::Diff { from, to, remote } => {
            let call = Call::get("/v1/chain/diff").with("from", from).with("to", to);
            let answer = remote.client()?.call(call)?;
            remote.show(&answer, describe_diff);
        }
        ChainCommand::Rollback { revision, change, remote } => {
            let client = remote.client()?;
            let target = json!({ "revision": revision });
            let call = Call::new("POST", "/v1/chain/rollback").query(change.query()).json(&target);
            let answer = wait("preparing the chain", || client.call(call))?;
            let what = format!("is as in revision {revision}");
            remote.show(&answer, |answer| describe_change("the chain", &what, answer));
        }
    }
    Ok(())
}

fn items(answer: &Value, key: &str) -> Vec<Value> {
    answer[key].as_array().cloned().unwrap_or_default()
}

fn describe_revision(answer: &Value) -> String {
    let head = facts(&[
        ("revision", cell(&answer["revision"])),
        ("when", utc(&answer["when_ms"])),
        ("who", cell(&answer["who"])),
        ("why", cell(&answer["why"])),
    ]);
    let rows: Vec<Vec<String>> = items(answer, "plugins")
        .iter()
        .map(|plugin| {
            let settings = plugin["settings"].to_string();
            vec![cell(&plugin["name"]), cell(&plugin["version"]), short(&plugin["sha256"]), settings]
        })
        .collect();
    head + &table(&["plugin", "version", "sha256", "settings"], &rows)
}

fn describe_history(answer: &Value) -> String {
    let rows: Vec<Vec<String>> = items(answer, "items")
        .iter()
        .map(|line| {
            let mark = if line["revision"] == answer["current"] { "*" } else { "" };
            let plugins = cell(&line["plugins"]);
            vec![
                format!("{}{mark}", line["revision"]),
                utc(&line["when_ms"]),
                cell(&line["who"]),
                cell(&line["why"]),
                plugins,
            ]
        })
        .collect();
    let mut text = table(&["revision", "when", "who", "why", "plugins"], &rows);
    if let Some(next) = answer["next"].as_u64() {
        text.push_str(&format!("earlier ones: --before {next}\n"));
    }
    text
}

fn describe_diff(answer: &Value) -> String {
    let items = items(answer, "items");
    if items.is_empty() {
        return format!("revisions {} and {} are the same", answer["from"], answer["to"]);
    }
    let file = |value: &Value| match value {
        Value::Object(file) => format!("{} {}", cell(&file["version"]), short(&file["sha256"])),
        value => cell(value),
    };
    let rows: Vec<Vec<String>> = items
        .iter()
        .map(|item| {
            let what = item["key"].as_str().map_or_else(|| cell(&item["what"]), str::to_owned);
            let is_setting = item["what"] == "setting";
            let shown = |value: &Value| if is_setting { value.to_string() } else { file(value) };
            vec![cell(&item["plugin"]), what, shown(&item["from"]), shown(&item["to"])]
        })
        .collect();
    let (from, to) = (format!("revision {}", answer["from"]), format!("revision {}", answer["to"]));
    table(&["plugin", "what", &from, &to], &rows)
}
