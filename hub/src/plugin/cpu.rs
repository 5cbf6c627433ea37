//! The time that a call has had on a CPU.

use std::{
    sync::Arc,
    thread::{self, ThreadId},
    time::Duration,
};

use parking_lot::Mutex;
use rustix::time::{ClockId, clock_gettime};

/// How often a running guest is looked at.
pub const TICK: Duration = Duration::from_millis(1);
/// Counts the time of one call after the other. A call's first tick is taken for a whole one, whenever in it the call
/// began; from then on the clock of the thread counts, which stands still while other threads have the CPU. No tick counts
/// more than one: a guest that waited in between shared its thread's time with others, and a virtual machine that was put
/// aside did not.
pub struct CpuTime {
    call: u64,
    used: Duration,
    allowed: Duration,
    resumed: Resumed,
}

/// Where and when the guest went on after its last tick. Shared with the future that it goes on behind.
type Resumed = Arc<Mutex<Option<(u64, ThreadId, Duration)>>>;

impl CpuTime {
    pub fn new() -> Self {
        Self { call: 0, used: Duration::ZERO, allowed: Duration::ZERO, resumed: Resumed::default() }
    }

    /// The next call, and how long it may take.
    pub fn begin(&mut self, allowed: Duration) {
        self.call += 1;
        self.used = Duration::ZERO;
        self.allowed = allowed;
    }

    /// A tick while the guest runs. What it has used, when that is more than it may.
    pub fn tick(&mut self) -> Result<(), Duration> {
        self.used += match self.resumed.lock().take() {
            Some((call, same, since)) if call == self.call && same == thread::current().id() => {
                now().saturating_sub(since).min(TICK)
            }
            _ => TICK,
        };
        if self.used <= self.allowed { Ok(()) } else { Err(self.used) }
    }

    /// What the guest waits for after a tick: others on its thread have their turn.
    pub fn yield_now(&self) -> impl Future<Output = ()> + Send + 'static {
        let (call, resumed) = (self.call, self.resumed.clone());
        async move {
            // yielding in wasmtime alone would starve the thread's timers
            tokio::task::yield_now().await;
            *resumed.lock() = Some((call, thread::current().id(), now()));
        }
    }
}

/// What this thread has had of a CPU so far.
fn now() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn begun(allowed: Duration) -> CpuTime {
        let mut cpu = CpuTime::new();
        cpu.begin(allowed);
        cpu
    }

    #[test]
    fn the_first_tick_of_each_call_counts_as_a_whole_one() {
        let mut cpu = begun(TICK);
        for _ in 0..3 {
            assert_eq!(cpu.tick(), Ok(()));
            assert_eq!(cpu.tick(), Err(2 * TICK));
            cpu.begin(TICK);
        }
    }

    #[tokio::test]
    async fn a_call_that_waits_for_a_cpu_uses_nothing() {
        let mut cpu = begun(20 * TICK);
        for _ in 0..30 {
            cpu.yield_now().await;
            thread::sleep(TICK);
            assert_eq!(cpu.tick(), Ok(()));
        }
        assert!(cpu.used < 15 * TICK, "{:?}", cpu.used);
    }

    #[tokio::test]
    async fn a_call_that_runs_uses_what_it_runs() {
        let mut cpu = begun(20 * TICK);
        let deadline = Instant::now() + Duration::from_secs(60);
        let (begin, mut ended) = (now(), Ok(()));
        while ended.is_ok() && Instant::now() < deadline {
            cpu.yield_now().await;
            let since = now();
            while now() - since < TICK {
                std::hint::spin_loop();
            }
            ended = cpu.tick();
        }
        assert!(ended.is_err() && now() - begin > 20 * TICK, "{ended:?} after {:?}", now() - begin);
    }

    #[tokio::test]
    async fn what_a_call_left_behind_is_not_the_next_ones() {
        let mut cpu = begun(TICK);
        cpu.yield_now().await;
        cpu.begin(TICK);
        assert_eq!(cpu.tick(), Ok(()));
        assert_eq!(cpu.used, TICK);
    }
}
