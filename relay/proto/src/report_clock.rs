//! When a viewer's next sender reports are due.

use std::time::{Duration, Instant};

/// Time between the first reports: a receiver needs two of them to place tracks on one clock.
pub const FIRST_INTERVAL: Duration = Duration::from_secs(1);
/// Time between all further ones (RFC 3550, 6.2).
pub const INTERVAL: Duration = Duration::from_secs(5);
/// Reports that count as first.
const FIRST_REPORTS: u8 = 3;
/// How much earlier than due a report goes out if media goes out anyway and so costs no wake:
/// longer than the time between two frames of a slow camera.
const SLACK: Duration = Duration::from_millis(200);

/// The clock of one track or one session.
#[derive(Clone, Copy, Default, Debug)]
pub struct ReportClock {
    due: Option<Instant>,
    /// Reports sent, up to [`FIRST_REPORTS`].
    sent: u8,
}

impl ReportClock {
    /// Media has gone out. `true` the first time: the first report is due at once.
    pub fn start(&mut self, now: Instant) -> bool {
        let first = self.due.is_none();
        self.due.get_or_insert(now);
        first
    }

    /// When the next report is due; `None` before the start.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Whether a report is to be sent now; the next one is then some time off.
    pub fn take(&mut self, now: Instant) -> bool {
        self.take_by(now, now)
    }

    /// The same beside media: a little early is better than a wake of its own.
    pub fn take_beside_media(&mut self, now: Instant) -> bool {
        self.take_by(now, now + SLACK)
    }

    fn take_by(&mut self, now: Instant, latest: Instant) -> bool {
        let due = self.due.is_some_and(|due| due <= latest);
        if due {
            let is_first = self.sent < FIRST_REPORTS;
            self.sent += u8::from(is_first);
            self.due = Some(now + if is_first { FIRST_INTERVAL } else { INTERVAL });
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::testing::start;

    #[test]
    fn the_first_reports_are_close_together_and_the_others_five_seconds_apart() {
        let start = start();
        let mut clock = ReportClock::default();
        assert!(!clock.take(start), "no media, no report");
        assert!(clock.start(start) && !clock.start(start));
        let mut now = start;
        let mut sent = Vec::new();
        while now <= start + Duration::from_secs(15) {
            if clock.take(now) {
                sent.push((now - start).as_secs());
            }
            now += Duration::from_millis(100);
        }
        assert_eq!(sent, [0, 1, 2, 3, 8, 13]);
    }

    #[test]
    fn beside_media_a_report_goes_out_a_little_early() {
        let start = start();
        let mut clock = ReportClock::default();
        clock.start(start);
        assert!(clock.take(start));
        let early = start + FIRST_INTERVAL - SLACK;
        assert!(!clock.take_beside_media(early - Duration::from_millis(1)));
        assert!(!clock.take(early));
        assert!(clock.take_beside_media(early));
        assert_eq!(clock.due(), Some(early + FIRST_INTERVAL));
    }
}
