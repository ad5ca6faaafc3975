//! What a viewer gets when its way carries less than its stream.
//!
//! One level down when the budget has stayed under what the viewer is sent for [`SHORTAGE`], one
//! level up when it has stayed [`HEADROOM_PERCENT`] of the next level for [`PLENTY`], or when there
//! is no limit any more. A rise that does not last [`RELAPSE`] doubles the wait for the next one, up
//! to [`MAX_PLENTY`]. There is no level under keyframes, so pictures never stop.

use std::time::{Duration, Instant};

use crate::ids::TrackIndex;

/// Time under which a budget that is too low changes nothing.
pub const SHORTAGE: Duration = Duration::from_secs(2);
/// Time for which a budget must allow the next level, at first.
pub const PLENTY: Duration = Duration::from_secs(5);
/// The same after many rises that did not last.
pub const MAX_PLENTY: Duration = Duration::from_secs(60);
/// A rise that lasts this long has succeeded.
pub const RELAPSE: Duration = Duration::from_secs(15);
/// What a budget must be of the next level's rate, percent.
pub const HEADROOM_PERCENT: u64 = 125;
/// A budget older than this is forgotten: the viewer has stopped to tell.
pub const BUDGET_LIFE: Duration = Duration::from_secs(30);
/// A viewer of keyframes that got none for this long has the camera asked.
pub const KEYFRAME_PATIENCE: Duration = Duration::from_secs(5);

/// How much a viewer gets, the most first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Level {
    /// All that it selected.
    Full,
    /// The lower tier in place of its picture.
    Lower,
    /// Keyframes, of the lower tier if there is one.
    Keyframes,
}

/// What the levels carry now, bits per second.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Rates {
    pub(super) full: u64,
    /// `None`: the stream has no lower tier of the same kind.
    pub(super) lower: Option<u64>,
}

/// The state of a viewer whose way was limited lately.
#[derive(Debug)]
pub(super) struct Quality {
    budget: Option<u64>,
    told_at: Instant,
    pub(super) level: Level,
    /// The level that its frames are chosen by; follows `level` between two frames.
    pub(super) applied: Level,
    /// Track of the lower tier.
    pub(super) lower: Option<TrackIndex>,
    short_since: Option<Instant>,
    plenty_since: Option<Instant>,
    /// How long there must be plenty.
    patience: Duration,
    raised_at: Option<Instant>,
    pub(super) keyframe_at: Instant,
}

impl Quality {
    pub(super) fn new(now: Instant, lower: Option<TrackIndex>) -> Self {
        Self {
            budget: None,
            told_at: now,
            level: Level::Full,
            applied: Level::Full,
            lower,
            short_since: None,
            plenty_since: None,
            patience: PLENTY,
            raised_at: None,
            keyframe_at: now,
        }
    }

    /// What the viewer's way carries, bits per second; `None`: no limit is known.
    pub(super) fn set_budget(&mut self, now: Instant, budget: Option<u64>) {
        self.budget = budget;
        self.told_at = now;
    }

    /// Whether nothing here matters any more.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        let settled = self.raised_at.is_none_or(|at| now.saturating_duration_since(at) > RELAPSE);
        let full = (self.level, self.applied) == (Level::Full, Level::Full);
        self.known(now).is_none() && full && settled
    }

    fn known(&self, now: Instant) -> Option<u64> {
        self.budget.filter(|_| now.saturating_duration_since(self.told_at) <= BUDGET_LIFE)
    }

    /// Weighs the budget against the rates. `true`: the level is another one now.
    pub(super) fn assess(&mut self, now: Instant, rates: Rates) -> bool {
        let budget = self.known(now);
        let carried = rates.of(self.level);
        let short = budget.is_some_and(|budget| carried.is_some_and(|rate| budget < rate));
        let above = rates.above(self.level).filter(|(_, rate)| {
            !short
                && budget.is_none_or(|budget| {
                    u128::from(budget) * 100 >= u128::from(*rate) * u128::from(HEADROOM_PERCENT)
                })
        });
        let lasts = |since: &mut Option<Instant>, holds: bool, time: Duration| {
            *since = since.or(Some(now)).filter(|_| holds);
            since.is_some_and(|since| now.saturating_duration_since(since) >= time)
        };
        let down = lasts(&mut self.short_since, short, SHORTAGE);
        let up = lasts(&mut self.plenty_since, above.is_some(), self.patience);
        if down {
            self.lower_level(now, rates);
        } else if let (true, Some((level, _))) = (up, above) {
            self.level = level;
            self.raised_at = Some(now);
        }
        if down || up {
            (self.short_since, self.plenty_since) = (None, None);
        }
        down || up
    }

    fn lower_level(&mut self, now: Instant, rates: Rates) {
        self.level = match self.level {
            Level::Full if rates.lower.is_some() => Level::Lower,
            _ => Level::Keyframes,
        };
        if let Some(raised) = self.raised_at.take() {
            let relapsed = now.saturating_duration_since(raised) < RELAPSE;
            self.patience = if relapsed { (self.patience * 2).min(MAX_PLENTY) } else { PLENTY };
        }
    }

    /// Whether to ask the camera for the keyframe that the viewer has waited long for.
    pub(super) fn lacks_keyframe(&mut self, now: Instant) -> bool {
        let waited = now.saturating_duration_since(self.keyframe_at) >= KEYFRAME_PATIENCE;
        let lacks = waited && self.level == Level::Keyframes;
        if lacks {
            self.keyframe_at = now;
        }
        lacks
    }
}

