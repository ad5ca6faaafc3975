//! `sightline load`: cameras and viewers that put load on a server in development SMS mode, and
//! check what they get. They go through every door like any app; nothing is passed by.

mod camera;
mod clock;
mod crowd;
mod gate;
mod histogram;
mod inbox;
mod picture;
mod report;
mod roq;
mod rtsp;
mod run;
mod sealing;
mod sound;
mod stamp;
mod viewer;
mod web;
mod whep;

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use sightline_client::api::ApiError;
use sightline_client::whep::SrtpOffer;

use self::camera::Picture;
use self::picture::Sizes;
use crate::files;

/// Most cameras and viewers of a run.
const MAX_CAMERAS: usize = 10_000;
const MAX_VIEWERS: usize = 100_000;
/// Files that the process needs beside those of cameras and viewers.
const OTHER_FILES: usize = 256;

/// Arguments of `load`.
#[derive(Args)]
pub(crate) struct LoadArgs {
    /// The server's data folder: cameras are added there and SMS codes are read there
    #[arg(long, env = "SIGHTLINE_DATA")]
    data: PathBuf,
    /// Server
    #[arg(long, default_value = "https://localhost:8443")]
    server: String,
    /// Number of cameras
    #[arg(long, default_value_t = 1)]
    cameras: usize,
    /// Cameras seal what they send, and viewers open it. Only over RTP over QUIC and WebTransport
    #[arg(long, conflicts_with = "audio")]
    sealed: bool,
    /// Number of viewers, spread evenly over the cameras; 0: cameras alone
    #[arg(long, default_value_t = 1)]
    viewers: usize,
    /// Ways that viewers watch, spread evenly; a way that is named again gets another share
    #[arg(long, value_enum, value_delimiter = ',', default_value = "whep")]
    via: Vec<Egress>,
    /// SRTP profiles that WHEP viewers offer
    #[arg(long, value_enum, default_value_t = Srtp::All)]
    srtp: Srtp,
    /// Bits of RTP a second and camera, headers included; K and M are thousands and millions
    #[arg(long, default_value = "4M", value_parser = parse_bitrate)]
    bitrate: u64,
    /// Frames a second
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=240))]
    fps: u32,
    /// Cameras send sound too: an Opus packet of 64 kbit/s every 20 ms. Only for viewers that do not
    /// read, since they check pictures
    #[arg(long, requires = "scripted")]
    audio: bool,
    /// Seconds from one keyframe to the next
    #[arg(long, default_value_t = 2.0)]
    gop: f64,
    /// How much larger a keyframe is than another frame
    #[arg(long, default_value_t = 1.0)]
    keyframe_factor: f64,
    /// Measure this long once everybody is connected (else until interrupted)
    #[arg(long)]
    seconds: Option<f64>,
    /// Our addresses that viewers connect from, in turn; the server limits requests by address
    #[arg(long, value_delimiter = ',')]
    from: Vec<IpAddr>,
    /// Viewers keep their sessions alive but do not read media
    #[arg(long)]
    scripted: bool,
    /// WHEP viewers offer transport-wide feedback and send it ten times a second. Only for viewers that
    /// do not read: it says that all has arrived
    #[arg(long, requires = "scripted")]
    transport_feedback: bool,
    /// Missing packets, of all viewers together, that do not fail the run
    #[arg(long, default_value_t = 0)]
    max_gaps: u64,
    /// Print the report as one line of JSON
    #[arg(long)]
    json: bool,
}

/// SRTP profiles of an offer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Srtp {
    All,
    Aes128Gcm,
    Aes128CmSha1_80,
}

impl From<Srtp> for SrtpOffer {
    fn from(srtp: Srtp) -> Self {
        match srtp {
            Srtp::All => Self::All,
            Srtp::Aes128Gcm => Self::Aes128Gcm,
            Srtp::Aes128CmSha1_80 => Self::Aes128CmSha1,
        }
    }
}

/// A way out of the server.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, ValueEnum)]
enum Egress {
    Whep,
    RtspTcp,
    RtspUdp,
    Roq,
    /// Viewers that allow no streams.
    RoqDatagrams,
    Webtransport,
}

impl Egress {
    const ALL: [Self; 6] = [
        Self::Whep,
        Self::RtspTcp,
        Self::RtspUdp,
        Self::Roq,
        Self::RoqDatagrams,
        Self::Webtransport,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Whep => "whep",
            Self::RtspTcp => "rtsp-tcp",
            Self::RtspUdp => "rtsp-udp",
            Self::Roq => "roq",
            Self::RoqDatagrams => "roq-datagrams",
            Self::Webtransport => "webtransport",
        }
    }

    /// Whether it carries sealed frames.
    fn takes_sealed(self) -> bool {
        matches!(self, Self::Roq | Self::RoqDatagrams | Self::Webtransport)
    }

    /// Its place in [`Self::ALL`].
    fn index(self) -> usize {
        self as usize
    }
}

