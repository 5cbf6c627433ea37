//! What this process, and a node in it, takes of the machine's memory.

use std::fs;

use anyhow::Context;

/// Pages of this size are what the system counts.
const PAGE_KIB: u64 = 4;

/// The resident memory.
///
/// # Panics
/// When the system does not tell.
pub fn resident_kib() -> u64 {
    resident_kib_of(std::process::id()).expect("the system tells")
}

/// The resident memory of a process.
pub fn resident_kib_of(pid: u32) -> anyhow::Result<u64> {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm"))?;
    let pages = statm.split_whitespace().nth(1).context("no number of pages")?.parse::<u64>()?;
    Ok(pages * PAGE_KIB)
}

/// The sizes in bytes of what a process has mapped as machine code, but for its program and libraries: the code of plugins.
pub fn code(pid: u32) -> anyhow::Result<Vec<u64>> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let mut sizes = Vec::new();
    for line in maps.lines() {
        // range, permissions, offset, device, inode, and a path for what has one
        let mut fields = line.split_whitespace();
        let (range, permissions) = (fields.next().context("no range")?, fields.next().context("no permissions")?);
        let (begin, end) = range.split_once('-').context("no range")?;
        if permissions.starts_with("r-x") && fields.nth(3).is_none() {
            sizes.push(u64::from_str_radix(end, 16)? - u64::from_str_radix(begin, 16)?);
        }
    }
    Ok(sizes)
}
