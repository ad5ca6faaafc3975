//! The shape of the project: who may use whom, sizes, paths in the README, one crypto provider.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Longest source file, lines.
const MAX_LINES: usize = 800;
/// Files that may be longer, each with its reason.
const LONG_FILES: [(&str, &str); 0] = [];
const SOURCE_ENDINGS: [&str; 7] = [".rs", ".py", ".mjs", ".js", ".html", ".css", ".sql"];

/// Which member may use which others; the root package may use all.
const EDGES: [(&str, &[&str]); 10] = [
    ("sightline-grant", &[]),
    ("sightline-operation", &[]),
    ("sightline-relay-proto", &["sha1-lanes"]),
    ("sightline-relay", &["sightline-relay-proto", "sightline-grant"]),
    ("sightline-client", &["sightline-relay-proto", "sightline-grant"]),
    ("sightline-signaling", &["sightline-grant", "sightline-operation"]),
    ("sightline-control-plane", &["sightline-grant", "sightline-operation"]),
    ("sha1-lanes", &[]),
    // The bare loop seals by the same primitive as the server, as both use one crypto library.
    ("sightline-floor", &["sha1-lanes"]),
    ("xtask", &[]),
];

/// A second provider of TLS or cryptography.
const FORBIDDEN: [&str; 7] =
    ["ring", "openssl", "openssl-sys", "native-tls", "schannel", "boring", "boring-sys"];

/// Routers of somebody else's API: what stands in for servers that are not ours.
const FOREIGN_ROUTERS: [&str; 4] = [
    "control-plane/src/carrier/development.rs",
    "control-plane/src/federation/development.rs",
    "control-plane/src/tests/federation/apple.rs",
    "control-plane/src/tests/federation/wechat.rs",
];

/// The only files that allow themselves unsafe code.
const UNSAFE_FILES: [&str; 3] =
    ["relay/lanes/src/cpu.rs", "relay/src/allocations.rs", "relay/src/udp/mmsg.rs"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(root()).output();
    let output = output.unwrap_or_else(|error| panic!("cannot run {program}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn members() -> Vec<Value> {
    let text =
        output(env!("CARGO"), &["metadata", "--no-deps", "--format-version", "1", "--locked"]);
    let metadata: Value = serde_json::from_str(&text).expect("JSON of cargo");
    metadata["packages"].as_array().expect("a list").clone()
}

#[test]
fn members_use_only_the_members_they_may() {
    let allowed: BTreeMap<&str, &[&str]> = EDGES.into_iter().collect();
    let members = members();
    let names: BTreeSet<&str> =
        members.iter().filter_map(|package| package["name"].as_str()).collect();
    let mut wrong = Vec::new();
    for package in &members {
        let name = package["name"].as_str().expect("a name");
        if name == "sightline" {
            continue;
        }
        let Some(allowed) = allowed.get(name) else {
            wrong.push(format!("{name} has no line in EDGES"));
            continue;
        };
        for dependency in package["dependencies"].as_array().expect("a list") {
            let used = dependency["name"].as_str().expect("a name");
            if names.contains(used) && used != name && !allowed.contains(&used) {
                wrong.push(format!("{name} -> {used}"));
            }
        }
    }
    assert!(wrong.is_empty(), "edges that the design does not have: {wrong:?}");
}

#[test]
fn the_core_of_the_relay_has_no_runtime_and_no_sockets() {
    let members = members();
    let core = members.iter().find(|package| package["name"] == "sightline-relay-proto");
    let dependencies = core.expect("the core")["dependencies"].as_array().expect("a list").clone();
    for dependency in dependencies.iter().filter(|dependency| dependency["kind"].is_null()) {
        let name = dependency["name"].as_str().expect("a name");
        let io = ["tokio", "mio", "socket2", "quinn", "quinn-udp", "reqwest", "rand", "getrandom"];
        assert!(!io.contains(&name), "relay-proto uses {name}");
    }
}

#[test]
fn no_source_file_is_longer_than_the_limit() {
    let tracked = output("git", &["ls-files"]);
    let mut long = Vec::new();
    for file in tracked.lines().filter(|file| SOURCE_ENDINGS.iter().any(|end| file.ends_with(end)))
    {
        let Ok(text) = std::fs::read_to_string(root().join(file)) else { continue };
        let lines = text.lines().count();
        if lines > MAX_LINES && !LONG_FILES.iter().any(|(name, _)| *name == file) {
            long.push(format!("{file}: {lines}"));
        }
    }
    assert!(long.is_empty(), "longer than {MAX_LINES} lines: {long:?}");
}

#[test]
fn no_route_of_the_api_passes_by_the_table_of_operations() {
    let tracked = output("git", &["ls-files", "control-plane/src", "signaling/src"]);
    let passing: Vec<&str> = tracked
        .lines()
        .filter(|file| !FOREIGN_ROUTERS.contains(file))
        .filter(|file| {
            let text = std::fs::read_to_string(root().join(file)).unwrap_or_default();
            [".route(", ".route_service(", ".nest("].iter().any(|call| text.contains(call))
        })
        .collect();
    assert!(passing.is_empty(), "routes without a rule; add them to a Table: {passing:?}");
}

#[test]
fn unsafe_code_is_in_the_files_that_the_architecture_names() {
    let tracked = output("git", &["ls-files", "*.rs"]);
    // Two words, so that this file does not find itself.
    let permit = ["allow(", "unsafe_code)"].concat();
    let found: Vec<&str> = tracked
        .lines()
        .filter(|file| {
            let text = std::fs::read_to_string(root().join(file)).unwrap_or_default();
            text.contains(&permit)
        })
        .collect();
    assert_eq!(found, UNSAFE_FILES);
    let architecture =
        std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("an ARCHITECTURE.md");
    for file in UNSAFE_FILES {
        assert!(architecture.contains(file), "ARCHITECTURE.md does not name {file}");
    }
}

#[test]
fn the_readmes_walk_along_a_packet_names_files_that_exist() {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("a README.md");
    let (_, after) = readme.split_once("Follow a packet").expect("the heading `Follow a packet`");
    let section = after.split("\n#").next().unwrap_or(after);
    let paths: Vec<&str> =
        section.split('`').skip(1).step_by(2).filter(|word| word.ends_with(".rs")).collect();
    assert!(paths.len() >= 5, "the walk names only {paths:?}");
    for path in paths {
        assert!(root().join(path).is_file(), "README.md names {path}, which does not exist");
    }
}

#[test]
fn there_is_one_crypto_provider_and_one_tls_stack() {
    let arguments = ["tree", "--locked", "--edges", "normal,build", "--prefix", "none"];
    let tree = output(env!("CARGO"), &[&arguments[..], &["--package", "sightline"]].concat());
    let crates: BTreeSet<(&str, &str)> = tree
        .lines()
        .filter_map(|line| line.split_once(" v"))
        .map(|(name, rest)| (name, rest.split(' ').next().unwrap_or(rest)))
        .collect();
    for forbidden in FORBIDDEN {
        assert!(crates.iter().all(|(name, _)| *name != forbidden), "{forbidden} is in the graph");
    }
    for single in ["rustls", "aws-lc-rs", "aws-lc-sys", "quinn-proto"] {
        let versions: Vec<_> = crates.iter().filter(|(name, _)| *name == single).collect();
        assert_eq!(versions.len(), 1, "{single}: {versions:?}");
    }
}
