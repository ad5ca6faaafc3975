//! When a wrong password is told to be one.

use std::time::Duration;

/// The first whole number of steps that is not shorter than `took`; without a step, `took` itself.
pub(crate) fn rounded_up(took: Duration, step: Duration) -> Duration {
    if step.is_zero() {
        return took;
    }
    let steps = took.as_nanos().div_ceil(step.as_nanos());
    u32::try_from(steps).ok().and_then(|steps| step.checked_mul(steps)).unwrap_or(took)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_took_less_than_a_step_takes_a_step() {
        let ms = Duration::from_millis;
        let cases = [(0, 0), (1, 400), (399, 400), (400, 400), (401, 800), (1201, 1600)];
        for (took, expected) in cases {
            assert_eq!(rounded_up(ms(took), ms(400)), ms(expected), "{took} ms");
        }
        assert_eq!(rounded_up(ms(7), Duration::ZERO), ms(7));
        assert_eq!(rounded_up(Duration::MAX, Duration::from_nanos(1)), Duration::MAX);
    }
}
