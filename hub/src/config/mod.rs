//! What an operator decides: `hub.toml` and flags, read once into a checked [`Config`].

mod admin;
mod check;
mod effective;
mod error;
mod file;
mod hint;
mod section;
#[cfg(test)]
mod tests;
mod variables;

use std::{fmt, net::SocketAddr, ops::Range, path::PathBuf, time::Duration};

use serde_json::{Map, Value};

use self::variables::Variables;
pub use self::{
    admin::{Admin, AdminToken, Role},
    effective::{is_secret, masked},
    error::{ConfigError, Place, Problem},
    file::is_plugin_name,
};
use crate::{
    gateway::{
        socketio::Encoding,
        transport::{IpNetwork, Origins},
    },
    pattern::Pattern,
    pipeline::{breaker, chain::Policy},
    plugin::settings::{Capability, Limits as PluginLimits},
    signature::TrustedKeys,
    store,
};

/// How many threads a node's runtime may have.
pub(crate) const WORKERS: Range<u64> = 1..1025;

/// A node's settings, checked: what is here can be used as it is.
#[derive(Clone, Debug)]
pub struct Config {
    pub server: Server,
    pub limits: Limits,
    pub namespaces: Namespaces,
    pub recovery: Recovery,
    /// `[store]`: what plugins keep.
    pub store: store::Limits,
    pub engine: Engine,
    pub registry: Registry,
    pub log: Log,
    pub admin: Admin,
    /// `[signatures]`: whose plugins are loaded.
    pub trusted_keys: TrustedKeys,
    /// `[plugin_defaults]`: of a plugin that says nothing else.
    pub plugin_defaults: PluginDefaults,
    /// In the order of the chain.
    pub plugins: Vec<PluginConfig>,
}

/// `[server]` and `[server.cors]`.
#[derive(Clone, Debug)]
pub struct Server {
    pub listen: SocketAddr,
    /// With a slash at both ends.
    pub path: String,
    pub parser: Encoding,
    pub polling: bool,
    pub websocket: bool,
    pub allow_upgrades: bool,
    pub ping_interval: Duration,
    pub ping_timeout: Duration,
    pub upgrade_timeout: Duration,
    /// Zero: a client need not join a namespace.
    pub connect_timeout: Duration,
    pub close_timeout: Duration,
    pub header_read_timeout: Duration,
    pub body_timeout: Duration,
    pub handshake_timeout: Duration,
    pub keep_alive_idle_timeout: Duration,
    pub trusted_proxies: Vec<IpNetwork>,
    pub static_dir: Option<PathBuf>,
    /// Where state is kept; `None`: nowhere, it ends with the process.
    pub data_dir: Option<PathBuf>,
    /// Threads of the runtime; `None`: one for each core.
    pub workers: Option<usize>,
    pub origins: Origins,
    pub credentials: bool,
}

/// `[limits]`.
#[derive(Clone, Debug)]
pub struct Limits {
    pub max_payload_bytes: usize,
    /// Packets in one answer of long polling.
    pub polling_packets_max: usize,
    pub send_queue_max_bytes: usize,
    pub connections_max: usize,
    /// 0: no limit.
    pub connections_per_address_max: usize,
    pub namespaces_per_connection_max: usize,
    pub namespaces_max: usize,
    pub namespace_max_bytes: usize,
    pub rooms_per_socket_max: usize,
    /// Of an event, whether a client or a plugin names it.
    pub event_name_max_bytes: usize,
    pub room_name_max_bytes: usize,
    pub user_id_max_bytes: usize,
    pub role_name_max_bytes: usize,
    /// Roles of one user.
    pub roles_max: usize,
    pub attachments_max: usize,
    /// Effects of one event, over all plugins.
    pub effects_max: usize,
    pub orders_pending_max: usize,
    pub asks_pending_max: usize,
    /// Messages that one room keeps for those who join later, whatever plugins ask for.
    pub retained_per_room_max: usize,
    /// Of all rooms.
    pub retained_max_bytes: usize,
    pub bus_queue_max_bytes: usize,
    pub bus_append_timeout: Duration,
    /// The whole chain of one event.
    pub chain_timeout: Duration,
    /// From the signal to end until who is left is cut.
    pub shutdown_grace: Duration,
}

