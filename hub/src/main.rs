//! The binary: see `hub::cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    hub::cli::main()
}
