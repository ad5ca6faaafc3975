//! Back-off between attempts: exponential, jittered, bounded.

use std::time::Duration;

use aws_lc_rs::rand;

/// Shortest wait.
pub const MIN_WAIT: Duration = Duration::from_millis(500);
/// Longest wait.
pub const MAX_WAIT: Duration = Duration::from_secs(30);

/// Waits that double from [`MIN_WAIT`] to [`MAX_WAIT`], each shortened by a random part so that
/// many clients do not come back at once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The wait before the next attempt.
    pub fn next_wait(&mut self) -> Duration {
        let mut byte = [0];
        // Without randomness the wait is only less spread.
        let _ = rand::fill(&mut byte);
        self.next_with(byte[0])
    }

    /// An attempt went well: the next failure waits shortly again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    fn next_with(&mut self, random: u8) -> Duration {
        let full = MIN_WAIT.saturating_mul(1 << self.failures.min(8)).min(MAX_WAIT);
        self.failures = self.failures.saturating_add(1);
        let spread = full / 2 * u32::from(random) / 255;
        (full - spread).max(MIN_WAIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_stay_within_their_bounds_and_grow() {
        for random in [0, 128, 255] {
            let mut backoff = Backoff::default();
            let waits: Vec<_> = (0..40).map(|_| backoff.next_with(random)).collect();
            assert!(waits.iter().all(|wait| (MIN_WAIT..=MAX_WAIT).contains(wait)));
            assert!(waits.is_sorted());
            backoff.reset();
            assert_eq!(backoff.next_with(0), MIN_WAIT);
        }
        let mut backoff = Backoff { failures: 30 };
        assert_eq!(backoff.next_with(0), MAX_WAIT);
    }
}
