//! What a track carries.

use std::time::{Duration, Instant};

use crate::frame::Frame;
use crate::wire::rtp;

/// Shortest time that a rate is measured over; the longest is twice that while frames come.
const WINDOW: Duration = Duration::from_secs(1);

/// Bytes and packets of a time.
#[derive(Clone, Copy, Default, Debug)]
struct Load {
    bytes: u64,
    packets: u64,
    /// Bytes of frames that no other refers to.
    needless: u64,
}

/// Rates of one track over the last one to two windows.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Meter {
    /// Beginning of the running window.
    since: Option<Instant>,
    running: Load,
    /// Measured when the last window ended.
    rate: Option<Load>,
    /// Of the last whole window, and its length.
    whole: Option<(Load, Duration)>,
}

impl Meter {
    /// A frame has come.
    pub(super) fn observe(&mut self, frame: &Frame) {
        let needless = frame.descriptor.is_needless();
        self.add(frame.descriptor.arrival.0, frame.bytes(), frame.payloads.len(), needless);
    }

    fn add(&mut self, at: Instant, bytes: usize, packets: usize, needless: bool) {
        let since = *self.since.get_or_insert(at);
        let passed = at.saturating_duration_since(since);
        if passed >= WINDOW {
            let before = self.whole.replace((self.running, passed));
            self.rate = Some(self.per_second(before.filter(|_| passed < 2 * WINDOW)));
            self.since = Some(at);
            self.running = Load::default();
        }
        let bytes = (bytes + packets * rtp::HEADER_LEN) as u64;
        self.running.bytes += bytes;
        self.running.needless += if needless { bytes } else { 0 };
        self.running.packets += packets as u64;
    }

    /// The rate over the last whole window and the one before it.
    fn per_second(&self, before: Option<(Load, Duration)>) -> Load {
        let both = self.whole.iter().chain(before.as_ref());
        let (mut bytes, mut packets, mut needless, mut nanos) = (0, 0, 0, 0);
        for (load, passed) in both {
            bytes += u128::from(load.bytes);
            needless += u128::from(load.needless);
            packets += u128::from(load.packets);
            nanos += passed.as_nanos();
        }
        let per = |count: u128| (count * 1_000_000_000 / nanos.max(1)) as u64;
        Load { bytes: per(bytes), packets: per(packets), needless: per(needless) }
    }

    /// Packets a second; 0 until the first window is over.
    pub(super) fn packets_per_second(&self) -> u64 {
        self.rate.map_or(0, |rate| rate.packets)
    }

    /// Bits a second with RTP headers; 0 until the first window is over.
    pub(super) fn bits_per_second(&self) -> u64 {
        self.rate.map_or(0, |rate| rate.bytes * 8)
    }

    /// Of these, bits of frames that no other refers to.
    pub(super) fn needless_bits_per_second(&self) -> u64 {
        self.rate.map_or(0, |rate| rate.needless * 8)
    }

    /// A meter of a track that sends this many packets a second.
    #[cfg(test)]
    pub(super) fn steady(packets: u64) -> Self {
        Self { rate: Some(Load { bytes: packets * 1200, packets, needless: 0 }), ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::testing::start;

    #[test]
    fn a_steady_track_is_measured_once_the_first_window_is_over() {
        let now = start();
        let mut meter = Meter::default();
        for frame in 0..25 {
            meter.add(now + frame * WINDOW / 25, 988, 1, frame % 5 == 0);
            assert_eq!(meter.packets_per_second(), 0);
        }
        meter.add(now + WINDOW, 988, 1, false);
        assert_eq!((meter.packets_per_second(), meter.bits_per_second()), (25, 200_000));
        assert_eq!(meter.needless_bits_per_second(), 40_000);
    }

    #[test]
    fn a_keyframe_counts_for_two_windows_and_a_pause_for_none() {
        let now = start();
        let mut meter = Meter::default();
        let mut at = now;
        let mut second = |meter: &mut Meter, first: usize| {
            for frame in 0..10 {
                meter.add(at, 1000, if frame == 0 { first } else { 1 }, false);
                at += WINDOW / 10;
            }
        };
        second(&mut meter, 91);
        second(&mut meter, 1);
        assert_eq!(meter.packets_per_second(), 100);
        second(&mut meter, 1);
        assert_eq!(meter.packets_per_second(), 55);
        second(&mut meter, 1);
        assert_eq!(meter.packets_per_second(), 10);
        meter.add(now + WINDOW * 24, 1000, 1, false);
        assert_eq!(meter.packets_per_second(), 0, "ten packets in twenty seconds");
    }
}
