//! What was handed out since the shell last asked, so that it can measure how long frames stay.

use std::time::Instant;

/// Frames that are noted until the shell asks; further ones are not measured.
pub(super) const MAX_NOTED: usize = 64;
/// Arrivals that are remembered as handed out before.
const REMEMBERED: usize = 64;

/// A frame that viewers at the live edge were given. Frames that arrived in the same turn of the
/// worker count as one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Handed {
    /// Arrival of its first packet.
    pub arrival: Instant,
    /// Whether nobody had been given it before.
    pub first: bool,
    /// How many viewers were given it.
    pub viewers: u64,
}

pub(super) struct HandedOut {
    noted: Vec<Handed>,
    remembered: [Option<Instant>; REMEMBERED],
    next: usize,
}

impl Default for HandedOut {
    fn default() -> Self {
        Self { noted: Vec::with_capacity(MAX_NOTED), remembered: [None; REMEMBERED], next: 0 }
    }
}

impl HandedOut {
    /// A viewer at the live edge was given a frame.
    pub(super) fn note(&mut self, arrival: Instant) {
        // The viewers of a turn mostly get the same frame, so the last one matches.
        if let Some(handed) = self.noted.iter_mut().rev().find(|it| it.arrival == arrival) {
            handed.viewers += 1;
            return;
        }
        if self.noted.len() == MAX_NOTED {
            return;
        }
        let first = !self.remembered.contains(&Some(arrival));
        if first {
            self.remembered[self.next] = Some(arrival);
            self.next = (self.next + 1) % REMEMBERED;
        }
        self.noted.push(Handed { arrival, first, viewers: 1 });
    }

    pub(super) fn take(&mut self) -> std::vec::Drain<'_, Handed> {
        self.noted.drain(..)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::hub::testing::start;

    #[test]
    fn a_frame_is_first_once_and_its_viewers_are_counted() {
        let mut handed = HandedOut::default();
        let arrival = start();
        handed.note(arrival);
        handed.note(arrival);
        assert_eq!(handed.take().as_slice(), [Handed { arrival, first: true, viewers: 2 }]);
        handed.note(arrival);
        assert_eq!(handed.take().as_slice(), [Handed { arrival, first: false, viewers: 1 }]);
        assert_eq!(handed.take().len(), 0);
    }

    #[test]
    fn notes_are_bounded_on_both_sides() {
        let mut handed = HandedOut::default();
        let start = start();
        for number in 0..=MAX_NOTED as u64 {
            assert_eq!(handed.noted.len() as u64, number);
            handed.note(start + Duration::from_millis(number));
        }
        assert_eq!(handed.noted.len(), MAX_NOTED);
        // One that is noted already still counts its viewers.
        handed.note(start);
        assert_eq!(handed.take().next().map(|it| it.viewers), Some(2));
    }
}
