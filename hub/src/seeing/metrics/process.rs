//! What this process has used, from /proc, under the names that Prometheus' own libraries give it.

use std::fs;

use super::page::{Page, Sort};

/// The kernel reports CPU time to user space in units of 1/100 s, on every architecture that Linux runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// Writes what can be read; on a system without /proc nothing.
pub fn write(page: &mut Page) {
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    let (stat, status) = (read("/proc/self/stat"), read("/proc/self/status"));
    if let Some(seconds) = cpu_seconds(&stat) {
        let help = "CPU time of this process, user and system.";
        page.family(Sort::Counter, "process_cpu_seconds_total", help).number(&[], seconds);
    }
    if let Some(kib) = line(&status, "VmRSS:").and_then(|rest| rest.strip_suffix("kB")?.trim().parse::<u64>().ok()) {
        page.gauge("process_resident_memory_bytes", "Resident memory.", kib * 1024);
    }
    if let Some(threads) = line(&status, "Threads:").and_then(|rest| rest.parse().ok()) {
        page.gauge("process_threads", "Threads.", threads);
    }
    if let Ok(files) = fs::read_dir("/proc/self/fd") {
        // one of them is this list
        page.gauge("process_open_fds", "Open files, sockets included.", files.count().saturating_sub(1) as u64);
    }
    if let Some(max) = max_files(&read("/proc/self/limits")) {
        page.gauge("process_max_fds", "Files that may be open at once.", max);
    }
    if let Some(seconds) = start_seconds(&stat, &read("/proc/stat")) {
        let help = "When this process began, in seconds since the Unix epoch.";
        page.family(Sort::Gauge, "process_start_time_seconds", help).number(&[], seconds);
    }
}

fn line<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

/// A field of `/proc/PID/stat` by its number in proc(5), which begins at 1. The second is the command's name, which may
/// hold spaces and parentheses itself.
fn field(stat: &str, number: usize) -> Option<f64> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    behind_name.split_whitespace().nth(number - 3)?.parse().ok()
}

fn cpu_seconds(stat: &str) -> Option<f64> {
    Some((field(stat, 14)? + field(stat, 15)?) / TICKS_PER_SECOND)
}

fn start_seconds(stat: &str, system: &str) -> Option<f64> {
    let boot: f64 = line(system, "btime ")?.parse().ok()?;
    Some(boot + field(stat, 22)? / TICKS_PER_SECOND)
}

fn max_files(limits: &str) -> Option<u64> {
    line(limits, "Max open files")?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_name_with_spaces_and_parentheses_shifts_no_field() {
        let stat =
            "42 (a (b) c) S 1 42 42 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 8 0 1234 1000 10 18446744073709551615";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(start_seconds(stat, "cpu 1 2\nbtime 1000\n"), Some(1012.34));
        assert_eq!(start_seconds("", ""), None);
    }

    #[test]
    fn the_figures_of_this_process_are_there() {
        let mut page = Page::default();
        write(&mut page);
        let text = page.into_text();
        let value = |name: &str| -> f64 {
            let line = text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(' '));
            line.unwrap_or_else(|| panic!("no {name} in\n{text}")).parse().unwrap()
        };
        assert!(value("process_cpu_seconds_total") >= 0.0);
        assert!(value("process_resident_memory_bytes") > 100_000.0);
        assert!(value("process_open_fds") >= 3.0 && value("process_open_fds") < value("process_max_fds"));
        assert!(value("process_threads") >= 1.0);
        let now = crate::event::now_ms() as f64 / 1000.0;
        let began = value("process_start_time_seconds");
        assert!(began < now + 1.0 && began > now - 365.0 * 86_400.0, "{began} against {now}");
    }
}
