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
use sightline_client::keys::{
    Binding, ExchangeKey, Generation, Keyring, OwnersWord, SigningPublic,
};
use sightline_client::sealed::{FrameError, FrameOpener};
use sightline_client::watch::WatchedFrame;
use sightline_grant::Redacted;
use sightline_relay_proto::frame::CaptureTime;
use sightline_relay_proto::ids::{Channel, DeviceId};
use sightline_relay_proto::wire::packetize::packetize;

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

impl Asker<'_> {
    /// Epoch of the camera's binding.
    pub(super) async fn epoch(&self) -> Result<u64, String> {
        let devices = self.api.devices(self.access).await.map_err(|error| error.to_string())?;
        let device = devices.into_iter().find(|device| device.serial == self.serial);
        Ok(device.ok_or("the camera is not bound to this account")?.binding_epoch)
    }
}

/// What this viewer remembers of a sealed camera.
#[derive(Serialize, Deserialize)]
pub(super) struct Pinned {
    /// Ed25519, base64url.
    camera_key: String,
    pub(super) binding_epoch: u64,
    /// Newest generation ever taken: one before it is not live any more.
    newest: Option<u64>,
    /// Number of the newest sealing order seen, 0 before the first.
    #[serde(default)]
    order: u64,
    /// That order switched sealing off, and no generation was seen since.
    #[serde(default)]
    open: bool,
}

impl Pinned {
    /// A camera that nothing was seen of.
    fn new(camera_key: &str, binding_epoch: u64) -> Self {
        let camera_key = camera_key.to_owned();
        Self { camera_key, binding_epoch, newest: None, order: 0, open: false }
    }

    /// Where a camera is remembered.
    pub(super) fn file(folder: &Path, serial: &DeviceId) -> PathBuf {
        folder.join(format!("{serial}.camera"))
    }

    /// What a file remembers; `None` without one.
    pub(super) fn read(file: &Path) -> Result<Option<Self>, String> {
        let at = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
        match std::fs::read(file) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| at(&error)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(at(&error)),
        }
    }

    /// Remembers it.
    pub(super) fn store(&self, file: &Path) -> Result<(), String> {
        let bytes = serde_json::to_vec(self).map_err(|error| error.to_string())?;
        write_private(file, &bytes).map_err(|error| format!("{}: {error}", file.display()))
    }

    /// What is known of its owner's orders.
    pub(super) fn word(&self) -> OwnersWord {
        OwnersWord { sequence: self.order, open: self.open }
    }

    /// The same camera under a binding whose owner was heard.
    pub(super) fn heard(self, binding_epoch: u64, word: OwnersWord) -> Self {
        let newest = self.newest.filter(|_| binding_epoch == self.binding_epoch);
        Self { binding_epoch, newest, order: word.sequence, open: word.open, ..self }
    }

    /// The camera seals under a newer generation.
    fn seals(&mut self, newest: Option<u64>) {
        self.newest = newest;
        self.open = self.word().sealed_since().open;
    }
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
        let epoch = asker.epoch().await?;
        let serial = DeviceId::new(asker.serial).map_err(|error| error.to_string())?;
        let file = Pinned::file(folder, &serial);
        let pinned = pin(&file, camera_key, epoch)?;
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
        opening.hear_order(secret).await?;
        Ok(opening)
    }

    /// Remembers the owner's newest order, so that no older one lets clear media pass later.
    async fn hear_order(&mut self, secret: &DeviceSecret) -> Result<(), String> {
        let Asker { api, access, serial, .. } = self.asker;
        // Who withholds it gains nothing that this viewer takes for the camera's.
        let Ok(held) = api.enc_mode(access, serial).await else { return Ok(()) };
        let auth = secret.auth_key().map_err(|error| error.to_string())?;
        let binding = self.opener.keyring().binding();
        let word =
            held.order.map(|order| self.pinned.word().after(&order, binding, &auth.verifier()));
        if let Some(Ok(word)) = word {
            self.pinned.order = word.sequence;
            self.pinned.open &= word.open;
            self.pinned.store(&self.file)?;
        }
        Ok(())
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
            self.pinned.seals(newest);
            self.pinned.store(&self.file)?;
        }
        Ok(())
    }
}

/// The camera that this viewer trusts: named now, or by an earlier run.
fn pin(file: &Path, camera_key: Option<&str>, epoch: u64) -> Result<Pinned, String> {
    let pinned = match (Pinned::read(file)?, camera_key) {
        (Some(held), None) if held.binding_epoch == epoch => held,
        (Some(held), Some(key)) if held.binding_epoch == epoch && held.camera_key == key => held,
        (_, Some(key)) => Pinned::new(key, epoch),
        (_, None) => {
            return Err("the camera is sealed: give --camera-key, which its terminal shows below \
                        the device secret, so that nobody can stand in for it"
                .into());
        }
    };
    public(&pinned.camera_key)?;
    pinned.store(file)?;
    Ok(pinned)
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
        assert!(pin(&file, None, 3).err().unwrap().contains("--camera-key"));
        assert!(pin(&file, Some("short"), 3).is_err());
        let mut pinned = pin(&file, Some(&key), 3).unwrap();
        pinned.newest = Some(1 << 25);
        pinned.store(&file).unwrap();
        for given in [None, Some(key.as_str())] {
            assert_eq!(pin(&file, given, 3).unwrap().newest, Some(1 << 25));
        }
        assert!(pin(&file, None, 4).is_err(), "another owner's camera key is asked for");
        assert_eq!(pin(&file, Some(&key), 4).unwrap().newest, None);
    }

    #[test]
    fn an_order_to_be_open_is_remembered_until_the_camera_is_seen_sealing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("CAM-1.camera");
        assert!(Pinned::read(&file).unwrap().is_none());
        let word = OwnersWord { sequence: 5, open: true };
        Pinned::new(&B64.encode([7; 32]), 3).heard(3, word).store(&file).unwrap();
        let mut held = Pinned::read(&file).unwrap().unwrap();
        assert_eq!(held.word(), word);
        held.seals(Some(1 << 25));
        assert_eq!(held.word(), OwnersWord { sequence: 5, open: false });
        std::fs::write(&file, "{").unwrap();
        assert!(Pinned::read(&file).is_err());
    }
}
