//! A newcomer's way through the page in Chromium, and what must have been seen on it.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::local::Local;
use super::process::{Output, Process};
use super::publishers::script;
use super::verdict::Seen;

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

/// How the camera's media is protected, with the page's words for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protection {
    /// The camera encrypts for its viewers.
    Sealed,
    /// The server could look.
    Open,
}

impl Protection {
    /// Mode and labels of the padlock in English and Chinese.
    fn words(self) -> [&'static str; 3] {
        match self {
            Self::Sealed => ["sealed", "Sealed: end-to-end encrypted", "端到端加密"],
            Self::Open => {
                ["open", "Open: the operator could see this", "未加密：运营者可能看到画面"]
            }
        }
    }

    /// What its explanation must say, in English and Chinese.
    fn explained(self) -> [&'static str; 2] {
        match self {
            Self::Sealed => ["this page itself comes from the operator", "本页面由运营者提供"],
            Self::Open => ["on the server the operator could see", "运营者可能看到画面"],
        }
    }
}

/// A camera that a newcomer adds and watches.
pub struct Newcomer {
    /// Its serial.
    pub serial: String,
    /// What is pasted to add it.
    pub bind_text: String,
    /// Where it shows its device secret.
    pub secret_file: PathBuf,
    /// A secret that is tried first and refused.
    pub wrong_secret: Option<String>,
    /// How it is protected.
    pub protection: Protection,
}

impl Newcomer {
    /// Walks through the page of a server and judges everything that was seen. `SIGHTLINE_SHOTS` names
    /// a folder for pictures.
    pub fn walk(&self, server: &Local) {
        let mut request = self.request(server);
        request["seconds"] = json!(SECONDS);
        request["wrong_secret"] = json!(self.wrong_secret);
        request["shots"] = json!(std::env::var("SIGHTLINE_SHOTS").ok());
        let lines = run("journey.mjs", &request, LIMIT);
        let text = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
        let seen = Seen::from_json_lines(&text);
        assert_eq!(seen.error, None, "{}", steps(&lines));
        self.judge_picture(&seen, &lines);
        judge_sound(&seen, &lines);
        self.judge_page(&lines);
        judge_end(&lines);
    }

    /// What every script of a newcomer is told.
    pub fn request(&self, server: &Local) -> Value {
        json!({
            "page": server.line("page"),
            "sms_file": server.data().join("dev-sms.txt"),
            "phone": "+4915112345678",
            "bind_text": self.bind_text,
            "secret_file": self.secret_file,
            "serial": self.serial,
        })
    }

    /// The right camera's, moving, of now.
    fn judge_picture(&self, seen: &Seen, lines: &[Value]) {
        assert_eq!(seen.foreign(&self.serial), 0);
        assert!(seen.frames.len() >= SECONDS as usize * MIN_RATE, "{} frames", seen.frames.len());
        assert_eq!(seen.unreadable, 0);
        let rising = seen.frames.windows(2).all(|pair| pair[0].frame_number < pair[1].frame_number);
        assert!(rising, "frames out of order");
        let lags: Vec<_> =
            seen.frames.iter().zip(&seen.at_ms).map(|(strip, at)| lag(*at, strip.clock)).collect();
        assert!(lags.iter().all(|lag| lag.abs() <= CLOCK_LIMIT_MS), "{lags:?}");
        let first = figure(&step(lines, "playing")["first_frame"]);
        assert!(first <= FIRST_FRAME_LIMIT_MS, "first picture after {first} ms");
        println!(
            "first picture {first} ms, {} frames in {SECONDS} s, lag at the end {} ms",
            seen.frames.len(),
            lags.last().expect("frames"),
        );
    }

    /// Steps in the server's order, both languages, the padlock.
    fn judge_page(&self, lines: &[Value]) {
        let order: Vec<_> = lines.iter().filter_map(|line| line["step"].as_str()).collect();
        let mut gate = vec!["registered", "bound", "online", "secret", "sms", "consent", "playing"];
        if self.wrong_secret.is_some() {
            gate.insert(3, "wrong-secret");
            let wrong = step(lines, "wrong-secret");
            assert_eq!(
                wrong["text"],
                "This secret does not open the device. It may have been changed."
            );
            assert_eq!((&wrong["state"], &wrong["canvas"]), (&json!("asking"), &json!(0)));
        }
        assert_eq!(order[..gate.len()], gate);
        assert_eq!(step(lines, "online")["text"], "Live");
        assert_eq!(
            *part(lines, "texts"),
            json!({ "devices": "设备", "state": "直播", "figures": "连接", "lang": "zh-CN" })
        );
        let padlock = part(lines, "padlock");
        let [mode, english, chinese] = self.protection.words();
        let labels = [("english", english), ("chinese", chinese)];
        for ((language, label), explained) in labels.into_iter().zip(self.protection.explained()) {
            let shown = &padlock[language];
            assert_eq!((&shown["mode"], &shown["label"]), (&json!(mode), &json!(label)));
            let lines = shown["lines"].as_array().expect("its explanation");
            let told = |line: &Value| line.as_str().is_some_and(|line| line.contains(explained));
            assert!(lines.iter().any(told), "{padlock}");
        }
        let terminals = step(lines, "terminals");
        assert_eq!((&terminals["count"], &terminals["others"]), (&json!(2), &json!(1)));
    }
}

/// Heard after a click.
fn judge_sound(seen: &Seen, lines: &[Value]) {
    seen.judge_tone().unwrap_or_else(|heard| panic!("{heard}"));
    let sound = lines.iter().find(|line| line["muted"].is_boolean()).expect("the sound was heard");
    assert_eq!((&sound["muted"], &sound["paused"]), (&json!(false), &json!(false)));
}

/// Signed out elsewhere: the picture ends, and the page says why.
fn judge_end(lines: &[Value]) {
    let out = part(lines, "signed_out");
    let stopped = out["stopped_after_ms"].as_u64().expect("a time");
    let told = out["told_after_ms"].as_u64().expect("the page says nothing");
    assert!(stopped <= REVOKED_LIMIT_MS, "pictures for {stopped} ms after signing out");
    assert!(told <= TOLD_LIMIT_MS, "the page took {told} ms");
    assert_eq!(step(lines, "told")["text"], "You were signed out. Sign in to go on.");
    println!("signed out: last picture after {stopped} ms, told after {told} ms");
}

/// Runs a script of the clients with a request; its JSON lines.
pub fn run(name: &str, request: &Value, limit: Duration) -> Vec<Value> {
    let folder = tempfile::tempdir().expect("a folder");
    let input = folder.path().join("request.json");
    std::fs::write(&input, request.to_string()).expect("written");
    let mut command = Command::new("node");
    command.arg(script(name)).stdin(std::fs::File::open(&input).expect("written"));
    let started = Instant::now();
    let mut node = Process::start("script", folder.path(), &mut command, Output::File);
    let status = node.wait(limit);
    let text = std::fs::read_to_string(folder.path().join("script.out")).expect("its output");
    assert!(status.is_some(), "no end after {:?}: {text}{}", started.elapsed(), node.complaints());
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// The line of a step.
pub fn step<'a>(lines: &'a [Value], name: &str) -> &'a Value {
    let found = lines.iter().find(|line| line["step"] == name);
    found.unwrap_or_else(|| panic!("no step {name}: {}", steps(lines)))
}

/// What one line has under a name.
pub fn part<'a>(lines: &'a [Value], name: &str) -> &'a Value {
    let found = lines.iter().map(|line| &line[name]).find(|part| part.is_object());
    found.unwrap_or_else(|| panic!("no {name}: {}", steps(lines)))
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
