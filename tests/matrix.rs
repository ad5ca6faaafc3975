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
use support::viewers::{Running, Viewer};

/// Viewing time of each cell, seconds.
const SECONDS: u64 = 8;
/// Frames that a viewer must have decoded: the time less its start.
const MIN_FRAMES: usize = (SECONDS as usize - 4) * FPS as usize;
/// Viewers that watch at the same time; more of them would measure the machine's two cores.
const BATCHES: [&[Viewer]; 3] = [
    &[Viewer::FfmpegTcp, Viewer::FfmpegUdp, Viewer::Gst],
    &[Viewer::Chromium, Viewer::Aiortc],
    &[Viewer::Watch, Viewer::Aioquic],
];

/// Cells that the codecs of the two ends rule out, with the reason.
struct Skips(Vec<(String, String, String)>);

impl Skips {
    fn load() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/matrix-skips.toml");
        let text = std::fs::read_to_string(path).expect("the list of skips");
        let table: toml::Table = text.parse().expect("TOML");
        let entries =
            table.get("skip").and_then(toml::Value::as_array).cloned().unwrap_or_default();
        let field = |entry: &toml::Value, name: &str| {
            entry.get(name).and_then(toml::Value::as_str).expect("a string").to_owned()
        };
        let read =
            |entry| (field(entry, "publisher"), field(entry, "viewer"), field(entry, "reason"));
        Self(entries.iter().map(read).collect())
    }

    fn reason(&self, row: Publisher, viewer: Viewer) -> Option<&str> {
        let found = self.0.iter().find(|(p, v, _)| p == row.name() && v == viewer.name());
        found.map(|(_, _, reason)| reason.as_str())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_viewer_sees_every_publisher() {
    if !network::inside("every_viewer_sees_every_publisher") {
        return;
    }
    let skips = Skips::load();
    let wanted = std::env::var("SIGHTLINE_MATRIX_ROW").unwrap_or_default();
    let mut failures = Vec::new();
    println!("| publisher | viewer | camera | frames | share | verdict |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for row in Publisher::ALL.into_iter().filter(|row| row.name().contains(&wanted)) {
        failures.extend(run_row(row, &skips).await);
    }
    assert!(failures.is_empty(), "{} cells failed:\n{}", failures.len(), failures.join("\n"));
    println!("requirement proved: M4 by matrix::every_viewer_sees_every_publisher");
}

/// Starts two cameras of a kind and shows both to all viewers; returns the cells that failed.
async fn run_row(row: Publisher, skips: &Skips) -> Vec<String> {
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
            if let Some(reason) = skips.reason(row, viewer) {
                println!("| {} | {} | | | | skipped: {reason} |", row.name(), viewer.name());
                continue;
            }
            let device = &devices[(turn + at) % devices.len()];
            let started = viewer.start(&server, &owner, device, folder.path(), SECONDS).await;
            running.push((viewer, device, started));
        }
        for (viewer, device, client) in running {
            failures.extend(judge(row, viewer, device, client).err());
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
        let mut device = if kind == Publisher::Agent {
            server.add_agent()
        } else {
            server.add_open_device()
        };
        if kind == Publisher::PullGst {
            let place = camera_place();
            server.restart_pulling(&[(&device, &place)], CAMERA_USER, CAMERA_PASSWORD);
        }
        cameras.push(kind.start(&device, folder));
        if kind == Publisher::Agent {
            owner.open_agent(server, &mut device).await;
        } else {
            owner.open_device(server, &device).await;
        }
        devices.push(device);
    }
    (devices, cameras)
}

fn judge(row: Publisher, viewer: Viewer, device: &Device, client: Running) -> Result<(), String> {
    let seen = client.finish();
    let judged = seen.judge(&device.serial, MIN_FRAMES);
    let tone =
        if matches!(viewer, Viewer::Watch | Viewer::Aioquic) { Ok(()) } else { seen.judge_tone() };
    let verdict = match (&judged, &tone) {
        (Ok(_), Ok(())) => "ok".to_owned(),
        (Err(problem), _) | (_, Err(problem)) => format!("FAILED: {problem}"),
    };
    let (frames, share) = judged.as_ref().map_or((seen.frames.len(), 0.0), |g| (g.frames, g.share));
    let cell = format!(
        "| {} | {} | {} | {frames} | {:.1} % | {verdict} |",
        row.name(),
        viewer.name(),
        device.serial,
        share * 100.0
    );
    println!("{cell}");
    if judged.is_ok() && tone.is_ok() { Ok(()) } else { Err(cell) }
}
