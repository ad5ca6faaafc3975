//! Passkeys: a terminal knows its owner by face, fingerprint or screen lock, and signs for them with
//! a key of which the server has the public half (WebAuthn). Nothing that a person is known by comes
//! here, and no operation has a member that it could come in. A passkey is one more way to sign in:
//! codes and the password stay, and it is taken off without anything else changing.

mod cbor;
mod cose;
mod party;
#[cfg(test)]
pub(crate) mod testing;
mod webauthn;

use std::net::IpAddr;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use sightline_grant::Thumbprint;

use crate::ControlPlane;
use crate::acting;
use crate::error::Inner;
use crate::ids::{AccountId, PasskeyId};
use crate::limits::{
    CREDENTIAL_ID_BYTES, MAX_NAME_CHARS, PASSKEY_CHALLENGE_SECS, PASSKEY_CHALLENGES_PER_ACCOUNT,
    PASSKEY_TRIES_PER_NETWORK, PASSKEYS_PER_ACCOUNT,
};
use crate::random;
use crate::secure::SecureError;
use crate::session::{Arrival, SignInError, SignedIn};
use crate::sms::open::network;
use crate::storage::model::{
    Charge, IdentifierKind, NewPasskey, PasskeyAdded, PasskeyChallenge, PasskeyHolder, PasskeyUse,
    RetryAfter, Session,
};
use crate::vault::same;

pub use cose::ALGORITHMS;
pub use party::{PartyError, RelyingParty};
use webauthn::{Assertion, CHALLENGE_BYTES, Ceremony, Flaw};

