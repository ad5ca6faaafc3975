//! The other server with what it needs: a feed of RTP, and viewers of its own kind.

use std::time::Duration;

use super::{FRAMES_PER_SECOND, gstreamer, janus};
use crate::bench::bare;
use crate::bench::child::Running;
use crate::bench::network::{Network, SERVER, Side, VIEWERS};
use crate::bench::path::Path;
use crate::bench::subject::Subject;
use crate::process::capture;

/// UDP port of the other server that takes the camera's RTP.
pub(super) const FEED_PORT: u16 = 5004;
/// Payload of the feed's packets, bytes: those of our camera have 1190 with their header.
const FEED_PAYLOAD: &str = "1178";
/// Longest feed, seconds; it is ended before.
const FEED_SECONDS: &str = "3600";
/// How long a server may take to start.
const START_LIMIT: Duration = Duration::from_secs(20);
/// How long each viewer may take to connect, on top of it.
const CONNECT_LIMIT: Duration = Duration::from_millis(500);

/// A load with the server to compare ours with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contest {
    /// WebRTC viewers; Janus' streaming plugin.
    Janus,
    /// RTSP viewers over TCP; GStreamer's RTSP server.
    Gstreamer,
}

impl Contest {
    pub(super) const ALL: [Self; 2] = [Self::Janus, Self::Gstreamer];

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|contest| contest.rival().eq_ignore_ascii_case(name))
    }

    /// Name of the other server.
    pub(super) const fn rival(self) -> &'static str {
        match self {
            Self::Janus => "Janus",
            Self::Gstreamer => "GStreamer",
        }
    }

    /// Our way to the same viewers.
    pub(super) const fn path(self) -> Path {
        match self {
            Self::Janus => Path::Webrtc,
            Self::Gstreamer => Path::RtspTcp,
        }
    }

    /// An error that names the packages to install.
    pub(super) fn ensure_installed(self) -> Result<(), String> {
        let (there, packages) = match self {
            Self::Janus => (janus::is_installed(), janus::PACKAGES),
            Self::Gstreamer => (gstreamer::is_installed(), gstreamer::PACKAGES),
        };
        if there {
            return Ok(());
        }
        Err(format!(
            "{} is missing; as root: apt-get install -y --no-install-recommends {}",
            self.rival(),
            packages.join(" ")
        ))
    }

    /// Version of the package that does the work.
    pub(super) fn version(self) -> String {
        let package = match self {
            Self::Janus => janus::PACKAGES[0],
            Self::Gstreamer => gstreamer::VERSIONED,
        };
        let text = capture("dpkg-query", &["-W", "-f", "${Version}", package]);
        text.unwrap_or_else(|| "unknown".to_owned())
    }
}

/// The other server under load; all ends when dropped.
pub(super) struct Rival {
    feed: Running,
    viewers: Running,
    server: Running,
}

impl Rival {
    /// Starts it and waits until every viewer is connected.
    pub(super) fn start(
        network: &Network,
        contest: Contest,
        viewers: usize,
    ) -> Result<Self, String> {
        let (mut command, ready) = match contest {
            Contest::Janus => (janus::server(network)?, janus::READY),
            Contest::Gstreamer => (gstreamer::server(network)?, gstreamer::READY),
        };
        let mut server = Running::start(contest.rival(), &mut command)?;
        server.wait_until("it was ready", START_LIMIT, |said| said.contains(ready))?;
        // The feed is there first: GStreamer answers nobody before it has seen a packet.
        let feed = feed(network)?;
        let mut command = match contest {
            Contest::Janus => janus::viewers(network, viewers),
            Contest::Gstreamer => gstreamer::viewers(network, viewers),
        };
        let mut running = Running::start("viewers", &mut command)?;
        let limit = START_LIMIT + CONNECT_LIMIT * u32::try_from(viewers).unwrap_or(u32::MAX);
        let line = format!("ready {viewers}");
        let is_ready = |said: &str| said.lines().any(|it| it.trim() == line);
        running.wait_until("its viewers were connected", limit, is_ready)?;
        Ok(Self { feed, viewers: running, server })
    }
}

impl Subject for Rival {
    fn process(&self) -> u32 {
        self.server.id()
    }

    fn pause(&self) {
        self.feed.pause();
        self.viewers.pause();
    }

    fn resume(&self) {
        self.viewers.resume();
        self.feed.resume();
    }
}

/// The camera: a bare loop that sends plain RTP at the camera's rate.
fn feed(network: &Network) -> Result<Running, String> {
    let mut command = network.command(Side::Viewers, &bare::program("rtp_udp"));
    let ports = format!("{FEED_PORT}..{}", FEED_PORT + 1);
    command.args(["--from", VIEWERS, "--to", SERVER, "--ports", &ports]);
    command.args(["--payload", FEED_PAYLOAD, "--seconds", FEED_SECONDS]);
    command.args(["--fps", &FRAMES_PER_SECOND.to_string()]);
    Running::start("feed", &mut command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contests_are_named_by_the_other_server() {
        for contest in Contest::ALL {
            assert_eq!(Contest::named(&contest.rival().to_lowercase()), Some(contest));
        }
        assert_eq!(Contest::named("sightline"), None);
    }
}
