//! What logins by carrier ask of the database.

use async_trait::async_trait;

use super::Stored;
use super::model::OtpChallenge;
use crate::ids::AccountId;

/// Tokens of carriers, and the numbers that they proved.
#[async_trait]
pub trait CarrierStore {
    /// Takes a token by its hash. `false` when it was taken before.
    async fn carrier_token_take(&self, hash: &[u8], now: u64) -> Stored<bool>;
    /// Records that the number of a new account was proved by the carrier.
    async fn carrier_registered(&self, account: &AccountId) -> Stored<()>;
    /// Opens a challenge for a number that is proved already; nothing is sent for it.
    async fn carrier_proved(&self, challenge: &OtpChallenge, now: u64) -> Stored<()>;
}
