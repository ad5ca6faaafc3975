//! Foreign clients left alone for a long time: no stream may break where a lease is renewed.
//!
//! `SIGHTLINE_SOAK_SECONDS` sets the time, ten minutes unless told; a lease lasts 60 s and is
//! renewed every 20 s, so even a short share crosses several renewals and a whole lease.

mod support;

use std::time::Duration;

use support::network;
use support::publishers::{FPS, Publisher};
use support::server::Server;
use support::terminal::Terminal;
use support::viewers::Viewer;

/// Time of the full run, seconds.
const FULL: u64 = 600;
/// Time that a client may take to start and to end, seconds.
const EDGE: u64 = 6;
/// Time from the start of one client to the next one's: a browser that starts takes both processors, and
/// whoever plays meanwhile stands still for that reason alone.
const APART: Duration = Duration::from_secs(4);
/// Longest gap in a stream, frames: a renewal that breaks a stream costs far more.
const MAX_GAP: u32 = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_client_plays_on_across_its_leases() {
    if !network::inside("every_client_plays_on_across_its_leases") {
        return;
    }
    let seconds = std::env::var("SIGHTLINE_SOAK_SECONDS");
    let seconds = seconds.map_or(FULL, |text| text.parse().expect("a number of seconds"));
    let server = Server::start();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut owner = Terminal::new("+4915110000001");
    owner.sign_in(&server).await;
    owner.consent_to_viewing().await.ok();
    let mut device = server.add_agent();
    let _camera = Publisher::Agent.start(&device, folder.path());
    owner.open_agent(&server, &mut device).await;
    owner.wait_until_live(&device.serial).await;
    let mut running = Vec::new();
    let mut viewers = Viewer::ALL;
    // The browsers first, while nobody plays.
    viewers.sort_by_key(|viewer| !matches!(viewer, Viewer::Chromium | Viewer::WebTransport));
    for viewer in viewers {
        running
            .push((viewer, viewer.start(&server, &owner, &device, folder.path(), seconds).await));
        tokio::time::sleep(APART).await;
    }
    let enough = (seconds.saturating_sub(EDGE) * u64::from(FPS)) as usize * 98 / 100;
    let mut failures = Vec::new();
    println!("| viewer | frames | longest gap | verdict |");
    for (viewer, client) in running {
        let seen = client.finish();
        let gap = longest_gap(seen.frames.iter().map(|strip| strip.frame_number));
        let verdict = match seen.judge(&device.serial, enough) {
            Ok(_) if gap <= MAX_GAP => "ok".to_owned(),
            Ok(_) => format!("FAILED: {gap} frames missing at once"),
            Err(problem) => format!("FAILED: {problem}"),
        };
        println!("| {} | {} | {gap} | {verdict} |", viewer.name(), seen.frames.len());
        if verdict != "ok" {
            failures.push(format!("{}: {verdict}", viewer.name()));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Most frames missing between two that were seen.
fn longest_gap(numbers: impl Iterator<Item = u32>) -> u32 {
    let numbers: Vec<_> = numbers.collect();
    numbers.windows(2).map(|pair| pair[1].saturating_sub(pair[0] + 1)).max().unwrap_or(0)
}
