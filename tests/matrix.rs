//! Every way in with every way out, by clients that others wrote: each viewer sees the right
//! camera's frames in order, at least 98 % of them, and hears the tone. Two cameras at once.

mod support;

use std::path::Path;
use std::process::ExitStatus;

use support::network;
use support::process::Process;
use support::publishers::{CAMERA_PASSWORD, CAMERA_USER, FPS, Publisher, camera_place};
use support::server::{Device, Server};
use support::terminal::Terminal;
use support::verdict::Seen;
use support::viewers::{Running, Viewer};

/// Viewing time of each cell, seconds.
const SECONDS: u64 = 6;
/// Frames that a viewer must have decoded: the time less its start.
const MIN_FRAMES: usize = (SECONDS as usize - 3) * FPS as usize;
/// Viewers that watch at the same time; more of them would measure the machine's two cores.
const BATCHES: [&[Viewer]; 4] = [
    &[Viewer::FfmpegTcp, Viewer::FfmpegUdp, Viewer::Gst],
    &[Viewer::Chromium, Viewer::Aiortc],
    &[Viewer::Watch, Viewer::Aioquic],
    &[Viewer::WebTransport],
];

/// What a cell must show.
#[derive(Clone, PartialEq, Eq)]
enum Expected {
    /// Every picture and the tone.
    All,
    /// Every picture; the sound is left out and named.
    WithoutSound,
    /// A refusal that says this, and nothing else.
    Refused(String),
    /// It is not run, for this reason.
    Skipped(String),
}

/// The committed list of cells that differ because of the codecs of the two ends.
struct Exceptions(toml::Table);

