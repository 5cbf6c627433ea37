//! `hubbub plugin keygen`: a key pair to sign plugins with.

use std::{
    fs::OpenOptions,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use serde_json::json;

use super::sign::given_password;
use crate::{
    cli::say,
    signature::making::{NewKey, Password},
};

/// Who may read and write the two files.
const SECRET_MODE: u32 = 0o600;
const PUBLIC_MODE: u32 = 0o644;

/// Make a key pair to sign plugins with
///
/// The secret key's password is asked for, unless HUBBUB_KEY_PASSWORD holds one. The files are those of minisign.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The secret key's file; the public key goes beside it, as .pub
    #[arg(long, value_name = "FILE", default_value = "hubbub.key")]
    key: PathBuf,

    /// Make a secret key without a password: who reads its file can sign
    #[arg(long)]
    no_password: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Writes the two files and says what a hub's config needs. Files that are there stay.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { key, no_password, json } = args;
    let public = key.with_extension("pub");
    anyhow::ensure!(
        public != key,
        "`{}` would be the public key: name the secret one, as in hubbub.key",
        key.display()
    );
    for file in [&key, &public] {
        anyhow::ensure!(!file.exists(), "`{}` is there already: name another one with --key", file.display());
    }
    let password = if no_password { Password::None } else { given_password()? };
    let made = NewKey::make(password).context("no key was made")?;
    write(&key, &made.secret_file, SECRET_MODE)?;
    write(&public, &made.public_file, PUBLIC_MODE)?;
    if json {
        let all =
            json!({ "id": made.id.to_string(), "public": made.public, "public_file": public, "secret_file": key });
        say(format_args!("{all:#}"));
    } else {
        say(format_args!("secret key  {}", key.display()));
        say(format_args!("public key  {}, id {}", public.display(), made.id));
        say(format_args!("\nSign:       hubbub plugin sign FILE.wasm --key {}", key.display()));
        say("A hub whose config has these lines loads only what this key has signed:\n\n[signatures]");
        say(format_args!("trusted_keys = [\"{}\"]", made.public));
    }
    Ok(ExitCode::SUCCESS)
}

fn write(file: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    let new = OpenOptions::new().write(true).create_new(true).mode(mode).open(file);
    let written = new.and_then(|mut f| f.write_all(text.as_bytes()).and_then(|()| f.sync_all()));
    written.with_context(|| format!("cannot write `{}`", file.display()))
}
