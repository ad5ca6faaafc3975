//! Requests that clients repeat under a key of theirs.

use async_trait::async_trait;
use sqlx::{query, query_scalar};

use super::SqliteStore;
use super::row::{Columns, int};
use crate::idempotency::Bounds;
use crate::storage::model::{KeyBegun, KeyedRequest};
use crate::storage::{IdempotencyStore, Stored};

#[async_trait]
impl IdempotencyStore for SqliteStore {
    async fn key_begin(
        &self,
        request: &KeyedRequest,
        bounds: Bounds,
        now: u64,
    ) -> Stored<KeyBegun> {
        let account = request.account.as_str();
        let mut tx = self.begin().await?;
        query(
            "DELETE FROM idempotency
             WHERE account = ?1 AND (began <= ?2 OR answer IS NULL AND began <= ?3)",
        )
        .bind(account)
        .bind(int(now.saturating_sub(bounds.keep_secs)))
        .bind(int(now.saturating_sub(bounds.running_secs)))
        .execute(&mut *tx)
        .await?;
        let found =
            query("SELECT request, answer FROM idempotency WHERE account = ?1 AND key = ?2")
                .bind(account)
                .bind(&request.key)
                .fetch_optional(&mut *tx)
                .await?;
        if let Some(row) = found {
            return Ok(match row.opt_blob("answer")? {
                _ if row.blob("request")? != request.request => KeyBegun::OtherRequest,
                Some(answer) => KeyBegun::Answered(answer),
                None => KeyBegun::Running,
            });
        }
        let kept: i64 = query_scalar("SELECT count(*) FROM idempotency WHERE account = ?1")
            .bind(account)
            .fetch_one(&mut *tx)
            .await?;
        if kept >= int(bounds.most) {
            return Ok(KeyBegun::Full);
        }
        query(
            "INSERT INTO idempotency (account, key, request, attempt, began)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )
        .bind(account)
        .bind(&request.key)
        .bind(&request.request)
        .bind(&request.attempt)
        .bind(int(now))
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(KeyBegun::Fresh)
    }

    async fn key_end(&self, request: &KeyedRequest, answer: Option<&[u8]>) -> Stored<()> {
        let mut tx = self.begin().await?;
        let statement = match answer {
            Some(answer) => query(
                "UPDATE idempotency SET answer = ?4
                 WHERE account = ?1 AND key = ?2 AND attempt = ?3 AND answer IS NULL",
            )
            .bind(request.account.as_str())
            .bind(&request.key)
            .bind(&request.attempt)
            .bind(answer),
            None => query(
                "DELETE FROM idempotency
                 WHERE account = ?1 AND key = ?2 AND attempt = ?3 AND answer IS NULL",
            )
            .bind(request.account.as_str())
            .bind(&request.key)
            .bind(&request.attempt),
        };
        statement.execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }
}
