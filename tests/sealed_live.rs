//! The page watches a real sealed camera: a server, an agent that seals, Chromium. What is seen and
//! heard is right, what cannot be trusted is refused by name, and it is quick.

#[path = "sealed_live/figures.rs"]
mod figures;
#[path = "join/machine.rs"]
mod machine;
mod support;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use figures::{Figures, SendLog, quantile};
use machine::Machine;
use serde_json::json;
use sightline_client::DeviceSecret;
use support::agent::Agent;
use support::journey::{Newcomer, Protection, part, run};
use support::local::Local;
use support::process::wait_for;
use support::publishers::python;

/// Pictures a second of the camera.
const FPS: u64 = 25;
/// Seconds of the ordinary measurement; `SIGHTLINE_SEALED_SECONDS=60` is the full one.
const SECONDS: u64 = 15;
/// Names the seconds of the measurement.
const SECONDS_VARIABLE: &str = "SIGHTLINE_SEALED_SECONDS";
/// First pictures of a measurement.
const STARTS: u64 = 4;
/// Measurements at most: on a machine that stands still no figure means anything.
const ATTEMPTS: usize = 3;
/// From the grant to the first picture, milliseconds.
const MAX_FIRST_MS: f64 = 500.0;
/// From the camera's hand-over to the canvas, 95 of 100 pictures, milliseconds.
const MAX_DELAY_MS: f64 = 150.0;
/// Sound from picture, milliseconds.
const MAX_APART_MS: f64 = 60.0;
/// Generations of a camera that is watched: more than a page holds, or asks for at once.
const GENERATIONS: u64 = 6;
/// Longest script besides the time of its measurement.
const SCRIPT_LIMIT: Duration = Duration::from_secs(120);

fn newcomer(agent: &Agent) -> Newcomer {
    Newcomer {
        serial: agent.serial.clone(),
        bind_text: agent.bind_text.clone(),
        secret_file: agent.secret_file(),
        wrong_secret: None,
        protection: Protection::Sealed,
    }
}

#[test]
fn a_newcomer_sees_and_hears_a_sealed_camera_in_the_page_and_is_signed_out_elsewhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Local::start(folder.path(), &["--no-demo"]);
    let agent = Agent::start(&server, folder.path(), "SEALED-1", &[]);
    let another = DeviceSecret::generate().expect("randomness").text().expose().clone();
    Newcomer { wrong_secret: Some(another), ..newcomer(&agent) }.walk(&server);
}

#[test]
fn the_page_goes_on_over_the_generations_of_a_camera_that_starts_again_and_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Local::start(folder.path(), &["--no-demo"]);
    let mut agent = Agent::start(&server, folder.path(), "SEALED-4", &[]);
    let mut request = newcomer(&agent).request(&server);
    let (seen, started) = (folder.path().join("seen"), folder.path().join("started"));
    request["seen"] = json!(seen);
    request["started"] = json!(started);
    request["generations"] = json!(GENERATIONS);
    let script = thread::spawn(move || run("sealed_restarts.mjs", &request, SCRIPT_LIMIT));
    for generation in 1..=GENERATIONS {
        wait_for("a picture of the new generation", SCRIPT_LIMIT, || {
            let text = fs::read_to_string(&seen).unwrap_or_default();
            (text == generation.to_string()).then_some(())
        });
        if generation < GENERATIONS {
            agent.run(&server, &[]);
            fs::write(&started, (generation + 1).to_string()).expect("a file");
        }
    }
    let lines = script.join().expect("the script ends");
    let error = lines.iter().find_map(|line| line["error"].as_str());
    assert_eq!(error, None, "{lines:?}");
    let stored: u64 = sql(&server, "SELECT COUNT(*) FROM generation").parse().expect("a number");
    // This browser's place on the viewer list makes one more, unless a start comes before it.
    let made = GENERATIONS..=GENERATIONS + 1;
    assert!(made.contains(&stored), "each start of the camera makes a generation: {stored}");
}

