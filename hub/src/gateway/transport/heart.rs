//! The heartbeat of a connection: when to ping, and when silence means that the client is gone.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Times are milliseconds since the transport began.
pub(super) struct Heart {
    /// When the next ping is due; once it was sent, when it was due.
    ping_due: AtomicU64,
    awaits_pong: AtomicBool,
    /// Work on a packet is under way and nothing is read, so a missing pong means nothing.
    is_busy: AtomicBool,
}

/// What to do now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Beat {
    /// Nothing until then.
    Wait(u64),
    /// A ping, then nothing until then.
    Ping(u64),
    /// The client is gone.
    Dead,
}

impl Heart {
    /// Its first ping is due at `ping_due`.
    pub(super) fn new(ping_due: u64) -> Self {
        Self {
            ping_due: AtomicU64::new(ping_due),
            awaits_pong: AtomicBool::new(false),
            is_busy: AtomicBool::new(false),
        }
    }

    /// What is to be done at `now`. Deadlines count from the time when the ping was due, not from when it was sent.
    pub(super) fn beat(&self, now: u64, timeout_ms: u64) -> Beat {
        let due = self.ping_due.load(Ordering::Acquire);
        if !self.awaits_pong.load(Ordering::Acquire) {
            if now < due {
                return Beat::Wait(due);
            }
            // who was not even pinged in all that time (this process stood still) gets a whole timeout
            let due = if now - due < timeout_ms { due } else { now };
            self.ping_due.store(due, Ordering::Release);
            self.awaits_pong.store(true, Ordering::Release);
            return Beat::Ping(due + timeout_ms);
        }
        if now < due + timeout_ms {
            return Beat::Wait(due + timeout_ms);
        }
        if self.is_busy.load(Ordering::Acquire) { Beat::Wait(now + timeout_ms) } else { Beat::Dead }
    }

    /// A pong came. One that nobody asked for changes nothing.
    pub(super) fn pong(&self, now: u64, interval_ms: u64) {
        if self.awaits_pong.swap(false, Ordering::AcqRel) {
            self.ping_due.store(now + interval_ms, Ordering::Release);
        }
    }

    pub(super) fn begin_work(&self) {
        self.is_busy.store(true, Ordering::Release);
    }

    /// The pong may lie unread: the client gets a whole timeout again.
    pub(super) fn end_work(&self, now: u64) {
        if self.awaits_pong.load(Ordering::Acquire) {
            self.ping_due.store(now, Ordering::Release);
        }
        self.is_busy.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: u64 = 25_000;
    const TIMEOUT: u64 = 20_000;

    #[test]
    fn the_first_ping_comes_after_one_interval() {
        let heart = Heart::new(INTERVAL);
        assert_eq!(heart.beat(0, TIMEOUT), Beat::Wait(INTERVAL));
        assert_eq!(heart.beat(INTERVAL - 1, TIMEOUT), Beat::Wait(INTERVAL));
        assert_eq!(heart.beat(INTERVAL, TIMEOUT), Beat::Ping(INTERVAL + TIMEOUT));
    }

    #[test]
    fn deadlines_count_from_when_the_ping_was_due() {
        let heart = Heart::new(INTERVAL);
        assert_eq!(heart.beat(INTERVAL + 300, TIMEOUT), Beat::Ping(INTERVAL + TIMEOUT));
        assert_eq!(heart.beat(INTERVAL + TIMEOUT - 1, TIMEOUT), Beat::Wait(INTERVAL + TIMEOUT));
        assert_eq!(heart.beat(INTERVAL + TIMEOUT, TIMEOUT), Beat::Dead);
    }

    #[test]
    fn a_pong_moves_the_next_ping_and_only_once() {
        let heart = Heart::new(INTERVAL);
        heart.pong(10, INTERVAL);
        assert_eq!(heart.beat(11, TIMEOUT), Beat::Wait(INTERVAL), "nobody asked for that pong");
        heart.beat(INTERVAL, TIMEOUT);
        heart.pong(INTERVAL + 5, INTERVAL);
        heart.pong(INTERVAL + 900, INTERVAL);
        assert_eq!(heart.beat(INTERVAL + 901, TIMEOUT), Beat::Wait(2 * INTERVAL + 5));
    }

    #[test]
    fn silence_while_work_is_under_way_means_nothing() {
        let heart = Heart::new(INTERVAL);
        heart.beat(INTERVAL, TIMEOUT);
        heart.begin_work();
        let late = INTERVAL + TIMEOUT + 1;
        assert_eq!(heart.beat(late, TIMEOUT), Beat::Wait(late + TIMEOUT));
        heart.end_work(late + 10);
        assert_eq!(heart.beat(late + 10, TIMEOUT), Beat::Wait(late + 10 + TIMEOUT));
        assert_eq!(heart.beat(late + 10 + TIMEOUT, TIMEOUT), Beat::Dead);
    }

    #[test]
    fn a_process_that_stood_still_pings_before_it_gives_up() {
        let heart = Heart::new(INTERVAL);
        let late = INTERVAL + 3 * TIMEOUT;
        assert_eq!(heart.beat(late, TIMEOUT), Beat::Ping(late + TIMEOUT));
    }
}
