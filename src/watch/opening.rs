//! Opening what a sealed camera sends: with the archive key of the device secret, and generations
//! that the pinned camera signed. What does not open is not shown.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde::{Deserialize, Serialize};
use sightline_client::DeviceSecret;
use sightline_client::api::{Api, GenerationsWanted};
use sightline_client::keys::{Binding, ExchangeKey, Generation, Keyring, SigningPublic};
use sightline_client::sealed::{FrameError, FrameOpener};
use sightline_client::watch::WatchedFrame;
use sightline_grant::Redacted;
use sightline_relay_proto::frame::CaptureTime;
use sightline_relay_proto::ids::{Channel, DeviceId};
use sightline_relay_proto::wire::packetize::packetize;

use super::gate::ask;
use crate::data_dir::write_private;

/// Generations asked for at once: those of a switch.
const ASKED: u64 = 4;
/// Time between two questions for a generation that is missing.
const PAUSE: Duration = Duration::from_secs(1);

/// Whose generations are asked for.
pub(super) struct Asker<'a> {
    pub(super) api: &'a Api,
    pub(super) access: &'a Redacted<String>,
    pub(super) serial: &'a str,
    pub(super) channel: u16,
}

/// What this viewer remembers of a camera.
#[derive(Serialize, Deserialize)]
struct Pinned {
    /// Ed25519, base64url.
    camera_key: String,
    binding_epoch: u64,
    /// Newest generation ever taken: one before it is not live any more.
    newest: Option<u64>,
}

/// Opens the frames of one camera.
pub(super) struct Opening<'a> {
    asker: Asker<'a>,
    opener: FrameOpener,
    key: ExchangeKey,
    pinned: Pinned,
    file: PathBuf,
    asked_at: Option<Instant>,
    /// Why nothing of the newest answer could be taken.
    refusal: Option<String>,
    opened: u64,
    delayed: u64,
    refused: BTreeMap<String, u64>,
}

impl<'a> Opening<'a> {
    /// Gets ready to open, with the generations that the server hands out now. `camera_key` wins
    /// over the one that an earlier run has pinned.
    pub(super) async fn prepare(
        asker: Asker<'a>,
        secret: &DeviceSecret,
        camera_key: Option<&str>,
        folder: &Path,
    ) -> Result<Self, String> {
        let devices = asker.api.devices(asker.access).await.map_err(|error| error.to_string())?;
        let device = devices.into_iter().find(|device| device.serial == asker.serial);
        let epoch = device.ok_or("the camera is not bound to this account")?.binding_epoch;
        let serial = DeviceId::new(asker.serial).map_err(|error| error.to_string())?;
        let file = folder.join(format!("{serial}.camera"));
        let asked = || ask("Camera key, as the camera's terminal shows it below the device secret");
        let pinned = pin(&file, camera_key, epoch, asked)?;
        let camera = public(&pinned.camera_key)?;
        let newest = pinned.newest.and_then(Generation::new);
        let keyring = Keyring::live(Binding { serial, epoch }, camera, newest);
        let opener = FrameOpener::new(keyring, Channel(asker.channel));
        let key = secret.archive_key().map_err(|error| error.to_string())?;
        let mut opening = Self {
            asker,
            opener,
            key,
            pinned,
            file,
            asked_at: None,
            refusal: None,
            opened: 0,
            delayed: 0,
            refused: BTreeMap::new(),
        };
        opening.ask().await?;
        Ok(opening)
    }

    /// The frame as an open camera would have sent it; `None` if it does not open.
    pub(super) async fn open(
        &mut self,
        frame: WatchedFrame,
    ) -> Result<Option<WatchedFrame>, String> {
        let Some((_, sealed)) = frame.sealed() else { return Ok(None) };
        let mut unit = Vec::with_capacity(sealed.len());
        let mut opened = self.opener.open(&sealed, now(), &mut unit);
        if let Err(FrameError::MissingGeneration(_)) = opened
            && self.asked_at.is_none_or(|at| at.elapsed() >= PAUSE)
        {
            self.ask().await?;
            opened = self.opener.open(&sealed, now(), &mut unit);
        }
        match opened {
            Ok(opened) => {
                self.opened += 1;
                self.delayed += u64::from(opened.delayed.is_some());
                let payloads = packetize(frame.codec, &unit.into()).into_boxed_slice();
                let captured = Some(opened.info.capture.0);
                Ok(Some(WatchedFrame { sealed: false, payloads, captured, ..frame }))
            }
            Err(error) => {
                *self.refused.entry(error.to_string()).or_default() += 1;
                Ok(None)
            }
        }
    }

