//! What plugins say, and what the hub says of them: the last of it by plugin, and all of it as it comes.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use parking_lot::Mutex;
use serde::Serialize;

use super::{
    feed::{Feed, Subscription, TooMany},
    serialize,
};
use crate::event::{SocketId, Text, now_ms};

/// Plugins whose lines are kept, those that are gone included; beyond it who was silent the longest is forgotten.
const PLUGINS_MAX: usize = 256;
/// Of one line; longer ones, as backtraces are, are cut.
const LINE_MAX_BYTES: usize = 8192;
/// What a line counts beside its text.
const LINE_BYTES: usize = 128;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Milliseconds since the Unix epoch.
    pub time_ms: u64,
    #[serde(serialize_with = "serialize::text")]
    pub plugin: Text,
    #[serde(serialize_with = "serialize::text")]
    pub version: Text,
    /// The hook that ran, or `init`, or `breaker`.
    pub hook: &'static str,
    pub level: Level,
    pub text: String,
    /// Whose event it was.
    #[serde(serialize_with = "serialize::socket", skip_serializing_if = "Option::is_none")]
    pub socket: Option<SocketId>,
}

/// How much is kept of each plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub lines_max: usize,
    pub max_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { lines_max: 1000, max_bytes: 256 << 10 }
    }
}

/// One plugin, or all.
pub type Filter = Option<Text>;
/// Lines as they come.
pub type Following = Subscription<Filter, Line>;

/// The lines of all plugins of a node. They are kept by name, over swaps and removals.
pub struct PluginLogs {
    limits: Limits,
    kept: Mutex<HashMap<Text, Kept>>,
    feed: Feed<Filter, Line>,
}

#[derive(Default)]
struct Kept {
    lines: VecDeque<Arc<Line>>,
    bytes: usize,
}

impl PluginLogs {
    /// Empty logs, which at most so many may follow at once.
    pub fn new(limits: Limits, followers_max: usize) -> Self {
        Self { limits, kept: Mutex::default(), feed: Feed::new(followers_max) }
    }

    /// Up to `n` last lines of a plugin, the oldest first.
    pub fn last(&self, plugin: &str, n: usize) -> Vec<Arc<Line>> {
        last(&self.kept.lock(), plugin, n)
    }

    /// All lines from now on, of one plugin or of all.
    ///
    /// # Errors
    /// When too many follow already.
    pub fn subscribe(&self, plugin: Filter) -> Result<Following, TooMany> {
        self.feed.subscribe(plugin)
    }

    /// The last lines of a plugin and all from now on, none left out between them and none twice.
    ///
    /// # Errors
    /// When too many follow already.
    pub fn follow(&self, plugin: Text, n: usize) -> Result<(Vec<Arc<Line>>, Following), TooMany> {
        let kept = self.kept.lock();
        let lines = last(&kept, &plugin, n);
        Ok((lines, self.feed.subscribe(Some(plugin))?))
    }

    fn write(&self, line: Line) {
        let line = Arc::new(line);
        let mut kept = self.kept.lock();
        if !kept.contains_key(&line.plugin) && kept.len() >= PLUGINS_MAX {
            let silent = kept.iter().min_by_key(|(_, kept)| kept.lines.back().map_or(0, |line| line.time_ms));
            if let Some(plugin) = silent.map(|(plugin, _)| plugin.clone()) {
                kept.remove(&plugin);
            }
        }
        kept.entry(line.plugin.clone()).or_default().push(line.clone(), self.limits);
        // under the lock, so that who follows has each line once
        self.feed.publish(&line, |filter| filter.as_ref().is_none_or(|plugin| *plugin == line.plugin));
    }
}

impl Default for PluginLogs {
    fn default() -> Self {
        Self::new(Limits::default(), super::FOLLOWERS_MAX)
    }
}

fn last(kept: &HashMap<Text, Kept>, plugin: &str, n: usize) -> Vec<Arc<Line>> {
    let lines = kept.get(plugin).map(|kept| &kept.lines);
    lines.into_iter().flat_map(|lines| lines.iter().skip(lines.len().saturating_sub(n))).cloned().collect()
}

impl Kept {
    fn push(&mut self, line: Arc<Line>, limits: Limits) {
        self.bytes += line.text.len() + LINE_BYTES;
        self.lines.push_back(line);
        while self.lines.len() > limits.lines_max || self.bytes > limits.max_bytes {
            let Some(first) = self.lines.pop_front() else { break };
            self.bytes -= first.text.len() + LINE_BYTES;
        }
    }
}

