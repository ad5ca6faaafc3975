//! What the detection of unusual logins asks of the database.

use async_trait::async_trait;

use super::Stored;
use super::model::{Alert, LoginSeen, Noticed};
use crate::ids::{AccountId, TerminalId};

/// Logins as they are remembered, and what was unusual about them.
#[async_trait]
pub trait AbnormalStore {
    /// Judges a login by [`crate::abnormal::detect`] and what is remembered, remembers it, and writes
    /// events and the message to the account. A grave login of a terminal that nobody agreed to is
    /// held, if that is wanted and another terminal is signed in, or was until a reset of the password
    /// not long ago: its sessions end here, and it is known no more unless it was let in before.
    async fn login_seen(&self, login: &LoginSeen) -> Stored<Noticed>;
    /// Newest alerts of an account, at most `limit`.
    async fn alerts(&self, account: &AccountId, limit: u64) -> Stored<Vec<Alert>>;
    /// A terminal of the account agrees to the login of another one that is held.
    async fn alert_approve(
        &self,
        account: &AccountId,
        by: &TerminalId,
        alert: &str,
        now: u64,
    ) -> Stored<bool>;
}
