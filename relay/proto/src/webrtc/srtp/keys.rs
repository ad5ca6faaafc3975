//! Key derivation and the transforms: AES-GCM, and AES-CM with HMAC-SHA1.

use aws_lc_rs::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{self, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use sha1_lanes::Unit;

use super::Plain;
use super::auth::{self, Auth};
use super::material::{Control, Material};

/// Clear bytes at the start of an SRTCP compound.
pub(super) const RTCP_HEADER: usize = 8;
const GCM_TAG: usize = 16;
pub(super) const SHA1_TAG: usize = 10;
pub(super) const GCM_SALT: usize = 12;
pub(super) const CM_SALT: usize = 14;
/// The E flag of SRTCP: the compound is encrypted.
const ENCRYPTED: u32 = 1 << 31;

/// A protection profile (RFC 5764, 4.1.2; RFC 7714, 14.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Profile {
    /// `SRTP_AEAD_AES_128_GCM`.
    AeadAes128Gcm,
    /// `SRTP_AEAD_AES_256_GCM`.
    AeadAes256Gcm,
    /// `SRTP_AES128_CM_HMAC_SHA1_80`.
    Aes128CmSha1,
}

/// The keying material does not fit the profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the SRTP keying material does not fit its profile")]
pub struct KeyingError;

impl From<aws_lc_rs::error::Unspecified> for KeyingError {
    fn from(_: aws_lc_rs::error::Unspecified) -> Self {
        Self
    }
}

impl Profile {
    /// Bytes of a master key.
    pub fn key_len(self) -> usize {
        match self {
            Self::AeadAes256Gcm => 32,
            Self::AeadAes128Gcm | Self::Aes128CmSha1 => 16,
        }
    }

    /// Bytes of a master salt.
    pub fn salt_len(self) -> usize {
        match self {
            Self::Aes128CmSha1 => CM_SALT,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => GCM_SALT,
        }
    }

    /// The index that a sealed compound claims; `None` if it is cut short or not encrypted.
    pub(super) fn rtcp_index(self, packet: &[u8]) -> Option<u32> {
        let (end, shortest) = match self {
            Self::Aes128CmSha1 => (packet.len().checked_sub(SHA1_TAG)?, RTCP_HEADER),
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => (packet.len(), RTCP_HEADER + GCM_TAG),
        };
        let at = end.checked_sub(4)?;
        let word = u32::from_be_bytes(*packet.get(at..end)?.first_chunk()?);
        (at >= shortest && word & ENCRYPTED != 0).then_some(word & !ENCRYPTED)
    }
}

/// Session keys of one direction.
pub(super) struct Keys {
    pub(super) rtp: Transform,
    pub(super) rtcp: Control,
}

impl Keys {
    /// Session keys of a master key and salt (RFC 3711, 4.3; key derivation rate 0).
    pub(super) fn derive(profile: Profile, key: &[u8], salt: &[u8]) -> Result<Self, KeyingError> {
        Self::derive_for(Unit::best(), profile, key, salt)
    }

    /// The same for a vector unit of choice, or none.
    pub(super) fn derive_for(
        unit: Option<Unit>,
        profile: Profile,
        key: &[u8],
        salt: &[u8],
    ) -> Result<Self, KeyingError> {
        let prf = Prf::new(key, salt)?;
        Ok(Self {
            rtp: Material::derive(profile, &prf, 0)?.expand(unit)?,
            rtcp: Control::new(Material::derive(profile, &prf, 3)?)?,
        })
    }
}

/// AES in counter mode as a key derivation function (RFC 3711, 4.3.3; RFC 6188).
pub(super) struct Prf {
    key: EncryptingKey,
    salt: [u8; 16],
}

impl Prf {
    pub(super) fn new(key: &[u8], salt: &[u8]) -> Result<Self, KeyingError> {
        let mut padded = [0; 16];
        padded.get_mut(..salt.len()).ok_or(KeyingError)?.copy_from_slice(salt);
        Ok(Self { key: counter_mode(key)?, salt: padded })
    }

    /// Key bytes for a label, `out.len()` of them.
    pub(super) fn fill(&self, label: u8, out: &mut [u8]) -> Result<(), KeyingError> {
        let mut iv = self.salt;
        iv[7] ^= label;
        out.fill(0);
        apply(&self.key, iv, out).then_some(()).ok_or(KeyingError)
    }
}

/// One keyed transform, for SRTP or for SRTCP. Its keys are expanded.
pub(super) enum Transform {
    Gcm { key: LessSafeKey, salt: [u8; GCM_SALT] },
    Cm { key: Box<EncryptingKey>, auth: Box<Auth>, salt: [u8; CM_SALT] },
}

