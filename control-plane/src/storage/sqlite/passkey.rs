//! Passkeys.

use async_trait::async_trait;
use sqlx::query;
use sqlx::sqlite::SqliteRow;

use super::SqliteStore;
use super::account::account;
use super::credential::tell;
use super::oplog::append;
use super::row::{Columns, enqueue, int, log};
use crate::ids::{AccountId, PasskeyId};
use crate::storage::model::{
    NewNotice, NewPasskey, Passkey, PasskeyAdded, PasskeyChallenge, PasskeyHolder, PasskeyUse,
};
use crate::storage::{PasskeyStore, Stored};

#[async_trait]
impl PasskeyStore for SqliteStore {
    async fn passkey_challenge_open(&self, challenge: &PasskeyChallenge) -> Stored<()> {
        query(
            "INSERT INTO passkey_challenge (hash, jkt, account, expires_at)
             VALUES (?1, ?2, ?3, ?4)",
        )
        .bind(&challenge.hash)
        .bind(challenge.jkt.to_string())
        .bind(challenge.account.as_ref().map(AccountId::as_str))
        .bind(int(challenge.expires_at))
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    async fn passkey_challenge_take(&self, asked: &PasskeyChallenge, now: u64) -> Stored<bool> {
        let taken = query(
            "DELETE FROM passkey_challenge
             WHERE hash = ?1 AND jkt = ?2 AND account IS ?3 AND expires_at > ?4",
        )
        .bind(&asked.hash)
        .bind(asked.jkt.to_string())
        .bind(asked.account.as_ref().map(AccountId::as_str))
        .bind(int(now))
        .execute(&self.writer)
        .await?;
        Ok(taken.rows_affected() == 1)
    }

    async fn passkey_add(&self, new: &NewPasskey, most: u64, now: u64) -> Stored<PasskeyAdded> {
        let account = new.account.as_str();
        let mut tx = self.begin().await?;
        let kept = query(
            "SELECT count(*) AS kept, EXISTS (SELECT 1 FROM passkey WHERE lookup = ?2) AS known
             FROM passkey WHERE account = ?1",
        )
        .bind(account)
        .bind(&new.lookup)
        .fetch_one(&mut *tx)
        .await?;
        if kept.num("known")? == 1 {
            return Ok(PasskeyAdded::Known);
        }
        if kept.num("kept")? >= most {
            return Ok(PasskeyAdded::Full);
        }
        query(
            "INSERT INTO passkey
             (id, account, lookup, credential_enc, name_enc, public_key, counter, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )
        .bind(new.id.as_str())
        .bind(account)
        .bind(&new.lookup)
        .bind(&new.credential_enc)
        .bind(&new.name_enc)
        .bind(&new.public_key)
        .bind(i64::from(new.counter))
        .bind(int(now))
        .execute(&mut *tx)
        .await?;
        log(&mut tx, account, "passkey.added", new.id.as_str(), now).await?;
        enqueue(&mut tx, "in_app", "passkey_added", new.id.as_str(), Some(account), now).await?;
        tell(&mut tx, account, &new.notices, now).await?;
        tx.commit().await?;
        Ok(PasskeyAdded::Done)
    }

    async fn passkeys(&self, account: &AccountId) -> Stored<Vec<Passkey>> {
        query("SELECT * FROM passkey WHERE account = ?1 ORDER BY created_at, id")
            .bind(account.as_str())
            .fetch_all(&self.reader)
            .await?
            .iter()
            .map(passkey)
            .collect()
    }

    async fn passkey_by_credential(&self, lookup: &[u8]) -> Stored<Option<PasskeyHolder>> {
        let row = query("SELECT * FROM passkey WHERE lookup = ?1")
            .bind(lookup)
            .fetch_optional(&self.reader)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let holder = query(
            "SELECT a.*, k.wrapped FROM account a
             JOIN subject_key k ON k.account = a.id
             WHERE a.id = ?1 AND a.status = 'active'",
        )
        .bind(row.text("account")?)
        .fetch_optional(&self.reader)
        .await?;
        holder
            .map(|held| Ok(PasskeyHolder { passkey: passkey(&row)?, account: account(&held)? }))
            .transpose()
    }

    async fn passkey_used(&self, id: &PasskeyId, counter: u32, now: u64) -> Stored<PasskeyUse> {
        let mut tx = self.begin().await?;
        let row = query("SELECT account, counter FROM passkey WHERE id = ?1")
            .bind(id.as_str())
            .fetch_optional(&mut *tx)
            .await?;
        let Some(row) = row else { return Ok(PasskeyUse::Unknown) };
        let (account, known) = (row.text("account")?, row.num("counter")?);
        let counter = u64::from(counter);
        // Authenticators that do not count say zero, always.
        if counter <= known && (counter, known) != (0, 0) {
            append(&mut tx, &account, "passkey.used", "", "refused", now).await?;
            enqueue(&mut tx, "in_app", "passkey_copied", id.as_str(), Some(&account), now).await?;
            tx.commit().await?;
            return Ok(PasskeyUse::Copied);
        }
        query("UPDATE passkey SET counter = ?2, used_at = ?3 WHERE id = ?1")
            .bind(id.as_str())
            .bind(int(counter))
            .bind(int(now))
            .execute(&mut *tx)
            .await?;
        log(&mut tx, &account, "passkey.used", "", now).await?;
        tx.commit().await?;
        Ok(PasskeyUse::Fresh)
    }

    async fn passkey_rename(
        &self,
        account: &AccountId,
        id: &PasskeyId,
        name_enc: &[u8],
        now: u64,
    ) -> Stored<bool> {
        let mut tx = self.begin().await?;
        let renamed = query("UPDATE passkey SET name_enc = ?3 WHERE account = ?1 AND id = ?2")
            .bind(account.as_str())
            .bind(id.as_str())
            .bind(name_enc)
            .execute(&mut *tx)
            .await?;
        if renamed.rows_affected() == 0 {
            return Ok(false);
        }
        log(&mut tx, account.as_str(), "passkey.renamed", id.as_str(), now).await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn passkey_remove(
        &self,
        account: &AccountId,
        id: &PasskeyId,
        notices: &[NewNotice],
        now: u64,
    ) -> Stored<bool> {
        let mut tx = self.begin().await?;
        let removed = query("DELETE FROM passkey WHERE account = ?1 AND id = ?2")
            .bind(account.as_str())
            .bind(id.as_str())
            .execute(&mut *tx)
            .await?;
        if removed.rows_affected() == 0 {
            return Ok(false);
        }
        let owner = Some(account.as_str());
        log(&mut tx, account.as_str(), "passkey.removed", id.as_str(), now).await?;
        enqueue(&mut tx, "in_app", "passkey_removed", id.as_str(), owner, now).await?;
        tell(&mut tx, account.as_str(), notices, now).await?;
        tx.commit().await?;
        Ok(true)
    }
}

fn passkey(row: &SqliteRow) -> Stored<Passkey> {
    Ok(Passkey {
        id: PasskeyId(row.text("id")?),
        credential_enc: row.blob("credential_enc")?,
        name_enc: row.blob("name_enc")?,
        public_key: row.blob("public_key")?,
        created_at: row.num("created_at")?,
        used_at: row.opt_num("used_at")?,
    })
}
