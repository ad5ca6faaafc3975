//! A second version of a dependency needs a written reason in `deny.toml`.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// `name@major` or `name@0.minor`, as semver tells compatible versions apart.
fn line_of(name: &str, version: &str) -> String {
    let mut parts = version.trim_start_matches('v').split('.');
    let major = parts.next().unwrap_or_default();
    match parts.next() {
        Some(minor) if major == "0" => format!("{name}@0.{minor}"),
        _ => format!("{name}@{major}"),
    }
}

fn versions_in_use() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--edges", "normal", "--package", "sightline", "--prefix", "none"])
        .args(["--offline", "--locked"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo tree runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let mut words = line.split_whitespace();
        if let (Some(name), Some(version)) = (words.next(), words.next()) {
            found.entry(name.to_owned()).or_default().insert(line_of(name, version));
        }
    }
    found
}

/// Entries of `skip` with a reason.
fn reasons() -> BTreeSet<String> {
    let text = include_str!("../deny.toml");
    let entries = text.lines().filter_map(|line| {
        let (_, rest) = line.trim().split_once("{ crate = \"")?;
        let (name, rest) = rest.split_once('"')?;
        let (_, reason) = rest.split_once("reason = \"")?;
        (reason.len() > 10).then(|| name.to_owned())
    });
    entries.collect()
}

#[test]
fn every_duplicate_dependency_has_a_written_reason() {
    let reasons = reasons();
    let mut without = Vec::new();
    for versions in versions_in_use().values().filter(|versions| versions.len() > 1) {
        let unexplained: Vec<_> = versions.difference(&reasons).collect();
        if unexplained.len() > 1 {
            without.push(unexplained.into_iter().cloned().collect::<Vec<_>>().join(", "));
        }
    }
    assert!(without.is_empty(), "no reason in deny.toml for one of: {without:?}");
}

#[test]
fn one_crypto_provider_is_in_the_graph() {
    let found = versions_in_use();
    for foreign in ["ring", "openssl", "openssl-sys", "native-tls", "boring"] {
        assert!(!found.contains_key(foreign), "{foreign} is in the graph");
    }
    assert!(found.contains_key("aws-lc-rs"));
}
