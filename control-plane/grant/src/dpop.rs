//! Proof of possession of a terminal's or device's key on an HTTP request (DPoP, RFC 9449).
//!
//! Taken: `typ` `dpop+jwt`, ES256 or EdDSA as the embedded key demands, `htm`, `htu`, `iat`, `jti`,
//! and `ath` where an access token or grant is presented with it. Single use of `jti` is the
//! caller's to check, since it takes memory.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde::{Deserialize, Serialize};

use crate::jwk::{Jwk, PublicKey};

/// Longest proof text, bytes.
pub const MAX_PROOF_LEN: usize = 2048;
/// How far `iat` may lie from the server's clock, seconds, both ways.
pub const PROOF_SKEW_SECS: u64 = 60;

/// A verified proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The key that signed.
    pub key: PublicKey,
    /// Unique id of the proof; must be refused a second time within twice [`PROOF_SKEW_SECS`].
    pub jti: String,
}

/// Why a proof does not hold.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
pub enum ProofError {
    /// Not a DPoP proof with a key of a kind we take.
    #[error("the DPoP proof is malformed")]
    Malformed,
    /// The signature does not hold.
    #[error("the DPoP proof is not signed by its key")]
    Signature,
    /// Made for another method or address.
    #[error("the DPoP proof is for another request")]
    OtherRequest,
    /// Made for another token.
    #[error("the DPoP proof is for another token")]
    OtherToken,
    /// Too old or from the future.
    #[error("the DPoP proof is outside its time; check the clock")]
    Stale,
}

/// The request a proof must have been made for.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// HTTP method, upper case.
    pub method: &'a str,
    /// Path without query, e.g. `/v1/sessions`. Scheme and host are not compared, since the server
    /// is reached by several names; the path is.
    pub path: &'a str,
    /// The token presented beside the proof, if any.
    pub token: Option<&'a str>,
}

#[derive(Serialize, Deserialize)]
struct Header {
    typ: String,
    alg: String,
    jwk: Jwk,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    jti: String,
    htm: String,
    htu: String,
    iat: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ath: Option<String>,
}

/// Verifies a proof against the request and the clock.
pub fn verify(text: &str, request: Request<'_>, now_unix: u64) -> Result<Proof, ProofError> {
    if text.len() > MAX_PROOF_LEN {
        return Err(ProofError::Malformed);
    }
    let (signed, signature) = text.rsplit_once('.').ok_or(ProofError::Malformed)?;
    let (header, claims) = signed.split_once('.').ok_or(ProofError::Malformed)?;
    let header: Header = part(header)?;
    let claims: Claims = part(claims)?;
    let key = PublicKey::from_jwk(&header.jwk).map_err(|_| ProofError::Malformed)?;
    if header.typ != "dpop+jwt" || header.alg != key.alg() || claims.jti.len() > 128 {
        return Err(ProofError::Malformed);
    }
    let signature = B64.decode(signature).map_err(|_| ProofError::Malformed)?;
    if !key.verify(signed.as_bytes(), &signature) {
        return Err(ProofError::Signature);
    }
    if claims.htm != request.method || path_of(&claims.htu) != request.path {
        return Err(ProofError::OtherRequest);
    }
    if claims.ath.as_deref() != request.token.map(token_hash).as_deref() {
        return Err(ProofError::OtherToken);
    }
    if claims.iat.abs_diff(now_unix) > PROOF_SKEW_SECS {
        return Err(ProofError::Stale);
    }
    Ok(Proof { key, jti: claims.jti })
}

/// Makes a proof. `sign` returns the JOSE signature of its argument by `key`'s private half.
pub fn create(
    key: &PublicKey,
    request: Request<'_>,
    origin: &str,
    now_unix: u64,
    jti: &str,
    sign: impl FnOnce(&[u8]) -> Vec<u8>,
) -> String {
    let header = Header { typ: "dpop+jwt".into(), alg: key.alg().into(), jwk: key.to_jwk() };
    let claims = Claims {
        jti: jti.to_owned(),
        htm: request.method.to_owned(),
        htu: format!("{origin}{}", request.path),
        iat: now_unix,
        ath: request.token.map(token_hash),
    };
    let header = serde_json::to_vec(&header).expect("plain data serialises");
    let claims = serde_json::to_vec(&claims).expect("plain data serialises");
    let signed = format!("{}.{}", B64.encode(header), B64.encode(claims));
    let signature = sign(signed.as_bytes());
    format!("{signed}.{}", B64.encode(signature))
}

fn part<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, ProofError> {
    let bytes = B64.decode(text).map_err(|_| ProofError::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| ProofError::Malformed)
}

fn token_hash(token: &str) -> String {
    B64.encode(digest(&SHA256, token.as_bytes()))
}

/// Path of an absolute URL, without query and fragment.
fn path_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.find('/').map_or("/", |at| &rest[at..]);
    path.split(['?', '#']).next().unwrap_or("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};

    const REQUEST: Request<'static> =
        Request { method: "POST", path: "/v1/media-grants", token: Some("token") };

    fn proof_at(iat: u64) -> String {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[9; 32]).expect("seed length");
        let public = pair.public_key().as_ref().try_into().expect("32 bytes");
        let key = PublicKey::Ed25519(public);
        create(&key, REQUEST, "https://localhost:8443", iat, "id-1", |message| {
            pair.sign(message).as_ref().to_vec()
        })
    }

    #[test]
    fn a_proof_holds_for_its_request_within_the_skew() {
        let proof = proof_at(1000);
        for now in [1000 - PROOF_SKEW_SECS, 1000, 1000 + PROOF_SKEW_SECS] {
            assert_eq!(verify(&proof, REQUEST, now).map(|p| p.jti), Ok("id-1".into()));
        }
        for now in [999 - PROOF_SKEW_SECS, 1001 + PROOF_SKEW_SECS] {
            assert_eq!(verify(&proof, REQUEST, now), Err(ProofError::Stale));
        }
    }

    #[test]
    fn a_proof_for_another_request_or_token_is_refused() {
        let proof = proof_at(1000);
        let cases = [
            (Request { method: "GET", ..REQUEST }, ProofError::OtherRequest),
            (Request { path: "/v1/other", ..REQUEST }, ProofError::OtherRequest),
            (Request { token: Some("other"), ..REQUEST }, ProofError::OtherToken),
            (Request { token: None, ..REQUEST }, ProofError::OtherToken),
        ];
        for (request, expected) in cases {
            assert_eq!(verify(&proof, request, 1000), Err(expected));
        }
    }

    #[test]
    fn the_algorithm_is_never_taken_from_the_proof() {
        let proof = proof_at(1000);
        let (_, rest) = proof.split_once('.').expect("three parts");
        for alg in ["none", "HS256", "ES256"] {
            let header = serde_json::json!({
                "typ": "dpop+jwt", "alg": alg,
                "jwk": { "kty": "OKP", "crv": "Ed25519", "x": B64.encode([1; 32]) },
            });
            let forged = format!("{}.{rest}", B64.encode(header.to_string()));
            assert_eq!(verify(&forged, REQUEST, 1000), Err(ProofError::Malformed), "{alg}");
        }
    }
}
