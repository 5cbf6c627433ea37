//! One table of the file: each value is asked for once, by key, type and range; what nobody asked for is unknown.

use std::{cell::RefCell, ops::Range, time::Duration};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{
    error::{self, Problem},
    hint::hint,
    variables::Variables,
};

/// The text, the variables that stand over it, and what was found wrong with them.
pub struct Source<'a> {
    file: String,
    text: &'a str,
    variables: &'a Variables,
    /// The variables' values by the whole path of their keys.
    values: DeTable<'a>,
    problems: RefCell<Vec<(Place, Problem)>>,
}

/// Where a value stands; in the order in which problems are said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Behind so many bytes of the text.
    Text(usize),
    /// The variable of this number.
    Variable(usize),
}

impl<'a> Source<'a> {
    pub fn new(file: String, text: &'a str, variables: &'a Variables) -> Self {
        let values = DeTable::parse(&variables.toml).expect("variables are written as TOML").into_inner();
        let source = Self { file, text, variables, values, problems: RefCell::default() };
        variables.problems.iter().for_each(|(place, text)| source.wrong(*place, text));
        source
    }

    /// Notes a problem at a place.
    pub fn wrong(&self, at: Place, text: impl Into<String>) {
        let place = match at {
            Place::Text(at) => {
                let before = &self.text[..self.text.floor_char_boundary(at)];
                let line = before.matches('\n').count() + 1;
                let column = before.rsplit('\n').next().map_or(0, |l| l.chars().count()) + 1;
                error::Place::File { file: self.file.clone(), line, column }
            }
            Place::Variable(n) => error::Place::Variable(self.variables.names[n].clone()),
        };
        self.problems.borrow_mut().push((at, Problem { place, text: text.into() }));
    }

    /// The value that the environment has for a key.
    fn variable(&self, path: &str) -> Option<Found<'_, 'a>> {
        let (_, value) = self.values.iter().find(|(key, _)| key.get_ref() == path)?;
        let line = self.variables.toml[..value.span().start].matches('\n').count();
        Some(Found { value: value.get_ref(), at: Place::Variable(line), path: path.to_owned() })
    }

    /// Whether there is a problem of a key, or of something in it: then its value is not the one that was written.
    fn is_wrong(&self, path: &str) -> bool {
        let of_key = |problem: &Problem| {
            let rest = problem.text.strip_prefix(path);
            rest.is_some_and(|rest| rest.starts_with([':', '[']))
        };
        self.problems.borrow().iter().any(|(_, problem)| of_key(problem))
    }

    /// All problems in the order of the text.
    pub fn problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|(at, _)| *at);
        // a value that is read twice is wrong once
        problems.dedup();
        problems.into_iter().map(|(_, problem)| problem).collect()
    }
}

impl Place {
    fn of(value: &Spanned<DeValue<'_>>) -> Self {
        Place::Text(value.span().start)
    }
}

/// A table, or the lack of one: then every value is its default.
pub struct Section<'s, 'a> {
    source: &'s Source<'a>,
    table: Option<&'s DeTable<'a>>,
    /// Where it stands in the file, for what is missing in it.
    at: Place,
    path: String,
    asked: RefCell<Vec<&'static str>>,
}

/// A value with its place.
pub struct Found<'s, 'a> {
    pub value: &'s DeValue<'a>,
    pub at: Place,
    pub path: String,
}

impl<'s, 'a> Section<'s, 'a> {
    pub fn new(source: &'s Source<'a>, table: Option<&'s DeTable<'a>>, at: Place, path: &str) -> Self {
        Self { source, table, at, path: path.to_owned(), asked: RefCell::default() }
    }

    pub fn source(&self) -> &'s Source<'a> {
        self.source
    }

    pub fn at(&self) -> Place {
        self.at
    }

