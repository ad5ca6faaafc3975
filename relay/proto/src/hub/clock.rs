//! Media time and other clocks.

use std::time::{Duration, Instant};

use super::SenderInfo;
use crate::frame::MediaTime;

/// Seconds from the NTP era (1900) to the Unix epoch.
const NTP_UNIX_OFFSET: u64 = 2_208_988_800;
/// A frame this far from its prediction means that the source's timeline has jumped.
const JUMP: Duration = Duration::from_millis(500);
/// Share of a late arrival that moves the prediction: follows clock drift, ignores jitter.
const DRIFT_DIVISOR: u32 = 256;

/// Ticks of a clock of `rate` in a time, rounded down.
pub(super) fn ticks(time: Duration, rate: u32) -> u64 {
    (time.as_nanos() * u128::from(rate) / 1_000_000_000) as u64
}

/// Time of some ticks of a clock of `rate`, rounded down.
pub(super) fn duration(ticks: u64, rate: u32) -> Duration {
    let nanos = u128::from(ticks) * 1_000_000_000 / u128::from(rate.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// A wall-clock time since the Unix epoch as an NTP timestamp.
pub(super) fn ntp(unix: Duration) -> u64 {
    let seconds = unix.as_secs() + NTP_UNIX_OFFSET;
    let fraction = (u64::from(unix.subsec_nanos()) << 32) / 1_000_000_000;
    seconds << 32 | fraction
}

/// Where a track's live edge stands at any moment, learnt from arrivals: the earliest arrivals
/// count, late ones are jitter.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct ArrivalClock {
    base: Option<(MediaTime, Instant)>,
}

impl ArrivalClock {
    /// A frame has arrived.
    pub(super) fn observe(&mut self, media: MediaTime, arrival: Instant, rate: u32) {
        let Some((base_media, base_arrival)) = self.base else {
            self.base = Some((media, arrival));
            return;
        };
        if media <= base_media {
            return;
        }
        let predicted = base_arrival + duration(media.0 - base_media.0, rate);
        let late = arrival.saturating_duration_since(predicted);
        let early = predicted.saturating_duration_since(arrival);
        let jumped = late > JUMP || early > JUMP;
        let base = if jumped || early > Duration::ZERO {
            arrival
        } else {
            predicted + late / DRIFT_DIVISOR
        };
        self.base = Some((media, base));
    }

    /// Media time at the live edge now.
    pub(super) fn media_at(&self, now: Instant, rate: u32) -> Option<MediaTime> {
        let (media, arrival) = self.base?;
        let ahead = ticks(now.saturating_duration_since(arrival), rate);
        let behind = ticks(arrival.saturating_duration_since(now), rate);
        Some(MediaTime((media.0 + ahead).saturating_sub(behind)))
    }
}

/// A sender report moved on by the time passed since it came.
pub(super) fn advance(info: SenderInfo, passed: Duration, rate: u32) -> SenderInfo {
    let fraction = (u64::from(passed.subsec_nanos()) << 32) / 1_000_000_000;
    SenderInfo {
        ntp: info.ntp.wrapping_add(passed.as_secs() << 32 | fraction),
        rtp: info.rtp.wrapping_add(ticks(passed, rate) as u32),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::testing::start;

    #[test]
    fn jitter_does_not_move_the_live_edge_but_an_early_frame_does() {
        let now = start();
        let mut clock = ArrivalClock::default();
        for i in 0..100_u64 {
            let late = Duration::from_millis(i % 3 * 20);
            clock.observe(MediaTime(i * 3000), now + duration(i * 3000, 90_000) + late, 90_000);
        }
        let at = clock.media_at(now + Duration::from_secs(10), 90_000).expect("frames came");
        assert!(at.0.abs_diff(900_000) <= 90, "{at:?}");
    }

    #[test]
    fn a_jump_of_the_source_is_followed_at_once() {
        let now = start();
        let mut clock = ArrivalClock::default();
        clock.observe(MediaTime(0), now, 90_000);
        clock.observe(MediaTime(90_000), now + Duration::from_secs(9), 90_000);
        assert_eq!(clock.media_at(now + Duration::from_secs(9), 90_000), Some(MediaTime(90_000)));
    }

    #[test]
    fn the_unix_epoch_is_seventy_years_into_the_ntp_era() {
        assert_eq!(ntp(Duration::ZERO), 2_208_988_800 << 32);
        assert_eq!(ntp(Duration::from_millis(500)) as u32, 1 << 31);
    }
}