impl Rates {
    /// What a level carries; keyframes are never too much.
    fn of(self, level: Level) -> Option<u64> {
        match level {
            Level::Full => Some(self.full),
            Level::Lower => self.lower,
            Level::Keyframes => None,
        }
    }

    /// The next level and its rate.
    fn above(self, level: Level) -> Option<(Level, u64)> {
        match (level, self.lower) {
            (Level::Full, _) => None,
            (Level::Keyframes, Some(lower)) => Some((Level::Lower, lower)),
            (Level::Keyframes, None) | (Level::Lower, _) => Some((Level::Full, self.full)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::testing::start;

    const RATES: Rates = Rates { full: 4_000_000, lower: Some(500_000) };
    const ONE_TIER: Rates = Rates { lower: None, ..RATES };
    const STEP: Duration = Duration::from_millis(100);

    struct Bench {
        now: Instant,
        quality: Quality,
    }

    impl Bench {
        fn new() -> Self {
            let now = start();
            Self { now, quality: Quality::new(now, Some(TrackIndex(2))) }
        }

        /// The time until the level changes under this budget, at most two minutes.
        fn until_change(&mut self, rates: Rates, budget: Option<u64>) -> Option<Duration> {
            for step in 0..=1200 {
                self.quality.set_budget(self.now, budget);
                if self.quality.assess(self.now, rates) {
                    return Some(STEP * step);
                }
                self.now += STEP;
            }
            None
        }
    }

    #[test]
    fn a_shortage_lowers_level_by_level_and_not_before_its_time() {
        for (rates, levels) in
            [(RATES, vec![Level::Lower, Level::Keyframes]), (ONE_TIER, vec![Level::Keyframes])]
        {
            let mut bench = Bench::new();
            for level in levels {
                assert_eq!(bench.until_change(rates, Some(400_000)), Some(SHORTAGE));
                assert_eq!(bench.quality.level, level);
            }
            assert_eq!(bench.until_change(rates, Some(0)), None, "keyframes always flow");
        }
    }

    #[test]
    fn a_budget_of_just_the_rate_is_no_shortage() {
        let mut bench = Bench::new();
        assert_eq!(bench.until_change(RATES, Some(RATES.full)), None);
        assert_eq!(bench.until_change(RATES, Some(RATES.full - 1)), Some(SHORTAGE));
    }

    #[test]
    fn a_rise_needs_its_headroom_for_its_time() {
        let mut bench = Bench::new();
        bench.until_change(ONE_TIER, Some(400_000));
        assert_eq!(bench.until_change(ONE_TIER, Some(4_999_999)), None);
        assert_eq!(bench.until_change(ONE_TIER, Some(5_000_000)), Some(PLENTY));
        assert_eq!(bench.quality.level, Level::Full);
    }

    #[test]
    fn noise_around_the_rate_changes_nothing() {
        let mut bench = Bench::new();
        for step in 0..1000_u64 {
            // Under the rate for 1.9 s, then at it for a moment.
            let budget = if step % 20 == 0 { RATES.full } else { RATES.full / 2 };
            bench.quality.set_budget(bench.now, Some(budget));
            assert!(!bench.quality.assess(bench.now, RATES));
            bench.now += STEP;
        }
    }

    #[test]
    fn rises_that_do_not_last_become_rarer_up_to_the_bound() {
        let mut bench = Bench::new();
        bench.until_change(ONE_TIER, Some(1));
        let mut waits = Vec::new();
        for _ in 0..6 {
            waits.push(bench.until_change(ONE_TIER, None).unwrap().as_secs());
            bench.until_change(ONE_TIER, Some(1));
        }
        assert_eq!(waits, [5, 10, 20, 40, 60, 60]);
        bench.until_change(ONE_TIER, None);
        bench.now += RELAPSE;
        bench.until_change(ONE_TIER, Some(1));
        assert_eq!(bench.until_change(ONE_TIER, None), Some(PLENTY), "the last rise lasted");
    }

    #[test]
    fn a_budget_that_is_not_told_again_is_forgotten_at_its_bound() {
        let mut bench = Bench::new();
        bench.until_change(ONE_TIER, Some(1));
        let told = bench.quality.told_at;
        bench.now = told + BUDGET_LIFE;
        assert_eq!(bench.quality.known(bench.now), Some(1));
        bench.now += Duration::from_nanos(1);
        assert_eq!(bench.quality.known(bench.now), None);
        assert!(!bench.quality.assess(bench.now, ONE_TIER));
        assert!(bench.quality.assess(bench.now + PLENTY, ONE_TIER));
    }
}
