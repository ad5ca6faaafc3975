//! The consent chain.

use async_trait::async_trait;
use sqlx::query;
use sqlx::sqlite::SqliteRow;

use super::SqliteStore;
use super::row::{Columns, int, log};
use crate::consent::chain;
use crate::ids::AccountId;
use crate::storage::model::{ConsentAct, ConsentAppended, ConsentEvent, ConsentState};
use crate::storage::{ConsentStore, StoreError, Stored};

#[async_trait]
impl ConsentStore for SqliteStore {
    async fn consent_append(&self, act: &ConsentAct, now: u64) -> Stored<ConsentAppended> {
        let mut tx = self.begin().await?;
        let last = query("SELECT seq, hash FROM consent_event ORDER BY seq DESC LIMIT 1")
            .fetch_optional(&mut *tx)
            .await?;
        let (seq, prev_hash) = match last {
            Some(row) => (row.num("seq")? + 1, row.blob("hash")?),
            None => (1, chain::START.to_vec()),
        };
        let mut event = ConsentEvent {
            seq,
            subject: act.subject.0.clone(),
            purpose: act.purpose.clone(),
            version: act.version,
            granted: act.granted,
            terminal: act.terminal.0.clone(),
            at: now,
            prev_hash,
            hash: Vec::new(),
        };
        event.hash = chain::link(&event).to_vec();
        let decision = if act.granted { "granted" } else { "withdrawn" };
        query(
            "INSERT INTO consent_event
             (seq, subject, purpose, version, decision, terminal, at, prev_hash, hash)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )
        .bind(int(event.seq))
        .bind(&event.subject)
        .bind(&event.purpose)
        .bind(i64::from(event.version))
        .bind(decision)
        .bind(&event.terminal)
        .bind(int(now))
        .bind(&event.prev_hash)
        .bind(&event.hash)
        .execute(&mut *tx)
        .await?;
        query(
            "INSERT OR REPLACE INTO consent_state (account, purpose, version, granted, seq, at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )
        .bind(act.account.as_str())
        .bind(&act.purpose)
        .bind(i64::from(act.version))
        .bind(act.granted)
        .bind(int(seq))
        .bind(int(now))
        .execute(&mut *tx)
        .await?;
        if !act.granted {
            super::device_facts::forget_purpose(&mut tx, &act.account, &act.purpose).await?;
        }
        let epoch = query(
            "UPDATE account SET consent_epoch = consent_epoch + ?2
             WHERE id = ?1 AND status = 'active' RETURNING consent_epoch",
        )
        .bind(act.account.as_str())
        .bind(i64::from(!act.granted))
        .fetch_optional(&mut *tx)
        .await?
        .ok_or(StoreError::Inconsistent("a consent without an account"))?
        .num("consent_epoch")?;
        let action = if act.granted { "consent.granted" } else { "consent.withdrawn" };
        log(&mut tx, act.account.as_str(), action, &act.purpose, now).await?;
        tx.commit().await?;
        Ok(ConsentAppended { seq, epoch })
    }

    async fn consents(&self, account: &AccountId) -> Stored<Vec<ConsentState>> {
        let rows = query("SELECT * FROM consent_state WHERE account = ?1 ORDER BY purpose")
            .bind(account.as_str())
            .fetch_all(&self.reader)
            .await?;
        rows.iter()
            .map(|row| {
                Ok(ConsentState {
                    purpose: row.text("purpose")?,
                    version: version(row)?,
                    granted: row.num("granted")? == 1,
                    seq: row.num("seq")?,
                    at: row.num("at")?,
                })
            })
            .collect()
    }

    async fn consent_events(&self, after: u64, limit: u64) -> Stored<Vec<ConsentEvent>> {
        let rows = query("SELECT * FROM consent_event WHERE seq > ?1 ORDER BY seq LIMIT ?2")
            .bind(int(after))
            .bind(int(limit))
            .fetch_all(&self.reader)
            .await?;
        rows.iter()
            .map(|row| {
                Ok(ConsentEvent {
                    seq: row.num("seq")?,
                    subject: row.text("subject")?,
                    purpose: row.text("purpose")?,
                    version: version(row)?,
                    granted: row.text("decision")? == "granted",
                    terminal: row.text("terminal")?,
                    at: row.num("at")?,
                    prev_hash: row.blob("prev_hash")?,
                    hash: row.blob("hash")?,
                })
            })
            .collect()
    }
}

fn version(row: &SqliteRow) -> Stored<u32> {
    u32::try_from(row.num("version")?).map_err(|_| StoreError::Inconsistent("a version"))
}
