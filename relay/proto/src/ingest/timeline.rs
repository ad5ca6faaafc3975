//! The canonical timeline of a track, and the publisher's clocks.

use std::time::{Duration, Instant};

use crate::frame::{CaptureTime, MediaTime};
use crate::hub::SenderInfo;

/// A step of the publisher's timestamps backward, or ahead of the time that really passed, beyond
/// which it is taken as a reset of its clock.
pub(super) const MAX_STEP: Duration = Duration::from_secs(5);
/// Seconds from the NTP epoch (1900) to the Unix epoch (1970).
const NTP_TO_UNIX: u64 = 2_208_988_800;

/// Places the publisher's timestamps on one line that outlives resets and reconnections.
#[derive(Debug)]
pub(super) struct Timeline {
    rate: u32,
    first: u32,
    last: Option<Last>,
    /// The next timestamp has no relation to the last one.
    restarted: bool,
    report: Option<SenderInfo>,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    /// Publisher's timestamp.
    timestamp: u32,
    /// Its canonical place.
    media: MediaTime,
    /// Highest canonical place so far; greater than `media` among reordered pictures.
    highest: MediaTime,
    arrival: Instant,
}

impl Timeline {
    pub(super) fn new(rate: u32, first: u32) -> Self {
        Self { rate: rate.max(1), first, last: None, restarted: false, report: None }
    }

    /// The publisher's timestamps start anew at `rate` ticks a second; the line goes on.
    pub(super) fn restart(&mut self, rate: u32) {
        self.rate = rate.max(1);
        self.restarted = true;
        self.report = None;
    }

    /// The canonical place of a frame.
    pub(super) fn place(&mut self, timestamp: u32, arrival: Instant) -> MediaTime {
        let Some(last) = self.last else {
            let media = MediaTime(u64::from(self.first));
            self.last = Some(Last { timestamp, media, highest: media, arrival });
            self.restarted = false;
            return media;
        };
        let step = i64::from(timestamp.wrapping_sub(last.timestamp).cast_signed());
        let passed = self.ticks(arrival.saturating_duration_since(last.arrival));
        let bound = self.ticks(MAX_STEP);
        let jumped = step < -bound || step > passed.saturating_add(bound);
        let media = if self.restarted || jumped {
            self.report = self.report.filter(|_| self.restarted);
            MediaTime(last.highest.0.saturating_add(passed.max(1).unsigned_abs()))
        } else {
            MediaTime(last.media.0.saturating_add_signed(step))
        };
        self.restarted = false;
        let highest = last.highest.max(media);
        let arrival = last.arrival.max(arrival);
        self.last = Some(Last { timestamp, media, highest, arrival });
        media
    }

    fn ticks(&self, time: Duration) -> i64 {
        let ticks = time.as_nanos() * u128::from(self.rate) / 1_000_000_000;
        i64::try_from(ticks).unwrap_or(i64::MAX)
    }

    /// Takes the clock mapping of a sender report. One without wall clock (NTP time zero) says
    /// nothing.
    pub(super) fn report(&mut self, info: SenderInfo) {
        if info.ntp != 0 {
            self.report = Some(info);
        }
    }

    /// The camera's clock at the publisher's timestamp. `None`: no report, or a clock before 1970.
    pub(super) fn capture(&self, timestamp: u32) -> Option<CaptureTime> {
        let report = self.report?;
        let seconds = (report.ntp >> 32).checked_sub(NTP_TO_UNIX)?;
        let micros = seconds * 1_000_000 + (((report.ntp & 0xffff_ffff) * 1_000_000) >> 32);
        let since = i64::from(timestamp.wrapping_sub(report.rtp).cast_signed());
        let since = since * 1_000_000 / i64::from(self.rate);
        micros.checked_add_signed(since).map(CaptureTime)
    }

    /// The publisher's clock mapping, on canonical timestamps.
    pub(super) fn sender_info(&self) -> Option<SenderInfo> {
        let (report, last) = (self.report?, self.last?);
        if self.restarted {
            return None;
        }
        let since = report.rtp.wrapping_sub(last.timestamp);
        Some(SenderInfo { ntp: report.ntp, rtp: last.media.rtp().wrapping_add(since) })
    }
}
