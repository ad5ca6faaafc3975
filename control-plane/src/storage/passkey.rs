//! What passkeys ask of the database.

use async_trait::async_trait;

use super::Stored;
use super::model::*;
use crate::ids::{AccountId, PasskeyId};

/// Public keys that sign an account in.
#[async_trait]
pub trait PasskeyStore {
    /// Keeps a challenge.
    async fn passkey_challenge_open(&self, challenge: &PasskeyChallenge) -> Stored<()>;
    /// Uses a challenge up: one of this hash, that this terminal was given, for this account or for a
    /// login. `false` when there is none, or no longer.
    async fn passkey_challenge_take(&self, asked: &PasskeyChallenge, now: u64) -> Stored<bool>;
    /// Keeps a passkey, unless the account has `most`.
    async fn passkey_add(&self, new: &NewPasskey, most: u64, now: u64) -> Stored<PasskeyAdded>;
    /// Passkeys of an account, oldest first.
    async fn passkeys(&self, account: &AccountId) -> Stored<Vec<Passkey>>;
    /// The passkey with this keyed hash of its credential's id, with its active account.
    async fn passkey_by_credential(&self, lookup: &[u8]) -> Stored<Option<PasskeyHolder>>;
    /// Records a login whose signature held, if the counter says that there is one authenticator.
    async fn passkey_used(&self, id: &PasskeyId, counter: u32, now: u64) -> Stored<PasskeyUse>;
    /// Gives a passkey of the account another name. `false`: it has none of this id.
    async fn passkey_rename(
        &self,
        account: &AccountId,
        id: &PasskeyId,
        name_enc: &[u8],
        now: u64,
    ) -> Stored<bool>;
    /// Removes a passkey of the account. `false`: it has none of this id.
    async fn passkey_remove(
        &self,
        account: &AccountId,
        id: &PasskeyId,
        notices: &[NewNotice],
        now: u64,
    ) -> Stored<bool>;
}
