//! Chromium's own numbers, behind its jitter buffer and decoder: what a person sees.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::native::{Server, User};

/// A decoded picture: when, its number and its painted clock.
#[derive(Clone, Copy)]
pub(crate) struct Shown {
    pub(crate) at: Instant,
    pub(crate) number: u64,
    pub(crate) clock: i64,
}

/// Everything that Chromium showed.
pub(crate) struct Show {
    pub(crate) answered: Instant,
    pub(crate) shown: Vec<Shown>,
}

/// Watches by WHEP in Chromium for some seconds.
pub(crate) async fn watch(server: &Server, user: &User, serial: &str, seconds: u64) -> Show {
    let path = format!("/v1/whep/{serial}/0");
    let grant = user.grant(serial).await;
    let request = json!({
        "origin": server.origin,
        "path": path,
        "grant": grant.expose(),
        "proof": user.proof(server, &path, grant.expose()),
        "seconds": seconds,
    });
    let task = tokio::task::spawn_blocking(move || run(&request.to_string()));
    task.await.expect("the browser ends")
}

fn run(request: &str) -> Show {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/browser.mjs");
    // The script compares its own place with the one that it is started by.
    let script = script.canonicalize().expect("the script is there");
    let mut command = Command::new("node");
    command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("node runs");
    let mut input = child.stdin.take().expect("piped");
    input.write_all(request.as_bytes()).expect("the client reads");
    drop(input);
    let mut answered = None;
    let mut shown = Vec::new();
    for line in BufReader::new(child.stdout.take().expect("piped")).lines() {
        let line: Value = serde_json::from_str(&line.expect("text")).expect("JSON");
        assert!(line["error"].is_null(), "the browser failed: {line}");
        if line.get("left_out").is_some() {
            answered = Some(Instant::now());
        }
        let number = |name: &str| line[name].as_u64();
        if let (Some(number), Some(clock), Some(unix)) = (number("n"), number("clock"), number("t"))
        {
            shown.push(Shown { at: moment(unix), number, clock: clock as i64 });
        }
    }
    assert!(child.wait().expect("our own child").success(), "the browser failed");
    Show { answered: answered.expect("an answer"), shown }
}

/// A moment of the past, from Unix milliseconds.
fn moment(unix: u64) -> Instant {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let past = now.as_millis() as u64 - unix;
    Instant::now() - std::time::Duration::from_millis(past)
}
