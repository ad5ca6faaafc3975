//! What a viewer's way carries, from its feedback.
//!
//! - **REMB**, where agreed: the receiver's own estimate. It follows what it gets, at most 1.5 times
//!   and slowly upwards, so a value under what is sent says something only once it has fallen; until
//!   it has caught up again it is the limit.
//! - **Loss**, always: of transport-wide feedback where agreed, else of receiver reports. Heavy loss
//!   lowers the limit to what gets through, little loss raises it by a share a second and at once to
//!   what was sent, since that has got through. There is no
//!   estimate from delays here: of the two feedbacks that could give one, REMB brings it ready made.
//!
//! No feedback, no limit.

use std::time::{Duration, Instant};

use crate::wire::twcc::Arrivals;

/// Loss is judged over at least this long.
const INTERVAL: Duration = Duration::from_secs(1);
/// Loss over which the limit falls, percent.
pub(super) const HEAVY_LOSS: u64 = 10;
/// Loss under which the limit rises, percent.
pub(super) const LITTLE_LOSS: u64 = 2;
/// How fast the limit rises, percent an interval.
const RISE: u64 = 8;
/// Packets under which an interval says nothing.
const FEWEST_PACKETS: u64 = 10;
/// Lowest limit by loss, bits per second.
pub(super) const LOWEST: u64 = 50_000;
/// A limit that has risen this far is none, bits per second.
pub(super) const HIGHEST: u64 = 200_000_000;
/// An estimate falls if it is lower by more than this share of the one before.
const FALL_DIVISOR: u64 = 32;

/// The estimate for one viewer.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Estimator {
    sent: SentRate,
    receiver: Receiver,
    loss: Loss,
    /// Highest sequence number of the last receiver report.
    highest: Option<u32>,
    /// A limit was told last.
    told: bool,
}

/// The newest REMB.
#[derive(Clone, Copy, Default, Debug)]
struct Receiver {
    last: Option<u64>,
    /// It has fallen under what is sent, and is the limit until it is above it.
    limits: bool,
}

#[derive(Clone, Copy, Default, Debug)]
struct Loss {
    since: Option<Instant>,
    expected: u64,
    lost: u64,
    limit: Option<u64>,
}

/// How much is sent, bits per second.
#[derive(Clone, Copy, Default, Debug)]
struct SentRate {
    since: Option<(Instant, u32)>,
    rate: Option<u64>,
}

/// What the caller must be told: the limit, bits per second; inner `None`: there is none any more.
pub(super) type News = Option<Option<u64>>;

impl Estimator {
    /// The viewer's own estimate. `octets` counts what was sent so far and may wrap.
    pub(super) fn handle_remb(&mut self, now: Instant, octets: u32, bits: u64) -> News {
        let sent = self.sent.update(now, octets);
        let before = self.receiver.last.replace(bits);
        let fell = before.is_some_and(|before| bits < before - before / FALL_DIVISOR);
        self.receiver.limits |= fell;
        self.receiver.limits &= sent.is_none_or(|sent| bits < sent);
        self.news()
    }

    /// Transport-wide feedback.
    pub(super) fn handle_arrivals(&mut self, now: Instant, octets: u32, seen: Arrivals) -> News {
        let expected = u64::from(seen.packets);
        self.count(now, octets, expected, expected.saturating_sub(seen.received.into()))
    }

    /// A block of a receiver report on a video source; `fraction` is in 256ths.
    pub(super) fn handle_report(
        &mut self,
        now: Instant,
        octets: u32,
        fraction: u8,
        highest: u32,
    ) -> News {
        let ahead = highest.wrapping_sub(*self.highest.get_or_insert(highest));
        // The first report, and one that was overtaken, count nothing.
        if ahead == 0 || ahead >= 1 << 31 {
            return None;
        }
        self.highest = Some(highest);
        let expected = u64::from(ahead);
        self.count(now, octets, expected, (expected * u64::from(fraction)).div_ceil(256))
    }

