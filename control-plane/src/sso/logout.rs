//! Word to apps that a login is over (OpenID Connect Back-Channel Logout 1.0).

use serde::Serialize;

use crate::ControlPlane;
use crate::error::Inner;
use crate::ids::{AppId, AppLoginId};
use crate::limits::{LOGOUT_ATTEMPTS, LOGOUT_TOKEN_SECS, SEND_RETRY_SECS};
use crate::random;
use crate::storage::model::{AppLogout, OutboxEntry};

/// The event of which a logout token tells.
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// Claims of a logout token. A nonce is forbidden there, so that none passes for an ID token.
#[derive(Serialize)]
struct LogoutToken<'a> {
    iss: String,
    sub: &'a str,
    aud: &'a AppId,
    iat: u64,
    exp: u64,
    jti: String,
    sid: &'a AppLoginId,
    events: serde_json::Value,
}

impl ControlPlane {
    /// Sends a word that waits. Whether its entry was closed.
    pub(crate) async fn send_logout(&self, entry: &OutboxEntry) -> bool {
        match self.hand_over_logout(entry).await {
            Ok(closed) => closed,
            Err(error) => {
                tracing::warn!(entry = entry.id, %error, "a logout waits in the outbox");
                false
            }
        }
    }

    async fn hand_over_logout(&self, entry: &OutboxEntry) -> Result<bool, Inner> {
        let word = self.store().app_logout(&entry.reference).await?;
        let sent = match &word {
            Some(word) => self.tell_app(word).await?,
            // Its time is over.
            None => Ok(()),
        };
        if let (Err(reason), Some(word)) = (&sent, &word) {
            let (app, attempt) = (&word.app, entry.attempts);
            tracing::warn!(%app, attempt, reason, "an app was not told that a login is over");
            if entry.attempts < LOGOUT_ATTEMPTS {
                let pause = SEND_RETRY_SECS << entry.attempts.saturating_sub(1);
                self.store().outbox_defer(entry.id, self.now() + pause).await?;
                return Ok(false);
            }
        }
        self.store().outbox_done(entry.id, self.now()).await?;
        self.store().app_logout_done(&entry.reference).await?;
        Ok(true)
    }

    async fn tell_app(&self, word: &AppLogout) -> Result<Result<(), String>, Inner> {
        let Some(egress) = self.egress() else {
            return Ok(Err("this process sends nothing".to_owned()));
        };
        let iat = self.now();
        let claims = LogoutToken {
            iss: self.issuer(),
            sub: &word.pairwise,
            aud: &word.app,
            iat,
            exp: iat + LOGOUT_TOKEN_SECS,
            jti: random::hex_id(self.random()),
            sid: &word.login,
            events: serde_json::json!({ EVENT: {} }),
        };
        let token = self.signed_claims("logout+jwt", &claims).await?;
        Ok(egress.post_form(&word.uri, &[("logout_token", &token)]).await)
    }
}
