//! A bench's part of `benches/RESULTS.md`, and its table of all runs.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

/// Appends rows to `benches/results/NAME.csv`, and writes the part of the page that is between
/// the marks of the bench anew.
pub(super) fn record(name: &str, columns: &str, rows: &[String], part: &str) -> Result<(), String> {
    let csv = in_benches(&format!("results/{name}.csv"));
    let mut table = fs::read_to_string(&csv).unwrap_or_else(|_| format!("{columns}\n"));
    for row in rows {
        // Writing to a string cannot fail.
        let _ = writeln!(table, "{row}");
    }
    let failed = |path: &PathBuf, error| format!("cannot write {}: {error}", path.display());
    fs::write(&csv, table).map_err(|error| failed(&csv, error))?;
    let page = in_benches("RESULTS.md");
    let old = fs::read_to_string(&page).map_err(|error| failed(&page, error))?;
    fs::write(&page, replace(&old, name, part)?).map_err(|error| failed(&page, error))?;
    println!("recorded in {}", page.display());
    Ok(())
}

/// The rows of all runs so far, oldest first.
pub(super) fn rows(name: &str) -> Vec<String> {
    let table = fs::read_to_string(in_benches(&format!("results/{name}.csv")));
    table.unwrap_or_default().lines().skip(1).map(str::to_owned).collect()
}

fn in_benches(name: &str) -> PathBuf {
    crate::root().join("benches").join(name)
}

fn mark(name: &str, which: &str) -> String {
    format!("<!-- written by cargo xtask bench {name}: {which} -->")
}

fn replace(page: &str, name: &str, part: &str) -> Result<String, String> {
    let (begin, end) = (mark(name, "begin"), mark(name, "end"));
    let parts = page.split_once(&begin).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(&end)?;
        Some((before, after))
    });
    let (before, after) =
        parts.ok_or_else(|| format!("benches/RESULTS.md lacks the marks {begin} and {end}"))?;
    Ok(format!("{before}{begin}\n{}\n{end}{after}", part.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench;

    #[test]
    fn a_bench_writes_between_its_own_marks_only() {
        let part = |name, text| format!("{}\n{text}\n{}\n", mark(name, "begin"), mark(name, "end"));
        let page = format!("head\n{}{}tail\n", part("a", "old"), part("b", "old"));
        let new = replace(&page, "b", "new").unwrap();
        assert_eq!(new, format!("head\n{}{}tail\n", part("a", "old"), part("b", "new")));
        assert!(replace(&page, "c", "new").is_err());
    }

    #[test]
    fn the_committed_page_has_the_marks_of_every_bench() {
        let page = fs::read_to_string(in_benches("RESULTS.md")).unwrap();
        for name in [bench::memory::NAME, bench::crowd::NAME, bench::latency::NAME] {
            assert!(replace(&page, name, "x").is_ok(), "{name}");
        }
    }
}
