//! The server under load: `sightline serve` at one end, `sightline load` at the other.

use std::path::{Path as File, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::child::Running;
use super::network::{Network, ROQ_PORT, RTSP_PORT, SERVER, Side, Traffic};
use super::path::Path;
use super::procfs::{self, Threads};
use super::subject::Subject;

/// How long the server may take to listen.
const START_LIMIT: Duration = Duration::from_secs(30);
/// How long each viewer may take to connect, on top of [`START_LIMIT`]: a handshake, and a login.
const CONNECT_LIMIT: Duration = Duration::from_millis(200);
/// Name of the worker threads.
const WORKER: &str = "relay-";
/// Work in a moment between two frames, ns: timers, and feedback of some viewers. A frame costs
/// each viewer ten times its share.
const CALM: u64 = 60_000;
const CALM_PER_VIEWER: u64 = 400;
/// How long to look for such a moment.
const CALM_LIMIT: Duration = Duration::from_secs(2);
/// Bits of three frames: 4 Mbit/s at 30 frames a second.
const FRAME_BITS: u64 = 400_000;
/// How often to look.
const CALM_POLL: Duration = Duration::from_millis(1);

/// A server with its viewers; both end when dropped.
pub(super) struct Loaded<'a> {
    network: &'a Network,
    path: Path,
    calm: u64,
    server: Running,
    load: Running,
}

/// A look at the server and the counter at one moment.
pub(super) struct Sample {
    at: Instant,
    threads: Threads,
    sleeps: u64,
    traffic: Traffic,
    unread: u64,
    sound: u64,
}

/// What happened between two looks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Span {
    pub(super) seconds: f64,
    /// Processor time of the server, ns.
    pub(super) used: u64,
    /// Times that a worker went to sleep.
    pub(super) sleeps: u64,
    pub(super) traffic: Traffic,
    /// Messages that the viewers' sockets had no room for.
    pub(super) unread: u64,
    /// Packets of sound, where they are counted.
    pub(super) sound: u64,
}

impl<'a> Loaded<'a> {
    /// Starts both and waits until every viewer is connected.
    pub(super) fn start(
        network: &'a Network,
        path: Path,
        viewers: usize,
        rate: u32,
    ) -> Result<Self, String> {
        let data = network.folder().join(format!("{}-{viewers}", path.name()));
        let server = start_server(network, &data)?;
        let load = start_load(network, "load", &data, path, viewers, rate)?;
        let calm = CALM + CALM_PER_VIEWER * viewers as u64;
        Ok(Self { network, path, calm, server, load })
    }

    /// Looks between two frames, so that time and packets are of the same frames. When there is
    /// no calm moment the last try serves.
    pub(super) fn look(&self) -> Result<Sample, String> {
        let id = self.server.id();
        let deadline = Instant::now() + CALM_LIMIT;
        loop {
            let before = procfs::threads(id)?;
            thread::sleep(CALM_POLL);
            let late = Instant::now() > deadline;
            if !late && procfs::used(&before, &procfs::threads(id)?) > self.calm {
                continue;
            }
            let at = Instant::now();
            let traffic = self.network.traffic(self.path.sink())?;
            let threads = procfs::threads(id)?;
            if late || procfs::used(&before, &threads) <= self.calm {
                let sleeps = procfs::sleeps(id, WORKER)?;
                let unread = self.network.unread()?;
                let sound = self.network.sound()?;
                return Ok(Sample { at, threads, sleeps, traffic, unread, sound });
            }
        }
    }

    /// What the server does in this time.
    pub(super) fn watch(&self, time: Duration) -> Result<Span, String> {
        let before = self.look()?;
        thread::sleep(time);
        Ok(self.look()?.since(&before))
    }

    /// Ends both as a user would.
    pub(super) fn end(mut self) {
        self.load.interrupt();
        self.server.interrupt();
    }
}

impl Subject for Loaded<'_> {
    fn process(&self) -> u32 {
        self.server.id()
    }

    fn pause(&self) {
        self.load.pause();
    }

    fn resume(&self) {
        self.load.resume();
    }
}

