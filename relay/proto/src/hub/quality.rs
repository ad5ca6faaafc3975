//! What a viewer gets when its way carries less than its stream.
//!
//! One level down when the budget has stayed under what the viewer is sent for [`SHORTAGE`] without
//! rising, one level up when it has stayed [`HEADROOM_PERCENT`] of the next level for [`PLENTY`], or
//! when there is no limit any more. A budget that rises although as much is sent as before comes from
//! a moment's trouble that is over, such as a phone that stood still, and estimates take long to
//! recover from one; so it is given up to [`MAX_SHORTAGE`]. Frames that no other refers to go first,
//! where the rest fits the budget: the picture stays, with fewer frames, and either way of the change
//! needs no keyframe. A rise that does not last [`RELAPSE`] doubles the wait for the next one, up to
//! [`MAX_PLENTY`]. There is no level under keyframes, so pictures never stop.

use std::time::{Duration, Instant};

use crate::frame::Descriptor;
use crate::ids::TrackIndex;

/// Time under which a budget that is too low changes nothing.
pub const SHORTAGE: Duration = Duration::from_secs(2);
/// The same while the budget rises.
pub const MAX_SHORTAGE: Duration = Duration::from_secs(15);
/// A budget rises if it is higher than its lowest of the last [`SHORTAGE`] by more than this share.
const RISE_DIVISOR: u64 = 32;
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
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Level {
    /// All that it selected.
    Full,
    /// Of that, frames that others refer to.
    Needed,
    /// The lower tier in place of its picture.
    Lower,
    /// Of that, frames that others refer to.
    LowerNeeded,
    /// Keyframes, of the lower tier if there is one.
    Keyframes,
}

/// Which of its pictures a viewer gets, the most first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Pictures {
    All,
    /// Those that others refer to.
    Needed,
    Keyframes,
}

/// What tracks carry now, bits per second.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Carried {
    pub(super) all: u64,
    /// Without frames that no other refers to.
    pub(super) needed: u64,
}

/// What the levels carry now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Rates {
    pub(super) full: Carried,
    /// `None`: the stream has no lower tier of the same kind.
    pub(super) lower: Option<Carried>,
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
    shortage: Option<Shortage>,
    /// Since when there is plenty, and the highest level that it was enough for all the time.
    plenty: Option<(Instant, Level)>,
    /// How long there must be plenty.
    patience: Duration,
    raised_at: Option<Instant>,
    pub(super) keyframe_at: Instant,
}

/// A time in which the budget is under what the viewer is sent.
#[derive(Clone, Copy, Debug)]
struct Shortage {
    since: Instant,
    /// When the budget was last seen to rise, at first `since`, and its lowest from then on.
    risen_at: Instant,
    lowest: u64,
}

impl Shortage {
    fn new(now: Instant, budget: u64) -> Self {
        Self { since: now, risen_at: now, lowest: budget }
    }

    /// Takes the newest budget. `true`: it is time to go down.
    fn lasts(&mut self, now: Instant, budget: u64) -> bool {
        self.lowest = self.lowest.min(budget);
        if now.saturating_duration_since(self.risen_at) < SHORTAGE {
            return false;
        }
        let rises = budget - self.lowest > self.lowest / RISE_DIVISOR;
        if !rises || now.saturating_duration_since(self.since) >= MAX_SHORTAGE {
            return true;
        }
        (self.risen_at, self.lowest) = (now, budget);
        false
    }
}

