//! The command line: what can be asked of the binary, and how it ends.

mod bench;
mod dev;
mod logging;
mod open_files;
mod plugin;
mod remote;
mod serve;
mod terminal;
mod token;

use std::{
    fmt::Display,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use crate::config::{Config, Overrides};

/// The exit code when the command line or the config is wrong, as clap has it. What fails later ends with 1.
const USAGE: u8 = 2;

/// Hubbub, a realtime event hub: clients speak Socket.IO, WebAssembly plugins decide.
#[derive(Debug, Parser)]
#[command(name = "hubbub", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

// one lives as long as the process, so its size is nothing
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Subcommand)]
enum Command {
    /// Run a node
    Serve(serve::Args),
    /// Look at a config
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Plugins: what a file is, and those of a running node
    #[command(after_help = remote::EXIT_CODES)]
    Plugin(plugin::Args),
    Dev(dev::Args),
    /// The chain of a running node: what it is, what it was, and the way back
    #[command(subcommand, after_help = remote::EXIT_CODES)]
    Chain(remote::chain::ChainCommand),
    /// The sockets of a running node
    #[command(subcommand, after_help = remote::EXIT_CODES)]
    Socket(remote::sockets::SocketCommand),
    /// The users of a running node
    #[command(subcommand, after_help = remote::EXIT_CODES)]
    User(remote::sockets::UserCommand),
    /// The rooms of a running node
    #[command(subcommand, after_help = remote::EXIT_CODES)]
    Room(remote::sockets::RoomCommand),
    /// Send an event to clients of a running node, through the chain
    #[command(after_help = remote::EXIT_CODES)]
    Publish(remote::publish::PublishArgs),
    /// Watch events on their way down the chain of a running node
    #[command(after_help = remote::EXIT_CODES)]
    Trace(remote::stream::TraceArgs),
    /// What operators did to a running node
    #[command(after_help = remote::EXIT_CODES)]
    Audit(remote::stream::AuditArgs),
    /// What a running node is and has
    #[command(after_help = remote::EXIT_CODES)]
    Node(remote::node::NodeArgs),
    /// Tokens for the admin API
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Print a shell's completions, as for `source <(hubbub completions bash)`
    Completions {
        shell: Shell,
    },
    /// Load a Socket.IO server and check what it delivers
    Bench(bench::Args),
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Print what is in force with this file and the environment, or everything that is wrong with them
    Check {
        /// The file
        #[arg(value_name = "FILE", default_value = "hub.toml")]
        file: PathBuf,
    },
}

/// Runs the command that the process was started with. Errors are one line each on standard error; the exit code is 2
/// when the command line or the config is wrong, 1 for everything else that fails; `hubbub plugin --help` has more.
pub fn main() -> ExitCode {
    let ended = match Cli::parse().command {
        Command::Serve(args) => return serve::run(args),
        Command::Config(ConfigCommand::Check { file }) => return check_config(&file),
        Command::Plugin(args) => block_on(plugin::run(args)),
        Command::Dev(args) => block_on(dev::run(args)),
        // it has threads and runtimes of its own
        Command::Bench(args) => bench::run(args),
        Command::Chain(command) => return remote::exit(remote::chain::run(command)),
        Command::Socket(command) => return remote::exit(remote::sockets::run(command)),
        Command::User(command) => return remote::exit(remote::sockets::run_user(command)),
        Command::Room(command) => return remote::exit(remote::sockets::run_room(command)),
        Command::Publish(args) => return remote::exit(remote::publish::run(args)),
        Command::Trace(args) => return remote::exit(remote::stream::trace(args)),
        Command::Audit(args) => return remote::exit(remote::stream::audit(&args)),
        Command::Node(args) => return remote::exit(remote::node::run(&args)),
        Command::Token(command) => return token::run(command),
        Command::Completions { shell } => return completions(shell),
    };
    ended.unwrap_or_else(|error| fail(ExitCode::FAILURE, format_args!("{error:#}")))
}

fn block_on(command: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(command)
}

fn check_config(file: &Path) -> ExitCode {
    match Config::load(file, Overrides::of_environment()) {
        Ok(config) => {
            let effective = toml::to_string_pretty(&config.effective());
            say(effective.expect("text, numbers, lists and tables are TOML").trim_end());
            ExitCode::SUCCESS
        }
        Err(error) => fail(USAGE.into(), format_args!("{:#}", anyhow::Error::from(error))),
    }
}

fn completions(shell: Shell) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "hubbub", &mut script);
    say(String::from_utf8_lossy(&script).trim_end());
    ExitCode::SUCCESS
}

/// Writes lines to standard output. Who reads no further, as `head` does, has read enough.
fn say(text: impl Display) {
    say_on(text);
}

/// The same, for who has more to say: false, nobody would read it.
fn say_on(text: impl Display) -> bool {
    let said = writeln!(io::stdout().lock(), "{text}");
    if let Err(error) = &said
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        eprintln!("cannot write to standard output: {error}");
    }
    said.is_ok()
}

/// Says why the process ends. What a plugin said may be part of it.
fn fail(code: ExitCode, error: impl Display) -> ExitCode {
    eprintln!("{}", terminal::plain_lines(&error.to_string()));
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
