//! The suites: what they run and how long they may take.

mod lanes;

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::binaries::{self, TestBinary};
use crate::process;
use crate::report::{self, Outcome};
use crate::requirements;
use crate::tools;

/// What a suite is made of.
#[derive(Clone, Copy)]
enum Kind {
    /// Formatting and lints.
    Lint,
    /// Replay of the committed fuzz seeds.
    Fuzz,
    /// Test programs of the workspace that a rule picks.
    Programs(fn(&TestBinary) -> bool),
    /// The same, with foreign clients installed.
    Clients(fn(&TestBinary) -> bool),
    /// Criterion benches, quick, and a small crowd.
    Bench,
}

struct Suite {
    name: &'static str,
    kind: Kind,
    /// Longest run of one program of the suite.
    limit: Duration,
    /// Part of a plain `cargo xtask test`.
    by_default: bool,
}

/// Test programs of the root package that are suites of their own.
const OWN_SUITES: [&str; 7] = ["tidy", "matrix", "browser", "api", "soak", "silence", "timing"];
/// Set: the soak is a share of so many seconds. Unset: the full measure.
const SOAK_SECONDS: &str = "SIGHTLINE_SOAK_SECONDS";
/// The full measure of revocations, and of a sealed view.
const FULL: [(&str, &str); 3] = [
    ("SIGHTLINE_REVOKE_ROUNDS", "100"),
    ("SIGHTLINE_REVOKE_OTHERS", "200"),
    ("SIGHTLINE_SEALED_SECONDS", "60"),
];

const fn suite(name: &'static str, kind: Kind, minutes: u64, by_default: bool) -> Suite {
    Suite { name, kind, limit: Duration::from_secs(minutes * 60), by_default }
}

const SUITES: [Suite; 12] = [
    suite("lint", Kind::Lint, 10, true),
    suite("tidy", Kind::Programs(|binary| root_test(binary, "tidy")), 2, true),
    suite("unit", Kind::Programs(is_unit), 5, true),
    suite("sim", Kind::Programs(is_sim), 5, true),
    suite("fuzz", Kind::Fuzz, 10, true),
    suite("e2e", Kind::Clients(is_e2e), 5, true),
    suite("matrix", Kind::Clients(|binary| root_test(binary, "matrix")), 12, true),
    suite("browser", Kind::Clients(|binary| root_test(binary, "browser")), 4, true),
    // 3 minutes unless SIGHTLINE_API_SECONDS says otherwise.
    suite("api", Kind::Clients(|binary| root_test(binary, "api")), 60, true),
    suite("soak", Kind::Clients(is_soak), 120, false),
    // Statistics over answers of a real server; wants a machine with nothing else to do.
    suite("timing", Kind::Programs(|binary| root_test(binary, "timing")), 60, false),
    suite("bench", Kind::Bench, 60, false),
];

fn root_test(binary: &TestBinary, name: &str) -> bool {
    is_root_test(binary) && binary.name == name
}

fn is_root_test(binary: &TestBinary) -> bool {
    binary.package == "sightline" && binary.kind == "test"
}

fn is_sim(binary: &TestBinary) -> bool {
    !is_root_test(binary) && binary.kind == "test" && binary.name.starts_with("sim")
}

fn is_unit(binary: &TestBinary) -> bool {
    !is_root_test(binary)
        && !is_sim(binary)
        && matches!(binary.kind.as_str(), "lib" | "bin" | "test")
}

fn is_e2e(binary: &TestBinary) -> bool {
    is_root_test(binary) && !OWN_SUITES.contains(&binary.name.as_str())
}

/// The short shares of `revoke` and `sealed_live` are part of e2e.
fn is_soak(binary: &TestBinary) -> bool {
    let full = std::env::var_os(SOAK_SECONDS).is_none();
    let shared = root_test(binary, "revoke") || root_test(binary, "sealed_live");
    root_test(binary, "soak") || root_test(binary, "silence") || full && shared
}

