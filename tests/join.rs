//! Joining in the middle of a ten-second GOP, on every way out: a picture at once, at the live
//! edge within seconds, never backward, never frozen, with the sound beside it.
//!
//! All figures are taken where media arrives at the client, so that no player's buffer blurs them.

#[path = "join/browser.rs"]
mod browser;
#[path = "join/capture.rs"]
mod capture;
#[path = "join/judge.rs"]
mod judge;
#[path = "join/machine.rs"]
mod machine;
#[path = "malformed/native.rs"]
mod native;
#[path = "support/network.rs"]
#[allow(unreachable_pub)]
mod network;
#[path = "malformed/rtsp.rs"]
mod rtsp;

use std::time::{Duration, Instant};

use sightline_grant::requirement;

use capture::{Present, Seen};
use judge::{Figures, Painted};
use machine::Machine;
use native::{Server, User};

/// Serial of the camera.
const SERIAL: &str = "LONG-GOP";
/// Size of its picture.
const SIZE: (usize, usize) = (640, 360);
/// Age of the GOP at which viewers join.
const INTO_GOP: Duration = Duration::from_secs(5);
/// How long each joined viewer stays.
const STAY: Duration = Duration::from_secs(7);
/// Joins of each kind at most: on a machine that stands still no figure means anything.
const ATTEMPTS: usize = 3;
/// From here on a viewer that joined must be at the live edge.
const SETTLED: Duration = Duration::from_secs(3);
/// Longest time from the answer to the first picture, milliseconds.
const MAX_FIRST: f64 = 300.0;
/// Farthest that it may be behind then, milliseconds.
const MAX_BEHIND: f64 = 300.0;
/// The same for what a browser shows, which decodes and smooths on busy cores.
const MAX_SHOWN_BEHIND: f64 = 1000.0;
/// Longest time that a picture may stand, milliseconds.
const MAX_STOOD: f64 = 200.0;
/// Farthest that sound may be from the picture, milliseconds.
const MAX_SOUND_OFF: f64 = 60.0;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_viewer_is_at_the_live_edge_within_three_seconds() {
    if !network::inside("a_late_viewer_is_at_the_live_edge_within_three_seconds") {
        return;
    }
    let addresses = format!("server.public_addresses=[\"{}\", \"127.0.0.1\"]", network::ADDRESS);
    let flags = ["--no-demo", "--listen.webrtc", "0.0.0.0:0", "--set", &addresses];
    let server = Server::start(&flags).await;
    let card = ["--testcard", "--gop", "10", "--fps", "25", "--width", "640", "--height", "360"];
    let (device, _camera) = server.start_agent(SERIAL, &card);
    let user = User::sign_in(&server, "+4915110000301").await;
    user.open(&server, &device).await;
    let present = Present::start(&server, &user, SERIAL).await;
    let machine = Machine::watch();
    println!(
        "| way out | first picture | backlog | caught up | behind after 3 s | longest stand \
         | on its timeline | backward | first sound | sound off | verdict |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    // Those that ask for no keyframe disturb each other's GOP as little as one alone.
    measure(&present, &machine, || async {
        let (roq, tcp, udp) = tokio::join!(
            capture::by_roq(&server, &user, SERIAL, STAY),
            capture::by_rtsp_tcp(&server, &user, SERIAL, STAY),
            capture::by_rtsp_udp(&server, &user, SERIAL, STAY),
        );
        vec![("RoQ", roq), ("RTSP/TCP", tcp), ("RTSP/UDP", udp)]
    })
    .await;
    measure(&present, &machine, || async {
        vec![("WHEP", capture::by_whep(&server, &user, SERIAL, STAY).await)]
    })
    .await;
    in_chromium(&server, &user, &present).await;
    present.finish().await;
    requirement!("M4");
}

/// Joins in mid-GOP and judges. A miss counts unless the machine itself stood still meanwhile.
async fn measure<F: Future<Output = Vec<(&'static str, Seen)>>>(
    present: &Present,
    machine: &Machine,
    join: impl Fn() -> F,
) {
    for attempt in 1..=ATTEMPTS {
        into_gop(present).await;
        let started = Instant::now();
        let joined = join().await;
        let stall = machine.stalled_since(started);
        let there = decoded(present.so_far());
        assert_eq!(there.seen.lost, 0, "the viewer who was there lost nothing");
        let verdicts: Vec<_> =
            joined.into_iter().map(|(name, seen)| row(name, seen, &there)).collect();
        let failed: Vec<_> = verdicts.into_iter().filter_map(Result::err).collect();
        if failed.is_empty() {
            return;
        }
        let failed = failed.join("\n");
        assert!(stall.is_some() && attempt < ATTEMPTS, "{failed} (stall: {stall:?})");
        println!("the machine stood still for {stall:?}: once more");
    }
}

/// What a person sees in a browser, behind its own buffers.
async fn in_chromium(server: &Server, user: &User, present: &Present) {
    into_gop(present).await;
    let shown = browser::watch(server, user, SERIAL, STAY.as_secs()).await;
    let there = decoded(present.so_far());
    let (first, behind, stood, backward) = there.shown(&shown, SETTLED);
    println!(
        "Chromium behind its own buffers: first picture {first:.0} ms, behind after 3 s \
         {behind:.0} ms, longest stand {stood:.0} ms, {backward} steps backward"
    );
    assert_eq!(backward, 0, "Chromium never shows an earlier picture");
    assert!(behind <= MAX_SHOWN_BEHIND, "Chromium stays {behind} ms behind");
}

/// Waits until the running GOP is in its middle.
async fn into_gop(present: &Present) {
    loop {
        let join_at = present.last_keyframe().await + INTO_GOP;
        tokio::time::sleep_until(join_at.into()).await;
        let age = present.last_keyframe().await.elapsed();
        if age >= INTO_GOP && age < INTO_GOP + Duration::from_millis(500) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn decoded(seen: Seen) -> Painted {
    Painted::new(seen, SIZE.0, SIZE.1)
}

/// Prints a viewer's row; `Err` names what is beyond its bound.
fn row(name: &str, seen: Seen, present: &Painted) -> Result<(), String> {
    let lost = seen.lost;
    let figures = decoded(seen).figures(present, SETTLED);
    let beyond = beyond(&figures, lost);
    let verdict = if beyond.is_empty() { "ok".to_owned() } else { beyond.join(", ") };
    let Figures { first, backlog, caught_up, behind, stood, .. } = figures;
    let Figures { stood_on_timeline, backward, first_sound, sound_off, .. } = figures;
    println!(
        "| {name} | {first:.0} ms | {backlog:.0} ms | {caught_up:.0} ms | {behind:.0} ms \
         | {stood:.0} ms | {stood_on_timeline:.0} ms | {backward} | {first_sound:.0} ms \
         | {sound_off:.0} ms | {verdict} |"
    );
    if beyond.is_empty() { Ok(()) } else { Err(format!("{name}: {verdict}")) }
}

fn beyond(figures: &Figures, lost: u64) -> Vec<&'static str> {
    let bounds = [
        (figures.first <= MAX_FIRST, "the first picture is late"),
        (figures.backlog >= 1000.0, "it joined at the live edge, which proves nothing"),
        (figures.behind <= MAX_BEHIND, "it stays behind"),
        (figures.stood.max(figures.stood_on_timeline) <= MAX_STOOD, "a picture stands"),
        (figures.backward == 0, "it runs backward"),
        (figures.sound_off <= MAX_SOUND_OFF, "sound is off"),
        (lost == 0, "frames are lost"),
    ];
    bounds.into_iter().filter(|(holds, _)| !holds).map(|(_, what)| what).collect()
}