/// `[namespaces]`.
#[derive(Clone, Debug)]
pub struct Namespaces {
    /// Those that come to be when a client names them.
    pub allow: Vec<Pattern>,
}

/// `[recovery]`: sockets that come back after a lost connection.
#[derive(Clone, Debug)]
pub struct Recovery {
    /// Where they may. Events carry an offset there, as one more argument.
    pub namespaces: Vec<Pattern>,
    /// From the loss of a connection until the socket leaves; zero: at once, nobody comes back.
    pub window: Duration,
    /// Sockets without a connection; beyond it the oldest leave early.
    pub suspended_max: usize,
    /// What is kept for those who miss it.
    pub log_max_bytes: usize,
}

/// `[engine]`: what all plugins share.
#[derive(Clone, Debug)]
pub struct Engine {
    pub instances_max: u32,
    pub memory_max_bytes: usize,
    pub stack_max_bytes: usize,
    /// What authenticates compiled code; `None`: a key of this process alone, the next one compiles again.
    pub cache_key_file: Option<PathBuf>,
    /// Compiled code that is kept.
    pub cache_max_bytes: u64,
}

/// `[registry]`: what plugins there are.
#[derive(Clone, Debug)]
pub struct Registry {
    /// Of all plugins' files together.
    pub artifacts_max_bytes: u64,
    /// Of the chain, as far as a rollback can go.
    pub revisions_max: u64,
    /// Whether the file's plugins are taken in place of the chain that the registry has: a flag's matter.
    pub reset: bool,
}

/// `[log]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// A level, or levels by target: `info,hub::plugin=debug`. Checked: `tracing` takes it.
    pub level: String,
    pub format: LogFormat,
}

impl Log {
    /// What a level must be, in words.
    pub(crate) const LEVELS: &str =
        "a level (off, error, warn, info, debug, trace), or levels by target as in \"info,hub::plugin=debug\"";

    /// `text`, when it is a level or levels by target. A misspelt level would pass as a target with `tracing` itself.
    pub(crate) fn parse_level(text: &str) -> Option<String> {
        const WORDS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
        let is_target = |target: &str| {
            !target.is_empty() && target.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '-'))
        };
        let is_directive = |directive: &str| match directive.split_once('=') {
            Some((target, level)) => is_target(target) && WORDS.contains(&level),
            None => WORDS.contains(&directive),
        };
        text.split(',').all(is_directive).then(|| text.to_owned())
    }
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    Text,
    Json,
}

impl LogFormat {
    /// The formats by their names.
    pub(crate) const WORDS: [(&str, LogFormat); 3] =
        [("auto", LogFormat::Auto), ("text", LogFormat::Text), ("json", LogFormat::Json)];
}

/// `[plugin_defaults]`.
#[derive(Clone, Debug)]
pub struct PluginDefaults {
    pub limits: PluginLimits,
    pub breaker: breaker::Settings,
}

/// One `[[plugin]]`. Its `Debug` text shows nothing of what looks like a secret.
#[derive(Clone)]
pub struct PluginConfig {
    pub name: String,
    /// `None`: the registry has it.
    pub file: Option<PathBuf>,
    pub namespaces: Vec<Pattern>,
    pub enabled: bool,
    pub capabilities: Vec<Capability>,
    /// By [`crate::event::Kind`].
    pub policy: [Policy; 6],
    pub limits: PluginLimits,
    pub breaker: breaker::Settings,
    /// The plugin's own.
    pub config: Value,
    /// All keys of its table as they were written, without `name` and `file`.
    pub written: Map<String, Value>,
}

impl PluginConfig {
    /// What a name must be, in words.
    pub(crate) const NAMES: &str = "a name of 1 to 64 lower-case letters, digits and `-`";

