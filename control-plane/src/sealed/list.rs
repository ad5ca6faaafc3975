//! The viewer list that an owner signs: which terminals may open a device's video.

use aws_lc_rs::constant_time::verify_slices_are_equal;
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

/// Scopes that entries have: live 1, playback 2, download 4, talk 8.
const SCOPES: u16 = 15;
const LABEL: &str = "sightline/v1/viewer-list";
/// Longest head: format, serial, epoch, version, count.
const HEAD_LEN: usize = 1 + 1 + MAX_SERIAL_LEN + 8 + 8 + 2;
/// Longest entry: two keys, account, scopes, expiry.
const MAX_ENTRY_LEN: usize = 2 * KEY_LEN + 1 + MAX_ACCOUNT_LEN + 2 + 8;

/// What the server reads of a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListHead {
    /// Device and owner.
    pub binding: DocumentBinding,
    /// Rises with each list of a binding, from 1.
    pub version: u64,
}

/// What the server reads of a terminal on a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry<'a> {
    /// Ed25519 key that the terminal proves itself with.
    pub signing: &'a [u8],
    /// Whose it is: the account's id as the API shows it.
    pub account: &'a [u8],
    scopes: u16,
    expires: u64,
}

/// What a list lets a terminal do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Given {
    /// Bits: live 1, playback 2, download 4, talk 8.
    pub scopes: u16,
    /// Until when, Unix seconds; `u64::MAX`: without an end.
    pub until: u64,
}

/// A list and the parts that its signature is checked over.
#[derive(Clone, Debug)]
pub struct ViewerList<'a> {
    /// Whom it is for, and its number.
    pub head: ListHead,
    /// Its terminals.
    pub entries: Vec<Entry<'a>>,
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
        let entries = (0..count).map(|_| entry(&mut reader)).collect::<Result<_, _>>()?;
        let body = &bytes[..bytes.len() - reader.left()];
        let signature = reader.take(SIGNATURE_LEN)?;
        reader.end()?;
        Ok(Self { head, entries, body, signature })
    }

    /// Whether the holder of the device secret with this key verifier signed it.
    pub fn is_signed_by(&self, verifier: &[u8; KEY_LEN]) -> bool {
        signed_by(&PublicKey::Ed25519(*verifier), LABEL, self.body, self.signature)
    }

    /// What a terminal of an account may do now; `None`: nothing. Takes as long for every key.
    pub fn given_to(&self, signing: &[u8; KEY_LEN], account: &str, now: u64) -> Option<Given> {
        let is_it = |entry: &&Entry<'_>| {
            let key = verify_slices_are_equal(entry.signing, signing).is_ok();
            key & (entry.account == account.as_bytes())
        };
        let found = self.entries.iter().filter(is_it).fold(None, |_, entry| Some(entry));
        found?.given().filter(|given| now < given.until)
    }
}

impl Entry<'_> {
    /// What it may do. `None`: nothing that the server knows of.
    pub fn given(&self) -> Option<Given> {
        let until = if self.expires == 0 { u64::MAX } else { self.expires };
        let scopes = self.scopes & SCOPES;
        (scopes != 0).then_some(Given { scopes, until })
    }
}

fn entry<'a>(reader: &mut Reader<'a>) -> Result<Entry<'a>, Malformed> {
    let (signing, _exchange) = (reader.take(KEY_LEN)?, reader.take(KEY_LEN)?);
    let account = reader.short(MAX_ACCOUNT_LEN)?;
    Ok(Entry { signing, account, scopes: reader.u16()?, expires: reader.u64()? })
}
