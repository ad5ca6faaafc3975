//! Who may publish: sealed devices by identity, open ones by password.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};
use sightline_grant::{Redacted, Thumbprint};
use zeroize::Zeroizing;

use crate::ControlPlane;
use crate::base32;
use crate::error::Inner;
use crate::ids::Serial;
use crate::storage::model::{Credential, DeviceKind};
use crate::vault::{DoesNotOpen, auth_seed, token_hash};

/// Realm of RTSP Digest; part of the stored secrets. The relay's challenges carry the same.
pub const RTSP_REALM: &str = "sightline";
/// Random bytes of a publishing password.
pub const PASSWORD_BYTES: usize = 20;
/// Longest text in which a password is looked for, characters.
const MAX_PASSWORD_LEN: usize = 64;
/// Place of the encrypted Digest secrets.
const HA1_PLACE: &str = "device.publish_ha1";

/// A device that may publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishingDevice {
    /// Serial.
    pub serial: String,
    /// Sealed or open.
    pub sealed: bool,
    /// Number of channels.
    pub channels: u16,
}

/// Stands for a publishing credential. Only equality means anything.
#[derive(Clone, PartialEq, Eq)]
pub struct CredentialMark(Vec<u8>);

/// What a device's publishing sessions stand on.
#[derive(Clone, PartialEq, Eq)]
pub struct PublishingTerms {
    /// What it publishes with.
    pub credential: CredentialMark,
    /// Whether it may send sealed media only, or open media only.
    pub sealed: bool,
}

/// Digest secrets, `H(user:realm:password)` in hex.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Ha1 {
    md5: String,
    sha256: String,
}

/// An RTSP publisher.
#[derive(Clone, Debug)]
pub struct RtspPublisher {
    /// Device.
    pub device: PublishingDevice,
    /// MD5 form.
    pub ha1_md5: Redacted<String>,
    /// SHA-256 form.
    pub ha1_sha256: Redacted<String>,
}

impl ControlPlane {
    /// The open device with this publishing password.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn publisher_by_token(
        &self,
        password: &Redacted<String>,
    ) -> Result<Option<PublishingDevice>, Inner> {
        if password.expose().len() > MAX_PASSWORD_LEN {
            return Ok(None);
        }
        let hash = token_hash(&Zeroizing::new(base32::canonical(password.expose())));
        let device = self.store().device_by_token(&hash).await?;
        Ok(device.map(|state| PublishingDevice {
            serial: state.device.serial.0,
            sealed: false,
            channels: state.device.channels,
        }))
    }

    /// The sealed device with this identity key.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn publisher_by_identity(
        &self,
        identity: Thumbprint,
    ) -> Result<Option<PublishingDevice>, Inner> {
        let device = self.store().device_by_identity(identity).await?;
        Ok(device.map(|state| PublishingDevice {
            sealed: state.sealed(),
            channels: state.device.channels,
            serial: state.device.serial.0,
        }))
    }

    /// The open device whose serial is the RTSP user name.
    ///
    /// # Errors
    /// When the database does not answer or the secrets do not open.
    pub async fn rtsp_publisher(&self, user: &str) -> Result<Option<RtspPublisher>, Inner> {
        let Some(serial) = Serial::parse(user) else { return Ok(None) };
        let Some(state) = self.store().device(&serial).await? else { return Ok(None) };
        let DeviceKind::Credential(credential) = state.device.kind else { return Ok(None) };
        let plain = self.vault().open_server(HA1_PLACE, serial.as_str(), &credential.ha1_enc)?;
        let plain = Zeroizing::new(plain);
        let ha1: Ha1 = serde_json::from_slice(&plain).map_err(|_| DoesNotOpen)?;
        Ok(Some(RtspPublisher {
            device: PublishingDevice {
                serial: serial.0,
                sealed: false,
                channels: state.device.channels,
            },
            ha1_md5: Redacted::new(ha1.md5),
            ha1_sha256: Redacted::new(ha1.sha256),
        }))
    }

    /// What each device publishes with and in which mode, by serial. A credential that is gone or
    /// differs from an earlier answer was taken back, and with it the sessions that stand on it;
    /// another mode ends those of the former.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn publishing_terms(&self) -> Result<BTreeMap<String, PublishingTerms>, Inner> {
        let devices = self.store().devices().await?.into_iter();
        let terms = devices.map(|state| {
            let sealed = state.sealed();
            let mark = match state.device.kind {
                DeviceKind::Agent(identity) => identity.0.to_vec(),
                DeviceKind::Credential(credential) => credential.token,
            };
            (state.device.serial.0, PublishingTerms { credential: CredentialMark(mark), sealed })
        });
        Ok(terms.collect())
    }

    /// Whether a device may send sealed media only, or open media only; `None` if there is no such
    /// device.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn is_sealed(&self, serial: &str) -> Result<Option<bool>, Inner> {
        let Some(serial) = Serial::parse(serial) else { return Ok(None) };
        Ok(self.store().device(&serial).await?.map(|state| state.sealed()))
    }

    /// A new publishing password and what is kept of it.
    pub(crate) fn new_credential(&self, serial: &Serial) -> (Redacted<String>, Credential) {
        let secret = Zeroizing::new(crate::random::bytes::<PASSWORD_BYTES>(self.random()));
        let password = base32::encode(secret.as_slice());
        let login = Zeroizing::new(format!("{serial}:{RTSP_REALM}:{password}"));
        let ha1 = Ha1 {
            md5: hex(&Md5::digest(login.as_bytes())),
            sha256: hex(digest(&SHA256, login.as_bytes()).as_ref()),
        };
        let plain = Zeroizing::new(serde_json::to_vec(&ha1).expect("plain data serialises"));
        let seed = auth_seed(secret.as_slice());
        let credential = Credential {
            token: token_hash(&password),
            ha1_enc: self.vault().seal_server(HA1_PLACE, serial.as_str(), &plain, self.random()),
            verifier: public_of(&seed),
        };
        (Redacted::new(password), credential)
    }
}

/// Public half of the Ed25519 key with this seed.
fn public_of(seed: &[u8; 32]) -> [u8; 32] {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
    let pair = Ed25519KeyPair::from_seed_unchecked(seed).expect("a seed has 32 bytes");
    pair.public_key().as_ref().try_into().expect("an Ed25519 key has 32 bytes")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
