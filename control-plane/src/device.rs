//! What a device asks over its own identity: how it stands, and where its key verifier goes.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sightline_grant::{Revocation, Thumbprint};
use tokio::time::timeout;

use crate::ControlPlane;
use crate::error::Inner;
use crate::ids::Serial;
use crate::limits::POLL_HOLD_SECS;
use crate::storage::model::{DeviceEpochs, DeviceKind, DeviceState, StoredOrder, VerifierPut};

/// Whether a device is to seal its media.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EncMode {
    /// The camera encrypts; nobody but viewers can look.
    Sealed,
    /// The camera sends clear media.
    Open,
}

/// How a device stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceStanding {
    /// Whether someone owns it.
    pub bound: bool,
    /// Counters.
    pub epochs: DeviceEpochs,
    /// Whether it should make a device secret and upload its verifier.
    pub key_wanted: bool,
    /// Version of the viewer list of its binding; 0 without one.
    pub list_version: u64,
    /// Whether it is to seal.
    pub enc_mode: EncMode,
    /// The order that says so; without one a device seals.
    pub enc_order: Option<StoredOrder>,
    /// Its owner agrees that it tells what it is made of, and it has not yet.
    pub inventory_wanted: bool,
}

impl DeviceStanding {
    /// Number of the sealing order; 0 without one.
    pub fn enc_sequence(&self) -> u64 {
        self.enc_order.as_ref().map_or(0, |order| order.sequence)
    }
}

/// What a device was told last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct DeviceKnown {
    /// Counters.
    pub epochs: DeviceEpochs,
    /// Version of the viewer list, whether the device took that list or refused it.
    pub list_version: u64,
    /// Number of the sealing order; `None` of a device that does not ask for orders.
    pub enc_sequence: Option<u64>,
    /// The device tells what it is made of when that is wanted.
    pub tells_inventory: bool,
}

impl From<&DeviceState> for DeviceStanding {
    fn from(state: &DeviceState) -> Self {
        let bound = state.owner.is_some();
        Self {
            bound,
            epochs: state.epochs,
            key_wanted: bound && state.verifier.is_none(),
            list_version: state.list_version,
            enc_mode: state.enc_mode(),
            enc_order: state.order.clone(),
            inventory_wanted: false,
        }
    }
}

/// Why a device is not served.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// No device with this identity.
    #[error("no device has this identity")]
    Unknown,
    /// Not bound, or bound anew since.
    #[error("the device is not bound under this epoch")]
    OtherBinding,
    /// Not an Ed25519 public key.
    #[error("the key verifier is not an Ed25519 public key")]
    BadVerifier,
    /// See [`Inner`].
    #[error(transparent)]
    Inner(#[from] Inner),
}

impl ControlPlane {
    /// The sealed device with this identity key.
    ///
    /// # Errors
    /// See [`DeviceError`].
    pub async fn device_of(&self, identity: Thumbprint) -> Result<DeviceState, DeviceError> {
        let device = self.store().device_by_identity(identity).await.map_err(Inner::from)?;
        device.ok_or(DeviceError::Unknown)
    }

    /// Waits until the device stands differently from what it knows, at most [`POLL_HOLD_SECS`].
    ///
    /// # Errors
    /// See [`DeviceError`].
    pub async fn poll_device(
        &self,
        identity: Thumbprint,
        known: DeviceKnown,
    ) -> Result<DeviceStanding, DeviceError> {
        // Subscribed before the first look, so that no change falls between look and wait.
        let mut changes = self.0.device_changes.subscribe();
        let first = self.device_of(identity).await?;
        let standing = self.standing(&first, known).await?;
        let news = standing.epochs != known.epochs
            || standing.list_version != known.list_version
            || known.enc_sequence.is_some_and(|known| known != standing.enc_sequence());
        if news || standing.key_wanted || standing.inventory_wanted {
            return Ok(standing);
        }
        let serial = first.device.serial;
        let changed = async {
            // A lag may have swallowed this device's change: look again then, too.
            while let Ok(other) = changes.recv().await {
                if *other == *serial.as_str() {
                    break;
                }
            }
        };
        // Time over is an answer like any other.
        let _ = timeout(Duration::from_secs(POLL_HOLD_SECS), changed).await;
        self.standing(&self.device_of(identity).await?, known).await
    }

    async fn standing(
        &self,
        state: &DeviceState,
        known: DeviceKnown,
    ) -> Result<DeviceStanding, DeviceError> {
        let mut standing = DeviceStanding::from(state);
        if known.tells_inventory {
            standing.inventory_wanted = self.inventory_wanted(&state.device.serial).await?;
        }
        Ok(standing)
    }

    /// Stores the verifier of the device secret for the present binding; another one for the same
    /// binding is a rotation, after which every viewer must prove the new key.
    ///
    /// # Errors
    /// See [`DeviceError`].
    pub async fn store_verifier(
        &self,
        identity: Thumbprint,
        binding_epoch: u64,
        verifier: &[u8],
    ) -> Result<u64, DeviceError> {
        let public: [u8; 32] = verifier.try_into().map_err(|_| DeviceError::BadVerifier)?;
        let device = self.device_of(identity).await?;
        let serial = device.device.serial;
        let put = self.store().verifier_put(&serial, binding_epoch, &public, self.now()).await;
        match put.map_err(Inner::from)? {
            VerifierPut::OtherBinding => Err(DeviceError::OtherBinding),
            VerifierPut::Same(epoch) => Ok(epoch),
            VerifierPut::First(epoch) | VerifierPut::Rotated(epoch) => {
                self.announce_key(&serial, epoch);
                Ok(epoch)
            }
        }
    }

    pub(crate) fn announce_key(&self, serial: &Serial, epoch: u64) {
        self.announce(Revocation::Key { serial: serial.0.clone(), epoch });
        self.device_changed(serial);
    }
}

impl DeviceState {
    /// Whether the device can seal: it was added so. Without an identity none can.
    pub fn can_seal(&self) -> bool {
        match self.device.kind {
            DeviceKind::Agent(_) => self.device.seals,
            DeviceKind::Credential(_) => false,
        }
    }

    /// Whether the device's media is sealed now: one that can seal does, until an order of its
    /// owner says otherwise. No other media of it is taken.
    pub fn sealed(&self) -> bool {
        self.can_seal() && self.opened_by().is_none()
    }

    /// The order that switched sealing off, while it is in force.
    pub fn opened_by(&self) -> Option<&StoredOrder> {
        self.order.as_ref().filter(|order| self.can_seal() && !order.sealed)
    }

    /// The same as [`Self::sealed`].
    pub fn enc_mode(&self) -> EncMode {
        if self.sealed() { EncMode::Sealed } else { EncMode::Open }
    }
}
