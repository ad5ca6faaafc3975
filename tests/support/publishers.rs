//! Cameras of several makes, as processes. Each sends the same kind of test card.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sightline_client::testcard::cli::{Arguments, Container};
use sightline_client::testcard::{Options, ToneCodec};

use super::process::{Output, Process, feed};
use super::server::{Device, HTTPS_ORIGIN, ORIGIN, RTSP, sightline};

/// Port of a camera that the relay pulls from.
pub const CAMERA_PORT: u16 = 9554;

/// Login of that camera.
pub const CAMERA_USER: &str = "admin";
/// Its password.
pub const CAMERA_PASSWORD: &str = "camera-password";

/// A kind of camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Publisher {
    /// The product's own agent, by RTP over QUIC.
    Agent,
    /// FFmpeg pushes by RTSP, interleaved.
    RtspTcp,
    /// FFmpeg pushes by RTSP over UDP.
    RtspUdp,
    /// FFmpeg 9 publishes by WHIP.
    WhipFfmpeg,
    /// aiortc publishes by WHIP.
    WhipAiortc,
    /// GStreamer's RTSP server, which the relay pulls from, with Digest.
    PullGst,
    /// The agent, which seals what it sends.
    AgentSealed,
    /// The agent with a tone in G.711.
    AgentG711,
    /// FFmpeg pushes H.265 and Opus by RTSP, interleaved.
    RtspH265,
    /// FFmpeg pushes H.264 and AAC by RTSP, interleaved.
    RtspAac,
}

/// Size of the picture in the matrix; small, since many decoders share two cores.
pub const WIDTH: u32 = 640;
/// Rows of it.
pub const HEIGHT: u32 = 360;
/// Frames per second.
pub const FPS: u32 = 15;

/// The test card of a device as all publishers send it.
pub fn card(serial: &str) -> Arguments {
    let options = Options {
        serial: serial.to_owned(),
        width: WIDTH,
        height: HEIGHT,
        fps: FPS,
        gop: FPS,
        bitrate: 600_000,
        ..Options::default()
    };
    Arguments { options, container: Container::Matroska, ..Arguments::default() }
}

/// Where the clients' scripts lie.
pub fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

/// Python with the clients' modules.
pub fn python() -> PathBuf {
    std::env::var_os("SIGHTLINE_PYTHON").map_or_else(|| "python3".into(), PathBuf::from)
}

/// The FFmpeg that has a WHIP muxer.
fn ffmpeg_with_whip() -> PathBuf {
    let code = "import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())";
    let output = Command::new(python()).args(["-c", code]).output().expect("python runs");
    let path = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    assert!(!path.is_empty(), "the Python package imageio-ffmpeg is missing");
    path.into()
}

/// Reads the card from standard input without waiting to analyse it.
const INPUT: [&str; 14] = [
    "-hide_banner",
    "-nostdin",
    "-v",
    "warning",
    "-fflags",
    "nobuffer",
    "-probesize",
    "100000",
    "-analyzeduration",
    "300000",
    "-f",
    "matroska",
    "-i",
    "pipe:0",
];

/// The picture as H.265, a keyframe a second.
const H265: [&str; 12] = [
    "-c:v",
    "libx265",
    "-preset",
    "ultrafast",
    "-tune",
    "zerolatency",
    "-b:v",
    "800k",
    "-x265-params",
    "log-level=error:keyint=15:repeat-headers=1:pools=1",
    "-c:a",
    "copy",
];
/// The sound as AAC.
const AAC: [&str; 6] = ["-c:v", "copy", "-c:a", "aac", "-b:a", "64k"];

impl Publisher {
    /// All kinds of transport, each with H.264 and Opus, and then the other codecs.
    pub const ALL: [Self; 10] = [
        Self::Agent,
        Self::AgentSealed,
        Self::RtspTcp,
        Self::RtspUdp,
        Self::WhipFfmpeg,
        Self::WhipAiortc,
        Self::PullGst,
        Self::AgentG711,
        Self::RtspH265,
        Self::RtspAac,
    ];

