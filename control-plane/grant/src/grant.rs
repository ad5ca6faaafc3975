//! The media grant: what the gate hands out and the relay turns into a lease.
//!
//! Text form: `slg1.` + base64url(JSON claims) + `.` + base64url(Ed25519 signature over the two
//! parts before it). The algorithm is fixed by the prefix.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use serde::{Deserialize, Serialize};

use crate::epoch::Epochs;
use crate::jwk::Thumbprint;
use crate::signed;

const PREFIX: &str = "slg1";
/// Longest grant text, bytes.
pub const MAX_GRANT_LEN: usize = 2048;
/// Longest time between issue and use, seconds.
pub const GRANT_TTL_SECS: u64 = 30;

/// Random name of a grant; the relay takes each one once.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct GrantId(pub u128);

/// What a media session may do.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Live preview.
    Live,
    /// Play recordings.
    Playback,
    /// Download recordings.
    Download,
    /// Voice to the device.
    Talk,
}

/// In which role the viewer was admitted. Bounds how long a stream survives a silent authority.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The device is bound to the viewer's account.
    Owner,
    /// The device is shared with the viewer's account.
    Guest,
}

/// Claims of a grant.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// Single-use name.
    pub id: GrantId,
    /// Pseudonym of the account. Never a phone number.
    pub subject: String,
    /// Login session.
    pub session: String,
    /// Thumbprint of the terminal's key; the presenter must prove that key.
    pub terminal: Thumbprint,
    /// Device serial.
    pub serial: String,
    /// Device channel.
    pub channel: u16,
    /// What may be done.
    pub actions: Vec<Action>,
    /// Owner or guest.
    pub role: Role,
    /// Counters at admission.
    pub epochs: Epochs,
    /// Sequence number of the consent event that the session stands on.
    pub consent_seq: u64,
    /// Issue time, Unix seconds.
    pub issued_at: u64,
    /// Last second in which the grant may be used, Unix seconds.
    pub expires_at: u64,
}

/// Why a grant is not taken.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
pub enum GrantError {
    /// Not a grant, or its signature does not hold.
    #[error("the grant is malformed or not signed by this service")]
    Invalid,
    /// Used too late.
    #[error("the grant has expired; ask for a new one")]
    Expired,
}

/// Signs grants.
pub struct GrantSigner {
    pub(crate) key: Ed25519KeyPair,
}

impl GrantSigner {
    /// From a 32-byte Ed25519 seed. `None` if it has another length.
    pub fn from_seed(seed: &[u8]) -> Option<Self> {
        Ed25519KeyPair::from_seed_unchecked(seed).ok().map(|key| Self { key })
    }

    /// The verifying half.
    pub fn verifier(&self) -> GrantVerifier {
        GrantVerifier { public: self.key.public_key().as_ref().to_vec() }
    }

    /// Signs claims.
    pub fn sign(&self, grant: &Grant) -> String {
        signed::sign(&self.key, PREFIX, grant)
    }
}

/// Verifies grants.
#[derive(Clone)]
pub struct GrantVerifier {
    pub(crate) public: Vec<u8>,
}

impl GrantVerifier {
    /// From the 32-byte public key.
    pub fn new(public: &[u8]) -> Self {
        Self { public: public.to_vec() }
    }

    /// The 32-byte public key.
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// Checks signature and time. Single use, terminal and epochs are the relay's to check.
    pub fn verify(&self, text: &str, now_unix: u64) -> Result<Grant, GrantError> {
        let grant: Grant = signed::open(&self.public, PREFIX, MAX_GRANT_LEN, text)?;
        let lived = grant.expires_at.saturating_sub(grant.issued_at);
        if now_unix > grant.expires_at || lived > GRANT_TTL_SECS {
            return Err(GrantError::Expired);
        }
        Ok(grant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant() -> Grant {
        Grant {
            id: GrantId(7),
            subject: "a".into(),
            session: "s".into(),
            terminal: Thumbprint([1; 32]),
            serial: "CAM-1".into(),
            channel: 0,
            actions: vec![Action::Live],
            role: Role::Owner,
            epochs: Epochs::default(),
            consent_seq: 1,
            issued_at: 1000,
            expires_at: 1030,
        }
    }

    #[test]
    fn a_grant_survives_signing_and_verifying_until_its_last_second() {
        let signer = GrantSigner::from_seed(&[3; 32]).expect("seed length");
        let text = signer.sign(&grant());
        assert_eq!(signer.verifier().verify(&text, 1030), Ok(grant()));
        assert_eq!(signer.verifier().verify(&text, 1031), Err(GrantError::Expired));
    }

    #[test]
    fn a_grant_of_another_key_or_with_a_flipped_bit_is_invalid() {
        let signer = GrantSigner::from_seed(&[3; 32]).expect("seed length");
        let other = GrantSigner::from_seed(&[4; 32]).expect("seed length");
        let text = signer.sign(&grant());
        assert_eq!(other.verifier().verify(&text, 1000), Err(GrantError::Invalid));
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            // The last base64 character of each part has spare bits that the decoder refuses too.
            assert!(signer.verifier().verify(&changed, 1000).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_grant_that_claims_a_longer_life_than_allowed_is_refused() {
        let signer = GrantSigner::from_seed(&[3; 32]).expect("seed length");
        let long = Grant { expires_at: 1031, ..grant() };
        assert_eq!(signer.verifier().verify(&signer.sign(&long), 1000), Err(GrantError::Expired));
    }
}