/// Runs the named suites, or the usual ones, and prints the table.
pub(crate) fn run(names: &[String]) -> Result<(), String> {
    if let Some(unknown) = names.iter().find(|name| SUITES.iter().all(|suite| suite.name != **name))
    {
        let known: Vec<_> = SUITES.iter().map(|suite| suite.name).collect();
        return Err(format!("no suite {unknown}; there are: {}", known.join(" ")));
    }
    let wanted = |suite: &&Suite| {
        if names.is_empty() {
            suite.by_default
        } else {
            names.iter().any(|name| name == suite.name)
        }
    };
    // What an earlier run proved is not what this one does.
    requirements::begin(names)?;
    let mut run = Run::default();
    let mut rows = Vec::new();
    let (whole, others): (Vec<_>, Vec<_>) =
        SUITES.iter().filter(wanted).partition(|suite| matches!(suite.kind, Kind::Clients(_)));
    for suite in others {
        println!("== {}", suite.name);
        let started = Instant::now();
        let outcome = run.suite(suite).unwrap_or_else(Outcome::failure);
        rows.push((suite.name.to_owned(), started.elapsed(), outcome));
    }
    if !whole.is_empty() {
        let started = Instant::now();
        rows.extend(run.whole(&whole));
        println!("   whole servers: {:.1} s", started.elapsed().as_secs_f64());
    }
    let failed = rows.iter().any(|(_, _, outcome)| outcome.failed > 0);
    let table = report::table(&rows);
    println!("{table}");
    if failed { Err("some tests failed".to_owned()) } else { Ok(()) }
}

/// What the suites of one run share: the build happens once.
#[derive(Default)]
struct Run {
    binaries: Option<Vec<TestBinary>>,
}

impl Run {
    fn suite(&mut self, suite: &Suite) -> Result<Outcome, String> {
        match suite.kind {
            Kind::Lint => Ok(lint(suite)),
            Kind::Fuzz => fuzz(suite),
            Kind::Bench => {
                let bench = ["bench", "--bench", "datapath", "--locked", "--", "--quick"];
                let mut outcome = cargo(suite, &bench);
                outcome.add(Outcome::single(crate::bench::short_crowd()));
                outcome.add(Outcome::single(crate::bench::short_gate()));
                Ok(outcome)
            }
            Kind::Programs(pick) | Kind::Clients(pick) => {
                let mut total = Outcome::default();
                for binary in self.picked(suite, pick)? {
                    total.add(run_program(suite, binary, &[])?);
                }
                Ok(total)
            }
        }
    }

