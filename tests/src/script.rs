//! Runs the suites of other languages and shows what they printed when they fail.

use std::{path::Path, process::Stdio, time::Duration};

use tokio::{process::Command, time::timeout};

/// Runs a program in a folder with arguments; it must end well within the deadline.
///
/// # Panics
/// When it does not, with its output.
pub async fn run(dir: &Path, program: &str, args: &[&str], deadline: Duration) {
    let child = Command::new(program)
        .current_dir(dir)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|e| panic!("`{program}` does not start ({e}): run `make setup` first"));
    let output = timeout(deadline, child.wait_with_output())
        .await
        .unwrap_or_else(|_| panic!("`{program} {}` was not done within {deadline:?}", args.join(" ")))
        .expect("its output can be read");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "`{program} {}` failed:\n{}\n{}",
        args.join(" "),
        text(&output.stdout),
        text(&output.stderr)
    );
    print!("{}", text(&output.stdout));
}