impl Quality {
    pub(super) fn new(now: Instant, lower: Option<TrackIndex>) -> Self {
        Self {
            budget: None,
            told_at: now,
            level: Level::Full,
            applied: Level::Full,
            lower,
            shortage: None,
            plenty: None,
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
        let short = budget.filter(|budget| carried.is_some_and(|rate| *budget < rate));
        let above = rates.above(self.level, budget).filter(|_| short.is_none());
        self.shortage =
            short.map(|budget| self.shortage.unwrap_or_else(|| Shortage::new(now, budget)));
        self.plenty = above.map(|above| match self.plenty {
            Some((since, level)) => (since, level.max(above)),
            None => (now, above),
        });
        let down = short.filter(|budget| {
            self.shortage.as_mut().is_some_and(|shortage| shortage.lasts(now, *budget))
        });
        let up =
            self.plenty.filter(|(since, _)| now.saturating_duration_since(*since) >= self.patience);
        if let Some(budget) = down {
            let since = self.shortage.map_or(now, |shortage| shortage.since);
            self.lower_level(since, rates.below(self.level, budget));
        } else if let Some((_, level)) = up {
            self.level = level;
            self.raised_at = Some(now);
        } else {
            return false;
        }
        (self.shortage, self.plenty) = (None, None);
        true
    }

    /// Goes down for a shortage since then. How long it was waited for says nothing about the rise.
    fn lower_level(&mut self, since: Instant, level: Level) {
        self.level = level;
        if let Some(raised) = self.raised_at.take() {
            let relapsed = since.saturating_duration_since(raised) < RELAPSE;
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
            Level::Full => Some(self.full.all),
            Level::Needed => Some(self.full.needed),
            Level::Lower => self.lower.map(|lower| lower.all),
            Level::LowerNeeded => self.lower.map(|lower| lower.needed),
            Level::Keyframes => None,
        }
    }

    /// The level to go down to with this budget.
    fn below(self, level: Level, budget: u64) -> Level {
        let lower = self.lower.is_some();
        match level {
            Level::Full if self.full.fits_needed(budget) => Level::Needed,
            Level::Full | Level::Needed if lower => Level::Lower,
            Level::Lower if self.lower.is_some_and(|lower| lower.fits_needed(budget)) => {
                Level::LowerNeeded
            }
            _ => Level::Keyframes,
        }
    }

    /// The level to go up to with this budget, if it is enough for one. Leaving out what is needless
    /// may make the next tier possible.
    fn above(self, level: Level, budget: Option<u64>) -> Option<Level> {
        let levels: &[Level] = match level {
            Level::Full => &[],
            Level::Needed => &[Level::Full],
            Level::LowerNeeded => &[Level::Lower],
            Level::Keyframes if self.lower.is_some() => &[Level::Lower, Level::LowerNeeded],
            Level::Lower | Level::Keyframes => &[Level::Full, Level::Needed],
        };
        let enough = |rate: u64| {
            budget.is_none_or(|budget| {
                u128::from(budget) * 100 >= u128::from(rate) * u128::from(HEADROOM_PERCENT)
            })
        };
        levels.iter().copied().find(|level| self.of(*level).is_some_and(enough))
    }
}

impl Level {
    /// Which pictures of its tier it has.
    pub(super) fn pictures(self) -> Pictures {
        match self {
            Self::Full | Self::Lower => Pictures::All,
            Self::Needed | Self::LowerNeeded => Pictures::Needed,
            Self::Keyframes => Pictures::Keyframes,
        }
    }

    /// Whether its pictures come from the lower tier, where there is one.
    pub(super) fn is_lower(self) -> bool {
        self >= Self::Lower
    }
}

impl Pictures {
    /// Whether a picture is one of them.
    pub(super) fn include(self, descriptor: &Descriptor) -> bool {
        match self {
            Self::All => true,
            Self::Needed => !descriptor.is_needless(),
            Self::Keyframes => descriptor.keyframe,
        }
    }
}

impl Carried {
    /// Whether leaving out what is needless is enough for this budget.
    fn fits_needed(self, budget: u64) -> bool {
        self.needed < self.all && self.needed <= budget
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self { all: self.all + other.all, needed: self.needed + other.needed }
    }

