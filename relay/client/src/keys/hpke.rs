//! HPKE (RFC 9180): base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-128-GCM, one message a
//! context.

use rustls::crypto::aws_lc_rs::hpke::DH_KEM_X25519_HKDF_SHA256_AES_128 as SUITE;
use rustls::crypto::hpke::{EncapsulatedSecret, Hpke, HpkePrivateKey, HpkePublicKey};
use zeroize::Zeroizing;

use super::{ExchangeKey, ExchangePublic};

/// Bytes of the encapsulated key.
pub(super) const ENC_LEN: usize = 32;
/// Bytes that sealing adds to the message.
pub(super) const TAG_LEN: usize = 16;

/// The public key is not one of the curve's, or the message is not for this key.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(super) struct Refused;

/// Seals `message` for the holder of `recipient`: encapsulated key and ciphertext.
pub(super) fn seal(
    recipient: &ExchangePublic,
    info: &[u8],
    message: &[u8],
) -> Result<([u8; ENC_LEN], Vec<u8>), Refused> {
    let key = HpkePublicKey(recipient.0.to_vec());
    let (enc, sealed) = SUITE.seal(info, &[], message, &key).map_err(|_| Refused)?;
    Ok((enc.0.try_into().map_err(|_| Refused)?, sealed))
}

/// Opens what [`seal`] made.
pub(super) fn open(
    key: &ExchangeKey,
    enc: &[u8; ENC_LEN],
    info: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Refused> {
    let enc = EncapsulatedSecret(enc.to_vec());
    let key = HpkePrivateKey::from(key.secret().to_vec());
    SUITE.open(&enc, info, &[], sealed, &key).map(Zeroizing::new).map_err(|_| Refused)
}

#[cfg(test)]
mod tests;
