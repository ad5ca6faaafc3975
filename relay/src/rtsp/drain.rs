//! What a viewer's connection carries: once the kernel's buffer is full, it takes what the network does.

use std::time::{Duration, Instant};

/// Shortest time that is looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// How full the buffer of a connection has been, and what it took.
#[derive(Debug)]
pub(super) struct Drain {
    /// Begin of the time that is looked at.
    from: Instant,
    /// Bytes that were written by then.
    written: u64,
    /// For how long of that time the buffer was full, without the time since `full_since`.
    full: Duration,
    /// Since when it takes nothing more.
    full_since: Option<Instant>,
    /// A limit was told last.
    limited: bool,
}

impl Drain {
    /// Of a new connection: there is room, and no limit.
    pub(super) fn new(now: Instant) -> Self {
        Self { from: now, written: 0, full: Duration::ZERO, full_since: None, limited: false }
    }

    /// Whether the buffer takes nothing more.
    #[cfg(test)]
    pub(super) fn is_full(&self) -> bool {
        self.full_since.is_some()
    }

    /// The buffer takes nothing more.
    pub(super) fn fill(&mut self, now: Instant) {
        self.full_since.get_or_insert(now);
    }

    /// The buffer has taken all that there was. Whether it was full before.
    pub(super) fn empty(&mut self, now: Instant) -> bool {
        let Some(since) = self.full_since.take() else { return false };
        self.full += now.saturating_duration_since(since.max(self.from));
        true
    }

    /// What is to be told now of the connection that has been written so many bytes in all, if
    /// anything: bits a second that it carries, or once that no limit is known any more.
    pub(super) fn news(&mut self, now: Instant, written: u64) -> Option<Option<u64>> {
        let time = now.saturating_duration_since(self.from);
        if time < INTERVAL {
            return None;
        }
        let since = self.full_since.map(|since| since.max(self.from));
        let full = self.full + since.map_or(Duration::ZERO, |since| now - since);
        let bytes = written.saturating_sub(self.written);
        (self.from, self.written, self.full) = (now, written, Duration::ZERO);
        // A connection that is full for less than half of the time gets its frames late at most.
        let budget = (full * 2 > time).then(|| bits_per_second(bytes, time));
        let was_limited = std::mem::replace(&mut self.limited, budget.is_some());
        (was_limited || budget.is_some()).then_some(budget)
    }
}

fn bits_per_second(bytes: u64, time: Duration) -> u64 {
    let bits = u128::from(bytes) * 8 * 1_000_000_000 / time.as_nanos().max(1);
    u64::try_from(bits).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: Duration = Duration::from_millis(500);
    const TICK: Duration = Duration::from_millis(1);

    #[test]
    fn a_connection_that_is_full_most_of_the_time_carries_what_it_takes() {
        let start = Instant::now();
        let mut drain = Drain::new(start);
        drain.fill(start + HALF - TICK);
        drain.fill(start + HALF);
        assert_eq!(drain.news(start + INTERVAL - TICK, 1000), None, "too early");
        assert_eq!(drain.news(start + INTERVAL, 1000), Some(Some(8000)));
        assert!(drain.is_full());
        assert_eq!(drain.news(start + 2 * INTERVAL, 1000), Some(Some(0)), "it takes nothing");
        assert!(drain.empty(start + 2 * INTERVAL + HALF + TICK) && !drain.is_full());
        assert_eq!(drain.news(start + 3 * INTERVAL, 3000), Some(Some(16_000)));
    }

    #[test]
    fn a_connection_with_room_has_no_limit_and_the_end_of_one_is_told_once() {
        let start = Instant::now();
        let mut drain = Drain::new(start);
        assert_eq!(drain.news(start + INTERVAL, 1_000_000), None);
        drain.fill(start + INTERVAL);
        assert!(drain.empty(start + INTERVAL + HALF) && !drain.empty(start + INTERVAL + HALF));
        assert_eq!(drain.news(start + 2 * INTERVAL, 2_000_000), None, "full for half of the time");
        drain.fill(start + 2 * INTERVAL);
        assert_eq!(drain.news(start + 3 * INTERVAL, 2_000_500), Some(Some(4000)));
        drain.empty(start + 3 * INTERVAL);
        let later = [4, 5].map(|at| drain.news(start + at * INTERVAL, 2_000_500));
        assert_eq!(later, [Some(None), None]);
    }
}
