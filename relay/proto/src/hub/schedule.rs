//! Who has work now, and who has it when. All orders are deterministic.

use std::collections::{BTreeSet, VecDeque};
use std::time::Instant;

use super::SubscriberId;

/// Where a subscriber stands in the schedule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// Nothing to send; a wanted frame wakes it. It stands in its stream's idle list.
    Idle,
    /// Its next frame is due at this time.
    Timed(Instant),
    /// Waits to be named by `poll_ready`.
    Queued,
    /// Named; the shell polls it, or waits until its transport is writable.
    Named,
}

/// Stale entries tolerated in the ready queue.
const MAX_STALE_READY: usize = 64;

/// Ready queue and timers of one hub. The ready queue holds each subscriber at most once, but for
/// entries that have become stale: they are passed over when they come up, and bounded.
#[derive(Default, Debug)]
pub(super) struct Schedule {
    ready: VecDeque<SubscriberId>,
    timed: BTreeSet<(Instant, SubscriberId)>,
    streams: BTreeSet<(Instant, u64)>,
    epoch: Option<Instant>,
}

impl Schedule {
    /// Puts a subscriber into its new place; idle lists are kept by the streams.
    pub(super) fn set(&mut self, id: SubscriberId, place: &mut Place, new: Place) {
        if let Place::Timed(due) = *place {
            self.timed.remove(&(due, id));
        }
        match new {
            Place::Timed(due) => {
                self.timed.insert((due, id));
            }
            Place::Queued if *place != Place::Queued => self.ready.push_back(id),
            Place::Queued | Place::Named | Place::Idle => {}
        }
        *place = new;
    }

    /// The next entry of the ready queue, perhaps stale.
    pub(super) fn pop_ready(&mut self) -> Option<SubscriberId> {
        self.ready.pop_front()
    }

    /// Drops stale entries when there are too many for `live` subscribers.
    pub(super) fn prune_ready(&mut self, live: usize, is_live: impl Fn(SubscriberId) -> bool) {
        if self.ready.len() > 2 * live + MAX_STALE_READY {
            self.ready.retain(|id| is_live(*id));
        }
    }

    #[cfg(test)]
    pub(super) fn ready_entries(&self) -> usize {
        self.ready.len()
    }

    /// A subscriber whose time has come.
    pub(super) fn first_timed(&self, now: Instant) -> Option<SubscriberId> {
        self.timed.first().filter(|(due, _)| *due <= now).map(|(_, id)| *id)
    }

    /// Moves a stream's deadline.
    pub(super) fn set_stream(&mut self, id: u64, old: &mut Option<Instant>, new: Option<Instant>) {
        if *old == new {
            return;
        }
        if let Some(due) = *old {
            self.streams.remove(&(due, id));
        }
        if let Some(due) = new {
            self.streams.insert((due, id));
        }
        *old = new;
    }

    /// Streams whose deadline has come.
    pub(super) fn due_streams(&self, now: Instant) -> Vec<u64> {
        self.streams.iter().take_while(|(due, _)| *due <= now).map(|(_, id)| *id).collect()
    }

    /// The moment that ticks are counted from.
    pub(super) fn epoch(&mut self, now: Instant) -> Instant {
        *self.epoch.get_or_insert(now)
    }

    /// The earliest deadline of all.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let timed = self.timed.first().map(|(due, _)| *due);
        let stream = self.streams.first().map(|(due, _)| *due);
        timed.into_iter().chain(stream).min()
    }

    #[cfg(debug_assertions)]
    pub(super) fn is_timed(&self, due: Instant, id: SubscriberId) -> bool {
        self.timed.contains(&(due, id))
    }

    #[cfg(debug_assertions)]
    pub(super) fn timed_len(&self) -> usize {
        self.timed.len()
    }
}
