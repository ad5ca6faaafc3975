//! Which requirements the last run of tests proved, against the committed list.
//!
//! An id counts when a test that passed printed it. The output of test programs (`--show-output`)
//! has a line `test NAME ... ok` for each test, and what the test printed under `---- NAME stdout ----`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};

/// A test prints this before `ID by NAME`.
const MARK: &str = "requirement proved: ";
/// Ending of the logs.
const LOG: &str = "log";
/// Says beside the logs which state of the sources they are of.
const STATE: &str = "sources.txt";

/// Begins a run: what an earlier one proved counts no more. A run of all suites is a new one, and so
/// is one of other sources; else only the logs of the named suites go.
pub(crate) fn begin(names: &[String]) -> Result<(), String> {
    let state = sources();
    let kept = fs::read_to_string(crate::logs().join(STATE)).unwrap_or_default();
    let anew = names.is_empty() || state.is_none() || state.as_deref() != Some(kept.as_str());
    let entries = fs::read_dir(crate::logs()).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let is_log = path.extension().is_some_and(|ending| ending == LOG);
        if is_log && (anew || is_of(name, names)) {
            fs::remove_file(&path)
                .map_err(|error| format!("cannot remove {}: {error}", path.display()))?;
        }
    }
    fs::create_dir_all(crate::logs())
        .and_then(|()| fs::write(crate::logs().join(STATE), state.unwrap_or_default()))
        .map_err(|error| format!("cannot write to {}: {error}", crate::logs().display()))
}

/// Whether a log is of one of these suites.
fn is_of(log: &str, names: &[String]) -> bool {
    names
        .iter()
        .any(|name| log.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with('-')))
}

/// Commit and uncommitted changes, in short; `None` outside of a repository.
fn sources() -> Option<String> {
    let git = |words: &[&str]| {
        let root = crate::root();
        let mut all = vec!["-C", root.to_str()?];
        all.extend(words);
        crate::process::capture("git", &all)
    };
    let mut hasher = DefaultHasher::new();
    [git(&["rev-parse", "HEAD"])?, git(&["diff", "HEAD"])?, git(&["status", "--porcelain"])?]
        .hash(&mut hasher);
    Some(format!("{:016x}", hasher.finish()))
}

/// Prints the table; an unproved requirement is an error.
pub(crate) fn run() -> Result<(), String> {
    let list = fs::read_to_string(crate::root().join("tests/requirements.txt"))
        .map_err(|error| format!("cannot read tests/requirements.txt: {error}"))?;
    let folder = crate::logs();
    let entries = fs::read_dir(&folder).map_err(|error| {
        format!("no test output in {} ({error}); run `cargo xtask test`", folder.display())
    })?;
    let mut proved = BTreeMap::new();
    for entry in entries.flatten() {
        collect(&String::from_utf8_lossy(&fs::read(entry.path()).unwrap_or_default()), &mut proved);
    }
    let (table, gaps) = table(&list, &proved);
    println!("{table}");
    if gaps.is_empty() { Ok(()) } else { Err(format!("not proved: {}", gaps.join(", "))) }
}

/// The ids that tests printed which passed.
fn collect(output: &str, proved: &mut BTreeMap<String, Vec<String>>) {
    let passed: BTreeSet<&str> = output
        .lines()
        .filter_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... ok"))
        .map(|name| name.trim_end_matches(" - should panic"))
        .collect();
    // A test that runs again in a network namespace of its own prints at once, outside of its section: it
    // counts when everything in its program passed.
    let green = output.contains("test result: ok.") && !output.contains("test result: FAILED");
    let mut test = None;
    for line in output.lines() {
        if let Some(name) = line.strip_prefix("---- ") {
            test = name.strip_suffix(" stdout ----").filter(|name| passed.contains(name));
            continue;
        }
        let marked = line.find(MARK).map(|at| &line[at + MARK.len()..]);
        let Some((id, by)) = marked.and_then(|rest| rest.split_once(" by ")) else { continue };
        let name = match test {
            Some(name) => name,
            None if green => "the whole program",
            None => continue,
        };
        let tests = proved.entry(id.trim().to_owned()).or_default();
        let place = by.trim().split("::").next().unwrap_or_default();
        let by = format!("{place}: {name}");
        if !tests.contains(&by) {
            tests.push(by);
        }
    }
}

fn table(list: &str, proved: &BTreeMap<String, Vec<String>>) -> (String, Vec<String>) {
    let mut out = String::from("id     proved by\n");
    let mut gaps = Vec::new();
    for line in
        list.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let (id, what) = line.split_once(' ').unwrap_or((line, ""));
        match proved.get(id) {
            Some(tests) => out.push_str(&format!("{id:<6} {}\n", tests.join(", "))),
            None => {
                out.push_str(&format!("{id:<6} NOT PROVED: {}\n", what.trim()));
                gaps.push(id.to_owned());
            }
        }
    }
    (out, gaps)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "
running 3 tests
test gate::unbinding ... ok
test gate::sharing ... FAILED
test gate::panics - should panic ... ok

successes:

---- gate::unbinding stdout ----
noise
requirement proved: M13 by relay::gate
requirement proved: M13 by relay::gate

---- gate::panics stdout ----
requirement proved: M1 by relay::gate

failures:

---- gate::sharing stdout ----
requirement proved: B14 by relay::gate
";

    #[test]
    fn gaps_are_the_listed_ids_that_no_test_proved() {
        let mut proved = BTreeMap::new();
        collect(OUTPUT, &mut proved);
        let (text, gaps) = table("# list\nM13 revocation\nM16 short-lived ICE\nM1 gate\n", &proved);
        assert_eq!(gaps, ["M16"]);
        assert!(text.contains("M13    relay: gate::unbinding\n"), "{text}");
    }

    #[test]
    fn a_run_of_one_suite_leaves_the_logs_of_others() {
        let names = ["e2e".to_owned(), "api".to_owned()];
        assert!(is_of("e2e-sightline-gate-test.log", &names) && is_of("api-x.log", &names));
        assert!(!is_of("e2e2-x.log", &names) && !is_of("unit-api-x.log", &names));
    }

    #[test]
    fn what_a_failed_test_printed_proves_nothing() {
        let mut proved = BTreeMap::new();
        collect(OUTPUT, &mut proved);
        assert!(!proved.contains_key("B14"));
        // Printed by no test, or by one that never ended.
        collect("requirement proved: A1 by nobody\n", &mut proved);
        collect("---- lost stdout ----\nrequirement proved: A2 by lost\n", &mut proved);
        assert_eq!(proved.keys().collect::<Vec<_>>(), ["M1", "M13"]);
    }
}
