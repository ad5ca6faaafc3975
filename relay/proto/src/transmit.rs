//! The send arena: datagrams of one flush, grouped so that each group is one segmented send.

use std::net::SocketAddr;
use std::ops::Range;

/// Datagrams of one size to one destination: one UDP segmentation (GSO) send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Run {
    /// Where to.
    pub destination: SocketAddr,
    /// Bytes of each datagram; the last may be shorter.
    pub segment: usize,
    /// Place in the arena.
    pub range: Range<usize>,
}

/// A reusable buffer of outgoing datagrams. The shell sends the runs in order and clears it.
#[derive(Default, Debug)]
pub struct Arena {
    bytes: Vec<u8>,
    runs: Vec<Run>,
}

/// Segments of one run, at most: what every kernel's UDP_SEGMENT takes.
pub const MAX_SEGMENTS: usize = 44;

impl Arena {
    /// An arena that holds `capacity` bytes before it grows.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { bytes: Vec::with_capacity(capacity), runs: Vec::new() }
    }

    /// Appends one datagram that `write` puts behind what is there. It joins the last run if the
    /// destination and the size allow. `write` returning `false` takes the datagram back.
    pub fn push_with(&mut self, destination: SocketAddr, write: impl FnOnce(&mut Vec<u8>) -> bool) {
        let start = self.bytes.len();
        if !write(&mut self.bytes) || self.bytes.len() == start {
            self.bytes.truncate(start);
            return;
        }
        let len = self.bytes.len() - start;
        if let Some(run) = self.runs.last_mut() {
            let filled = run.range.len();
            let whole = filled.is_multiple_of(run.segment);
            let room = filled / run.segment < MAX_SEGMENTS && filled + len <= 65_000;
            if run.destination == destination && whole && room && len <= run.segment {
                run.range.end = self.bytes.len();
                return;
            }
        }
        self.runs.push(Run { destination, segment: len, range: start..self.bytes.len() });
    }

    /// Appends a finished datagram.
    pub fn push(&mut self, destination: SocketAddr, datagram: &[u8]) {
        self.push_with(destination, |out| {
            out.extend_from_slice(datagram);
            true
        });
    }

    /// The runs in sending order with their bytes.
    pub fn runs(&self) -> impl Iterator<Item = (&Run, &[u8])> {
        self.runs.iter().map(|run| (run, &self.bytes[run.range.clone()]))
    }

    /// Bytes held.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Nothing to send.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Forgets everything, keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.runs.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn equal_datagrams_to_one_viewer_form_one_run() {
        let mut arena = Arena::default();
        for len in [100, 100, 60] {
            arena.push(to(1), &vec![0; len]);
        }
        arena.push(to(1), &[0; 100]);
        arena.push(to(2), &[0; 100]);
        let sizes: Vec<_> = arena.runs().map(|(run, bytes)| (run.segment, bytes.len())).collect();
        assert_eq!(sizes, [(100, 260), (100, 100), (100, 100)]);
    }

    #[test]
    fn a_run_never_exceeds_the_segment_bound() {
        let mut arena = Arena::default();
        for _ in 0..=MAX_SEGMENTS {
            arena.push(to(1), &[0; 10]);
        }
        let counts: Vec<_> = arena.runs().map(|(_, bytes)| bytes.len() / 10).collect();
        assert_eq!(counts, [MAX_SEGMENTS, 1]);
    }

    #[test]
    fn a_datagram_taken_back_leaves_nothing() {
        let mut arena = Arena::default();
        arena.push_with(to(1), |out| {
            out.push(1);
            false
        });
        assert!(arena.is_empty());
        assert_eq!(arena.len(), 0);
    }
}
