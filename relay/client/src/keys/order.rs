//! Whether a camera seals: on unless its owner signed otherwise. A server cannot switch it off, and
//! an old order cannot be used again.

use super::bytes::{Malformed, Reader, labelled, put_binding};
use super::{Binding, SigningPublic, verifies};
use crate::secret::AuthKey;

const FORMAT: u8 = 1;
const LABEL: &str = "sightline/v1/sealing";

/// An owner's word on sealing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SealingOrder {
    /// The device and its owner's epoch.
    pub binding: Binding,
    /// Rises with each order of a binding, from 1.
    pub sequence: u64,
    /// Seal, or send clear media.
    pub sealed: bool,
}

/// An order changes nothing.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
pub enum OrderRefused {
    /// Not the one encoding of an order.
    #[error("sealing order: {0}")]
    Malformed(#[from] Malformed),
    /// Not signed with this device's secret.
    #[error("the sealing order is not signed with this device's secret")]
    Signature,
    /// For another device or another owner.
    #[error("the sealing order is for another device or owner")]
    OtherBinding,
    /// As old as the last one, or older.
    #[error("sealing order {offered} is not newer than {held}")]
    NotNewer {
        /// Number of the order.
        offered: u64,
        /// Number of the last one.
        held: u64,
    },
}

impl SealingOrder {
    /// The signed bytes.
    pub fn sign(&self, auth: &AuthKey) -> Vec<u8> {
        let mut bytes = vec![FORMAT];
        put_binding(&self.binding, &mut bytes);
        bytes.extend_from_slice(&self.sequence.to_be_bytes());
        bytes.push(u8::from(self.sealed));
        let signature = auth.sign_document(&labelled(LABEL, &bytes));
        bytes.extend_from_slice(&signature);
        bytes
    }

    /// Reads an order and checks its signature against the public half of `auth`.
    ///
    /// # Errors
    /// Malformed, or another signature.
    pub fn open(bytes: &[u8], verifier: &SigningPublic) -> Result<Self, OrderRefused> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != FORMAT {
            return Err(Malformed("another version of the format").into());
        }
        let (binding, sequence) = (reader.binding()?, reader.u64()?);
        let sealed = match reader.u8()? {
            0 => false,
            1 => true,
            _ => return Err(Malformed("an unknown mode").into()),
        };
        let body = &bytes[..bytes.len() - reader.left()];
        let signature: [u8; 64] = reader.array()?;
        reader.end()?;
        if !verifies(verifier, LABEL, body, &signature) {
            return Err(OrderRefused::Signature);
        }
        Ok(Self { binding, sequence, sealed })
    }

    /// Reads an order, as [`Self::open`], that must be of this binding.
    ///
    /// # Errors
    /// Malformed, another signature, or another device or owner.
    pub fn open_for(
        bytes: &[u8],
        binding: &Binding,
        verifier: &SigningPublic,
    ) -> Result<Self, OrderRefused> {
        let order = Self::open(bytes, verifier)?;
        if order.binding == *binding { Ok(order) } else { Err(OrderRefused::OtherBinding) }
    }
}

/// The order in force on a camera.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Mode {
    /// Number of the last order, 0 without.
    pub(super) sequence: u64,
    pub(super) sealed: bool,
}

impl Mode {
    /// Of a new binding.
    pub(super) const SEALED: Self = Self { sequence: 0, sealed: true };

    /// What an order makes of it.
    pub(super) fn after(
        self,
        bytes: &[u8],
        binding: &Binding,
        verifier: &SigningPublic,
    ) -> Result<Self, OrderRefused> {
        let order = SealingOrder::open_for(bytes, binding, verifier)?;
        if order.sequence <= self.sequence {
            let (offered, held) = (order.sequence, self.sequence);
            return Err(OrderRefused::NotNewer { offered, held });
        }
        Ok(Self { sequence: order.sequence, sealed: order.sealed })
    }
}
