//! `hubbub plugin`: from a first crate to a signed file, and to what a running node does with it.

mod check;
mod keygen;
mod new;
mod sign;

use std::{fs::File, io::Read as _, path::Path, process::ExitCode};

use anyhow::Context;
use clap::Subcommand;

use super::remote;
use crate::plugin::artifact::FILE_MAX_BYTES;

/// Plugins: made, looked at and signed here; pushed to a running node and set there.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

// one lives as long as the process, so its size is nothing
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Subcommand)]
enum Command {
    Check(check::Args),
    New(new::Args),
    Keygen(keygen::Args),
    Sign(sign::Args),
    #[command(flatten)]
    Remote(remote::plugin::PluginCommand),
}

/// Runs the command.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Check(args) => check::run(args).await,
        Command::New(args) => new::run(args),
        Command::Keygen(args) => keygen::run(args),
        Command::Sign(args) => sign::run(args),
        Command::Remote(command) => Ok(remote::exit(remote::plugin::run(command))),
    }
}

/// A plugin's file; one that no hub would take is not read.
fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let reading = || format!("cannot read `{}`", file.display());
    let mut bytes = Vec::new();
    File::open(file).and_then(|f| f.take(FILE_MAX_BYTES as u64 + 1).read_to_end(&mut bytes)).with_context(reading)?;
    anyhow::ensure!(
        bytes.len() <= FILE_MAX_BYTES,
        "`{}` has more than the {FILE_MAX_BYTES} bytes allowed",
        file.display()
    );
    Ok(bytes)
}
