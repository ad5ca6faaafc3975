//! Whoever has the release can tell whether a server hands out the release's page.

mod support;

use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use support::local::Local;
use support::server::sightline;

/// Files below a folder.
fn files(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).expect("a folder").flatten();
    entries.map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { 1 }).sum()
}

#[test]
fn the_printed_hashes_are_those_of_what_a_server_hands_out() {
    let output = sightline().arg("--page-hashes").output().expect("the binary runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    let lines: Vec<(&str, &str)> =
        text.lines().map(|line| line.split_once(' ').expect("a hash and a path")).collect();
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("signaling/web");
    assert_eq!(lines.len(), files(&web), "every file of the page has a line");
    assert!(lines.is_sorted_by(|one, next| one.1 < next.1), "paths rise, so that lists compare");

    let folder = tempfile::tempdir().expect("a folder");
    let server = Local::start(folder.path(), &["--no-demo"]);
    for path in ["/", "/assets/app.js", "/assets/sealed/worker.js"] {
        assert!(lines.iter().any(|line| line.1 == path), "{path} is missing");
    }
    for (hash, path) in lines {
        let answer = server.get(path);
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
        assert!(head.starts_with("HTTP/1.1 200"), "{path}: {head}");
        let served = STANDARD.encode(digest(&SHA256, body.as_bytes()));
        assert_eq!(hash, format!("sha256-{served}"), "{path}");
    }
}

#[test]
fn the_hashes_are_asked_for_alone() {
    let output =
        sightline().args(["--page-hashes", "--no-demo"]).output().expect("the binary runs");
    assert!(!output.status.success() && output.stdout.is_empty(), "no server starts beside them");
}
