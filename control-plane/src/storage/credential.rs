//! Identifiers, passwords, guesses at either, and the window in which a login may do what is dangerous.

use async_trait::async_trait;
use sightline_grant::Thumbprint;

use super::Stored;
use super::model::*;
use crate::ids::{AccountId, SessionId};

/// Who an account is and how it shows that.
#[async_trait]
pub trait CredentialStore {
    /// The active account with this keyed hash of an identifier, as signing in on a terminal with
    /// this key looks at it.
    async fn entry(&self, lookup: &[u8], jkt: Thumbprint) -> Stored<Option<Entry>>;
    /// Identifiers of an account, the phone number first.
    async fn identifiers(&self, account: &AccountId) -> Stored<Vec<Identifier>>;
    /// Uses the challenge up and puts the identifier on the account.
    async fn identifier_put(&self, change: &IdentifierChange, now: u64) -> Stored<IdentifierPut>;
    /// Takes an identifier off, unless it is the last one.
    async fn identifier_remove(
        &self,
        account: &AccountId,
        kind: IdentifierKind,
        notices: &[NewNotice],
        now: u64,
    ) -> Stored<IdentifierRemoved>;
    /// The password of an account.
    async fn password(&self, account: &AccountId) -> Stored<Option<StoredPassword>>;
    /// Uses the challenge up, if there is one, stores the password, ends the other logins, forgets the
    /// proofs that they gave and makes their terminals unknown. Those that were signed in when no login
    /// is kept still count for [`AbnormalStore::login_seen`](crate::storage::AbnormalStore::login_seen)
    /// until [`RESET_HOLD_SECS`](crate::limits::RESET_HOLD_SECS) later.
    async fn password_put(&self, new: &NewPassword, now: u64) -> Stored<PasswordPut>;
    /// Puts the hash of the same password at another cost in the place of `old`, if that still stands.
    async fn password_rehash(&self, account: &AccountId, old: &str, new: &str) -> Stored<()>;
    /// Counts a guess before anything is compared. A guess that was right is taken back by
    /// [`CredentialStore::guess_right`].
    async fn guess_count(
        &self,
        kind: GuessKind,
        key: &[u8],
        hourly: &[Window],
        now: u64,
    ) -> Stored<Guess>;
    /// Forgets the guesses that were counted: whoever makes them is let in.
    async fn guess_right(&self, kind: GuessKind, key: &[u8]) -> Stored<()>;
    /// Uses the challenge up, if there is one, and opens the window. `false` when it was used before.
    async fn secure_open(&self, window: &SecureWindow, now: u64) -> Stored<bool>;
    /// End of the open window of a login.
    async fn secure_until(&self, session: &SessionId, now: u64) -> Stored<Option<u64>>;
    /// A notice that was not sent yet.
    async fn notice(&self, id: &str) -> Stored<Option<Notice>>;
}
