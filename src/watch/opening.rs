//! Opening what a sealed camera sends: with this terminal's key or the archive key of the device
//! secret, and generations that the pinned camera signed. What does not open is not shown.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sightline_client::api::{Api, Device, GenerationsWanted};
use sightline_client::keys::{Binding, ExchangeKey, Generation, Keyring, SigningPublic};
use sightline_client::sealed::{FrameError, FrameOpener};
use sightline_client::watch::WatchedFrame;
use sightline_grant::Redacted;
use sightline_relay_proto::frame::CaptureTime;
use sightline_relay_proto::ids::{Channel, DeviceId};
use sightline_relay_proto::wire::packetize::packetize;

use super::pinned::{Named, Pinned, ask_key, pin, public};

/// Generations asked for at once: those of a switch.
const ASKED: u64 = 4;
/// Time between two questions for a generation that is missing.
const PAUSE: Duration = Duration::from_secs(1);

/// Who asks the server, and about which camera.
pub(crate) struct Asker<'a> {
    pub(crate) api: &'a Api,
    pub(crate) access: &'a Redacted<String>,
    pub(crate) serial: &'a str,
    pub(crate) channel: u16,
}

impl Asker<'_> {
    /// What the server says of the camera.
    pub(crate) async fn device(&self) -> Result<Device, String> {
        let devices = self.api.devices(self.access).await.map_err(|error| error.to_string())?;
        let device = devices.into_iter().find(|device| device.serial == self.serial);
        device.ok_or_else(|| "the camera is not bound to this account".into())
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
    /// Gets ready to open, with the generations that the server hands out now. The key that is named
    /// wins over the one that an earlier run has pinned. `owner` verifies sealing orders, where it is
    /// known.
    pub(super) async fn prepare(
        asker: Asker<'a>,
        key: ExchangeKey,
        named: Named<'_>,
        owner: Option<SigningPublic>,
        folder: &Path,
    ) -> Result<Self, String> {
        let device = asker.device().await?;
        let epoch = device.binding_epoch;
        let serial = DeviceId::new(asker.serial).map_err(|error| error.to_string())?;
        let file = Pinned::file(folder, &serial);
        // A check that was typed proves the server's word right or wrong.
        let told = device.identity.filter(|_| named.check.is_some());
        let pinned = pin(&file, named, epoch, || told.map_or_else(ask_key, Ok))?;
        let camera = public(&pinned.camera_key)?;
        let newest = pinned.newest.and_then(Generation::new);
        let keyring = Keyring::live(Binding { serial, epoch }, camera, newest);
        let opener = FrameOpener::new(keyring, Channel(asker.channel));
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
        if let Some(owner) = owner {
            opening.hear_order(&owner).await?;
        }
        Ok(opening)
    }

    /// Remembers the owner's newest order, so that no older one lets clear media pass later.
    async fn hear_order(&mut self, owner: &SigningPublic) -> Result<(), String> {
        let Asker { api, access, serial, .. } = self.asker;
        // Who withholds it gains nothing that this viewer takes for the camera's.
        let Ok(held) = api.enc_mode(access, serial).await else { return Ok(()) };
        let binding = self.opener.keyring().binding();
        let word = held.order.map(|order| self.pinned.word().after(&order, binding, owner));
        if let Some(Ok(word)) = word {
            self.pinned.hear_while_sealed(word);
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

fn now() -> CaptureTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    CaptureTime(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}
