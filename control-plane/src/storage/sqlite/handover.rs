//! User tokens, expiring codes, transfers and resets.

use async_trait::async_trait;
use sqlx::{SqliteConnection, query, query_scalar};

use super::SqliteStore;
use super::device::{Ending, Word, claim, release_as};
use super::restore;
use super::row::{Columns, epochs, int, log};
use crate::ids::{AccountId, BindTokenId, Serial};
use crate::storage::model::{
    BindTokenState, Bound, CodeKind, CodeUse, CodeUsed, DeviceEpochs, NewBindToken, NewDeviceCode,
};
use crate::storage::{HandoverStore, Stored};

#[async_trait]
impl HandoverStore for SqliteStore {
    async fn bind_token_open(&self, new: &NewBindToken, most: u64, now: u64) -> Stored<bool> {
        let mut tx = self.begin().await?;
        query("DELETE FROM bind_token WHERE expires_at <= ?1")
            .bind(int(now))
            .execute(&mut *tx)
            .await?;
        let open: i64 =
            query_scalar("SELECT count(*) FROM bind_token WHERE account = ?1 AND used_at IS NULL")
                .bind(new.account.as_str())
                .fetch_one(&mut *tx)
                .await?;
        if open >= int(most) {
            return Ok(false);
        }
        query(
            "INSERT INTO bind_token (id, hash, account, serial, expires_at)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )
        .bind(new.id.as_str())
        .bind(&new.hash)
        .bind(new.account.as_str())
        .bind(new.serial.as_ref().map(Serial::as_str))
        .bind(int(new.expires_at))
        .execute(&mut *tx)
        .await?;
        log(&mut tx, new.account.as_str(), "bind_token.opened", new.id.as_str(), now).await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn bind_token(
        &self,
        account: &AccountId,
        id: &BindTokenId,
        now: u64,
    ) -> Stored<Option<BindTokenState>> {
        let row = query(
            "SELECT serial, expires_at, used_at FROM bind_token
             WHERE id = ?1 AND account = ?2 AND expires_at > ?3",
        )
        .bind(id.as_str())
        .bind(account.as_str())
        .bind(int(now))
        .fetch_optional(&self.reader)
        .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(BindTokenState {
            serial: row.opt_text("serial")?.map(Serial),
            expires_at: row.num("expires_at")?,
            used: row.opt_num("used_at")?.is_some(),
        }))
    }

    async fn bind_token_end(
        &self,
        account: &AccountId,
        id: &BindTokenId,
        now: u64,
    ) -> Stored<bool> {
        let mut tx = self.begin().await?;
        let done =
            query("DELETE FROM bind_token WHERE id = ?1 AND account = ?2 AND used_at IS NULL")
                .bind(id.as_str())
                .bind(account.as_str())
                .execute(&mut *tx)
                .await?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        log(&mut tx, account.as_str(), "bind_token.ended", id.as_str(), now).await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn bind_by_token(&self, hash: &[u8], serial: &Serial, now: u64) -> Stored<CodeUsed> {
        let mut tx = self.begin().await?;
        let found = query(
            "SELECT id, account FROM bind_token
             WHERE hash = ?1 AND expires_at > ?2 AND used_at IS NULL
             AND (serial IS NULL OR serial = ?3)",
        )
        .bind(hash)
        .bind(int(now))
        .bind(serial.as_str())
        .fetch_optional(&mut *tx)
        .await?;
        let Some(row) = found else { return Ok(CodeUsed::Unknown) };
        let account = AccountId(row.text("account")?);
        let bound = claim(&mut tx, serial, &account, Word::Vouched, now).await?;
        if bound == Bound::Taken {
            // Left for the device to present again once it was reset.
            return Ok(CodeUsed::Right(bound));
        }
        query("UPDATE bind_token SET used_at = ?2, serial = ?3 WHERE id = ?1")
            .bind(row.text("id")?)
            .bind(int(now))
            .bind(serial.as_str())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(CodeUsed::Right(bound))
    }

    async fn code_put(&self, new: &NewDeviceCode, now: u64) -> Stored<bool> {
        let mut tx = self.begin().await?;
        let exists = query("SELECT 1 FROM device WHERE serial = ?1")
            .bind(new.serial.as_str())
            .fetch_optional(&mut *tx)
            .await?;
        if exists.is_none() || owner(&mut tx, &new.serial).await? != new.account {
            return Ok(false);
        }
        let epochs = epochs(&mut tx, new.serial.as_str()).await?;
        query(
            "INSERT INTO device_code (serial, kind, hash, account, binding_epoch, expires_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (serial, kind) DO UPDATE SET hash = excluded.hash,
                 account = excluded.account, binding_epoch = excluded.binding_epoch,
                 expires_at = excluded.expires_at",
        )
        .bind(new.serial.as_str())
        .bind(new.kind.as_str())
        .bind(&new.hash)
        .bind(new.account.as_ref().map(AccountId::as_str))
        .bind(int(epochs.binding))
        .bind(int(new.expires_at))
        .execute(&mut *tx)
        .await?;
        if let Some(account) = &new.account {
            let (account, serial) = (account.as_str(), new.serial.as_str());
            log(&mut tx, account, "device.code_issued", serial, now).await?;
        }
        tx.commit().await?;
        Ok(true)
    }

    async fn code_expires(&self, serial: &Serial, kind: CodeKind, now: u64) -> Stored<Option<u64>> {
        let row = query(
            "SELECT c.expires_at FROM device_code c
             JOIN device_epoch e ON e.serial = c.serial AND e.binding_epoch = c.binding_epoch
             WHERE c.serial = ?1 AND c.kind = ?2 AND c.expires_at > ?3",
        )
        .bind(serial.as_str())
        .bind(kind.as_str())
        .bind(int(now))
        .fetch_optional(&self.reader)
        .await?;
        row.map(|row| row.num("expires_at")).transpose()
    }

    async fn code_end(&self, serial: &Serial, account: &AccountId, now: u64) -> Stored<bool> {
        let mut tx = self.begin().await?;
        let done = query(
            "DELETE FROM device_code WHERE serial = ?1 AND kind = 'transfer' AND account = ?2
             AND expires_at > ?3",
        )
        .bind(serial.as_str())
        .bind(account.as_str())
        .bind(int(now))
        .execute(&mut *tx)
        .await?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        log(&mut tx, account.as_str(), "device.code_ended", serial.as_str(), now).await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn code_holds(
        &self,
        serial: &Serial,
        kind: CodeKind,
        hash: &[u8],
        now: u64,
    ) -> Stored<bool> {
        let mut connection = self.reader.acquire().await?;
        Ok(issuer(&mut connection, serial, kind, hash, now).await?.is_some())
    }

    async fn bind_by_code(&self, using: &CodeUse, now: u64) -> Stored<CodeUsed> {
        let mut tx = self.begin().await?;
        let (serial, hash) = (&using.serial, &using.hash);
        if issuer(&mut tx, serial, CodeKind::Bind, hash, now).await?.is_none() {
            return Ok(CodeUsed::Unknown);
        }
        // Binding ends every code of the device.
        let bound = claim(&mut tx, serial, &using.account, Word::Vouched, now).await?;
        tx.commit().await?;
        Ok(CodeUsed::Right(bound))
    }

    async fn transfer(&self, using: &CodeUse, now: u64) -> Stored<CodeUsed> {
        let mut tx = self.begin().await?;
        let (serial, hash) = (&using.serial, &using.hash);
        let Some(issuer) = issuer(&mut tx, serial, CodeKind::Transfer, hash, now).await? else {
            return Ok(CodeUsed::Unknown);
        };
        let owner = owner(&mut tx, serial).await?;
        if owner.is_none() || owner != issuer {
            return Ok(CodeUsed::Unknown);
        }
        if owner.as_ref() == Some(&using.account) {
            return Ok(CodeUsed::Right(Bound::Already(epochs(&mut tx, serial.as_str()).await?)));
        }
        release_as(&mut tx, serial, Ending::Given, now).await?;
        let bound = claim(&mut tx, serial, &using.account, Word::Vouched, now).await?;
        tx.commit().await?;
        Ok(CodeUsed::Right(bound))
    }

    async fn device_reset(
        &self,
        serial: &Serial,
        binding_epoch: Option<u64>,
        by_device: bool,
        now: u64,
    ) -> Stored<Option<DeviceEpochs>> {
        let mut tx = self.begin().await?;
        let present = epochs(&mut tx, serial.as_str()).await?.binding;
        let bound = owner(&mut tx, serial).await?.is_some();
        // The operator's word stands in for that of a camera that gives none after a restore.
        let free = !bound && (by_device || !restore::is_suspended(&mut tx, serial).await?);
        if free || binding_epoch.is_some_and(|named| named != present) {
            return Ok(None);
        }
        let ending = if by_device { Ending::Reset } else { Ending::Unbound };
        let epochs = release_as(&mut tx, serial, ending, now).await?;
        tx.commit().await?;
        Ok(Some(epochs))
    }
}

/// The present owner.
async fn owner(connection: &mut SqliteConnection, serial: &Serial) -> Stored<Option<AccountId>> {
    let row = query("SELECT account FROM binding WHERE serial = ?1 AND unbound_at IS NULL")
        .bind(serial.as_str())
        .fetch_optional(connection)
        .await?;
    row.map(|row| row.text("account").map(AccountId)).transpose()
}

/// Who issued the open code with this hash, the operator being nobody; `None`: there is no such
/// code.
async fn issuer(
    connection: &mut SqliteConnection,
    serial: &Serial,
    kind: CodeKind,
    hash: &[u8],
    now: u64,
) -> Stored<Option<Option<AccountId>>> {
    let row = query(
        "SELECT c.account FROM device_code c
         JOIN device_epoch e ON e.serial = c.serial AND e.binding_epoch = c.binding_epoch
         WHERE c.serial = ?1 AND c.kind = ?2 AND c.hash = ?3 AND c.expires_at > ?4",
    )
    .bind(serial.as_str())
    .bind(kind.as_str())
    .bind(hash)
    .bind(int(now))
    .fetch_optional(connection)
    .await?;
    row.map(|row| Ok(row.opt_text("account")?.map(AccountId))).transpose()
}
