//! The budget of text messages on counts in memory.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::trace::{Class, Wish};
use crate::sms::budget::bucket::Bucket;
use crate::sms::budget::{self, Ask, COMPETING, Counts, Dimension, MOST_RECENT, Policy, Verdict};

/// Country of the rehearsal.
const DIAL: u16 = 86;

/// Keeps what the store would keep.
pub(super) struct Desk<'a> {
    policy: &'a Policy,
    buckets: HashMap<(Dimension, u64), Bucket>,
    recent: HashMap<u64, Vec<u64>>,
    /// Of each number, terminals that are not trusted and have not answered, and when they were sent
    /// to; the newest first.
    strangers: HashMap<u64, Vec<(u64, u64)>>,
    last_ask: HashMap<(u64, u64), u64>,
    pairs: HashSet<(u64, u64)>,
}

impl<'a> Desk<'a> {
    pub(super) fn new(policy: &'a Policy) -> Self {
        Self {
            policy,
            buckets: HashMap::new(),
            recent: HashMap::new(),
            strangers: HashMap::new(),
            last_ask: HashMap::new(),
            pairs: HashSet::new(),
        }
    }

    /// The terminal has answered a code of the number before the trace begins.
    pub(super) fn know(&mut self, wish: &Wish) {
        self.pairs.insert((wish.number, wish.terminal));
    }

    /// Decides on a wish and keeps what it changes.
    pub(super) fn ask(&mut self, wish: &Wish, worked: bool) -> Verdict {
        let pair = (wish.number, wish.terminal);
        if let Some(last) = self.last_ask.get(&pair)
            && wish.at < last + self.policy.pause
        {
            return Verdict::TooMany(last + self.policy.pause - wish.at);
        }
        let ask = Ask {
            of_account: wish.class == Class::View,
            known_pair: self.pairs.contains(&pair),
            worked,
            dial: DIAL,
        };
        let decision = budget::decide(self.policy, &self.counts(wish), &ask, wish.at);
        for (dimension, bucket) in decision.buckets {
            self.buckets.insert((dimension, key(dimension, wish)), bucket);
        }
        if matches!(decision.verdict, Verdict::Send(_) | Verdict::Hold(_)) {
            self.last_ask.insert(pair, wish.at);
        }
        if let Verdict::Send(at) = decision.verdict {
            let recent = self.recent.entry(wish.number).or_default();
            recent.insert(0, at);
            recent.truncate(usize::try_from(MOST_RECENT).unwrap_or(usize::MAX));
            if !ask.of_account && !ask.known_pair {
                self.strangers.entry(wish.number).or_default().insert(0, (wish.terminal, at));
            }
        }
        decision.verdict
    }

    /// The code that was sent for a wish is answered.
    pub(super) fn answer(&mut self, wish: &Wish, now: u64) {
        let known = !self.pairs.insert((wish.number, wish.terminal));
        if let Some(strangers) = self.strangers.get_mut(&wish.number) {
            strangers.retain(|(terminal, _)| *terminal != wish.terminal);
        }
        let charged: &[Dimension] = match wish.class {
            Class::View => &[Dimension::Account],
            _ if known => &[],
            _ => &COMPETING,
        };
        for dimension in charged {
            if let Some(bucket) = self.buckets.get_mut(&(*dimension, key(*dimension, wish))) {
                *bucket = budget::answered(self.policy, *dimension, *bucket, now);
            }
        }
    }

    fn counts(&self, wish: &Wish) -> Counts {
        let all =
            COMPETING.into_iter().chain([Dimension::Account, Dimension::Money, Dimension::Asks]);
        let stored = |dimension| {
            let bucket = self.buckets.get(&(dimension, key(dimension, wish)))?;
            Some((dimension, *bucket))
        };
        let strangers = self.strangers.get(&wish.number).into_iter().flatten();
        Counts {
            strangers: strangers.map(|(_, at)| *at).collect(),
            recent: self.recent.get(&wish.number).cloned().unwrap_or_default(),
            buckets: all.filter_map(stored).collect::<BTreeMap<_, _>>(),
        }
    }
}

/// What a wish counts under.
fn key(dimension: Dimension, wish: &Wish) -> u64 {
    match dimension {
        Dimension::Prefix => wish.prefix(),
        Dimension::Dial => u64::from(DIAL),
        Dimension::Network | Dimension::Asks => wish.network,
        Dimension::Terminal => wish.terminal,
        Dimension::Account => wish.number,
        Dimension::Money => 0,
    }
}
