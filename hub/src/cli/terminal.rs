//! What others wrote, made fit for a terminal: it is read there, and nothing in it acts.

/// A text on one line.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if is_plain(c) { c.to_string() } else { c.escape_unicode().to_string() }).collect()
}

/// A text of several lines, which stay apart.
pub(super) fn plain_lines(text: &str) -> String {
    text.split('\n').map(plain).collect::<Vec<_>>().join("\n")
}

/// The text of JSON, which stays JSON, and of the same value: what is escaped stands nowhere but within strings.
pub(super) fn plain_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        // JSON has nothing below the space but what stands between its values
        match c < ' ' || is_plain(c) {
            true => out.push(c),
            false => out.push_str(&format!("\\u{:04x}", u32::from(c))),
        }
    }
    out
}

/// Neither a control character nor one that turns the direction of what is read.
fn is_plain(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !c.is_control() && !turns
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Everything that acts on a terminal.
    fn acting() -> String {
        let controls = ('\0'..' ').chain('\u{7f}'..='\u{9f}');
        controls.chain("\u{61c}\u{200e}\u{200f}\u{202a}\u{202e}\u{2066}\u{2069}".chars()).collect()
    }

    #[test]
    fn what_others_wrote_does_not_act_on_the_terminal() {
        assert_eq!(plain("a\u{1b}[31m\nb\u{202e}c\u{9b}d"), "a\\u{1b}[31m\\u{a}b\\u{202e}c\\u{9b}d");
        assert!(plain(&acting()).bytes().all(|b| b.is_ascii_graphic()), "{:?}", plain(&acting()));
        assert_eq!(plain("grün, 緑, \u{1f375}"), "grün, 緑, \u{1f375}");
    }

    #[test]
    fn lines_stay_lines() {
        assert_eq!(plain_lines("a\u{1b}\nb\r\n"), "a\\u{1b}\nb\\u{d}\n");
    }

    #[test]
    fn json_stays_what_it_is() {
        let value = json!({ acting(): [acting(), "grün \\ \"緑\"", 1.5, null] });
        for text in [value.to_string(), format!("{value:#}")] {
            let shown = plain_json(&text);
            assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), value);
            assert!(shown.chars().all(|c| c == '\n' || is_plain(c)), "{shown:?}");
        }
        assert_eq!(plain_json("{\n  \"a\": \"\u{9b}\u{202e}\"\n}"), "{\n  \"a\": \"\\u009b\\u202e\"\n}");
    }
}