impl Exceptions {
    fn load() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/matrix-skips.toml");
        let text = std::fs::read_to_string(path).expect("the list of exceptions");
        Self(text.parse().expect("TOML"))
    }

    fn entry(&self, kind: &str, row: Publisher, viewer: Viewer) -> Option<&toml::Value> {
        let entries = self.0.get(kind)?.as_array().expect("a list");
        let named = |entry: &toml::Value| {
            assert!(entry["reason"].as_str().is_some_and(|why| !why.is_empty()), "{entry}");
            entry["publisher"].as_str() == Some(row.name())
                && entry["viewer"].as_str() == Some(viewer.name())
        };
        entries.iter().find(|entry| named(entry))
    }

    fn expected(&self, row: Publisher, viewer: Viewer) -> Expected {
        let text = |entry: &toml::Value, name: &str| entry[name].as_str().expect("text").to_owned();
        if let Some(entry) = self.entry("skip", row, viewer) {
            return Expected::Skipped(text(entry, "reason"));
        }
        if let Some(entry) = self.entry("refused", row, viewer) {
            let status = entry.get("status").and_then(toml::Value::as_integer);
            let problem = || format!("/problems/{}", text(entry, "problem"));
            return Expected::Refused(status.map_or_else(problem, |status| status.to_string()));
        }
        match self.entry("without_sound", row, viewer) {
            Some(_) => Expected::WithoutSound,
            None => Expected::All,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_viewer_sees_every_publisher() {
    if !network::inside("every_viewer_sees_every_publisher") {
        return;
    }
    let exceptions = Exceptions::load();
    let wanted = std::env::var("SIGHTLINE_MATRIX_ROW").unwrap_or_default();
    let mut failures = Vec::new();
    println!("| publisher | viewer | camera | frames | share | verdict |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for row in Publisher::ALL.into_iter().filter(|row| row.name().contains(&wanted)) {
        failures.extend(run_row(row, &exceptions).await);
    }
    assert!(failures.is_empty(), "{} cells failed:\n{}", failures.len(), failures.join("\n"));
    if wanted.is_empty() {
        sightline_grant::requirement!("M4");
    }
}

/// Starts two cameras of a kind and shows both to all viewers; returns the cells that failed.
async fn run_row(row: Publisher, exceptions: &Exceptions) -> Vec<String> {
    let mut server = Server::start();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut owner = Terminal::new("+4915110000001");
    owner.sign_in(&server).await;
    owner.consent_to_viewing().await.ok();
    let (devices, mut cameras) = start_cameras(row, &mut server, &owner, folder.path()).await;
    let mut failures = Vec::new();
    for (device, camera) in devices.iter().zip(&cameras) {
        if !owner.live_in_time(&device.serial).await {
            let cell =
                format!("| {} | all | {} | | | FAILED: not live |", row.name(), device.serial);
            println!("{cell}\n{}\n{}", camera.complaints(), server.log());
            failures.push(cell);
        }
    }
    if !failures.is_empty() {
        return failures;
    }
    for (turn, batch) in BATCHES.iter().enumerate() {
        let mut running = Vec::new();
        for (at, &viewer) in batch.iter().enumerate() {
            let expected = exceptions.expected(row, viewer);
            if let Expected::Skipped(reason) = expected {
                println!("| {} | {} | | | | skipped: {reason} |", row.name(), viewer.name());
                continue;
            }
            // Beside a pulled camera stands one that pushes; the pulled one is what counts.
            let place = if row == Publisher::PullGst { 0 } else { (turn + at) % devices.len() };
            let device = &devices[place];
            let started = viewer.start(&server, &owner, device, folder.path(), SECONDS).await;
            running.push((viewer, device, started, expected));
        }
        for (viewer, device, client, expected) in running {
            failures.extend(judge(row, viewer, device, client, &expected).err());
        }
    }
    for (camera, device) in cameras.iter_mut().zip(&devices) {
        if let Some(status) = camera.ended() {
            failures.push(camera_failure(row, device, camera, status));
        }
    }
    failures
}

fn camera_failure(row: Publisher, device: &Device, camera: &Process, status: ExitStatus) -> String {
    let serial = &device.serial;
    format!("{}: camera {serial} ended with {status}: {}", row.name(), camera.complaints())
}

/// Two cameras of a kind, bound and proven by `owner`; beside a pulled one, one that pushes.
async fn start_cameras(
    row: Publisher,
    server: &mut Server,
    owner: &Terminal,
    folder: &Path,
) -> (Vec<Device>, Vec<Process>) {
    let (mut devices, mut cameras) = (Vec::new(), Vec::new());
    let kinds = if row == Publisher::PullGst { [row, Publisher::RtspTcp] } else { [row, row] };
    for kind in kinds {
        let mut device = match kind {
            Publisher::AgentSealed => server.add_sealed_agent(),
            _ if kind.is_agent() => server.add_agent(),
            _ => server.add_open_device(),
        };
        if kind == Publisher::PullGst {
            let place = camera_place();
            server.restart_pulling(&[(&device, &place)], CAMERA_USER, CAMERA_PASSWORD);
        }
        cameras.push(kind.start(&device, folder));
        if kind.is_agent() {
            owner.open_agent(server, &mut device).await;
        } else {
            owner.open_device(server, &device).await;
        }
        devices.push(device);
    }
    (devices, cameras)
}

fn judge(
    row: Publisher,
    viewer: Viewer,
    device: &Device,
    client: Running,
    expected: &Expected,
) -> Result<(), String> {
    let seen = client.finish();
    let good = seen.judge(&device.serial, MIN_FRAMES);
    let outcome = match expected {
        Expected::All => good.clone().and_then(|_| seen.judge_tone()).map(|()| "ok".to_owned()),
        Expected::WithoutSound => good.clone().and_then(|_| without_sound(&seen)),
        Expected::Refused(problem) => refused(&seen, problem),
        Expected::Skipped(_) => Ok("skipped".to_owned()),
    };
    let (frames, share) = good.as_ref().map_or((seen.frames.len(), 0.0), |g| (g.frames, g.share));
    let verdict = match &outcome {
        Ok(text) => text.clone(),
        Err(problem) => format!("FAILED: {problem}"),
    };
    let (row, viewer, serial) = (row.name(), viewer.name(), &device.serial);
    let percent = share * 100.0;
    let cell = format!("| {row} | {viewer} | {serial} | {frames} | {percent:.1} % | {verdict} |");
    println!("{cell}");
    if outcome.is_err() {
        println!("{}", seen.said);
    }
    outcome.map(drop).map_err(|_| cell)
}

/// The server must say what it left out, and nothing may be heard.
fn without_sound(seen: &Seen) -> Result<String, String> {
    match (&seen.left_out, seen.tone) {
        (Some(reason), None) => Ok(format!("ok, left out: {reason}")),
        (None, _) => Err("the server does not say that it left the sound out".to_owned()),
        (_, Some(tone)) => Err(format!("heard {tone:?}")),
    }
}

fn refused(seen: &Seen, wanted: &str) -> Result<String, String> {
    let error = seen.error.as_deref().unwrap_or("no refusal");
    let pictures = seen.frames.len() + seen.unreadable;
    if pictures == 0 && (error.contains(wanted) || seen.said.contains(wanted)) {
        Ok(format!("ok, refused: {wanted}"))
    } else {
        Err(format!("{pictures} pictures; wanted {wanted}, got: {error}"))
    }
}
