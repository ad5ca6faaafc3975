//! A generation as it is stored: the signed header, and the base key wrapped for each recipient.

use zeroize::Zeroizing;

use super::{
    BASE_KEY_LEN, BaseKey, BlobError, GenerationHeader, HEAD_LEN, LABEL, OpenedGeneration,
};
use crate::identity::{Identity, IdentityError};
use crate::keys::bytes::{Malformed, Reader, labelled};
use crate::keys::hpke::{self, ENC_LEN};
use crate::keys::{Binding, ExchangeKey, ExchangePublic, MAX_VIEWERS, SigningPublic, verifies};

/// Most wraps of one blob: every viewer, the archive, and those that an owner adds later.
pub const MAX_WRAPS: usize = 2 * MAX_VIEWERS;
/// Longest blob, bytes.
pub const MAX_BLOB: usize = HEAD_LEN + SIGNATURE_LEN + 2 + MAX_WRAPS * WRAP_LEN;

/// Bytes of a wrapped base key: ciphertext and tag.
const WRAPPED_LEN: usize = BASE_KEY_LEN + hpke::TAG_LEN;
/// Bytes of a wrap: recipient, encapsulated key, wrapped key.
const WRAP_LEN: usize = 32 + ENC_LEN + WRAPPED_LEN;
const WRAP_LABEL: &str = "sightline/v1/generation-key";
const SIGNATURE_LEN: usize = 64;

#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::keys) struct Wrap {
    recipient: ExchangePublic,
    enc: [u8; ENC_LEN],
    wrapped: [u8; WRAPPED_LEN],
}

/// A signed generation with its wraps, checked against the camera's pinned identity.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GenerationBlob {
    header: GenerationHeader,
    signature: [u8; SIGNATURE_LEN],
    wraps: Vec<Wrap>,
}

impl GenerationBlob {
    /// Signs a generation and wraps it for `recipients`. A public key that is not one of the
    /// curve's is left out and returned: its owner cannot watch, and harms nobody else.
    ///
    /// # Errors
    /// The camera's identity cannot sign.
    pub(in crate::keys) fn make(
        identity: &Identity,
        mut header: GenerationHeader,
        base_key: &BaseKey,
        recipients: impl IntoIterator<Item = ExchangePublic>,
    ) -> Result<(Self, Vec<ExchangePublic>), IdentityError> {
        header.commitment = base_key.commitment();
        let signature = identity.sign(&labelled(LABEL, &header.body()))?;
        let signature = signature.try_into().map_err(|_| IdentityError::Malformed)?;
        let mut blob = Self { header, signature, wraps: Vec::new() };
        let mut skipped = Vec::new();
        for recipient in recipients {
            match blob.wrap(base_key, recipient) {
                Some(wrap) => blob.insert(wrap),
                None => skipped.push(recipient),
            }
        }
        Ok((blob, skipped))
    }

    pub(in crate::keys) fn wrap(
        &self,
        base_key: &BaseKey,
        recipient: ExchangePublic,
    ) -> Option<Wrap> {
        let info = self.header.wrap_info(&recipient);
        let (enc, wrapped) = hpke::seal(&recipient, &info, base_key.expose()).ok()?;
        Some(Wrap { recipient, enc, wrapped: wrapped.try_into().ok()? })
    }

    pub(in crate::keys) fn insert(&mut self, wrap: Wrap) {
        match self.wraps.binary_search_by_key(&wrap.recipient, |held| held.recipient) {
            Ok(at) => self.wraps[at] = wrap,
            Err(at) => self.wraps.insert(at, wrap),
        }
    }

    /// Reads a blob and checks it against the camera's pinned identity and the binding.
    ///
    /// # Errors
    /// See [`BlobError`].
    pub fn open(
        bytes: &[u8],
        camera: &SigningPublic,
        binding: &Binding,
    ) -> Result<Self, BlobError> {
        let (blob, body) = Self::read(bytes)?;
        // A swapped blob is told by name, before its signature fails for the same reason.
        if blob.header.binding.serial != binding.serial {
            return Err(BlobError::OtherCamera);
        }
        if blob.header.binding.epoch != binding.epoch {
            return Err(BlobError::OtherBinding);
        }
        if !verifies(camera, LABEL, body, &blob.signature) {
            return Err(BlobError::Forged);
        }
        Ok(blob)
    }

