//! Sign in with Apple, as a configuration of OpenID Connect: the client secret is a word that the team's
//! key signs for each request, name and mail address are not asked for (so the answer needs no form), and
//! grants are taken back at `/auth/revoke`, which Apple asks for when an account is deleted (TN3194).

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;
use serde::Serialize;
use url::Url;

use super::{ClientAuth, Freshness, Registration, jws};
use crate::federation::{ProviderFacts, Redirects};

/// Who Apple is.
pub const ISSUER: &str = "https://appleid.apple.com";
/// Where it takes grants back, behind the issuer.
const REVOKE_PATH: &str = "/auth/revoke";
/// Life of a client secret, seconds. Apple takes months; one is made for each request.
const SECRET_SECS: u64 = 300;

/// The key of a developer team, from its `.p8` file.
pub struct AppleKey {
    team: String,
    key_id: String,
    pair: EcdsaKeyPair,
}

/// The text is not a P-256 key in PEM.
#[derive(Debug, thiserror::Error)]
#[error("this is not a private key for ES256 in PEM (PKCS#8)")]
pub struct NoKey;

#[derive(Serialize)]
struct SecretClaims<'a> {
    iss: &'a str,
    iat: u64,
    exp: u64,
    aud: &'a str,
    sub: &'a str,
}

impl AppleKey {
    /// From the text of the file.
    ///
    /// # Errors
    /// When it is something else.
    pub fn from_pem(team: &str, key_id: &str, pem: &str) -> Result<Self, NoKey> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| NoKey)?;
        let der = der.secret_pkcs8_der();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der);
        let pair = pair.map_err(|_| NoKey)?;
        Ok(Self { team: team.to_owned(), key_id: key_id.to_owned(), pair })
    }

    /// The client secret of one request.
    pub(super) fn secret(&self, issuer: &str, client: &str, now: u64) -> Result<String, String> {
        let (iss, iat, exp) = (&*self.team, now, now + SECRET_SECS);
        let claims = SecretClaims { iss, iat, exp, aud: issuer, sub: client };
        jws::es256(&self.pair, &self.key_id, &claims)
    }
}

/// What the operator has at Apple. `issuer` is [`ISSUER`], but for tests.
pub fn registration(
    facts: ProviderFacts,
    issuer: &str,
    client_id: &str,
    key: AppleKey,
    redirects: Redirects,
) -> Registration {
    Registration {
        facts,
        issuer: issuer.to_owned(),
        client_id: client_id.to_owned(),
        auth: ClientAuth::Apple(key),
        scope: "",
        freshness: Freshness::Always,
        redirects,
        known_as: None,
        revocation: Url::parse(&format!("{issuer}{REVOKE_PATH}")).ok(),
    }
}
