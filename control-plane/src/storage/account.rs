//! What the control plane asks of its database about a person: profile, terminals, log,
//! attestations; and about versions of clients.

use async_trait::async_trait;

use super::Stored;
use super::model::{
    AppVersionRow, Attestation, ConsentAct, ConsentAppended, FactsPut, NewAttestation, OplogFilter,
    OplogLine, ProfileEdit, ProfileRow, TerminalDetail,
};
use crate::ids::{AccountId, SessionId, TerminalId};

/// The optional part of an account. It goes with the consent to it, and with the account.
#[async_trait]
pub trait ProfileStore {
    /// The profile; an empty one when there is none.
    async fn profile(&self, account: &AccountId) -> Stored<ProfileRow>;
    /// Changes the profile. `false`: the account does not consent to having one.
    async fn profile_put(&self, account: &AccountId, edit: &ProfileEdit, now: u64) -> Stored<bool>;
    /// The picture, encrypted.
    async fn avatar(&self, account: &AccountId) -> Stored<Option<Vec<u8>>>;
    /// Replaces the picture. `false`: the account does not consent to having one.
    async fn avatar_put(&self, account: &AccountId, picture_enc: &[u8], now: u64) -> Stored<bool>;
    /// Deletes the picture. `false` when there is none.
    async fn avatar_delete(&self, account: &AccountId, now: u64) -> Stored<bool>;
}

/// Details of terminals.
#[async_trait]
pub trait TerminalStore {
    /// Details of the account's terminals that are signed in.
    async fn terminal_details(&self, account: &AccountId) -> Stored<Vec<TerminalDetail>>;
    /// The network that a terminal was seen in. No act of anybody, so nothing is logged.
    async fn terminal_seen(&self, terminal: &TerminalId, network_enc: &[u8]) -> Stored<()>;
    /// What a signed-in terminal of the account says about itself, if the account consents to that.
    async fn terminal_facts_put(
        &self,
        account: &AccountId,
        terminal: &TerminalId,
        facts_enc: &[u8],
        expires: u64,
        now: u64,
    ) -> Stored<FactsPut>;
    /// What the system of a signed-in terminal lets its client do. `false`: no such terminal.
    async fn terminal_permissions_put(
        &self,
        account: &AccountId,
        terminal: &TerminalId,
        permissions_enc: &[u8],
        now: u64,
    ) -> Stored<bool>;
}

/// The operation log.
#[async_trait]
pub trait OplogStore {
    /// Lines of an account, newest first.
    async fn oplog_page(&self, filter: &OplogFilter) -> Stored<Vec<OplogLine>>;
    /// A line about a refusal, which has no transaction of its own.
    async fn oplog_refused(
        &self,
        account: &AccountId,
        action: &str,
        object: &str,
        now: u64,
    ) -> Stored<()>;
}

/// Attestations.
#[async_trait]
pub trait AttestationStore {
    /// Keeps one for ever. Returns its position.
    async fn attest(&self, new: &NewAttestation, now: u64) -> Stored<u64>;
    /// Those of an account, newest first, older than `before`, at most `limit`.
    async fn attestations(
        &self,
        account: &AccountId,
        before: Option<u64>,
        limit: u64,
    ) -> Stored<Vec<Attestation>>;
    /// The newest one of this kind about this object.
    async fn attested(
        &self,
        account: &AccountId,
        kind: &'static str,
        object: &str,
    ) -> Stored<Option<Attestation>>;
}

/// The policy as a whole.
#[async_trait]
pub trait PolicyStore {
    /// Whether the account does not agree to the policy as a whole, `purpose`: not yet, or not any
    /// more.
    async fn basic_mode(&self, account: &AccountId, purpose: &'static str) -> Stored<bool>;
    /// Withdraws everything that the account consents to, and the policy itself, in one step, and
    /// takes every app off the account. The epoch rises above every one that leases of this account
    /// carry. With it, the sessions that ended: those of first-party apps.
    async fn policy_withdraw(
        &self,
        policy: &ConsentAct,
        now: u64,
    ) -> Stored<(ConsentAppended, Vec<SessionId>)>;
}

/// Versions of clients.
#[async_trait]
pub trait AppVersionStore {
    /// Those of one client.
    async fn app_version(&self, client: &str) -> Stored<Option<AppVersionRow>>;
    /// Those of every client, by name.
    async fn app_versions(&self) -> Stored<Vec<AppVersionRow>>;
    /// Replaces those of a client.
    async fn app_version_put(&self, row: &AppVersionRow) -> Stored<()>;
    /// Forgets a client. `false` when it is not known.
    async fn app_version_delete(&self, client: &str) -> Stored<bool>;
}

/// All of them.
pub trait PersonalStore:
    ProfileStore + TerminalStore + OplogStore + AttestationStore + PolicyStore + AppVersionStore
{
}
