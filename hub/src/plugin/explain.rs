//! What a trap means, in words for the operator.

use std::time::Duration;

use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use super::limiter::{LimitError, Misuse, StoreFault};
use crate::{pipeline::chain::FailureCause, store::StoreError};

/// Of a guest's last words, what goes into the log beside its failure.
const LAST_WORDS_MAX_BYTES: usize = 4096;
/// How wasmtime says that a guest's lists and texts would take more than `Store::set_hostcall_fuel`.
const COPIED_TOO_MUCH: &str = "fuel allocated for hostcalls has been exhausted";
/// Of a text that a guest made, what goes into an error; the rest is cut off.
const QUOTE_MAX_BYTES: usize = 1024;

/// Limits that wasmtime holds itself: its errors do not say them.
#[derive(Clone, Copy)]
pub struct Allowed {
    pub memory_max_bytes: usize,
    pub stack_max_bytes: usize,
    /// Instances of all plugins together, as the config says.
    pub instances_max: u32,
}

/// What a trap means, and for the operator's log the guest's backtrace and last words.
pub fn explain(error: &wasmtime::Error, printed: Option<String>, allowed: Allowed) -> (FailureCause, Option<String>) {
    let backtrace = error.downcast_ref::<WasmBacktrace>().map(|b| b.to_string()).unwrap_or_default();
    let printed = printed.unwrap_or_default();
    let words = &printed[printed.ceil_char_boundary(printed.len().saturating_sub(LAST_WORDS_MAX_BYTES))..];
    let details = format!("{backtrace}{}{words}", if words.is_empty() { "" } else { "\nprinted: " });
    let cause = if let Some(limit) = error.downcast_ref::<LimitError>() {
        FailureCause::Limit { limit: limit.limit, used: limit.used.clone(), allowed: limit.allowed.clone() }
    } else if let Some(misuse) = error.downcast_ref::<Misuse>() {
        FailureCause::Misuse(misuse.0.clone())
    } else if let Some(fault) = error.downcast_ref::<StoreFault>() {
        match &fault.0 {
            StoreError::Op(_) => FailureCause::Misuse(fault.to_string()),
            _ => FailureCause::Store(fault.to_string()),
        }
    } else if let Some(full) = error.downcast_ref::<PoolConcurrencyLimitError>() {
        FailureCause::EngineFull { allowed: allowed.instances_max, pool: full.to_string() }
    } else if let Some(exit) = error.downcast_ref::<I32Exit>() {
        FailureCause::Trap(format!("called exit({})", exit.0))
    } else {
        match error.downcast_ref::<Trap>() {
            Some(Trap::StackOverflow) => FailureCause::Limit {
                limit: "stack_max_bytes",
                used: "all of it (deep recursion?)".into(),
                allowed: allowed.stack_max_bytes.to_string(),
            },
            Some(Trap::UnreachableCodeReached) if words.contains("panicked at") => {
                let panic = &words[words.rfind("panicked at").unwrap_or(0)..];
                FailureCause::Trap(panic.lines().take(2).collect::<Vec<_>>().join(" "))
            }
            Some(Trap::MemoryOutOfBounds) => FailureCause::Trap(
                "memory access out of bounds (a deep recursion overflows its stack like this)".into(),
            ),
            Some(trap) => FailureCause::Trap(trap.to_string()),
            None if backtrace.is_empty() => FailureCause::Start(format!("{error:#}")),
            None => within_a_call(&error.root_cause().to_string(), allowed),
        }
    };
    (cause, (!details.is_empty()).then_some(details))
}

/// The guest was running, and what ended it is an error of wasmtime's own without a type.
fn within_a_call(text: &str, allowed: Allowed) -> FailureCause {
    if text.contains(COPIED_TOO_MUCH) {
        return FailureCause::Limit {
            limit: "memory_max_bytes",
            used: "more (one text many times in what was handed to the hub?)".into(),
            allowed: allowed.memory_max_bytes.to_string(),
        };
    }
    FailureCause::Trap(text.to_owned())
}

/// The guest's own error.
pub fn returned(text: &str) -> FailureCause {
    FailureCause::Guest(quote(text))
}

/// A guest's text as an error may hold it: when it is too long its start, and how long it was.
pub fn quote(text: &str) -> String {
    let start = &text[..text.floor_char_boundary(QUOTE_MAX_BYTES)];
    if start.len() == text.len() { text.to_owned() } else { format!("{start}... (cut, {} bytes)", text.len()) }
}

/// The wall clock ran out.
pub fn out_of_time(limit: &'static str, used: Duration, allowed: Duration) -> FailureCause {
    let ms = |d: Duration| format!("{} ms", d.as_millis());
    FailureCause::Limit { limit, used: ms(used), allowed: ms(allowed) }
}

#[cfg(test)]
mod tests {
    use wasmtime::{Config, Engine, Instance, InstanceAllocationStrategy, Module, PoolingAllocationConfig, Store};

    use super::*;

    #[test]
    fn an_engine_without_room_is_no_failure_of_the_plugin() {
        let mut pool = PoolingAllocationConfig::new();
        pool.total_core_instances(1).total_memories(1).total_tables(1).total_stacks(1);
        let mut config = Config::new();
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        let engine = Engine::new(&config).unwrap();
        let module = Module::new(&engine, wat::parse_str("(module)").unwrap()).unwrap();
        let mut stores = [(); 2].map(|()| Store::new(&engine, ()));
        let made = stores.each_mut().map(|store| Instance::new(store, &module, &[]));
        let [Ok(_), Err(error)] = made else { panic!("there is room for one") };
        let allowed = Allowed { memory_max_bytes: 1, stack_max_bytes: 1, instances_max: 7 };
        let (cause, details) = explain(&error, None, allowed);
        assert_eq!((cause.name(), details), ("engine.instances_max", None));
        assert!(cause.is_overload() && !cause.is_plugins_own());
        let text = cause.to_string();
        assert!(text.starts_with("engine.instances_max exceeded: allowed 7, of all plugins together ("), "{text}");
    }
}
