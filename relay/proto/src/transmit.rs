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
    /// The memory: everything that was ever in use stays initialised.
    bytes: Vec<u8>,
    /// Bytes in use.
    used: usize,
    runs: Vec<Run>,
    /// Runs that take no further datagram.
    closed: usize,
    /// Datagrams that the last run still takes; none after one shorter than its segment.
    room: usize,
}

/// Segments of one run, at most: what every kernel's UDP_SEGMENT takes.
pub const MAX_SEGMENTS: usize = 44;
/// Bytes of one run, at most: they and their headers fit the length field of UDP over IPv6.
const MAX_RUN_BYTES: usize = 65_000;

impl Arena {
    /// An arena that holds `capacity` bytes before it grows.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { bytes: Vec::with_capacity(capacity), ..Self::default() }
    }

    /// Appends one datagram that `write` puts behind what is there. It joins the last run if the
    /// destination and the size allow. `write` returning `false` takes the datagram back.
    pub fn push_with(&mut self, destination: SocketAddr, write: impl FnOnce(&mut Vec<u8>) -> bool) {
        let start = self.used;
        self.bytes.truncate(start);
        if write(&mut self.bytes) && self.bytes.len() > start {
            self.used = self.bytes.len();
            self.enter(destination, start);
        }
    }

    /// The same for a datagram of known length: `write` fills a place that may hold anything, so
    /// no byte is written twice.
    pub fn push_sized(
        &mut self,
        destination: SocketAddr,
        len: usize,
        write: impl FnOnce(&mut [u8]) -> bool,
    ) {
        let start = self.used;
        let end = start + len;
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        if len > 0 && write(&mut self.bytes[start..end]) {
            self.used = end;
            self.enter(destination, start);
        }
    }

    /// Books the datagram that begins at `start`.
    fn enter(&mut self, destination: SocketAddr, start: usize) {
        let len = self.used - start;
        let open = self.closed < self.runs.len() && self.room > 0;
        if let Some(run) = self.runs.last_mut().filter(|_| open) {
            let follows = run.range.end == start && run.destination == destination;
            let fits = len <= run.segment && run.range.len() + len <= MAX_RUN_BYTES;
            if follows && fits {
                run.range.end = self.used;
                self.room = if len == run.segment { self.room - 1 } else { 0 };
                return;
            }
        }
        self.room = MAX_SEGMENTS - 1;
        self.runs.push(Run { destination, segment: len, range: start..self.used });
    }

    /// Appends a finished datagram.
    pub fn push(&mut self, destination: SocketAddr, datagram: &[u8]) {
        self.push_with(destination, |out| {
            out.extend_from_slice(datagram);
            true
        });
    }

    /// What is pushed from now on joins no earlier run; the number of runs so far.
    pub fn begin_group(&mut self) -> usize {
        self.closed = self.runs.len();
        self.closed
    }

    /// Sends earlier runs to one more destination; their bytes are shared.
    pub fn repeat(&mut self, runs: Range<usize>, destination: SocketAddr) {
        for at in runs {
            let Some(run) = self.runs.get(at) else { return };
            let run = Run { destination, ..run.clone() };
            self.runs.push(run);
        }
        self.closed = self.runs.len();
    }

    /// What was pushed so far, for who finishes a datagram after pushing it.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.used]
    }

    /// Number of runs: messages of one flush.
    pub fn run_count(&self) -> usize {
        self.runs.len()
    }

    /// The runs in sending order with their bytes.
    pub fn runs(&self) -> impl Iterator<Item = (&Run, &[u8])> {
        self.runs.iter().map(|run| (run, &self.bytes[run.range.clone()]))
    }

    /// Bytes held.
    pub fn len(&self) -> usize {
        self.used
    }

    /// Nothing to send.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Forgets everything, keeps the memory.
    pub fn clear(&mut self) {
        self.used = 0;
        self.runs.clear();
        self.closed = 0;
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
    fn a_run_never_exceeds_the_byte_bound() {
        for (last, runs) in [(5000, 1), (5001, 2)] {
            let mut arena = Arena::default();
            for _ in 0..6 {
                arena.push(to(1), &[0; 10_000]);
            }
            arena.push(to(1), &vec![0; last]);
            assert_eq!((arena.run_count(), arena.len()), (runs, 60_000 + last));
        }
        assert_eq!(MAX_RUN_BYTES, 65_000);
    }

    #[test]
    fn a_group_goes_to_several_destinations_without_another_copy() {
        let mut arena = Arena::default();
        arena.push(to(1), &[0; 100]);
        let first = arena.begin_group();
        for len in [100, 60, 100] {
            arena.push(to(1), &vec![1; len]);
        }
        let group = first..arena.run_count();
        arena.repeat(group.clone(), to(2));
        arena.repeat(group, to(3));
        arena.push(to(3), &[2; 100]);
        assert_eq!(arena.len(), 460);
        let sent: Vec<_> =
            arena.runs().map(|(run, bytes)| (run.destination, bytes[0], bytes.len())).collect();
        let expected = [
            (to(1), 0, 100),
            (to(1), 1, 160),
            (to(1), 1, 100),
            (to(2), 1, 160),
            (to(2), 1, 100),
            (to(3), 1, 160),
            (to(3), 1, 100),
            (to(3), 2, 100),
        ];
        assert_eq!(sent, expected);
    }

    #[test]
    fn sized_datagrams_and_written_ones_stand_behind_each_other() {
        let mut arena = Arena::default();
        for round in 0..3u8 {
            arena.push_sized(to(1), 3, |out| {
                out.fill(round);
                true
            });
            arena.push_sized(to(1), 9, |_| false);
            arena.push(to(2), &[7, 7]);
            arena.push_sized(to(3), 1, |out| {
                out[0] = round;
                true
            });
            let sent: Vec<_> = arena.runs().map(|(_, bytes)| bytes.to_vec()).collect();
            assert_eq!(sent, [vec![round; 3], vec![7, 7], vec![round]]);
            assert_eq!(arena.len(), 6);
            arena.clear();
        }
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
