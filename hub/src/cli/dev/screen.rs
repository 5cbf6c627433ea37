//! What the author sees: one line for each event and each line of a plugin's log. What comes from outside cannot do more
//! to a terminal than be read.

use std::fmt::Write as _;

use serde_json::Value;

use crate::cli::terminal;

/// Longer ids are cut: the beginning tells one socket from another.
const ID_CHARS: usize = 8;

/// A line of the screen: what it is about, and what there is to say.
pub fn line(about: &str, text: &str) -> String {
    format!("{about:<11} {}", terminal::plain_lines(text))
}

/// A record of the tracer's.
pub fn event(record: &Value) -> String {
    if let Some(missed) = record["missed"].as_u64() {
        return line("missed", &format!("{missed} events, more than the screen can take"));
    }
    let mut text = format!("in {}", plain(&record["namespace"]));
    // other events than messages are called what they are
    if record["names"][0] != record["kind"] {
        text = format!("{} {text}", plain(&record["names"][0]));
    }
    if let Some(rooms) = record["rooms"].as_array().filter(|rooms| !rooms.is_empty()) {
        let _ = write!(text, ", {}", list(rooms));
    }
    let _ = write!(text, ", by {}: ", who(record));
    let steps: Vec<String> = record["steps"].as_array().into_iter().flatten().map(step).collect();
    let _ = match steps.is_empty() {
        true => write!(text, "no plugin was asked"),
        false => write!(text, "{}", steps.join(", ")),
    };
    let _ = write!(text, " -> {}", plain(&record["outcome"]));
    if !record["reason"].is_null() {
        let _ = write!(text, " ({})", plain(&record["reason"]));
    }
    if let Some(effects) = record["effects"].as_array().filter(|effects| !effects.is_empty()) {
        let _ = write!(text, ": {}", list(effects));
    }
    line(&plain(&record["kind"]), &text)
}

/// A line of a plugin's log.
pub fn log(record: &Value) -> String {
    if let Some(missed) = record["missed"].as_u64() {
        return line("missed", &format!("{missed} lines of the log, more than the screen can take"));
    }
    let [plugin, level, text] = ["plugin", "level", "text"].map(|key| plain(&record[key]));
    line("log", &format!("{plugin} {level}: {text}"))
}

fn step(step: &Value) -> String {
    let mut text = format!("{} {}", plain(&step["plugin"]), plain(&step["verdict"]));
    if !step["why"].is_null() {
        let _ = write!(text, " ({})", plain(&step["why"]));
    }
    if !step["raised"].is_null() {
        let _ = write!(text, " {} `{}`", plain(&step["hook"]), plain(&step["raised"]));
    }
    let _ = write!(text, " {} us", step["us"].as_u64().unwrap_or_default());
    text
}

fn who(record: &Value) -> String {
    match (&record["user"], &record["socket"]) {
        (Value::Null, Value::Null) => plain(&record["origin"]),
        (Value::Null, socket) => plain(socket).chars().take(ID_CHARS).collect::<String>() + "..",
        (user, _) => plain(user),
    }
}

fn list(values: &[Value]) -> String {
    values.iter().map(plain).collect::<Vec<_>>().join(", ")
}

/// A text of a record, on one line.
fn plain(value: &Value) -> String {
    terminal::plain(value.as_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_is_one_line() {
        let step = |plugin: &str, verdict: &str| json!({ "plugin": plugin, "version": "1.0.0", "hook": "on_message", "verdict": verdict, "us": 85 });
        let mut record = json!({
            "namespace": "/chat", "socket": "abcdefghijkl", "user": null, "kind": "message", "origin": "client",
            "names": ["say"], "rooms": ["tea"], "steps": [step("filter", "change"), step("rooms", "pass")],
            "outcome": "passed", "effects": ["emit say to room tea", "ack"],
        });
        assert_eq!(
            event(&record),
            "message     say in /chat, tea, by abcdefgh..: filter change 85 us, rooms pass 85 us -> passed: emit say to \
             room tea, ack"
        );
        record["steps"] = json!([step("filter", "reject")]);
        record["steps"][0]["why"] = json!("word_not_allowed");
        record["steps"][0]["raised"] = json!("tea");
        record["user"] = json!("ann\u{1b}[2J\n");
        (record["outcome"], record["reason"]) = (json!("rejected"), json!("word_not_allowed"));
        (record["effects"], record["rooms"]) = (json!([]), json!([]));
        assert_eq!(
            event(&record),
            "message     say in /chat, by ann\\u{1b}[2J\\u{a}: filter reject (word_not_allowed) on_message `tea` 85 us -> \
             rejected (word_not_allowed)"
        );
        record["steps"] = json!([]);
        record["names"] = json!(["message"]);
        assert!(event(&record).starts_with("message     in /chat, by ann"));
        assert!(event(&record).contains(": no plugin was asked -> "));
    }

    #[test]
    fn what_is_missed_is_told() {
        assert_eq!(event(&json!({ "missed": 3 })), "missed      3 events, more than the screen can take");
        assert_eq!(log(&json!({ "missed": 2 })), "missed      2 lines of the log, more than the screen can take");
    }

    #[test]
    fn a_refusal_that_a_plugin_had_a_say_in_has_lines_and_no_commands() {
        let shown = line("refused", "init: \u{1b}[2J\u{202e}\nwaiting");
        assert_eq!(shown, "refused     init: \\u{1b}[2J\\u{202e}\nwaiting");
    }

    #[test]
    fn a_line_of_the_log_says_whose_it_is() {
        let line = json!({ "plugin": "mine", "level": "info", "text": "a\r\nb", "version": "1.0.0" });
        assert_eq!(log(&line), "log         mine info: a\\u{d}\\u{a}b");
    }
}
