//! `sightline camera`: the agent. It has its own identity, pushes one source by RTP over QUIC, and
//! keeps the device secret, which it makes itself and shows on its own terminal only.

mod adding;
mod display;
mod inventory;
mod lan;
mod outlet;
mod returned;
mod sealing;
mod secret;
mod send_log;
mod source;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use sightline_client::api::Api;
use sightline_client::news::Told;
use sightline_client::wire::RoqTrack;
use sightline_client::{Identity, Roots, SessionTarget, publish, testcard};
use sightline_relay_proto::codec::TrackInfo;
use sightline_relay_proto::frame::Mode;
use sightline_relay_proto::ids::{Channel, DeviceId};
use tokio::io::AsyncReadExt;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::outlet::Period;
use self::returned::Returned;
use self::sealing::Sealing;
use self::send_log::SendLog;
use crate::config::{Log, LogFormat};
use crate::data_dir::make_private_dir;
use crate::telemetry;

/// Name of the identity's file in the camera's folder.
pub(crate) const IDENTITY_FILE: &str = "identity.key";

/// Arguments of `camera`.
#[derive(Args)]
pub(crate) struct CameraArgs {
    /// Folder of the camera's identity and secret
    #[arg(long, default_value = "./sightline-camera")]
    folder: PathBuf,
    /// Server, e.g. https://cam.example:8443
    #[arg(long, default_value = "https://localhost:8443")]
    server: String,
    /// The server's CA certificate to pin (pki/ca.pem of its data folder)
    #[arg(long)]
    ca: Option<PathBuf>,
    /// Serial under which the camera was added
    #[arg(long, default_value = "CAMERA")]
    serial: String,
    /// Channel
    #[arg(long, default_value_t = 0)]
    channel: u16,
    /// Print what `sightline admin device add --identity` takes, and end
    #[arg(long)]
    print_identity: bool,
    /// Make a new device secret now: every viewer must prove the new one
    #[arg(long)]
    new_secret: bool,
    #[command(flatten)]
    adding: adding::AddingArgs,
    #[command(flatten)]
    nearby: lan::LanArgs,
    /// What leaves the camera: `sealed` frames, which only its owner and whom he lets in can open, or
    /// `open` ones. The server must have been told the same
    #[arg(long, default_value = "sealed", value_parser = ["sealed", "open"])]
    mode: String,
    /// End when standard input ends
    #[arg(long, hide = true)]
    until_stdin_ends: bool,
    /// Write when each picture was handed to the transport
    #[arg(long, hide = true)]
    send_log: Option<PathBuf>,
    #[command(flatten)]
    source: source::SourceArgs,
}