impl Sample {
    fn since(&self, earlier: &Self) -> Span {
        Span {
            seconds: (self.at - earlier.at).as_secs_f64(),
            used: procfs::used(&earlier.threads, &self.threads),
            sleeps: self.sleeps.saturating_sub(earlier.sleeps),
            traffic: self.traffic.since(earlier.traffic),
            unread: self.unread.saturating_sub(earlier.unread),
            sound: self.sound.saturating_sub(earlier.sound),
        }
    }
}

/// Starts a server and waits until its doors are open.
pub(super) fn start_server(network: &Network, data: &File) -> Result<Running, String> {
    let mut command = network.command(Side::Server, &program());
    command.args(["serve", "--no-demo", "--data"]).arg(data).args(server_flags());
    let mut server = Running::start("server", &mut command)?;
    // The last line of what the server prints when it is ready.
    server.wait_until("its doors were open", START_LIMIT, |said| said.contains("  SMS "))?;
    Ok(server)
}

/// Starts a camera with its viewers and waits until they are connected. `name` is that of its logs.
pub(super) fn start_load(
    network: &Network,
    name: &'static str,
    data: &File,
    path: Path,
    viewers: usize,
    rate: u32,
) -> Result<Running, String> {
    let mut command = network.command(Side::Viewers, &program());
    command.args(["load", "--scripted", "--data"]).arg(data);
    command.args(load_flags(path, viewers, rate));
    let mut load = Running::start(name, &mut command)?;
    let limit = START_LIMIT + CONNECT_LIMIT * u32::try_from(viewers).unwrap_or(u32::MAX);
    let ready = format!("ready {viewers}");
    let is_ready = |said: &str| said.lines().any(|line| line.trim() == ready);
    load.wait_until("its viewers were connected", limit, is_ready)?;
    Ok(load)
}

fn program() -> PathBuf {
    crate::target().join("release/sightline")
}

/// Doors at the cable's end; what is for the operator alone stays on loopback.
fn server_flags() -> Vec<String> {
    let (rtsp, roq) = (RTSP_PORT.to_string(), ROQ_PORT.to_string());
    let doors = [
        ("http", "127.0.0.1", "8080"),
        ("metrics", "127.0.0.1", "9464"),
        ("https", SERVER, "8443"),
        ("roq", SERVER, &roq),
        ("webrtc", SERVER, "8189"),
        ("rtsp", SERVER, &rtsp),
        ("rtsps", SERVER, "8322"),
        ("rtsp_udp", SERVER, "8000"),
    ];
    let door = |(key, address, port): (&str, &str, &str)| {
        [format!("--listen.{key}"), format!("{address}:{port}")]
    };
    let mut flags: Vec<String> = doors.into_iter().flat_map(door).collect();
    let settings = [
        format!("server.public_addresses=[\"{SERVER}\"]"),
        "media.plain_rtsp_play=true".to_owned(),
    ];
    flags.extend(settings.into_iter().flat_map(|setting| ["--set".to_owned(), setting]));
    flags
}

/// One camera with the frames of 4 Mbit/s at 30 a second, and its viewers.
fn load_flags(path: Path, viewers: usize, rate: u32) -> Vec<String> {
    let flags = [
        ("--server", format!("https://{SERVER}:8443")),
        ("--cameras", "1".to_owned()),
        ("--viewers", viewers.to_string()),
        ("--bitrate", (FRAME_BITS * u64::from(rate)).div_ceil(3).to_string()),
        ("--fps", rate.to_string()),
    ];
    let flags = flags.into_iter().flat_map(|(name, value)| [name.to_owned(), value]);
    flags.chain(path.load().iter().map(|&word| word.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_load_is_the_camera_of_the_goals() {
        let flags = load_flags(Path::RtspTcp, 100, 30).join(" ");
        assert_eq!(
            flags,
            "--server https://10.77.0.1:8443 --cameras 1 --viewers 100 --bitrate 4000000 --fps 30 --via rtsp-tcp"
        );
        assert!(server_flags().contains(&"10.77.0.1:8554".to_owned()));
    }
}