/// Why a viewer could not connect, in words that can be counted.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Failure(String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self(error.problem().map_or_else(|| error.to_string(), str::to_owned))
    }
}

/// Runs the load until its time is over or it is interrupted.
pub(crate) fn run(args: &LoadArgs) -> Result<(), String> {
    let picture = check(args)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let report = runtime.block_on(run::load(args, picture))?;
    println!("{}", if args.json { report.json() } else { report.text() });
    report.failure().map_or(Ok(()), Err)
}

/// What can be said before anything is started.
fn check(args: &LoadArgs) -> Result<Picture, String> {
    if !(1..=MAX_CAMERAS).contains(&args.cameras) || args.viewers > MAX_VIEWERS {
        return Err(format!("--cameras is 1 to {MAX_CAMERAS}, --viewers at most {MAX_VIEWERS}"));
    }
    if args.sealed && args.via.iter().any(|egress| !egress.takes_sealed()) {
        return Err(
            "--sealed cameras are watched --via roq, roq-datagrams or webtransport: others have no key".into()
        );
    }
    let good = |value: f64| value.is_finite() && value > 0.0;
    if !good(args.gop) || !good(args.keyframe_factor) || !args.seconds.is_none_or(good) {
        return Err("--gop, --keyframe-factor and --seconds are more than 0".into());
    }
    let needed = needed_files(args);
    if let Some(limit) = files::raise_limit().filter(|limit| *limit < needed as u64) {
        return Err(format!(
            "this run needs about {needed} open files, the hard limit is {limit}: raise it with \
             `ulimit -Hn {needed}` as root, or in /etc/security/limits.conf"
        ));
    }
    let sizes = Sizes::new(args.bitrate, args.fps, args.keyframe_factor)?;
    let gop = (args.gop * f64::from(args.fps)).round().max(1.0) as u64;
    Ok(Picture { sizes, fps: args.fps, gop, sound: args.audio })
}

/// Open files that a run needs: sockets of cameras with their API, and of viewers.
fn needed_files(args: &LoadArgs) -> usize {
    let of = |egress: &Egress| match egress {
        Egress::Whep | Egress::RtspTcp => 1,
        Egress::RtspUdp => 3,
        Egress::Roq | Egress::RoqDatagrams | Egress::Webtransport => 0,
    };
    let viewers = args.viewers.div_ceil(args.via.len()) * args.via.iter().map(of).sum::<usize>();
    args.cameras * 4 + viewers + args.viewers / roq::VIEWERS_PER_SOCKET + OTHER_FILES
}

/// Bits a second, with K or M behind.
fn parse_bitrate(text: &str) -> Result<u64, String> {
    let (digits, factor) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 1e3),
        Some(b'm' | b'M') => (&text[..text.len() - 1], 1e6),
        _ => (text, 1.0),
    };
    let value: f64 = digits.parse().map_err(|_| "a number, with K or M behind".to_owned())?;
    let bits = value * factor;
    if !(1.0..1e12).contains(&bits) {
        return Err("more than 0".into());
    }
    Ok(bits as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bitrate_is_a_number_with_a_unit() {
        for (text, bits) in [("4M", 4_000_000), ("2.5m", 2_500_000), ("64k", 64_000), ("9", 9)] {
            assert_eq!(parse_bitrate(text), Ok(bits));
        }
        assert!(["", "M", "-1", "0", "4G", "nan"].iter().all(|text| parse_bitrate(text).is_err()));
    }

    #[test]
    fn sealed_cameras_are_watched_where_viewers_have_keys() {
        let sealed = |egress: &&Egress| egress.takes_sealed();
        let those: Vec<_> = Egress::ALL.iter().filter(sealed).map(|egress| egress.name()).collect();
        assert_eq!(those, ["roq", "roq-datagrams", "webtransport"]);
    }

    #[test]
    fn srtp_profiles_have_their_names() {
        let names: Vec<_> = Srtp::value_variants()
            .iter()
            .map(|srtp| srtp.to_possible_value().unwrap().get_name().to_owned())
            .collect();
        assert_eq!(names, ["all", "aes128-gcm", "aes128-cm-sha1-80"]);
    }

    #[test]
    fn ways_out_have_their_names_and_places() {
        for (at, egress) in Egress::ALL.into_iter().enumerate() {
            let value = egress.to_possible_value().unwrap();
            assert_eq!((value.get_name(), egress.index()), (egress.name(), at));
        }
    }
}
