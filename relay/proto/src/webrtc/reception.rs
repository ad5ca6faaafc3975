//! What we know of an incoming source: loss, jitter, and what to ask again for.

use std::time::{Duration, Instant};

use smallvec::SmallVec;

use crate::hub::SenderInfo;
use crate::wire::rtcp::ReceptionReport;
use crate::wire::rtp::extend_seq;

/// Missing packets followed up per source; a larger gap is left to a keyframe.
pub const MAX_MISSING: usize = 256;
/// Times that one packet is asked for.
pub const MAX_NACKS: u8 = 4;
/// Time between two requests for the same packet.
pub const NACK_INTERVAL: Duration = Duration::from_millis(30);
/// How long a packet may be late before it is asked for: mere reordering is shorter.
const REORDER_TOLERANCE: Duration = Duration::from_millis(5);

/// Statistics of one source (RFC 3550, A.3 and A.8).
#[derive(Debug)]
pub(super) struct Reception {
    ssrc: u32,
    clock_rate: u32,
    base: u64,
    highest: u64,
    received: u64,
    expected_before: u64,
    received_before: u64,
    /// 16 times the jitter in RTP ticks.
    jitter: u64,
    transit: Option<u32>,
    last_sr: Option<(u32, Instant)>,
    /// Arrival times count from here.
    epoch: Instant,
    last_seen: Instant,
    missing: Option<Missing>,
}

impl Reception {
    /// A source whose first packet has just come. `nack`: whether lost packets are asked for.
    pub(super) fn new(now: Instant, ssrc: u32, clock_rate: u32, seq: u16, nack: bool) -> Self {
        // One cycle up, so that packets before the first one have a place.
        let base = u64::from(seq) + 0x1_0000;
        Self {
            ssrc,
            clock_rate,
            base,
            highest: base - 1,
            received: 0,
            expected_before: 0,
            received_before: 0,
            jitter: 0,
            transit: None,
            last_sr: None,
            epoch: now,
            last_seen: now,
            missing: nack.then(Missing::default),
        }
    }

    pub(super) fn ssrc(&self) -> u32 {
        self.ssrc
    }

    pub(super) fn last_seen(&self) -> Instant {
        self.last_seen
    }

    /// A packet of the source itself.
    pub(super) fn handle_packet(&mut self, now: Instant, seq: u16, timestamp: u32) {
        let index = extend_seq(self.highest, seq);
        self.last_seen = now;
        self.received += 1;
        if let Some(missing) = &mut self.missing {
            if index > self.highest {
                missing.expect(now, self.highest + 1..index);
            } else {
                missing.found(index);
            }
        }
        self.highest = self.highest.max(index);
        self.base = self.base.min(index);
        let micros = now.saturating_duration_since(self.epoch).as_micros();
        let arrival = (micros * u128::from(self.clock_rate) / 1_000_000) as u32;
        let transit = arrival.wrapping_sub(timestamp);
        if let Some(before) = self.transit.replace(transit) {
            let change = u64::from((transit.wrapping_sub(before) as i32).unsigned_abs());
            self.jitter = (self.jitter + change).saturating_sub((self.jitter + 8) >> 4);
        }
    }

    /// A retransmission has brought this packet.
    pub(super) fn handle_repaired(&mut self, seq: u16) {
        if let Some(missing) = &mut self.missing {
            missing.found(extend_seq(self.highest, seq));
        }
    }

    pub(super) fn handle_sender_report(&mut self, now: Instant, info: SenderInfo) {
        self.last_sr = Some(((info.ntp >> 16) as u32, now));
    }

    /// The next report block.
    pub(super) fn report(&mut self, now: Instant) -> ReceptionReport {
        let expected = self.highest + 1 - self.base;
        let of_interval = expected.saturating_sub(self.expected_before);
        let got = self.received - self.received_before;
        let lost = of_interval.saturating_sub(got);
        self.expected_before = expected;
        self.received_before = self.received;
        let (last_sr, delay_since_sr) = self.last_sr.map_or((0, 0), |(stamp, at)| {
            let delay = now.saturating_duration_since(at).as_micros() * 65_536 / 1_000_000;
            (stamp, u32::try_from(delay).unwrap_or(u32::MAX))
        });
        ReceptionReport {
            ssrc: self.ssrc,
            fraction_lost: (lost * 256).checked_div(of_interval).unwrap_or(0).min(255) as u8,
            lost: u32::try_from(expected.saturating_sub(self.received)).unwrap_or(u32::MAX),
            highest_seq: self.highest as u32,
            jitter: (self.jitter >> 4) as u32,
            last_sr,
            delay_since_sr,
        }
    }

