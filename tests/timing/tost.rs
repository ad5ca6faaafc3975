//! The difference of two medians, and how sure it is.

/// A small repeatable generator (xorshift64*), for shuffling and resampling.
pub(crate) struct Generator(u64);

impl Generator {
    /// From a seed other than 0.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }
}

/// The middle of the values.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[half] } else { (sorted[half - 1] + sorted[half]) / 2.0 }
}

/// The 90 % interval of `median(a) - median(b)` by a percentile bootstrap. The values come in pairs of
/// one moment each and are drawn as such: what slows both down is no difference.
pub(crate) fn interval(
    a: &[f64],
    b: &[f64],
    resamples: usize,
    random: &mut Generator,
) -> (f64, f64) {
    assert_eq!(a.len(), b.len(), "pairs");
    let mut draw = || {
        let picked: Vec<usize> = a.iter().map(|_| random.next() as usize % a.len()).collect();
        let of = |values: &[f64]| median(&picked.iter().map(|at| values[*at]).collect::<Vec<_>>());
        of(a) - of(b)
    };
    let mut differences: Vec<f64> = (0..resamples).map(|_| draw()).collect();
    differences.sort_by(f64::total_cmp);
    (differences[resamples / 20], differences[resamples - 1 - resamples / 20])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Times from `least` microseconds on, spread over `width`, with a long tail as a machine gives it.
    fn times(least: f64, seed: u64, width: f64) -> Vec<f64> {
        let mut random = Generator::new(seed);
        let mut one = || (random.next() % 10_000) as f64 / 10_000.0;
        let tail = |late: bool| if late { 20_000.0 } else { 0.0 };
        (0..1000).map(|_| least + width * one() + tail(one() > 0.95)).collect()
    }

    #[test]
    fn equal_times_are_shown_to_be_equal_and_shifted_or_noisy_ones_are_not() {
        let with = |shift: f64, width: f64| {
            let (a, b) = (times(50_000.0 + shift, 3, width), times(50_000.0, 5, width));
            let (low, high) = interval(&a, &b, 300, &mut Generator::new(11));
            low > -1000.0 && high < 1000.0
        };
        assert!(with(0.0, 3000.0));
        assert!(!with(1500.0, 3000.0), "slower");
        assert!(!with(-1500.0, 3000.0), "faster");
        assert!(!with(0.0, 100_000.0), "too noisy to tell");
    }
}
