//! The clock that cameras and viewers share, and the time over which a run is measured.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Microseconds since 1970 UTC, of the system's clock.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_micros() as u64
}

/// From when to when frames count. Closed until it is opened.
pub(super) struct Window {
    start: AtomicU64,
    end: AtomicU64,
}

impl Window {
    /// Neither begun nor ended.
    pub(super) fn new() -> Self {
        Self { start: AtomicU64::new(u64::MAX), end: AtomicU64::new(u64::MAX) }
    }

    /// Begins now; `micros` later it ends, if that is known yet.
    pub(super) fn open(&self, micros: Option<u64>) {
        let start = now();
        self.end.store(micros.map_or(u64::MAX, |micros| start + micros), Ordering::Relaxed);
        self.start.store(start, Ordering::Relaxed);
    }

    /// Ends now unless it has ended before.
    pub(super) fn close(&self) {
        self.end.fetch_min(now(), Ordering::Relaxed);
    }

    /// Whether a time lies in it.
    pub(super) fn holds(&self, micros: u64) -> bool {
        (self.start.load(Ordering::Relaxed)..self.end.load(Ordering::Relaxed)).contains(&micros)
    }

    /// Whether a time lies behind it.
    pub(super) fn is_over(&self, micros: u64) -> bool {
        micros >= self.end.load(Ordering::Relaxed)
    }

    /// Its length, seconds. Zero before it has begun and ended.
    pub(super) fn seconds(&self) -> f64 {
        let (start, end) = (self.start.load(Ordering::Relaxed), self.end.load(Ordering::Relaxed));
        if end == u64::MAX { 0.0 } else { end.saturating_sub(start) as f64 / 1e6 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_holds_what_lies_between_its_ends() {
        let window = Window::new();
        assert!(!window.holds(now()) && !window.is_over(now()) && window.seconds() == 0.0);
        window.open(Some(2_000_000));
        let start = now();
        assert!(window.holds(start + 1_000_000) && !window.holds(start + 2_000_001));
        assert!((window.seconds() - 2.0).abs() < 1e-9);
        window.close();
        assert!(window.is_over(now()) && window.seconds() < 2.0);
    }
}
