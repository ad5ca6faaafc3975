//! Passkeys: a terminal knows its owner by face, fingerprint or screen lock, and signs for them with
//! a key of which the server has the public half (WebAuthn). Nothing that a person is known by comes
//! here, and no operation has a member that it could come in. A passkey is one more way to sign in:
//! codes and the password stay, and it is taken off without anything else changing.

mod cbor;
mod cose;
mod keep;
mod login;
mod party;
#[cfg(test)]
pub(crate) mod testing;
mod webauthn;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use sightline_grant::Thumbprint;

use crate::ControlPlane;
use crate::error::Inner;
use crate::ids::{AccountId, PasskeyId};
use crate::limits::PASSKEY_CHALLENGE_SECS;
use crate::random;
use crate::secure::SecureError;
use crate::session::SignInError;
use crate::storage::model::{PasskeyChallenge, RetryAfter};

pub use cose::ALGORITHMS;
pub use party::{PartyError, RelyingParty};
use webauthn::CHALLENGE_BYTES;

/// Why a passkey is not added, renamed or removed.
#[derive(Debug, thiserror::Error)]
pub enum PasskeyError {
    /// The server has no name.
    #[error("this server has no name that passkeys could belong to")]
    NoParty,
    /// What the authenticator said does not hold, or the challenge does not any more.
    #[error("the passkey was not made for this, or too late; try again from the start")]
    Invalid,
    /// The account, or another one, has it.
    #[error("this passkey is kept already")]
    Known,
    /// There are [`crate::limits::PASSKEYS_PER_ACCOUNT`].
    #[error("the account has as many passkeys as it may; remove one first")]
    Full,
    /// Empty, too long, or more than one line.
    #[error("a name has 1 to 64 characters and no line breaks or other control characters")]
    BadName,
    /// None of the account.
    #[error("the account has no such passkey")]
    Unknown,
    /// Too many.
    #[error("too many requests; try again later")]
    Limited(RetryAfter),
    /// See [`SecureError`].
    #[error(transparent)]
    Secure(#[from] SecureError),
    /// See [`Inner`].
    #[error(transparent)]
    Inner(#[from] Inner),
}

/// Why a passkey signs nobody in.
#[derive(Debug, thiserror::Error)]
pub enum PasskeyLoginError {
    /// The server has no name.
    #[error("this server has no name that passkeys could belong to")]
    NoParty,
    /// Unknown, removed, not signed as it must be, or too late: one answer for all.
    #[error("the passkey does not sign in here; try again, or sign in in another way")]
    Refused,
    /// Too many.
    #[error("too many requests; try again later")]
    Limited(RetryAfter),
    /// See [`SignInError`].
    #[error(transparent)]
    SignIn(#[from] SignInError),
    /// See [`Inner`].
    #[error(transparent)]
    Inner(#[from] Inner),
}

/// What a browser needs to make a passkey.
#[derive(Clone, Debug)]
pub struct PasskeyWish {
    /// Whom it is for.
    pub party: RelyingParty,
    /// To be signed.
    pub challenge: String,
    /// The account as authenticators know it; says nothing to anybody else.
    pub user: String,
    /// The account as its owner knows it.
    pub user_name: String,
    /// Ids of the credentials that the account has.
    pub known: Vec<String>,
}

/// What a browser needs to sign in.
#[derive(Clone, Debug)]
pub struct PasskeyAsked {
    /// Whom the passkey is for.
    pub party: RelyingParty,
    /// To be signed.
    pub challenge: String,
}

/// A passkey that was made.
#[derive(Clone, Debug)]
pub struct MadePasskey {
    /// Name that the person gives it.
    pub name: String,
    /// What the browser says (`clientDataJSON`).
    pub client_data: Vec<u8>,
    /// What the authenticator says.
    pub authenticator_data: Vec<u8>,
}

/// A login by passkey.
#[derive(Clone, Debug)]
pub struct PasskeySignIn {
    /// Id of the credential.
    pub credential: Vec<u8>,
    /// What the browser says (`clientDataJSON`).
    pub client_data: Vec<u8>,
    /// What the authenticator says.
    pub authenticator_data: Vec<u8>,
    /// Signature over both.
    pub signature: Vec<u8>,
    /// The account as the authenticator knows it.
    pub user: Vec<u8>,
    /// Name that the person gives the terminal.
    pub terminal_name: String,
    /// Kind of client.
    pub client_type: String,
    /// Purposes, with version, consented to while signing in.
    pub consents: Vec<(String, u32)>,
}

/// A passkey as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MyPasskey {
    /// Id.
    pub id: PasskeyId,
    /// Name.
    pub name: String,
    /// Unix seconds.
    pub created_at: u64,
    /// Latest login, Unix seconds.
    pub used_at: Option<u64>,
}

impl ControlPlane {
    /// Takes passkeys for this party from now on; the first one stays.
    pub fn set_relying_party(&self, party: RelyingParty) {
        // A second one would be a mistake of whoever starts the server; the first is as good.
        let _ = self.0.party.set(party);
    }

    /// Whom passkeys are for, if the server has a name.
    pub fn relying_party(&self) -> Option<&RelyingParty> {
        self.0.party.get()
    }

    /// A new challenge for a terminal; for an account, or for a login.
    async fn ask(&self, jkt: Thumbprint, account: Option<AccountId>) -> Result<String, Inner> {
        let challenge = random::bytes::<CHALLENGE_BYTES>(self.random());
        let expires_at = self.now() + PASSKEY_CHALLENGE_SECS;
        let row = PasskeyChallenge { hash: hash(&challenge), jkt, account, expires_at };
        self.store().passkey_challenge_open(&row).await?;
        Ok(B64.encode(challenge))
    }

    /// Uses a challenge up; whether it was one.
    async fn answer(
        &self,
        challenge: [u8; CHALLENGE_BYTES],
        jkt: Thumbprint,
        account: Option<AccountId>,
    ) -> Result<bool, Inner> {
        let now = self.now();
        let asked = PasskeyChallenge { hash: hash(&challenge), jkt, account, expires_at: now };
        Ok(self.store().passkey_challenge_take(&asked, now).await?)
    }

    fn credential_lookup(&self, id: &[u8]) -> Vec<u8> {
        self.vault().lookup("passkey", &B64.encode(id))
    }

    /// The account as authenticators know it.
    fn passkey_user(&self, account: &AccountId) -> Vec<u8> {
        self.vault().lookup("passkey-user", account.as_str())
    }
}

fn hash(challenge: &[u8]) -> Vec<u8> {
    digest(&SHA256, challenge).as_ref().to_vec()
}
