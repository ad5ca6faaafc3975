//! Public keys of terminals and devices, and their RFC 7638 thumbprints.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde::{Deserialize, Serialize};

/// SHA-256 thumbprint of a public key (RFC 7638); base64url in JSON.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Thumbprint(pub [u8; 32]);

impl std::fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

impl std::fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&B64.encode(self.0))
    }
}

impl std::str::FromStr for Thumbprint {
    type Err = InvalidKey;
    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        let bytes = B64.decode(text).map_err(|_| InvalidKey)?;
        bytes.try_into().map(Self).map_err(|_| InvalidKey)
    }
}

impl Serialize for Thumbprint {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Thumbprint {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Not a public key of a kind we take.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
#[error("not a P-256 or Ed25519 public key")]
pub struct InvalidKey;

/// A public key. Its kind fixes the signature algorithm: P-256 is ES256, Ed25519 is EdDSA.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum PublicKey {
    /// ECDSA P-256: the two 32-byte coordinates.
    P256 {
        /// X coordinate.
        x: [u8; 32],
        /// Y coordinate.
        y: [u8; 32],
    },
    /// Ed25519: the 32-byte key.
    Ed25519([u8; 32]),
}

/// JSON Web Key with the public members of the two kinds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Jwk {
    /// `EC` or `OKP`.
    pub kty: String,
    /// `P-256` or `Ed25519`.
    pub crv: String,
    /// base64url.
    pub x: String,
    /// base64url, `EC` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub y: Option<String>,
}

/// DER prefix of a P-256 SubjectPublicKeyInfo; the 64 coordinate bytes follow.
const P256_SPKI: [u8; 27] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
];
/// DER prefix of an Ed25519 SubjectPublicKeyInfo; the 32 key bytes follow.
const ED25519_SPKI: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

impl PublicKey {
    /// From a JWK.
    pub fn from_jwk(jwk: &Jwk) -> Result<Self, InvalidKey> {
        let x = coordinate(&jwk.x)?;
        match (jwk.kty.as_str(), jwk.crv.as_str(), &jwk.y) {
            ("EC", "P-256", Some(y)) => Ok(Self::P256 { x, y: coordinate(y)? }),
            ("OKP", "Ed25519", None) => Ok(Self::Ed25519(x)),
            _ => Err(InvalidKey),
        }
    }

    /// As a JWK.
    pub fn to_jwk(&self) -> Jwk {
        match self {
            Self::P256 { x, y } => Jwk {
                kty: "EC".into(),
                crv: "P-256".into(),
                x: B64.encode(x),
                y: Some(B64.encode(y)),
            },
            Self::Ed25519(x) => {
                Jwk { kty: "OKP".into(), crv: "Ed25519".into(), x: B64.encode(x), y: None }
            }
        }
    }

    /// From a DER SubjectPublicKeyInfo, as certificates carry it.
    pub fn from_spki(der: &[u8]) -> Result<Self, InvalidKey> {
        if let Some(key) = der.strip_prefix(&ED25519_SPKI) {
            return key.try_into().map(Self::Ed25519).map_err(|_| InvalidKey);
        }
        let point = der.strip_prefix(&P256_SPKI).ok_or(InvalidKey)?;
        Self::from_p256_point(point)
    }

    /// From `x || y` of an uncompressed P-256 point, 64 bytes.
    pub fn from_p256_point(point: &[u8]) -> Result<Self, InvalidKey> {
        let (x, y) = point.split_at_checked(32).ok_or(InvalidKey)?;
        Ok(Self::P256 {
            x: x.try_into().map_err(|_| InvalidKey)?,
            y: y.try_into().map_err(|_| InvalidKey)?,
        })
    }

    /// RFC 7638 thumbprint.
    pub fn thumbprint(&self) -> Thumbprint {
        // RFC 7638, 3.2: required members only, in lexical order, without spaces.
        let text = match self {
            Self::P256 { x, y } => format!(
                r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#,
                B64.encode(x),
                B64.encode(y)
            ),
            Self::Ed25519(x) => {
                format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, B64.encode(x))
            }
        };
        let hash = digest(&SHA256, text.as_bytes());
        Thumbprint(hash.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }

    /// JOSE algorithm name that goes with this key.
    pub fn alg(&self) -> &'static str {
        match self {
            Self::P256 { .. } => "ES256",
            Self::Ed25519(_) => "EdDSA",
        }
    }

    /// Whether `signature` (JOSE form: `r || s`, or Ed25519's 64 bytes) is over `message`.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::P256 { x, y } => {
                let mut point = [4u8; 65];
                point[1..33].copy_from_slice(x);
                point[33..].copy_from_slice(y);
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
                    .verify(message, signature)
                    .is_ok()
            }
            Self::Ed25519(key) => {
                UnparsedPublicKey::new(&ED25519, key).verify(message, signature).is_ok()
            }
        }
    }
}

fn coordinate(text: &str) -> Result<[u8; 32], InvalidKey> {
    B64.decode(text).ok().and_then(|bytes| bytes.try_into().ok()).ok_or(InvalidKey)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thumbprint_matches_rfc_8037_appendix_a_3() {
        let jwk = Jwk {
            kty: "OKP".into(),
            crv: "Ed25519".into(),
            x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo".into(),
            y: None,
        };
        let key = PublicKey::from_jwk(&jwk).expect("a good key");
        assert_eq!(key.thumbprint().to_string(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn a_key_of_the_wrong_kind_or_length_is_refused() {
        let jwk = |kty: &str, x: &str, y: Option<&str>| Jwk {
            kty: kty.into(),
            crv: "P-256".into(),
            x: x.into(),
            y: y.map(Into::into),
        };
        let good = B64.encode([1; 32]);
        let short = B64.encode([1; 31]);
        assert!(PublicKey::from_jwk(&jwk("EC", &good, Some(&good))).is_ok());
        assert!(PublicKey::from_jwk(&jwk("EC", &short, Some(&good))).is_err());
        assert!(PublicKey::from_jwk(&jwk("EC", &good, None)).is_err());
        assert!(PublicKey::from_jwk(&jwk("RSA", &good, Some(&good))).is_err());
    }
}