    /// Without one of the tracks that it is the sum of.
    pub(super) fn minus(self, part: Self) -> Self {
        Self { all: self.all - part.all, needed: self.needed - part.needed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::testing::start;

    const RATES: Rates = Rates { full: plain(4_000_000), lower: Some(plain(500_000)) };
    const ONE_TIER: Rates = Rates { lower: None, ..RATES };
    /// Half of the bits are frames that no other refers to.
    const NEEDLESS: Rates = Rates {
        full: Carried { needed: 2_000_000, ..RATES.full },
        lower: Some(Carried { needed: 250_000, all: 500_000 }),
    };
    const STEP: Duration = Duration::from_millis(100);

    /// Every frame is referred to.
    const fn plain(bits: u64) -> Carried {
        Carried { all: bits, needed: bits }
    }

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
    fn what_no_frame_refers_to_goes_first_where_that_is_enough() {
        let one_tier = Rates { lower: None, ..NEEDLESS };
        for (rates, budget, levels) in [
            (NEEDLESS, 2_000_000, vec![Level::Needed]),
            (NEEDLESS, 1_999_999, vec![Level::Lower]),
            (NEEDLESS, 499_999, vec![Level::Lower, Level::LowerNeeded]),
            (NEEDLESS, 250_000, vec![Level::Lower, Level::LowerNeeded]),
            (NEEDLESS, 249_999, vec![Level::Lower, Level::Keyframes]),
            (one_tier, 2_000_000, vec![Level::Needed]),
            (one_tier, 1_999_999, vec![Level::Keyframes]),
        ] {
            let mut bench = Bench::new();
            for level in levels {
                assert_eq!(bench.until_change(rates, Some(budget)), Some(SHORTAGE));
                assert_eq!(bench.quality.level, level, "{budget}");
            }
            assert_eq!(bench.until_change(rates, Some(budget)), None, "{budget}");
        }
    }

    #[test]
    fn a_shortage_that_grows_lowers_whoever_does_without_the_needless_already() {
        for (rates, level) in
            [(NEEDLESS, Level::Lower), (Rates { lower: None, ..NEEDLESS }, Level::Keyframes)]
        {
            let mut bench = Bench::new();
            bench.until_change(rates, Some(2_000_000));
            assert_eq!(bench.until_change(rates, Some(1_999_999)), Some(SHORTAGE));
            assert_eq!(bench.quality.level, level);
        }
    }

    #[test]
    fn a_rise_goes_to_the_highest_level_that_there_was_plenty_for_all_the_time() {
        for (from, budget, to) in [
            (2_000_000, 4_999_999, None),
            (2_000_000, 5_000_000, Some(Level::Full)),
            (600_000, 2_499_999, None),
            (600_000, 2_500_000, Some(Level::Needed)),
            (600_000, 5_000_000, Some(Level::Full)),
        ] {
            let mut bench = Bench::new();
            bench.until_change(NEEDLESS, Some(from));
            assert_eq!(bench.until_change(NEEDLESS, Some(budget)), to.map(|_| PLENTY), "{budget}");
            assert!(to.is_none_or(|to| bench.quality.level == to), "{budget}");
        }
        let mut bench = Bench::new();
        bench.until_change(NEEDLESS, Some(600_000));
        for step in 0..=50 {
            let budget = if step == 10 { 2_500_000 } else { 9_000_000 };
            bench.quality.set_budget(bench.now, Some(budget));
            assert_eq!(bench.quality.assess(bench.now, NEEDLESS), step == 50);
            bench.now += STEP;
        }
        assert_eq!(bench.quality.level, Level::Needed);
    }

    #[test]
    fn a_budget_of_just_the_rate_is_no_shortage() {
        let mut bench = Bench::new();
        assert_eq!(bench.until_change(RATES, Some(RATES.full.all)), None);
        assert_eq!(bench.until_change(RATES, Some(RATES.full.all - 1)), Some(SHORTAGE));
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
    fn a_budget_that_rises_is_waited_for_up_to_the_bound() {
        /// Level after a fall to half and a rise by this many parts in a thousand a step.
        fn after(rise: u64) -> (Level, Duration) {
            let mut bench = Bench::new();
            let mut budget = RATES.full.all / 2;
            for step in 0..400 {
                bench.quality.set_budget(bench.now, Some(budget));
                if bench.quality.assess(bench.now, ONE_TIER) {
                    return (bench.quality.level, STEP * step);
                }
                budget += budget * rise / 1000;
                bench.now += STEP;
            }
            (Level::Full, STEP * 400)
        }
        // 2 % in the time of a shortage are noise, 4 % a rise; 5.5 % a second reach the rate just in time.
        assert_eq!(after(1), (Level::Keyframes, SHORTAGE));
        assert_eq!(after(2), (Level::Keyframes, MAX_SHORTAGE + Duration::from_secs(1)));
        assert_eq!(after(4), (Level::Keyframes, MAX_SHORTAGE + Duration::from_secs(1)));
        assert_eq!(after(5), (Level::Full, STEP * 400));
        assert_eq!(after(50), (Level::Full, STEP * 400));
    }

    #[test]
    fn a_fall_amid_a_rise_ends_the_waiting() {
        let mut bench = Bench::new();
        let budgets = (0..40).map(|step| 2_000_000 + step * 20_000).chain([2_000_000; 40]);
        let changed = budgets.into_iter().position(|budget| {
            bench.quality.set_budget(bench.now, Some(budget));
            let changed = bench.quality.assess(bench.now, ONE_TIER);
            bench.now += STEP;
            changed
        });
        // Seen to rise after 2 s; after 4 s it stands at where it began.
        assert_eq!(changed, Some(40));
    }

    #[test]
    fn noise_around_the_rate_changes_nothing() {
        let mut bench = Bench::new();
        for step in 0..1000_u64 {
            // Under the rate for 1.9 s, then at it for a moment.
            let full = RATES.full.all;
            let budget = if step % 20 == 0 { full } else { full / 2 };
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
    fn a_rise_into_a_shortage_that_is_waited_for_has_not_lasted() {
        let mut bench = Bench::new();
        bench.until_change(ONE_TIER, Some(1));
        let mut waits = Vec::new();
        for _ in 0..5 {
            waits.push(bench.until_change(ONE_TIER, None).unwrap().as_secs());
            // 70 % of the rate at most, and never standing still.
            let lowered = (0..400_u64).any(|step| {
                let budget = 2_000_000 + step % 20 * 40_000;
                bench.quality.set_budget(bench.now, Some(budget));
                let changed = bench.quality.assess(bench.now, ONE_TIER);
                bench.now += STEP;
                changed
            });
            assert!(lowered);
        }
        assert_eq!(waits, [5, 10, 20, 40, 60]);
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
