//! The operation log.

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{SqliteConnection, query};

use super::SqliteStore;
use super::row::{Columns, int};
use crate::acting;
use crate::ids::AccountId;
use crate::limits::OPLOG_KEEP_SECS;
use crate::storage::Stored;
use crate::storage::account::OplogStore;
use crate::storage::model::{OplogFilter, OplogLine};

/// Appends a line for whoever acts.
pub(super) async fn append(
    connection: &mut SqliteConnection,
    account: &str,
    action: &str,
    object: &str,
    result: &str,
    now: u64,
) -> Stored<()> {
    let mark = acting::mark(account);
    query(
        "INSERT INTO oplog (subject, action, object, at, actor, terminal, network_enc, result)
         SELECT subject, ?2, ?3, ?4, ?5, ?6, ?7, ?8 FROM account WHERE id = ?1",
    )
    .bind(account)
    .bind(action)
    .bind(object)
    .bind(int(now))
    .bind(mark.actor)
    .bind(mark.terminal)
    .bind(mark.network_enc)
    .bind(result)
    .execute(connection)
    .await?;
    Ok(())
}

#[async_trait]
impl OplogStore for SqliteStore {
    async fn oplog_page(&self, filter: &OplogFilter) -> Stored<Vec<OplogLine>> {
        let rows = query(
            "SELECT o.* FROM oplog o JOIN account a ON a.subject = o.subject
             WHERE a.id = ?1 AND o.id < ?2 AND o.at >= ?3 AND o.at < ?4
             AND (?5 IS NULL OR o.action = ?5 OR substr(o.action, 1, length(?5) + 1) = ?5 || '.')
             ORDER BY o.id DESC LIMIT ?6",
        )
        .bind(filter.account.as_str())
        .bind(int(filter.before.unwrap_or(u64::MAX)))
        .bind(int(filter.since))
        .bind(int(filter.until))
        .bind(filter.action.as_deref())
        .bind(int(filter.limit))
        .fetch_all(&self.reader)
        .await?;
        rows.iter().map(line).collect()
    }

    async fn oplog_refused(
        &self,
        account: &AccountId,
        action: &str,
        object: &str,
        now: u64,
    ) -> Stored<()> {
        let mut tx = self.begin().await?;
        append(&mut tx, account.as_str(), action, object, "refused", now).await?;
        Ok(tx.commit().await?)
    }
}

/// Deletes the lines that have outlived [`OPLOG_KEEP_SECS`]. The floor rises first: the triggers let
/// nothing else go.
pub(super) async fn purge(store: &SqliteStore, now: u64) -> Stored<u64> {
    let floor = int(now.saturating_sub(OPLOG_KEEP_SECS));
    let due = query("SELECT 1 FROM oplog WHERE at < ?1 LIMIT 1")
        .bind(floor)
        .fetch_optional(&store.reader)
        .await?;
    if due.is_none() {
        return Ok(0);
    }
    let mut tx = store.begin().await?;
    query("UPDATE oplog_floor SET at = ?1 WHERE at < ?1").bind(floor).execute(&mut *tx).await?;
    let done = query("DELETE FROM oplog WHERE at < ?1").bind(floor).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(done.rows_affected())
}

fn line(row: &SqliteRow) -> Stored<OplogLine> {
    Ok(OplogLine {
        id: row.num("id")?,
        action: row.text("action")?,
        object: row.text("object")?,
        at: row.num("at")?,
        actor: row.opt_text("actor")?,
        terminal: row.opt_text("terminal")?,
        network_enc: row.opt_blob("network_enc")?,
        result: row.text("result")?,
    })
}