impl Transform {
    /// A GCM transform of a session key and salt.
    pub(super) fn gcm(key: &[u8], salt: [u8; GCM_SALT]) -> Result<Self, KeyingError> {
        let algorithm = if key.len() == 32 { &aead::AES_256_GCM } else { &aead::AES_128_GCM };
        let key = LessSafeKey::new(UnboundKey::new(algorithm, key)?);
        Ok(Self::Gcm { key, salt })
    }

    /// Bytes that sealing adds to an RTP packet.
    pub(super) fn tag_len(&self) -> usize {
        match self {
            Self::Gcm { .. } => GCM_TAG,
            Self::Cm { .. } => SHA1_TAG,
        }
    }

    /// What authenticates packets after [`Self::encrypt_rtp`]; `None` if that did.
    pub(super) fn auth(&self) -> Option<&Auth> {
        match self {
            Self::Gcm { .. } => None,
            Self::Cm { auth, .. } => Some(auth),
        }
    }

    /// Fills `out`, which has the length of the packet and [`Self::tag_len`]. It holds rubbish if
    /// this fails.
    pub(super) fn seal_rtp(
        &self,
        packet: Plain<'_>,
        ssrc: u32,
        index: u64,
        out: &mut [u8],
    ) -> bool {
        if !self.encrypt_rtp(packet, ssrc, index, out) {
            return false;
        }
        if let Some(auth) = self.auth() {
            let (sealed, tag) = out.split_at_mut(out.len() - SHA1_TAG);
            tag.copy_from_slice(&auth.tag(sealed, index));
        }
        true
    }

    /// The same without the tag of [`Self::auth`], whose place is left as it is.
    pub(super) fn encrypt_rtp(
        &self,
        packet: Plain<'_>,
        ssrc: u32,
        index: u64,
        out: &mut [u8],
    ) -> bool {
        let Plain { header, prefix, payload } = packet;
        let plain = prefix.len() + payload.len();
        if out.len() != header.len() + plain + self.tag_len() {
            return false;
        }
        let (head, rest) = out.split_at_mut(header.len());
        head.copy_from_slice(header);
        let (body, tag) = rest.split_at_mut(plain);
        match self {
            Self::Gcm { key, salt } if prefix.is_empty() => {
                let nonce = rtp_nonce(salt, ssrc, index);
                let aad = Aad::from(header);
                key.seal_out_of_place_scatter(nonce, aad, payload, body, &[], tag).is_ok()
            }
            Self::Gcm { key, salt } => {
                copy_parts(body, prefix, payload);
                let nonce = rtp_nonce(salt, ssrc, index);
                let sealed = key.seal_in_place_separate_tag(nonce, Aad::from(header), body);
                sealed.map(|made| tag.copy_from_slice(made.as_ref())).is_ok()
            }
            Self::Cm { key, salt, .. } => {
                copy_parts(body, prefix, payload);
                apply(key, counter(salt, ssrc, index), body)
            }
        }
    }

    /// Opens `packet` into `out`, which is empty; `false` if the tag is wrong.
    pub(super) fn open_rtp(
        &self,
        packet: &[u8],
        header_len: usize,
        ssrc: u32,
        index: u64,
        out: &mut Vec<u8>,
    ) -> bool {
        let Some(end) = packet.len().checked_sub(self.tag_len()) else { return false };
        if end < header_len {
            return false;
        }
        let (sealed, tag) = packet.split_at(end);
        let (header, body) = sealed.split_at(header_len);
        match self {
            Self::Gcm { key, salt } => {
                out.extend_from_slice(header);
                out.resize(end, 0);
                let nonce = rtp_nonce(salt, ssrc, index);
                let plain = &mut out[header_len..];
                key.open_separate_gather(nonce, Aad::from(header), body, tag, plain).is_ok()
            }
            Self::Cm { key, auth, salt } => {
                if !auth::same(&auth.tag(sealed, index), tag) {
                    return false;
                }
                out.extend_from_slice(sealed);
                apply(key, counter(salt, ssrc, index), &mut out[header_len..])
            }
        }
    }

    /// Seals the compound from `start` on in place; it holds at least [`RTCP_HEADER`] bytes.
    pub(super) fn seal_rtcp(&self, out: &mut Vec<u8>, start: usize, index: u32) -> bool {
        let Some(ssrc) = rtcp_ssrc(&out[start..]) else { return false };
        let word = (index | ENCRYPTED).to_be_bytes();
        let body = start + RTCP_HEADER;
        match self {
            Self::Gcm { key, salt } => {
                let aad = rtcp_aad(&out[start..], word);
                let nonce = rtcp_nonce(salt, ssrc, index);
                let sealed =
                    key.seal_in_place_separate_tag(nonce, Aad::from(aad), &mut out[body..]);
                let Ok(tag) = sealed else { return false };
                out.extend_from_slice(tag.as_ref());
                out.extend_from_slice(&word);
            }
            Self::Cm { key, auth, salt } => {
                let iv = counter(salt, ssrc, u64::from(index));
                if !apply(key, iv, &mut out[body..]) {
                    return false;
                }
                out.extend_from_slice(&word);
                let tag = auth.compound_tag(&out[start..]);
                out.extend_from_slice(&tag);
            }
        }
        true
    }

