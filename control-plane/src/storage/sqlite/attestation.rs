//! Attestations.

use async_trait::async_trait;
use sqlx::query;
use sqlx::sqlite::SqliteRow;

use super::SqliteStore;
use super::row::{Columns, int, log};
use crate::ids::AccountId;
use crate::storage::account::AttestationStore;
use crate::storage::model::{Attestation, NewAttestation};
use crate::storage::{StoreError, Stored};

#[async_trait]
impl AttestationStore for SqliteStore {
    async fn attest(&self, new: &NewAttestation, now: u64) -> Stored<u64> {
        let mut tx = self.begin().await?;
        let row = query(
            "INSERT INTO attestation (subject, kind, object, version, text_sha256, terminal, at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) RETURNING seq",
        )
        .bind(new.subject.as_str())
        .bind(new.kind)
        .bind(&new.object)
        .bind(i64::from(new.version))
        .bind(new.text_sha256.as_slice())
        .bind(new.terminal.as_str())
        .bind(int(now))
        .fetch_one(&mut *tx)
        .await?;
        let action = format!("attestation.{}", new.kind);
        log(&mut tx, new.account.as_str(), &action, &new.object, now).await?;
        tx.commit().await?;
        row.num("seq")
    }

    async fn attestations(
        &self,
        account: &AccountId,
        before: Option<u64>,
        limit: u64,
    ) -> Stored<Vec<Attestation>> {
        let rows = query(
            "SELECT t.* FROM attestation t JOIN account a ON a.subject = t.subject
             WHERE a.id = ?1 AND t.seq < ?2 ORDER BY t.seq DESC LIMIT ?3",
        )
        .bind(account.as_str())
        .bind(int(before.unwrap_or(u64::MAX)))
        .bind(int(limit))
        .fetch_all(&self.reader)
        .await?;
        rows.iter().map(attestation).collect()
    }

    async fn attested(
        &self,
        account: &AccountId,
        kind: &'static str,
        object: &str,
    ) -> Stored<Option<Attestation>> {
        let row = query(
            "SELECT t.* FROM attestation t JOIN account a ON a.subject = t.subject
             WHERE a.id = ?1 AND t.kind = ?2 AND t.object = ?3 ORDER BY t.seq DESC LIMIT 1",
        )
        .bind(account.as_str())
        .bind(kind)
        .bind(object)
        .fetch_optional(&self.reader)
        .await?;
        row.as_ref().map(attestation).transpose()
    }
}

fn attestation(row: &SqliteRow) -> Stored<Attestation> {
    Ok(Attestation {
        seq: row.num("seq")?,
        kind: row.text("kind")?,
        object: row.text("object")?,
        version: u32::try_from(row.num("version")?)
            .map_err(|_| StoreError::Inconsistent("a version"))?,
        text_sha256: row.blob("text_sha256")?,
        terminal: row.text("terminal")?,
        at: row.num("at")?,
    })
}
