//! A bench's part of `benches/RESULTS.md`, and its table of all runs.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Appends rows to `benches/results/NAME.csv`, and writes the part of the page that is between
/// the marks of the bench anew.
pub(super) fn record(name: &str, columns: &str, rows: &[String], part: &str) -> Result<(), String> {
    let csv = in_benches(&format!("results/{name}.csv"));
    let mut table = fs::read_to_string(&csv).unwrap_or_else(|_| format!("{columns}\n"));
    for row in rows {
        // Writing to a string cannot fail.
        let _ = writeln!(table, "{row}");
    }
    write(&csv, &table)?;
    write_part(name, part)
}

/// The rows of all runs so far, oldest first.
pub(super) fn rows(name: &str) -> Vec<String> {
    let table = fs::read_to_string(in_benches(&format!("results/{name}.csv")));
    table.unwrap_or_default().lines().skip(1).map(str::to_owned).collect()
}

/// Writes the part of RESULTS.md between the marks of a bench anew.
pub(super) fn write_part(bench: &str, part: &str) -> Result<(), String> {
    let page = in_benches("RESULTS.md");
    let old = fs::read_to_string(&page)
        .map_err(|error| format!("cannot read {}: {error}", page.display()))?;
    write(&page, &replace(&old, bench, part)?)?;
    println!("recorded in {}", page.display());
    Ok(())
}

/// A file in the folder of benches.
pub(super) fn in_benches(name: &str) -> PathBuf {
    crate::root().join("benches").join(name)
}

/// Writes a file and the folder that it is in.
pub(super) fn write(path: &Path, text: &str) -> Result<(), String> {
    let folder = path.parent().map_or(Ok(()), fs::create_dir_all);
    folder
        .and_then(|()| fs::write(path, text))
        .map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// Begin and end of a bench's part.
fn marks(bench: &str) -> [String; 2] {
    ["begin", "end"].map(|word| format!("<!-- written by cargo xtask bench {bench}: {word} -->"))
}

/// The page with another part between the marks.
fn replace(page: &str, bench: &str, part: &str) -> Result<String, String> {
    let [begin, end] = marks(bench);
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
        let part = |name, text| {
            let [begin, end] = marks(name);
            format!("{begin}\n{text}\n{end}\n")
        };
        let page = format!("head\n{}{}tail\n", part("a", "old"), part("b", "old"));
        let new = replace(&page, "b", "new").unwrap();
        assert_eq!(new, format!("head\n{}{}tail\n", part("a", "old"), part("b", "new")));
        assert!(replace(&page, "c", "new").is_err());
    }

    #[test]
    fn the_committed_page_has_the_marks_of_every_bench() {
        let page = fs::read_to_string(in_benches("RESULTS.md")).unwrap();
        let own = [
            bench::memory::NAME,
            bench::crowd::NAME,
            bench::latency::NAME,
            bench::sealing::NAME,
            bench::gate::NAME,
        ];
        for name in own.into_iter().chain(["floor", "compare"]) {
            assert!(replace(&page, name, "x").is_ok(), "{name}");
        }
    }

    #[test]
    fn only_the_part_between_the_marks_changes() {
        let [begin, end] = marks("x");
        let page = format!("head\n{begin}\nold\n{end}\ntail\n");
        let changed = replace(&page, "x", "new\n").unwrap();
        assert_eq!(changed, format!("head\n{begin}\nnew\n{end}\ntail\n"));
        assert!(replace(&page, "y", "new").is_err());
    }
}
