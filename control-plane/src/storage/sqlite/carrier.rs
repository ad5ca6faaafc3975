//! Logins by carrier.

use async_trait::async_trait;
use sqlx::query;

use super::SqliteStore;
use super::otp::insert;
use super::row::int;
use crate::ids::AccountId;
use crate::storage::model::OtpChallenge;
use crate::storage::{CarrierStore, Stored};

#[async_trait]
impl CarrierStore for SqliteStore {
    async fn carrier_token_take(&self, hash: &[u8], now: u64) -> Stored<bool> {
        let done = query(
            "INSERT INTO carrier_token (hash, at) VALUES (?1, ?2) ON CONFLICT (hash) DO NOTHING",
        )
        .bind(hash)
        .bind(int(now))
        .execute(&self.writer)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    async fn carrier_registered(&self, account: &AccountId) -> Stored<()> {
        query("UPDATE identifier SET method = 'carrier' WHERE account = ?1 AND kind = 'phone'")
            .bind(account.as_str())
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    async fn carrier_proved(&self, challenge: &OtpChallenge, now: u64) -> Stored<()> {
        let mut tx = self.begin().await?;
        insert(&mut tx, challenge, now).await?;
        tx.commit().await?;
        Ok(())
    }
}