    /// Opens a compound with its [`Profile::rtcp_index`] into `out`, which is empty.
    pub(super) fn open_rtcp(
        &self,
        packet: &[u8],
        (ssrc, index): (u32, u32),
        out: &mut Vec<u8>,
    ) -> bool {
        match self {
            Self::Gcm { key, salt } => {
                let (sealed, word) = packet.split_at(packet.len() - 4);
                let (compound, tag) = sealed.split_at(sealed.len() - GCM_TAG);
                let (header, body) = compound.split_at(RTCP_HEADER);
                let aad = rtcp_aad(header, [word[0], word[1], word[2], word[3]]);
                out.extend_from_slice(header);
                out.resize(compound.len(), 0);
                let nonce = rtcp_nonce(salt, ssrc, index);
                let plain = &mut out[RTCP_HEADER..];
                key.open_separate_gather(nonce, Aad::from(aad), body, tag, plain).is_ok()
            }
            Self::Cm { key, auth, salt } => {
                let (signed, tag) = packet.split_at(packet.len() - SHA1_TAG);
                if !auth::same(&auth.compound_tag(signed), tag) {
                    return false;
                }
                out.extend_from_slice(&signed[..signed.len() - 4]);
                apply(key, counter(salt, ssrc, u64::from(index)), &mut out[RTCP_HEADER..])
            }
        }
    }
}

/// The payload of a packet as one.
fn copy_parts(body: &mut [u8], prefix: &[u8], payload: &[u8]) {
    let (first, second) = body.split_at_mut(prefix.len());
    first.copy_from_slice(prefix);
    second.copy_from_slice(payload);
}

pub(super) fn counter_mode(key: &[u8]) -> Result<EncryptingKey, KeyingError> {
    let algorithm = if key.len() == 32 { &cipher::AES_256 } else { &cipher::AES_128 };
    Ok(EncryptingKey::ctr(UnboundCipherKey::new(algorithm, key)?)?)
}

/// XORs the key stream onto `data`: encrypts and decrypts alike.
fn apply(key: &EncryptingKey, iv: [u8; 16], data: &mut [u8]) -> bool {
    let context = EncryptionContext::Iv128(FixedLength::from(iv));
    data.is_empty() || key.less_safe_encrypt(data, context).is_ok()
}

/// Initial counter block of AES-CM (RFC 3711, 4.1.1).
fn counter(salt: &[u8; CM_SALT], ssrc: u32, index: u64) -> [u8; 16] {
    let mut iv = [0; 16];
    iv[..CM_SALT].copy_from_slice(salt);
    xor(&mut iv[4..8], &ssrc.to_be_bytes());
    xor(&mut iv[8..14], &index.to_be_bytes()[2..]);
    iv
}

/// `00 00 SSRC ROC SEQ` XOR salt (RFC 7714, 8.1).
fn rtp_nonce(salt: &[u8; GCM_SALT], ssrc: u32, index: u64) -> Nonce {
    let mut nonce = *salt;
    xor(&mut nonce[2..6], &ssrc.to_be_bytes());
    xor(&mut nonce[6..12], &index.to_be_bytes()[2..]);
    Nonce::assume_unique_for_key(nonce)
}

/// `00 00 SSRC 00 00 index` XOR salt (RFC 7714, 9.1).
fn rtcp_nonce(salt: &[u8; GCM_SALT], ssrc: u32, index: u32) -> Nonce {
    let mut nonce = *salt;
    xor(&mut nonce[2..6], &ssrc.to_be_bytes());
    xor(&mut nonce[8..12], &index.to_be_bytes());
    Nonce::assume_unique_for_key(nonce)
}

fn rtcp_aad(compound: &[u8], word: [u8; 4]) -> [u8; RTCP_HEADER + 4] {
    let mut aad = [0; RTCP_HEADER + 4];
    aad[..RTCP_HEADER].copy_from_slice(&compound[..RTCP_HEADER]);
    aad[RTCP_HEADER..].copy_from_slice(&word);
    aad
}

fn rtcp_ssrc(compound: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(*compound.get(4..8)?.first_chunk()?))
}

fn xor(target: &mut [u8], with: &[u8]) {
    for (byte, other) in target.iter_mut().zip(with) {
        *byte ^= other;
    }
}
