//! The LAN grant: lets a terminal preview a camera within its own network while the cloud is away.
//!
//! The camera verifies it alone, with the server's grant key, which it keeps since it was last
//! connected. It cannot be taken back within its time but by what the camera knows itself: another
//! binding, or the owner's list of viewers, without which a sealed picture does not open. So it lives
//! [`LAN_GRANT_TTL_SECS`] at most.
//!
//! Text form: `sll1.` + base64url(JSON claims) + `.` + base64url(Ed25519 signature over the two parts
//! before it). Another prefix than a media grant's, so that neither stands in for the other.

use serde::{Deserialize, Serialize};

use crate::grant::{GrantError, GrantSigner, GrantVerifier, Role};
use crate::jwk::Thumbprint;
use crate::signed;

const PREFIX: &str = "sll1";
/// Longest text, bytes.
pub const MAX_LAN_GRANT_LEN: usize = 1024;
/// Longest life, seconds: a day.
pub const LAN_GRANT_TTL_SECS: u64 = 24 * 60 * 60;
/// How far a camera's clock may be behind the server's, seconds.
pub const LAN_CLOCK_SKEW_SECS: u64 = 300;

/// Claims of a LAN grant.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LanGrant {
    /// Device serial.
    pub serial: String,
    /// Device channel.
    pub channel: u16,
    /// Thumbprint of the terminal's key; the presenter must prove that key.
    pub terminal: Thumbprint,
    /// Owner or guest.
    pub role: Role,
    /// Binding at issue. A camera under another one refuses.
    pub binding_epoch: u64,
    /// Issue time, Unix seconds.
    pub issued_at: u64,
    /// Last second in which it may be used, Unix seconds.
    pub expires_at: u64,
}

impl GrantSigner {
    /// Signs the claims of a LAN grant.
    pub fn sign_lan(&self, grant: &LanGrant) -> String {
        signed::sign(&self.key, PREFIX, grant)
    }
}

impl GrantVerifier {
    /// Checks signature and time of a LAN grant. Terminal, device and binding are the camera's to
    /// check.
    ///
    /// # Errors
    /// See [`GrantError`].
    pub fn verify_lan(&self, text: &str, now_unix: u64) -> Result<LanGrant, GrantError> {
        let grant: LanGrant = signed::open(&self.public, PREFIX, MAX_LAN_GRANT_LEN, text)?;
        let lived = grant.expires_at.saturating_sub(grant.issued_at);
        let early = now_unix + LAN_CLOCK_SKEW_SECS < grant.issued_at;
        if now_unix > grant.expires_at || lived > LAN_GRANT_TTL_SECS || early {
            return Err(GrantError::Expired);
        }
        Ok(grant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requirement;

    const START: u64 = 1_000_000;

    fn signer(seed: u8) -> GrantSigner {
        GrantSigner::from_seed(&[seed; 32]).expect("seed length")
    }

    fn grant() -> LanGrant {
        LanGrant {
            serial: "S".repeat(64),
            channel: 7,
            terminal: Thumbprint([1; 32]),
            role: Role::Owner,
            binding_epoch: u64::MAX,
            issued_at: START,
            expires_at: START + LAN_GRANT_TTL_SECS,
        }
    }

    #[test]
    fn a_lan_grant_is_verified_with_the_servers_key_alone_until_its_last_second() {
        let text = signer(3).sign_lan(&grant());
        assert!(text.len() <= MAX_LAN_GRANT_LEN);
        let verifier = signer(3).verifier();
        assert_eq!(verifier.verify_lan(&text, START), Ok(grant()));
        let last = START + LAN_GRANT_TTL_SECS;
        assert_eq!(verifier.verify_lan(&text, last), Ok(grant()));
        assert_eq!(verifier.verify_lan(&text, last + 1), Err(GrantError::Expired));
        let slow = START - LAN_CLOCK_SKEW_SECS;
        assert_eq!(verifier.verify_lan(&text, slow), Ok(grant()), "a slow clock");
        assert_eq!(verifier.verify_lan(&text, slow - 1), Err(GrantError::Expired));
        let long = LanGrant { expires_at: START + LAN_GRANT_TTL_SECS + 1, ..grant() };
        let long = signer(3).sign_lan(&long);
        assert_eq!(verifier.verify_lan(&long, START), Err(GrantError::Expired));
        requirement!("B16");
    }

    #[test]
    fn a_lan_grant_that_was_changed_or_is_of_another_kind_or_key_is_refused() {
        let text = signer(3).sign_lan(&grant());
        let verifier = signer(3).verifier();
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            assert!(verifier.verify_lan(&changed, START).is_err(), "byte {at}");
        }
        assert_eq!(signer(4).verifier().verify_lan(&text, START), Err(GrantError::Invalid));
        assert_eq!(
            verifier.verify(&text, START).err(),
            Some(GrantError::Invalid),
            "no media grant"
        );
        let long = "a".repeat(MAX_LAN_GRANT_LEN + 1);
        assert_eq!(verifier.verify_lan(&long, START), Err(GrantError::Invalid));
        requirement!("B16");
    }
}
