//! Opening: what is not authentic changes nothing, what is authentic opens once.

use aws_lc_rs::aead::Aad;
use zeroize::Zeroize;

use super::schedule::FrameKey;
use super::window::{Stale, Window};
use super::{AssociatedData, Header, HeaderError, Suite, TAG_LEN};
use crate::secret::CryptoFailed;

/// A sealed frame, taken apart.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// What the header says.
    pub header: Header,
    head: &'a [u8],
    ciphertext: &'a [u8],
    tag: &'a [u8],
}

/// The receiving side of one KID, with the counters that were opened. Never printed.
pub struct OpeningKey {
    kid: u64,
    key: FrameKey,
    window: Option<Window>,
}

/// A frame was not opened.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
pub enum OpenError {
    /// Another KID than this key's.
    #[error("the frame is sealed under another key")]
    OtherKey,
    /// Header, metadata, ciphertext or tag were changed, or the key is not the one it was sealed
    /// with.
    #[error("the frame is not authentic")]
    NotAuthentic,
    /// It was opened before.
    #[error("the frame was opened before")]
    Replayed,
    /// It is further behind than [`super::WINDOW`], so that it may have been opened before.
    #[error("the frame is too far behind the newest one to rule out a replay")]
    TooFarBehind,
}

impl<'a> Parts<'a> {
    /// Takes an SFrame ciphertext apart.
    ///
    /// # Errors
    /// No header, or no room for a tag behind it.
    pub fn of(sframe: &'a [u8]) -> Result<Self, HeaderError> {
        let (header, head) = Header::parse(sframe)?;
        let (head, rest) = sframe.split_at(head);
        let body = rest.len().checked_sub(TAG_LEN).ok_or(HeaderError::Short)?;
        let (ciphertext, tag) = rest.split_at(body);
        Ok(Self { header, head, ciphertext, tag })
    }

    /// Bytes of the plaintext.
    pub fn plaintext_len(&self) -> usize {
        self.ciphertext.len()
    }

    /// Bytes of the header.
    pub fn header_len(&self) -> usize {
        self.head.len()
    }
}

impl OpeningKey {
    /// The key of `kid`.
    ///
    /// # Errors
    /// The crypto library failed.
    pub fn new(suite: Suite, base_key: &[u8], kid: u64) -> Result<Self, CryptoFailed> {
        Ok(Self { kid, key: FrameKey::derive(suite, base_key, kid)?, window: None })
    }

    /// Appends the plaintext to `out` and takes note of the counter. `metadata` is what the sender
    /// authenticated.
    ///
    /// # Errors
    /// See [`OpenError`]; then nothing has changed, in `out` or here.
    pub fn open(
        &mut self,
        parts: &Parts<'_>,
        metadata: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), OpenError> {
        let Header { kid, ctr } = parts.header;
        if kid != self.kid {
            return Err(OpenError::OtherKey);
        }
        // Cheaper than opening it, and it tells an attacker nothing that the counter does not.
        self.window.as_ref().map_or(Ok(()), |window| window.check(ctr)).map_err(
            |stale| match stale {
                Stale::Again => OpenError::Replayed,
                Stale::Behind => OpenError::TooFarBehind,
            },
        )?;
        let aad = AssociatedData::new(parts.head, metadata).ok_or(OpenError::NotAuthentic)?;
        let start = out.len();
        out.resize(start + parts.ciphertext.len(), 0);
        let nonce = self.key.nonce(ctr);
        let room = &mut out[start..];
        let aead = &self.key.aead;
        if aead
            .open_separate_gather(nonce, Aad::from(aad), parts.ciphertext, parts.tag, room)
            .is_err()
        {
            out[start..].zeroize();
            out.truncate(start);
            return Err(OpenError::NotAuthentic);
        }
        match &mut self.window {
            Some(window) => window.record(ctr),
            None => self.window = Some(Window::starting_at(ctr)),
        }
        Ok(())
    }
}

impl std::fmt::Debug for OpeningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpeningKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}
