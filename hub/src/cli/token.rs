//! `hubbub token new`: a token for the admin API, shown once.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;

use super::{USAGE, fail, say};
use crate::{
    admin::{NewToken, new_token},
    config::is_plugin_name,
};

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Make a token, and print the lines of hub.toml that let it in
    New {
        /// Who it is for, as the chain's history will say
        #[arg(long, value_name = "NAME", default_value = "ops")]
        name: String,

        /// What it allows: read, or deploy, which may read too
        #[arg(long, value_name = "ROLE", default_value = "deploy", value_parser = ["read", "deploy"])]
        role: String,

        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Runs the command.
pub(super) fn run(TokenCommand::New { name, role, json }: TokenCommand) -> ExitCode {
    if !is_plugin_name(&name) {
        return fail(USAGE.into(), "--name: expected a name of 1 to 64 lower-case letters, digits and `-`");
    }
    let NewToken { secret, sha256 } = new_token();
    if json {
        say(format_args!("{:#}", json!({ "name": name, "role": role, "token": secret, "sha256": sha256 })));
        return ExitCode::SUCCESS;
    }
    say(format_args!(
        "# The token. It is shown this once: keep it where HUBBUB_ADMIN_TOKEN or --token-file finds it.\n\
         # {secret}\n\n\
         # For hub.toml, which holds its hash alone:\n\
         [[admin.token]]\nname = \"{name}\"\nrole = \"{role}\"\nsha256 = \"{sha256}\""
    ));
    ExitCode::SUCCESS
}
