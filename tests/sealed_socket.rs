//! A sealed camera in a browser without WebTransport, or whose WebTransport fails: the page watches it over a WebSocket.

mod support;

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use support::local::Local;
use support::process::{Output, Process};
use support::publishers::script;

/// Longest journey, with a browser on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);
/// Pictures a second that a screen shows at least, of 25; a canvas on a busy machine skips some.
const MIN_RATE: f64 = 5.0;

/// What a newcomer without WebTransport saw of the demo camera.
fn journey(webtransport: &str) -> Value {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Local::start(folder.path(), &[]);
    let (serial, bind_text) = server.demo();
    let request = json!({
        "page": server.line("page"),
        "sms_file": server.data().join("dev-sms.txt"),
        "phone": "+4915112345679",
        "bind_text": bind_text,
        "secret_file": server.data().join("demo-camera/secret.txt"),
        "serial": serial,
        "webtransport": webtransport,
    });
    let input = folder.path().join("request.json");
    std::fs::write(&input, request.to_string()).expect("written");
    let mut command = Command::new("node");
    command.arg(script("socket_journey.mjs")).stdin(std::fs::File::open(&input).expect("written"));
    let mut node = Process::start("socket_journey", folder.path(), &mut command, Output::File);
    let ended = node.wait(LIMIT);
    let out = folder.path().join("socket_journey.out");
    let text = std::fs::read_to_string(out).expect("its output");
    assert!(ended.is_some_and(|status| status.success()), "{text}{}", node.complaints());
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    lines.into_iter().find(|line| line["shown"].is_object()).expect("what was shown")
}

fn shows_the_camera(seen: &Value) {
    assert_eq!((&seen["state"], &seen["delayed"]), (&json!("playing"), &json!("false")), "{seen}");
    assert!(seen["shown"]["fps"].as_f64().is_some_and(|fps| fps >= MIN_RATE), "{seen}");
    println!("{seen}");
}

#[test]
fn a_page_without_webtransport_watches_a_sealed_camera_over_a_websocket() {
    let seen = journey("missing");
    assert_eq!(seen["sessions"], json!(["websocket-sessions"]), "{seen}");
    shows_the_camera(&seen);
}

#[test]
fn a_page_whose_webtransport_fails_takes_a_websocket_instead() {
    let seen = journey("refused");
    let sessions = json!(["webtransport-sessions", "websocket-sessions"]);
    assert_eq!(seen["sessions"], sessions, "{seen}");
    shows_the_camera(&seen);
}
