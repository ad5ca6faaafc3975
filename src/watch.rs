//! `sightline watch`: a viewer on the command line. It passes the gate like every app: login, key
//! proof, SMS window, consent; then it watches by RTP over QUIC and prints statistics.

mod clear;
pub(crate) mod gate;
pub(crate) mod introduction;
pub(crate) mod opening;
mod order;
mod output;
pub(crate) mod pinned;
mod sound;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use sightline_client::SessionTarget;
use sightline_client::secret::{CryptoFailed, ShownSecret};
use sightline_client::watch::{Viewer, WatchStats};
use sightline_relay_proto::codec::TrackInfo;

use crate::app::{self, App, AppArgs};
use crate::camera::resolve;

use self::opening::{Asker, Opening};
use self::pinned::Named;

/// Time between two lines of statistics.
const REPORT: Duration = Duration::from_secs(2);

/// Arguments of `watch`.
#[derive(Args)]
pub(crate) struct WatchArgs {
    #[command(flatten)]
    app: AppArgs,
    /// Channel
    #[arg(long, default_value_t = 0)]
    channel: u16,
    #[command(flatten)]
    gate: gate::GateArgs,
    /// Get to know the camera's owner, who can then let this terminal in: shows a code for them, then
    /// eight digits to compare. Needs --terminal
    #[arg(long, requires = "terminal")]
    introduce: bool,
    /// Write the video as an elementary stream to this file, or - for standard output
    #[arg(long)]
    out: Option<String>,
    /// Write the sound to this file: Opus as Ogg, G.711 as WAV, AAC as ADTS
    #[arg(long)]
    sound: Option<PathBuf>,
    /// Write one JSON line per frame to this file
    #[arg(long)]
    frames: Option<PathBuf>,
    /// Stop after this many seconds
    #[arg(long)]
    seconds: Option<u64>,
    /// Watch nothing, but order the camera to seal, or to send `open` media that the server can see.
    /// The order is signed with the device secret, and everyone who may watch is told
    #[arg(long, value_parser = ["sealed", "open"])]
    order: Option<String>,
}

/// Watches until the stream ends or the user stops it.
pub(crate) fn run(args: &WatchArgs) -> Result<(), String> {
    app::run(watch(args))
}

async fn watch(args: &WatchArgs) -> Result<(), String> {
    let App { api, identity, roots } = args.app.start()?;
    let AppArgs { server, folder, serial, .. } = &args.app;
    let terminal = args.gate.terminal()?;
    if let Some(keys) = terminal.as_ref().filter(|_| args.introduce) {
        let access = gate::sign_in(&api, &args.gate, folder).await?;
        let asker = Asker { api: &api, access: &access, serial, channel: args.channel };
        return introduction::run(&asker, &keys.public(), folder).await;
    }
    let keys = terminal.as_ref();
    let passed = gate::pass(&api, &args.gate, keys, folder, serial, args.channel).await?;
    let asker = Asker { api: &api, access: &passed.access, serial, channel: args.channel };
    if let Some(mode) = &args.order {
        let shown = args.gate.secret(serial)?;
        return order::give(&asker, &shown.secret, folder, mode == "sealed").await;
    }
    let session = api
        .roq_session(&passed.grant, serial, args.channel)
        .await
        .map_err(|error| error.to_string())?;
    let tracks = session.infos().map_err(|error| error.to_string())?;
    let opening = if session.sealed {
        let (key, check, owner) = match terminal {
            Some(keys) => (keys.into_exchange(), None, None),
            None => {
                let text = |error: CryptoFailed| error.to_string();
                let ShownSecret { secret, check } = args.gate.secret(serial)?;
                let owner = secret.auth_key().map_err(text)?.verifier();
                (secret.archive_key().map_err(text)?, check, Some(owner))
            }
        };
        let camera_key = args.gate.camera_key()?;
        let named = Named { camera_key: camera_key.as_deref(), check };
        Some(Opening::prepare(asker, key, named, owner, folder).await?)
    } else {
        let secret = || match terminal {
            None => Ok(args.gate.secret(serial)?.secret),
            Some(_) => {
                Err("the camera was sealed and now is open; only its owner's device secret can \
                            tell whether the owner wanted that: watch with it, or not at all"
                    .to_owned())
            }
        };
        clear::check(&asker, secret, folder).await?;
        None
    };
    let server = resolve(server, session.port).await?.ip();
    let target = SessionTarget { server, session, roots, identity, endpoint: None };
    let viewer = Viewer::connect(&target).await.map_err(|error| error.to_string())?;
    show(args, viewer, &tracks, opening).await
}

async fn show(
    args: &WatchArgs,
    mut viewer: Viewer,
    tracks: &[TrackInfo],
    mut opening: Option<Opening<'_>>,
) -> Result<(), String> {
    let mut out = output::Output::open(
        args.out.as_deref(),
        args.sound.as_deref(),
        args.frames.as_deref(),
        tracks,
    )?;
    let end = args.seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let mut reports = tokio::time::interval(REPORT);
    reports.tick().await;
    let outcome = loop {
        let ended = async {
            match end {
                Some(end) => tokio::time::sleep_until(end.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = ended => break Ok(()),
            _ = tokio::signal::ctrl_c() => break Ok(()),
            _ = reports.tick() => report(&viewer.stats()),
            frame = viewer.next() => match (frame, &mut opening) {
                (Ok(frame), None) => out.write(&frame)?,
                (Ok(frame), Some(opening)) => {
                    if let Some(frame) = opening.open(frame).await? {
                        out.write(&frame)?;
                    }
                }
                (Err(error), _) => break Err(error.to_string()),
            }
        }
    };
    report(&viewer.stats());
    if let Some(opening) = &opening {
        eprintln!("{}", opening.report());
    }
    out.finish()?;
    viewer.close();
    outcome
}

/// Statistics go to standard error: standard output may be the stream.
fn report(stats: &WatchStats) {
    let first = stats.first_frame.map_or("-".to_owned(), |time| format!("{} ms", time.as_millis()));
    eprintln!(
        "first picture {first}   frames {}   lost {}   {:.2} Mbit/s   jitter {:.1} ms",
        stats.frames,
        stats.gaps,
        stats.bitrate / 1e6,
        stats.jitter * 1e3
    );
}
