//! The sealing order: an owner's signed word on whether a camera seals. A camera obeys no other.

use sightline_grant::PublicKey;

use super::read::{Malformed, Reader};
use super::{DocumentBinding, KEY_LEN, MAX_NUMBER, SIGNATURE_LEN, signed_by};

const LABEL: &str = "sightline/v1/sealing";

/// An order and the parts that its signature is checked over.
#[derive(Clone, Debug)]
pub struct SealingOrder<'a> {
    /// Device and owner.
    pub binding: DocumentBinding,
    /// Rises with each order of a binding, from 1.
    pub sequence: u64,
    /// Seal, or send clear media.
    pub sealed: bool,
    body: &'a [u8],
    signature: &'a [u8],
}

impl<'a> SealingOrder<'a> {
    /// Reads an order.
    ///
    /// # Errors
    /// When it is not of the form of an order.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        reader.format()?;
        let (binding, sequence) = (reader.binding()?, reader.u64()?);
        if !(1..=MAX_NUMBER).contains(&sequence) {
            return Err(Malformed("its sequence is not from 1 to 2^53 - 1"));
        }
        let sealed = match reader.u8()? {
            0 => false,
            1 => true,
            _ => return Err(Malformed("it has an unknown mode")),
        };
        let body = &bytes[..bytes.len() - reader.left()];
        let signature = reader.take(SIGNATURE_LEN)?;
        reader.end()?;
        Ok(Self { binding, sequence, sealed, body, signature })
    }

    /// Whether the holder of the device secret with this key verifier signed it.
    pub fn is_signed_by(&self, verifier: &[u8; KEY_LEN]) -> bool {
        signed_by(&PublicKey::Ed25519(*verifier), LABEL, self.body, self.signature)
    }
}
