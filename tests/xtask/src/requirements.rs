//! Which requirements the last test runs proved, against the committed list.

use std::collections::BTreeMap;
use std::fs;

/// A test prints this before `ID by NAME`.
const MARK: &str = "requirement proved: ";

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

fn collect(output: &str, proved: &mut BTreeMap<String, Vec<String>>) {
    for line in output.lines() {
        let Some(at) = line.find(MARK) else { continue };
        let Some((id, by)) = line[at + MARK.len()..].split_once(" by ") else { continue };
        let tests = proved.entry(id.trim().to_owned()).or_default();
        let by = by.trim().to_owned();
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

    #[test]
    fn gaps_are_the_listed_ids_that_no_test_proved() {
        let mut proved = BTreeMap::new();
        collect(
            "noise\nrequirement proved: M13 by unbinding\nrequirement proved: M13 by unbinding",
            &mut proved,
        );
        let (text, gaps) = table("# list\nM13 revocation\nM16 short-lived ICE\n", &proved);
        assert_eq!(gaps, ["M16"]);
        assert!(text.contains("M13    unbinding\n"));
    }
}