/// Runs a statement on a server's database, as whoever runs the server could; its first value.
fn sql(server: &Local, statement: &str) -> String {
    let code = "import sqlite3, sys\nbase = sqlite3.connect(sys.argv[1])\n\
        row = base.execute(sys.argv[2]).fetchone()\nbase.commit()\nprint(row[0] if row else '')";
    let mut command = Command::new(python());
    command.args(["-c", code]).arg(server.data().join("control-plane.db")).arg(statement);
    let output = command.output().expect("python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn a_server_that_puts_another_camera_in_the_place_of_a_watched_one_is_found_and_nothing_is_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Local::start(folder.path(), &["--no-demo"]);
    let mut agent = Agent::start(&server, folder.path(), "SEALED-3", &[]);
    let mut request = newcomer(&agent).request(&server);
    let (watching, changed) = (folder.path().join("watching"), folder.path().join("changed"));
    request["watching"] = json!(watching);
    request["changed"] = json!(changed);
    let script = thread::spawn(move || run("sealed_changed.mjs", &request, SCRIPT_LIMIT));
    wait_for("the first picture", SCRIPT_LIMIT, || watching.exists().then_some(()));

    // The server's operator replaces the camera, and another takes its serial over.
    let identity = agent.become_another();
    let serial = agent.serial.clone();
    let swap = format!(
        "UPDATE device SET identity = '{identity}', identity_key = NULL WHERE serial = '{serial}'"
    );
    sql(&server, &swap);
    agent.run(&server, &[]);
    let known = format!("SELECT identity_key IS NOT NULL FROM device WHERE serial = '{serial}'");
    wait_for("the other camera", SCRIPT_LIMIT, || (sql(&server, &known) == "1").then_some(()));
    fs::write(&changed, "").expect("a file");

    let lines = script.join().expect("the script ends");
    let error = lines.iter().find_map(|line| line["error"].as_str());
    assert_eq!(error, None, "{lines:?}");
    // The view that runs finds it by itself, and so does one that begins.
    for when in ["running", "beginning"] {
        let seen = part(&lines, when);
        assert_eq!(
            (&seen["state"], &seen["problem"]),
            (&json!("failed"), &json!("sealed-camera-changed")),
            "{lines:?}"
        );
        assert_eq!(
            (&seen["english"], &seen["chinese"]),
            (
                &json!(
                    "The server names another camera under this serial number than before. \
                     Nothing is shown."
                ),
                &json!("服务器给出的摄像机身份与之前不同，不予显示。")
            )
        );
        assert_eq!(seen["readable"], json!(false), "{seen}");
        assert_eq!(seen["asked"], json!(0), "nobody types a secret for another camera");
    }
}

/// One attempt in a world of its own.
fn measure(folder: &Path, seconds: u64) -> Figures {
    let server = Local::start(folder, &["--no-demo"]);
    let log = folder.join("sent");
    let log_text = log.display().to_string();
    let fps = FPS.to_string();
    let flags = ["--fps", &fps, "--send-log", &log_text];
    let agent = Agent::start(&server, folder, "SEALED-2", &flags);
    let mut request = newcomer(&agent).request(&server);
    request["seconds"] = json!(seconds);
    request["starts"] = json!(STARTS);
    let lines = run("sealed_live.mjs", &request, SCRIPT_LIMIT + Duration::from_secs(seconds));
    let error = lines.iter().find_map(|line| line["error"].as_str());
    assert_eq!(error, None, "{:?}", lines.iter().map(|line| &line["step"]).collect::<Vec<_>>());
    println!("sound: {}", part(&lines, "measured")["context"]);
    Figures::of(&lines, &SendLog::parse(&fs::read_to_string(log).expect("the send log"), FPS))
}

/// What is beyond its bound.
fn beyond(figures: &Figures) -> Vec<&'static str> {
    let bounds = [
        (figures.first.len() == STARTS as usize, "not every start has a picture"),
        (figures.first.iter().all(|first| *first <= MAX_FIRST_MS), "the first picture is late"),
        (figures.lost == 0, "pictures are lost"),
        (figures.unreadable == 0, "pictures are not readable"),
        (figures.page_lost == "0 (0.0 %)", "the page counts lost pictures"),
        (quantile(&figures.delay, 0.95) <= MAX_DELAY_MS, "pictures are late"),
        (figures.apart() <= MAX_APART_MS, "sound and picture are apart"),
    ];
    bounds.into_iter().filter(|(holds, _)| !holds).map(|(_, what)| what).collect()
}

#[test]
fn the_page_shows_a_sealed_camera_at_once_without_a_loss_and_with_its_sound() {
    let seconds = std::env::var(SECONDS_VARIABLE).map_or(SECONDS, |text| {
        text.parse().unwrap_or_else(|_| panic!("{SECONDS_VARIABLE} is a number of seconds"))
    });
    let machine = Machine::watch();
    for attempt in 1..=ATTEMPTS {
        let folder = tempfile::tempdir().expect("a folder");
        let started = Instant::now();
        let figures = measure(folder.path(), seconds);
        let stall = machine.stalled_since(started);
        let Figures { first, delay, sent, lost, seen, ahead, .. } = &figures;
        let [delay_half, delay_most, delay_last] =
            [0.5, 0.95, 1.0].map(|share| quantile(delay, share));
        let [ahead_least, ahead_half, ahead_last] =
            [0.0, 0.5, 1.0].map(|share| quantile(ahead, share));
        println!(
            "first pictures after {first:.0?} ms; {sent} sent, {lost} lost, {seen} seen on the canvas in \
             {seconds} s; from camera to canvas {delay_half:.0} ms, 95 % {delay_most:.0} ms, at most \
             {delay_last:.0} ms; sound {ahead_least:.0} to {ahead_last:.0} ms ahead of its picture, \
             mostly {ahead_half:.0} ms"
        );
        let beyond = beyond(&figures);
        if beyond.is_empty() {
            return;
        }
        let beyond = beyond.join(", ");
        assert!(stall.is_some() && attempt < ATTEMPTS, "{beyond} (stall: {stall:?})");
        println!("{beyond}; the machine stood still for {stall:?}: once more");
    }
}
