//! The text form that all grants have: prefix, `.`, base64url of JSON claims, `.`, base64url of an
//! Ed25519 signature over the two parts before it. The prefix fixes algorithm and kind.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::grant::GrantError;

/// Signs claims.
pub(crate) fn sign<T: Serialize>(key: &Ed25519KeyPair, prefix: &str, claims: &T) -> String {
    let claims = serde_json::to_vec(claims).expect("claims are plain data and always serialise");
    let signed = format!("{prefix}.{}", B64.encode(claims));
    let signature = key.sign(signed.as_bytes());
    format!("{signed}.{}", B64.encode(signature))
}

/// The claims of a text of at most `longest` bytes, once prefix and signature hold. Times are the
/// caller's to check.
pub(crate) fn open<T: DeserializeOwned>(
    public: &[u8],
    prefix: &str,
    longest: usize,
    text: &str,
) -> Result<T, GrantError> {
    if text.len() > longest {
        return Err(GrantError::Invalid);
    }
    let (signed, signature) = text.rsplit_once('.').ok_or(GrantError::Invalid)?;
    let (kind, claims) = signed.split_once('.').ok_or(GrantError::Invalid)?;
    if kind != prefix {
        return Err(GrantError::Invalid);
    }
    let signature = B64.decode(signature).map_err(|_| GrantError::Invalid)?;
    UnparsedPublicKey::new(&ED25519, public)
        .verify(signed.as_bytes(), &signature)
        .map_err(|_| GrantError::Invalid)?;
    let claims = B64.decode(claims).map_err(|_| GrantError::Invalid)?;
    serde_json::from_slice(&claims).map_err(|_| GrantError::Invalid)
}
