//! The keys that a provider signs with, kept for a while and never too many.

use std::collections::HashMap;

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde::Deserialize;
use sightline_grant::PublicKey;
use sightline_grant::jwk::Jwk;
use tokio::sync::Mutex;
use url::Url;

use super::id_token::MAX_KID_CHARS;
use crate::outbound::{self, Answer};

/// How long keys are used, seconds: one that a provider took out of use ends here at the latest.
const FRESH_SECS: u64 = 6 * 60 * 60;
/// Keys that nobody knows lead to a new look at most so often, seconds.
const RETRY_SECS: u64 = 60;
/// Keys of one provider.
const MOST: usize = 32;
/// Bytes of the modulus of an RSA key: 2048 to 4096 bits.
const MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=512;

/// A key for one of the two algorithms that are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// RS256.
    Rsa { n: Vec<u8>, e: Vec<u8> },
    /// ES256.
    P256(PublicKey),
}

impl Key {
    /// The algorithm that the key is for; no other is taken with it.
    pub(super) fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa { .. } => "RS256",
            Self::P256(_) => "ES256",
        }
    }

    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Rsa { n, e } => RsaPublicKeyComponents { n, e }
                .verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
                .is_ok(),
            Self::P256(key) => key.verify(message, signature),
        }
    }
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<RawKey>,
}

#[derive(Deserialize)]
struct RawKey {
    kty: String,
    kid: Option<String>,
    r#use: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
}

#[derive(Default)]
struct Known {
    keys: HashMap<String, Key>,
    /// When they were read, Unix seconds.
    read_at: Option<u64>,
    /// When reading was last tried, Unix seconds.
    tried_at: Option<u64>,
}

/// The keys of one provider.
#[derive(Default)]
pub(super) struct Keys(Mutex<Known>);

impl Keys {
    /// A key by its id. Unknown ones are looked for at the provider, at a bounded rate.
    pub(super) async fn find(
        &self,
        http: &reqwest::Client,
        at: &Url,
        kid: &str,
        now: u64,
    ) -> Result<Option<Key>, String> {
        let mut known = self.0.lock().await;
        let fresh = known.read_at.is_some_and(|read| now < read + FRESH_SECS);
        if fresh && let Some(key) = known.keys.get(kid) {
            return Ok(Some(key.clone()));
        }
        if known.tried_at.is_some_and(|tried| now < tried + RETRY_SECS) {
            // Keys that are too old are worth nothing, whoever asks.
            return if fresh { Ok(None) } else { Err("its keys cannot be read".into()) };
        }
        known.tried_at = Some(now);
        let answer = outbound::exchange(http.get(at.clone())).await;
        let Answer { status, body } = answer.map_err(|error| error.to_string())?;
        if status.as_u16() != 200 {
            return Err(format!("status {status} for its keys"));
        }
        known.keys = read(&body)?;
        known.read_at = Some(now);
        Ok(known.keys.get(kid).cloned())
    }
}

fn read(body: &[u8]) -> Result<HashMap<String, Key>, String> {
    let set: KeySet =
        serde_json::from_slice(body).map_err(|_| "its keys are not as agreed".to_owned())?;
    if set.keys.len() > MOST {
        return Err("it has too many keys".into());
    }
    // Keys of other kinds and uses are no error; nothing is signed with them here.
    Ok(set.keys.into_iter().filter_map(usable).collect())
}

fn usable(raw: RawKey) -> Option<(String, Key)> {
    let kid = raw.kid.filter(|kid| (1..=MAX_KID_CHARS).contains(&kid.len()))?;
    let bytes = |text: Option<String>| B64.decode(text?).ok();
    let key = match raw.kty.as_str() {
        "RSA" => {
            let (n, e) = (bytes(raw.n)?, bytes(raw.e)?);
            if !MODULUS_BYTES.contains(&n.len()) || n.first() == Some(&0) {
                return None;
            }
            Key::Rsa { n, e }
        }
        kty => {
            let jwk = Jwk { kty: kty.to_owned(), crv: raw.crv?, x: raw.x?, y: raw.y };
            match PublicKey::from_jwk(&jwk).ok()? {
                key @ PublicKey::P256 { .. } => Key::P256(key),
                PublicKey::Ed25519(_) => return None,
            }
        }
    };
    let signs = raw.r#use.is_none_or(|purpose| purpose == "sig");
    let same = raw.alg.is_none_or(|algorithm| algorithm == key.algorithm());
    (signs && same).then_some((kid, key))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_of_other_kinds_are_passed_over_and_too_many_refused() {
        let rsa = |kid: &str, bytes: usize| json!({"kty": "RSA", "kid": kid, "n": B64.encode(vec![0x91; bytes]), "e": "AQAB"});
        let mut other_use = rsa("enc", 256);
        other_use["use"] = json!("enc");
        let mut other_algorithm = rsa("ps", 256);
        other_algorithm["alg"] = json!("PS256");
        let set = json!({"keys": [
            rsa("small", 255), rsa("good", 256), rsa("large", 512), rsa("too-large", 513), other_use,
            other_algorithm, {"kty": "oct", "kid": "s", "k": "AAAA"},
            {"kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": B64.encode([1; 32])},
        ]});
        let keys = read(set.to_string().as_bytes()).unwrap();
        let mut names: Vec<_> = keys.keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["good", "large"]);
        let many = |count: usize| {
            let keys: Vec<_> = (0..count).map(|n| rsa(&n.to_string(), 256)).collect();
            read(json!({ "keys": keys }).to_string().as_bytes())
        };
        assert_eq!(many(MOST).unwrap().len(), MOST);
        assert!(many(MOST + 1).is_err());
    }
}
