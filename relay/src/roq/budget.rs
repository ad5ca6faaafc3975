//! What a viewer's connection carries, by QUIC's own congestion control.

use std::time::{Duration, Instant};

use quinn_proto::Connection;

/// Frames that are not acknowledged for this long, and for [`ROUND_TRIPS`], are held up.
pub(super) const HELD_UP: Duration = Duration::from_millis(500);
/// Round trips that a frame takes at most on a connection that keeps up.
pub(super) const ROUND_TRIPS: u32 = 3;

/// Time between two looks at what a connection carries.
const INTERVAL: Duration = Duration::from_secs(1);

/// What a viewer's connection carries, as far as the hub was told.
pub(super) struct Told {
    /// When the connection is looked at again.
    next: Instant,
    /// A limit was told last.
    limited: bool,
}

impl Told {
    /// Of a new connection: no limit.
    pub(super) fn new(now: Instant) -> Self {
        Self { next: now + INTERVAL, limited: false }
    }

    /// What is to be told now, if anything: a limit, or once that there is none any more. `oldest`
    /// as in [`budget`].
    pub(super) fn news(
        &mut self,
        now: Instant,
        oldest: Option<Instant>,
        quic: &Connection,
    ) -> Option<Option<u64>> {
        if now < self.next {
            return None;
        }
        self.next = now + INTERVAL;
        self.changed(budget(now, oldest, quic))
    }

    fn changed(&mut self, budget: Option<u64>) -> Option<Option<u64>> {
        let was_limited = std::mem::replace(&mut self.limited, budget.is_some());
        (was_limited || budget.is_some()).then_some(budget)
    }
}

/// Bits per second of a connection whose oldest unacknowledged frame was handed over at `oldest`;
/// `None` while it keeps up: the window of a connection that is not full says nothing.
fn budget(now: Instant, oldest: Option<Instant>, quic: &Connection) -> Option<u64> {
    let age = now.saturating_duration_since(oldest?);
    let path = quic.stats().path;
    limit(age, path.rtt, path.cwnd)
}

fn limit(age: Duration, rtt: Duration, window: u64) -> Option<u64> {
    if age <= HELD_UP + ROUND_TRIPS * rtt {
        return None;
    }
    let bits = u128::from(window) * 8 * 1_000_000_000 / rtt.as_nanos().max(1);
    Some(u64::try_from(bits).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_is_told_and_its_end_once() {
        let mut told = Told::new(Instant::now());
        let news = [None, Some(5), Some(5), None, None].map(|budget| told.changed(budget));
        assert_eq!(news, [None, Some(Some(5)), Some(Some(5)), Some(None), None]);
    }

    #[test]
    fn a_connection_that_keeps_up_has_no_limit_and_one_that_does_not_has_its_window() {
        let rtt = Duration::from_millis(100);
        let bound = HELD_UP + ROUND_TRIPS * rtt;
        assert_eq!(limit(bound, rtt, 25_000), None);
        assert_eq!(limit(bound + Duration::from_nanos(1), rtt, 25_000), Some(2_000_000));
        assert_eq!(limit(bound, Duration::ZERO, u64::MAX), Some(u64::MAX));
    }
}
