//! The command line.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use clap::{Args, Parser, Subcommand};

use crate::config::{Overrides, Raw};
use crate::{admin, camera, config, load, openapi, serve, viewers, watch};

/// Where data goes unless told otherwise.
const DEFAULT_DATA: &str = "./sightline-data";

#[derive(Parser)]
#[command(name = "sightline", version, about = "A camera cloud whose relay cannot look")]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// Print the SHA-256 of every file of the page, to compare with what a server hands out, and end
    #[arg(long, exclusive = true)]
    page_hashes: bool,
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Subcommand)]
enum Command {
    /// Run relay, signaling and control plane in one process (the default)
    Serve(ServeArgs),
    /// Run a camera: push a clip, a pulled RTSP camera or the test card by RTP over QUIC
    Camera(camera::CameraArgs),
    /// Watch a camera: statistics, and the stream for a player
    Watch(watch::WatchArgs),
    /// Say who may open a sealed camera: list its terminals, let one in, remove one
    Viewers(viewers::ViewersArgs),
    /// Put load on a development server: many cameras and viewers that check what they get
    Load(Box<load::LoadArgs>),
    /// Manage accounts, devices and backups of a stopped or running server
    Admin(admin::AdminArgs),
    /// Show or check the configuration
    Config(ConfigArgs),
    /// Print the description of the HTTP API (OpenAPI 3.1)
    Openapi,
    /// Write the test card to standard output in real time
    Testcard(camera::TestcardArgs),
}

/// Flags that choose data and configuration.
#[derive(Args, Clone)]
pub(crate) struct Place {
    /// Data folder
    #[arg(long, env = "SIGHTLINE_DATA", default_value = DEFAULT_DATA)]
    pub(crate) data: PathBuf,
    /// Configuration file (TOML)
    #[arg(long, env = "SIGHTLINE_CONFIG")]
    pub(crate) config: Option<PathBuf>,
}

/// Flags of `serve`.
#[derive(Args, Clone)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Listen on every address of the machine; http redirects to https
    #[arg(long)]
    pub(crate) lan: bool,
    /// Allow development stand-ins (SMS codes on this terminal) together with --lan
    #[arg(long)]
    pub(crate) dev: bool,
    /// Do not run the demo camera
    #[arg(long)]
    pub(crate) no_demo: bool,
    #[command(flatten)]
    listen: ListenArgs,
    /// Any configuration key, e.g. --set server.name=cam.example
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

#[derive(Args, Clone)]
struct ListenArgs {
    /// Page and API
    #[arg(long = "listen.http", value_name = "ADDRESS")]
    http: Option<SocketAddr>,
    /// Page and API over TLS
    #[arg(long = "listen.https", value_name = "ADDRESS")]
    https: Option<SocketAddr>,
    /// RTP over QUIC (UDP)
    #[arg(long = "listen.roq", value_name = "ADDRESS")]
    roq: Option<SocketAddr>,
    /// WebRTC (UDP)
    #[arg(long = "listen.webrtc", value_name = "ADDRESS")]
    webrtc: Option<SocketAddr>,
    /// RTSP
    #[arg(long = "listen.rtsp", value_name = "ADDRESS")]
    rtsp: Option<SocketAddr>,
    /// RTSP over TLS
    #[arg(long = "listen.rtsps", value_name = "ADDRESS")]
    rtsps: Option<SocketAddr>,
    /// RTP of RTSP over UDP (RTCP on the next port)
    #[arg(long = "listen.rtsp_udp", value_name = "ADDRESS")]
    rtsp_udp: Option<SocketAddr>,
    /// Prometheus metrics
    #[arg(long = "listen.metrics", value_name = "ADDRESS")]
    metrics: Option<SocketAddr>,
}

impl ServeArgs {
    /// File, environment and flags as one configuration.
    pub(crate) fn load(&self) -> Result<Raw, String> {
        let listen = &self.listen;
        let flags = [
            ("listen.http", listen.http),
            ("listen.https", listen.https),
            ("listen.roq", listen.roq),
            ("listen.webrtc", listen.webrtc),
            ("listen.rtsp", listen.rtsp),
            ("listen.rtsps", listen.rtsps),
            ("listen.rtsp_udp", listen.rtsp_udp),
            ("listen.metrics", listen.metrics),
        ];
        let mut overrides = Overrides::default();
        for (key, value) in flags {
            if let Some(value) = value {
                overrides.values.push((key.to_owned(), value.to_string()));
            }
        }
        for pair in &self.set {
            let (key, value) =
                pair.split_once('=').ok_or_else(|| format!("--set {pair} is not KEY=VALUE"))?;
            overrides.values.push((key.to_owned(), value.to_owned()));
        }
        config::load(self.place.config.as_deref(), env(), &overrides)
            .map_err(|error| error.to_string())
    }
}

#[derive(Args)]
struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Print the configuration in force, with every default
    Print(Box<ServeArgs>),
    /// Check a configuration file
    Check {
        /// The file
        file: PathBuf,
    },
}

/// Variables of the environment that are text.
fn env() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// Runs the command line.
pub(crate) fn run() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.command {
        None if cli.page_hashes => print_page_hashes(),
        None => serve::run(&cli.serve),
        Some(Command::Serve(args)) => serve::run(&args),
        Some(Command::Camera(args)) => camera::run(&args),
        Some(Command::Watch(args)) => watch::run(&args),
        Some(Command::Viewers(args)) => viewers::run(&args),
        Some(Command::Load(args)) => load::run(&args),
        Some(Command::Admin(args)) => admin::run(&args),
        Some(Command::Config(args)) => run_config(&args),
        Some(Command::Openapi) => openapi::print(),
        Some(Command::Testcard(args)) => camera::run_testcard(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("sightline: {text}");
            ExitCode::FAILURE
        }
    }
}

/// A line a file: the hash as pages write it for subresource integrity, and the path.
fn print_page_hashes() -> Result<(), String> {
    let mut out = std::io::stdout().lock();
    for (path, hash) in sightline_signaling::page_hashes() {
        writeln!(out, "sha256-{} {path}", BASE64.encode(hash))
            .map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn run_config(args: &ConfigArgs) -> Result<(), String> {
    match &args.command {
        ConfigCommand::Print(args) => {
            let raw = args.load()?;
            print!("{}", toml::to_string(&raw).map_err(|error| error.to_string())?);
            Ok(())
        }
        ConfigCommand::Check { file } => check(file),
    }
}

fn check(file: &Path) -> Result<(), String> {
    config::load(Some(file), std::iter::empty(), &Overrides::default())
        .map_err(|error| error.to_string())?;
    println!("{} is good", file.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
