//! Leaves that browsers accept by hash (`serverCertificateHashes`): ECDSA, at most 14 days.
//!
//! Each leaf is in use for seven days out of thirteen. The next one is made seven days ahead, so
//! that a page loaded just before a rotation already knows the hash that follows.

use aws_lc_rs::digest::{SHA256, digest};
use rcgen::{CertificateParams, DnType, KeyPair};
use sightline_relay::config::TlsIdentity;
use time::{Duration, OffsetDateTime};

/// Whole validity; browsers refuse more than 14 days.
const LIFE: Duration = Duration::days(13);
/// Time in use before the next leaf takes over.
const ROTATE_AFTER: Duration = Duration::days(7);
/// Validity before first use, for clients whose clocks are behind.
const BEFORE_USE: Duration = Duration::days(1);

/// One leaf.
pub(crate) struct Leaf {
    identity: TlsIdentity,
    /// SHA-256 of the DER certificate.
    sha256: [u8; 32],
    used_from: OffsetDateTime,
}

/// The leaf in use and the one after it.
pub(crate) struct WebTransportLeaves {
    current: Leaf,
    next: Leaf,
}

impl WebTransportLeaves {
    /// Fresh leaves, the first in use from `now`.
    pub(crate) fn new(now: OffsetDateTime) -> Result<Self, rcgen::Error> {
        Ok(Self { current: Leaf::new(now)?, next: Leaf::new(now + ROTATE_AFTER)? })
    }

    /// Rotates if it is time; `true` if the leaf in use has changed.
    pub(crate) fn rotate(&mut self, now: OffsetDateTime) -> Result<bool, rcgen::Error> {
        if now < self.next.used_from {
            return Ok(false);
        }
        // After a long sleep the next leaf may be past its use as well: start anew from here.
        if now >= self.next.used_from + ROTATE_AFTER {
            *self = Self::new(now)?;
            return Ok(true);
        }
        let after = Leaf::new(self.next.used_from + ROTATE_AFTER)?;
        self.current = std::mem::replace(&mut self.next, after);
        Ok(true)
    }

    /// The leaf in use.
    pub(crate) fn current(&self) -> &TlsIdentity {
        &self.current.identity
    }

    /// Hashes to publish: of the leaf in use, then of the one after it.
    pub(crate) fn hashes(&self) -> [[u8; 32]; 2] {
        [self.current.sha256, self.next.sha256]
    }
}

impl Leaf {
    fn new(used_from: OffsetDateTime) -> Result<Self, rcgen::Error> {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::new(vec!["sightline.internal".to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, "Sightline WebTransport");
        params.not_before = used_from - BEFORE_USE;
        params.not_after = params.not_before + LIFE;
        let certificate = params.self_signed(&key)?.der().clone();
        let sha256 = digest(&SHA256, &certificate).as_ref().try_into().expect("32 bytes");
        let identity = TlsIdentity { chain: vec![certificate], key: super::pkcs8(&key) };
        Ok(Self { identity, sha256, used_from })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_always_knows_the_leaf_in_use_for_a_week_after_it_was_loaded() {
        let start = OffsetDateTime::UNIX_EPOCH + Duration::days(20_000);
        let mut leaves = WebTransportLeaves::new(start).unwrap();
        let mut published = Vec::new();
        for hour in 0..24 * 60 {
            let now = start + Duration::hours(hour);
            leaves.rotate(now).unwrap();
            let in_use = leaves.hashes()[0];
            published.push(leaves.hashes());
            let week_ago = published.len().saturating_sub(24 * 7);
            for hashes in &published[week_ago..] {
                assert!(hashes.contains(&in_use), "hour {hour}");
            }
            let age = now - (leaves.current.used_from - BEFORE_USE);
            assert!(age >= BEFORE_USE && age < LIFE, "hour {hour}: {age}");
        }
    }

    #[test]
    fn the_leaf_rotates_at_day_seven_and_not_before() {
        let start = OffsetDateTime::UNIX_EPOCH + Duration::days(20_000);
        let mut leaves = WebTransportLeaves::new(start).unwrap();
        let [first, second] = leaves.hashes();
        assert!(!leaves.rotate(start + ROTATE_AFTER - Duration::SECOND).unwrap());
        assert!(leaves.rotate(start + ROTATE_AFTER).unwrap());
        assert_eq!(leaves.hashes()[0], second);
        assert_ne!(leaves.hashes()[1], first);
        assert!(leaves.rotate(start + ROTATE_AFTER * 9).unwrap());
        assert_ne!(leaves.hashes()[0], second);
    }
}
