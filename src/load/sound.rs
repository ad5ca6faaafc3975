//! The sound of a camera: Opus packets at their rate, of bytes that no decoder likes.

use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use sightline_client::publish::Publisher;
use sightline_client::source::Frame;
use sightline_relay_proto::codec::{Codec, TrackInfo};
use sightline_relay_proto::ids::TrackIndex;

/// Its track, behind the picture's.
const TRACK: TrackIndex = TrackIndex(1);
/// Time from packet to packet.
const PERIOD: Duration = Duration::from_millis(20);
/// Ticks of the 48 kHz clock in that time (RFC 7587, 4.1).
const PERIOD_TICKS: u32 = 960;
/// Bytes of a packet: 64 kbit/s.
const BYTES: usize = 160;
/// What a packet is filled with; as its first byte it means one frame of 20 ms (RFC 6716, 3.1).
const FILL: u8 = 0xf8;

/// What there is to say of the track.
pub(super) fn track() -> TrackInfo {
    TrackInfo::audio(Codec::Opus, 48_000, 2)
}

/// Packets of one session.
pub(super) struct Sound {
    next: Instant,
    number: u32,
}

impl Sound {
    /// Begins at once.
    pub(super) fn new() -> Self {
        Self { next: Instant::now(), number: 0 }
    }

    /// Sends what is due before `end`, each packet at its time. Those that a pause has made late
    /// are left out. `None` when the connection has ended.
    pub(super) async fn send_until(&mut self, end: Instant, to: &mut Publisher) -> Option<()> {
        while let Some(timestamp) = self.coming(Instant::now(), end) {
            tokio::time::sleep_until(self.next.into()).await;
            let frame = Frame {
                track: TRACK,
                timestamp,
                captured: SystemTime::now(),
                ready: Instant::now(),
                keyframe: true,
                unit: Bytes::from_static(&[FILL; BYTES]),
            };
            to.send(&frame).await.ok()?;
            self.next += PERIOD;
            self.number = self.number.wrapping_add(1);
        }
        Some(())
    }

    /// Timestamp of the next packet, if it is due before `end`.
    fn coming(&mut self, now: Instant, end: Instant) -> Option<u32> {
        while self.next + PERIOD < now {
            self.next += PERIOD;
            self.number = self.number.wrapping_add(1);
        }
        (self.next < end).then(|| self.number.wrapping_mul(PERIOD_TICKS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_that_a_pause_made_late_are_left_out() {
        let mut sound = Sound::new();
        let start = sound.next;
        let at = |millis| start + Duration::from_millis(millis);
        assert_eq!(sound.coming(at(0), at(33)), Some(0));
        assert_eq!(sound.coming(at(15), at(33)), Some(0), "a little late is sent");
        assert_eq!(sound.coming(at(105), at(133)), Some(5 * PERIOD_TICKS));
        assert_eq!((sound.next, sound.coming(at(105), at(99))), (at(100), None));
    }
}
