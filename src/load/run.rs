//! One run, from the first camera to the last goodbye.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use sightline_control_plane::ControlPlane;
use sightline_relay_proto::limits::MAX_CATCH_UP;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::LoadArgs;
use super::camera::{Camera, Counters, Picture};
use super::clock::Window;
use super::crowd::{self, Crowd, Viewing};
use super::gate::Doors;
use super::report::{Cameras, Facts, Report};
use super::viewer::Measure;
use super::whep;
use crate::admin;
use crate::cli::Place;

/// Time between two lines of progress.
const PROGRESS: Duration = Duration::from_secs(1);
/// Longest time for the last viewer's first picture.
const PICTURE_LIMIT: Duration = Duration::from_secs(10);
/// After the last first picture: until then late viewers glide to the live edge.
const SETTLE: Duration = MAX_CATCH_UP;
/// After the measured time: what is on its way arrives.
const GRACE: Duration = Duration::from_secs(1);

/// Adds the cameras, lets everybody publish and watch, and takes the cameras away again.
pub(super) async fn load(args: &LoadArgs, picture: Picture) -> Result<Report, String> {
    let doors = Arc::new(Doors::open(&args.server, &args.data, &args.from).await?);
    let place = Place { data: args.data.clone(), config: None };
    let control = admin::open(&place).await?;
    let run = u32::from_be_bytes(random()?);
    let mut cameras = Vec::with_capacity(args.cameras);
    for number in 0..args.cameras {
        let serial = format!("LOAD-{run:08x}-{number:04}");
        cameras.push(Camera::add(&control, &doors, serial, args.sealed).await?);
    }
    let report = watch(args, picture, &doors, &cameras).await;
    remove(&control, &cameras).await;
    report
}