    /// Programs that start whole servers. They wait for media most of their time, so two of them
    /// share the machine; the seconds of a suite are those of its programs.
    fn whole(&mut self, suites: &[&'static Suite]) -> Vec<lanes::Row> {
        let failed = |problem: String| {
            let row = |suite: &&Suite| {
                (suite.name.to_owned(), Duration::ZERO, Outcome::failure(problem.clone()))
            };
            suites.iter().map(row).collect()
        };
        let environment = match tools::environment() {
            Ok(environment) => environment,
            Err(problem) => return failed(problem),
        };
        let mut jobs = Vec::new();
        for &suite in suites {
            let Kind::Clients(pick) = suite.kind else { continue };
            match self.picked(suite, pick) {
                Ok(binaries) => jobs.extend(binaries.into_iter().map(|b| (suite, b.clone()))),
                Err(problem) => return failed(problem),
            }
        }
        lanes::run(&jobs, &environment)
    }

    /// Programs of a suite; it must have one.
    fn picked(
        &mut self,
        suite: &Suite,
        pick: fn(&TestBinary) -> bool,
    ) -> Result<Vec<&TestBinary>, String> {
        if self.binaries.is_none() {
            self.binaries = Some(timed_build()?);
        }
        let binaries = self.binaries.as_deref().unwrap_or_default();
        let picked: Vec<_> = binaries.iter().filter(|binary| pick(binary)).collect();
        if picked.is_empty() {
            return Err(format!("the suite {} has no test program", suite.name));
        }
        Ok(picked)
    }
}

fn timed_build() -> Result<Vec<TestBinary>, String> {
    let started = Instant::now();
    let binaries = binaries::build()?;
    println!("   built in {:.1} s", started.elapsed().as_secs_f64());
    Ok(binaries)
}

fn run_program(
    suite: &Suite,
    binary: &TestBinary,
    environment: &[(&'static str, PathBuf)],
) -> Result<Outcome, String> {
    let TestBinary { package, name, kind, .. } = binary;
    let label = format!("{package}/{name} ({kind})");
    let started = Instant::now();
    let mut command = Command::new(&binary.program);
    command.arg("--show-output").current_dir(&binary.folder).envs(environment.iter().cloned());
    if suite.name == "soak" {
        command.envs(FULL.into_iter().filter(|(key, _)| std::env::var_os(key).is_none()));
    }
    if matches!(suite.kind, Kind::Clients(_)) {
        // Tests of one program expect to have its clients for themselves.
        command.arg("--test-threads=1");
    }
    let log = crate::logs().join(format!("{}-{package}-{name}-{kind}.log", suite.name));
    let ended = process::run(&mut command, &log, suite.limit)?;
    let mut outcome = report::count(&ended.output);
    println!(
        "   {}: {label}: {} passed, {} failed, {:.1} s",
        suite.name,
        outcome.passed,
        outcome.failed,
        started.elapsed().as_secs_f64()
    );
    if ended.timed_out {
        outcome.failed += 1;
        outcome.problems.push(format!("{label} ran longer than {} s", suite.limit.as_secs()));
    } else if !ended.success {
        outcome.failed = outcome.failed.max(1);
        outcome.problems.push(format!("{label} failed; output in {}", log.display()));
    }
    if !ended.success {
        print_tail(&ended.output);
    }
    if matches!(suite.name, "matrix" | "soak" | "api" | "timing") {
        print_marked(&ended.output);
    }
    Ok(outcome)
}

/// Rows of the matrix, wherever they stand in the output.
fn print_marked(output: &str) {
    for line in output.lines().filter(|line| line.starts_with("| ")) {
        println!("   {line}");
    }
}

fn print_tail(output: &str) {
    let lines: Vec<&str> = output.lines().collect();
    for line in &lines[lines.len().saturating_sub(60)..] {
        println!("   {line}");
    }
}

fn lint(suite: &Suite) -> Outcome {
    let mut outcome = cargo(suite, &["fmt", "--all", "--check"]);
    // The profile of the build, so that the C libraries are not compiled a second time.
    let clippy = ["clippy", "--release", "--workspace", "--all-targets", "--locked"];
    outcome.add(cargo(suite, &[&clippy[..], &["--", "-D", "warnings"]].concat()));
    outcome
}

fn fuzz(suite: &Suite) -> Result<Outcome, String> {
    let manifest = crate::root().join("fuzz/Cargo.toml");
    if !manifest.is_file() {
        return Err(format!("{} is missing", manifest.display()));
    }
    // Outside of the fuzzer the targets are plain programs that replay their committed seeds.
    let (path, target) = (manifest.to_string_lossy(), crate::target());
    // One target folder, so that the libraries of the workspace serve here too.
    let target = target.to_string_lossy();
    let place = ["--manifest-path", &*path, "--target-dir", &*target];
    Ok(cargo(suite, &[&["test", "--release", "--locked"][..], &place].concat()))
}

fn cargo(suite: &Suite, arguments: &[&str]) -> Outcome {
    let name = arguments.first().copied().unwrap_or("cargo");
    let log = crate::logs().join(format!("{}-{name}.log", suite.name));
    let mut command = Command::new(env!("CARGO"));
    command.args(arguments).current_dir(crate::root());
    let line = format!("cargo {}", arguments.join(" "));
    match process::run(&mut command, &log, suite.limit) {
        Err(problem) => Outcome::failure(problem),
        Ok(ended) if ended.success => {
            let counted = report::count(&ended.output);
            if counted.passed > 0 { counted } else { Outcome::single(Ok(())) }
        }
        Ok(ended) => {
            print_tail(&ended.output);
            Outcome::failure(format!("`{line}` failed; output in {}", log.display()))
        }
    }
}
