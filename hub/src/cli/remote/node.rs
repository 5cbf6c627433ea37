//! `hubbub node`: what runs there.

use super::{
    Outcome, Remote,
    client::Call,
    table::{cell, facts},
};

/// What a node is and has.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct NodeArgs {
    #[command(flatten)]
    remote: Remote,
}

/// Runs the command.
pub(in crate::cli) fn run(args: &NodeArgs) -> Outcome {
    const KEYS: [(&str, &str); 13] = [
        ("version", "version"),
        ("plugin ABI", "abi"),
        ("pid", "pid"),
        ("up seconds", "uptime_seconds"),
        ("revision", "revision"),
        ("plugins", "plugins"),
        ("connections", "connections"),
        ("sockets", "sockets"),
        ("namespaces", "namespaces"),
        ("rooms", "rooms"),
        ("users", "users"),
        ("bus bytes", "bus_queued_bytes"),
        ("ready", "ready"),
    ];
    let answer = args.remote.client()?.call(Call::get("/v1/node"))?;
    args.remote.show(&answer, |node| {
        let shown: Vec<(&str, String)> = KEYS.iter().map(|(name, key)| (*name, cell(&node[*key]))).collect();
        facts(&shown)
    });
    Ok(())
}