    /// The path of a key in it.
    pub fn key(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The value under a key.
    pub fn get(&self, key: &'static str) -> Option<Found<'s, 'a>> {
        self.asked.borrow_mut().push(key);
        if let Some(found) = self.source.variable(&self.key(key)) {
            return Some(found);
        }
        let (_, value) = self.table?.iter().find(|(k, _)| k.get_ref() == key)?;
        Some(Found { value: value.get_ref(), at: Place::of(value), path: self.key(key) })
    }

    /// Everything that is written in it, but for some keys.
    pub fn written(&self, without: &[&str]) -> serde_json::Map<String, serde_json::Value> {
        let entries = self.table.into_iter().flat_map(|table| table.iter());
        let entries = entries.filter(|(key, _)| !without.contains(&key.get_ref().as_ref()));
        let value = |(key, value): (&Spanned<_>, &'s Spanned<DeValue<'a>>)| {
            let key: &std::borrow::Cow<'_, str> = key.get_ref();
            let found = Found { value: value.get_ref(), at: Place::of(value), path: self.key(key) };
            (key.to_string(), to_json(&found, self.source))
        };
        entries.map(value).collect()
    }

    /// Where a value is written, by its path: `plugin[2].limits.cpu_ms`. Asked of the root.
    pub fn place(&self, path: &str) -> Option<Place> {
        if let Some(found) = self.source.variable(path) {
            return Some(found.at);
        }
        let mut table = self.table?;
        let mut steps = path.split('.').peekable();
        while let Some(step) = steps.next() {
            let (key, index) = match step.split_once('[') {
                Some((key, index)) => (key, Some(index.trim_end_matches(']').parse::<usize>().ok()?)),
                None => (step, None),
            };
            let (_, mut value) = table.iter().find(|(k, _)| k.get_ref() == key)?;
            if let Some(index) = index {
                value = value.get_ref().as_array()?.get(index)?;
            }
            match (steps.peek(), value.get_ref()) {
                (None, _) => return Some(Place::of(value)),
                (Some(_), DeValue::Table(inner)) => table = inner,
                (Some(_), _) => return None,
            }
        }
        None
    }

    /// Notes that values do not go together, at the first of `paths` that is written. When one of them is wrong
    /// by itself, that is all that is said. Asked of the root.
    pub fn conflict(&self, paths: &[&str], text: &str) {
        if paths.iter().any(|path| self.source.is_wrong(path)) {
            return;
        }
        let written = paths.iter().find_map(|path| Some((path, self.place(path)?)));
        let (path, at) = written.unwrap_or((&paths[0], self.at));
        self.source.wrong(at, format!("{path}: {text}"));
    }

    /// A table under a key.
    pub fn section(&self, key: &'static str) -> Section<'s, 'a> {
        let (table, at) = match self.get(key) {
            Some(Found { value: DeValue::Table(table), at, .. }) => (Some(table), at),
            Some(found) => {
                self.expected(&found, "a table");
                (None, found.at)
            }
            None => (None, self.at),
        };
        Section::new(self.source, table, at, &self.key(key))
    }

    /// Tables under a key: `[[key]]`.
    pub fn sections(&self, key: &'static str) -> Vec<Section<'s, 'a>> {
        let Some(found) = self.get(key) else { return Vec::new() };
        let DeValue::Array(items) = found.value else {
            self.expected(&found, &format!("tables, each under [[{key}]]"));
            return Vec::new();
        };
        let mut sections = Vec::new();
        for (n, item) in items.iter().enumerate() {
            let path = format!("{}[{n}]", found.path);
            match item.get_ref() {
                DeValue::Table(table) => sections.push(Section::new(self.source, Some(table), Place::of(item), &path)),
                value => {
                    let text = format!("{path}: expected a table under [[{key}]], found {}", describe(value));
                    self.source.wrong(Place::of(item), text);
                }
            }
        }
        sections
    }

    pub fn boolean(&self, key: &'static str, default: bool) -> bool {
        let Some(found) = self.get(key) else { return default };
        found.value.as_bool().unwrap_or_else(|| {
            self.expected(&found, "true or false");
            default
        })
    }

    /// A string that `parse` takes; `what` says in words which one.
    pub fn parsed<T>(&self, key: &'static str, what: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let found = self.get(key)?;
        let parsed = found.value.as_str().and_then(parse);
        if parsed.is_none() {
            self.expected(&found, what);
        }
        parsed
    }

    /// One of some words.
    pub fn choice<T: Copy>(&self, key: &'static str, words: &[(&str, T)], default: T) -> T {
        let Some(found) = self.get(key) else { return default };
        let known = found.value.as_str().and_then(|text| words.iter().find(|(word, _)| *word == text));
        known.map_or_else(
            || {
                self.expected(&found, &self::words(words.iter().map(|(word, _)| *word)));
                default
            },
            |(_, value)| *value,
        )
    }

    /// A whole number in a range.
    pub fn number(&self, key: &'static str, range: Range<u64>, default: u64) -> u64 {
        let Some(found) = self.get(key) else { return default };
        let last = range.end - 1;
        let number = found
            .value
            .as_integer()
            .and_then(|i| u64::from_str_radix(i.as_str(), i.radix()).ok().filter(|n| range.contains(n)));
        number.unwrap_or_else(|| {
            let what = match key.rsplit('_').next() {
                Some("ms") => "milliseconds",
                Some("bytes") => "bytes",
                _ => "a whole number",
            };
            self.expected(&found, &format!("{what} from {} to {last}", range.start));
            default
        })
    }

    pub fn count(&self, key: &'static str, range: Range<u64>, default: usize) -> usize {
        self.number(key, range, default as u64) as usize
    }

    pub fn duration(&self, key: &'static str, range: Range<u64>, default: Duration) -> Duration {
        Duration::from_millis(self.number(key, range, default.as_millis() as u64))
    }

    /// Strings, none twice, each read by `read`, whose error says what would be right.
    pub fn list<T>(&self, key: &'static str, read: impl Fn(&str) -> Result<T, String>) -> Option<Vec<T>> {
        let found = self.get(key)?;
        let DeValue::Array(items) = found.value else {
            self.expected(&found, "a list of strings");
            return None;
        };
        let mut read_items = Vec::new();
        for (n, item) in items.iter().enumerate() {
            let path = format!("{}[{n}]", found.path);
            match item.get_ref().as_str() {
                None => self
                    .source
                    .wrong(Place::of(item), format!("{path}: expected a string, found {}", describe(item.get_ref()))),
                Some(text) => match read(text) {
                    Ok(_) if items[..n].iter().any(|other| other.get_ref().as_str() == Some(text)) => {
                        self.source.wrong(Place::of(item), format!("{path}: stands in the list twice"));
                    }
                    Ok(value) => read_items.push(value),
                    Err(text) => self.source.wrong(Place::of(item), format!("{path}: {text}")),
                },
            }
        }
        Some(read_items)
    }

    /// Notes that a list is empty, unless what was written in it is wrong anyway.
    pub fn empty(&self, key: &'static str, right: &str) {
        let Some(found) = self.get(key) else { return };
        if found.value.as_array().is_some_and(|items| items.is_empty()) {
            self.source.wrong(found.at, format!("{}: the list is empty; {right}", found.path));
        }
    }

    /// Notes that a value is of the wrong kind.
    pub fn expected(&self, found: &Found<'_, '_>, what: &str) {
        self.source.wrong(found.at, format!("{}: expected {what}, found {}", found.path, describe(found.value)));
    }

    /// Notes keys that nobody has asked for.
    pub fn finish(self) {
        let asked = self.asked.borrow();
        for (key, _) in self.table.into_iter().flatten() {
            let name: &str = key.get_ref();
            if asked.contains(&name) {
                continue;
            }
            let hint = hint(name, &self.path, &asked);
            self.source.wrong(Place::Text(key.span().start), format!("{}: unknown key, {hint}", self.key(name)));
        }
    }
}

/// `"a", "b" or "c"`.
pub fn words<'w>(words: impl Iterator<Item = &'w str>) -> String {
    let quoted: Vec<String> = words.map(|word| format!("\"{word}\"")).collect();
    match quoted.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        _ => quoted.concat(),
    }
}

