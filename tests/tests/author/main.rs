//! The plugin author's side, with the real binary.

mod dev;
mod new;
mod sign;

use std::{
    path::Path,
    process::{Command, Output},
};

use scenarios::process::binary;

/// Runs the binary in a folder, without what this process's environment says of passwords.
fn hubbub(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(binary());
    command.current_dir(dir).args(args).env_remove("HUBBUB_KEY_PASSWORD").output().expect("the binary runs")
}

/// What a command that goes well says on standard output.
#[track_caller]
fn said(output: Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout).expect("it says text")
}

/// What a command that ends with 1 says on standard error.
#[track_caller]
fn refused(output: Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr).expect("it says text")
}
