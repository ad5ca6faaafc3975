//! The viewer list that an owner signs: which terminals may open a device's video.

use sightline_grant::PublicKey;

use super::read::{Malformed, Reader};
use super::{DocumentBinding, KEY_LEN, MAX_NUMBER, SIGNATURE_LEN, signed_by};
use crate::ids::MAX_SERIAL_LEN;

/// Most terminals on a list.
pub const MAX_VIEWERS: usize = 64;
/// Longest name of an account on a list, bytes.
pub const MAX_ACCOUNT_LEN: usize = 64;
/// Longest list, bytes.
pub const MAX_LIST_LEN: usize = HEAD_LEN + MAX_VIEWERS * MAX_ENTRY_LEN + SIGNATURE_LEN;

const LABEL: &str = "sightline/v1/viewer-list";
/// Longest head: format, serial, epoch, version, count.
const HEAD_LEN: usize = 1 + 1 + MAX_SERIAL_LEN + 8 + 8 + 2;
/// Scopes and expiry of an entry.
const ENTRY_TAIL_LEN: usize = 2 + 8;
/// Longest entry: two keys, account, scopes, expiry.
const MAX_ENTRY_LEN: usize = 2 * KEY_LEN + 1 + MAX_ACCOUNT_LEN + ENTRY_TAIL_LEN;

/// What the server reads of a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListHead {
    /// Device and owner.
    pub binding: DocumentBinding,
    /// Rises with each list of a binding, from 1.
    pub version: u64,
}

/// A list and the parts that its signature is checked over.
#[derive(Clone, Debug)]
pub struct ViewerList<'a> {
    /// Whom it is for, and its number.
    pub head: ListHead,
    body: &'a [u8],
    signature: &'a [u8],
}

impl<'a> ViewerList<'a> {
    /// Reads a list. What its entries say is for the camera to judge.
    ///
    /// # Errors
    /// When it is longer than [`MAX_LIST_LEN`] or not of the form of a list.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        if bytes.len() > MAX_LIST_LEN {
            return Err(Malformed("it is longer than any list"));
        }
        let mut reader = Reader::new(bytes);
        reader.format()?;
        let head = ListHead { binding: reader.binding()?, version: reader.u64()? };
        if !(1..=MAX_NUMBER).contains(&head.version) {
            return Err(Malformed("its version is not from 1 to 2^53 - 1"));
        }
        let count = usize::from(reader.u16()?);
        if count > MAX_VIEWERS {
            return Err(Malformed("it has more than 64 terminals"));
        }
        for _ in 0..count {
            reader.take(2 * KEY_LEN)?;
            reader.short(MAX_ACCOUNT_LEN)?;
            reader.take(ENTRY_TAIL_LEN)?;
        }
        let body = &bytes[..bytes.len() - reader.left()];
        let signature = reader.take(SIGNATURE_LEN)?;
        reader.end()?;
        Ok(Self { head, body, signature })
    }

    /// Whether the holder of the device secret with this key verifier signed it.
    pub fn is_signed_by(&self, verifier: &[u8; KEY_LEN]) -> bool {
        signed_by(&PublicKey::Ed25519(*verifier), LABEL, self.body, self.signature)
    }
}
