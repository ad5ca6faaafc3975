//! The cipher suites that are offered (RFC 9605, 4.5).

use aws_lc_rs::{aead, hkdf};

/// A cipher suite with AES-GCM and tags of 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Suite {
    /// AES_128_GCM_SHA256_128, 0x0004.
    #[default]
    Aes128Gcm,
    /// AES_256_GCM_SHA512_128, 0x0005.
    Aes256Gcm,
}

impl Suite {
    /// Both suites.
    pub const ALL: [Self; 2] = [Self::Aes128Gcm, Self::Aes256Gcm];

    /// Number in the registry of RFC 9605, section 8.1.
    pub fn id(self) -> u16 {
        match self {
            Self::Aes128Gcm => 4,
            Self::Aes256Gcm => 5,
        }
    }

    /// The suite of an [`Self::id`]. `None` for those that are not offered.
    pub fn from_id(id: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.id() == id)
    }

    pub(super) fn aead(self) -> &'static aead::Algorithm {
        match self {
            Self::Aes128Gcm => &aead::AES_128_GCM,
            Self::Aes256Gcm => &aead::AES_256_GCM,
        }
    }

    pub(super) fn hash(self) -> hkdf::Algorithm {
        match self {
            Self::Aes128Gcm => hkdf::HKDF_SHA256,
            Self::Aes256Gcm => hkdf::HKDF_SHA512,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_two_suites_with_gcm_are_offered() {
        let offered: Vec<u16> = (0..=u16::MAX).filter(|id| Suite::from_id(*id).is_some()).collect();
        assert_eq!(offered, [4, 5]);
    }
}
