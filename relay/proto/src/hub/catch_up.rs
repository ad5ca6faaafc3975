//! From the cached keyframe to the live edge in a short time, without a burst.
//!
//! A viewer that joins behind the live edge by a backlog `B` of media plays it in `D` of time, so
//! `k = (B + D) / D` times as fast: frame `m` is due at `end - (M - m) / k`, where `end` is the
//! moment of meeting the live edge and `M` the media time that is live then. Its RTP timestamp is
//! squeezed towards the end in the same way, `M - (M - m) / k`, so that time on the wire runs
//! evenly, and from `M` on the timestamp is the canonical one. Sequence numbers are canonical from
//! the start: a viewer that has caught up shares its headers with every other.

use std::time::{Duration, Instant};

use super::clock::{duration, ticks};
use crate::frame::MediaTime;
use crate::limits::MAX_CATCH_UP;

/// Share of the backlog that catching up takes, while [`MAX_CATCH_UP`] allows it.
const BACKLOG_DIVISOR: u64 = 4;

/// The plan of one viewer; `k = total / spent`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct CatchUp {
    /// When the viewer meets the live edge.
    pub(super) end: Instant,
    /// Ring index that the plan starts at.
    pub(super) from: u64,
    spent: u64,
    total: u64,
}

impl CatchUp {
    /// Plans to play `backlog` ticks of a clock of `rate`, from ring index `from` on.
    pub(super) fn new(now: Instant, from: u64, backlog: u64, rate: u32) -> Self {
        let spent = (backlog / BACKLOG_DIVISOR).min(ticks(MAX_CATCH_UP, rate)).max(1);
        Self { end: now + duration(spent, rate), from, spent, total: backlog + spent }
    }

    /// How far the live edge moves on until it is met.
    pub(super) fn ahead(&self, rate_of_plan: u32) -> Duration {
        duration(self.spent, rate_of_plan)
    }

    /// RTP time of a frame, given the media time `live_from` that its track meets the edge at.
    pub(super) fn timestamp(&self, media: MediaTime, live_from: MediaTime) -> MediaTime {
        match live_from.0.checked_sub(media.0) {
            Some(before) => MediaTime(live_from.0 - self.squeeze(before)),
            None => media,
        }
    }

    /// When a frame is due; `None`: beyond the plan, at once.
    pub(super) fn due(&self, media: MediaTime, live_from: MediaTime, rate: u32) -> Option<Instant> {
        let before = live_from.0.checked_sub(media.0).filter(|before| *before > 0)?;
        self.end.checked_sub(duration(self.squeeze(before), rate))
    }

    fn squeeze(&self, ticks: u64) -> u64 {
        (u128::from(ticks) * u128::from(self.spent) / u128::from(self.total)) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::testing::start;

    #[test]
    fn the_first_frame_is_due_at_once_and_the_last_at_the_end() {
        let now = start();
        let plan = CatchUp::new(now, 0, 5 * 90_000, 90_000);
        assert_eq!(plan.ahead(90_000), Duration::from_millis(1250));
        let first = MediaTime(1_000_000);
        let live_from = MediaTime(first.0 + 5 * 90_000 + ticks(plan.ahead(90_000), 90_000));
        assert_eq!(plan.due(first, live_from, 90_000), Some(now));
        assert_eq!(plan.timestamp(first, live_from).0, first.0 + 5 * 90_000);
        assert_eq!(plan.due(live_from, live_from, 90_000), None);
        assert_eq!(plan.timestamp(live_from, live_from), live_from);
        let later = MediaTime(live_from.0 + 3000);
        assert_eq!(plan.timestamp(later, live_from), later);
    }

    #[test]
    fn a_catch_up_takes_a_quarter_of_the_backlog_up_to_its_bound() {
        let now = start();
        let bound = ticks(MAX_CATCH_UP, 90_000);
        assert_eq!(CatchUp::new(now, 0, bound * 4, 90_000).ahead(90_000), MAX_CATCH_UP);
        assert_eq!(CatchUp::new(now, 0, bound * 4 + 90_000, 90_000).ahead(90_000), MAX_CATCH_UP);
        assert!(CatchUp::new(now, 0, bound * 4 - 90_000, 90_000).ahead(90_000) < MAX_CATCH_UP);
    }
}
