//! How fast one stream may be fed. A publisher that goes beyond it loses packets of its own, and
//! takes neither time nor cache from others.

use std::time::{Duration, Instant};

use crate::limits::{MAX_PUBLISHER_BYTES, MAX_PUBLISHER_PACKETS, PUBLISHER_BURST};

/// What a packet costs of a second.
const PER_PACKET: Duration = Duration::from_nanos(1_000_000_000 / MAX_PUBLISHER_PACKETS);
/// What a byte costs of a second, nanoseconds.
const NANOS_PER_BYTE: u64 = 1_000_000_000 / MAX_PUBLISHER_BYTES;

/// Two leaky buckets: packets and bytes.
#[derive(Default, Debug)]
pub(super) struct RateCeiling {
    packets: Bucket,
    bytes: Bucket,
}

/// The time up to which what was taken is paid for.
#[derive(Clone, Copy, Default, Debug)]
struct Bucket(Option<Instant>);

impl Bucket {
    /// The time paid for after something of this cost; `None` if that is too much at once.
    fn with(self, now: Instant, cost: Duration) -> Option<Self> {
        let paid = self.0.map_or(now, |paid| paid.max(now)) + cost;
        (paid <= now + PUBLISHER_BURST).then_some(Self(Some(paid)))
    }
}

impl RateCeiling {
    /// Whether a packet of `len` bytes is within the ceiling. One that is not costs nothing.
    pub(super) fn admits(&mut self, now: Instant, len: usize) -> bool {
        let nanos = NANOS_PER_BYTE.saturating_mul(len as u64);
        let packets = self.packets.with(now, PER_PACKET);
        let bytes = self.bytes.with(now, Duration::from_nanos(nanos));
        let (Some(packets), Some(bytes)) = (packets, bytes) else { return false };
        *self = Self { packets, bytes };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::testing::start;

    const BURST: u64 = PUBLISHER_BURST.as_secs();

    #[test]
    fn packets_are_taken_up_to_the_ceiling_and_not_beyond() {
        let now = start();
        let mut ceiling = RateCeiling::default();
        for _ in 0..MAX_PUBLISHER_PACKETS * BURST {
            assert!(ceiling.admits(now, 1));
        }
        assert!(!ceiling.admits(now, 1));
        assert!(!ceiling.admits(now + PER_PACKET - Duration::from_nanos(1), 1));
        assert!(ceiling.admits(now + PER_PACKET, 1));
    }

    #[test]
    fn bytes_are_taken_up_to_the_ceiling_and_not_beyond() {
        let now = start();
        let mut ceiling = RateCeiling::default();
        let burst = (MAX_PUBLISHER_BYTES * BURST) as usize;
        assert!(!ceiling.admits(now, burst + 1));
        assert!(ceiling.admits(now, burst));
        assert!(!ceiling.admits(now, 1));
        assert!(ceiling.admits(now + Duration::from_nanos(NANOS_PER_BYTE), 1));
    }

    #[test]
    fn a_steady_stream_at_the_ceiling_is_never_cut() {
        let mut now = start();
        let mut ceiling = RateCeiling::default();
        let len = (MAX_PUBLISHER_BYTES / MAX_PUBLISHER_PACKETS) as usize;
        for _ in 0..MAX_PUBLISHER_PACKETS * 3 * BURST {
            assert!(ceiling.admits(now, len));
            now += PER_PACKET;
        }
    }
}
