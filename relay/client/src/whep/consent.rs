//! When the next connectivity check goes out, and when the server's silence ends the session.

use std::time::{Duration, Instant};

/// Time between connectivity checks until the handshake is done.
const CHECK_INTERVAL: Duration = Duration::from_millis(200);
/// Mean time between checks afterwards (RFC 7675, 5.1).
const CONSENT_INTERVAL: Duration = Duration::from_secs(5);
/// Each time is drawn from 0.8 to 1.2 of the mean (RFC 7675, 5.1), so that no viewer asks in step
/// with something that makes the server busy.
const SPREAD_PERCENT: u32 = 20;
/// Checks in a row, once there are keys, after which nothing at all came: the session is gone. They
/// are counted, so that a process that was stopped for a while does not take its own pause for
/// silence.
const MAX_UNANSWERED: u32 = 3;

/// The clock of a session's checks.
#[derive(Debug)]
pub(super) struct Consent {
    due: Instant,
    unanswered: u32,
}

impl Consent {
    /// The first check is due now.
    pub(super) fn new(now: Instant) -> Self {
        Self { due: now, unanswered: 0 }
    }

    /// When the next check is due.
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// The server has sent something.
    pub(super) fn heard(&mut self) {
        self.unanswered = 0;
    }

    /// Another check is due and the server has left too many without a sign of life.
    pub(super) fn is_lost(&self, now: Instant) -> bool {
        self.due <= now && self.unanswered >= MAX_UNANSWERED
    }

    /// A check goes out. `connected`: there are keys; `random` spreads the next one.
    pub(super) fn asked(&mut self, now: Instant, connected: bool, random: u8) {
        if connected {
            self.unanswered += 1;
            self.due = now + spread(random);
        } else {
            self.due = now + CHECK_INTERVAL;
        }
    }
}

/// A time between the ends of the spread.
fn spread(random: u8) -> Duration {
    let least = CONSENT_INTERVAL / 100 * (100 - SPREAD_PERCENT);
    let width = CONSENT_INTERVAL / 100 * (2 * SPREAD_PERCENT);
    least + width * u32::from(random) / 255
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_spread_around_five_seconds() {
        let seconds = [0, 255].map(|random| spread(random).as_secs_f64());
        assert_eq!(seconds, [4.0, 6.0]);
        assert!((4.9..5.1).contains(&spread(127).as_secs_f64()));
    }

    #[test]
    fn a_server_that_leaves_three_checks_without_a_sign_is_lost_when_the_next_is_due() {
        let start = Instant::now();
        let mut consent = Consent::new(start);
        for _ in 0..MAX_UNANSWERED {
            assert!(!consent.is_lost(consent.due()));
            consent.asked(consent.due(), true, 0);
        }
        assert!(!consent.is_lost(consent.due() - Duration::from_millis(1)));
        assert!(consent.is_lost(consent.due()));
        consent.heard();
        assert!(!consent.is_lost(consent.due()));
    }

    #[test]
    fn checks_of_a_handshake_are_not_counted_and_a_pause_is_no_silence() {
        let start = Instant::now();
        let mut consent = Consent::new(start);
        for _ in 0..40 {
            consent.asked(consent.due(), false, 0);
        }
        assert_eq!(consent.due() - start, CHECK_INTERVAL * 40);
        consent.asked(consent.due(), true, 0);
        assert!(!consent.is_lost(start + Duration::from_secs(600)));
    }
}
