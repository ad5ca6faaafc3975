//! What a viewer remembers of a camera: its identity, the newest generation, and its owner's word on
//! sealing. What is remembered wins over what the server says.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde::{Deserialize, Serialize};
use sightline_client::keys::{Binding, OwnersWord, SigningPublic};
use sightline_client::secret::CameraCheck;
use sightline_relay_proto::ids::DeviceId;

use super::gate::ask;
use crate::data_dir::write_private;

/// What its owner says of a camera.
#[derive(Clone, Copy, Default)]
pub(crate) struct Named<'a> {
    /// Its key.
    pub(crate) camera_key: Option<&'a str>,
    /// What it showed with the device secret.
    pub(crate) check: Option<CameraCheck>,
}

/// What this viewer remembers of a sealed camera.
#[derive(Serialize, Deserialize)]
pub(super) struct Pinned {
    /// Ed25519, base64url.
    pub(super) camera_key: String,
    pub(super) binding_epoch: u64,
    /// Newest generation ever taken: one before it is not live any more.
    pub(super) newest: Option<u64>,
    /// Number of the newest sealing order seen, 0 before the first.
    #[serde(default)]
    order: u64,
    /// That order switched sealing off, and no generation was seen since.
    #[serde(default)]
    open: bool,
}

impl Pinned {
    /// A camera that nothing was seen of.
    fn new(camera_key: String, binding_epoch: u64) -> Self {
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

    /// An order was heard of a camera that is watched sealed: it opens nothing.
    pub(super) fn hear_while_sealed(&mut self, word: OwnersWord) {
        self.order = word.sequence;
        self.open &= word.open;
    }

    /// The camera seals under a newer generation.
    pub(super) fn seals(&mut self, newest: Option<u64>) {
        self.newest = newest;
        self.open = self.word().sealed_since().open;
    }
}

/// Trusts a camera from now on.
pub(crate) fn trust(
    folder: &Path,
    binding: &Binding,
    camera: &SigningPublic,
) -> Result<(), String> {
    let key = B64.encode(camera);
    let named = Named { camera_key: Some(&key), check: None };
    pin(&Pinned::file(folder, &binding.serial), named, binding.epoch, ask_key).map(drop)
}

/// The camera's key that this viewer trusts under a binding, or the one that is named now, which it
/// trusts then.
pub(crate) fn trusted(
    folder: &Path,
    binding: &Binding,
    named: Named<'_>,
) -> Result<SigningPublic, String> {
    let file = Pinned::file(folder, &binding.serial);
    public(&pin(&file, named, binding.epoch, ask_key)?.camera_key)
}

/// Asks the owner, who reads it on the camera's terminal.
pub(super) fn ask_key() -> Result<String, String> {
    ask("Camera key, as the camera's terminal shows it below the device secret")
}

/// The camera that this viewer trusts: named now, or by an earlier run, or asked for, so that nobody
/// can stand in for it.
pub(super) fn pin(
    file: &Path,
    named: Named<'_>,
    epoch: u64,
    asked: impl FnOnce() -> Result<String, String>,
) -> Result<Pinned, String> {
    let pinned = match (Pinned::read(file)?, named.camera_key) {
        (Some(held), None) if held.binding_epoch == epoch => held,
        (Some(held), Some(key)) if held.binding_epoch == epoch && held.camera_key == key => held,
        (_, Some(key)) => Pinned::new(key.to_owned(), epoch),
        (_, None) => Pinned::new(asked()?, epoch),
    };
    let camera = public(&pinned.camera_key)?;
    if named.check.is_some_and(|check| check != CameraCheck::of(&camera)) {
        let told = "another camera than this one showed the device secret; nothing is opened";
        return Err(told.into());
    }
    pinned.store(file)?;
    Ok(pinned)
}

/// A camera key from its text.
pub(super) fn public(text: &str) -> Result<SigningPublic, String> {
    let bytes = B64.decode(text.trim()).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| "a camera key is 43 characters of base64url".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_of(key: &str) -> Named<'_> {
        Named { camera_key: Some(key), check: None }
    }

    #[test]
    fn a_camera_is_pinned_once_and_a_new_binding_needs_its_key_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("CAM-1.camera");
        let key = B64.encode([7; 32]);
        let nobody = || Err("no answer".to_owned());
        assert!(pin(&file, Named::default(), 3, nobody).is_err());
        assert!(pin(&file, key_of("short"), 3, nobody).is_err());
        assert!(pin(&file, Named::default(), 3, || Ok("short".into())).is_err());
        let mut pinned = pin(&file, Named::default(), 3, || Ok(key.clone())).unwrap();
        pinned.newest = Some(1 << 25);
        pinned.store(&file).unwrap();
        for given in [Named::default(), key_of(&key)] {
            assert_eq!(pin(&file, given, 3, nobody).unwrap().newest, Some(1 << 25));
        }
        let other = pin(&file, Named::default(), 4, nobody);
        assert!(other.is_err(), "another owner's camera key is asked for");
        assert_eq!(pin(&file, key_of(&key), 4, nobody).unwrap().newest, None);
    }

    #[test]
    fn a_camera_that_did_not_show_the_secret_is_not_pinned() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("CAM-1.camera");
        let key = B64.encode([7; 32]);
        let checked = |camera| Named { check: Some(CameraCheck::of(&camera)), ..key_of(&key) };
        let nobody = || Err("no answer".to_owned());
        assert!(pin(&file, checked([8; 32]), 3, nobody).is_err());
        assert!(!file.exists(), "what is refused is not remembered");
        assert!(pin(&file, checked([7; 32]), 3, nobody).is_ok());
        let later = Named { camera_key: None, ..checked([8; 32]) };
        assert!(pin(&file, later, 3, nobody).is_err(), "nor later");
    }

    #[test]
    fn an_order_to_be_open_is_remembered_until_the_camera_is_seen_sealing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("CAM-1.camera");
        assert!(Pinned::read(&file).unwrap().is_none());
        let word = OwnersWord { sequence: 5, open: true };
        Pinned::new(B64.encode([7; 32]), 3).heard(3, word).store(&file).unwrap();
        let mut held = Pinned::read(&file).unwrap().unwrap();
        assert_eq!(held.word(), word);
        held.seals(Some(1 << 25));
        assert_eq!(held.word(), OwnersWord { sequence: 5, open: false });
        std::fs::write(&file, "{").unwrap();
        assert!(Pinned::read(&file).is_err());
    }
}
