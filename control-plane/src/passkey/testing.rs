//! An authenticator in software.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde_json::json;

use super::RelyingParty;

pub(crate) const NAME: &str = "test.example";
pub(crate) const ORIGIN: &str = "https://test.example:8443";
/// Somebody was there and was verified.
pub(crate) const VERIFIED: u8 = 0b0000_0101;
/// A credential follows.
const CREDENTIAL: u8 = 0b0100_0000;
/// Extensions follow.
const EXTENSIONS: u8 = 0b1000_0000;

pub(crate) fn party() -> RelyingParty {
    RelyingParty::new(NAME, vec![ORIGIN.to_owned()]).unwrap()
}

pub(crate) enum Pair {
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

impl Pair {
    pub(crate) fn p256() -> Self {
        Self::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap())
    }

    pub(crate) fn seeded(seed: u8) -> Self {
        Self::Ed25519(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap())
    }

    pub(crate) fn each() -> [Self; 3] {
        let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        [Self::p256(), Self::Ed25519(Ed25519KeyPair::generate().unwrap()), Self::Rsa(rsa)]
    }

    pub(crate) fn cose(&self) -> Vec<u8> {
        match self {
            Self::P256(pair) => {
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(32);
                let head = [0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20];
                [&head, x, &[0x22, 0x58, 0x20], y].concat()
            }
            Self::Ed25519(pair) => {
                let head = [0xa4, 0x01, 0x01, 0x03, 0x27, 0x20, 0x06, 0x21, 0x58, 0x20];
                [&head, pair.public_key().as_ref()].concat()
            }
            Self::Rsa(pair) => {
                // PKCS #1: two integers behind nine bytes of DER, and e is 65537.
                rsa_cose(&pair.public_key().as_ref()[9..9 + 256], &[1, 0, 1])
            }
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::P256(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).unwrap();
                signature
            }
        }
    }
}

pub(crate) fn rsa_cose(n: &[u8], e: &[u8]) -> Vec<u8> {
    let length = u16::try_from(n.len()).unwrap().to_be_bytes();
    let exponent = 0x40 + u8::try_from(e.len()).unwrap();
    let head = [0xa4, 0x01, 0x03, 0x03, 0x39, 0x01, 0x00, 0x20, 0x59];
    [&head, &length[..], n, &[0x21, exponent], e].concat()
}

/// What it says when it signs.
pub(crate) struct Shown {
    pub(crate) client_data: Vec<u8>,
    pub(crate) authenticator_data: Vec<u8>,
    pub(crate) signature: Vec<u8>,
}

/// One credential, and all that may be wrong about it.
pub(crate) struct Authenticator {
    pub(crate) pair: Pair,
    pub(crate) id: Vec<u8>,
    pub(crate) counter: u32,
    pub(crate) flags: u8,
    pub(crate) name: &'static str,
    pub(crate) origin: &'static str,
    pub(crate) extensions: Vec<u8>,
}

impl Authenticator {
    pub(crate) fn new(pair: Pair, id: &[u8]) -> Self {
        Self {
            pair,
            id: id.to_vec(),
            counter: 0,
            flags: VERIFIED,
            name: NAME,
            origin: ORIGIN,
            extensions: Vec::new(),
        }
    }

    fn data(&self, credential: &[u8]) -> Vec<u8> {
        let with = |bytes: &[u8], flag| if bytes.is_empty() { 0 } else { flag };
        let flags = self.flags | with(credential, CREDENTIAL) | with(&self.extensions, EXTENSIONS);
        let name = digest(&SHA256, self.name.as_bytes());
        let counter = self.counter.to_be_bytes();
        [name.as_ref(), &[flags], &counter, credential, &self.extensions].concat()
    }

    pub(crate) fn client_data(&self, ceremony: &str, challenge: &[u8]) -> Vec<u8> {
        let said = json!({
            "type": ceremony, "challenge": B64.encode(challenge), "origin": self.origin,
            "crossOrigin": false, "later": {"versions": ["say more"]},
        });
        said.to_string().into_bytes()
    }

    /// Makes the credential; there is no signature of it.
    pub(crate) fn create(&self, challenge: &[u8]) -> Shown {
        let length = u16::try_from(self.id.len()).unwrap().to_be_bytes();
        let credential = [&[7; 16], &length[..], &self.id, &self.pair.cose()].concat();
        Shown {
            client_data: self.client_data("webauthn.create", challenge),
            authenticator_data: self.data(&credential),
            signature: Vec::new(),
        }
    }

    /// Signs for it.
    pub(crate) fn get(&self, challenge: &[u8]) -> Shown {
        let client_data = self.client_data("webauthn.get", challenge);
        let authenticator_data = self.data(&[]);
        let signature = self.signed(&authenticator_data, &client_data);
        Shown { client_data, authenticator_data, signature }
    }

    pub(crate) fn signed(&self, data: &[u8], client_data: &[u8]) -> Vec<u8> {
        self.pair.sign(&[data, digest(&SHA256, client_data).as_ref()].concat())
    }
}
