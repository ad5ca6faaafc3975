//! X25519 keys (RFC 7748) that generations are wrapped for.

use std::fmt;

use aws_lc_rs::agreement::{PrivateKey, X25519};
use aws_lc_rs::rand;
use zeroize::Zeroizing;

use crate::secret::CryptoFailed;

/// Public half of an X25519 key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangePublic(pub [u8; 32]);

/// A private X25519 key. Never printed.
pub struct ExchangeKey {
    secret: Zeroizing<[u8; 32]>,
    public: ExchangePublic,
}

impl ExchangeKey {
    /// A new key.
    ///
    /// # Errors
    /// The random source failed.
    pub fn generate() -> Result<Self, CryptoFailed> {
        let mut secret = Zeroizing::new([0; 32]);
        rand::fill(secret.as_mut()).map_err(|_| CryptoFailed)?;
        Self::from_secret(secret)
    }

    /// From its 32 bytes. They are clamped where they are used (RFC 7748, section 5).
    ///
    /// # Errors
    /// The crypto library failed.
    pub fn from_secret(secret: Zeroizing<[u8; 32]>) -> Result<Self, CryptoFailed> {
        let private =
            PrivateKey::from_private_key(&X25519, secret.as_ref()).map_err(|_| CryptoFailed)?;
        let public = private.compute_public_key().map_err(|_| CryptoFailed)?;
        let public = public.as_ref().try_into().map_err(|_| CryptoFailed)?;
        Ok(Self { secret, public: ExchangePublic(public) })
    }

    /// The public half.
    pub fn public(&self) -> ExchangePublic {
        self.public
    }

    /// The private half, for HPKE and for the file of its owner.
    pub(super) fn secret(&self) -> &[u8; 32] {
        &self.secret
    }
}

impl fmt::Debug for ExchangeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExchangeKey({:?})", self.public)
    }
}

impl fmt::Debug for ExchangePublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
