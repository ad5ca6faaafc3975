//! Times in fixed buckets: any number of samples in the same memory, shared by all viewers.

use std::sync::atomic::{AtomicU64, Ordering};

/// Buckets of each power of two; a bucket is at most 1/32 of its value wide.
const SUB_BITS: u32 = 5;
const SUBS: u64 = 1 << SUB_BITS;
/// Values from here on share the last bucket, microseconds (67 s).
const LIMIT: u64 = 1 << 26;
/// Buckets in all.
const BUCKETS: usize = index(LIMIT) + 1;

/// Counts of times in microseconds.
pub(super) struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    max: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: [const { AtomicU64::new(0) }; BUCKETS], max: AtomicU64::new(0) }
    }
}

impl Histogram {
    /// Counts a time.
    pub(super) fn add(&self, micros: u64) {
        self.buckets[index(micros.min(LIMIT))].fetch_add(1, Ordering::Relaxed);
        self.max.fetch_max(micros, Ordering::Relaxed);
    }

    /// The longest time, microseconds.
    pub(super) fn max(&self) -> u64 {
        self.max.load(Ordering::Relaxed)
    }

    /// The time that this share (0 to 1) of all stays at or below: the upper end of its bucket, at
    /// most the longest time. `None` without samples.
    pub(super) fn quantile(&self, share: f64) -> Option<u64> {
        let counts: Vec<u64> =
            self.buckets.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let total: u64 = counts.iter().sum();
        let rank = ((total as f64 * share).ceil() as u64).clamp(1, total.max(1));
        let mut below = 0;
        let at = counts.iter().position(|count| {
            below += count;
            below >= rank
        })?;
        Some(upper(at).min(self.max()))
    }
}

/// Bucket of a value up to [`LIMIT`].
const fn index(value: u64) -> usize {
    if value < SUBS {
        return value as usize;
    }
    let shift = value.ilog2() - SUB_BITS;
    ((shift as u64) * SUBS + (value >> shift)) as usize
}

/// Largest value of a bucket; the last one has no end.
fn upper(index: usize) -> u64 {
    let index = index as u64;
    if index < SUBS {
        return index;
    }
    if index as usize == BUCKETS - 1 {
        return u64::MAX;
    }
    let shift = index / SUBS - 1;
    let mantissa = index - shift * SUBS;
    ((mantissa + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other_without_gap_and_are_narrow() {
        let mut next = 0;
        for at in 0..BUCKETS - 1 {
            assert_eq!(index(next), at);
            assert_eq!(index(upper(at)), at);
            assert!(upper(at) - next <= next / SUBS, "bucket {at} from {next}");
            next = upper(at) + 1;
        }
        assert_eq!(next, LIMIT);
    }

    #[test]
    fn quantiles_are_near_the_truth_and_never_beyond_the_longest() {
        let histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), None);
        (1..=10_000).for_each(|micros| histogram.add(micros));
        for (share, truth) in [(0.5, 5000.0), (0.99, 9900.0)] {
            let found = histogram.quantile(share).expect("samples") as f64;
            assert!((truth..truth * 1.04).contains(&found), "{share}: {found}");
        }
        assert_eq!(histogram.quantile(1.0), Some(10_000));
        assert_eq!(histogram.quantile(0.0), Some(1));
        histogram.add(u64::MAX);
        assert_eq!((histogram.max(), histogram.quantile(1.0)), (u64::MAX, Some(u64::MAX)));
    }
}
