//! Sealing: a key that never uses a nonce twice.

use std::ops::Range;

use aws_lc_rs::aead::Aad;

use super::schedule::FrameKey;
use super::{AssociatedData, Header, MAX_METADATA, Suite, TAG_LEN};
use crate::secret::CryptoFailed;

/// The sending side of one KID. It owns its counter and cannot be copied, so that whoever holds it
/// is the only one who seals under it. Never printed.
pub struct SealingKey {
    kid: u64,
    key: FrameKey,
    counters: Range<u64>,
}

/// A frame was not sealed.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
pub enum SealError {
    /// Every counter was used. A nonce would repeat, so that this key seals nothing any more.
    #[error("the sealing key has used all its counters; make a new generation")]
    UsedUp,
    /// More than [`MAX_METADATA`] bytes of metadata.
    #[error("at most {MAX_METADATA} bytes can be authenticated beside a frame")]
    Metadata,
    /// The crypto library failed.
    #[error(transparent)]
    Crypto(#[from] CryptoFailed),
}

impl SealingKey {
    /// The key of `kid`, which seals one frame for each of `counters`.
    ///
    /// Whoever calls this answers for it that a base key and KID make one sealing key only.
    pub(crate) fn new(
        suite: Suite,
        base_key: &[u8],
        kid: u64,
        counters: Range<u64>,
    ) -> Result<Self, CryptoFailed> {
        Ok(Self { kid, key: FrameKey::derive(suite, base_key, kid)?, counters })
    }

    /// The key's name.
    pub fn kid(&self) -> u64 {
        self.kid
    }

    /// Frames that can still be sealed.
    pub fn left(&self) -> u64 {
        self.counters.end - self.counters.start
    }

    /// Appends header, ciphertext and tag of `plaintext` to `out`. `metadata` is authenticated and
    /// not written.
    ///
    /// # Errors
    /// See [`SealError`]; `out` is then as it was. The counter is used up all the same.
    pub fn seal(
        &mut self,
        metadata: &[u8],
        plaintext: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Header, SealError> {
        let ctr = self.counters.next().ok_or(SealError::UsedUp)?;
        let header = Header { kid: self.kid, ctr };
        let head = header.to_bytes();
        let aad = AssociatedData::new(&head, metadata).ok_or(SealError::Metadata)?;
        let start = out.len();
        out.extend_from_slice(&head);
        let body = out.len();
        out.resize(body + plaintext.len() + TAG_LEN, 0);
        let (ciphertext, tag) = out[body..].split_at_mut(plaintext.len());
        let nonce = self.key.nonce(ctr);
        let sealed = self.key.aead.seal_out_of_place_scatter(
            nonce,
            Aad::from(aad),
            plaintext,
            ciphertext,
            &[],
            tag,
        );
        sealed.map(|()| header).map_err(|_| {
            out.truncate(start);
            CryptoFailed.into()
        })
    }
}

impl std::fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealingKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}
