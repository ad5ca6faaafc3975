//! The key schedule (RFC 9605, 4.4.2): key and salt of one base key and KID.

use aws_lc_rs::aead::{LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{self, KeyType, Salt};
use zeroize::Zeroizing;

use super::Suite;
use crate::secret::CryptoFailed;

const KEY_LABEL: &[u8] = b"SFrame 1.0 Secret key ";
const SALT_LABEL: &[u8] = b"SFrame 1.0 Secret salt ";

/// Key and salt of one KID. Never printed.
pub(super) struct FrameKey {
    pub(super) aead: LessSafeKey,
    salt: [u8; NONCE_LEN],
}

impl FrameKey {
    pub(super) fn derive(suite: Suite, base_key: &[u8], kid: u64) -> Result<Self, CryptoFailed> {
        let mut key = Zeroizing::new(vec![0; suite.aead().key_len()]);
        let mut salt = [0; NONCE_LEN];
        derive(suite.hash(), suite.id(), base_key, kid, &mut key, &mut salt)?;
        let unbound = UnboundKey::new(suite.aead(), &key).map_err(|_| CryptoFailed)?;
        Ok(Self { aead: LessSafeKey::new(unbound), salt })
    }

    /// The nonce of a counter.
    pub(super) fn nonce(&self, ctr: u64) -> Nonce {
        Nonce::assume_unique_for_key(nonce(&self.salt, ctr))
    }
}

impl Drop for FrameKey {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.salt);
    }
}

/// The salt with the counter in its last bytes.
pub(super) fn nonce(salt: &[u8; NONCE_LEN], ctr: u64) -> [u8; NONCE_LEN] {
    let mut nonce = *salt;
    nonce[NONCE_LEN - 8..].iter_mut().zip(ctr.to_be_bytes()).for_each(|(n, c)| *n ^= c);
    nonce
}

/// Fills key and salt of any suite of the registry.
pub(super) fn derive(
    hash: hkdf::Algorithm,
    suite: u16,
    base_key: &[u8],
    kid: u64,
    key: &mut [u8],
    salt: &mut [u8],
) -> Result<(), CryptoFailed> {
    let secret = Salt::new(hash, &[]).extract(base_key);
    for (label, out) in [(KEY_LABEL, key), (SALT_LABEL, salt)] {
        let info = [label, &kid.to_be_bytes(), &suite.to_be_bytes()];
        secret
            .expand(&info, Len(out.len()))
            .and_then(|okm| okm.fill(out))
            .map_err(|_| CryptoFailed)?;
    }
    Ok(())
}

struct Len(usize);

impl KeyType for Len {
    fn len(&self) -> usize {
        self.0
    }
}
