//! GStreamer's RTSP server as a relay (`gstreamer.py`).

use std::path::PathBuf;
use std::process::Command;

use super::rival::FEED_PORT;
use crate::bench::bare;
use crate::bench::network::{BARE_TCP_PORT, Network, SERVER, Side};
use crate::process::capture;

/// Debian packages that it needs.
pub(super) const PACKAGES: &[&str] = &[
    "python3-gi",
    "gir1.2-gst-rtsp-server-1.0",
    "gstreamer1.0-tools",
    "gstreamer1.0-plugins-good",
];
/// The one whose version tells which server it is.
pub(super) const VERSIONED: &str = "gir1.2-gst-rtsp-server-1.0";
/// What it says when it listens.
pub(super) const READY: &str = "ready";

/// The system's Python, which has the packages' modules.
const PYTHON: &str = "/usr/bin/python3";
/// Its port is one that the counter counts.
const PORT: u16 = BARE_TCP_PORT;

pub(super) fn is_installed() -> bool {
    let modules = "import gi; gi.require_version('GstRtspServer', '1.0'); \
                   from gi.repository import GstRtspServer";
    capture(PYTHON, &["-c", modules]).is_some() && capture("gst-inspect-1.0", &["udpsrc"]).is_some()
}

pub(super) fn server(network: &Network) -> Result<Command, String> {
    let script: PathBuf = crate::root().join("tests/xtask/src/bench/compare/gstreamer.py");
    let mut command = network.command(Side::Server, PYTHON.as_ref());
    command.arg(script).args([SERVER, &PORT.to_string(), &FEED_PORT.to_string()]);
    Ok(command)
}

pub(super) fn viewers(network: &Network, count: usize) -> Command {
    let mut command = network.command(Side::Viewers, &bare::program("rtsp_drain"));
    command.args(["--url", &format!("rtsp://{SERVER}:{PORT}/relay")]);
    command.args(["--count", &count.to_string()]);
    command
}
