//! The binary: see `hub::cli`.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// An event makes some dozens of short-lived texts, on one thread and freed on another: the system's allocator cost 5 to
/// 8 % more CPU in a chat.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    hub::cli::main()
}
