//! Generation blobs: what a camera signs about a key, and that key wrapped for each who may open it.

use sightline_grant::PublicKey;

use super::list::MAX_VIEWERS;
use super::read::{Malformed, Reader};
use super::{DocumentBinding, KEY_LEN, SIGNATURE_LEN, signed_by};
use crate::ids::MAX_SERIAL_LEN;

/// Most wraps of one generation: every viewer, the archive, and those that an owner adds.
pub const MAX_WRAPS: usize = 2 * MAX_VIEWERS;
/// Bytes of a wrap: recipient, encapsulated key, ciphertext with tag.
pub const WRAP_LEN: usize = KEY_LEN + 32 + 48;
/// Longest blob, bytes.
pub const MAX_BLOB_LEN: usize = MAX_HEADER_LEN + SIGNATURE_LEN + 2 + MAX_WRAPS * WRAP_LEN;
/// Lowest number of a generation.
pub const MIN_GENERATION: u64 = 1 << 24;
/// Highest number of a generation.
pub const MAX_GENERATION: u64 = (1 << 32) - 1;

const LABEL: &str = "sightline/v1/generation";
/// SFrame cipher suites that cameras may use (RFC 9605, section 8.1).
const SUITES: [u16; 2] = [4, 5];
/// Not-before and list version, which are for viewers.
const TIMES_LEN: usize = 8 + 8;
const COMMITMENT_LEN: usize = 32;
/// Longest header: format, suite, serial, epoch, number, not-before, list version, commitment.
const MAX_HEADER_LEN: usize = 1 + 2 + 1 + MAX_SERIAL_LEN + 8 + 8 + TIMES_LEN + COMMITMENT_LEN;

/// A key wrapped for one recipient. The server cannot open it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wrap {
    /// X25519 public key of a terminal or of the archive.
    pub recipient: [u8; KEY_LEN],
    /// Encapsulated key and ciphertext.
    pub sealed: Vec<u8>,
}

impl Wrap {
    /// From its bytes.
    ///
    /// # Errors
    /// When they are not [`WRAP_LEN`].
    pub fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        if bytes.len() != WRAP_LEN {
            return Err(Malformed("it does not have 112 bytes"));
        }
        let (recipient, sealed) = bytes.split_at(KEY_LEN);
        let recipient = recipient.try_into().expect("cut at its length");
        Ok(Self { recipient, sealed: sealed.to_vec() })
    }
}

/// A blob as a camera uploads it.
#[derive(Clone, Debug)]
pub struct GenerationBlob<'a> {
    /// Device and owner.
    pub binding: DocumentBinding,
    /// Its number; rises for ever, over owners too.
    pub number: u64,
    /// Header and signature: what stays when wraps are cut away.
    pub signed: &'a [u8],
    /// The wraps, rising by recipient.
    pub wraps: Vec<Wrap>,
    header_len: usize,
}

impl<'a> GenerationBlob<'a> {
    /// Reads a blob.
    ///
    /// # Errors
    /// When it is longer than [`MAX_BLOB_LEN`] or not of the form of a blob.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        if bytes.len() > MAX_BLOB_LEN {
            return Err(Malformed("it is longer than any generation"));
        }
        let mut reader = Reader::new(bytes);
        reader.format()?;
        if !SUITES.contains(&reader.u16()?) {
            return Err(Malformed("it has a cipher suite that is not offered"));
        }
        let binding = reader.binding()?;
        let number = reader.u64()?;
        if !(MIN_GENERATION..=MAX_GENERATION).contains(&number) {
            return Err(Malformed("its number is not from 2^24 to 2^32 - 1"));
        }
        reader.take(TIMES_LEN + COMMITMENT_LEN)?;
        let header_len = bytes.len() - reader.left();
        reader.take(SIGNATURE_LEN)?;
        let signed = &bytes[..bytes.len() - reader.left()];
        let wraps = read_wraps(&mut reader)?;
        Ok(Self { binding, number, signed, wraps, header_len })
    }

    /// Whether the camera with this identity signed it. Only Ed25519 identities sign generations.
    pub fn is_signed_by(&self, identity: &PublicKey) -> bool {
        let (header, signature) = self.signed.split_at(self.header_len);
        matches!(identity, PublicKey::Ed25519(_)) && signed_by(identity, LABEL, header, signature)
    }
}

fn read_wraps(reader: &mut Reader<'_>) -> Result<Vec<Wrap>, Malformed> {
    let count = usize::from(reader.u16()?);
    if count > MAX_WRAPS {
        return Err(Malformed("it has more than 128 wraps"));
    }
    let wraps: Vec<Wrap> =
        (0..count).map(|_| Wrap::read(reader.take(WRAP_LEN)?)).collect::<Result<_, _>>()?;
    reader.end()?;
    if !wraps.is_sorted_by(|a, b| a.recipient < b.recipient) {
        return Err(Malformed("its wraps do not rise by recipient"));
    }
    Ok(wraps)
}

/// The blob with one wrap or none: all that one recipient needs, and it tells nothing of the others.
pub fn cut(signed: &[u8], wrap: Option<&Wrap>) -> Vec<u8> {
    let mut out = Vec::with_capacity(signed.len() + 2 + WRAP_LEN);
    out.extend_from_slice(signed);
    out.extend_from_slice(&u16::from(wrap.is_some()).to_be_bytes());
    if let Some(wrap) = wrap {
        out.extend_from_slice(&wrap.recipient);
        out.extend_from_slice(&wrap.sealed);
    }
    out
}
