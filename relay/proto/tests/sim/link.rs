//! A link with seeded loss, jitter, reordering and duplication.

use std::time::Duration;

/// Deterministic random numbers (xorshift64*).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// True `per_mille` times in a thousand.
    pub(crate) fn chance(&mut self, per_mille: u32) -> bool {
        (self.next() >> 32) % 1000 < u64::from(per_mille)
    }

    pub(crate) fn up_to(&mut self, most: Duration) -> Duration {
        let nanos = most.as_nanos() as u64;
        Duration::from_nanos(if nanos == 0 { 0 } else { (self.next() >> 8) % (nanos + 1) })
    }
}

/// What a link does to packets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    pub(crate) delay: Duration,
    /// Added to the delay, evenly spread.
    pub(crate) jitter: Duration,
    /// Packets lost, in a thousand.
    pub(crate) loss: u32,
    /// Packets that arrive twice, in a thousand.
    pub(crate) duplicated: u32,
    /// Whether jitter may change the order (UDP) or not (TCP, QUIC streams).
    pub(crate) reorders: bool,
}

/// A good wired link.
pub(crate) const CLEAN: Link = Link {
    delay: Duration::from_millis(5),
    jitter: Duration::from_millis(3),
    loss: 0,
    duplicated: 0,
    reorders: false,
};

/// A poor radio link.
pub(crate) const LOSSY: Link = Link {
    delay: Duration::from_millis(30),
    jitter: Duration::from_millis(40),
    loss: 30,
    duplicated: 20,
    reorders: true,
};

impl Link {
    /// Delays of the copies that arrive of one packet.
    pub(crate) fn carry(&self, random: &mut Random) -> Vec<Duration> {
        if random.chance(self.loss) {
            return Vec::new();
        }
        let copies = if random.chance(self.duplicated) { 2 } else { 1 };
        (0..copies).map(|_| self.delay + random.up_to(self.jitter)).collect()
    }
}
