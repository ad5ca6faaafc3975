//! The page's modules for sealed video, in Chromium and under the page's policy: they open what the
//! vectors hold, and refuse everything that was changed, by name.

#[path = "sealed_page/generations.rs"]
mod generations;
#[path = "sealed_page/lists.rs"]
mod lists;
#[path = "sealed_page/opened_frames.rs"]
mod opened_frames;
#[path = "sealed_page/orders.rs"]
mod orders;
#[path = "sealed_page/streams.rs"]
mod streams;
mod support;
#[path = "sealed_page/watched.rs"]
mod watched;

use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use serde_json::{Value, json};
use support::process::{Output, Process};
use support::publishers::script;

/// Longest visit, with a browser on a busy machine.
const LIMIT: Duration = Duration::from_secs(100);
/// The page's policy as far as scripts go.
const POLICY: &str = "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; \
    connect-src 'self'; require-trusted-types-for 'script'; trusted-types sightline-worker";
/// Bytes of a frame's descriptor.
const DESCRIPTOR: usize = 22;
/// Bytes in clear at the start of a sealed frame.
const HEAD: usize = DESCRIPTOR + 12;
/// Clock of the vectors' camera, milliseconds since 1970.
const NOW_MS: u64 = 1_800_000_000_000;

static VECTORS: LazyLock<Value> = LazyLock::new(|| {
    let text = include_str!("../relay/client/tests/vectors/sightline.json");
    serde_json::from_str(text).expect("the vectors")
});

/// What came out of each operation of each visit.
fn visits(visits: &[Vec<Value>]) -> Vec<Vec<Value>> {
    let folder = tempfile::tempdir().expect("a folder");
    let input = folder.path().join("request.json");
    let request = json!({ "policy": POLICY, "visits": visits });
    std::fs::write(&input, request.to_string()).expect("written");
    let mut command = Command::new("node");
    command.arg(script("sealed_page.mjs")).stdin(std::fs::File::open(&input).expect("written"));
    let mut node = Process::start("sealed_page", folder.path(), &mut command, Output::File);
    let ended = node.wait(LIMIT);
    let text = std::fs::read_to_string(folder.path().join("sealed_page.out")).expect("its output");
    assert!(ended.is_some_and(|status| status.success()), "{text}{}", node.complaints());
    let outcomes = |line: &str| {
        let line: Value = serde_json::from_str(line).expect("a JSON line");
        line["outcomes"].as_array().unwrap_or_else(|| panic!("{line}")).clone()
    };
    let all: Vec<Vec<Value>> = text.lines().map(outcomes).collect();
    assert_eq!(all.len(), visits.len());
    all
}

/// What came out of the operations of one visit.
fn run(operations: Vec<Value>) -> Vec<Value> {
    visits(&[operations]).remove(0)
}

fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    value.pointer(path).and_then(Value::as_str).unwrap_or_else(|| panic!("no text at {path}"))
}

/// `base` with the members of `more`.
fn with(base: &Value, more: Value) -> Value {
    let mut all = base.as_object().expect("an object").clone();
    all.extend(more.as_object().expect("an object").clone());
    Value::Object(all)
}

/// A hexadecimal text with one bit of byte `at` flipped.
fn flipped(hex: &str, at: usize) -> String {
    let byte = u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("hexadecimal") ^ 1;
    format!("{}{byte:02x}{}", &hex[..2 * at], &hex[2 * at + 2..])
}

/// Every text that differs from `hex` in one bit of one byte.
fn all_flips(hex: &str) -> Vec<String> {
    (0..hex.len() / 2).map(|at| flipped(hex, at)).collect()
}

fn refused(reason: &str) -> Value {
    json!({ "refused": reason })
}

fn frames(suite: u64) -> Vec<Value> {
    let all = VECTORS["frames"].as_array().expect("frames");
    all.iter().filter(|frame| frame["suite"] == suite).cloned().collect()
}

fn sealed(suite: u64) -> Vec<String> {
    frames(suite).iter().map(|frame| text(frame, "/sealed").to_owned()).collect()
}

/// An operation on frames with the vectors' base key.
fn opening(suite: u64, frames: &[String]) -> Value {
    json!({
        "op": "frames", "serial": "CAM-1", "generation": VECTORS["generation"]["generation"],
        "base_key": VECTORS["generation"]["base_key"], "suite": suite, "channel": 258,
        "now": NOW_MS, "frames": frames,
    })
}

#[test]
fn a_device_secret_becomes_both_keys_and_neither_can_be_read() {
    let secret = &VECTORS["device_secret"];
    let outcomes = run(vec![json!({ "op": "branches", "text": secret["text"] })]);
    let expected = json!({
        "auth": secret["auth_public"], "archive": secret["archive_public"],
        "wiped": true, "readable": false,
    });
    assert_eq!(outcomes[0], expected);
}

#[test]
fn a_terminals_keys_outlive_the_page_and_cannot_be_read() {
    let terminal = || json!({ "op": "terminal" });
    let camera = "ab".repeat(32);
    let pin = json!({ "op": "pin", "serial": "CAM-1", "camera": camera, "newest": 7 });
    let forget = json!({ "op": "forget_terminal" });
    let seen = visits(&[vec![terminal(), pin], vec![terminal(), forget, terminal()]]);
    let [first, pinned] = &seen[0][..] else { panic!("two outcomes") };
    assert_eq!((&first["kept"], &first["readable"]), (&json!(true), &json!(false)));
    assert_eq!(first["signature"], 64);
    assert_eq!(*pinned, json!({ "same": true, "epoch": "3", "newest": 7, "other": null }));
    assert_eq!(seen[1][0], *first, "the next visit has the same keys");
    assert_ne!(seen[1][2]["signing"], first["signing"]);
    assert_ne!(seen[1][2]["exchange"], first["exchange"]);
}