    fn count(&mut self, now: Instant, octets: u32, expected: u64, lost: u64) -> News {
        let sent = self.sent.update(now, octets);
        let loss = &mut self.loss;
        loss.expected += expected;
        loss.lost += lost;
        let since = *loss.since.get_or_insert(now);
        if now.saturating_duration_since(since) < INTERVAL {
            return None;
        }
        loss.judge(sent);
        loss.since = Some(now);
        (loss.expected, loss.lost) = (0, 0);
        self.news()
    }

    /// A limit is told again and again while it stands, its end once.
    fn news(&mut self) -> News {
        let receiver = self.receiver.last.filter(|_| self.receiver.limits);
        let limit = [receiver, self.loss.limit].into_iter().flatten().min();
        let told = std::mem::replace(&mut self.told, limit.is_some());
        (told || limit.is_some()).then_some(limit)
    }
}

impl Loss {
    fn judge(&mut self, sent: Option<u64>) {
        if self.expected < FEWEST_PACKETS {
            return;
        }
        if self.lost * 100 > self.expected * HEAVY_LOSS {
            let Some(sent) = sent else { return };
            let arrived = u128::from(self.expected.saturating_sub(self.lost));
            let received = (u128::from(sent) * arrived / u128::from(self.expected)) as u64;
            self.limit = Some(self.limit.unwrap_or(u64::MAX).min(received).max(LOWEST));
        } else if self.lost * 100 < self.expected * LITTLE_LOSS {
            let proven = sent.unwrap_or_default();
            let risen = self.limit.map(|limit| (limit + limit * RISE / 100).max(proven));
            self.limit = risen.filter(|limit| *limit < HIGHEST);
        }
    }
}

