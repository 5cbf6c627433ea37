//! The command line over a running node's admin API.

pub(super) mod chain;
mod client;
pub(super) mod node;
pub(super) mod plugin;
pub(super) mod publish;
mod settings;
pub(super) mod sockets;
pub(super) mod stream;
mod table;

use std::{fmt, path::PathBuf, process::ExitCode};

use serde_json::Value;

use self::client::Client;
use super::{USAGE, fail, say, terminal::plain_json};

/// How a command over the API ends, for `--help`.
pub(super) const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 refused or failed; 2 the command line is wrong; 3 the chain was changed by somebody else meanwhile;
4 the node cannot be reached, or the token may not do this.

The API speaks plain HTTP. To a node on another machine go through an SSH tunnel (ssh -L 3001:127.0.0.1:3001 HOST) or a
proxy that adds TLS on its side.";

/// Which node, and who asks.
#[derive(Clone, clap::Args)]
pub(super) struct Remote {
    /// The node's admin API
    #[arg(long, value_name = "URL", env = "HUBBUB_ADMIN_URL", default_value = "http://127.0.0.1:3001")]
    url: String,

    /// The token; others on this machine can see it in the list of processes: better in the environment, or in a file
    #[arg(long, value_name = "TOKEN", env = "HUBBUB_ADMIN_TOKEN", hide_env_values = true)]
    token: Option<String>,

    /// A file that holds the token, in place of --token
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").field("url", &self.url).field("json", &self.json).finish_non_exhaustive()
    }
}

/// What a change of the chain may add.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct ChangeArgs {
    /// Make the change only if this revision of the chain is in force
    #[arg(long, value_name = "REVISION")]
    base: Option<u64>,

    /// Why, for the history
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
}

impl ChangeArgs {
    fn query(&self) -> Vec<(&'static str, String)> {
        let base = self.base.map(|base| ("base", base.to_string()));
        let why = self.why.clone().map(|why| ("why", why));
        base.into_iter().chain(why).collect()
    }
}

/// Why a command did not do what was asked. Each has an exit code of its own.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The node said no, or could not.
    Refused(String),
    /// The command line, or a file that it names, is wrong.
    Usage(String),
    /// Somebody else was first.
    Conflict(String),
    /// Nobody is there, or they do not let us.
    Unreachable(String),
}

impl Failure {
    fn code(&self) -> u8 {
        match self {
            Failure::Refused(_) => 1,
            Failure::Usage(_) => USAGE,
            Failure::Conflict(_) => 3,
            Failure::Unreachable(_) => 4,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Failure::Refused(text) | Failure::Usage(text) | Failure::Conflict(text) | Failure::Unreachable(text)) =
            self;
        f.write_str(text)
    }
}

/// What a command has to say.
pub(super) type Outcome = Result<(), Failure>;

/// The end of the process.
pub(super) fn exit(outcome: Outcome) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => fail(failure.code().into(), failure),
    }
}

impl Remote {
    fn client(&self) -> Result<Client, Failure> {
        Client::new(&self.url, self.token.as_deref(), self.token_file.as_deref())
    }

    /// Prints an answer, for programs or for people.
    fn show(&self, answer: &Value, text: impl FnOnce(&Value) -> String) {
        match self.json {
            true => say(plain_json(&format!("{answer:#}"))),
            false => say(text(answer).trim_end()),
        }
    }
}