/// A value as an error names it.
fn describe(value: &DeValue<'_>) -> String {
    const SHOWN_MAX: usize = 40;
    match value {
        DeValue::String(text) => {
            let cut = if text.chars().count() > SHOWN_MAX { "…" } else { "" };
            format!("\"{}{cut}\"", text.chars().take(SHOWN_MAX).collect::<String>().escape_debug())
        }
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.as_str().to_owned(),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(_) => "a date".into(),
        DeValue::Array(_) => "a list".into(),
        DeValue::Table(_) => "a table".into(),
    }
}

/// A table that belongs to a plugin, as JSON; times become text. Notes what JSON cannot say.
pub fn to_json(found: &Found<'_, '_>, source: &Source<'_>) -> serde_json::Value {
    let inner = |value: &Spanned<DeValue<'_>>, path: String| {
        to_json(&Found { value: value.get_ref(), at: Place::of(value), path }, source)
    };
    let number = match found.value {
        DeValue::String(text) => return text.as_ref().into(),
        DeValue::Boolean(value) => return (*value).into(),
        DeValue::Datetime(date) => return date.to_string().into(),
        DeValue::Array(items) => {
            return items.iter().enumerate().map(|(n, item)| inner(item, format!("{}[{n}]", found.path))).collect();
        }
        DeValue::Table(table) => {
            let entries = table.iter().map(|(key, value)| (key.get_ref().to_string(), value));
            return entries.map(|(key, value)| (key.clone(), inner(value, format!("{}.{key}", found.path)))).collect();
        }
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok().map(Into::into),
        DeValue::Float(number) => number.as_str().parse().ok().and_then(serde_json::Number::from_f64).map(Into::into),
    };
    number.unwrap_or_else(|| {
        let what = "a whole number of 64 bits or a finite fraction";
        source.wrong(found.at, format!("{}: expected {what}, found {}", found.path, describe(found.value)));
        serde_json::Value::Null
    })
}
