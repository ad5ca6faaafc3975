//! Pacing: a frame of many packets leaves in chunks, so that no path gets a keyframe in one burst.
//!
//! The rule of order: all viewers get the first chunk of a frame in one pass of the worker, in the
//! order in which they have work, then all of them the second, and so on. So no viewer waits for
//! another's whole keyframe, and none gets two chunks of it back to back. The pass itself spreads
//! the viewers; nothing is added to it, since a wake costs more than what a longer spread saves.
//!
//! Overflow rule: a begun frame is always finished, and what arrives meanwhile waits in the ring,
//! where it counts as lag. A frame that falls out of the ring half sent leaves a gap in the
//! viewer's numbers, so that its decoder knows of the missing end.

use std::ops::Range;
use std::time::{Duration, Instant};

use super::meter::Meter;
use crate::frame::Frame;

/// Packets of a chunk: what a viewer gets back to back while its stream is no faster than pacing.
pub const CHUNK_PACKETS: usize = 16;
/// Least time between two chunks of one viewer.
pub const CHUNK_INTERVAL: Duration = Duration::from_millis(1);
/// Chunks are due at multiples of this, so that the viewers of a tick share one wake.
pub const PACE_TICK: Duration = Duration::from_millis(1);
/// Longest time that pacing puts between viewers that are served in one pass without it.
pub const MAX_STAGGER: Duration = Duration::from_millis(4);
const _: () = assert!(
    CHUNK_INTERVAL.as_millis() + PACE_TICK.as_millis() <= MAX_STAGGER.as_millis(),
    "a viewer's next chunk comes before the stagger's bound"
);
/// Chunks grow until a viewer gets this many times its stream's packets a second, in halves.
const LEAST_PACE_HALVES: u128 = 3;

/// How a viewer's transport takes frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Pacing {
    /// Whole: the transport paces by itself (TCP, QUIC).
    #[default]
    Whole,
    /// In chunks of [`CHUNK_PACKETS`]: the transport is bare UDP.
    Chunks,
}

/// Where a viewer stands within the frame under its cursor.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Pace {
    pacing: Pacing,
    /// Packets of the frame that are sent; 0 between frames.
    sent: u32,
    /// The last chunk; cleared by the first frame that did not wait for it.
    last: Option<Chunk>,
}

#[derive(Clone, Copy, Debug)]
struct Chunk {
    at: Instant,
    /// Nothing is due before this.
    next: Instant,
}

impl Pace {
    pub(super) fn new(pacing: Pacing) -> Self {
        Self { pacing, ..Self::default() }
    }

    /// Packets of the frame under the cursor that are sent; 0 between frames.
    pub(super) fn sent(&self) -> usize {
        self.sent as usize
    }

    /// Before this nothing is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.last.map(|chunk| chunk.next)
    }

    /// The rest of the frame under the cursor is not sent any more.
    pub(super) fn abandon(&mut self) {
        self.sent = 0;
    }

    /// The packets of `frame` to send now. Ticks are counted from `epoch`.
    pub(super) fn take(
        &mut self,
        now: Instant,
        epoch: Instant,
        frame: &Frame,
        meter: Option<&Meter>,
    ) -> Range<usize> {
        let len = frame.payloads.len();
        if self.pacing == Pacing::Whole || len <= CHUNK_PACKETS {
            if let Some(last) = self.last {
                // Frames that wait behind a large one are paced too.
                let waited = frame.descriptor.arrival.0 < last.next;
                self.last = waited.then(|| Chunk::sent(now, epoch));
            }
            return 0..len;
        }
        let start = self.sent();
        let passed =
            self.last.filter(|_| start > 0).map(|last| now.saturating_duration_since(last.at));
        let room = passed.map_or(CHUNK_PACKETS, |passed| allowance(passed, meter));
        let end = len.min(start + room);
        self.sent = if end == len { 0 } else { end as u32 };
        self.last = Some(Chunk::sent(now, epoch));
        start..end
    }
}

