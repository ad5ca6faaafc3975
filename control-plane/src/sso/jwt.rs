//! Keys that sign what apps get (JWS compact, ES256), and how they are made, kept and replaced.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde::Serialize;
use sightline_grant::PublicKey;
use zeroize::Zeroizing;

use crate::ControlPlane;
use crate::error::Inner;
use crate::limits::SIGNING_KEY_OVERLAP_SECS;
use crate::storage::StoreError;
use crate::storage::model::SigningKey;
use crate::vault::DoesNotOpen;

/// Place of the encrypted private half.
const PRIVATE: &str = "sso_key.sealed";
/// First byte of an uncompressed point.
const UNCOMPRESSED: u8 = 4;

/// A key as apps get it (RFC 7517).
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct PublishedKey {
    /// `EC`.
    pub kty: String,
    /// `P-256`.
    pub crv: String,
    /// base64url.
    pub x: String,
    /// base64url.
    pub y: String,
    /// Its name in headers.
    pub kid: String,
    /// `sig`.
    pub r#use: &'static str,
    /// `ES256`.
    pub alg: &'static str,
}

#[derive(Serialize)]
struct Header<'a> {
    typ: &'a str,
    alg: &'static str,
    kid: &'a str,
}

impl ControlPlane {
    /// Keys that apps check signatures with: the one that signs, and replaced ones for their time.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn published_keys(&self) -> Result<Vec<PublishedKey>, Inner> {
        self.signing_key().await?;
        let keys = self.store().signing_keys(self.now()).await?;
        let published = keys.iter().filter_map(|key| {
            let jwk = PublicKey::from_p256_point(&key.public).ok()?.to_jwk();
            let (kid, y) = (key.kid.clone(), jwk.y?);
            let (kty, crv, x) = (jwk.kty, jwk.crv, jwk.x);
            Some(PublishedKey { kty, crv, x, y, kid, r#use: "sig", alg: "ES256" })
        });
        Ok(published.collect())
    }

    /// Makes the key that signs, where there is none yet.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn prepare_signing(&self) -> Result<(), Inner> {
        self.signing_key().await.map(drop)
    }

    /// Signs with another key from now on; the one of before stays published for
    /// [`SIGNING_KEY_OVERLAP_SECS`]. Name of the new one.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn rotate_signing_key(&self) -> Result<String, Inner> {
        let key = self.new_key()?;
        let until = self.now() + SIGNING_KEY_OVERLAP_SECS;
        self.store().signing_key_put(&key, until, false).await?;
        Ok(key.kid)
    }

    /// Signs claims.
    pub(super) async fn signed_claims(
        &self,
        typ: &str,
        claims: &impl Serialize,
    ) -> Result<String, Inner> {
        let key = self.signing_key().await?;
        let private = self.vault().open_server(PRIVATE, &key.kid, &key.sealed)?;
        let private = Zeroizing::new(private);
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &private);
        let pair = pair.map_err(|_| DoesNotOpen)?;
        let header = Header { typ, alg: "ES256", kid: &key.kid };
        let header = serde_json::to_vec(&header).expect("plain data serialises");
        let claims = serde_json::to_vec(claims).expect("plain data serialises");
        let text = format!("{}.{}", B64.encode(header), B64.encode(claims));
        let signature = pair.sign(&SystemRandom::new(), text.as_bytes());
        let signature = signature.map_err(|_| DoesNotOpen)?;
        Ok(format!("{text}.{}", B64.encode(signature)))
    }

    /// The key that signs; the first one is made when it is wanted.
    async fn signing_key(&self) -> Result<SigningKey, Inner> {
        let signs =
            |keys: Vec<SigningKey>| keys.into_iter().find(|key| key.published_until.is_none());
        if let Some(key) = signs(self.store().signing_keys(self.now()).await?) {
            return Ok(key);
        }
        // Another process may have been first; then its key stands.
        self.store().signing_key_put(&self.new_key()?, self.now(), true).await?;
        let key = signs(self.store().signing_keys(self.now()).await?);
        Ok(key.ok_or(StoreError::Inconsistent("a signing key"))?)
    }

    fn new_key(&self) -> Result<SigningKey, Inner> {
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let private = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new());
        let private = private.map_err(|_| DoesNotOpen)?;
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, private.as_ref());
        let pair = pair.map_err(|_| DoesNotOpen)?;
        let point = pair.public_key().as_ref().strip_prefix(&[UNCOMPRESSED]).ok_or(DoesNotOpen)?;
        let public = PublicKey::from_p256_point(point).map_err(|_| DoesNotOpen)?;
        let kid = public.thumbprint().to_string();
        let sealed = self.vault().seal_server(PRIVATE, &kid, private.as_ref(), self.random());
        let (public, created_at) = (point.to_vec(), self.now());
        Ok(SigningKey { kid, public, sealed, created_at, published_until: None })
    }
}
