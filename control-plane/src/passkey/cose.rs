//! Public keys as authenticators give them: COSE (RFC 9053) in exactly the members that WebAuthn allows,
//! in the order that canonical CBOR gives them, of three kinds.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RsaPublicKeyComponents, VerificationAlgorithm,
};

use super::cbor::{NotCanonical, Reader};

/// COSE algorithms that are taken, the preferred one first.
pub const ALGORITHMS: [i32; 3] = [ES256, EDDSA, RS256];
const ES256: i32 = -7;
const EDDSA: i32 = -8;
const RS256: i32 = -257;

/// Labels of the members.
const KTY: i64 = 1;
const ALG: i64 = 3;
const FIRST: i64 = -1;
const SECOND: i64 = -2;
const THIRD: i64 = -3;

/// Lengths of an RSA modulus, bytes: 2048 to 4096 bits.
const MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=512;
/// Longest RSA exponent, bytes.
const EXPONENT_BYTES: usize = 4;

/// A public key of a credential. That it is one was checked when it was read.
pub(super) enum CredentialKey<'a> {
    /// A point or a key of fixed length.
    Curve(&'static dyn VerificationAlgorithm, Vec<u8>),
    /// Modulus and exponent.
    Rsa(&'a [u8], &'a [u8]),
}

impl<'a> CredentialKey<'a> {
    /// Reads one; the reader stands behind it then.
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, NotCanonical> {
        let members = reader.map()?;
        let kind = member(reader, KTY)?;
        let algorithm = i32::try_from(member(reader, ALG)?).map_err(|_| NotCanonical)?;
        let key = match (kind, algorithm, members) {
            (2, ES256, 5) if member(reader, FIRST)? == 1 => {
                let (x, y) = (bytes(reader, SECOND)?, bytes(reader, THIRD)?);
                if (x.len(), y.len()) != (32, 32) {
                    return Err(NotCanonical);
                }
                Self::Curve(&ECDSA_P256_SHA256_ASN1, [&[4], x, y].concat())
            }
            (1, EDDSA, 4) if member(reader, FIRST)? == 6 => {
                let key: [u8; 32] = bytes(reader, SECOND)?.try_into().map_err(|_| NotCanonical)?;
                Self::Curve(&ED25519, key.to_vec())
            }
            (3, RS256, 4) => {
                let (modulus, exponent) = (bytes(reader, FIRST)?, bytes(reader, SECOND)?);
                if !fits(modulus, exponent) {
                    return Err(NotCanonical);
                }
                Self::Rsa(modulus, exponent)
            }
            _ => return Err(NotCanonical),
        };
        if let Self::Curve(algorithm, point) = &key {
            // A point that is not on its curve is no key.
            ParsedPublicKey::new(*algorithm, point).map_err(|_| NotCanonical)?;
        }
        Ok(key)
    }

    /// Whether the signature is this key's.
    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Curve(algorithm, point) => ParsedPublicKey::new(*algorithm, point)
                .is_ok_and(|key| key.verify_sig(message, signature).is_ok()),
            Self::Rsa(n, e) => RsaPublicKeyComponents { n: *n, e: *e }
                .verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
                .is_ok(),
        }
    }
}

fn member(reader: &mut Reader<'_>, label: i64) -> Result<i64, NotCanonical> {
    if reader.int()? == label { reader.int() } else { Err(NotCanonical) }
}

fn bytes<'a>(reader: &mut Reader<'a>, label: i64) -> Result<&'a [u8], NotCanonical> {
    if reader.int()? == label { reader.bytes() } else { Err(NotCanonical) }
}

/// Whether these may be an RSA key: both odd, without leading zeros, neither too short nor too long.
fn fits(modulus: &[u8], exponent: &[u8]) -> bool {
    let number = |bytes: &[u8]| {
        bytes.first().is_some_and(|first| *first != 0)
            && bytes.last().is_some_and(|last| last % 2 == 1)
    };
    MODULUS_BYTES.contains(&modulus.len())
        && exponent.len() <= EXPONENT_BYTES
        && exponent != [1]
        && number(modulus)
        && number(exponent)
}
