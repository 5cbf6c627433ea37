//! How slow disk and machine are while a node is at work: what it cannot be blamed for.

use std::{
    fs::File,
    io::Write,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

const PAUSE: Duration = Duration::from_millis(10);

/// Writes a small file to the disk, over and over.
pub struct Probe {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<std::io::Result<Duration>>,
}

impl Probe {
    /// In a folder of the same file system.
    pub fn start(dir: &Path) -> anyhow::Result<Self> {
        let mut file = File::create(dir.join("probe"))?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = thread::spawn(move || {
            let mut slowest = Duration::ZERO;
            while !stopped.load(Ordering::Relaxed) {
                let begun = Instant::now();
                thread::sleep(PAUSE);
                file.write_all(b"x")?;
                file.sync_all()?;
                slowest = slowest.max(begun.elapsed().saturating_sub(PAUSE));
            }
            Ok(slowest)
        });
        Ok(Self { stop, thread })
    }

    /// The longest that one write took.
    pub fn end(self) -> anyhow::Result<Duration> {
        self.stop.store(true, Ordering::Relaxed);
        match self.thread.join() {
            Ok(slowest) => Ok(slowest?),
            Err(_) => anyhow::bail!("the probe panicked"),
        }
    }
}
