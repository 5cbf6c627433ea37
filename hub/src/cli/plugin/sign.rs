//! `hubbub plugin sign`: a signature beside a plugin's file.

use std::{
    env,
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::Context;
use serde_json::json;

use crate::{
    cli::say,
    signature::{
        self, SIGNATURE_MAX_BYTES,
        making::{Password, SecretKeyFile},
    },
};

/// Holds a secret key's password.
const PASSWORD_VARIABLE: &str = "HUBBUB_KEY_PASSWORD";
/// A file that is longer is no secret key; one has 300 bytes.
const KEY_FILE_MAX_BYTES: usize = SIGNATURE_MAX_BYTES;
/// Of the name of the signed file, which is part of the signature.
const FILE_NAME_MAX_CHARS: usize = 255;

/// Sign plugins: each gets a signature beside it, as FILE.minisig
///
/// The key's password, if it has one, is asked for, unless HUBBUB_KEY_PASSWORD holds it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The components, as in my_plugin.wasm
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// The secret key, as `hubbub plugin keygen` or `minisign -G` has made it
    #[arg(long, value_name = "KEYFILE")]
    key: PathBuf,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Signs the files, one after the other; an older signature is replaced.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { files, key: path, json } = args;
    let of_key = || format!("key `{}`", path.display());
    let key = SecretKeyFile::parse(read_key(&path)?).with_context(of_key)?;
    let password = if key.has_password() { given_password()? } else { Password::None };
    let key = key.open(password).with_context(of_key)?;
    let id = key.id().to_string();
    let mut signed = Vec::new();
    for file in &files {
        let bytes = super::read(file)?;
        let text = key.sign(&bytes, &comment(file)).with_context(of_key)?;
        let to = signature::path_of(file);
        fs::write(&to, &text).with_context(|| format!("cannot write `{}`", to.display()))?;
        if !json {
            say(format_args!("signed      {} by key {id}", to.display()));
        }
        signed.push(json!({ "file": file, "signature": to, "key": id }));
    }
    if json {
        say(format_args!("{:#}", serde_json::Value::from(signed)));
    }
    Ok(ExitCode::SUCCESS)
}

fn read_key(path: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let opened = File::open(path).and_then(|file| file.take(KEY_FILE_MAX_BYTES as u64).read_to_string(&mut text));
    opened.with_context(|| format!("cannot read the key `{}`", path.display()))?;
    Ok(text)
}

/// What the environment says, or else whoever sits at the terminal.
pub fn given_password() -> anyhow::Result<Password> {
    match env::var(PASSWORD_VARIABLE) {
        Ok(password) if password.is_empty() => {
            anyhow::bail!("{PASSWORD_VARIABLE} is empty: leave it out to be asked, or make a key with --no-password")
        }
        Ok(password) => Ok(Password::Known(password)),
        Err(env::VarError::NotPresent) => Ok(Password::Ask),
        Err(error) => Err(error).context(PASSWORD_VARIABLE),
    }
}

/// What the signature says of itself, as minisign has it. The name may come from anywhere, the comment is one line.
fn comment(file: &Path) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let name: String = name.chars().filter(|c| !c.is_control()).take(FILE_NAME_MAX_CHARS).collect();
    format!("timestamp:{now}\tfile:{}\thashed", name.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_comment_is_one_line_whatever_the_file_is_called() {
        let said = comment("plugins/a\nb\u{7}.wasm".as_ref());
        assert!(said.starts_with("timestamp:") && said.ends_with("\tfile:ab.wasm\thashed"), "{said:?}");
        assert!(comment("x".repeat(4000).as_ref()).len() < 300);
    }
}
