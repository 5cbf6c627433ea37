//! What this process, and a node in it, takes of the machine's memory.

/// Pages of this size are what the system counts.
const PAGE_KIB: u64 = 4;

/// The resident memory.
///
/// # Panics
/// When the system does not tell.
pub fn resident_kib() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("the system tells");
    let pages = statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.expect("a number of pages") * PAGE_KIB
}
