//! Programs that start whole servers, two at a time: each test has a network namespace or free ports
//! of its own. What measures times or many viewers at once runs with nothing beside it.

use std::path::PathBuf;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use super::{Suite, run_program};
use crate::binaries::TestBinary;
use crate::report::Outcome;

/// Programs at the same time.
const LANES: usize = 2;
/// Programs of the root package that assert on times, or load the machine by themselves.
const ALONE: [&str; 10] = [
    "browser",
    "clients",
    "join",
    "load",
    "malformed",
    "revoke",
    "sealed_live",
    "silence",
    "soak",
    "start",
];

/// A program and the suite that it counts for.
pub(super) type Job = (&'static Suite, TestBinary);
/// Name of a suite, the seconds of its programs, what came out.
pub(super) type Row = (String, Duration, Outcome);

/// Runs all jobs; one row for each suite, in the order of the jobs.
pub(super) fn run(jobs: &[Job], environment: &[(&'static str, PathBuf)]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for (suite, _) in jobs {
        if rows.iter().all(|(name, ..)| name != suite.name) {
            rows.push((suite.name.to_owned(), Duration::ZERO, Outcome::default()));
        }
    }
    let rows = Mutex::new(rows);
    let one = |job: &Job| {
        let (suite, binary) = job;
        let started = Instant::now();
        let outcome = run_program(suite, binary, environment).unwrap_or_else(Outcome::failure);
        let mut rows = rows.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some((_, took, total)) = rows.iter_mut().find(|(name, ..)| name == suite.name) {
            *took += started.elapsed();
            total.add(outcome);
        }
    };
    let (alone, shared) = order(jobs);
    let shared = Mutex::new(shared.into_iter());
    let next = || shared.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).next();
    thread::scope(|lanes| {
        for _ in 0..LANES {
            lanes.spawn(|| {
                while let Some(job) = next() {
                    one(job);
                }
            });
        }
    });
    alone.into_iter().for_each(one);
    rows.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// What runs alone, and what shares: suites with the longest programs first, so that none of those
/// is left over at the end.
fn order(jobs: &[Job]) -> (Vec<&Job>, Vec<&Job>) {
    let (alone, mut shared): (Vec<_>, Vec<_>) =
        jobs.iter().partition(|(_, binary)| ALONE.contains(&binary.name.as_str()));
    shared.sort_by_key(|(suite, _)| std::cmp::Reverse(suite.limit));
    (alone, shared)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::SUITES;

    fn job(suite: &str, program: &str) -> Job {
        let suite = SUITES.iter().find(|known| known.name == suite).expect("a known suite");
        let binary = TestBinary {
            package: "sightline".to_owned(),
            name: program.to_owned(),
            kind: "test".to_owned(),
            program: PathBuf::new(),
            folder: PathBuf::new(),
        };
        (suite, binary)
    }

    #[test]
    fn what_measures_runs_alone_and_the_longest_suite_goes_first() {
        let jobs = [job("e2e", "gate"), job("e2e", "revoke"), job("matrix", "matrix")];
        let (alone, shared) = order(&jobs);
        let names = |jobs: Vec<&Job>| jobs.iter().map(|(_, b)| b.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(alone), ["revoke"]);
        assert_eq!(names(shared), ["matrix", "gate"]);
    }
}
