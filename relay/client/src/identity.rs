//! Keys that stand for a terminal (P-256) or a device (Ed25519): signing, proofs of possession,
//! client certificates, and their files.

use std::io;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::{self, SystemRandom};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sightline_grant::{PublicKey, Thumbprint, dpop};
use zeroize::Zeroizing;

use crate::private_file;

/// Longest key file, bytes.
const MAX_KEY_FILE: u64 = 4096;

/// A private key with what follows from it. Never printed.
pub struct Identity {
    pkcs8: Zeroizing<Vec<u8>>,
    signer: Signer,
    public: PublicKey,
}

enum Signer {
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// Why a key cannot be made, read or used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Not a PKCS#8 key of a kind that is taken.
    #[error("not a P-256 or Ed25519 key in PKCS#8")]
    Malformed,
    /// Others than the owner may read the file.
    #[error("the key file may be read by others; its mode must be 0600")]
    OpenToOthers,
    /// The random source or the crypto library failed.
    #[error("the crypto library failed")]
    Crypto,
    /// The file cannot be read or written.
    #[error("the key file: {0}")]
    Io(#[from] io::Error),
}

impl Identity {
    /// A new terminal key: P-256.
    pub fn generate_terminal() -> Result<Self, IdentityError> {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
            .map_err(|_| IdentityError::Crypto)?;
        Self::from_pkcs8(document.as_ref())
    }

    /// A new device identity: Ed25519.
    pub fn generate_device() -> Result<Self, IdentityError> {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
            .map_err(|_| IdentityError::Crypto)?;
        Self::from_pkcs8(document.as_ref())
    }

    /// From PKCS#8 DER of either kind.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, IdentityError> {
        let (signer, public) = if let Ok(pair) = Ed25519KeyPair::from_pkcs8(der) {
            let key = pair.public_key().as_ref().try_into().map_err(|_| IdentityError::Crypto)?;
            (Signer::Ed25519(pair), PublicKey::Ed25519(key))
        } else {
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der)
                .map_err(|_| IdentityError::Malformed)?;
            let point = pair.public_key().as_ref();
            let point = point.strip_prefix(&[4]).ok_or(IdentityError::Crypto)?;
            let public = PublicKey::from_p256_point(point).map_err(|_| IdentityError::Crypto)?;
            (Signer::P256(pair), public)
        };
        Ok(Self { pkcs8: Zeroizing::new(der.to_vec()), signer, public })
    }

    /// Reads a key file, which must belong to its reader alone.
    pub fn load(path: &Path) -> Result<Self, IdentityError> {
        Self::from_pkcs8(&private_file::read(path, MAX_KEY_FILE)?)
    }

    /// Writes a new key file with mode 0600; never over an old one.
    pub fn save(&self, path: &Path) -> Result<(), IdentityError> {
        private_file::write_new(path, &self.pkcs8)
    }

    /// Reads the key at `path`, or makes it with `generate` and writes it there.
    pub fn load_or_create(
        path: &Path,
        generate: impl FnOnce() -> Result<Self, IdentityError>,
    ) -> Result<Self, IdentityError> {
        match Self::load(path) {
            Err(IdentityError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
                let identity = generate()?;
                identity.save(path)?;
                Ok(identity)
            }
            loaded => loaded,
        }
    }

    /// The public half.
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// RFC 7638 thumbprint of the public half.
    pub fn thumbprint(&self) -> Thumbprint {
        self.public.thumbprint()
    }

    /// JOSE signature: `r || s`, or Ed25519's 64 bytes.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, IdentityError> {
        match &self.signer {
            Signer::P256(pair) => pair
                .sign(&SystemRandom::new(), message)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(|_| IdentityError::Crypto),
            Signer::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
        }
    }

    /// A DPoP proof (RFC 9449) for one request. `token` is what is presented with it.
    pub fn proof(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        origin: &str,
    ) -> Result<String, IdentityError> {
        let mut id = [0; 16];
        rand::fill(&mut id).map_err(|_| IdentityError::Crypto)?;
        self.proof_as(method, path, token, origin, &B64.encode(id))
    }

    /// The same with a name that the other side chose.
    pub(crate) fn proof_as(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        origin: &str,
        jti: &str,
    ) -> Result<String, IdentityError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let request = dpop::Request { method, path, token };
        let mut failure = None;
        let proof = dpop::create(&self.public, request, origin, now, jti, |message| {
            self.sign(message).unwrap_or_else(|error| {
                failure = Some(error);
                Vec::new()
            })
        });
        failure.map_or(Ok(proof), Err)
    }

    /// A self-signed certificate of this key for TLS, with the key. Only the key in it counts.
    pub fn client_certificate(
        &self,
    ) -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>), IdentityError> {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.pkcs8.to_vec()));
        let pair = rcgen::KeyPair::try_from(&key).map_err(|_| IdentityError::Crypto)?;
        let mut params =
            rcgen::CertificateParams::new(Vec::new()).map_err(|_| IdentityError::Crypto)?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, "sightline client");
        let certificate = params.self_signed(&pair).map_err(|_| IdentityError::Crypto)?;
        Ok((certificate.der().clone(), key))
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identity({})", self.thumbprint())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    fn both() -> [Identity; 2] {
        [Identity::generate_terminal().expect("a key"), Identity::generate_device().expect("a key")]
    }

    #[test]
    fn proofs_of_both_kinds_verify() {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        for identity in both() {
            let proof = identity.proof("POST", "/v1/x", Some("t"), "https://h:1").expect("signed");
            let request = dpop::Request { method: "POST", path: "/v1/x", token: Some("t") };
            let verified = dpop::verify(&proof, request, now).expect("a good proof");
            assert_eq!(verified.key.thumbprint(), identity.thumbprint());
        }
    }

    #[test]
    fn the_client_certificate_carries_the_identitys_key() {
        for identity in both() {
            let (certificate, _) = identity.client_certificate().expect("a certificate");
            let parsed = webpki::EndEntityCert::try_from(&certificate).expect("X.509");
            let key = PublicKey::from_spki(&parsed.subject_public_key_info()).expect("our kind");
            assert_eq!(key.thumbprint(), identity.thumbprint());
        }
    }

    #[test]
    fn a_key_file_survives_and_is_refused_once_others_may_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key");
        let made = Identity::load_or_create(&path, Identity::generate_terminal).expect("made");
        let mode = fs::metadata(&path).expect("written").mode();
        assert_eq!(mode & 0o777, 0o600);
        let read = Identity::load_or_create(&path, Identity::generate_terminal).expect("read");
        assert_eq!(made.thumbprint(), read.thumbprint());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("changed");
        assert!(matches!(Identity::load(&path), Err(IdentityError::OpenToOthers)));
    }

    #[test]
    fn an_identity_prints_its_thumbprint_only() {
        let identity = Identity::generate_device().expect("a key");
        assert_eq!(format!("{identity:?}"), format!("Identity({})", identity.thumbprint()));
    }
}
