//! A newcomer in Chromium: from the empty page to the live picture of the demo camera, and out
//! again when the terminal is signed out from elsewhere.

mod support;

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::local::Local;
use support::process::{Output, Process};
use support::publishers::script;
use support::verdict::Seen;

/// Viewing time, seconds.
const SECONDS: u64 = 6;
/// Longest journey, with a browser on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);
/// Pictures a second that a screen shows at least, of 25; a canvas on a busy machine skips some.
const MIN_RATE: usize = 5;
/// From the request for the picture to the first one shown.
const FIRST_FRAME_LIMIT_MS: u64 = 2_000;
/// How far the painted clock may lie from now.
const CLOCK_LIMIT_MS: i64 = 2_000;
/// From signing out elsewhere to the last picture.
const REVOKED_LIMIT_MS: u64 = 2_000;
/// From signing out elsewhere to the page's word about it.
const TOLD_LIMIT_MS: u64 = 5_000;

#[test]
fn a_newcomer_gets_from_the_empty_page_to_the_live_picture_and_is_signed_out_elsewhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Local::start(folder.path(), &["--set", "demo.mode=open"]);
    let (serial, bind_text) = server.demo();
    let lines = journey(&server, &serial, &bind_text);
    let text = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    let seen = Seen::from_json_lines(&text);
    let story = || steps(&lines);
    assert_eq!(seen.error, None, "{}", story());

    // The picture: the right camera's, moving, of now.
    assert_eq!(seen.foreign(&serial), 0);
    assert!(seen.frames.len() >= SECONDS as usize * MIN_RATE, "{} frames", seen.frames.len());
    assert_eq!(seen.unreadable, 0);
    let rising = seen.frames.windows(2).all(|pair| pair[0].frame_number < pair[1].frame_number);
    assert!(rising, "frames out of order");
    let lags: Vec<_> =
        seen.frames.iter().zip(&seen.at_ms).map(|(strip, at)| lag(*at, strip.clock)).collect();
    assert!(lags.iter().all(|lag| lag.abs() <= CLOCK_LIMIT_MS), "{lags:?}");
    let first = figure(&step(&lines, "playing")["first_frame"]);
    assert!(first <= FIRST_FRAME_LIMIT_MS, "first picture after {first} ms");

    // The sound, after a click.
    seen.judge_tone().unwrap_or_else(|heard| panic!("{heard}"));
    let sound = lines.iter().find(|line| line["muted"].is_boolean()).expect("the sound was heard");
    assert_eq!((&sound["muted"], &sound["paused"]), (&json!(false), &json!(false)));

    // The page: steps in the server's order, both languages, the list of terminals.
    let order: Vec<_> = lines.iter().filter_map(|line| line["step"].as_str()).collect();
    let gate = ["registered", "bound", "online", "secret", "sms", "consent", "playing"];
    assert_eq!(order[..gate.len()], gate);
    assert_eq!(step(&lines, "online")["text"], "Live");
    let chinese = &lines.iter().find(|line| line["texts"].is_object()).expect("texts")["texts"];
    assert_eq!(
        *chinese,
        json!({ "devices": "设备", "state": "直播", "mode": "未加密：运营者可能看到画面", "figures": "连接", "lang": "zh-CN" })
    );
    let terminals = step(&lines, "terminals");
    assert_eq!((&terminals["count"], &terminals["others"]), (&json!(2), &json!(1)));

    // Signed out elsewhere: the picture ends, and the page says why.
    let out =
        &lines.iter().find(|line| line["signed_out"].is_object()).expect("an end")["signed_out"];
    let stopped = out["stopped_after_ms"].as_u64().expect("a time");
    let told = out["told_after_ms"].as_u64().expect("the page says nothing");
    assert!(stopped <= REVOKED_LIMIT_MS, "pictures for {stopped} ms after signing out");
    assert!(told <= TOLD_LIMIT_MS, "the page took {told} ms");
    assert_eq!(step(&lines, "told")["text"], "You were signed out. Sign in to go on.");
    println!(
        "first picture {first} ms, {} frames in {SECONDS} s, lag at the end {} ms; signed out: last picture \
         after {stopped} ms, told after {told} ms",
        seen.frames.len(),
        lags.last().expect("frames"),
    );
}

/// Walks through the page; the lines of journey.mjs. `SIGHTLINE_SHOTS` names a folder for pictures.
fn journey(server: &Local, serial: &str, bind_text: &str) -> Vec<Value> {
    let folder = tempfile::tempdir().expect("a folder");
    let request = json!({
        "page": server.line("page"),
        "sms_file": server.data().join("dev-sms.txt"),
        "phone": "+4915112345678",
        "bind_text": bind_text,
        "secret_file": server.data().join("demo-camera/secret.txt"),
        "serial": serial,
        "seconds": SECONDS,
        "shots": std::env::var("SIGHTLINE_SHOTS").ok(),
    });
    let input = folder.path().join("request.json");
    std::fs::write(&input, request.to_string()).expect("written");
    let mut command = Command::new("node");
    command.arg(script("journey.mjs")).stdin(std::fs::File::open(&input).expect("written"));
    let started = Instant::now();
    let mut node = Process::start("journey", folder.path(), &mut command, Output::File);
    let status = node.wait(LIMIT);
    let text = std::fs::read_to_string(folder.path().join("journey.out")).expect("its output");
    assert!(status.is_some(), "no end after {:?}: {text}{}", started.elapsed(), node.complaints());
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// The line of a step.
fn step<'a>(lines: &'a [Value], name: &str) -> &'a Value {
    let found = lines.iter().find(|line| line["step"] == name);
    found.unwrap_or_else(|| panic!("no step {name}: {}", steps(lines)))
}

/// Everything but the pictures, for messages.
fn steps(lines: &[Value]) -> String {
    lines.iter().filter(|line| line["n"].is_null()).map(|line| format!("{line}\n")).collect()
}

/// Number at the beginning of a text like `315 ms`.
fn figure(text: &Value) -> u64 {
    let text = text.as_str().unwrap_or_default();
    let number = text.split(' ').next().and_then(|number| number.parse().ok());
    number.unwrap_or_else(|| panic!("no figure in {text:?}"))
}

/// Milliseconds from the painted clock, which has 40 bits, to a time.
fn lag(at_ms: u64, clock: u64) -> i64 {
    (at_ms % (1 << 40)) as i64 - clock as i64
}
