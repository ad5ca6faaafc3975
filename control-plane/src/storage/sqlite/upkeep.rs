//! Deleting what is over, and copies.

use std::path::Path;

use async_trait::async_trait;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection, query};

use super::row::{Columns, int};
use super::{SqliteStore, abnormal, oplog, private, sms};
use crate::ids::AccountId;
use crate::limits::LEDGER_KEEP_SECS;
use crate::storage::model::OplogEntry;
use crate::storage::{StoreError, Stored, UpkeepStore};

/// Each takes the present time and the time before which ledgers go.
const PURGE: &[&str] = &[
    "UPDATE terminal_detail SET facts_enc = NULL, facts_expire = NULL
     WHERE facts_expire <= ?1 AND ?2 = ?2",
    "DELETE FROM access_token WHERE expires <= ?1 AND ?2 = ?2",
    "DELETE FROM otp_challenge WHERE expires_at <= ?1 AND ?2 = ?2",
    "DELETE FROM otp_ledger WHERE at <= ?2 AND ?1 = ?1",
    "DELETE FROM step_up WHERE (idle_expires <= ?1 OR max_expires <= ?1) AND ?2 = ?2",
    "DELETE FROM secure_window WHERE expires <= ?1 AND ?2 = ?2",
    "DELETE FROM guess_budget WHERE at <= ?2 AND locked_until <= ?1 AND closed_until <= ?1",
    "DELETE FROM notice WHERE expires <= ?1 AND ?2 = ?2",
    "DELETE FROM key_challenge WHERE expires_at < ?1 AND ?2 = ?2",
    "DELETE FROM passkey_challenge WHERE expires_at <= ?1 AND ?2 = ?2",
    "DELETE FROM identity_flow WHERE expires_at <= ?1 AND ?2 = ?2",
    "DELETE FROM introduction WHERE expires <= ?1 AND ?2 = ?2",
    "DELETE FROM share WHERE guest IS NULL AND invite_expires <= ?1 AND ?2 = ?2",
    "DELETE FROM bind_token WHERE expires_at <= ?1 AND ?2 = ?2",
    "DELETE FROM device_code WHERE expires_at <= ?1 AND ?2 = ?2",
    "DELETE FROM device_fact WHERE expires_at <= ?1 AND ?2 = ?2",
    "DELETE FROM provisioning WHERE expires_at <= ?1 AND ?2 = ?2",
    "UPDATE provisioning SET sealed = NULL
     WHERE sealed IS NOT NULL AND sealed_until <= ?1 AND ?2 = ?2",
    // Proofs of terminals end with word to the relay; these were left behind.
    "DELETE FROM key_proof WHERE expires <= iif(terminal IS NULL, ?1, ?2)",
    "DELETE FROM sso_code WHERE expires <= ?2 AND ?1 = ?1",
    "DELETE FROM sso_token WHERE ?2 = ?2 AND expires <= ?1",
    "DELETE FROM sso_token WHERE ?1 = ?1 AND granted IN (SELECT id FROM sso_grant
         WHERE ended_at <= ?2 OR idle_expires <= ?2 OR abs_expires <= ?2)",
    "DELETE FROM sso_grant WHERE ?1 = ?1
         AND (ended_at <= ?2 OR idle_expires <= ?2 OR abs_expires <= ?2)",
    "DELETE FROM sso_key WHERE published_until <= ?1 AND ?2 = ?2",
    "DELETE FROM sso_logout WHERE at <= ?2 AND ?1 = ?1",
    "DELETE FROM refresh_token WHERE ?1 = ?1 AND family IN (SELECT id FROM session
         WHERE revoked_at <= ?2 OR idle_expires <= ?2 OR abs_expires <= ?2)",
    "DELETE FROM session WHERE ?1 = ?1
         AND (revoked_at <= ?2 OR idle_expires <= ?2 OR abs_expires <= ?2)",
    "DELETE FROM outbox WHERE done_at <= ?2 AND ?1 = ?1",
    "DELETE FROM idempotency WHERE began <= ?1 - 86400 AND ?2 = ?2",
    "UPDATE media_audit SET context_enc = NULL
     WHERE context_enc IS NOT NULL AND context_expires <= ?1 AND ?2 = ?2",
];

