//! The token endpoint: codes and refresh tokens are traded for tokens, by the app that they were made
//! for and, where they are bound to one, with its key.

use std::net::IpAddr;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde::Serialize;
use sightline_grant::{Redacted, Thumbprint};

use super::scope::Scopes;
use crate::ControlPlane;
use crate::error::Inner;
use crate::ids::{AppId, AppLoginId, SessionId, TerminalId};
use crate::limits::{APP_LOGINS, ID_TOKEN_SECS, PKCE_VERIFIER_CHARS, SESSION_IDLE_SECS};
use crate::random;
use crate::session::{RefreshError, TERMINAL_NAME, Tokens};
use crate::sms::open::network;
use crate::storage::model::{
    App, AppCode, AppRotated, AppRotation, AppSession, Redeemed, Redemption, RetryAfter,
};
use crate::vault::{self, token_hash};

/// What an app shows of itself.
#[derive(Clone, Debug)]
pub struct ClientShown {
    /// Client id.
    pub id: AppId,
    /// Secret.
    pub secret: Option<Redacted<String>>,
    /// Key that the request proved.
    pub jkt: Option<Thumbprint>,
}

/// Tokens of an app.
#[derive(Clone, Debug)]
pub struct AppTokens {
    /// The pair.
    pub tokens: Tokens,
    /// Who signed in; with a code only.
    pub id_token: Option<Redacted<String>>,
    /// What the app gets; with a code only.
    pub scopes: Option<Scopes>,
    /// Whether they are bound to a key.
    pub bound: bool,
}

/// Why an app gets no tokens.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// A parameter is missing, twice there or not what it must be.
    #[error("{0}")]
    InvalidRequest(&'static str),
    /// Unknown, or the wrong secret, or none.
    #[error("the app is not known, or does not show what it must")]
    InvalidClient,
    /// Unknown, over, used, or another app's or key's.
    #[error("the code or refresh token does not hold")]
    InvalidGrant,
    /// Something else is to be traded.
    #[error("only authorization_code and refresh_token are traded")]
    UnsupportedGrantType,
    /// Tokens of this app are bound to a key, which the request does not prove.
    #[error("a DPoP proof that holds for this request is needed")]
    InvalidProof,
    /// Too many.
    #[error("too many requests; try again later")]
    Limited(RetryAfter),
    /// See [`Inner`].
    #[error(transparent)]
    Inner(#[from] Inner),
}

/// A code with what must come with it.
#[derive(Clone, Debug)]
pub struct CodeShown {
    /// The code.
    pub code: Redacted<String>,
    /// Where the browser came back to with it.
    pub redirect_uri: String,
    /// Whose hash the request had.
    pub verifier: Redacted<String>,
}

/// Claims of an ID token.
#[derive(Serialize)]
struct IdToken<'a> {
    iss: String,
    sub: &'a str,
    aud: &'a AppId,
    exp: u64,
    iat: u64,
    auth_time: u64,
    sid: &'a AppLoginId,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    at_hash: String,
}

