//! What the relay, as receiver, reports of a publisher's track (RFC 3550, 6.4.1 and A.3).

use std::time::Instant;

use crate::hub::SenderInfo;
use crate::wire::rtcp::ReceptionReport;
use crate::wire::rtp;

/// Reception of one RTP source.
#[derive(Clone, Debug, Default)]
pub struct Reception {
    source: Option<Source>,
    last_report: Option<(u32, Instant)>,
}

#[derive(Clone, Copy, Debug)]
struct Source {
    ssrc: u32,
    base: u64,
    highest: u64,
    received: u64,
    /// Expected and received at the last report.
    reported: (u64, u64),
}

impl Reception {
    /// A packet with a valid header came in.
    pub fn handle_rtp(&mut self, header: &rtp::Header) {
        let Some(source) = self.source.as_mut().filter(|source| source.ssrc == header.ssrc) else {
            // One cycle up, so that packets from before the first one do not run below zero.
            let first = 1 << 16 | u64::from(header.seq);
            let fresh = Source {
                ssrc: header.ssrc,
                base: first,
                highest: first,
                received: 1,
                reported: (0, 0),
            };
            self.source = Some(fresh);
            self.last_report = None;
            return;
        };
        source.highest = source.highest.max(rtp::extend_seq(source.highest, header.seq));
        source.received += 1;
    }

    /// A sender report came in.
    pub fn handle_sender_report(&mut self, now: Instant, info: SenderInfo) {
        self.last_report = Some(((info.ntp >> 16) as u32, now));
    }

    /// The block for the next receiver report; `None` before the first packet.
    pub fn report(&mut self, now: Instant) -> Option<ReceptionReport> {
        let source = self.source.as_mut()?;
        let expected = source.highest - source.base + 1;
        let wanted = expected.saturating_sub(source.reported.0);
        let got = source.received.saturating_sub(source.reported.1);
        source.reported = (expected, source.received);
        let lost_now = wanted.saturating_sub(got);
        let fraction = (lost_now * 256).checked_div(wanted).unwrap_or(0).min(255) as u8;
        let (last_sr, delay_since_sr) = self.last_report.map_or((0, 0), |(ntp, at)| {
            let delay = now.saturating_duration_since(at);
            (ntp, (delay.as_millis().min(60_000_000) as u64 * 65_536 / 1000) as u32)
        });
        Some(ReceptionReport {
            ssrc: source.ssrc,
            fraction_lost: fraction,
            lost: expected.saturating_sub(source.received).min(0x7f_ffff) as u32,
            highest_seq: (source.highest - (1 << 16)) as u32,
            jitter: 0,
            last_sr,
            delay_since_sr,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "simulated time starts somewhere")]
    fn loss_is_counted_across_the_wrap_and_per_interval() {
        let now = Instant::now();
        let mut reception = Reception::default();
        assert_eq!(reception.report(now), None);
        for seq in [65_534, 65_535, 1, 2] {
            let packet = rtp::header(96, false, seq, 0, 9);
            reception.handle_rtp(&rtp::parse(&packet).unwrap());
        }
        let report = reception.report(now).unwrap();
        assert_eq!((report.ssrc, report.lost, report.fraction_lost), (9, 1, 51));
        assert_eq!(report.highest_seq, 65_538);
        assert_eq!(reception.report(now).unwrap().fraction_lost, 0);
    }
}
