//! Basic mode: looking around without agreeing to the policy.
//!
//! A terminal without an account gets a session that stands on nothing but its key: the server keeps
//! no row of it. An account whose holder withdrew the policy as a whole stays as it is, and nothing
//! of it is processed but what leads back to full service, or out.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use sightline_grant::{Redacted, Revocation, Thumbprint};

use crate::ControlPlane;
use crate::consent::{ACCOUNT, ConsentError, act};
use crate::error::Inner;
use crate::limits::BASIC_SECS;
use crate::storage::model::Session;
use crate::vault;

/// What tells the token of a basic session from one of a login.
const PREFIX: &str = "basic";

/// A session without an account.
#[derive(Clone, Debug)]
pub struct BasicSession {
    /// For requests, bound to the terminal's key.
    pub token: Redacted<String>,
    /// Seconds until it ends.
    pub expires_in: u64,
}

impl ControlPlane {
    /// Opens a session for looking around. Nothing is stored.
    pub fn open_basic(&self, terminal: Thumbprint) -> BasicSession {
        let expires = self.now() + BASIC_SECS;
        let tag = self.basic_tag(terminal, expires);
        let token = Redacted::new(format!("{PREFIX}.{expires}.{tag}"));
        BasicSession { token, expires_in: BASIC_SECS }
    }

    /// Whether a token is a basic session of this terminal that has not ended.
    pub fn is_basic(&self, token: &Redacted<String>, terminal: Thumbprint) -> bool {
        let mut parts = token.expose().splitn(3, '.');
        let (prefix, expires, tag) = (parts.next(), parts.next(), parts.next());
        let (Some(PREFIX), Some(expires), Some(tag)) = (prefix, expires, tag) else { return false };
        let Ok(expires) = expires.parse::<u64>() else { return false };
        let right = self.basic_tag(terminal, expires);
        vault::same(right.as_bytes(), tag.as_bytes()) && self.now() < expires
    }

    /// Whether the account of a login is in basic mode.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn in_basic_mode(&self, session: &Session) -> Result<bool, Inner> {
        Ok(self.store().basic_mode(&session.account, ACCOUNT.id).await?)
    }

    /// Withdraws the policy as a whole: every consent ends, running media ends at once, all that is
    /// shared with the account ends, every app is taken off it and told, and the account is in basic
    /// mode until its holder agrees again.
    pub(crate) async fn withdraw_policy(&self, session: &Session) -> Result<(), ConsentError> {
        if self.in_basic_mode(session).await? {
            return Err(ConsentError::NotGranted);
        }
        // Shares stand on a consent that ends here, and nothing asks for it again while they last.
        self.leave_all_shares(session).await?;
        let act = act(session, ACCOUNT.id, ACCOUNT.version, false);
        let withdrawn = self.store().policy_withdraw(&act, self.now()).await;
        let (appended, ended) = withdrawn.map_err(Inner::from)?;
        let (subject, epoch) = (session.subject.0.clone(), appended.epoch);
        self.announce(Revocation::Consent { subject, epoch });
        self.announce_sessions(ended);
        Ok(())
    }

    fn basic_tag(&self, terminal: Thumbprint, expires: u64) -> String {
        B64.encode(self.vault().lookup("basic-session", &format!("{terminal}\n{expires}")))
    }
}
