//! Device keys and their proofs.

use async_trait::async_trait;
use sqlx::{SqliteConnection, query};

use super::SqliteStore;
use super::proof;
use super::row::{Columns, enqueue, epochs, int, log, raise};
use super::sealing::forget_signed;
use crate::ids::{AccountId, ChallengeId, Serial, SessionId};
use crate::limits::{KEY_LOCK_MAX_MINUTES, KEY_TRIES, KEY_WINDOW_SECS};
use crate::storage::model::{EndedProof, KeyChallenge, KeyProof, ProofBy, RetryAfter, VerifierPut};
use crate::storage::{KeyStore, StoreError, Stored};

#[async_trait]
impl KeyStore for SqliteStore {
    async fn verifier_put(
        &self,
        serial: &Serial,
        binding_epoch: u64,
        public: &[u8; 32],
        now: u64,
    ) -> Stored<VerifierPut> {
        let mut tx = self.begin().await?;
        let row = query(
            "SELECT b.account, v.public, v.key_epoch FROM binding b
             LEFT JOIN key_verifier v ON v.serial = b.serial AND v.binding_epoch = b.epoch
             WHERE b.serial = ?1 AND b.unbound_at IS NULL AND b.epoch = ?2",
        )
        .bind(serial.as_str())
        .bind(int(binding_epoch))
        .fetch_optional(&mut *tx)
        .await?;
        let Some(row) = row else { return Ok(VerifierPut::OtherBinding) };
        let previous = row.opt_blob("public")?;
        if previous.as_deref() == Some(public.as_slice()) {
            return Ok(VerifierPut::Same(row.num("key_epoch")?));
        }
        let raised = raise(&mut tx, serial.as_str(), 0, 1).await?;
        query(
            "INSERT OR REPLACE INTO key_verifier
             (serial, binding_epoch, key_epoch, public, stored_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        )
        .bind(serial.as_str())
        .bind(int(binding_epoch))
        .bind(int(raised.key))
        .bind(public.as_slice())
        .bind(int(now))
        .execute(&mut *tx)
        .await?;
        forget_signed(&mut tx, serial.as_str(), now).await?;
        let account = row.text("account")?;
        let kind = if previous.is_some() { "key_rotated" } else { "key_ready" };
        log(&mut tx, &account, "device.key_stored", serial.as_str(), now).await?;
        enqueue(&mut tx, "in_app", kind, serial.as_str(), Some(&account), now).await?;
        tx.commit().await?;
        Ok(match previous {
            Some(_) => VerifierPut::Rotated(raised.key),
            None => VerifierPut::First(raised.key),
        })
    }

    async fn key_challenge_open(&self, challenge: &KeyChallenge) -> Stored<()> {
        query(
            "INSERT INTO key_challenge (id, session, serial, channel, jkt, nonce, expires_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )
        .bind(challenge.id.as_str())
        .bind(challenge.session.as_str())
        .bind(challenge.serial.as_str())
        .bind(i64::from(challenge.channel))
        .bind(challenge.jkt.to_string())
        .bind(&challenge.nonce)
        .bind(int(challenge.expires_at))
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    async fn key_challenge_take(
        &self,
        id: &ChallengeId,
        session: &SessionId,
        now: u64,
    ) -> Stored<Option<KeyChallenge>> {
        let row = query(
            "DELETE FROM key_challenge WHERE id = ?1 AND session = ?2 AND expires_at >= ?3
             RETURNING *",
        )
        .bind(id.as_str())
        .bind(session.as_str())
        .bind(int(now))
        .fetch_optional(&self.writer)
        .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(KeyChallenge {
            id: ChallengeId(row.text("id")?),
            session: SessionId(row.text("session")?),
            serial: Serial(row.text("serial")?),
            channel: u16::try_from(row.num("channel")?)
                .map_err(|_| StoreError::Inconsistent("a channel"))?,
            jkt: row.thumbprint("jkt")?,
            nonce: row.text("nonce")?,
            expires_at: row.num("expires_at")?,
        }))
    }

    async fn key_count_try(
        &self,
        serial: &Serial,
        account: &AccountId,
        now: u64,
    ) -> Stored<Result<(), RetryAfter>> {
        let mut tx = self.begin().await?;
        let row = query("SELECT * FROM key_lock WHERE serial = ?1 AND account = ?2")
            .bind(serial.as_str())
            .bind(account.as_str())
            .fetch_optional(&mut *tx)
            .await?;
        let (mut tries, mut start, mut rung, mut locked) = match &row {
            Some(row) => (
                row.num("tries")?,
                row.num("window_start")?,
                row.num("rung")?,
                row.num("locked_until")?,
            ),
            None => (0, now, 0, 0),
        };
        if locked > now {
            return Ok(Err(RetryAfter(locked - now)));
        }
        if now >= start + KEY_WINDOW_SECS {
            (tries, start) = (0, now);
        }
        let full = tries >= KEY_TRIES;
        if full {
            let minutes = (1u64 << rung.min(6)).min(KEY_LOCK_MAX_MINUTES);
            locked = now + minutes * 60;
            // After the lock there is one try for each rung until one succeeds.
            (tries, start, rung) = (KEY_TRIES - 1, locked, rung + 1);
            tell_of_lock(&mut tx, serial, account, now).await?;
        } else {
            tries += 1;
        }
        query(
            "INSERT OR REPLACE INTO key_lock
             (serial, account, tries, window_start, rung, locked_until)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )
        .bind(serial.as_str())
        .bind(account.as_str())
        .bind(int(tries))
        .bind(int(start))
        .bind(int(rung))
        .bind(int(locked))
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(if full { Err(RetryAfter(locked - now)) } else { Ok(()) })
    }

    async fn key_proof_store(
        &self,
        account: &AccountId,
        proof: &KeyProof,
        now: u64,
    ) -> Stored<bool> {
        let mut tx = self.begin().await?;
        let may = query(
            "SELECT 1 FROM binding b JOIN session s ON s.id = ?3 AND s.revoked_at IS NULL
             LEFT JOIN share g ON g.serial = b.serial AND g.guest = ?2 AND g.owner = b.account
                 AND g.binding_epoch = b.epoch
             WHERE b.serial = ?1 AND b.unbound_at IS NULL
             AND (b.account = ?2 OR (g.id IS NOT NULL AND ?4 = 1))",
        )
        .bind(proof.serial.as_str())
        .bind(account.as_str())
        .bind(proof.session.as_str())
        .bind(matches!(proof.by, ProofBy::Terminal { .. }))
        .fetch_optional(&mut *tx)
        .await?;
        if may.is_none() || epochs(&mut tx, proof.serial.as_str()).await? != proof.epochs {
            return Ok(false);
        }
        if !proof::store(&mut tx, proof).await? {
            return Ok(false);
        }
        query("DELETE FROM key_lock WHERE serial = ?1 AND account = ?2")
            .bind(proof.serial.as_str())
            .bind(account.as_str())
            .execute(&mut *tx)
            .await?;
        log(&mut tx, account.as_str(), "device.key_proven", proof.serial.as_str(), now).await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn key_proofs_end(&self, now: u64) -> Stored<Vec<EndedProof>> {
        proof::end_expired(self, now).await
    }
}

/// Tells whoever tried too many wrong keys, and the device's owner, if that is somebody else.
async fn tell_of_lock(
    connection: &mut SqliteConnection,
    serial: &Serial,
    tried: &AccountId,
    now: u64,
) -> Stored<()> {
    let (serial, tried) = (serial.as_str(), tried.as_str());
    log(connection, tried, "device.key_locked", serial, now).await?;
    enqueue(connection, "in_app", "key_locked", serial, Some(tried), now).await?;
    let owner = query(
        "SELECT account FROM binding WHERE serial = ?1 AND unbound_at IS NULL AND account <> ?2",
    )
    .bind(serial)
    .bind(tried)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = owner else { return Ok(()) };
    let owner = row.text("account")?;
    enqueue(connection, "in_app", "key_guessed", serial, Some(&owner), now).await
}
