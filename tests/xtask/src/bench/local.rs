//! A server on loopback with loads beside it, on ports that no other server uses.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::child::Running;

/// How long the server may take to listen.
const START_LIMIT: Duration = Duration::from_secs(30);
/// Doors by their names in the configuration, with their ports.
const DOORS: [(&str, u16); 8] = [
    ("http", 18080),
    ("https", 18443),
    ("roq", 18444),
    ("webrtc", 18189),
    ("rtsp", 18554),
    ("rtsps", 18322),
    ("rtsp_udp", 18000),
    ("metrics", 19464),
];

/// A server with an empty data folder; it ends when dropped.
pub(super) struct Local {
    data: PathBuf,
    server: Running,
}

impl Local {
    /// Starts it and waits until it listens.
    pub(super) fn start() -> Result<Self, String> {
        let data = crate::target().join("xtask/bench-data");
        // Nothing there is fine; what cannot be removed shows when the server starts.
        let _ = fs::remove_dir_all(&data);
        fs::create_dir_all(&data).map_err(|error| format!("{}: {error}", data.display()))?;
        let mut command = Command::new(program());
        command.args(["serve", "--no-demo", "--data"]).arg(&data);
        for (name, port) in DOORS {
            command.args([format!("--listen.{name}"), format!("127.0.0.1:{port}")]);
        }
        let mut server = Running::start("server", &mut command)?;
        // The last line of what the server prints when it is ready.
        server.wait_until("its doors were open", START_LIMIT, |said| said.contains("  SMS "))?;
        Ok(Self { data, server })
    }

    /// Process id of the server.
    pub(super) fn id(&self) -> u32 {
        self.server.id()
    }

    /// A load beside it. Its output goes to files of this name.
    pub(super) fn load(&self, name: &'static str, flags: &[String]) -> Result<Running, String> {
        let mut command = Command::new(program());
        command.args(["load", "--server", "https://127.0.0.1:18443", "--data"]);
        command.arg(self.folder()).args(flags);
        Running::start(name, &mut command)
    }

    fn folder(&self) -> &Path {
        &self.data
    }

    /// Ends it as a user would.
    pub(super) fn end(mut self) {
        self.server.interrupt();
    }
}

fn program() -> PathBuf {
    crate::target().join("release/sightline")
}

/// Waits until a load has said that so many viewers are connected.
pub(super) fn await_ready(
    load: &mut Running,
    viewers: usize,
    limit: Duration,
) -> Result<(), String> {
    let ready = format!("ready {viewers}");
    let is_ready = |said: &str| said.lines().any(|line| line.trim() == ready);
    load.wait_until("everybody was connected", limit, is_ready)
}