    /// One line on what was opened, and one on why not.
    pub(super) fn report(&self) -> String {
        let mut text = format!("opened {} frames", self.opened);
        if self.delayed > 0 {
            text += &format!(", {} of them DELAYED: captured over 5 s from now", self.delayed);
        }
        for (reason, count) in &self.refused {
            text += &format!("\nnot shown: {count} frames: {reason}");
        }
        if let Some(refusal) = self.refusal.as_ref().filter(|_| self.opened == 0) {
            text += &format!("\nthe camera's keys are of no use here: {refusal}");
        }
        text
    }

    /// Asks the server for the newest generations and takes those that are the camera's.
    async fn ask(&mut self) -> Result<(), String> {
        self.asked_at = Some(Instant::now());
        let Asker { api, access, serial, channel } = self.asker;
        let recipient = self.key.public().0;
        let wanted = GenerationsWanted { channel, recipient, after: 0, limit: ASKED };
        let answer = api.generations(access, serial, &wanted).await;
        let mut blobs = answer.map_err(|error| error.to_string())?.generations;
        blobs.sort_by_key(|entry| entry.generation);
        let unix = now().0 / 1_000_000;
        for entry in blobs {
            let taken = self.opener.keyring_mut().accept(&entry.blob, &self.key, unix);
            self.refusal = taken.err().map(|error| error.to_string());
        }
        let newest = self.opener.keyring().newest().map(Generation::number);
        if newest != self.pinned.newest {
            self.pinned.newest = newest;
            store(&self.file, &self.pinned)?;
        }
        Ok(())
    }
}

/// The camera that this viewer trusts: named now, or by an earlier run, or asked for, so that nobody
/// can stand in for it.
fn pin(
    file: &Path,
    camera_key: Option<&str>,
    epoch: u64,
    asked: impl FnOnce() -> Result<String, String>,
) -> Result<Pinned, String> {
    let at = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let held: Option<Pinned> = match std::fs::read(file) {
        Ok(bytes) => Some(serde_json::from_slice(&bytes).map_err(|error| at(&error))?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(at(&error)),
    };
    let pinned = match (held, camera_key) {
        (Some(held), None) if held.binding_epoch == epoch => held,
        (Some(held), Some(key)) if held.binding_epoch == epoch && held.camera_key == key => held,
        (_, given) => {
            let camera_key = given.map_or_else(asked, |key| Ok(key.to_owned()))?;
            Pinned { camera_key, binding_epoch: epoch, newest: None }
        }
    };
    public(&pinned.camera_key)?;
    store(file, &pinned)?;
    Ok(pinned)
}

fn store(file: &Path, pinned: &Pinned) -> Result<(), String> {
    let bytes = serde_json::to_vec(pinned).map_err(|error| error.to_string())?;
    write_private(file, &bytes).map_err(|error| format!("{}: {error}", file.display()))
}

fn public(text: &str) -> Result<SigningPublic, String> {
    let bytes = B64.decode(text.trim()).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| "a camera key is 43 characters of base64url".into())
}

fn now() -> CaptureTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    CaptureTime(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_camera_is_pinned_once_and_a_new_binding_needs_its_key_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("CAM-1.camera");
        let key = B64.encode([7; 32]);
        let nobody = || Err("no answer".to_owned());
        assert!(pin(&file, None, 3, nobody).is_err());
        assert!(pin(&file, Some("short"), 3, nobody).is_err());
        assert!(pin(&file, None, 3, || Ok("short".into())).is_err());
        let mut pinned = pin(&file, None, 3, || Ok(key.clone())).unwrap();
        pinned.newest = Some(1 << 25);
        store(&file, &pinned).unwrap();
        for given in [None, Some(key.as_str())] {
            assert_eq!(pin(&file, given, 3, nobody).unwrap().newest, Some(1 << 25));
        }
        assert!(pin(&file, None, 4, nobody).is_err(), "another owner's camera key is asked for");
        assert_eq!(pin(&file, Some(&key), 4, nobody).unwrap().newest, None);
    }
}
