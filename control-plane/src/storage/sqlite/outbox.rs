//! Outgoing messages.

use async_trait::async_trait;
use sqlx::query;

use super::SqliteStore;
use super::row::{Columns, int};
use crate::ids::AccountId;
use crate::limits::SEND_RETRY_SECS;
use crate::storage::model::{Message, OutboxEntry};
use crate::storage::{OutboxStore, Stored};

#[async_trait]
impl OutboxStore for SqliteStore {
    async fn outbox_claim(
        &self,
        left_out: &[&'static str],
        now: u64,
    ) -> Stored<Option<OutboxEntry>> {
        let row = query(
            "UPDATE outbox SET attempts = attempts + 1, next_at = ?1 + ?2
             WHERE id = (SELECT id FROM outbox WHERE done_at IS NULL AND next_at <= ?1
                         AND channel NOT IN (SELECT value FROM json_each(?3))
                         ORDER BY id LIMIT 1)
             RETURNING *",
        )
        .bind(int(now))
        .bind(int(SEND_RETRY_SECS))
        .bind(serde_json::Value::from(left_out).to_string())
        .fetch_optional(&self.writer)
        .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(OutboxEntry {
            id: row.num("id")?,
            channel: row.text("channel")?,
            kind: row.text("kind")?,
            reference: row.text("reference")?,
            attempts: row.num("attempts")?,
        }))
    }

    async fn outbox_defer(&self, id: u64, next_at: u64) -> Stored<()> {
        query("UPDATE outbox SET next_at = ?2 WHERE id = ?1 AND done_at IS NULL")
            .bind(int(id))
            .bind(int(next_at))
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    async fn outbox_done(&self, id: u64, now: u64) -> Stored<()> {
        query("UPDATE outbox SET done_at = ?2 WHERE id = ?1 AND done_at IS NULL")
            .bind(int(id))
            .bind(int(now))
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    async fn outbox_deliver(&self, id: u64, now: u64) -> Stored<bool> {
        let mut tx = self.begin().await?;
        let closed = query(
            "UPDATE outbox SET done_at = ?2
             WHERE id = ?1 AND done_at IS NULL AND channel = 'in_app'",
        )
        .bind(int(id))
        .bind(int(now))
        .execute(&mut *tx)
        .await?;
        if closed.rows_affected() == 0 {
            return Ok(false);
        }
        query(
            "INSERT INTO message (outbox, account, kind, reference, at)
             SELECT id, account, kind, reference, created_at FROM outbox WHERE id = ?1",
        )
        .bind(int(id))
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn messages(&self, account: &AccountId, limit: u64) -> Stored<Vec<Message>> {
        self.messages_before(account, i64::MAX as u64, limit).await
    }

    async fn messages_before(
        &self,
        account: &AccountId,
        before: u64,
        limit: u64,
    ) -> Stored<Vec<Message>> {
        let rows =
            query("SELECT * FROM message WHERE account = ?1 AND id < ?3 ORDER BY id DESC LIMIT ?2")
                .bind(account.as_str())
                .bind(int(limit))
                .bind(int(before))
                .fetch_all(&self.reader)
                .await?;
        rows.iter()
            .map(|row| {
                Ok(Message {
                    id: row.num("id")?,
                    kind: row.text("kind")?,
                    reference: row.text("reference")?,
                    at: row.num("at")?,
                })
            })
            .collect()
    }
}