/// Columns of the encrypted credential id and name.
const CREDENTIAL: &str = "passkey.credential";
const NAME: &str = "passkey.name";
/// What a login by passkey is called in the log of requests that were refused.
const LOGIN: &str = "POST /v1/sessions/passkey";

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
    /// There are [`PASSKEYS_PER_ACCOUNT`].
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

    /// What a browser needs to make a passkey for the account. Needs the secure window.
    ///
    /// # Errors
    /// See [`PasskeyError`].
    pub async fn wish_passkey(&self, session: &Session) -> Result<PasskeyWish, PasskeyError> {
        let party = self.relying_party().ok_or(PasskeyError::NoParty)?.clone();
        self.require_secure(session).await?;
        let charge = Charge {
            dimension: "passkey-account",
            key: self.vault().lookup("account", session.account.as_str()),
            windows: PASSKEY_CHALLENGES_PER_ACCOUNT.to_vec(),
        };
        let charged = self.store().charge(&[charge], self.now()).await.map_err(Inner::from)?;
        charged.map_err(PasskeyError::Limited)?;
        let key = self.subject_key_of(&session.account).await?;
        let known = self.store().passkeys(&session.account).await.map_err(Inner::from)?;
        if known.len() as u64 >= PASSKEYS_PER_ACCOUNT {
            return Err(PasskeyError::Full);
        }
        let account = session.account.as_str();
        let ids = known.iter().map(|passkey| {
            let id = key.open_bytes(CREDENTIAL, account, &passkey.credential_enc);
            Ok(B64.encode(id.map_err(Inner::from)?))
        });
        let known = ids.collect::<Result<_, Inner>>()?;
        let addresses = self.addresses_of(&session.account).await?;
        Ok(PasskeyWish {
            party,
            challenge: self.ask(session.jkt, Some(session.account.clone())).await?,
            user: B64.encode(self.passkey_user(&session.account)),
            user_name: addresses.first().map(|known| known.address.masked()).unwrap_or_default(),
            known,
        })
    }

    /// Adds a passkey to the account. Needs the secure window.
    ///
    /// # Errors
    /// See [`PasskeyError`].
    pub async fn add_passkey(
        &self,
        session: &Session,
        made: &MadePasskey,
    ) -> Result<PasskeyId, PasskeyError> {
        let party = self.relying_party().ok_or(PasskeyError::NoParty)?;
        self.require_secure(session).await?;
        let name = name_of(&made.name)?;
        let asked = webauthn::answered(&made.client_data, Ceremony::Registration, party);
        let challenge = asked.map_err(not_made)?;
        if !self.answer(challenge, session.jkt, Some(session.account.clone())).await? {
            return Err(PasskeyError::Invalid);
        }
        let new = webauthn::registered(&made.authenticator_data, party).map_err(not_made)?;
        let (account, random) = (session.account.as_str(), self.random());
        let key = self.subject_key_of(&session.account).await?;
        let addresses = self.addresses_of(&session.account).await?;
        let passkey = NewPasskey {
            account: session.account.clone(),
            id: PasskeyId(random::hex_id(random)),
            lookup: self.credential_lookup(new.id),
            credential_enc: key.seal_bytes(CREDENTIAL, account, new.id, random),
            name_enc: key.seal(NAME, account, name, random),
            public_key: new.key.to_vec(),
            counter: new.counter,
            notices: self.mail_notices("passkey_added", &addresses),
        };
        let added = self.store().passkey_add(&passkey, PASSKEYS_PER_ACCOUNT, self.now()).await;
        match added.map_err(Inner::from)? {
            PasskeyAdded::Done => {
                self.0.outbox.notify_one();
                Ok(passkey.id)
            }
            PasskeyAdded::Known => Err(PasskeyError::Known),
            PasskeyAdded::Full => Err(PasskeyError::Full),
        }
    }

    /// Passkeys of the account, oldest first.
    ///
    /// # Errors
    /// When the database does not answer or a value does not open.
    pub async fn my_passkeys(&self, session: &Session) -> Result<Vec<MyPasskey>, Inner> {
        let passkeys = self.store().passkeys(&session.account).await?;
        if passkeys.is_empty() {
            return Ok(Vec::new());
        }
        let key = self.subject_key_of(&session.account).await?;
        let shown = passkeys.into_iter().map(|passkey| {
            Ok(MyPasskey {
                name: key.open(NAME, session.account.as_str(), &passkey.name_enc)?,
                id: passkey.id,
                created_at: passkey.created_at,
                used_at: passkey.used_at,
            })
        });
        shown.collect()
    }

    /// Gives a passkey another name.
    ///
    /// # Errors
    /// See [`PasskeyError`].
    pub async fn rename_passkey(
        &self,
        session: &Session,
        id: &PasskeyId,
        name: &str,
    ) -> Result<(), PasskeyError> {
        let (name, account) = (name_of(name)?, &session.account);
        let key = self.subject_key_of(account).await?;
        let name_enc = key.seal(NAME, account.as_str(), name, self.random());
        let renamed = self.store().passkey_rename(account, id, &name_enc, self.now()).await;
        if renamed.map_err(Inner::from)? { Ok(()) } else { Err(PasskeyError::Unknown) }
    }

    /// Takes a passkey off the account; logins that it opened go on. Needs the secure window.
    ///
    /// # Errors
    /// See [`PasskeyError`].
    pub async fn remove_passkey(
        &self,
        session: &Session,
        id: &PasskeyId,
    ) -> Result<(), PasskeyError> {
        self.require_secure(session).await?;
        let addresses = self.addresses_of(&session.account).await?;
        let notices = self.mail_notices("passkey_removed", &addresses);
        let removed = self.store().passkey_remove(&session.account, id, &notices, self.now()).await;
        if !removed.map_err(Inner::from)? {
            return Err(PasskeyError::Unknown);
        }
        self.0.outbox.notify_one();
        Ok(())
    }

    /// What a browser needs to sign in by passkey; the same for everybody.
    ///
    /// # Errors
    /// See [`PasskeyLoginError`].
    pub async fn ask_passkey(
        &self,
        terminal: Thumbprint,
        ip: IpAddr,
    ) -> Result<PasskeyAsked, PasskeyLoginError> {
        let party = self.relying_party().ok_or(PasskeyLoginError::NoParty)?.clone();
        self.charge_passkey(ip).await?;
        Ok(PasskeyAsked { party, challenge: self.ask(terminal, None).await? })
    }

    /// Signs in by passkey.
    ///
    /// # Errors
    /// See [`PasskeyLoginError`].
    pub async fn sign_in_by_passkey(
        &self,
        request: &PasskeySignIn,
        terminal: Thumbprint,
        ip: IpAddr,
    ) -> Result<SignedIn, PasskeyLoginError> {
        let party = self.relying_party().ok_or(PasskeyLoginError::NoParty)?;
        let arrival = Arrival {
            terminal_name: &request.terminal_name,
            client_type: &request.client_type,
            consents: &request.consents,
        };
        self.check_arrival(&arrival).await?;
        self.charge_passkey(ip).await?;
        let asked = webauthn::answered(&request.client_data, Ceremony::Login, party);
        let challenge = asked.map_err(not_signed)?;
        if !self.answer(challenge, terminal, None).await? {
            return Err(PasskeyLoginError::Refused);
        }
        let PasskeyHolder { passkey, account } = self.held_passkey(&request.credential).await?;
        let shown = Assertion {
            client_data: &request.client_data,
            authenticator_data: &request.authenticator_data,
            signature: &request.signature,
        };
        let counted = webauthn::asserted(&shown, &passkey.public_key, party);
        let counter = match counted {
            Ok(counter) if same(&request.user, &self.passkey_user(&account.id)) => counter,
            refused => {
                self.log_refusal(&account.id, LOGIN).await?;
                return Err(not_signed(refused.err().unwrap_or(Flaw::Malformed)));
            }
        };
        // From here on it is the owner who acts, whatever comes of it.
        let key = self.vault().subject_key(account.id.as_str(), &account.wrapped_key);
        let key = key.map_err(Inner::from)?;
        let from = acting::sealed_network(&key, &account.id, self.random());
        acting::person(&account.id, None, from);
        let used = self.store().passkey_used(&passkey.id, counter, self.now()).await;
        match used.map_err(Inner::from)? {
            PasskeyUse::Fresh => {}
            PasskeyUse::Copied => {
                self.0.outbox.notify_one();
                return Err(PasskeyLoginError::Refused);
            }
            PasskeyUse::Unknown => return Err(PasskeyLoginError::Refused),
        }
        Ok(self.open_known(&arrival, terminal, account, "passkey").await?)
    }

    async fn held_passkey(&self, credential: &[u8]) -> Result<PasskeyHolder, PasskeyLoginError> {
        if !CREDENTIAL_ID_BYTES.contains(&credential.len()) {
            return Err(PasskeyLoginError::Refused);
        }
        let found = self.store().passkey_by_credential(&self.credential_lookup(credential)).await;
        found.map_err(Inner::from)?.ok_or(PasskeyLoginError::Refused)
    }

    async fn charge_passkey(&self, ip: IpAddr) -> Result<(), PasskeyLoginError> {
        let tries = Charge {
            dimension: "passkey-network",
            key: self.vault().lookup("network", &network(ip)),
            windows: PASSKEY_TRIES_PER_NETWORK.to_vec(),
        };
        let charged = self.store().charge(&[tries], self.now()).await.map_err(Inner::from)?;
        charged.map_err(PasskeyLoginError::Limited)
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

    /// Words by mail: one in the app goes out in any case, and every SMS costs.
    fn mail_notices(
        &self,
        kind: &'static str,
        addresses: &[crate::identifier::KnownAddress],
    ) -> Vec<crate::storage::model::NewNotice> {
        let all = addresses.iter().map(|known| &known.address);
        self.notices(kind, all.filter(|address| address.kind() == IdentifierKind::Email))
    }
}

fn hash(challenge: &[u8]) -> Vec<u8> {
    digest(&SHA256, challenge).as_ref().to_vec()
}

fn name_of(name: &str) -> Result<&str, PasskeyError> {
    let name = name.trim();
    let fits = (1..=MAX_NAME_CHARS).contains(&name.chars().count());
    if fits && !name.chars().any(char::is_control) { Ok(name) } else { Err(PasskeyError::BadName) }
}

fn not_made(flaw: Flaw) -> PasskeyError {
    tracing::info!(%flaw, "a passkey was not taken");
    PasskeyError::Invalid
}

fn not_signed(flaw: Flaw) -> PasskeyLoginError {
    tracing::info!(%flaw, "a login by passkey was refused");
    PasskeyLoginError::Refused
}
