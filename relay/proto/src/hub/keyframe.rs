//! Keyframe requests of one track, merged and rate-limited.

use std::time::Instant;

use crate::limits::KEYFRAME_REQUEST_INTERVAL;

/// What viewers want of one track's camera.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct KeyframeAsk {
    /// A request waits for the interval to pass.
    pending: bool,
    /// A viewer waits for a keyframe and sees nothing: ask again until one comes.
    insist: bool,
    last: Option<Instant>,
}

impl KeyframeAsk {
    /// A viewer wants a keyframe. `true`: ask the camera now.
    pub(super) fn request(&mut self, now: Instant) -> bool {
        self.pending = true;
        self.poll(now)
    }

    /// As [`Self::request`], repeated each interval until a keyframe comes.
    pub(super) fn insist(&mut self, now: Instant) -> bool {
        self.insist = true;
        self.request(now)
    }

    /// `true`: the interval has passed and the request still stands, so ask the camera now.
    pub(super) fn poll(&mut self, now: Instant) -> bool {
        if !self.pending || self.deadline().is_some_and(|due| now < due) {
            return false;
        }
        self.last = Some(now);
        self.pending = self.insist;
        true
    }

    /// When [`Self::poll`] is next due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.last.filter(|_| self.pending).map(|last| last + KEYFRAME_REQUEST_INTERVAL)
    }

    /// A keyframe has come, or nobody waits any more: the request is void.
    pub(super) fn clear(&mut self) {
        self.pending = false;
        self.insist = false;
    }

    /// A viewer waits, but there is nobody to ask: stands until a publisher comes.
    pub(super) fn wait(&mut self) {
        self.pending = true;
        self.insist = true;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::hub::testing::start;

    const JUST_BEFORE: Duration = KEYFRAME_REQUEST_INTERVAL.saturating_sub(Duration::from_nanos(1));

    #[test]
    fn two_requests_within_the_interval_become_one_now_and_one_at_its_end() {
        let now = start();
        let mut ask = KeyframeAsk::default();
        assert!(ask.request(now));
        assert!(!ask.request(now));
        assert!(!ask.request(now + JUST_BEFORE));
        assert_eq!(ask.deadline(), Some(now + KEYFRAME_REQUEST_INTERVAL));
        assert!(!ask.poll(now + JUST_BEFORE));
        assert!(ask.poll(now + KEYFRAME_REQUEST_INTERVAL));
        assert_eq!(ask.deadline(), None);
    }

    #[test]
    fn a_keyframe_voids_the_waiting_request() {
        let now = start();
        let mut ask = KeyframeAsk::default();
        assert!(ask.request(now));
        assert!(!ask.request(now));
        ask.clear();
        assert!(!ask.poll(now + KEYFRAME_REQUEST_INTERVAL));
    }

    #[test]
    fn a_viewer_that_waits_is_asked_for_again_until_a_keyframe_comes() {
        let now = start();
        let mut ask = KeyframeAsk::default();
        assert!(ask.insist(now));
        assert!(ask.poll(now + KEYFRAME_REQUEST_INTERVAL));
        assert!(ask.poll(now + 2 * KEYFRAME_REQUEST_INTERVAL));
        ask.clear();
        assert!(!ask.poll(now + 3 * KEYFRAME_REQUEST_INTERVAL));
    }
}
