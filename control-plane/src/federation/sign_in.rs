//! Signing in by an identity provider, and registering who is new.

use sightline_grant::Thumbprint;

use super::flow::{Came, ProofError, Return};
use super::{Proved, SUBJECT, TOKEN_PLACE};
use crate::ControlPlane;
use crate::error::Inner;
use crate::ids::AccountId;
use crate::random;
use crate::session::{Arrival, NewAccountKey, Recognised, SignInError, SignedIn};
use crate::storage::model::{FlowPurpose, Identity, IdentityUse, NewIdentity};
use crate::vault::SubjectKey;

/// A login by a provider.
#[derive(Clone, Debug)]
pub struct ProviderSignIn {
    /// What the browser came back with.
    pub back: Return,
    /// Name that the person gives the terminal.
    pub terminal_name: String,
    /// Kind of client.
    pub client_type: String,
    /// Purposes, with version, consented to while signing in.
    pub consents: Vec<(String, u32)>,
}

/// Why nobody is signed in.
#[derive(Debug, thiserror::Error)]
pub enum ProviderSignInError {
    /// See [`ProofError`].
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// The identity came back with a backup of the server.
    #[error(
        "the server was restored from a backup; sign in by a code, and bind this identity again"
    )]
    Suspended,
    /// See [`SignInError`].
    #[error(transparent)]
    SignIn(#[from] SignInError),
    /// See [`Inner`].
    #[error(transparent)]
    Inner(#[from] Inner),
}

impl ControlPlane {
    /// Signs in by what a provider proves. Somebody new gets an account without number or address,
    /// whatever addresses the provider knows: see [`crate::federation`].
    ///
    /// # Errors
    /// See [`ProviderSignInError`].
    pub async fn sign_in_by_provider(
        &self,
        request: &ProviderSignIn,
        terminal: Thumbprint,
    ) -> Result<SignedIn, ProviderSignInError> {
        let arrival = Arrival {
            terminal_name: &request.terminal_name,
            client_type: &request.client_type,
            consents: &request.consents,
        };
        self.check_arrival(&arrival).await?;
        let came = self.come_back(&request.back, FlowPurpose::Login, terminal, None).await?;
        // Two rounds: when another terminal registers or unbinds it in between, the second one sees
        // what became of it.
        for _ in 0..2 {
            let who = self.recognised(&came).await?;
            if let Some(done) = self.open_recognised(&arrival, terminal, who).await? {
                return Ok(done);
            }
        }
        Err(ProofError::Refused.into())
    }

    async fn recognised(&self, came: &Came) -> Result<Recognised, ProviderSignInError> {
        let Some(known) = self.identity_of(&came.proved).await? else {
            let account = AccountId(random::hex_id(self.random()));
            let (key, wrapped) = self.vault().new_subject_key(account.as_str(), self.random());
            let id = random::hex_id(self.random());
            let identity = self.identity_row(id, &account, &key, came);
            return Ok(Recognised::New(account, NewAccountKey(key, wrapped), identity));
        };
        if known.suspended {
            return Err(ProviderSignInError::Suspended);
        }
        let account = self.store().account(&known.account).await.map_err(Inner::from)?;
        let account = account.ok_or(ProofError::Refused)?;
        let used = self.newest(&known, came).await?;
        Ok(Recognised::Known(account, used))
    }

    /// The identity that is known, by its name of now or of before.
    pub(crate) async fn identity_of(&self, proved: &Proved) -> Result<Option<Identity>, Inner> {
        for who in [Some(&proved.who), proved.formerly.as_ref()].into_iter().flatten() {
            let found = self.store().identity_by_lookup(&self.identity_lookup(who)).await?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// What a known identity's row becomes.
    pub(crate) async fn newest(&self, known: &Identity, came: &Came) -> Result<IdentityUse, Inner> {
        let key = self.subject_key_of(&known.account).await?;
        let newest = self.identity_row(known.id.clone(), &known.account, &key, came);
        Ok(IdentityUse { account: known.account.clone(), newest })
    }

    /// The row of an identity.
    pub(crate) fn identity_row(
        &self,
        id: String,
        account: &AccountId,
        key: &SubjectKey,
        came: &Came,
    ) -> NewIdentity {
        let (who, random) = (&came.proved.who, self.random());
        let seal = |token: &sightline_grant::Redacted<String>| {
            self.vault().seal_server(TOKEN_PLACE, &id, token.expose().as_bytes(), random)
        };
        NewIdentity {
            provider: came.provider.clone(),
            lookup: self.identity_lookup(who),
            subject_enc: key.seal(SUBJECT, account.as_str(), who.subject.expose(), random),
            token_enc: came.proved.revocable.as_ref().map(seal),
            id,
        }
    }
}
