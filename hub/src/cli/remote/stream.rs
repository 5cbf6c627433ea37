//! What a node tells while it happens: `hubbub plugin logs`, `hubbub trace`; and `hubbub audit`.

use std::io::{BufRead, BufReader};

use serde_json::Value;

use super::{
    Failure, Outcome, Remote,
    client::{Call, segment},
    table::{cell, table, utc},
};
use crate::cli::{
    say_on,
    terminal::{plain, plain_json},
};

/// Watch events on their way down the chain, until Ctrl-C.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct TraceArgs {
    /// Only events of this socket
    #[arg(long, value_name = "ID")]
    socket: Option<String>,

    /// Only events of this user's sockets
    #[arg(long, value_name = "USER")]
    user: Option<String>,

    /// Only events that have to do with this room
    #[arg(long, value_name = "ROOM")]
    room: Option<String>,

    /// Only messages of this name, or events of this kind: connect, join, ...
    #[arg(long, value_name = "NAME")]
    event: Option<String>,

    /// End behind so many events
    #[arg(long, value_name = "N")]
    count: Option<u64>,

    #[command(flatten)]
    remote: Remote,
}

/// What operators did.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct AuditArgs {
    /// So many last lines
    #[arg(long, value_name = "N")]
    last: Option<usize>,

    #[command(flatten)]
    remote: Remote,
}

/// Runs `hubbub trace`.
pub(in crate::cli) fn trace(args: TraceArgs) -> Outcome {
    let TraceArgs { socket, user, room, event, count, remote } = args;
    let call = Call::get("/v1/trace").with("socket", socket).with("user", user);
    read(&remote, call.with("room", room).with("event", event), count, describe_event)
}

/// Runs `hubbub plugin logs`.
pub(super) fn logs(name: &str, last: Option<usize>, follow: bool, remote: &Remote) -> Outcome {
    let call = Call::get(format!("/v1/plugins/{}/logs", segment(name))).with("last", last);
    read(remote, call.with("follow", follow.then_some(true)), None, describe_line)
}

/// Runs `hubbub audit`.
pub(in crate::cli) fn audit(args: &AuditArgs) -> Outcome {
    let answer = args.remote.client()?.call(Call::get("/v1/audit").with("last", args.last))?;
    args.remote.show(&answer, |answer| {
        let rows: Vec<Vec<String>> = answer["items"].as_array().into_iter().flatten().map(audit_row).collect();
        table(&["when", "who", "address", "what", "target", "result", "revision", "why"], &rows)
    });
    Ok(())
}

/// A call, or how many had no line of their own.
fn audit_row(line: &Value) -> Vec<String> {
    let mut cells = vec![utc(&line["time_ms"])];
    cells.extend(["who", "address", "what", "target", "result", "revision", "why"].map(|key| cell(&line[key])));
    if let Some(count) = line["count"].as_u64() {
        cells[3] = format!("{count} {}", cells[3]);
    }
    cells
}

/// Prints lines as they come. Their end is the node's, or that of who reads them; or `count` of them were printed, what was
/// missed between them not counted.
fn read(remote: &Remote, call: Call<'_>, count: Option<u64>, describe: impl Fn(&Value) -> String) -> Outcome {
    let body = remote.client()?.stream(call)?;
    let mut printed = 0;
    for line in BufReader::new(body).lines() {
        let line = line.map_err(|error| Failure::Unreachable(format!("the node went away: {error}")))?;
        if line.is_empty() {
            continue;
        }
        let (text, counts) = shown(&line, remote.json, &describe);
        printed += u64::from(counts);
        if !say_on(text) || count.is_some_and(|count| printed >= count) {
            break;
        }
    }
    Ok(())
}

/// What is printed of a line, and whether it counts: what says that others were missed does not.
fn shown(line: &str, json: bool, describe: impl Fn(&Value) -> String) -> (String, bool) {
    let Ok(value) = serde_json::from_str::<Value>(line) else { return (plain(line), true) };
    let missed = value["missed"].as_u64();
    let text = match missed {
        _ if json => plain_json(line),
        Some(missed) => format!("({missed} were missed here)"),
        None => describe(&value),
    };
    (text, missed.is_none())
}

fn describe_line(line: &Value) -> String {
    let text = |key: &str| plain(&cell(&line[key]));
    let version = format!("{} {}", text("plugin"), text("version"));
    format!("{} {:5} {version} {}: {}", utc(&line["time_ms"]), text("level"), text("hook"), text("text"))
}

/// One line for the event, and one for each plugin's turn.
fn describe_event(event: &Value) -> String {
    let text = |value: &Value| plain(&cell(value));
    let mut lines = vec![format!(
        "{} {} {} {} {} -> {}{} in {} us",
        utc(&event["time_ms"]),
        text(&event["namespace"]),
        text(&event["socket"]),
        text(&event["kind"]),
        text(&event["names"]),
        text(&event["outcome"]),
        event["reason"].as_str().map_or_else(String::new, |reason| format!(" ({})", plain(reason))),
        event["total_us"],
    )];
    for step in event["steps"].as_array().into_iter().flatten() {
        let raised = step["raised"].as_str().map_or_else(String::new, |raised| format!(" [{}]", plain(raised)));
        let why = step["why"].as_str().map_or_else(String::new, |why| format!(" ({})", plain(why)));
        let (plugin, version, hook) = (text(&step["plugin"]), text(&step["version"]), text(&step["hook"]));
        lines.push(format!(
            "    {plugin} {version} {hook}{raised}: {}{why}, {} us",
            text(&step["verdict"]),
            step["us"]
        ));
    }
    for effect in event["effects"].as_array().into_iter().flatten() {
        lines.push(format!("    => {}", text(effect)));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn calls_without_a_line_are_told_by_their_number() {
        let row = audit_row(&json!({ "time_ms": 0, "what": "refused calls without a line", "count": 500 }));
        assert_eq!(row[3], "500 refused calls without a line");
        assert_eq!(audit_row(&json!({ "time_ms": 0, "what": "kick user" }))[3], "kick user");
    }

    #[test]
    fn only_what_was_not_missed_counts() {
        let check = |line: &str, json: bool, text: &str, counts: bool| {
            let described = |value: &Value| format!("event {}", value["n"]);
            assert_eq!(shown(line, json, described), (text.to_owned(), counts), "{line}");
        };
        check(r#"{"n":1}"#, false, "event 1", true);
        check(r#"{"n":1}"#, true, r#"{"n":1}"#, true);
        check(r#"{"missed":3}"#, false, "(3 were missed here)", false);
        check(r#"{"missed":3}"#, true, r#"{"missed":3}"#, false);
        // a node says nothing else; another server's words do not act on the terminal either
        check("\u{1b}[2J", true, "\\u{1b}[2J", true);
        check("{\"n\":\"\u{9b}2J\"}", true, "{\"n\":\"\\u009b2J\"}", true);
    }
}
