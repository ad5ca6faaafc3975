//! Every way in with every way out, by clients that others wrote: each viewer sees the right
//! camera's frames in order, at least 98 % of them, and hears the tone. Two cameras at once.

mod support;

use std::path::Path;
use std::process::ExitStatus;

use support::network;
use support::process::Process;
use support::publishers::{FPS, Publisher, camera_url};
use support::server::{Device, Server};
use support::terminal::Terminal;
use support::viewers::{Running, Viewer};

/// Viewing time of each cell, seconds.
const SECONDS: u64 = 8;
/// Frames that a viewer must have decoded: the time less its start.
const MIN_FRAMES: usize = (SECONDS as usize - 4) * FPS as usize;
/// Row of the product's own agent (the demo camera).
const AGENT: &str = "agent RoQ";

/// A row: how the cameras publish.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Row {
    Foreign(Publisher),
    /// The demo camera; beside it a second camera by RTSP.
    Agent,
}

impl Row {
    fn name(self) -> &'static str {
        match self {
            Self::Foreign(publisher) => publisher.name(),
            Self::Agent => AGENT,
        }
    }
}

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

    fn reason(&self, row: Row, viewer: Viewer) -> Option<&str> {
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
    let rows = Publisher::ALL.into_iter().map(Row::Foreign).chain([Row::Agent]);
    let wanted = std::env::var("SIGHTLINE_MATRIX_ROW").unwrap_or_default();
    let mut failures = Vec::new();
    println!("| publisher | viewer | camera | frames | share | verdict |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for (index, row) in rows.enumerate().filter(|(_, row)| row.name().contains(&wanted)) {
        failures.extend(run_row(index, row, &skips).await);
    }
    assert!(failures.is_empty(), "{} cells failed:\n{}", failures.len(), failures.join("\n"));
    println!("requirement proved: M4 by matrix::every_viewer_sees_every_publisher");
}

/// Starts two cameras of a kind and all viewers at once; returns the cells that failed.
async fn run_row(index: usize, row: Row, skips: &Skips) -> Vec<String> {
    let flags: &[&str] = if row == Row::Agent { &[] } else { &["--no-demo"] };
    let server = Server::start_with(flags);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut owner = Terminal::new(&format!("+4915110000{index:03}"));
    owner.sign_in(&server).await;
    owner.consent_to_viewing().await.ok();
    let (devices, mut cameras) = start_cameras(row, &server, &owner, folder.path()).await;
    for device in &devices {
        owner.wait_until_live(&device.serial).await;
    }
    let mut running: Vec<(Viewer, &Device, Running)> = Vec::new();
    for (at, viewer) in Viewer::ALL.into_iter().enumerate() {
        if let Some(reason) = skips.reason(row, viewer) {
            println!("| {} | {} | | | | skipped: {reason} |", row.name(), viewer.name());
            continue;
        }
        let device = &devices[(index + at) % devices.len()];
        let started = viewer.start(&owner, &device.serial, folder.path(), SECONDS).await;
        running.push((viewer, device, started));
    }
    let mut failures = Vec::new();
    for (viewer, device, client) in running {
        let verdict = judge(row, viewer, device, client);
        failures.extend(verdict.err());
    }
    for (camera, device) in cameras.iter_mut().zip(&devices) {
        if let Some(status) = camera.ended() {
            failures.push(camera_failure(row, device, camera, status));
        }
    }
    failures
}

fn camera_failure(row: Row, device: &Device, camera: &Process, status: ExitStatus) -> String {
    let serial = &device.serial;
    format!("{}: camera {serial} ended with {status}: {}", row.name(), camera.complaints())
}

async fn start_cameras(
    row: Row,
    server: &Server,
    owner: &Terminal,
    folder: &Path,
) -> (Vec<Device>, Vec<Process>) {
    let mut devices = Vec::new();
    let mut cameras = Vec::new();
    let publishers = match row {
        Row::Foreign(Publisher::PullGst) => [Some(Publisher::PullGst), Some(Publisher::RtspTcp)],
        Row::Foreign(publisher) => [Some(publisher), Some(publisher)],
        Row::Agent => [None, Some(Publisher::RtspTcp)],
    };
    for publisher in publishers {
        let Some(publisher) = publisher else {
            devices.push(owner.open_demo(server).await);
            continue;
        };
        let device = if publisher == Publisher::PullGst {
            server.add_pulled_device(&camera_url())
        } else {
            server.add_open_device()
        };
        cameras.push(publisher.start(&device, folder));
        owner.open_device(server, &device).await;
        devices.push(device);
    }
    // Cameras that are processes of ours come last in `devices` as in `cameras`.
    if cameras.len() < devices.len() {
        devices.reverse();
    }
    (devices, cameras)
}

fn judge(row: Row, viewer: Viewer, device: &Device, client: Running) -> Result<(), String> {
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
