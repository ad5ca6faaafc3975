//! The whole description of the API against a real server: schemathesis makes requests of every
//! operation, well-formed and not, with valid proofs, as several kinds of caller
//! (`tests/clients/api_check.py`). No answer may be one that is not described, none a server error.

mod support;

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use self::support::local::Local;
use self::support::process::{Output, Process};
use self::support::publishers::{python, script};
use self::support::server::sightline;

/// Sets the length of the check, seconds.
const SECONDS: &str = "SIGHTLINE_API_SECONDS";
/// Its length unless told otherwise. A message a minute to a number: a view of each of two cameras
/// needs two minutes.
const DEFAULT_SECONDS: u64 = 180;
/// What the check may take beyond its length, to set the stage and to end.
const MARGIN: Duration = Duration::from_secs(90);
/// Share of the operations that must have been served once, percent.
const SERVED_PERCENT: u64 = 90;

fn description() -> Value {
    let output = sightline().arg("openapi").output().expect("the binary runs");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Holds a server against a description.
fn check(document: &Value, seconds: u64) -> Value {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Local::start(folder.path(), &["--no-demo"]);
    let facts = server.get("/v1/server");
    let facts: Value =
        serde_json::from_str(facts.split_once("\r\n\r\n").expect("an answer").1).expect("JSON");
    let origin = server.line("page").trim_end_matches('/').replace("localhost", "127.0.0.1");
    let request = json!({
        "origin": origin,
        "data": server.data(),
        "sms_file": server.data().join("dev-sms.txt"),
        "sightline": env!("CARGO_BIN_EXE_sightline"),
        "rtsp_port": facts["ports"]["rtsp"],
        "document": document,
        "seconds": seconds,
        "seed": 1,
    });
    let input = folder.path().join("request.json");
    std::fs::write(&input, request.to_string()).expect("written");
    let mut command = Command::new(python());
    command.arg(script("api_check.py")).stdin(std::fs::File::open(&input).expect("written"));
    let mut checker = Process::start("checker", folder.path(), &mut command, Output::File);
    let status = checker.wait(Duration::from_secs(seconds) + MARGIN);
    let complaints = checker.complaints();
    assert!(status.is_some_and(|status| status.success()), "no verdict: {complaints}");
    let said = std::fs::read_to_string(folder.path().join("checker.out")).expect("its output");
    assert!(!server.log().contains("panicked"), "{}", server.log());
    serde_json::from_str(said.lines().last().unwrap_or_default()).expect("a JSON line")
}

#[test]
fn every_answer_is_described_and_every_operation_serves() {
    let seconds = std::env::var(SECONDS).ok().and_then(|text| text.parse().ok());
    let seen = check(&description(), seconds.unwrap_or(DEFAULT_SECONDS));
    let number = |name: &str| seen[name].as_u64().expect("a number");
    println!(
        "| {} requests | {} of {} operations served | {} |",
        number("requests"),
        number("answered"),
        number("operations"),
        seen["statuses"]
    );
    println!("not served: {}; {}", seen["missing"], seen["recipes_that_fail"]);
    assert_eq!(seen["failures"], json!([]), "answers that are not described");
    let enough = number("answered") * 100 >= number("operations") * SERVED_PERCENT;
    assert!(enough, "never served: {}; {}", seen["missing"], seen["recipes_that_fail"]);
}

#[test]
fn an_answer_that_is_not_described_is_found() {
    let mut document = description();
    let unbind = &mut document["paths"]["/v1/bindings/{serial}"]["delete"]["responses"];
    assert!(unbind.as_object_mut().expect("responses").remove("404").is_some());
    let seen = check(&document, 15);
    let failures = seen["failures"].as_array().expect("a list");
    let found = failures.iter().any(|failure| {
        failure["operation"] == "DELETE /v1/bindings/{serial}" && failure["status"] == 404
    });
    assert!(found, "{failures:?}");
}