/// One plugin's way to its lines.
#[derive(Clone)]
pub struct Voice {
    logs: Arc<PluginLogs>,
    plugin: Text,
    version: Text,
}

impl Voice {
    /// Lines of this plugin in this version.
    pub fn new(logs: Arc<PluginLogs>, plugin: Text, version: Text) -> Self {
        Self { logs, plugin, version }
    }

    pub fn plugin(&self) -> &Text {
        &self.plugin
    }

    pub fn version(&self) -> &Text {
        &self.version
    }

    /// Writes a line.
    pub fn say(&self, hook: &'static str, level: Level, socket: Option<SocketId>, text: &str) {
        let text = &text[..text.floor_char_boundary(LINE_MAX_BYTES)];
        self.logs.write(Line {
            time_ms: now_ms(),
            plugin: self.plugin.clone(),
            version: self.version.clone(),
            hook,
            level,
            text: text.to_owned(),
            socket,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::{super::feed::Told, *};

    fn logs(lines_max: usize, max_bytes: usize) -> Arc<PluginLogs> {
        Arc::new(PluginLogs::new(Limits { lines_max, max_bytes }, 2))
    }

    fn say(logs: &Arc<PluginLogs>, plugin: &str, text: &str) {
        Voice::new(logs.clone(), plugin.into(), "1.0.0".into()).say("on_message", Level::Info, None, text);
    }

    fn texts(lines: &[Arc<Line>]) -> Vec<&str> {
        lines.iter().map(|line| line.text.as_str()).collect()
    }

    #[test]
    fn the_last_lines_of_each_plugin_are_kept() {
        let logs = logs(3, 1 << 20);
        for n in 1..=5 {
            say(&logs, "a", &n.to_string());
        }
        say(&logs, "b", "other");
        assert_eq!(texts(&logs.last("a", 100)), ["3", "4", "5"]);
        assert_eq!(texts(&logs.last("a", 1)), ["5"]);
        assert_eq!(texts(&logs.last("b", 100)), ["other"]);
        assert!(logs.last("c", 100).is_empty());
    }

    #[test]
    fn bytes_are_bounded_too() {
        let logs = logs(1000, 10_000);
        for _ in 0..100 {
            say(&logs, "a", &"x".repeat(1000));
        }
        assert_eq!(logs.last("a", 1000).len(), 8, "1128 bytes each");
        say(&logs, "a", &"y".repeat(1 << 20));
        let kept = logs.last("a", 1000);
        assert_eq!(kept.last().map(|line| line.text.len()), Some(LINE_MAX_BYTES));
        assert!(kept.iter().map(|line| line.text.len() + LINE_BYTES).sum::<usize>() <= 10_000);
    }

    #[test]
    fn plugins_without_end_are_forgotten_again() {
        let logs = logs(10, 1000);
        for n in 0..PLUGINS_MAX + 50 {
            say(&logs, &format!("p{n}"), "x");
        }
        assert_eq!(logs.kept.lock().len(), PLUGINS_MAX);
        assert_eq!(logs.last(&format!("p{}", PLUGINS_MAX + 49), 1).len(), 1);
    }

    #[tokio::test]
    async fn who_follows_has_each_line_once() {
        let logs = logs(10, 10_000);
        (0..3).for_each(|n| say(&logs, "a", &n.to_string()));
        let (before, mut behind) = logs.follow("a".into(), 2).unwrap();
        assert_eq!(texts(&before), ["1", "2"]);
        say(&logs, "b", "not asked for");
        say(&logs, "a", "3");
        let Told::Record(line) = behind.next().await else { panic!("nothing was missed") };
        assert_eq!(line.text, "3");
        let _all = logs.subscribe(None).unwrap();
        assert!(logs.subscribe(None).is_err());
    }

    #[test]
    fn a_line_is_json() {
        let logs = logs(10, 10_000);
        let voice = Voice::new(logs.clone(), "a".into(), "1.0.0".into());
        let socket = SocketId::random();
        voice.say("on_join", Level::Warn, Some(socket), "careful");
        let line = &logs.last("a", 1)[0];
        let expected = format!(
            r#"{{"time_ms":{},"plugin":"a","version":"1.0.0","hook":"on_join","level":"warn","text":"careful","socket":"{socket}"}}"#,
            line.time_ms
        );
        assert_eq!(serde_json::to_string(&**line).unwrap(), expected);
    }
}
