//! The device secret: made by the camera, shown once, never sent. Its `auth` key proves it.

mod base32;
mod shown;

pub use shown::{CHECK_LEN, CameraCheck, NotShown, ShownSecret};

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::rand;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use sightline_grant::{Redacted, Thumbprint};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::keys::ExchangeKey;

/// Bytes of a device secret: 160 bits.
pub const SECRET_LEN: usize = 20;
/// HKDF label of the `auth` key.
const AUTH_INFO: &[u8] = b"sightline/v1/auth";
/// HKDF label of the `archive` key.
const ARCHIVE_INFO: &[u8] = b"sightline/v1/archive";
/// First line of a key challenge.
const CHALLENGE_LABEL: &str = "sightline/v1/key-proof";
/// Lines of a key challenge: label, server name, session, terminal, serial, channel, nonce, expiry.
const CHALLENGE_LINES: usize = 8;

/// 160 random bits, known to the owner and the camera only. Never printed.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct DeviceSecret([u8; SECRET_LEN]);

/// The text is not a device secret.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
#[error(
    "a device secret is 32 characters of A-Z and 2-7 in groups of 4, or 48 with its camera check"
)]
pub struct InvalidSecret;

/// The crypto library failed.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
#[error("the crypto library failed")]
pub struct CryptoFailed;

/// What a key challenge must be for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChallengeFor<'a> {
    /// The server that this client was told to talk to. A challenge that a server has from another
    /// one is told by this.
    pub server: &'a str,
    /// The terminal that asked: its key in HTTP. A challenge that a server fetched for a terminal of
    /// its own is told by this.
    pub terminal: Thumbprint,
    /// The device.
    pub serial: &'a str,
    /// The lens.
    pub channel: u16,
}

/// A message that a server wants signed is not the key challenge that was asked for. Signing it
/// could endorse a viewer list of the server's own making.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
#[error("the challenge is for something else; nothing was signed")]
pub struct NotAChallenge;

/// The key that proves the knowledge of a device secret.
pub struct AuthKey(Ed25519KeyPair);

impl DeviceSecret {
    /// A new secret.
    pub fn generate() -> Result<Self, CryptoFailed> {
        let mut secret = Self([0; SECRET_LEN]);
        rand::fill(&mut secret.0).map_err(|_| CryptoFailed)?;
        Ok(secret)
    }

    /// From its bytes.
    pub fn from_bytes(bytes: [u8; SECRET_LEN]) -> Self {
        Self(bytes)
    }

    /// Reads the text form of the secret alone. Dashes, spaces and letter case do not matter.
    pub fn parse(text: &str) -> Result<Self, InvalidSecret> {
        let bytes = base32::decode(text, SECRET_LEN).ok_or(InvalidSecret)?;
        let secret = bytes.as_slice().try_into().map_err(|_| InvalidSecret)?;
        Ok(Self(secret))
    }

    /// The text of the secret alone: groups of four with dashes.
    pub fn text(&self) -> Redacted<String> {
        Redacted::new(base32::grouped(&base32::encode(&self.0)))
    }

    /// The text without dashes: the publish password of an open device.
    pub fn password(&self) -> Redacted<String> {
        Redacted::new(base32::encode(&self.0).to_string())
    }

    /// The `auth` key of this secret.
    pub fn auth_key(&self) -> Result<AuthKey, CryptoFailed> {
        let seed = self.branch(AUTH_INFO)?;
        Ed25519KeyPair::from_seed_unchecked(seed.as_ref()).map(AuthKey).map_err(|_| CryptoFailed)
    }

    /// The `archive` key of this secret, which every generation is wrapped for. The camera keeps
    /// the public half only.
    ///
    /// # Errors
    /// The crypto library failed.
    pub fn archive_key(&self) -> Result<ExchangeKey, CryptoFailed> {
        ExchangeKey::from_secret(self.branch(ARCHIVE_INFO)?)
    }

    fn branch(&self, label: &[u8]) -> Result<Zeroizing<[u8; 32]>, CryptoFailed> {
        let mut key = Zeroizing::new([0; 32]);
        Salt::new(HKDF_SHA256, &[])
            .extract(&self.0)
            .expand(&[label], Seed)
            .and_then(|okm| okm.fill(key.as_mut()))
            .map_err(|_| CryptoFailed)?;
        Ok(key)
    }
}

impl AuthKey {
    /// The key verifier: the public half, 32 bytes.
    pub fn verifier(&self) -> [u8; 32] {
        self.0.public_key().as_ref().try_into().expect("an Ed25519 public key has 32 bytes")
    }

    /// Signs the key challenge that was asked for; nothing else that a server may send.
    ///
    /// # Errors
    /// The message is another one.
    pub fn sign_challenge(
        &self,
        message: &[u8],
        asked: ChallengeFor<'_>,
    ) -> Result<[u8; 64], NotAChallenge> {
        sign_challenge(&self.0, message, asked)
    }

