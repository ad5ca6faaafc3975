//! A newcomer in Chromium: from the empty page to the live picture of the demo camera.

mod support;

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use support::network;
use support::publishers::script;
use support::server::{ORIGIN, Server};
use support::viewers::start_json;

/// Viewing time, seconds.
const SECONDS: u64 = 6;
/// Longest journey, with a browser on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

#[test]
fn a_newcomer_gets_from_the_empty_page_to_the_live_picture() {
    if !network::inside("a_newcomer_gets_from_the_empty_page_to_the_live_picture") {
        return;
    }
    let server = Server::start_with(&[]);
    let demo = server.demo_camera();
    let request = json!({
        "origin": ORIGIN,
        "sms_file": server.data().join("dev-sms.txt"),
        "phone": "+4915112345678",
        "bind_text": format!("SL1:{}:{}", demo.serial, demo.code),
        "secret_file": server.data().join("demo-camera/secret.txt"),
        "serial": demo.serial,
        "seconds": SECONDS,
    });
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new("node");
    command.arg(script("journey.mjs"));
    let deadline = Instant::now() + LIMIT;
    let request = request.to_string();
    let seen = start_json("journey", folder.path(), &mut command, &request, deadline).finish();
    assert_eq!(seen.error, None);
    assert_eq!(seen.foreign(&demo.serial), 0);
    // A canvas shows what the screen shows, which may skip frames on a busy machine.
    assert!(seen.frames.len() >= SECONDS as usize * 5, "{} frames", seen.frames.len());
    let rising = seen.frames.windows(2).all(|pair| pair[0].frame_number <= pair[1].frame_number);
    assert!(rising, "frames out of order");
}
