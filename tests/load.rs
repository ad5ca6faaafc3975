//! `sightline load` against the real server: every way out, read and scripted.

mod native;

use std::process::Stdio;
use std::time::Duration;

use native::server::{Server, sightline};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

/// Longest time for a whole run.
const PATIENCE: Duration = Duration::from_secs(120);
const VIEWERS: u64 = 12;

/// Two cameras and twelve viewers, one of each camera on every way out.
fn load(server: &Server, seconds: &str) -> Command {
    load_of(server, ("2", VIEWERS, "1M"), seconds)
}

fn load_of(
    server: &Server,
    (cameras, viewers, bitrate): (&str, u64, &str),
    seconds: &str,
) -> Command {
    let mut command = sightline();
    command.args(["load", "--server", &server.origin, "--data"]).arg(server.data());
    command.args(["--cameras", cameras, "--viewers", &viewers.to_string(), "--bitrate", bitrate]);
    let ways = "whep,rtsp-tcp,rtsp-udp,roq,roq-datagrams,webtransport";
    command.args(["--via", ways, "--seconds", seconds]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    command
}

/// Lines of its standard output; the run must pass.
async fn lines_of(mut command: Command) -> Vec<String> {
    let mut child = command.spawn().expect("the binary runs");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let run = async {
        let mut all = Vec::new();
        while let Some(line) = lines.next_line().await.expect("text") {
            all.push(line);
        }
        (all, child.wait().await.expect("it ends"))
    };
    let (all, status) = tokio::time::timeout(PATIENCE, run).await.expect("the run ends");
    assert!(status.success(), "{status}: {all:?}");
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn every_viewer_of_every_way_out_gets_all_frames_of_its_camera() {
    let server = Server::start().await;
    let mut command = load(&server, "5");
    command.arg("--json");
    let lines = lines_of(command).await;
    let [ready, json] = &lines[..] else { panic!("not two lines: {lines:?}") };
    assert_eq!(*ready, format!("ready {VIEWERS}"));
    let report: Value = serde_json::from_str(json).expect("JSON");
    assert_eq!((&report["verdict"], &report["connected"]), (&"pass".into(), &VIEWERS.into()));
    assert_eq!(report["cameras"]["count"], 2, "{report}");
    let ways = report["egress"].as_array().expect("a list");
    assert_eq!(ways.len(), 6);
    for way in ways {
        for none in ["gaps", "foreign", "damaged", "failed"] {
            assert_eq!(way[none], 0, "{way}");
        }
        assert_eq!(way["connected"], 2, "{way}");
        assert!(way["frame_share"].as_f64().expect("measured") >= 0.95, "{way}");
        assert!(way["first_picture_p99_ms"].as_f64().expect("measured") > 0.0, "{way}");
        assert!(way["delay_max_ms"].as_f64().expect("measured") > 0.0, "{way}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn viewers_that_other_workers_serve_get_all_frames_too() {
    const MANY: u64 = 120;
    let server = Server::start_with(&["--set", "media.workers=3"]).await;
    let mut command = load_of(&server, ("1", MANY, "300k"), "5");
    command.arg("--json");
    let run = lines_of(command);
    tokio::pin!(run);
    let mut mirrors = 0;
    let lines = loop {
        tokio::select! {
            lines = &mut run => break lines,
            () = tokio::time::sleep(Duration::from_millis(200)) => {
                let seen = server.metric("sightline_relay_mirrors").await;
                mirrors = mirrors.max(seen);
            }
        }
    };
    assert_eq!(server.metric("sightline_relay_workers").await, 3);
    assert_eq!(mirrors, 2, "one worker has the camera, the others a mirror each");
    let report: Value = serde_json::from_str(lines.last().expect("a report")).expect("JSON");
    assert_eq!((&report["verdict"], &report["connected"]), (&"pass".into(), &MANY.into()));
    for way in report["egress"].as_array().expect("a list") {
        for none in ["gaps", "foreign", "damaged", "failed"] {
            assert_eq!(way[none], 0, "{way}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn viewers_of_sealed_cameras_open_every_frame() {
    let server = Server::start().await;
    let mut command = sightline();
    command.args(["load", "--sealed", "--server", &server.origin, "--data"]).arg(server.data());
    command.args(["--cameras", "2", "--viewers", "12", "--bitrate", "1M", "--seconds", "5"]);
    command.args(["--via", "roq,roq-datagrams,webtransport", "--json"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    let lines = lines_of(command).await;
    let report: Value = serde_json::from_str(lines.last().expect("a report")).expect("JSON");
    assert_eq!((&report["verdict"], &report["connected"]), (&"pass".into(), &12.into()));
    for way in report["egress"].as_array().expect("a list") {
        for none in ["gaps", "foreign", "damaged", "failed"] {
            assert_eq!(way[none], 0, "{way}");
        }
        assert!(way["frame_share"].as_f64().expect("measured") >= 0.95, "{way}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scripted_viewers_connect_and_stay() {
    let server = Server::start().await;
    let mut command = load(&server, "3");
    command.arg("--scripted");
    let lines = lines_of(command).await;
    assert_eq!(lines[0], format!("ready {VIEWERS}"));
    assert_eq!(lines.last().map(String::as_str), Some("PASS"), "{lines:?}");
}
