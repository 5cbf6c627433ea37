//! CPU time and memory of processes, from /proc.

use std::fs;

use anyhow::{Context, bail};

/// The kernel reports CPU time to user space in units of 1/100 s, on every architecture that Linux runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// What a process has used until now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Usage {
    /// User and system time of all its threads since it began.
    pub(super) cpu_seconds: f64,
    /// Resident memory now.
    pub(super) rss_bytes: u64,
}

/// Reads the usage of a process; an error when it does not exist or the system has no /proc.
pub(super) fn usage(pid: u32) -> anyhow::Result<Usage> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("no process {pid} in /proc"))?;
    let status =
        fs::read_to_string(format!("/proc/{pid}/status")).with_context(|| format!("no process {pid} in /proc"))?;
    parse(&stat, &status).with_context(|| format!("reading /proc/{pid}"))
}

/// The command name of a process, or its number.
pub(super) fn name(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).map_or_else(|_| pid.to_string(), |name| name.trim().to_owned())
}

fn parse(stat: &str, status: &str) -> anyhow::Result<Usage> {
    // The command name stands in parentheses and may itself hold spaces and parentheses.
    let Some((_, fields)) = stat.rsplit_once(')') else { bail!("stat has no command name") };
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let [user, system] = [fields.get(11), fields.get(12)].map(|field| field.and_then(|text| text.parse::<u64>().ok()));
    let (Some(user), Some(system)) = (user, system) else { bail!("stat has no CPU times") };
    let rss =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")).and_then(|rest| rest.trim().strip_suffix("kB"));
    let rss_kib: u64 = rss.context("status has no VmRSS (a zombie?)")?.trim().parse().context("VmRSS is no number")?;
    Ok(Usage { cpu_seconds: (user + system) as f64 / TICKS_PER_SECOND, rss_bytes: rss_kib * 1024 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_name_with_spaces_and_parentheses_shifts_no_field() {
        let stat = "42 (a (b) c) S 1 42 42 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 8 0 100 1000 10 18446744073709551615";
        let usage = parse(stat, "Name:\tx\nVmRSS:\t  2048 kB\n").unwrap();
        assert_eq!(usage, Usage { cpu_seconds: 3.0, rss_bytes: 2 << 20 });
    }

    #[test]
    fn this_process_uses_memory() {
        assert!(usage(std::process::id()).unwrap().rss_bytes > 100_000);
    }

    #[test]
    fn a_process_that_does_not_exist_is_an_error() {
        assert!(usage(u32::MAX).is_err());
    }
}
