//! Signed words of this service's own, ES256 only.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::EcdsaKeyPair;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde::Serialize;

#[derive(Serialize)]
struct Header<'a> {
    alg: &'static str,
    kid: &'a str,
}

/// Signs claims, compactly (RFC 7515).
///
/// # Errors
/// When the library cannot sign.
pub fn es256(pair: &EcdsaKeyPair, kid: &str, claims: &impl Serialize) -> Result<String, String> {
    let part = |value: serde_json::Result<Vec<u8>>| {
        value.map(|bytes| B64.encode(bytes)).map_err(|error| error.to_string())
    };
    let header = part(serde_json::to_vec(&Header { alg: "ES256", kid }))?;
    let claims = part(serde_json::to_vec(claims))?;
    let message = format!("{header}.{claims}");
    let signature = pair
        .sign(&SystemRandom::new(), message.as_bytes())
        .map_err(|_| "the key does not sign".to_owned())?;
    Ok(format!("{message}.{}", B64.encode(signature)))
}