/// Arguments of `testcard`: as in the client crate, words are taken apart there.
#[derive(Args)]
pub(crate) struct TestcardArgs {
    /// --serial S --width W --height H --fps N --gop SECONDS --bitrate BITS --tone opus|pcma|pcmu
    /// --format h264|mkv --frames N --unpaced
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

/// Writes the test card to standard output.
pub(crate) fn run_testcard(args: &TestcardArgs) -> Result<(), String> {
    let out = std::io::BufWriter::new(std::io::stdout().lock());
    testcard::cli_run(args.words.iter().cloned(), out).map_err(|error| error.to_string())
}

/// Runs the agent until it is told to stop.
pub(crate) fn run(args: &CameraArgs) -> Result<(), String> {
    make_private_dir(&args.folder)
        .map_err(|error| format!("cannot make {}: {error}", args.folder.display()))?;
    let path = args.folder.join(IDENTITY_FILE);
    let identity = Identity::load_or_create(&path, Identity::generate_device)
        .map_err(|error| format!("{}: {error}", path.display()))?;
    if args.print_identity {
        println!("{}", identity.thumbprint());
        return Ok(());
    }
    telemetry::start_logging(&Log { format: LogFormat::Auto, level: "info".into() })?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    runtime.block_on(agent(args, Arc::new(identity)))
}

async fn agent(args: &CameraArgs, identity: Arc<Identity>) -> Result<(), String> {
    let roots = args.ca.as_deref().map(read_roots).transpose()?;
    let api = Api::for_device(&args.server, roots.as_ref(), identity.clone())
        .map_err(|error| error.to_string())?;
    args.adding.run(&args.serial, &args.folder, &api).await?;
    let roots = roots.ok_or("--ca is needed: RTP over QUIC always checks the server")?;
    let stop = CancellationToken::new();
    let (keyframes, wanted) = watch::channel(0);
    let source = source::open(&args.source, &args.serial, wanted, stop.clone()).await?;
    let tracks: Vec<TrackInfo> = source.tracks().to_vec();
    let mode = if args.mode == "sealed" { Mode::Sealed } else { Mode::Open };
    let nearby = args.nearby.start(args, &api, &keyframes, &stop).await?;
    let (mut periods, keyframes, news) = match mode {
        Mode::Open => (outlet::only(mode, source, &stop), keyframes, None),
        Mode::Sealed => {
            let sealing = Sealing {
                identity: identity.clone(),
                api: api.clone(),
                serial: DeviceId::new(&args.serial).map_err(|error| error.to_string())?,
                channel: Channel(args.channel),
                folder: args.folder.clone(),
                keyframes,
                lan: nearby,
            };
            let sealed = sealing.start(source, stop.clone());
            (sealed.periods, sealed.wanted, Some(sealed.news))
        }
    };
    let (returned, asked) = Returned::new();
    let inventory = inventory::Inventory::load(&args.folder, &args.mode);
    let keeper =
        secret::Keeper::load(&args.folder, &args.serial, api.clone(), args.new_secret, news)?;
    let keeper = keeper.telling(inventory);
    let told = Told::default();
    let keeping = tokio::spawn(keeper.run(told.news(), asked, stop.clone()));
    let ending = tokio::spawn(end_of_life(args.until_stdin_ends, stop.clone()));
    tracing::info!(serial = args.serial, mode = args.mode, "the camera runs");

    let log = args.send_log.as_deref().map(SendLog::create).transpose()?;
    let (mut frames, mut dropped) = (0, 0);
    while let Some(Period { mode, source, over }) = periods.recv().await {
        let source = match &log {
            Some(log) => log.of(source),
            None => source,
        };
        let announce = match mode {
            Mode::Open => RoqTrack::announce,
            Mode::Sealed => RoqTrack::announce_sealed,
        };
        let announced: Vec<_> = tracks.iter().map(announce).collect();
        let open = async || {
            let session = api.roq_publish(args.channel, &announced, mode).await;
            let session = session.map_err(|error| error.to_string())?;
            let server = resolve(&args.server, session.port).await?.ip();
            let (roots, identity) = (roots.clone(), identity.clone());
            Ok::<_, String>(SessionTarget { server, session, roots, identity, endpoint: None })
        };
        let ready = async || returned.wait().await;
        tracing::info!(mode = mode.name(), "what leaves the camera from now on");
        let sent = publish::run(source, open, ready, (keyframes.clone(), told.clone()), over).await;
        (frames, dropped) = (frames + sent.frames, dropped + sent.dropped);
    }
    stop.cancel();
    let _ = keeping.await;
    ending.abort();
    tracing::info!(frames, dropped, "the camera has stopped");
    Ok(())
}

/// Reads the CA to pin.
pub(crate) fn read_roots(path: &Path) -> Result<Roots, String> {
    let pem = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Roots::from_pem(&pem).map_err(|error| format!("{}: {error}", path.display()))
}

/// Address of a UDP port of the server in `origin`.
pub(crate) async fn resolve(origin: &str, port: u16) -> Result<SocketAddr, String> {
    let url = url::Url::parse(origin).map_err(|error| error.to_string())?;
    let host = url.host_str().ok_or("the server's address has no host")?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let mut found: Vec<_> = tokio::net::lookup_host((host.as_str(), port))
        .await
        .map_err(|error| format!("{host} cannot be resolved: {error}"))?
        .collect();
    // The default server listens on IPv4 loopback, which "localhost" lists last on many systems.
    found.sort_by_key(SocketAddr::is_ipv6);
    found.first().copied().ok_or_else(|| format!("{host} has no address"))
}

/// Ends the camera on a signal, or with its parent when that holds its standard input.
async fn end_of_life(until_stdin_ends: bool, stop: CancellationToken) {
    let stdin_ends = async {
        if !until_stdin_ends {
            return std::future::pending().await;
        }
        let mut bytes = [0; 64];
        let mut stdin = tokio::io::stdin();
        while !matches!(stdin.read(&mut bytes).await, Ok(0) | Err(_)) {}
    };
    tokio::select! {
        () = stdin_ends => {
            stop.cancel();
            // The parent is gone or waits; a source that hangs must not keep us.
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            std::process::exit(0);
        }
        _ = tokio::signal::ctrl_c() => stop.cancel(),
        () = stop.cancelled() => {}
    }
}