/// Publishes and watches until the time is over or the run is interrupted.
async fn watch(
    args: &LoadArgs,
    picture: Picture,
    doors: &Arc<Doors>,
    cameras: &[Arc<Camera>],
) -> Result<Report, String> {
    let phones = phones(cameras.len())?;
    let window = Arc::new(Window::new());
    let stop = CancellationToken::new();
    let publishing = publish(doors, cameras, picture, &window, &stop);
    let mut via = args.via.clone();
    via.sort();
    let measure = Measure::new(window.clone());
    let seats = crowd::seats(args.viewers, &via, cameras.len());
    via.dedup();
    let arrivals = if args.transport_feedback { whep::arrivals(args.bitrate) } else { 0 };
    let viewing = Viewing { scripted: args.scripted, srtp: args.srtp.into(), arrivals };
    let crowd = Crowd::new(doors.clone(), cameras.to_vec(), measure.clone(), viewing, &seats);
    tokio::select! {
        () = measured(args, doors, &crowd, &measure, phones) => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    window.close();
    tokio::time::sleep(GRACE).await;
    let watched = crowd.leave().await;
    stop.cancel();
    for camera in publishing {
        let _ = camera.await;
    }
    let sent: Vec<_> = cameras.iter().map(|it| it.counters.sent.load(Ordering::Relaxed)).collect();
    Ok(Report::new(&Facts {
        viewers: args.viewers,
        scripted: args.scripted,
        seconds: window.seconds(),
        max_gaps: args.max_gaps,
        via: &via,
        watched: &watched,
        sent: &sent,
        cameras: summed(cameras),
        limited: doors.limited(),
        retried: doors.retried(),
        delays: &measure.delays,
    }))
}

/// Starts every camera, each a little after the one before, so that they do not send all at once.
fn publish(
    doors: &Arc<Doors>,
    cameras: &[Arc<Camera>],
    picture: Picture,
    window: &Arc<Window>,
    stop: &CancellationToken,
) -> Vec<JoinHandle<()>> {
    let start = |(number, camera): (u32, &Arc<Camera>)| {
        let share = f64::from(number) / cameras.len() as f64 / f64::from(picture.fps);
        let phase = Duration::from_secs_f64(share);
        let (camera, doors, window) = (camera.clone(), doors.clone(), window.clone());
        tokio::spawn(camera.publish(doors, picture, window, phase, stop.clone()))
    };
    (0u32..).zip(cameras).map(start).collect()
}

/// Connects everybody, says so, and lets the measured time pass.
async fn measured(
    args: &LoadArgs,
    doors: &Arc<Doors>,
    crowd: &Arc<Crowd>,
    measure: &Measure,
    phones: Vec<String>,
) {
    let telling = tokio::spawn(progress(crowd.clone(), doors.clone(), args.viewers));
    let telling = AbortOnDropHandle::new(telling);
    if args.viewers == 0 {
        crowd.await_cameras().await;
    }
    crowd.connect(phones).await;
    let connected = crowd.counts.connected.load(Ordering::Relaxed);
    if !args.scripted {
        settle(&measure.pictures, connected as u64).await;
    }
    drop(telling);
    eprintln!("{}", told(crowd, doors, args.viewers));
    say_ready(connected);
    if connected == 0 && args.viewers > 0 {
        return;
    }
    measure.window.open(args.seconds.map(|seconds| (seconds * 1e6) as u64));
    match args.seconds {
        Some(seconds) => tokio::time::sleep(Duration::from_secs_f64(seconds)).await,
        None => std::future::pending().await,
    }
}

/// Waits until everybody has had a picture and has glided to the live edge.
async fn settle(pictures: &AtomicU64, connected: u64) {
    const POLL: Duration = Duration::from_millis(20);
    let all = async {
        while pictures.load(Ordering::Relaxed) < connected {
            tokio::time::sleep(POLL).await;
        }
    };
    // Those without are named in the report.
    let _ = tokio::time::timeout(PICTURE_LIMIT, all).await;
    tokio::time::sleep(SETTLE).await;
}

async fn progress(crowd: Arc<Crowd>, doors: Arc<Doors>, viewers: usize) {
    let mut due = tokio::time::interval(PROGRESS);
    due.set_missed_tick_behavior(MissedTickBehavior::Skip);
    due.tick().await;
    loop {
        due.tick().await;
        eprintln!("{}", told(&crowd, &doors, viewers));
    }
}

fn told(crowd: &Crowd, doors: &Doors, viewers: usize) -> String {
    let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
    let counts = &crowd.counts;
    let (connected, failed) = (count(&counts.connected), count(&counts.failed));
    format!(
        "load: {connected} of {viewers} viewers connected over {} terminals, {failed} failed; \
         {} requests waited for a limit",
        count(&counts.terminals),
        doors.limited()
    )
}

/// Tells scripts that the measured time begins.
fn say_ready(connected: usize) {
    let mut out = std::io::stdout().lock();
    // Who closed our standard output does not wait for this line.
    let _ = writeln!(out, "ready {connected}");
    let _ = out.flush();
}

fn summed(cameras: &[Arc<Camera>]) -> Cameras {
    let sum = |part: fn(&Counters) -> &AtomicU64| {
        cameras.iter().map(|camera| part(&camera.counters).load(Ordering::Relaxed)).sum()
    };
    Cameras {
        count: cameras.len(),
        sent: sum(|counters| &counters.sent),
        dropped: sum(|counters| &counters.dropped),
        skipped: sum(|counters| &counters.skipped),
        reconnects: sum(|counters| &counters.reconnects),
    }
}

/// Takes the cameras out of the server's database again.
async fn remove(control: &ControlPlane, cameras: &[Arc<Camera>]) {
    for camera in cameras {
        if let Err(error) = control.remove_device(&camera.serial).await {
            eprintln!("load: {} stays in the database: {error}", camera.serial);
        }
    }
}

/// Phone numbers that no run had before, in all likelihood: each may get only so many SMS an hour.
fn phones(count: usize) -> Result<Vec<String>, String> {
    let phone = |_| Ok(format!("+4916{:09}", u64::from_be_bytes(random()?) % 1_000_000_000));
    (0..count).map(phone).collect()
}

fn random<const N: usize>() -> Result<[u8; N], String> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| "the system gives no randomness")?;
    Ok(bytes)
}
