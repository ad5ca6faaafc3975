//! Binding by a user token: an account asks for a random token, somebody hands it to the device, and
//! the device presents it over its own channel. So a device that shows no code can be added, and
//! nobody who has not been at the device adds it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use sightline_grant::{Redacted, Thumbprint};

use crate::ControlPlane;
use crate::binding::BindError;
use crate::consent::DEVICE_BIND;
use crate::device::DeviceError;
use crate::device_facts::{Decision, FactError};
use crate::error::Inner;
use crate::ids::{BindTokenId, Serial};
use crate::limits::{
    BIND_TOKEN_SECS, BIND_TOKENS_OPEN, BIND_TOKENS_PER_ACCOUNT, TOKEN_TRIES_PER_DEVICE,
};
use crate::random;
use crate::storage::model::{BindTokenState, Bound, CodeUsed, DeviceEpochs, NewBindToken, Session};
use crate::vault::token_hash;

/// Random bytes of a token.
pub const TOKEN_BYTES: usize = 16;
/// Begins the text of a token, so that nobody takes it for something else.
const SCHEME: &str = "SLU1.";

/// A token that was made.
#[derive(Debug)]
pub struct BindTokenOpened {
    /// Its name, under which its account asks what became of it.
    pub id: BindTokenId,
    /// What the device is to present.
    pub token: Redacted<String>,
    /// Unix seconds.
    pub expires_at: u64,
}

/// Why no token is made.
#[derive(Debug, thiserror::Error)]
pub enum BindTokenError {
    /// The account took back the consent that adding devices stands on.
    #[error("consent to {0} was withdrawn, so no camera can be added")]
    ConsentRequired(&'static str),
    /// Not a serial.
    #[error("a serial has 1 to 64 letters, digits, - or _")]
    BadSerial,
    /// The account has [`BIND_TOKENS_OPEN`] of them.
    #[error("5 tokens of this account are open; use or end one, or wait ten minutes")]
    Full,
    /// No such token of the account, or expired.
    #[error("there is no such token, or it has expired")]
    Unknown,
    /// Too often.
    #[error(transparent)]
    Fact(#[from] FactError),
    /// See [`Inner`].
    #[error(transparent)]
    Inner(#[from] Inner),
}

/// Why a device's token is not taken.
#[derive(Debug, thiserror::Error)]
pub enum PresentError {
    /// Unknown, used, expired, or for another device: one answer.
    #[error("the token is not right or no longer valid; make a new one in the app")]
    WrongToken,
    /// Somebody owns the device.
    #[error("the device has an owner; unbind it there, or reset it on the device")]
    Taken,
    /// Too often.
    #[error(transparent)]
    Fact(#[from] FactError),
    /// No such device.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// See [`Inner`].
    #[error(transparent)]
    Inner(#[from] Inner),
}

impl ControlPlane {
    /// Makes a token that binds whichever device presents it, or the one device `serial`.
    ///
    /// # Errors
    /// See [`BindTokenError`].
    pub async fn open_bind_token(
        &self,
        session: &Session,
        serial: Option<&str>,
    ) -> Result<BindTokenOpened, BindTokenError> {
        let parse = |text: &str| Serial::parse(text).ok_or(BindTokenError::BadSerial);
        let serial = serial.map(parse).transpose()?;
        let account = &session.account;
        if self.decision(account, &DEVICE_BIND).await? == Decision::Withdrawn {
            return Err(BindTokenError::ConsentRequired(DEVICE_BIND.id));
        }
        self.charge_fact("bind-token", account.as_str(), &BIND_TOKENS_PER_ACCOUNT).await?;
        let secret = random::bytes::<TOKEN_BYTES>(self.random());
        let token = Redacted::new(format!("{SCHEME}{}", B64.encode(secret)));
        let new = NewBindToken {
            id: BindTokenId(random::hex_id(self.random())),
            hash: token_hash(token.expose()),
            account: account.clone(),
            serial,
            expires_at: self.now() + BIND_TOKEN_SECS,
        };
        let opened = self.store().bind_token_open(&new, BIND_TOKENS_OPEN, self.now()).await;
        if !opened.map_err(Inner::from)? {
            return Err(BindTokenError::Full);
        }
        Ok(BindTokenOpened { id: new.id, token, expires_at: new.expires_at })
    }

    /// What became of a token of the account.
    ///
    /// # Errors
    /// See [`BindTokenError`].
    pub async fn bind_token(
        &self,
        session: &Session,
        id: &BindTokenId,
    ) -> Result<BindTokenState, BindTokenError> {
        let found = self.store().bind_token(&session.account, id, self.now()).await;
        found.map_err(Inner::from)?.ok_or(BindTokenError::Unknown)
    }

    /// Takes an unused token back.
    ///
    /// # Errors
    /// See [`BindTokenError`].
    pub async fn end_bind_token(
        &self,
        session: &Session,
        id: &BindTokenId,
    ) -> Result<(), BindTokenError> {
        let ended = self.store().bind_token_end(&session.account, id, self.now()).await;
        if ended.map_err(Inner::from)? { Ok(()) } else { Err(BindTokenError::Unknown) }
    }

    /// Binds the device that presents a token to the account that asked for it.
    ///
    /// # Errors
    /// See [`PresentError`].
    pub async fn present_bind_token(
        &self,
        identity: Thumbprint,
        token: &Redacted<String>,
    ) -> Result<(Serial, DeviceEpochs), PresentError> {
        let serial = self.device_of(identity).await?.device.serial;
        self.charge_fact("token-device", serial.as_str(), &TOKEN_TRIES_PER_DEVICE).await?;
        // The hash of 128 random bits is looked up: nothing secret is compared.
        let hash = token_hash(token.expose().trim());
        let used = self.store().bind_by_token(&hash, &serial, self.now()).await;
        match used.map_err(Inner::from)? {
            CodeUsed::Unknown => Err(PresentError::WrongToken),
            CodeUsed::Right(Bound::Taken) => Err(PresentError::Taken),
            CodeUsed::Right(Bound::Already(epochs)) => Ok((serial, epochs)),
            CodeUsed::Right(Bound::Newly(epochs)) => {
                self.announce_binding(&serial, epochs);
                Ok((serial, epochs))
            }
        }
    }

    /// Refuses to add devices for an account that took back its consent to that.
    pub(crate) async fn may_bind(&self, session: &Session) -> Result<(), BindError> {
        match self.decision(&session.account, &DEVICE_BIND).await? {
            Decision::Withdrawn => Err(BindError::ConsentRequired(DEVICE_BIND.id)),
            Decision::Open | Decision::Granted => Ok(()),
        }
    }
}
