//! Identity tokens (OpenID Connect Core, 3.1.3.7): what is taken, and what is refused.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde::Deserialize;

use super::LEEWAY_SECS;
use super::keys::Key;
use crate::federation::MAX_SUBJECT_CHARS;
use crate::vault;

/// Longest token, characters.
const MAX_TOKEN_CHARS: usize = 16 * 1024;
/// Longest id of a key, characters.
pub(super) const MAX_KID_CHARS: usize = 256;
/// Oldest token, seconds: it was asked for a moment ago.
const MAX_AGE_SECS: u64 = 10 * 60;

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: String,
    /// Extensions that must be understood; none is.
    crit: Option<serde_json::Value>,
}

/// What is used of a token.
#[derive(Deserialize, Debug)]
pub(super) struct Claims {
    iss: String,
    pub(super) sub: String,
    aud: Audience,
    azp: Option<String>,
    exp: u64,
    iat: u64,
    nonce: Option<String>,
    pub(super) auth_time: Option<u64>,
}

#[derive(Deserialize, Debug)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// What a token must say.
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    pub(super) nonce: &'a str,
    pub(super) now: u64,
}

/// A token whose signature nobody has looked at.
pub(super) struct Unverified<'a> {
    message: &'a str,
    claims: &'a str,
    signature: Vec<u8>,
    algorithm: String,
    pub(super) kid: String,
}

/// Takes a token apart.
pub(super) fn split(token: &str) -> Result<Unverified<'_>, ()> {
    if token.len() > MAX_TOKEN_CHARS {
        return Err(());
    }
    let (message, signature) = token.rsplit_once('.').ok_or(())?;
    let (header, claims) = message.split_once('.').ok_or(())?;
    let header = B64.decode(header).map_err(drop)?;
    let header: Header = serde_json::from_slice(&header).map_err(drop)?;
    if header.crit.is_some() || !(1..=MAX_KID_CHARS).contains(&header.kid.len()) {
        return Err(());
    }
    let signature = B64.decode(signature).map_err(drop)?;
    Ok(Unverified { message, claims, signature, algorithm: header.alg, kid: header.kid })
}

impl Unverified<'_> {
    /// What the token says, if the key signed it and it says what it must. The reason else.
    pub(super) fn verify(
        &self,
        key: &Key,
        expected: &Expected<'_>,
    ) -> Result<Claims, &'static str> {
        // The key decides on the algorithm, never the token.
        if self.algorithm != key.algorithm() {
            return Err("its algorithm is not that of its key");
        }
        if !key.verifies(self.message.as_bytes(), &self.signature) {
            return Err("its signature does not hold");
        }
        let claims = B64.decode(self.claims).map_err(|_| "it is not base64url")?;
        let claims: Claims =
            serde_json::from_slice(&claims).map_err(|_| "its claims are not as agreed")?;
        claims.check(expected)?;
        Ok(claims)
    }
}

impl Claims {
    fn check(&self, expected: &Expected<'_>) -> Result<(), &'static str> {
        if self.iss != expected.issuer {
            return Err("it is another issuer's");
        }
        let client = expected.client_id;
        let (ours, several) = match &self.aud {
            Audience::One(one) => (one == client, false),
            Audience::Many(many) => (many.iter().any(|one| one == client), many.len() > 1),
        };
        if !ours {
            return Err("it is for somebody else");
        }
        match &self.azp {
            Some(party) if party != client => return Err("it was given to somebody else"),
            None if several => return Err("it does not say whom it was given to"),
            _ => {}
        }
        let now = expected.now;
        if self.exp.saturating_add(LEEWAY_SECS) <= now {
            return Err("it has expired");
        }
        if self.iat > now + LEEWAY_SECS {
            return Err("it is of the future");
        }
        if self.iat.saturating_add(MAX_AGE_SECS) <= now {
            return Err("it is too old");
        }
        let nonce = self.nonce.as_deref().unwrap_or_default();
        if !vault::same(nonce.as_bytes(), expected.nonce.as_bytes()) {
            return Err("it answers another request");
        }
        let plain = self.sub.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_control());
        if !plain || !(1..=MAX_SUBJECT_CHARS).contains(&self.sub.len()) {
            return Err("its subject is none");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