impl ControlPlane {
    /// Counts a request of an app before anything is looked up.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub fn count_app_call(&self, id: &AppId, ip: IpAddr) -> Result<(), TokenError> {
        let from = network(ip);
        let client = self.vault().lookup("app-client", &format!("{id}\n{from}"));
        let from = self.vault().lookup("app-network", &from);
        self.0.app_calls.count(&from, &client, self.now()).map_err(TokenError::Limited)
    }

    /// The app that shows this of itself.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub async fn known_app(&self, shown: &ClientShown) -> Result<App, TokenError> {
        let app = self.store().app(&shown.id).await.map_err(Inner::from)?;
        let app = app.ok_or(TokenError::InvalidClient)?;
        let given = shown.secret.as_ref().map(|secret| token_hash(secret.expose()));
        let right = match (&app.secret_hash, given) {
            (Some(right), Some(given)) => vault::same(right, &given),
            (None, None) => !app.confidential,
            _ => false,
        };
        if right { Ok(app) } else { Err(TokenError::InvalidClient) }
    }

    /// Whether more is known of a request than the name of its app, which anybody may say: the app
    /// showed its secret, or names a token or an open code of its own.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn asks_as_known(
        &self,
        app: &App,
        token: Option<&str>,
        code: Option<&str>,
    ) -> Result<bool, Inner> {
        if app.confidential {
            return Ok(true);
        }
        if let Some(token) = token {
            let login = self.store().app_login_by_token(&token_hash(token), &app.id).await?;
            return Ok(login.is_some());
        }
        let Some(code) = code else { return Ok(false) };
        Ok(self.store().app_code(&token_hash(code), &app.id, self.now()).await?.is_some())
    }

    /// Trades a code.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub async fn trade_code(
        &self,
        app: &App,
        shown: &CodeShown,
        jkt: Option<Thumbprint>,
    ) -> Result<AppTokens, TokenError> {
        needs_key(app, jkt)?;
        let challenge = challenge_of(shown.verifier.expose())?;
        let (now, hash) = (self.now(), token_hash(shown.code.expose()));
        let code = self.store().app_code(&hash, &app.id, now).await.map_err(Inner::from)?;
        let tokens = self.tokens(&random::bytes::<32>(self.random()));
        let redemption = Redemption {
            code: hash,
            app: app.id.clone(),
            redirect_uri: shown.redirect_uri.clone(),
            challenge,
            jkt,
            login: AppLoginId(random::hex_id(self.random())),
            tokens: self.hashes(&tokens),
            idle_expires: now + SESSION_IDLE_SECS,
            session: match (&code, jkt) {
                (Some(code), Some(jkt)) if app.first_party => {
                    Some(self.session_for(app, code, jkt).await?)
                }
                _ => None,
            },
        };
        let done = self.store().app_code_redeem(&redemption, APP_LOGINS, now).await;
        match (done.map_err(Inner::from)?, code) {
            (Redeemed::Opened(ended), Some(code)) => {
                self.announce_sessions(ended);
                let id_token = self.id_token(app, &code, &redemption.login, &tokens).await?;
                let (id_token, scopes) = (Some(id_token), Some(code.scopes));
                Ok(AppTokens { tokens, id_token, scopes, bound: jkt.is_some() })
            }
            (Redeemed::Replayed(ended), _) => {
                self.announce_sessions(ended);
                Err(TokenError::InvalidGrant)
            }
            _ => Err(TokenError::InvalidGrant),
        }
    }

    /// Trades a refresh token.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub async fn refresh_app(
        &self,
        app: &App,
        token: &Redacted<String>,
        jkt: Option<Thumbprint>,
    ) -> Result<AppTokens, TokenError> {
        needs_key(app, jkt)?;
        if app.first_party {
            let jkt = jkt.ok_or(TokenError::InvalidProof)?;
            let tokens =
                self.rotate(token, jkt, Some(&app.id)).await.map_err(|error| match error {
                    RefreshError::Refused => TokenError::InvalidGrant,
                    RefreshError::Inner(inner) => inner.into(),
                })?;
            return Ok(AppTokens { tokens, id_token: None, scopes: None, bound: true });
        }
        let now = self.now();
        let tokens = self.tokens(self.vault().refresh_successor(token.expose()).as_slice());
        let rotation = AppRotation {
            presented: token_hash(token.expose()),
            app: app.id.clone(),
            jkt,
            tokens: self.hashes(&tokens),
            idle_expires: now + SESSION_IDLE_SECS,
        };
        match self.store().app_refresh(&rotation, now).await.map_err(Inner::from)? {
            AppRotated::Fresh(login) => {
                let bound = login.jkt.is_some();
                Ok(AppTokens { tokens, id_token: None, scopes: Some(login.scopes), bound })
            }
            AppRotated::Refused => Err(TokenError::InvalidGrant),
            AppRotated::Reused => {
                self.0.outbox.notify_one();
                Err(TokenError::InvalidGrant)
            }
        }
    }

    /// Gives up the login that a token of this app belongs to; of an unknown one there is nothing to
    /// give up (RFC 7009, 2.2).
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn give_up(&self, app: &App, token: &Redacted<String>) -> Result<(), Inner> {
        let hash = token_hash(token.expose());
        if let Some(login) = self.store().app_login_by_token(&hash, &app.id).await? {
            let ended = self.store().app_login_end(&login, self.now()).await?;
            self.announce_sessions(ended);
        }
        Ok(())
    }

    /// The session that a first-party app gets for its key.
    async fn session_for(
        &self,
        app: &App,
        code: &AppCode,
        jkt: Thumbprint,
    ) -> Result<AppSession, TokenError> {
        let account = self.store().account(&code.account).await.map_err(Inner::from)?;
        let account = account.ok_or(TokenError::InvalidGrant)?;
        let (id, random) = (account.id.as_str(), self.random());
        let key = self.vault().subject_key(id, &account.wrapped_key).map_err(Inner::from)?;
        Ok(AppSession {
            id: SessionId(random::hex_id(random)),
            terminal: TerminalId(random::hex_id(random)),
            jkt,
            name_enc: key.seal(TERMINAL_NAME, id, &app.name, random),
        })
    }

    async fn id_token(
        &self,
        app: &App,
        code: &AppCode,
        login: &AppLoginId,
        tokens: &Tokens,
    ) -> Result<Redacted<String>, Inner> {
        let iat = self.now();
        let access = digest(&SHA256, tokens.access.expose().as_bytes());
        let claims = IdToken {
            iss: self.issuer(),
            sub: &code.pairwise,
            aud: &app.id,
            exp: iat + ID_TOKEN_SECS,
            iat,
            auth_time: code.auth_time,
            sid: login,
            nonce: code.nonce.as_deref(),
            // OpenID Connect Core, 3.1.3.6: the left half.
            at_hash: B64.encode(&access.as_ref()[..16]),
        };
        self.signed_claims("JWT", &claims).await.map(Redacted::new)
    }
}

/// Tokens of apps without a secret, and sessions, are bound to a key.
fn needs_key(app: &App, jkt: Option<Thumbprint>) -> Result<(), TokenError> {
    if jkt.is_none() && (app.first_party || !app.confidential) {
        return Err(TokenError::InvalidProof);
    }
    Ok(())
}

/// The challenge of a verifier (RFC 7636, 4.2).
fn challenge_of(verifier: &str) -> Result<[u8; 32], TokenError> {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    if !PKCE_VERIFIER_CHARS.contains(&verifier.len()) || !verifier.bytes().all(unreserved) {
        return Err(TokenError::InvalidRequest(
            "code_verifier has 43 to 128 unreserved characters",
        ));
    }
    let hash = digest(&SHA256, verifier.as_bytes());
    Ok(hash.as_ref().try_into().expect("SHA-256 has 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verifier_has_its_length_and_gives_the_challenge_of_rfc_7636_appendix_b() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let challenge = challenge_of(verifier).unwrap();
        assert_eq!(B64.encode(challenge), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        assert!(challenge_of(&"a".repeat(128)).is_ok());
        for bad in ["a".repeat(42), "a".repeat(129), format!("{}+", "a".repeat(43))] {
            assert!(matches!(challenge_of(&bad), Err(TokenError::InvalidRequest(_))), "{bad}");
        }
    }
}
