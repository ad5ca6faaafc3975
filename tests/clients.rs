//! The foreign clients against each other, without the server: what they report can be trusted.

mod support;

use std::process::Command;
use std::time::Duration;

use serde_json::json;
use support::network;
use support::process::{Output, Process, wait_for};
use support::publishers::{FPS, Publisher, camera_url, python, script};
use support::server::{Device, ORIGIN};
use support::verdict::Seen;
use support::viewers::Viewer;

const SERIAL: &str = "SMOKE-1";
/// Viewing time, seconds.
const SECONDS: u64 = 6;

fn device() -> Device {
    let password = "camera-password".to_owned();
    Device { serial: SERIAL.into(), password, open: true, ..Device::default() }
}

fn judge(viewer: Viewer, seen: &Seen) {
    let good = seen.judge(SERIAL, (SECONDS as usize - 3) * FPS as usize);
    println!("{}: {good:?}, tone {:?}", viewer.name(), seen.tone);
    good.expect("a good view");
    seen.judge_tone().expect("the tone");
}

fn pull(viewer: Viewer) {
    let folder = tempfile::tempdir().expect("a folder");
    let _camera = Publisher::PullGst.start(&device(), folder.path());
    let ready = folder.path().join(format!("publish-{SERIAL}.out"));
    wait_for("the camera", Duration::from_secs(10), || {
        std::fs::read_to_string(&ready).ok().filter(|text| text.contains("ready"))
    });
    judge(viewer, &viewer.pull(&camera_url(), SERIAL, folder.path(), SECONDS).finish());
}

#[test]
fn ffmpeg_pulls_a_camera_with_digest_over_tcp() {
    if network::inside("ffmpeg_pulls_a_camera_with_digest_over_tcp") {
        pull(Viewer::FfmpegTcp);
    }
}

#[test]
fn ffmpeg_pulls_a_camera_with_digest_over_udp() {
    if network::inside("ffmpeg_pulls_a_camera_with_digest_over_udp") {
        pull(Viewer::FfmpegUdp);
    }
}

#[test]
fn webrtc_viewers_see_what_a_webrtc_camera_sends() {
    if !network::inside("webrtc_viewers_see_what_a_webrtc_camera_sends") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut endpoint = Command::new(python());
    endpoint.arg(script("loopback.py")).arg("8080");
    let _endpoint = Process::start("endpoint", folder.path(), &mut endpoint, Output::File);
    wait_for("the endpoint", Duration::from_secs(10), || {
        std::net::TcpStream::connect("127.0.0.1:8080").ok()
    });
    let _camera = Publisher::WhipAiortc.start(&device(), folder.path());
    let published = folder.path().join(format!("publish-{SERIAL}.out"));
    wait_for("the camera", Duration::from_secs(15), || {
        std::fs::read_to_string(&published).ok().filter(|text| text.contains("connected"))
    });
    for viewer in [Viewer::Aiortc, Viewer::Chromium] {
        let path = format!("/v1/whep/{SERIAL}/0");
        let request = json!({
            "origin": ORIGIN, "path": path, "url": format!("{ORIGIN}{path}"),
            "grant": "none", "seconds": SECONDS,
        });
        let running = viewer.by_grant(&request.to_string(), SERIAL, folder.path(), SECONDS);
        judge(viewer, &running.finish());
    }
}