    /// Signs a document of this crate, whose label is part of it.
    pub(crate) fn sign_document(&self, labelled: &[u8]) -> [u8; 64] {
        signature(&self.0, labelled)
    }
}

/// Signs `message` if it is the challenge that was asked for.
pub(crate) fn sign_challenge(
    key: &Ed25519KeyPair,
    message: &[u8],
    asked: ChallengeFor<'_>,
) -> Result<[u8; 64], NotAChallenge> {
    let text = std::str::from_utf8(message).map_err(|_| NotAChallenge)?;
    let lines: Vec<&str> = text.split('\n').collect();
    let ours = lines.len() == CHALLENGE_LINES
        && lines[0] == CHALLENGE_LABEL
        && lines[1].eq_ignore_ascii_case(asked.server)
        && lines[3] == asked.terminal.to_string()
        && lines[4] == asked.serial
        && lines[5] == asked.channel.to_string();
    if ours { Ok(signature(key, message)) } else { Err(NotAChallenge) }
}

fn signature(key: &Ed25519KeyPair, message: &[u8]) -> [u8; 64] {
    key.sign(message).as_ref().try_into().expect("an Ed25519 signature has 64 bytes")
}

impl std::fmt::Debug for DeviceSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

impl std::fmt::Debug for AuthKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

struct Seed;

impl KeyType for Seed {
    fn len(&self) -> usize {
        32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counting() -> DeviceSecret {
        DeviceSecret::from_bytes(std::array::from_fn(|at| at as u8))
    }

    #[test]
    fn the_auth_key_matches_the_vector() {
        let verifier = counting().auth_key().expect("derived").verifier();
        let hex: String = verifier.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "fd4ec357d53db1a6d043da394d225ec397a4641f06bbc62868b467bbd2915ef4");
    }

    /// Made with another implementation of HKDF and X25519.
    #[test]
    fn the_archive_key_matches_the_vector() {
        let public = counting().archive_key().expect("derived").public();
        assert_eq!(
            format!("{public:?}"),
            "37e1564972fdf018913d393b0eedc750de7a760b04b71e1be42aa0c33f325505"
        );
    }

    #[test]
    fn only_the_key_challenge_that_was_asked_for_is_signed() {
        let key = counting().auth_key().expect("derived");
        let terminal = Thumbprint([3; 32]);
        let asked = ChallengeFor { server: "cam.example", terminal, serial: "CAM-1", channel: 0 };
        let message = |label: &str, terminal: u8, serial: &str, channel: &str, rest: &str| {
            let terminal = Thumbprint([terminal; 32]);
            format!("{label}\nCam.Example\nsession\n{terminal}\n{serial}\n{channel}\nnonce\n{rest}")
        };
        let right = message(CHALLENGE_LABEL, 3, "CAM-1", "0", "1800000000");
        let signature = key.sign_challenge(right.as_bytes(), asked).expect("ours");
        let public = sightline_grant::PublicKey::Ed25519(key.verifier());
        assert!(public.verify(right.as_bytes(), &signature));
        for wrong in [
            right.replace("Cam.Example", "other.example"),
            message("sightline/v1/viewer-list", 3, "CAM-1", "0", "1800000000"),
            message(CHALLENGE_LABEL, 4, "CAM-1", "0", "1800000000"),
            message(CHALLENGE_LABEL, 3, "CAM-2", "0", "1800000000"),
            message(CHALLENGE_LABEL, 3, "CAM-1", "1", "1800000000"),
            message(CHALLENGE_LABEL, 3, "CAM-1", "0", "1800000000\nmore"),
            "sightline/v1/viewer-list\0...".to_owned(),
        ] {
            assert_eq!(key.sign_challenge(wrong.as_bytes(), asked), Err(NotAChallenge));
        }
    }

    #[test]
    fn the_text_form_matches_the_vector_and_reads_back() {
        let secret = counting();
        let text = secret.text();
        assert_eq!(text.expose(), "AAAQ-EAYE-AUDA-OCAJ-BIFQ-YDIO-B4IB-CEQT");
        for form in [text.expose().clone(), text.expose().to_lowercase().replace('-', " ")] {
            assert_eq!(DeviceSecret::parse(&form).expect("legal").0, secret.0);
        }
        let password = secret.password();
        assert_eq!(DeviceSecret::parse(password.expose()).expect("legal").0, secret.0);
    }

    #[test]
    fn a_text_of_another_length_or_alphabet_is_refused() {
        let password = counting().password().into_inner();
        for text in ["", &password[1..], &format!("{password}A"), &password.replace('A', "1")] {
            assert_eq!(DeviceSecret::parse(text).err(), Some(InvalidSecret));
        }
    }

    #[test]
    fn a_secret_never_prints() {
        let secret = counting();
        let auth = secret.auth_key().expect("derived");
        assert_eq!(format!("{secret:?} {auth:?} {}", secret.text()), ["[redacted]"; 3].join(" "));
    }
}
