//! The secure window: a login that has just confirmed who it is, by a code or the password, may do
//! what is dangerous to the account for [`SECURE_SECS`]. It belongs to that login and ends with it.

use sightline_grant::Redacted;

use crate::ControlPlane;
use crate::address::Address;
use crate::credential::PasswordError;
use crate::error::Inner;
use crate::ids::{AccountId, ChallengeId};
use crate::limits::SECURE_SECS;
use crate::otp::{OtpError, OtpSent};
use crate::password::Password;
use crate::sms::open::Asking;
use crate::storage::model::{
    IdentifierKind, OtpBinding, OtpPurpose, RetryAfter, SecureWindow, Session,
};

/// Why a dangerous act is not done, or the window not opened.
#[derive(Debug, thiserror::Error)]
pub enum SecureError {
    /// The window is not open.
    #[error("confirm first that it is you, by a code or your password")]
    Required,
    /// See [`OtpError`].
    #[error(transparent)]
    Otp(#[from] OtpError),
    /// See [`PasswordError`].
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// See [`Inner`].
    #[error(transparent)]
    Inner(#[from] Inner),
}

impl ControlPlane {
    /// Whether this login has confirmed lately who it is. Whatever endangers an account asks here
    /// first.
    ///
    /// # Errors
    /// [`SecureError::Required`] when it has not.
    pub async fn require_secure(&self, session: &Session) -> Result<(), SecureError> {
        let until = self.store().secure_until(&session.id, self.now()).await;
        until.map_err(Inner::from)?.map(drop).ok_or(SecureError::Required)
    }

    /// Sends a code that opens the window to an address of the account: the one of `wanted` kind, or
    /// the first that may confirm something.
    ///
    /// # Errors
    /// See [`OtpError`].
    pub async fn request_secure_code(
        &self,
        session: &Session,
        wanted: Option<IdentifierKind>,
        asking: impl Into<Asking>,
    ) -> Result<OtpSent, OtpError> {
        let address = self.confirming_address(&session.account, wanted).await?;
        let address = address.ok_or(OtpError::BadNumber)?;
        let mut challenge = self.new_challenge(OtpPurpose::Secure, &address, session.jkt);
        challenge.account = Some(session.account.clone());
        self.send_code(challenge, &address, asking).await
    }

    /// The first address of an account, of the `wanted` kind, that may confirm what is dangerous.
    /// `None` when it has no such address at all.
    ///
    /// # Errors
    /// [`OtpError::Held`] when every one of them came too lately.
    pub(crate) async fn confirming_address(
        &self,
        account: &AccountId,
        wanted: Option<IdentifierKind>,
    ) -> Result<Option<Address>, OtpError> {
        let now = self.now();
        let mut known = self.addresses_of(account).await?;
        known.retain(|known| wanted.is_none_or(|kind| known.address.kind() == kind));
        let Some(held) = known.iter().map(|known| known.held_until).min() else { return Ok(None) };
        let free = known.into_iter().find(|known| known.held_until <= now);
        let wait = RetryAfter(held.saturating_sub(now));
        Ok(Some(free.ok_or(OtpError::Held(wait))?.address))
    }

    /// Refuses what a right code went to when it is the account's no more, or came to it too lately:
    /// addresses change while a code lives.
    ///
    /// # Errors
    /// [`OtpError::WrongCode`] or [`OtpError::Held`].
    pub(crate) async fn require_confirming(
        &self,
        session: &Session,
        target: &[u8],
    ) -> Result<(), OtpError> {
        let entry = self.store().entry(target, session.jkt).await.map_err(Inner::from)?;
        let own = entry.filter(|entry| entry.account.id == session.account);
        let held_until = own.ok_or(OtpError::WrongCode)?.held_until;
        match held_until.saturating_sub(self.now()) {
            0 => Ok(()),
            wait => Err(OtpError::Held(RetryAfter(wait))),
        }
    }

    /// Opens the window by a code; its end, Unix seconds.
    ///
    /// # Errors
    /// See [`SecureError`].
    pub async fn secure_by_code(
        &self,
        session: &Session,
        challenge: &ChallengeId,
        code: &Redacted<String>,
    ) -> Result<u64, SecureError> {
        let binding = OtpBinding {
            purpose: OtpPurpose::Secure,
            terminal: session.jkt,
            account: Some(session.account.clone()),
        };
        let challenge = self.check_code(challenge, code.expose(), &binding).await?;
        self.require_confirming(session, &challenge.target).await?;
        self.open_secure(session, Some(challenge.id), "code").await
    }

    /// Opens the window by the password; its end, Unix seconds.
    ///
    /// # Errors
    /// See [`SecureError`].
    pub async fn secure_by_password(
        &self,
        session: &Session,
        password: &Password,
    ) -> Result<u64, SecureError> {
        let stored = self.store().password(&session.account).await.map_err(Inner::from)?;
        let account = self.vault().lookup("account", session.account.as_str());
        let budget = self.guess_key(&account, Some(session.jkt));
        self.check_password(&budget, stored.as_ref(), &session.account, password).await?;
        self.open_secure(session, None, "password").await
    }

    /// Opens the window; its end, Unix seconds.
    pub(crate) async fn open_secure(
        &self,
        session: &Session,
        challenge: Option<ChallengeId>,
        method: &'static str,
    ) -> Result<u64, SecureError> {
        let (now, account) = (self.now(), session.account.clone());
        let expires = now + SECURE_SECS;
        let window =
            SecureWindow { session: session.id.clone(), account, challenge, method, expires };
        if self.store().secure_open(&window, now).await.map_err(Inner::from)? {
            return Ok(expires);
        }
        Err(OtpError::WrongCode.into())
    }
}