impl Chunk {
    fn sent(now: Instant, epoch: Instant) -> Self {
        let earliest = (now + CHUNK_INTERVAL).saturating_duration_since(epoch);
        let ticks = earliest.as_nanos().div_ceil(PACE_TICK.as_nanos());
        let since = Duration::from_nanos((ticks * PACE_TICK.as_nanos()) as u64);
        Self { at: now, next: epoch + since }
    }
}

/// Packets for the time since the last chunk: one chunk, or as many as the stream's rate wants.
fn allowance(passed: Duration, meter: Option<&Meter>) -> usize {
    let per_second = meter.map_or(0, Meter::packets_per_second);
    let wanted = u128::from(per_second) * passed.as_nanos() * LEAST_PACE_HALVES / 2;
    let chunks = wanted.div_ceil(CHUNK_PACKETS as u128 * 1_000_000_000).max(1);
    usize::try_from(chunks).unwrap_or(usize::MAX).saturating_mul(CHUNK_PACKETS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::testing::{FrameSpec, start, video_frame};

    fn frame(packets: usize, arrival: Instant) -> Frame {
        let spec = FrameSpec { packets, arrival: Some(arrival), ..FrameSpec::default() };
        video_frame(spec)
    }

    #[test]
    fn a_frame_of_one_chunk_goes_whole_and_a_larger_one_does_not() {
        let now = start();
        for (pacing, packets, first) in [
            (Pacing::Chunks, CHUNK_PACKETS, 0..CHUNK_PACKETS),
            (Pacing::Chunks, CHUNK_PACKETS + 1, 0..CHUNK_PACKETS),
            (Pacing::Whole, CHUNK_PACKETS + 1, 0..CHUNK_PACKETS + 1),
        ] {
            let mut pace = Pace::new(pacing);
            assert_eq!(pace.take(now, now, &frame(packets, now), None), first, "{pacing:?}");
            let chunked = first.end < packets;
            assert_eq!(pace.due().is_some(), chunked);
            assert_eq!(pace.sent(), if chunked { first.end } else { 0 });
        }
    }

    #[test]
    fn the_next_chunk_is_due_one_to_two_milliseconds_later_on_a_common_tick() {
        let epoch = start();
        for micros in [0, 1, 400, 999, 1000, 1001] {
            let now = epoch + Duration::from_micros(micros);
            let mut pace = Pace::new(Pacing::Chunks);
            pace.take(now, epoch, &frame(40, now), None);
            let due = pace.due().unwrap();
            assert!((CHUNK_INTERVAL..CHUNK_INTERVAL + PACE_TICK).contains(&(due - now)));
            assert_eq!((due - epoch).as_nanos() % PACE_TICK.as_nanos(), 0);
        }
    }

    #[test]
    fn frames_that_waited_behind_a_large_one_are_paced_and_later_ones_are_not() {
        let now = start();
        let mut pace = Pace::new(Pacing::Chunks);
        pace.take(now, now, &frame(20, now), None);
        let due = pace.due().unwrap();
        assert_eq!(pace.take(due, now, &frame(20, now), None), 16..20);
        let behind = frame(3, now + Duration::from_micros(500));
        let due = pace.due().unwrap();
        assert_eq!(pace.take(due, now, &behind, None), 0..3);
        let due = pace.due().expect("the next one has to wait as well");
        assert_eq!(pace.take(due, now, &frame(3, due), None), 0..3);
        assert_eq!(pace.due(), None);
    }

    #[test]
    fn chunks_grow_until_the_pace_is_half_over_the_streams_rate() {
        // 16 packets in 2 ms are 8000 a second.
        for (per_second, passed, packets) in
            [(1000, 2, 16), (5333, 2, 16), (5400, 2, 32), (20_000, 2, 64), (20_000, 20, 608)]
        {
            let meter = Meter::steady(per_second);
            let room = allowance(Duration::from_millis(passed), Some(&meter));
            assert_eq!(room, packets, "{per_second} a second");
            assert!(room as u64 * 1000 * 2 >= per_second * passed * 3);
        }
        assert_eq!(allowance(Duration::from_secs(1), None), CHUNK_PACKETS);
    }
}
