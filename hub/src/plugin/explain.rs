//! What a trap means, in words for the operator.

use std::time::Duration;

use wasmtime::{Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use super::limiter::{LimitError, Misuse};
use crate::pipeline::chain::FailureCause;

/// Of a guest's last words, what goes into the log beside its failure.
const LAST_WORDS_MAX_BYTES: usize = 4096;

/// What a trap means, and for the operator's log the guest's backtrace and last words.
pub fn explain(error: &wasmtime::Error, printed: Option<String>) -> (FailureCause, Option<String>) {
    let backtrace = error.downcast_ref::<WasmBacktrace>().map(|b| b.to_string()).unwrap_or_default();
    let printed = printed.unwrap_or_default();
    let words = &printed[printed.ceil_char_boundary(printed.len().saturating_sub(LAST_WORDS_MAX_BYTES))..];
    let details = format!("{backtrace}{}{words}", if words.is_empty() { "" } else { "\nprinted: " });
    let cause = if let Some(limit) = error.downcast_ref::<LimitError>() {
        FailureCause::Limit { limit: limit.limit, used: limit.used.clone(), allowed: limit.allowed.clone() }
    } else if let Some(misuse) = error.downcast_ref::<Misuse>() {
        FailureCause::Misuse(misuse.0.clone())
    } else if let Some(exit) = error.downcast_ref::<I32Exit>() {
        FailureCause::Trap(format!("called exit({})", exit.0))
    } else {
        match error.downcast_ref::<Trap>() {
            Some(Trap::StackOverflow) => FailureCause::Limit {
                limit: "stack_max_bytes",
                used: "all of it (deep recursion?)".into(),
                allowed: "see [engine]".into(),
            },
            Some(Trap::UnreachableCodeReached) if words.contains("panicked at") => {
                let panic = &words[words.rfind("panicked at").unwrap_or(0)..];
                FailureCause::Trap(panic.lines().take(2).collect::<Vec<_>>().join(" "))
            }
            Some(Trap::MemoryOutOfBounds) => FailureCause::Trap(
                "memory access out of bounds (a deep recursion overflows its stack like this)".into(),
            ),
            Some(trap) => FailureCause::Trap(trap.to_string()),
            None => FailureCause::Start(format!("{error:#}")),
        }
    };
    (cause, (!details.is_empty()).then_some(details))
}

/// The wall clock ran out.
pub fn out_of_time(limit: &'static str, used: Duration, allowed: Duration) -> FailureCause {
    let ms = |d: Duration| format!("{} ms", d.as_millis());
    FailureCause::Limit { limit, used: ms(used), allowed: ms(allowed) }
}