    fn read(bytes: &[u8]) -> Result<(Self, &[u8]), Malformed> {
        if bytes.len() > MAX_BLOB {
            return Err(Malformed("it is longer than any blob"));
        }
        let mut reader = Reader::new(bytes);
        let header = GenerationHeader::read(&mut reader)?;
        let body = &bytes[..bytes.len() - reader.left()];
        let signature = reader.array()?;
        let count = usize::from(reader.u16()?);
        if count > MAX_WRAPS {
            return Err(Malformed("it has more wraps than any blob"));
        }
        let mut wraps = Vec::with_capacity(count);
        for _ in 0..count {
            wraps.push(Wrap {
                recipient: ExchangePublic(reader.array()?),
                enc: reader.array()?,
                wrapped: reader.array()?,
            });
        }
        reader.end()?;
        if !wraps.is_sorted_by(|a, b| a.recipient < b.recipient) {
            return Err(Malformed("its wraps are not in order"));
        }
        Ok((Self { header, signature, wraps }, body))
    }

    /// What the camera signed.
    pub fn header(&self) -> &GenerationHeader {
        &self.header
    }

    /// For whom it is wrapped.
    pub fn recipients(&self) -> impl Iterator<Item = ExchangePublic> {
        self.wraps.iter().map(|wrap| wrap.recipient)
    }

    /// The bytes that are stored.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = self.header.body();
        out.extend_from_slice(&self.signature);
        out.extend_from_slice(&(self.wraps.len() as u16).to_be_bytes());
        for wrap in &self.wraps {
            out.extend_from_slice(&wrap.recipient.0);
            out.extend_from_slice(&wrap.enc);
            out.extend_from_slice(&wrap.wrapped);
        }
        out
    }

    /// The blob with the wrap for one recipient only: all that a terminal needs, and it tells
    /// nothing of the others.
    pub fn only_for(&self, recipient: &ExchangePublic) -> Option<Self> {
        let wrap = self.wraps.iter().find(|wrap| wrap.recipient == *recipient)?;
        Some(Self { wraps: vec![wrap.clone()], ..self.clone() })
    }

    /// Opens the base key with this terminal's key, or with the archive's.
    ///
    /// # Errors
    /// [`BlobError::NotARecipient`] or [`BlobError::WrongKey`].
    pub fn unwrap(&self, key: &ExchangeKey) -> Result<OpenedGeneration, BlobError> {
        let recipient = key.public();
        let wrap = self.wraps.iter().find(|wrap| wrap.recipient == recipient);
        let wrap = wrap.ok_or(BlobError::NotARecipient)?;
        let info = self.header.wrap_info(&recipient);
        let opened = hpke::open(key, &wrap.enc, &info, &wrap.wrapped);
        let opened = opened.map_err(|_| BlobError::WrongKey)?;
        let mut bytes = Zeroizing::new([0; BASE_KEY_LEN]);
        if opened.len() != BASE_KEY_LEN {
            return Err(BlobError::WrongKey);
        }
        bytes.copy_from_slice(&opened);
        let base_key = BaseKey(bytes);
        // Anybody can wrap a key of his own for this terminal; only the camera signs for one.
        if base_key.commitment() != self.header.commitment {
            return Err(BlobError::WrongKey);
        }
        Ok(OpenedGeneration { header: self.header.clone(), base_key })
    }

    /// Adds a wrap, so that a later guest sees what was before him. Whoever opened the generation
    /// can do so: the signature covers the key, not for whom it is wrapped.
    ///
    /// # Errors
    /// `opened` is another generation, the blob has [`MAX_WRAPS`], or `recipient` is no key.
    pub fn wrap_for(
        &mut self,
        opened: &OpenedGeneration,
        recipient: ExchangePublic,
    ) -> Result<(), BlobError> {
        if opened.header != self.header {
            return Err(BlobError::WrongKey);
        }
        if self.wraps.len() >= MAX_WRAPS && !self.recipients().any(|held| held == recipient) {
            return Err(Malformed("it has as many wraps as a blob can").into());
        }
        let wrap = self.wrap(&opened.base_key, recipient);
        self.insert(wrap.ok_or(Malformed("the recipient's key is none"))?);
        Ok(())
    }
}

impl GenerationHeader {
    /// Everything that the wrap for `recipient` is bound to.
    fn wrap_info(&self, recipient: &ExchangePublic) -> Vec<u8> {
        labelled(WRAP_LABEL, &[&self.body()[..], &recipient.0].concat())
    }
}
