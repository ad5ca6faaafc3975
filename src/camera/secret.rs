//! The device secret's life on the camera: made after a binding, shown here, proven by viewers.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sightline_client::DeviceSecret;
use sightline_client::api::{Api, DeviceKnown};
use sightline_client::retry::Backoff;
use sightline_grant::Redacted;
use tokio_util::sync::CancellationToken;

use crate::data_dir::write_private;

/// File with the secret and the epochs it belongs to, 0600.
const SECRET_FILE: &str = "secret.txt";
/// Shortest time between two polls, in case the server answers at once for ever.
const POLL_PAUSE: Duration = Duration::from_millis(200);

/// Keeps the secret in step with the binding.
pub(crate) struct Keeper {
    path: PathBuf,
    serial: String,
    api: Api,
    known: DeviceKnown,
    rotate: bool,
}

impl Keeper {
    /// Reads what the folder holds. `rotate`: make a new secret at the next contact.
    pub(crate) fn load(
        folder: &Path,
        serial: &str,
        api: Api,
        rotate: bool,
    ) -> Result<Self, String> {
        let path = folder.join(SECRET_FILE);
        let known = match std::fs::read_to_string(&path) {
            Ok(text) => parse(&text).unwrap_or_default(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => DeviceKnown::default(),
            Err(error) => return Err(format!("{}: {error}", path.display())),
        };
        Ok(Self { path, serial: serial.to_owned(), api, known, rotate })
    }

    /// Polls until `stop`; makes a secret when a new owner has bound the device.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut backoff = Backoff::default();
        loop {
            let wait = tokio::select! {
                () = stop.cancelled() => return,
                step = self.step() => match step {
                    Ok(()) => {
                        backoff.reset();
                        POLL_PAUSE
                    }
                    Err(error) => {
                        tracing::warn!(error, "the server cannot be asked about the binding");
                        backoff.next_wait()
                    }
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    async fn step(&mut self) -> Result<(), String> {
        let state = self.api.device_poll(&self.known).await.map_err(|error| error.to_string())?;
        let new_owner = state.bound && state.binding_epoch != self.known.binding_epoch;
        if state.bound && (state.key_wanted || new_owner || self.rotate) {
            self.make(state.binding_epoch).await?;
            self.rotate = false;
            return Ok(());
        }
        self.known = DeviceKnown {
            binding_epoch: state.binding_epoch,
            key_epoch: state.key_epoch,
            list_version: state.list_version,
            ..DeviceKnown::default()
        };
        Ok(())
    }

    async fn make(&mut self, binding_epoch: u64) -> Result<(), String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let secret = DeviceSecret::generate().map_err(|error| text(&error))?;
        let verifier = secret.auth_key().map_err(|error| text(&error))?.verifier();
        let stored = self.api.put_key_verifier(binding_epoch, &verifier).await;
        let key_epoch = stored.map_err(|error| text(&error))?.key_epoch;
        self.known = DeviceKnown { binding_epoch, key_epoch, ..DeviceKnown::default() };
        let shown = secret.text();
        let line = format!("{}\n{binding_epoch} {key_epoch}\n", shown.expose());
        write_private(&self.path, line.as_bytes()).map_err(|error| text(&error))?;
        self.show(&shown);
        Ok(())
    }

    /// On the camera's own terminal, never in a log and never to the server.
    fn show(&self, secret: &Redacted<String>) {
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "[camera {}] bound to a new owner", self.serial);
        let _ = writeln!(out, "[camera {}] device secret: {}", self.serial, secret.expose());
        let _ = out.flush();
    }
}

/// The epochs in the file's second line.
fn parse(text: &str) -> Option<DeviceKnown> {
    let (binding, key) = text.lines().nth(1)?.split_once(' ')?;
    let (binding_epoch, key_epoch) = (binding.parse().ok()?, key.parse().ok()?);
    Some(DeviceKnown { binding_epoch, key_epoch, ..DeviceKnown::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_remembers_which_binding_its_secret_is_for() {
        let known = parse("AAAA-BBBB\n7 9\n");
        let expected = DeviceKnown { binding_epoch: 7, key_epoch: 9, ..DeviceKnown::default() };
        assert_eq!(known, Some(expected));
        assert_eq!(parse("AAAA-BBBB\n"), None);
        assert_eq!(parse(""), None);
    }
}
