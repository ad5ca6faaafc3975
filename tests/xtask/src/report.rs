//! What came out of a run.

use std::fmt::Write;
use std::time::Duration;

/// Result of one suite.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) ignored: u64,
    /// One line each.
    pub(crate) problems: Vec<String>,
}

impl Outcome {
    /// A suite that is a single check.
    pub(crate) fn single(result: Result<(), String>) -> Self {
        match result {
            Ok(()) => Self { passed: 1, ..Self::default() },
            Err(problem) => Self::failure(problem),
        }
    }

    /// One failure.
    pub(crate) fn failure(problem: String) -> Self {
        Self { failed: 1, problems: vec![problem], ..Self::default() }
    }

    /// Adds another outcome.
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
        self.problems.extend(other.problems);
    }
}

/// Reads the summaries of a Rust test program.
pub(crate) fn count(output: &str) -> Outcome {
    let mut outcome = Outcome::default();
    for line in output.lines().filter_map(|line| line.strip_prefix("test result: ")) {
        for part in line.split([';', '.']) {
            let mut words = part.split_whitespace();
            let Some(Ok(number)) = words.next().map(str::parse::<u64>) else { continue };
            match words.next() {
                Some("passed") => outcome.passed += number,
                Some("failed") => outcome.failed += number,
                Some("ignored") => outcome.ignored += number,
                _ => {}
            }
        }
    }
    outcome
}

/// The table of all suites, ending with the line `N passed, N failed`.
pub(crate) fn table(rows: &[(String, Duration, Outcome)]) -> String {
    let mut out = String::from("\nsuite      seconds   passed   failed  ignored\n");
    let mut total = Outcome::default();
    for (name, took, outcome) in rows {
        let verdict = if outcome.failed == 0 { "" } else { "  FAILED" };
        let Outcome { passed, failed, ignored, .. } = outcome;
        let seconds = took.as_secs_f64();
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "{name:<10} {seconds:>7.1} {passed:>8} {failed:>8} {ignored:>8}{verdict}"
        );
        total.passed += passed;
        total.failed += failed;
    }
    for (name, _, outcome) in rows {
        for problem in &outcome.problems {
            let _ = writeln!(out, "{name}: {problem}");
        }
    }
    let _ = write!(out, "{} passed, {} failed", total.passed, total.failed);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_are_added_up() {
        let output = "x\ntest result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.02s\n\
                      test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.02s\n";
        let outcome = count(output);
        assert_eq!((outcome.passed, outcome.failed, outcome.ignored), (15, 2, 1));
    }

    #[test]
    fn the_table_ends_with_the_totals() {
        let rows = vec![
            (
                "unit".to_owned(),
                Duration::from_secs(2),
                count("test result: ok. 5 passed; 0 failed"),
            ),
            ("e2e".to_owned(), Duration::from_secs(9), Outcome::failure("it broke".to_owned())),
        ];
        let text = table(&rows);
        assert_eq!(text.lines().last(), Some("5 passed, 1 failed"));
        assert!(text.contains("e2e: it broke"));
    }
}
