//! What was last heard of the authority, and when to ask whether it is there.

use std::time::Instant;

use super::{FEED_SILENCE, POLL_INTERVAL, RENEWAL_TIMEOUT};

/// Signs of life of the authority.
#[derive(Default, Debug)]
pub(super) struct SignsOfLife {
    beat: Option<Instant>,
    answer: Option<Instant>,
    /// Time of the first question that stayed without answer since the last answer.
    unanswered: Option<Instant>,
    /// When the next round of questions starts while the feed is silent.
    round: Option<Instant>,
    /// When to ask an empty question if nothing else is asked.
    probe: Option<Instant>,
    /// An empty question is on its way since this time.
    probing: Option<Instant>,
}

impl SignsOfLife {
    /// The feed has beaten.
    pub(super) fn beat(&mut self, now: Instant) {
        self.beat = self.beat.max(Some(now));
        self.round = None;
    }

    /// A question was answered.
    pub(super) fn answer(&mut self, now: Instant) {
        self.answer = self.answer.max(Some(now));
        self.unanswered = None;
        self.probe = None;
        self.probing = None;
    }

    /// A question asked at `since` was not answered.
    pub(super) fn silence(&mut self, since: Instant) {
        self.unanswered = self.unanswered.or(Some(since));
        self.probing = None;
    }

    /// Asks again some time after a silence.
    pub(super) fn probe_after(&mut self, now: Instant) {
        self.probe = Some(now + POLL_INTERVAL);
    }

    /// The last sign of life.
    pub(super) fn last(&self) -> Option<Instant> {
        self.beat.max(self.answer)
    }

    /// Since when questions stay without answer.
    pub(super) fn unanswered_since(&self) -> Option<Instant> {
        self.unanswered
    }

    /// Whether the authority was heard of lately and answers.
    pub(super) fn is_heard(&self, now: Instant) -> bool {
        let lately = self.last().is_some_and(|sign| now < sign + FEED_SILENCE);
        lately && self.unanswered.is_none()
    }

    /// Whether a round of questions about all leases starts now.
    pub(super) fn take_round(&mut self, now: Instant) -> bool {
        if self.round_at().is_none_or(|at| now < at) {
            return false;
        }
        self.round = Some(now + POLL_INTERVAL);
        self.probe = Some(now);
        true
    }

    /// A question with leases goes out: no empty one is needed.
    pub(super) fn asked(&mut self) {
        self.probe = None;
    }

    /// Whether an empty question goes out now.
    pub(super) fn take_probe(&mut self, now: Instant, asking: bool) -> bool {
        if asking || self.probing.is_some() || self.probe.is_none_or(|at| now < at) {
            return false;
        }
        self.probe = None;
        self.probing = Some(now);
        true
    }

    /// An empty question may have been without answer for too long.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if let Some(since) = self.probing.filter(|since| *since + RENEWAL_TIMEOUT <= now) {
            self.silence(since);
            self.probe_after(now);
        }
    }

    /// When something here is next due; `asking`: a question with leases is on its way.
    pub(super) fn poll_timeout(&self, asking: bool) -> Option<Instant> {
        let probe = self.probe.filter(|_| !asking && self.probing.is_none());
        let unanswered = self.probing.map(|since| since + RENEWAL_TIMEOUT);
        self.round_at().into_iter().chain(probe).chain(unanswered).min()
    }

    fn round_at(&self) -> Option<Instant> {
        let silent = self.beat? + FEED_SILENCE;
        Some(self.round.map_or(silent, |round| round.max(silent)))
    }
}
