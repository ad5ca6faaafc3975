//! A camera, its owner and terminals, for the tests of keys and of frames.

use std::io;
use std::time::{Duration, Instant};

use sightline_relay_proto::ids::DeviceId;
use zeroize::Zeroizing;

use super::*;
use crate::Identity;
use crate::secret::{AuthKey, DeviceSecret};
use crate::sframe::Suite;

/// Unix time of the tests.
pub(crate) const NOW: u64 = 1_800_000_000;

/// A camera and its owner.
pub(crate) struct Rig {
    pub(crate) identity: Identity,
    pub(crate) secret: DeviceSecret,
    pub(crate) camera: CameraKeys,
    pub(crate) start: Instant,
}

impl Rig {
    /// A device with this serial; the secret follows from `owner`.
    pub(crate) fn new(serial: &str, owner: u8) -> Self {
        let secret = DeviceSecret::from_bytes([owner; 20]);
        let auth = secret.auth_key().expect("derived").verifier();
        let archive = secret.archive_key().expect("derived").public();
        let camera = CameraKeys::new(binding(serial, 3), auth, archive, Suite::default(), None);
        let identity = Identity::generate_device().expect("a key");
        Self { identity, secret, camera, start: Instant::now() }
    }

    pub(crate) fn auth(&self) -> AuthKey {
        self.secret.auth_key().expect("derived")
    }

    /// The pinned identity.
    pub(crate) fn pin(&self) -> SigningPublic {
        match self.identity.public_key() {
            sightline_grant::PublicKey::Ed25519(key) => *key,
            other => panic!("a device has an Ed25519 key, not {other:?}"),
        }
    }

    /// `seconds` after the start, on both clocks.
    pub(crate) fn at(&self, seconds: u64) -> Moment {
        Moment { steady: self.start + Duration::from_secs(seconds), unix: NOW + seconds }
    }

    /// The owner's list with these terminals, signed.
    pub(crate) fn list(&self, version: u64, viewers: &[Viewer]) -> SignedList {
        let binding = self.camera.lists().binding().clone();
        let list = ViewerList::new(binding, version, viewers.to_vec());
        list.expect("a legal list").sign(&self.auth())
    }

    pub(crate) fn take(&mut self, list: &SignedList) {
        self.camera.take_list(list.bytes(), stored).expect("taken");
    }

    pub(crate) fn generation(&mut self, seconds: u64) -> NewGeneration {
        let now = self.at(seconds);
        self.camera.make_generation(&self.identity, now, stored).expect("made")
    }

    pub(crate) fn live(&self) -> Keyring {
        Keyring::live(self.camera.lists().binding().clone(), self.pin(), None)
    }
}

pub(crate) fn binding(serial: &str, epoch: u64) -> Binding {
    Binding { serial: DeviceId::new(serial).expect("a serial"), epoch }
}

/// Keys of terminal `number`.
pub(crate) fn terminal(number: u8) -> TerminalKeys {
    let exchange = ExchangeKey::from_secret(Zeroizing::new([number; 32])).expect("a key");
    TerminalKeys::from_parts(Zeroizing::new([number; 32]), exchange).expect("keys")
}

/// Terminal `number` on a list.
pub(crate) fn viewer(number: u8) -> Viewer {
    Viewer {
        terminal: terminal(number).public(),
        account: format!("account-{number}"),
        scopes: Scopes::LIVE.with(Scopes::PLAYBACK),
        expires: None,
    }
}

pub(crate) fn stored(_: &[u8]) -> io::Result<()> {
    Ok(())
}
