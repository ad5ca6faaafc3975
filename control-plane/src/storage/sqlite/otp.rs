//! One-time codes and rate limits.

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{SqliteConnection, query};

use super::SqliteStore;
use super::row::{Columns, enqueue, int, log};
use crate::ids::{AccountId, ChallengeId};
use crate::limits::OTP_TRIES;
use crate::storage::model::{
    Charge, IdentifierKind, OtpBinding, OtpChallenge, OtpPurpose, RetryAfter, StepUp,
};
use crate::storage::{OtpStore, StoreError, Stored};

#[async_trait]
impl OtpStore for SqliteStore {
    async fn charge(&self, charges: &[Charge], now: u64) -> Stored<Result<(), RetryAfter>> {
        let mut tx = self.begin().await?;
        let outcome = charge(&mut tx, charges, now).await?;
        tx.commit().await?;
        Ok(outcome)
    }

    async fn charge_back(&self, dimension: &'static str, key: &[u8], since: u64) -> Stored<()> {
        query("DELETE FROM otp_ledger WHERE dimension = ?1 AND key = ?2 AND at >= ?3")
            .bind(dimension)
            .bind(key)
            .bind(int(since))
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    async fn otp_open(
        &self,
        new: &OtpChallenge,
        charges: &[Charge],
        now: u64,
    ) -> Stored<Result<ChallengeId, RetryAfter>> {
        let mut tx = self.begin().await?;
        if let Err(wait) = charge(&mut tx, charges, now).await? {
            return Ok(Err(wait));
        }
        let (id, _) = take_up(&mut tx, new, now).await?;
        enqueue(
            &mut tx,
            new.kind.channel(),
            "otp",
            id.as_str(),
            new.account.as_ref().map(AccountId::as_str),
            now,
        )
        .await?;
        tx.commit().await?;
        Ok(Ok(id))
    }

    async fn otp_count_try(
        &self,
        id: &ChallengeId,
        binding: &OtpBinding,
        now: u64,
    ) -> Stored<Option<OtpChallenge>> {
        query(
            "UPDATE otp_challenge SET tries = tries + 1
             WHERE id = ?1 AND purpose = ?2 AND jkt = ?3 AND account IS ?4
             AND used_at IS NULL AND tries < ?5 AND expires_at > ?6 RETURNING *",
        )
        .bind(id.as_str())
        .bind(binding.purpose.as_str())
        .bind(binding.terminal.to_string())
        .bind(binding.account.as_ref().map(AccountId::as_str))
        .bind(int(OTP_TRIES))
        .bind(int(now))
        .fetch_optional(&self.writer)
        .await?
        .as_ref()
        .map(challenge)
        .transpose()
    }

    async fn otp_challenge(&self, id: &ChallengeId, now: u64) -> Stored<Option<OtpChallenge>> {
        query("SELECT * FROM otp_challenge WHERE id = ?1 AND used_at IS NULL AND expires_at > ?2")
            .bind(id.as_str())
            .bind(int(now))
            .fetch_optional(&self.reader)
            .await?
            .as_ref()
            .map(challenge)
            .transpose()
    }

    async fn step_up_open(&self, used: &ChallengeId, window: &StepUp, now: u64) -> Stored<bool> {
        let mut tx = self.begin().await?;
        if !consume(&mut tx, used, now).await? {
            return Ok(false);
        }
        query(
            "INSERT OR REPLACE INTO step_up (session, serial, opened_at, idle_expires, max_expires, idle)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )
        .bind(window.session.as_str())
        .bind(window.serial.as_str())
        .bind(int(now))
        .bind(int(window.idle_expires))
        .bind(int(window.max_expires))
        .bind(int(window.idle))
        .execute(&mut *tx)
        .await?;
        let owner = query("SELECT account FROM session WHERE id = ?1")
            .bind(window.session.as_str())
            .fetch_one(&mut *tx)
            .await?
            .text("account")?;
        log(&mut tx, &owner, "view.confirmed", window.serial.as_str(), now).await?;
        tx.commit().await?;
        Ok(true)
    }
}

/// Uses a challenge up; `false` when it was used before or is too old.
pub(super) async fn consume(
    connection: &mut SqliteConnection,
    id: &ChallengeId,
    now: u64,
) -> Stored<bool> {
    let done = query(
        "UPDATE otp_challenge SET used_at = ?2
         WHERE id = ?1 AND used_at IS NULL AND expires_at > ?2",
    )
    .bind(id.as_str())
    .bind(int(now))
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn charge(
    connection: &mut SqliteConnection,
    charges: &[Charge],
    now: u64,
) -> Stored<Result<(), RetryAfter>> {
    let mut wait = 0;
    for charge in charges {
        for window in &charge.windows {
            // The event that must leave the window before there is room for another.
            let blocking = query(
                "SELECT at FROM otp_ledger WHERE dimension = ?1 AND key = ?2 AND at > ?3
                 ORDER BY at DESC LIMIT 1 OFFSET ?4",
            )
            .bind(charge.dimension)
            .bind(&charge.key)
            .bind(int(now) - int(window.seconds))
            .bind(int(window.most.saturating_sub(1)))
            .fetch_optional(&mut *connection)
            .await?;
            if let Some(row) = blocking {
                wait = wait.max((row.num("at")? + window.seconds).saturating_sub(now).max(1));
            }
        }
    }
    if wait > 0 {
        return Ok(Err(RetryAfter(wait)));
    }
    for charge in charges {
        query("INSERT INTO otp_ledger (dimension, key, at) VALUES (?1, ?2, ?3)")
            .bind(charge.dimension)
            .bind(&charge.key)
            .bind(int(now))
            .execute(&mut *connection)
            .await?;
    }
    Ok(Ok(()))
}

/// The live challenge of the same binding, or this one; whether it is new.
pub(super) async fn take_up(
    connection: &mut SqliteConnection,
    new: &OtpChallenge,
    now: u64,
) -> Stored<(ChallengeId, bool)> {
    let live = query(
        "SELECT id FROM otp_challenge WHERE target = ?1 AND purpose = ?2 AND jkt = ?3
         AND serial = ?4 AND used_at IS NULL AND tries < ?5 AND expires_at > ?6
         AND account IS ?7 ORDER BY expires_at DESC LIMIT 1",
    )
    .bind(&new.target)
    .bind(new.purpose.as_str())
    .bind(new.terminal.to_string())
    .bind(&new.serial)
    .bind(int(OTP_TRIES))
    .bind(int(now))
    .bind(new.account.as_ref().map(AccountId::as_str))
    .fetch_optional(&mut *connection)
    .await?;
    Ok(match live {
        Some(row) => (ChallengeId(row.text("id")?), false),
        None => (insert(connection, new, now).await?, true),
    })
}

pub(super) async fn insert(
    connection: &mut SqliteConnection,
    new: &OtpChallenge,
    now: u64,
) -> Stored<ChallengeId> {
    query(
        "INSERT INTO otp_challenge
         (id, purpose, target, target_enc, account, jkt, serial, created_at, expires_at, kind)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )
    .bind(new.id.as_str())
    .bind(new.purpose.as_str())
    .bind(&new.target)
    .bind(&new.target_enc)
    .bind(new.account.as_ref().map(AccountId::as_str))
    .bind(new.terminal.to_string())
    .bind(&new.serial)
    .bind(int(now))
    .bind(int(new.expires_at))
    .bind(new.kind.as_str())
    .execute(connection)
    .await?;
    Ok(new.id.clone())
}

fn challenge(row: &SqliteRow) -> Stored<OtpChallenge> {
    let purpose = OtpPurpose::parse(&row.text("purpose")?);
    let kind = IdentifierKind::parse(&row.text("kind")?);
    Ok(OtpChallenge {
        id: ChallengeId(row.text("id")?),
        purpose: purpose.ok_or(StoreError::Inconsistent("a code's purpose"))?,
        kind: kind.ok_or(StoreError::Inconsistent("the kind of a code's target"))?,
        target: row.blob("target")?,
        target_enc: row.blob("target_enc")?,
        account: row.opt_text("account")?.map(AccountId),
        terminal: row.thumbprint("jkt")?,
        serial: row.text("serial")?,
        expires_at: row.num("expires_at")?,
    })
}