    /// Name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Agent => "agent RoQ",
            Self::AgentSealed => "agent RoQ, sealed",
            Self::RtspTcp => "ffmpeg RTSP/TCP",
            Self::RtspUdp => "ffmpeg RTSP/UDP",
            Self::WhipFfmpeg => "ffmpeg WHIP",
            Self::WhipAiortc => "aiortc WHIP",
            Self::PullGst => "pull of a gst camera",
            Self::AgentG711 => "agent RoQ, G.711",
            Self::RtspH265 => "ffmpeg RTSP/TCP, H.265",
            Self::RtspAac => "ffmpeg RTSP/TCP, AAC",
        }
    }

    /// Whether it is the product's own agent, which has an identity and no publish password.
    pub fn is_agent(self) -> bool {
        matches!(self, Self::Agent | Self::AgentSealed | Self::AgentG711)
    }

    /// Starts publishing as `device`, with its files in `folder`.
    pub fn start(self, device: &Device, folder: &Path) -> Process {
        let mut card = card(&device.serial);
        if self == Self::AgentG711 {
            card.options.tone = ToneCodec::Pcma;
        }
        self.start_with(device, folder, card)
    }

    /// The same with another card.
    pub fn start_with(self, device: &Device, folder: &Path, card: Arguments) -> Process {
        let name = format!("publish-{}", device.serial);
        if self.is_agent() {
            return Process::start(&name, folder, &mut agent(device, &card), Output::File);
        }
        let mut command = self.command(device);
        command.stdin(Stdio::piped());
        let mut process = Process::start(&name, folder, &mut command, Output::File);
        feed(process.take_stdin(), card);
        process
    }

    fn command(self, device: &Device) -> Command {
        match self {
            Self::Agent | Self::AgentSealed | Self::AgentG711 => {
                agent(device, &card(&device.serial))
            }
            Self::RtspTcp => ffmpeg_rtsp(device, "tcp", &["-c", "copy"]),
            Self::RtspUdp => ffmpeg_rtsp(device, "udp", &["-c", "copy"]),
            Self::RtspH265 => ffmpeg_rtsp(device, "tcp", &H265),
            Self::RtspAac => ffmpeg_rtsp(device, "tcp", &AAC),
            Self::WhipFfmpeg => {
                let mut command = Command::new(ffmpeg_with_whip());
                command
                    .args(INPUT)
                    // Its muxer takes stereo Opus only, and the card's tone is mono.
                    .args(["-map", "0:v", "-c:v", "copy", "-map", "0:a", "-c:a", "libopus"])
                    .args(["-ac", "2", "-ar", "48000", "-application", "lowdelay", "-f", "whip"])
                    .args(["-authorization", &device.password])
                    .arg(whip_url(device));
                command
            }
            Self::WhipAiortc => {
                let mut command = Command::new(python());
                command.arg(script("whip_publish.py")).args([&whip_url(device), &device.password]);
                command
            }
            Self::PullGst => {
                let mut command = Command::new("/usr/bin/python3");
                let port = CAMERA_PORT.to_string();
                command.arg(script("gst_camera.py")).args([
                    "127.0.0.1",
                    &port,
                    CAMERA_USER,
                    CAMERA_PASSWORD,
                ]);
                command
            }
        }
    }
}

/// Address of the camera behind [`Publisher::PullGst`], without its login.
pub fn camera_place() -> String {
    format!("rtsp://127.0.0.1:{CAMERA_PORT}/camera")
}

/// The same with its login.
pub fn camera_url() -> String {
    format!("rtsp://{CAMERA_USER}:{CAMERA_PASSWORD}@127.0.0.1:{CAMERA_PORT}/camera")
}

/// The agent paints its card itself.
fn agent(device: &Device, card: &Arguments) -> Command {
    let folder = device.agent.as_ref().expect("a device that was added with an identity");
    let options = &card.options;
    let gop = f64::from(options.gop) / f64::from(options.fps);
    let mut command = sightline();
    command
        .args(["camera", "--testcard", "--serial", &device.serial, "--server", HTTPS_ORIGIN])
        .arg("--ca")
        .arg(folder.join("ca.pem"))
        .arg("--folder")
        .arg(folder)
        .args(["--width", &options.width.to_string(), "--height", &options.height.to_string()])
        .args(["--fps", &options.fps.to_string(), "--gop", &gop.to_string()])
        .args(["--bitrate", &options.bitrate.to_string(), "--tone", tone_name(options.tone)])
        .args(["--mode", if device.sealed { "sealed" } else { "open" }]);
    command
}

fn tone_name(tone: ToneCodec) -> &'static str {
    match tone {
        ToneCodec::Opus => "opus",
        ToneCodec::Pcma => "pcma",
        ToneCodec::Pcmu => "pcmu",
    }
}

fn whip_url(device: &Device) -> String {
    format!("{ORIGIN}/v1/whip/{}/0", device.serial)
}

fn ffmpeg_rtsp(device: &Device, transport: &str, codecs: &[&str]) -> Command {
    let Device { serial, password, .. } = device;
    let mut command = Command::new("ffmpeg");
    command
        .args(INPUT)
        .args(["-map", "0:v", "-map", "0:a"])
        .args(codecs)
        .args(["-f", "rtsp"])
        .args(["-rtsp_transport", transport])
        .arg(format!("rtsp://{serial}:{password}@127.0.0.1:{RTSP}/{serial}/0"));
    command
}
