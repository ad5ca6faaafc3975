//! The identities of an account: which there are, binding, unbinding, and confirming by one.

use super::flow::{Begun, FlowError, ProofError, Return};
use crate::ControlPlane;
use crate::erasures::journal;
use crate::error::Inner;
use crate::ids::AccountId;
use crate::limits::{IDENTIFIER_HOLD_SECS, IDENTITIES_PER_ACCOUNT};
use crate::random;
use crate::secure::SecureError;
use crate::storage::model::{
    FlowPurpose, Identity, IdentityBinding, IdentityBound, IdentityUnbinding, IdentityUnbound,
    NewNotice, RetryAfter, Session,
};

use super::unbound::UNBOUND_FILE;

/// Why an identity is not bound, unbound or taken for a confirmation.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// See [`SecureError`].
    #[error(transparent)]
    Secure(#[from] SecureError),
    /// See [`FlowError`].
    #[error(transparent)]
    Flow(#[from] FlowError),
    /// See [`ProofError`].
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// Another account's. Only its holder, who has just proved it, learns that.
    #[error("this login belongs to another account; sign in there and unbind it first")]
    Taken,
    /// The account has too many.
    #[error("the account has as many such logins as it can; unbind one first")]
    Full,
    /// The account has no such identity.
    #[error("the account has no such login")]
    Unknown,
    /// The identity came to the account too recently.
    #[error("this login came to the account lately and confirms nothing yet")]
    Held(RetryAfter),
    /// Nobody could sign in any more.
    #[error(
        "nothing else signs in to this account; add a number, an address or another login first"
    )]
    Last,
    /// See [`Inner`].
    #[error(transparent)]
    Inner(#[from] Inner),
}

impl ControlPlane {
    /// Identities of the account, oldest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn my_identities(&self, session: &Session) -> Result<Vec<Identity>, Inner> {
        Ok(self.store().identities(&session.account).await?)
    }

    /// Begins a way to a provider for a login: `Bind` needs the secure window, `Confirm` opens it.
    ///
    /// # Errors
    /// See [`IdentityError`].
    pub async fn begin_identity(
        &self,
        session: &Session,
        provider: &str,
        redirect: &str,
        purpose: FlowPurpose,
    ) -> Result<Begun, IdentityError> {
        if purpose != FlowPurpose::Confirm {
            self.require_secure(session).await?;
        }
        Ok(self.begin_of_login(session, provider, redirect, purpose).await?)
    }

    /// Binds what the provider proves to the account. Needs the secure window. The owner is told.
    /// Bound again, it is as new.
    ///
    /// # Errors
    /// See [`IdentityError`].
    pub async fn bind_identity(
        &self,
        session: &Session,
        back: &Return,
    ) -> Result<Identity, IdentityError> {
        self.require_secure(session).await?;
        let came = self.come_back(back, FlowPurpose::Bind, session.jkt, Some(session)).await?;
        let id = if let Some(known) = self.identity_of(&came.proved).await? {
            if known.account != session.account {
                return Err(IdentityError::Taken);
            }
            let again = self.newest(&known, &came).await?;
            let held = self.store().identity_rebind(&again, self.now()).await;
            if !held.map_err(Inner::from)? {
                return Err(ProofError::Refused.into());
            }
            known.id
        } else {
            let (account, id) = (&session.account, random::hex_id(self.random()));
            let key = self.subject_key_of(account).await?;
            let new = self.identity_row(id.clone(), account, &key, &came);
            let binding = IdentityBinding {
                account: account.clone(),
                new,
                most: IDENTITIES_PER_ACCOUNT,
                notices: self.identity_notices(account, "identity_bound").await?,
            };
            match self.store().identity_bind(&binding, self.now()).await.map_err(Inner::from)? {
                IdentityBound::Done => id,
                IdentityBound::Taken => return Err(IdentityError::Taken),
                IdentityBound::Full => return Err(IdentityError::Full),
            }
        };
        self.0.outbox.notify_one();
        let mine = self.my_identities(session).await?;
        mine.into_iter().find(|identity| identity.id == id).ok_or(IdentityError::Unknown)
    }

    /// Takes an identity off the account, unless nothing else would sign in. Needs the secure window.
    /// The owner is told, and the grant is taken back at the provider.
    ///
    /// # Errors
    /// See [`IdentityError`].
    pub async fn unbind_identity(&self, session: &Session, id: &str) -> Result<(), IdentityError> {
        self.require_secure(session).await?;
        let notices = self.identity_notices(&session.account, "identity_unbound").await?;
        let providers = self.identity_providers().iter();
        let usable: Vec<_> = providers.map(|provider| provider.facts().id.clone()).collect();
        let (account, usable, notices) = (&session.account, &usable[..], &notices[..]);
        let unbinding = IdentityUnbinding { account, id, usable, notices };
        // One at a time, so that what is written to the journal is done.
        let _alone = self.0.unbinding.lock().await;
        let verdict = self.store().identity_may_unbind(&unbinding).await.map_err(Inner::from)?;
        if verdict == IdentityUnbound::Done {
            let path = self.config().data_dir.join(UNBOUND_FILE);
            journal::record(&path, id).map_err(Inner::from)?;
        }
        let done = match verdict {
            IdentityUnbound::Done => {
                let done = self.store().identity_unbind(&unbinding, self.now()).await;
                done.map_err(Inner::from)?
            }
            refused => refused,
        };
        match done {
            IdentityUnbound::Done => {
                self.0.outbox.notify_one();
                Ok(())
            }
            IdentityUnbound::Unknown => Err(IdentityError::Unknown),
            IdentityUnbound::Last => Err(IdentityError::Last),
        }
    }

    /// Opens the secure window by an identity of the account whose provider has just asked the person
    /// again; its end, Unix seconds.
    ///
    /// # Errors
    /// See [`IdentityError`].
    pub async fn secure_by_provider(
        &self,
        session: &Session,
        back: &Return,
    ) -> Result<u64, IdentityError> {
        let came = self.come_back(back, FlowPurpose::Confirm, session.jkt, Some(session)).await?;
        let known = self.identity_of(&came.proved).await?;
        let known = known.filter(|known| known.account == session.account && !known.suspended);
        let known = known.ok_or(ProofError::Refused)?;
        self.refuse_held(&known).await?;
        let used = self.newest(&known, &came).await?;
        if !self.store().identity_used(&used, self.now()).await.map_err(Inner::from)? {
            return Err(ProofError::Refused.into());
        }
        Ok(self.open_secure(session, None, "provider").await?)
    }

    /// An identity that did not come with the account confirms nothing dangerous for a while, as it is
    /// with numbers and addresses ([`crate::identifier`]).
    async fn refuse_held(&self, known: &Identity) -> Result<(), IdentityError> {
        let account = self.store().account(&known.account).await.map_err(Inner::from)?;
        let came_with_it = account.is_some_and(|account| known.bound_at <= account.created_at);
        let until = known.bound_at + IDENTIFIER_HOLD_SECS;
        if came_with_it || until <= self.now() {
            return Ok(());
        }
        Err(IdentityError::Held(RetryAfter(until - self.now())))
    }

    /// Words to every address of the account.
    async fn identity_notices(
        &self,
        account: &AccountId,
        kind: &'static str,
    ) -> Result<Vec<NewNotice>, Inner> {
        let known = self.addresses_of(account).await?;
        Ok(self.notices(kind, known.iter().map(|known| &known.address)))
    }
}