    /// When [`Self::poll_nack`] has something.
    pub(super) fn nack_deadline(&self) -> Option<Instant> {
        self.missing.as_ref().and_then(Missing::deadline)
    }

    /// Sequence numbers to ask for now, sorted.
    pub(super) fn poll_nack(&mut self, now: Instant) -> SmallVec<[u16; 32]> {
        self.missing.as_mut().map(|missing| missing.due(now)).unwrap_or_default()
    }
}

/// Packets not there yet, sorted.
#[derive(Debug, Default)]
struct Missing {
    packets: Vec<Wanted>,
}

#[derive(Debug)]
struct Wanted {
    index: u64,
    asked: u8,
    next: Instant,
}

impl Missing {
    fn expect(&mut self, now: Instant, gap: std::ops::Range<u64>) {
        if gap.is_empty() {
            return;
        }
        let room = (MAX_MISSING - self.packets.len()) as u64;
        if gap.end - gap.start > room {
            self.packets.clear();
            return;
        }
        let next = now + REORDER_TOLERANCE;
        self.packets.extend(gap.map(|index| Wanted { index, asked: 0, next }));
    }

    fn found(&mut self, index: u64) {
        if let Ok(at) = self.packets.binary_search_by_key(&index, |wanted| wanted.index) {
            self.packets.remove(at);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.packets.iter().map(|wanted| wanted.next).min()
    }

    fn due(&mut self, now: Instant) -> SmallVec<[u16; 32]> {
        self.packets.retain(|wanted| wanted.asked < MAX_NACKS || wanted.next > now);
        let mut due = SmallVec::new();
        for wanted in self.packets.iter_mut().filter(|wanted| wanted.next <= now) {
            wanted.asked += 1;
            wanted.next = now + NACK_INTERVAL;
            due.push(wanted.index as u16);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webrtc::tests::client::start;

    #[test]
    fn a_gap_is_asked_for_a_bounded_number_of_times() {
        let start = start();
        let mut source = Reception::new(start, 1, 90_000, 65_534, true);
        source.handle_packet(start, 65_534, 0);
        source.handle_packet(start, 1, 0);
        assert!(source.poll_nack(start).is_empty());
        let mut now = start + REORDER_TOLERANCE;
        for _ in 0..MAX_NACKS {
            assert_eq!(source.nack_deadline(), Some(now));
            assert_eq!(source.poll_nack(now).to_vec(), [65_535, 0]);
            now += NACK_INTERVAL;
        }
        assert!(source.poll_nack(now).is_empty());
        assert_eq!(source.nack_deadline(), None);
    }

    #[test]
    fn a_packet_that_comes_after_all_is_not_asked_for() {
        let start = start();
        let mut source = Reception::new(start, 1, 90_000, 10, true);
        for seq in [10, 14, 11] {
            source.handle_packet(start, seq, 0);
        }
        source.handle_repaired(12);
        assert_eq!(source.poll_nack(start + REORDER_TOLERANCE).to_vec(), [13]);
    }

    #[test]
    fn only_gaps_up_to_the_bound_are_followed_up() {
        let start = start();
        for (gap, asked) in [(MAX_MISSING, MAX_MISSING), (MAX_MISSING + 1, 0)] {
            let mut source = Reception::new(start, 1, 90_000, 0, true);
            source.handle_packet(start, 0, 0);
            source.handle_packet(start, gap as u16 + 1, 0);
            assert_eq!(source.poll_nack(start + REORDER_TOLERANCE).len(), asked);
        }
    }

    #[test]
    fn a_report_tells_loss_of_its_interval_and_in_all() {
        let start = start();
        let mut source = Reception::new(start, 7, 90_000, 100, false);
        for seq in [100, 101, 103] {
            source.handle_packet(start, seq, 0);
        }
        let first = source.report(start);
        assert_eq!((first.ssrc, first.fraction_lost, first.lost), (7, 64, 1));
        assert_eq!(first.highest_seq as u16, 103);
        source.handle_packet(start, 104, 0);
        let second = source.report(start);
        assert_eq!((second.fraction_lost, second.lost), (0, 1));
    }
}