impl SentRate {
    /// Bits per second over the last interval; `None` during the first.
    fn update(&mut self, now: Instant, octets: u32) -> Option<u64> {
        let (since, before) = *self.since.get_or_insert((now, octets));
        let passed = now.saturating_duration_since(since);
        if passed >= INTERVAL {
            let bits = u128::from(octets.wrapping_sub(before)) * 8;
            let rate = bits * 1_000_000_000 / passed.as_nanos();
            self.rate = Some(u64::try_from(rate).unwrap_or(u64::MAX));
            self.since = Some((now, octets));
        }
        self.rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webrtc::tests::client::start;

    const RATE: u64 = 4_000_000;

    /// A viewer that is sent a steady rate, with feedback twice a second.
    struct Bench {
        now: Instant,
        octets: u32,
        estimator: Estimator,
        seq: u32,
    }

    impl Bench {
        fn new() -> Self {
            // The count of octets wraps in the first second.
            let estimator = Estimator::default();
            Self { now: start(), octets: u32::MAX - 1000, estimator, seq: 0 }
        }

        fn pass(&mut self, rate: u64) {
            self.now += INTERVAL / 2;
            self.octets = self.octets.wrapping_add((rate / 16) as u32);
        }

        fn remb(&mut self, bits: u64) -> News {
            self.pass(RATE);
            self.estimator.handle_remb(self.now, self.octets, bits)
        }

        fn report(&mut self, percent: u64) -> News {
            self.pass(RATE);
            self.seq = self.seq.wrapping_add(200);
            let fraction = (percent * 256 / 100) as u8;
            self.estimator.handle_report(self.now, self.octets, fraction, self.seq)
        }

        fn arrivals(&mut self, lost: u16) -> News {
            self.arrivals_of(RATE, lost)
        }

        fn arrivals_of(&mut self, rate: u64, lost: u16) -> News {
            self.pass(rate);
            let seen = Arrivals { first: 0, packets: 200, received: 200 - lost };
            self.estimator.handle_arrivals(self.now, self.octets, seen)
        }
    }

    #[test]
    fn an_estimate_that_only_follows_is_no_limit() {
        let mut bench = Bench::new();
        for step in 0..40 {
            assert_eq!(bench.remb(RATE / 4 + RATE / 40 * step), None, "rising from far below");
        }
        assert_eq!(bench.remb(RATE + RATE / 10), None, "falling, but still above what is sent");
    }

    #[test]
    fn an_estimate_that_falls_below_what_is_sent_limits_until_it_has_recovered() {
        let mut bench = Bench::new();
        for _ in 0..4 {
            assert_eq!(bench.remb(RATE * 3 / 2), None);
        }
        for bits in [RATE / 2, RATE / 2, RATE * 2 / 3, RATE - 1] {
            assert_eq!(bench.remb(bits), Some(Some(bits)));
        }
        assert_eq!(bench.remb(RATE), Some(None), "told once");
        assert_eq!(bench.remb(RATE), None);
        assert_eq!(bench.remb(RATE - RATE / 32), None, "noise");
        assert_eq!(bench.remb(RATE - RATE / 16), Some(Some(RATE - RATE / 16)));
    }

    #[test]
    fn loss_limits_from_its_bound_on_and_not_below() {
        for (percent, limited) in [(0, false), (2, false), (9, false), (11, true), (50, true)] {
            let mut bench = Bench::new();
            let news: Vec<News> = (0..8).map(|_| bench.report(percent)).collect();
            assert_eq!(news.iter().any(Option::is_some), limited, "{percent} %");
            if let Some(Some(limit)) = news[7] {
                let expected = RATE - RATE * percent / 100;
                assert!(limit.abs_diff(expected) < RATE / 50, "{limit} at {percent} %");
            }
        }
    }

    #[test]
    fn a_limit_by_loss_rises_while_there_is_little_and_stands_while_there_is_some() {
        let mut bench = Bench::new();
        for _ in 0..6 {
            bench.arrivals(100);
        }
        let limit = |bench: &Bench| bench.estimator.loss.limit.unwrap();
        let low = limit(&bench);
        assert!(low.abs_diff(RATE / 2) < RATE / 50, "{low}");
        for _ in 0..6 {
            bench.arrivals(10);
        }
        assert_eq!(limit(&bench), low, "5 % are neither");
        let mut intervals = 0;
        while limit(&bench) < RATE * 5 / 4 {
            // The viewer was put to keyframes, which prove little.
            bench.arrivals_of(RATE / 20, 0);
            bench.arrivals_of(RATE / 20, 0);
            intervals += 1;
        }
        assert!((12..=13).contains(&intervals), "2.5 times at 8 % each: {intervals}");
        while bench.estimator.loss.limit.is_some() {
            assert!(limit(&bench) < HIGHEST);
            bench.arrivals(0);
        }
    }

    #[test]
    fn what_gets_through_without_loss_is_within_the_limit_at_once() {
        let mut bench = Bench::new();
        for _ in 0..6 {
            bench.arrivals(100);
        }
        for _ in 0..4 {
            bench.arrivals(0);
        }
        let limit = bench.estimator.loss.limit.unwrap();
        assert!((RATE..RATE * 5 / 4).contains(&limit), "{limit}");
    }

    #[test]
    fn the_lowest_limit_by_loss_is_kept() {
        let mut bench = Bench::new();
        for _ in 0..20 {
            bench.arrivals(200);
        }
        assert_eq!(bench.estimator.loss.limit, Some(LOWEST));
    }

    #[test]
    fn reports_of_absurd_counts_are_survived() {
        let mut bench = Bench::new();
        for step in 0..20_u32 {
            bench.pass(u64::from(u32::MAX));
            let highest = step.wrapping_mul(i32::MAX.unsigned_abs());
            bench.estimator.handle_report(bench.now, bench.octets, 255, highest);
            bench.estimator.handle_remb(bench.now, bench.octets, u64::MAX - u64::from(step));
        }
    }

    #[test]
    fn few_packets_and_overtaken_reports_say_nothing() {
        let mut bench = Bench::new();
        for step in 0..10_u32 {
            bench.pass(RATE);
            let (now, octets) = (bench.now, bench.octets);
            let highest = (step * 3).wrapping_sub(20);
            assert_eq!(bench.estimator.handle_report(now, octets, 255, highest), None);
            let older = highest.wrapping_sub(1000);
            assert_eq!(bench.estimator.handle_report(now, octets, 255, older), None);
        }
    }
}
