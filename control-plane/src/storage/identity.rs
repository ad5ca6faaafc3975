//! What logins at identity providers ask of the database.

use std::collections::BTreeSet;

use async_trait::async_trait;
use sightline_grant::Thumbprint;

use super::Stored;
use super::model::{
    FlowPurpose, Identity, IdentityBinding, IdentityBound, IdentityFlow, IdentityRevocation,
    IdentityUnbinding, IdentityUnbound, IdentityUse,
};
use crate::ids::{AccountId, SessionId};

/// Ways to providers, and what was proved there.
#[async_trait]
pub trait IdentityStore {
    /// Begins a way.
    async fn identity_flow_open(&self, flow: &IdentityFlow) -> Stored<()>;
    /// Takes a live way of this terminal, purpose and login, once.
    async fn identity_flow_take(
        &self,
        id: &str,
        jkt: Thumbprint,
        purpose: FlowPurpose,
        session: Option<&SessionId>,
        now: u64,
    ) -> Stored<Option<IdentityFlow>>;
    /// The identity with this keyed hash, of an active account.
    async fn identity_by_lookup(&self, lookup: &[u8]) -> Stored<Option<Identity>>;
    /// Identities of an account, oldest first.
    async fn identities(&self, account: &AccountId) -> Stored<Vec<Identity>>;
    /// Puts an identity on an account.
    async fn identity_bind(&self, binding: &IdentityBinding, now: u64) -> Stored<IdentityBound>;
    /// A known identity was proved by the account that has it: it holds again if it was suspended.
    /// `false`: the account has it no more.
    async fn identity_rebind(&self, again: &IdentityUse, now: u64) -> Stored<bool>;
    /// A known identity confirmed who its account is. `false`: it opens nothing any more.
    async fn identity_used(&self, used: &IdentityUse, now: u64) -> Stored<bool>;
    /// Whether an unbinding would be done.
    async fn identity_may_unbind(
        &self,
        unbinding: &IdentityUnbinding<'_>,
    ) -> Stored<IdentityUnbound>;
    /// Takes an identity off an account, unless nothing else would sign in. Its grant goes to the
    /// outbox.
    async fn identity_unbind(
        &self,
        unbinding: &IdentityUnbinding<'_>,
        now: u64,
    ) -> Stored<IdentityUnbound>;
    /// Takes off whatever was unbound before and is there all the same. How many.
    async fn identities_unbound(&self, ids: &BTreeSet<String>, now: u64) -> Stored<u64>;
    /// A grant that is to be taken back.
    async fn identity_revocation(&self, id: &str) -> Stored<Option<IdentityRevocation>>;
    /// Forgets the grant and closes its entry of the outbox.
    async fn identity_revoked(&self, id: &str, entry: u64, now: u64) -> Stored<()>;
}
