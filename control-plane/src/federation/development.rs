//! An identity provider for development: it speaks OpenID Connect on this machine and lets anybody be
//! anybody. It says so wherever it is seen.

mod answers;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use axum::Router;
use axum::routing::{get, post};
use sightline_grant::Redacted;

use super::oidc::{ClientAuth, Freshness, Registration};
use super::{ProviderFacts, ProviderKind, Redirects};
use crate::clock::Clock;
use crate::random::{self, Random};

/// Id of the stand-in.
pub const ID: &str = "development";
/// Life of a code, seconds.
const LIFE_SECS: u64 = 120;
/// Codes, and tokens, at a time; the oldest end when there are more.
const MOST: usize = 256;
/// Longest name that somebody may go by, characters.
const MAX_NAME_CHARS: usize = 64;

/// The library could not make a key.
#[derive(Debug, thiserror::Error)]
#[error("no key could be made")]
pub struct NoKey;

/// What the stand-in knows.
pub struct Development {
    issuer: String,
    client_id: String,
    secret: Redacted<String>,
    key: EcdsaKeyPair,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    /// By code.
    codes: HashMap<String, Login>,
    /// Refresh tokens, oldest first.
    tokens: Vec<String>,
}

/// A login that waits for its code to be traded.
struct Login {
    subject: String,
    redirect: String,
    nonce: String,
    challenge: String,
    at: u64,
}

impl Development {
    /// Serves one service with this id and secret at `issuer`, an address without a slash at its end.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn new(
        issuer: &str,
        client_id: &str,
        secret: Redacted<String>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Self, NoKey> {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| NoKey)?;
        Ok(Self {
            issuer: issuer.to_owned(),
            client_id: client_id.to_owned(),
            secret,
            key,
            clock,
            random,
            held: Mutex::default(),
        })
    }

    /// What a service knows of the stand-in.
    pub fn registration(&self) -> Registration {
        Registration {
            facts: ProviderFacts {
                id: ID.into(),
                name: "DEVELOPMENT IDENTITY".into(),
                kind: ProviderKind::Oidc,
                development: true,
            },
            issuer: self.issuer.clone(),
            client_id: self.client_id.clone(),
            auth: ClientAuth::Basic(self.secret.clone()),
            scope: "openid",
            freshness: Freshness::Said,
            redirects: Redirects::Loopback,
            known_as: Some(ID),
            revocation: None,
        }
    }

    /// Refresh tokens that nobody has taken back.
    pub fn grants(&self) -> usize {
        self.held().tokens.len()
    }

    /// The stand-in's endpoints. Serve them on a loopback address only.
    pub fn router(self: Arc<Self>) -> Router {
        Router::new()
            .route("/.well-known/openid-configuration", get(answers::description))
            .route("/authorize", get(answers::form).post(answers::authorize))
            .route("/token", post(answers::token))
            .route("/jwks", get(answers::keys))
            .route("/revoke", post(answers::revoke))
            .with_state(self)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A code for a login.
    fn code_for(&self, login: Login) -> String {
        let code = random::hex_id(self.random.as_ref());
        let mut held = self.held();
        let now = self.clock.now();
        held.codes.retain(|_, login| now < login.at + LIFE_SECS);
        if held.codes.len() >= MOST
            && let Some(oldest) =
                held.codes.iter().min_by_key(|(_, login)| login.at).map(|(code, _)| code.clone())
        {
            held.codes.remove(&oldest);
        }
        held.codes.insert(code.clone(), login);
        code
    }

    /// The login of a code, once.
    fn login_of(&self, code: &str) -> Option<Login> {
        let login = self.held().codes.remove(code)?;
        (self.clock.now() < login.at + LIFE_SECS).then_some(login)
    }

    fn new_token(&self) -> String {
        let token = random::hex_id(self.random.as_ref());
        let mut held = self.held();
        if held.tokens.len() >= MOST {
            held.tokens.remove(0);
        }
        held.tokens.push(token.clone());
        token
    }

    fn take_back(&self, token: &str) {
        self.held().tokens.retain(|known| known != token);
    }
}
