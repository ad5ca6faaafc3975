//! Session keys as they were derived.
//!
//! Expanded, a key of GCM is 600 bytes. Media needs it at every packet; the reports of a viewer come
//! and go once a second, so theirs are kept like this and expanded for each.

use sha1_lanes::{KEY, Unit};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::auth::Auth;
use super::keys::{CM_SALT, GCM_SALT, KeyingError, Prf, Profile, Transform, counter_mode};

/// Longest key of a profile, bytes.
const MAX_KEY: usize = 32;

/// Key, authentication key and salt of one transform, as far as the profile has them.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct Material {
    #[zeroize(skip)]
    profile: Profile,
    key: [u8; MAX_KEY],
    auth: [u8; KEY],
    salt: [u8; CM_SALT],
}

impl Material {
    /// The keys under `label` and the two labels after it (RFC 3711, 4.3.1).
    pub(super) fn derive(profile: Profile, prf: &Prf, label: u8) -> Result<Self, KeyingError> {
        let (key, auth, salt) = ([0; MAX_KEY], [0; KEY], [0; CM_SALT]);
        let mut this = Self { profile, key, auth, salt };
        prf.fill(label, &mut this.key[..profile.key_len()])?;
        if profile == Profile::Aes128CmSha1 {
            prf.fill(label + 1, &mut this.auth)?;
        }
        prf.fill(label + 2, &mut this.salt[..profile.salt_len()])?;
        Ok(this)
    }

    /// The transform, with the vector unit of choice.
    pub(super) fn expand(&self, unit: Option<Unit>) -> Result<Transform, KeyingError> {
        let key = &self.key[..self.profile.key_len()];
        if self.profile != Profile::Aes128CmSha1 {
            let salt: &[u8; GCM_SALT] = self.salt.first_chunk().ok_or(KeyingError)?;
            return Transform::gcm(key, *salt);
        }
        Ok(Transform::Cm {
            key: Box::new(counter_mode(key)?),
            auth: Box::new(Auth::new(&self.auth, unit)),
            salt: self.salt,
        })
    }
}

/// The keys of SRTCP in one direction.
pub(super) enum Control {
    /// Of GCM.
    Folded(Material),
    /// Of HMAC-SHA1, whose expansion would take several times as long as the report itself.
    Expanded(Transform),
}

impl Control {
    pub(super) fn new(material: Material) -> Result<Self, KeyingError> {
        Ok(match material.profile {
            Profile::Aes128CmSha1 => Self::Expanded(material.expand(None)?),
            Profile::AeadAes128Gcm | Profile::AeadAes256Gcm => Self::Folded(material),
        })
    }

    /// Seals the compound from `start` on in place; it holds at least a header.
    pub(super) fn seal_rtcp(&self, out: &mut Vec<u8>, start: usize, index: u32) -> bool {
        self.with(|transform| transform.seal_rtcp(out, start, index))
    }

    /// The index that a sealed compound claims; `None` if it is cut short or not encrypted.
    pub(super) fn rtcp_index(&self, packet: &[u8]) -> Option<u32> {
        match self {
            Self::Folded(material) => material.profile.rtcp_index(packet),
            Self::Expanded(_) => Profile::Aes128CmSha1.rtcp_index(packet),
        }
    }

    /// Opens a compound that claims `index` into `out`, which is empty.
    pub(super) fn open_rtcp(
        &self,
        packet: &[u8],
        (ssrc, index): (u32, u32),
        out: &mut Vec<u8>,
    ) -> bool {
        self.with(|transform| transform.open_rtcp(packet, (ssrc, index), out))
    }

    fn with(&self, action: impl FnOnce(&Transform) -> bool) -> bool {
        match self {
            Self::Folded(material) => material.expand(None).is_ok_and(|it| action(&it)),
            Self::Expanded(transform) => action(transform),
        }
    }
}
