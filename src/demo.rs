//! The demo camera: our own binary as a child process that ends with the server.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use sightline_relay_proto::frame::Mode;
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

/// First pause before a demo camera that ended is started again; doubles up to the last one.
const RESTART_FIRST: Duration = Duration::from_secs(1);
/// Longest pause.
const RESTART_LAST: Duration = Duration::from_secs(30);

/// What the demo camera needs to reach its server.
#[derive(Clone, Debug)]
pub(crate) struct DemoCamera {
    /// Its own folder, with its identity.
    pub(crate) folder: PathBuf,
    /// Its serial.
    pub(crate) serial: String,
    /// What it was added as.
    pub(crate) mode: Mode,
    /// Base URL of the API.
    pub(crate) server: String,
    /// CA certificate to pin.
    pub(crate) ca: PathBuf,
}

impl DemoCamera {
    /// Keeps the camera running until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut pause = RESTART_FIRST;
        loop {
            match self.spawn() {
                Ok(mut child) => {
                    // Kept open here: waiting for a child closes the input that it still holds.
                    let input = child.stdin.take();
                    tokio::select! {
                        () = stop.cancelled() => {
                            drop(input);
                            return end(child).await;
                        }
                        status = child.wait() => {
                            tracing::warn!(?status, "the demo camera ended; it starts again");
                        }
                    }
                }
                Err(error) => tracing::warn!(%error, "cannot start the demo camera"),
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(RESTART_LAST);
        }
    }

    fn spawn(&self) -> std::io::Result<Child> {
        let path = |path: &Path| path.as_os_str().to_owned();
        Command::new(std::env::current_exe()?)
            .arg("camera")
            .arg("--testcard")
            .arg("--until-stdin-ends")
            .arg("--serial")
            .arg(&self.serial)
            .arg("--mode")
            .arg(if self.mode == Mode::Sealed { "sealed" } else { "open" })
            .arg("--server")
            .arg(&self.server)
            .arg("--ca")
            .arg(path(&self.ca))
            .arg("--folder")
            .arg(path(&self.folder))
            // The camera stops when this pipe closes, so it never outlives a server that is killed.
            .stdin(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
    }
}

/// The camera's input is closed, which ends it; makes sure that it does.
async fn end(mut child: Child) {
    if tokio::time::timeout(Duration::from_secs(2), child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}
