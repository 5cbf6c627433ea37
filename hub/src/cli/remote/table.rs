//! Tables and times for people. Nothing that clients or plugins wrote can act on the terminal.

use serde_json::Value;

use crate::cli::terminal::plain;

/// Rows under their headings, each column as wide as its widest cell.
pub(super) fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let mut lines = vec![headings.iter().map(|heading| heading.to_uppercase()).collect::<Vec<_>>()];
    lines.extend(rows.iter().map(|row| row.iter().map(|cell| plain(cell)).collect()));
    let width = |column: usize| lines.iter().filter_map(|line| line.get(column)).map(|c| c.chars().count()).max();
    let widths: Vec<usize> = (0..headings.len()).map(|column| width(column).unwrap_or(0)).collect();
    let mut out = String::new();
    for line in &lines {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        out.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        out.push('\n');
    }
    out
}

/// Names and values, one below the other.
pub(super) fn facts(facts: &[(&str, String)]) -> String {
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    facts.iter().map(|(name, value)| format!("{name:width$}  {}\n", plain(value))).collect()
}

/// A value of an answer as one cell: nothing for null.
pub(super) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
        }
        value => value.to_string(),
    }
}

/// The beginning of a digest, as people compare them.
pub(super) fn short(digest: &Value) -> String {
    cell(digest).chars().take(12).collect()
}

/// Milliseconds since the Unix epoch as a time in UTC.
pub(super) fn utc(ms: &Value) -> String {
    let Some(seconds) = ms.as_u64().map(|ms| ms / 1000) else { return "-".into() };
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // years that begin in March have their odd day at their end
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [vec!["a".into(), "long one".into()], vec!["über".into(), "b".into()]];
        assert_eq!(table(&["name", "x"], &rows), "NAME  X\na     long one\nüber  b\n");
    }

    #[test]
    fn what_others_wrote_stays_in_its_cell() {
        assert_eq!(table(&["a"], &[vec!["\u{7}\n".into()]]), "A\n\\u{7}\\u{a}\n");
        assert_eq!(facts(&[("a", "\u{9b}\n".into())]), "a  \\u{9b}\\u{a}\n");
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        let check = |ms: u64, text: &str| assert_eq!(utc(&json!(ms)), text);
        check(0, "1970-01-01 00:00:00Z");
        check(951_782_399_999, "2000-02-28 23:59:59Z");
        check(951_782_400_000, "2000-02-29 00:00:00Z");
        check(1_709_251_199_000, "2024-02-29 23:59:59Z");
        check(1_795_269_600_000, "2026-11-21 14:00:00Z");
        check(4_107_542_400_000, "2100-03-01 00:00:00Z");
        assert_eq!(utc(&Value::Null), "-");
    }
}
