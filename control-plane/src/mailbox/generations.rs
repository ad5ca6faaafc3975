//! Generations: cameras put them, viewers that passed the gate read them, owners add wraps.

use aws_lc_rs::digest::{SHA256, digest};
use sightline_grant::{Action, PublicKey, Redacted};

use crate::ControlPlane;
use crate::device::DeviceError;
use crate::error::Inner;
use crate::gate::Refusal;
use crate::ids::Serial;
use crate::limits::GENERATIONS_PER_PAGE;
use crate::sealed::Malformed;
use crate::sealed::generation::{GenerationBlob, Wrap, cut};
use crate::storage::model::{
    GenerationPage, GenerationPut, NewGeneration, Session, StoredGeneration, WrapAdded,
};

/// Which generations a viewer asks for.
#[derive(Clone, Debug)]
pub struct GenerationsWanted {
    /// Channel that the viewer wants to watch.
    pub channel: u16,
    /// X25519 public key of its terminal, or of the archive.
    pub recipient: [u8; 32],
    /// 0: the newest first. Else those above it, rising.
    pub after: u64,
    /// Most of them; cut to [`GENERATIONS_PER_PAGE`].
    pub limit: u64,
}

/// A generation as one recipient gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CutGeneration {
    /// Its number.
    pub number: u64,
    /// The blob with the recipient's wrap, or with none.
    pub blob: Vec<u8>,
}

/// A page of generations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generations {
    /// In the order that was asked for.
    pub items: Vec<CutGeneration>,
    /// Whether there are more in that order.
    pub more: bool,
}

/// Why a generation or a wrap is not taken.
#[derive(Debug, thiserror::Error)]
pub enum GenerationError {
    /// Not the owner's, or no such device.
    #[error("no such device on this account")]
    NotBound,
    /// Not stored, or of another binding.
    #[error("there is no such generation of this binding")]
    Unknown,
    /// For another device, or for a former or later owner.
    #[error("the generation is for another device or another owner; poll for the present binding")]
    OtherBinding,
    /// Not above every number that the serial ever had; holds the highest.
    #[error("generation {0} of this serial was stored before; take a higher number")]
    NotNewer(u64),
    /// Not of the form of a blob.
    #[error("the generation cannot be read: {0}")]
    Malformed(#[from] Malformed),
    /// Not signed by the device that sends it.
    #[error("the generation is not signed with the device's identity key")]
    Signature,
    /// Not of the form of a wrap.
    #[error("the wrap cannot be read: {0}")]
    BadWrap(#[source] Malformed),
    /// The camera itself wrapped the generation for this recipient.
    #[error("the camera has wrapped this generation for this recipient")]
    WrappedByCamera,
    /// There is no room for another.
    #[error("the generation has 128 wraps; there is no room for another")]
    Full,
    /// See [`DeviceError`].
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// See [`Inner`].
    #[error(transparent)]
    Inner(#[from] Inner),
}

impl ControlPlane {
    /// Stores a generation of the device with this identity key.
    ///
    /// # Errors
    /// See [`GenerationError`].
    pub async fn store_generation(
        &self,
        identity: &PublicKey,
        blob: &[u8],
    ) -> Result<(), GenerationError> {
        let device = self.device_of(identity.thumbprint()).await?;
        let serial = device.device.serial;
        let read = GenerationBlob::read(blob)?;
        let binding_epoch = read.binding.epoch;
        if read.binding.serial != serial.as_str() || binding_epoch != device.epochs.binding {
            return Err(GenerationError::OtherBinding);
        }
        let PublicKey::Ed25519(identity_key) = *identity else {
            return Err(GenerationError::Signature);
        };
        if !read.is_signed_by(identity) {
            return Err(GenerationError::Signature);
        }
        let new = NewGeneration {
            serial,
            binding_epoch,
            number: read.number,
            identity_key,
            signed: read.signed.to_vec(),
            wraps: read.wraps,
            uploaded: digest(&SHA256, blob).as_ref().to_vec(),
        };
        let put = self.store().generation_put(&new, self.now()).await;
        match put.map_err(Inner::from)? {
            GenerationPut::Stored | GenerationPut::Same => Ok(()),
            GenerationPut::NotNewer(last) => Err(GenerationError::NotNewer(last)),
            GenerationPut::OtherBinding => Err(GenerationError::OtherBinding),
        }
    }

    /// Generations for a viewer that passes the whole gate of live view.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub async fn generations(
        &self,
        session: &Session,
        token: &Redacted<String>,
        serial: &str,
        wanted: &GenerationsWanted,
    ) -> Result<Generations, Refusal> {
        let (terminal, channel) = (session.jkt, wanted.channel);
        let admission = self.admit(token, terminal, serial, channel, Action::Live).await?;
        let serial = Serial::parse(serial).ok_or(Refusal::NotBound)?;
        let limit = wanted.limit.min(GENERATIONS_PER_PAGE);
        let page = GenerationPage {
            serial,
            binding_epoch: admission.epochs.binding,
            recipient: wanted.recipient,
            after: wanted.after,
            limit: limit + 1,
        };
        let mut stored = self.store().generations(&page).await.map_err(Inner::from)?;
        let more = stored.len() as u64 > limit;
        if more {
            stored.pop();
        }
        Ok(Generations { items: stored.into_iter().map(CutGeneration::from).collect(), more })
    }

    /// Adds a wrap to a generation of the account's device: how an owner shows a guest the past.
    ///
    /// # Errors
    /// See [`GenerationError`].
    pub async fn add_wrap(
        &self,
        session: &Session,
        serial: &str,
        number: u64,
        wrap: &[u8],
    ) -> Result<(), GenerationError> {
        let serial = Serial::parse(serial).ok_or(GenerationError::NotBound)?;
        let wrap = Wrap::read(wrap).map_err(GenerationError::BadWrap)?;
        let (account, now) = (&session.account, self.now());
        let added = self.store().wrap_add(account, &serial, number, &wrap, now).await;
        match added.map_err(Inner::from)? {
            WrapAdded::Added => Ok(()),
            WrapAdded::NotOwner => Err(GenerationError::NotBound),
            WrapAdded::Unknown => Err(GenerationError::Unknown),
            WrapAdded::ByCamera => Err(GenerationError::WrappedByCamera),
            WrapAdded::Full => Err(GenerationError::Full),
        }
    }
}

impl From<StoredGeneration> for CutGeneration {
    fn from(stored: StoredGeneration) -> Self {
        Self { number: stored.number, blob: cut(&stored.signed, stored.wrap.as_ref()) }
    }
}