#[async_trait]
impl UpkeepStore for SqliteStore {
    async fn purge(&self, now: u64) -> Stored<u64> {
        let mut rows = 0;
        for statement in PURGE {
            let done = query(*statement)
                .bind(int(now))
                .bind(int(now.saturating_sub(LEDGER_KEEP_SECS)))
                .execute(&self.writer)
                .await?;
            rows += done.rows_affected();
        }
        rows += sms::purge(&self.writer, now).await?;
        rows += abnormal::purge(&self.writer, now).await?;
        Ok(rows + oplog::purge(self, now).await?)
    }

    async fn backup(&self, database: &Path, subject_keys: &Path) -> Stored<()> {
        for path in [database, subject_keys] {
            private::file(path).map_err(sqlx::Error::Io)?;
        }
        query("VACUUM INTO ?1")
            .bind(database.to_string_lossy().into_owned())
            .execute(&self.writer)
            .await?;
        let mut copy = open(database, true).await?;
        query("ATTACH ?1 AS keys")
            .bind(subject_keys.to_string_lossy().into_owned())
            .execute(&mut copy)
            .await?;
        for statement in [
            "CREATE TABLE keys.subject_key (account TEXT PRIMARY KEY, wrapped BLOB NOT NULL) STRICT",
            "INSERT INTO keys.subject_key SELECT account, wrapped FROM main.subject_key",
            "DELETE FROM main.subject_key",
            "DETACH keys",
            "VACUUM",
        ] {
            query(statement).execute(&mut copy).await?;
        }
        check(&mut copy).await?;
        copy.close().await?;
        for path in [database, subject_keys] {
            let synced = std::fs::File::open(path).and_then(|file| file.sync_all());
            synced.map_err(|error| StoreError::Database(Box::new(error)))?;
        }
        Ok(())
    }

    async fn oplog(&self, account: &AccountId, limit: u64) -> Stored<Vec<OplogEntry>> {
        let rows = query(
            "SELECT o.* FROM oplog o JOIN account a ON a.subject = o.subject
             WHERE a.id = ?1 ORDER BY o.id DESC LIMIT ?2",
        )
        .bind(account.as_str())
        .bind(int(limit))
        .fetch_all(&self.reader)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(OplogEntry {
                    action: row.text("action")?,
                    object: row.text("object")?,
                    at: row.num("at")?,
                })
            })
            .collect()
    }
}

/// Puts the subject keys of a backup back into its database. Works on files that nobody has open.
///
/// # Errors
/// When a file cannot be read or fails SQLite's integrity check.
pub async fn join_backup(database: &Path, subject_keys: &Path) -> Stored<()> {
    let mut copy = open(database, false).await?;
    check(&mut copy).await?;
    query("ATTACH ?1 AS keys")
        .bind(subject_keys.to_string_lossy().into_owned())
        .execute(&mut copy)
        .await?;
    // A key without its account belongs to someone newer than the backup.
    query(
        "INSERT OR REPLACE INTO main.subject_key SELECT account, wrapped FROM keys.subject_key
         WHERE account IN (SELECT id FROM main.account WHERE status = 'active')",
    )
    .execute(&mut copy)
    .await?;
    copy.close().await?;
    Ok(())
}

/// Reads a whole copy.
async fn check(copy: &mut SqliteConnection) -> Stored<()> {
    let verdict: String = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(copy).await?;
    if verdict == "ok" {
        return Ok(());
    }
    Err(StoreError::Inconsistent("the backup fails its integrity check"))
}

/// `create` holds for attached files too.
async fn open(path: &Path, create: bool) -> Stored<SqliteConnection> {
    Ok(SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(create)
        .foreign_keys(false)
        .pragma("secure_delete", "ON")
        .connect()
        .await?)
}