    /// `text`, when a plugin may have it as its name.
    pub(crate) fn parse_name(text: &str) -> Option<String> {
        is_plugin_name(text).then(|| text.to_owned())
    }
}

impl fmt::Debug for PluginConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, file, namespaces, enabled, capabilities, policy, limits, breaker, config, written: _ } = self;
        f.debug_struct("PluginConfig")
            .field("name", name)
            .field("file", file)
            .field("namespaces", namespaces)
            .field("enabled", enabled)
            .field("capabilities", capabilities)
            .field("policy", policy)
            .field("limits", limits)
            .field("breaker", breaker)
            .field("config", &effective::masked(config))
            .finish()
    }
}

/// What flags and environment say over the file: flags over environment over file.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    pub listen: Option<SocketAddr>,
    pub log_level: Option<String>,
    pub log_format: Option<LogFormat>,
    pub workers: Option<usize>,
    /// Whether the file's plugins are taken in place of the chain that the registry has.
    pub reset_chain: bool,
    /// Where the admin API listens.
    pub admin: Option<SocketAddr>,
    /// Whether the admin API goes without a token on this machine.
    pub dev: bool,
    /// Variables of the environment with their values; below the others here.
    pub variables: Vec<(String, String)>,
}

impl Overrides {
    /// What this process's environment says, and nothing else.
    pub fn of_environment() -> Self {
        let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        let variables = std::env::vars_os().map(|(name, value)| (text(name), text(value)));
        Self { variables: variables.filter(|(name, _)| name.starts_with("HUBBUB_")).collect(), ..Self::default() }
    }
}

impl Default for Config {
    /// A node without plugins on 127.0.0.1:3000.
    fn default() -> Self {
        file::parse("", std::path::Path::new("hub.toml")).expect("an empty file is right")
    }
}

impl Config {
    /// Reads a file and lays the overrides over it.
    ///
    /// # Errors
    /// With everything that is wrong, in the order of lines.
    pub fn load(path: &std::path::Path, overrides: Overrides) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { file: path.display().to_string(), source })?;
        Self::parse(&text, path, overrides)
    }

    /// The defaults with the overrides over them: a node without a file.
    ///
    /// # Errors
    /// With everything that is wrong in the environment.
    pub fn without_file(overrides: Overrides) -> Result<Self, ConfigError> {
        Self::parse("", std::path::Path::new("hub.toml"), overrides)
    }

    /// Checks what is written of a plugin that the registry has, as if it stood in the file.
    ///
    /// # Errors
    /// With everything that is wrong, one line each: a key's path from the plugin's table on, and what would be right.
    pub fn placed(&self, name: &str, written: &Map<String, Value>) -> Result<PluginConfig, String> {
        file::placed(self, name, written)
    }

    /// What is in force, as it would stand in a file: without what looks like a secret.
    pub fn effective(&self) -> Value {
        effective::effective(self)
    }

    /// The same for the log: each table by its name, with its values as `key=value`.
    pub fn lines(&self) -> Vec<(String, String)> {
        effective::lines(self)
    }

    pub(crate) fn parse(text: &str, path: &std::path::Path, overrides: Overrides) -> Result<Self, ConfigError> {
        Ok(file::parse_under(text, path, &Variables::new(&overrides.variables))?.under(overrides))
    }

    fn under(mut self, overrides: Overrides) -> Self {
        self.server.listen = overrides.listen.unwrap_or(self.server.listen);
        self.server.workers = overrides.workers.or(self.server.workers);
        self.registry.reset = overrides.reset_chain;
        self.log.level = overrides.log_level.unwrap_or(self.log.level);
        self.log.format = overrides.log_format.unwrap_or(self.log.format);
        let developer = overrides.dev.then_some(Admin::DEVELOPER_LISTEN);
        self.admin.listen = overrides.admin.or(self.admin.listen).or(developer);
        self.admin.dev = overrides.dev;
        self
    }
}
