//! Making passkeys, and what their owner does with them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;

use super::webauthn::{self, Ceremony, Flaw};
use super::{MadePasskey, MyPasskey, PasskeyError, PasskeyWish};
use crate::ControlPlane;
use crate::error::Inner;
use crate::identifier::KnownAddress;
use crate::ids::PasskeyId;
use crate::limits::{MAX_NAME_CHARS, PASSKEY_CHALLENGES_PER_ACCOUNT, PASSKEYS_PER_ACCOUNT};
use crate::random;
use crate::storage::model::{Charge, IdentifierKind, NewNotice, NewPasskey, PasskeyAdded, Session};

/// Columns of the encrypted credential id and name.
const CREDENTIAL: &str = "passkey.credential";
const NAME: &str = "passkey.name";

impl ControlPlane {
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

    /// Words by mail: one in the app goes out in any case, and every SMS costs.
    fn mail_notices(&self, kind: &'static str, addresses: &[KnownAddress]) -> Vec<NewNotice> {
        let all = addresses.iter().map(|known| &known.address);
        self.notices(kind, all.filter(|address| address.kind() == IdentifierKind::Email))
    }
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
