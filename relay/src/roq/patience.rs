//! What the connections of viewers can wait for.
//!
//! A connection's state is tens of kilobytes, and with a thousand of them each look finds it cold.
//! So a viewer whose frames are all out is looked at once a frame: its acknowledgements are kept
//! as they came, with the time when they came, until its next frame goes out, and its timers
//! wait as long. What is lost on the way is sent again with the next frame.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use quinn_proto::ConnectionEvent;

/// Longest wait: a little over the time between frames of the slowest usual camera.
pub(super) const PATIENCE: Duration = Duration::from_millis(150);
/// Datagrams of one viewer that wait, at most; then it is looked at.
pub(super) const MAX_WAITING: usize = 16;
/// Deadlines are multiples of this, so that those of many connections make one wake.
pub(super) const TICK: Duration = Duration::from_millis(2);

/// What a connection waits for.
#[derive(Default)]
struct Entry {
    /// Datagrams that wait.
    waiting: Vec<ConnectionEvent>,
    /// Datagrams may wait.
    patient: bool,
    deadline: Option<Instant>,
    /// Where it stands in the order of deadlines: at its deadline or before it, so that a deadline
    /// that moves back costs nothing.
    entered: Option<Instant>,
}

/// Deadlines and waiting datagrams of all connections, by their handles.
pub(super) struct Patience {
    entries: Vec<Entry>,
    order: BTreeSet<(Instant, usize)>,
    /// Origin of the ticks.
    born: Instant,
}

impl Patience {
    pub(super) fn new(now: Instant) -> Self {
        Self { entries: Vec::new(), order: BTreeSet::new(), born: now }
    }

    /// Keeps a datagram if its connection can wait. What is given back must be handled now, after
    /// those that wait.
    pub(super) fn keep(
        &mut self,
        now: Instant,
        handle: usize,
        datagram: ConnectionEvent,
    ) -> Option<ConnectionEvent> {
        let entry = self.entries.get_mut(handle).filter(|entry| entry.patient);
        let Some(entry) = entry.filter(|entry| entry.waiting.len() < MAX_WAITING) else {
            return Some(datagram);
        };
        entry.waiting.push(datagram);
        let latest = now + PATIENCE;
        if entry.deadline.is_none_or(|deadline| deadline > latest + TICK) {
            self.schedule(now, handle, Some(latest), true);
        }
        None
    }

    /// Takes the datagrams that wait for a connection, in order. Its next ones are not kept until
    /// it is scheduled again.
    pub(super) fn take(&mut self, handle: usize) -> impl Iterator<Item = ConnectionEvent> {
        self.entries.get_mut(handle).into_iter().flat_map(|entry| {
            entry.patient = false;
            entry.waiting.drain(..)
        })
    }

    /// Sets a connection's deadline, rounded up to a tick unless it has come, and whether its
    /// datagrams may wait.
    pub(super) fn schedule(
        &mut self,
        now: Instant,
        handle: usize,
        deadline: Option<Instant>,
        patient: bool,
    ) {
        let deadline = deadline.map(|at| if at <= now { at } else { self.tick_after(at) });
        if self.entries.len() <= handle {
            self.entries.resize_with(handle + 1, Entry::default);
        }
        let entry = &mut self.entries[handle];
        entry.patient = patient;
        entry.deadline = deadline;
        let sooner = deadline.is_some_and(|at| entry.entered.is_none_or(|entered| at < entered));
        if sooner || deadline.is_none() {
            self.enter(handle, deadline);
        }
    }

    /// Datagrams that wait, of all connections.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.entries.iter().map(|entry| entry.waiting.len()).sum()
    }

    /// A connection has ended.
    pub(super) fn forget(&mut self, handle: usize) {
        self.enter(handle, None);
        if let Some(entry) = self.entries.get_mut(handle) {
            *entry = Entry::default();
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Takes the connections whose deadline has come.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<usize> {
        let mut due = Vec::new();
        while let Some((at, handle)) = self.order.first().copied().filter(|(at, _)| *at <= now) {
            self.order.remove(&(at, handle));
            let entry = &mut self.entries[handle];
            entry.entered = None;
            match entry.deadline {
                Some(deadline) if deadline <= now => {
                    entry.deadline = None;
                    due.push(handle);
                }
                later => self.enter(handle, later),
            }
        }
        due
    }

    fn enter(&mut self, handle: usize, at: Option<Instant>) {
        let Some(entry) = self.entries.get_mut(handle) else { return };
        if let Some(old) = std::mem::replace(&mut entry.entered, at) {
            self.order.remove(&(old, handle));
        }
        self.order.extend(at.map(|at| (at, handle)));
    }

    fn tick_after(&self, at: Instant) -> Instant {
        let since = at.saturating_duration_since(self.born);
        let into = Duration::from_nanos((since.as_nanos() % TICK.as_nanos()) as u64);
        if into.is_zero() { at } else { at + (TICK - into) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(born: Instant, millis: u64) -> Instant {
        born + Duration::from_millis(millis)
    }

    #[test]
    fn deadlines_are_rounded_up_to_ticks_and_those_that_came_are_not() {
        let born = Instant::now();
        let mut patience = Patience::new(born);
        patience.schedule(born, 3, Some(born + Duration::from_micros(2100)), false);
        assert_eq!(patience.poll_timeout(), Some(at(born, 4)));
        assert!(patience.take_due(at(born, 3)).is_empty());
        assert_eq!(patience.take_due(at(born, 4)), [3]);
        assert_eq!(patience.poll_timeout(), None);
        let now = born + Duration::from_micros(5100);
        patience.schedule(now, 3, Some(now), false);
        assert_eq!(patience.take_due(now), [3]);
    }

    #[test]
    fn a_deadline_that_moves_back_is_found_when_its_old_place_comes() {
        let born = Instant::now();
        let mut patience = Patience::new(born);
        patience.schedule(born, 0, Some(at(born, 10)), false);
        patience.schedule(born, 0, Some(at(born, 30)), false);
        assert_eq!(patience.poll_timeout(), Some(at(born, 10)));
        assert!(patience.take_due(at(born, 10)).is_empty());
        assert_eq!(patience.poll_timeout(), Some(at(born, 30)));
        patience.schedule(born, 0, Some(at(born, 20)), false);
        assert_eq!(patience.poll_timeout(), Some(at(born, 20)));
        patience.schedule(born, 0, None, false);
        assert_eq!(patience.poll_timeout(), None);
    }

    #[test]
    fn who_has_ended_has_no_deadline() {
        let born = Instant::now();
        let mut patience = Patience::new(born);
        patience.schedule(born, 1, Some(at(born, 10)), true);
        patience.forget(1);
        assert_eq!(patience.poll_timeout(), None);
        assert!(patience.take_due(at(born, 20)).is_empty());
        assert_eq!(patience.take(1).chain(Patience::new(born).take(7)).count(), 0);
    }
}
