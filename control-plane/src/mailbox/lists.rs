//! Viewer lists: owners put them, cameras and owners read them.

use sightline_grant::Thumbprint;

use crate::ControlPlane;
use crate::device::DeviceError;
use crate::error::Inner;
use crate::ids::{AccountId, Serial};
use crate::limits::LISTS_PER_DEVICE;
use crate::sealed::Malformed;
use crate::sealed::list::{Entry, ViewerList};
use crate::storage::model::{
    Charge, DeviceKind, DeviceState, ListPut, ListedTerminal, NewList, RetryAfter, Session,
};

/// The viewer list of a binding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListState {
    /// The binding.
    pub binding_epoch: u64,
    /// Version of the list; 0 without one.
    pub version: u64,
    /// The signed bytes.
    pub signed: Option<Vec<u8>>,
}

/// Why a viewer list is not taken or shown.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// Not the owner's, or no such device.
    #[error("no such device on this account")]
    NotBound,
    /// An open device, which has nothing to seal.
    #[error("the device was added as open; it has no identity to seal with")]
    Open,
    /// The camera has not stored a key verifier yet.
    #[error("the device has no key yet; make one at the camera")]
    NotReady,
    /// For another device, or for a former or later owner.
    #[error("the viewer list is for another device or another owner; make it for this binding")]
    OtherBinding,
    /// As old as the one in force, or older; holds the version in force.
    #[error(
        "version {0} of the viewer list is in force; read it and sign a list of a higher version"
    )]
    NotNewer(u64),
    /// Not of the form of a list.
    #[error("the viewer list cannot be read: {0}")]
    Malformed(#[from] Malformed),
    /// Not signed with the device secret of this binding.
    #[error("the viewer list is not signed with this device's secret")]
    Signature,
    /// Too many.
    #[error("too many viewer lists; try again later")]
    Limited(RetryAfter),
    /// See [`DeviceError`].
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// See [`Inner`].
    #[error(transparent)]
    Inner(#[from] Inner),
}

impl ControlPlane {
    /// Puts a viewer list in force and tells the camera. The list's signature is its authority: a
    /// login alone changes nobody's list.
    ///
    /// # Errors
    /// See [`ListError`].
    pub async fn store_viewer_list(
        &self,
        session: &Session,
        serial: &str,
        signed: &[u8],
    ) -> Result<ListState, ListError> {
        let device = self.owned(session, serial).await?;
        let serial = &device.device.serial;
        let verifier = device.verifier.ok_or(ListError::NotReady)?;
        let list = ViewerList::read(signed)?;
        let (binding, version) = (&list.head.binding, list.head.version);
        if binding.serial != serial.as_str() || binding.epoch != device.epochs.binding {
            return Err(ListError::OtherBinding);
        }
        if !list.is_signed_by(&verifier) {
            return Err(ListError::Signature);
        }
        let charge = Charge {
            dimension: "viewer-list",
            key: self.vault().lookup("viewer-list", serial.as_str()),
            windows: LISTS_PER_DEVICE.to_vec(),
        };
        let charged = self.store().charge(&[charge], self.now()).await.map_err(Inner::from)?;
        charged.map_err(ListError::Limited)?;
        let new = NewList {
            serial: serial.clone(),
            binding_epoch: binding.epoch,
            version,
            signed: signed.to_vec(),
            verifier,
            terminals: list.entries.iter().filter_map(listed).collect(),
        };
        let put = self.store().viewer_list_put(&session.account, &new, self.now()).await;
        match put.map_err(Inner::from)? {
            ListPut::OtherBinding => return Err(ListError::OtherBinding),
            ListPut::NotNewer(held) => return Err(ListError::NotNewer(held)),
            ListPut::Stored(ended) => {
                self.device_changed(serial);
                self.announce_ended(ended);
            }
            ListPut::Same => {}
        }
        Ok(ListState { binding_epoch: new.binding_epoch, version, signed: Some(new.signed) })
    }

    /// The viewer list of a device of the account.
    ///
    /// # Errors
    /// See [`ListError`].
    pub async fn viewer_list(
        &self,
        session: &Session,
        serial: &str,
    ) -> Result<ListState, ListError> {
        let device = self.owned(session, serial).await?;
        Ok(self.list_of(&device).await?)
    }

    /// The viewer list of the device with this identity key.
    ///
    /// # Errors
    /// See [`ListError`].
    pub async fn device_viewer_list(&self, identity: Thumbprint) -> Result<ListState, ListError> {
        let device = self.device_of(identity).await?;
        Ok(self.list_of(&device).await?)
    }

    async fn list_of(&self, device: &DeviceState) -> Result<ListState, Inner> {
        let binding_epoch = device.epochs.binding;
        let list = self.store().viewer_list(&device.device.serial, binding_epoch).await?;
        let (version, signed) = list.map_or((0, None), |list| (list.version, Some(list.signed)));
        Ok(ListState { binding_epoch, version, signed })
    }

    /// A device of the account. An open one has a list for the proofs of its guests alone: its
    /// camera encrypts for nobody.
    async fn owned(&self, session: &Session, serial: &str) -> Result<DeviceState, ListError> {
        let serial = Serial::parse(serial).ok_or(ListError::NotBound)?;
        let device = self.store().device(&serial).await.map_err(Inner::from)?;
        device
            .filter(|device| device.owner.as_ref() == Some(&session.account))
            .ok_or(ListError::NotBound)
    }

    /// A device of the account that can seal.
    pub(super) async fn owned_sealed(
        &self,
        session: &Session,
        serial: &str,
    ) -> Result<DeviceState, ListError> {
        let device = self.owned(session, serial).await?;
        match device.device.kind {
            DeviceKind::Agent(_) => Ok(device),
            DeviceKind::Credential(_) => Err(ListError::Open),
        }
    }
}

/// A terminal that may do something, as it is compared with those that did prove themselves.
fn listed(entry: &Entry<'_>) -> Option<ListedTerminal> {
    Some(ListedTerminal {
        signing: entry.signing.try_into().ok()?,
        account: AccountId(String::from_utf8(entry.account.to_vec()).ok()?),
        scopes: entry.given()?.scopes,
        until: entry.given()?.until,
    })
}
