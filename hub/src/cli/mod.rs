//! The command line: what can be asked of the binary, and how it ends.

mod bench;
mod logging;
mod open_files;
mod plugin;
mod serve;

use std::{
    fmt::Display,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};

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
    /// Look at a plugin
    Plugin(plugin::Args),
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
/// when the command line or the config is wrong, 1 for everything else that fails.
pub fn main() -> ExitCode {
    let ended = match Cli::parse().command {
        Command::Serve(args) => return serve::run(args),
        Command::Config(ConfigCommand::Check { file }) => return check_config(&file),
        Command::Plugin(args) => block_on(plugin::run(args)),
        // it has threads and runtimes of its own
        Command::Bench(args) => bench::run(args),
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

/// Writes lines to standard output. Who reads no further, as `head` does, has read enough.
fn say(text: impl Display) {
    match writeln!(io::stdout().lock(), "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("cannot write to standard output: {error}")
        }
        _ => {}
    }
}

/// Says why the process ends.
fn fail(code: ExitCode, error: impl Display) -> ExitCode {
    eprintln!("{error}");
    code
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
