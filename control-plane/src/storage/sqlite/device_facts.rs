//! Facts about devices, and provisionings.

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{SqliteConnection, query, query_scalar};

use super::SqliteStore;
use super::row::{Columns, int, log};
use crate::consent::{
    DEVICE_BIND, DEVICE_HARDWARE, DEVICE_LOCATION, DEVICE_PROVISION, DEVICE_PROVISION_BLE,
};
use crate::ids::{AccountId, ProvisioningId, Serial};
use crate::storage::model::{Fact, FactKind, NewFact, NewProvisioning};
use crate::storage::{DeviceFactStore, StoreError, Stored};

/// What was stored under a purpose and goes with the consent to it.
const UNDER_PURPOSE: &[(&str, &str)] = &[
    (DEVICE_BIND.id, "DELETE FROM device_fact WHERE account = ?1 AND kind = 'bind-client'"),
    (DEVICE_LOCATION.id, "DELETE FROM device_fact WHERE account = ?1 AND kind = 'place'"),
    (DEVICE_HARDWARE.id, "DELETE FROM device_fact WHERE account = ?1 AND kind = 'hardware'"),
    (DEVICE_PROVISION.id, "DELETE FROM provisioning WHERE account = ?1"),
    // The address stands within the encrypted facts, so these go as a whole.
    (DEVICE_PROVISION_BLE.id, "DELETE FROM provisioning WHERE account = ?1"),
];

/// Forgets what stands on a consent that is withdrawn.
pub(super) async fn forget_purpose(
    connection: &mut SqliteConnection,
    account: &AccountId,
    purpose: &str,
) -> Stored<()> {
    for (_, statement) in UNDER_PURPOSE.iter().filter(|(id, _)| *id == purpose) {
        query(*statement).bind(account.as_str()).execute(&mut *connection).await?;
    }
    Ok(())
}

#[async_trait]
impl DeviceFactStore for SqliteStore {
    async fn fact_put(&self, new: &NewFact, now: u64) -> Stored<bool> {
        let mut tx = self.begin().await?;
        let done = query(
            "INSERT INTO device_fact
                 (serial, kind, account, binding_epoch, value_enc, at, expires_at)
             SELECT serial, ?2, account, epoch, ?5, ?6, ?7 FROM binding
             WHERE serial = ?1 AND account = ?3 AND epoch = ?4 AND unbound_at IS NULL
             ON CONFLICT (serial, kind) DO UPDATE SET account = excluded.account,
                 binding_epoch = excluded.binding_epoch, value_enc = excluded.value_enc,
                 at = excluded.at, expires_at = excluded.expires_at",
        )
        .bind(new.serial.as_str())
        .bind(new.kind.text())
        .bind(new.account.as_str())
        .bind(int(new.binding_epoch))
        .bind(&new.value_enc)
        .bind(int(now))
        .bind(new.expires_at.map(int))
        .execute(&mut *tx)
        .await?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        let (account, serial) = (new.account.as_str(), new.serial.as_str());
        log(&mut tx, account, new.kind.action(), serial, now).await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn facts(
        &self,
        account: &AccountId,
        serial: Option<&Serial>,
        now: u64,
    ) -> Stored<Vec<Fact>> {
        let rows = query(
            "SELECT f.serial, f.kind, f.value_enc, f.at FROM device_fact f
             JOIN binding b ON b.serial = f.serial AND b.account = f.account
                 AND b.epoch = f.binding_epoch AND b.unbound_at IS NULL
             WHERE f.account = ?1 AND (?2 IS NULL OR f.serial = ?2)
             AND (f.expires_at IS NULL OR f.expires_at > ?3)
             ORDER BY f.serial, f.kind",
        )
        .bind(account.as_str())
        .bind(serial.map(Serial::as_str))
        .bind(int(now))
        .fetch_all(&self.reader)
        .await?;
        rows.iter().map(fact).collect()
    }

    async fn fact_end(
        &self,
        account: &AccountId,
        serial: &Serial,
        kind: FactKind,
        now: u64,
    ) -> Stored<bool> {
        let mut tx = self.begin().await?;
        let done =
            query("DELETE FROM device_fact WHERE serial = ?1 AND kind = ?2 AND account = ?3")
                .bind(serial.as_str())
                .bind(kind.text())
                .bind(account.as_str())
                .execute(&mut *tx)
                .await?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        log(&mut tx, account.as_str(), "device.fact_deleted", serial.as_str(), now).await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn inventory_wanted(
        &self,
        serial: &Serial,
        purpose: &'static str,
        version: u32,
    ) -> Stored<bool> {
        let wanted: i64 = query_scalar(
            "SELECT count(*) FROM binding b
             JOIN consent_state c ON c.account = b.account AND c.purpose = ?2 AND c.granted = 1
             LEFT JOIN product_policy o ON o.product = c.product AND o.purpose = c.purpose
                 AND o.removed_at IS NULL
             WHERE c.policy = coalesce(o.id, '') AND c.version = coalesce(o.version, ?3)
             AND b.serial = ?1 AND b.unbound_at IS NULL AND NOT EXISTS
                 (SELECT 1 FROM device_fact f WHERE f.serial = b.serial
                  AND f.kind = 'hardware' AND f.binding_epoch = b.epoch)",
        )
        .bind(serial.as_str())
        .bind(purpose)
        .bind(i64::from(version))
        .fetch_one(&self.reader)
        .await?;
        Ok(wanted > 0)
    }

    async fn provisioning_put(&self, new: &NewProvisioning, kept: u64, now: u64) -> Stored<bool> {
        let mut tx = self.begin().await?;
        let (account, serial) = (new.account.as_str(), new.serial.as_str());
        if new.sealed.is_some() {
            let owned = query(
                "SELECT 1 FROM binding WHERE serial = ?1 AND account = ?2 AND unbound_at IS NULL",
            )
            .bind(serial)
            .bind(account)
            .fetch_optional(&mut *tx)
            .await?;
            if owned.is_none() {
                return Ok(false);
            }
        }
        query(
            "INSERT INTO provisioning
                 (id, account, serial, facts_enc, sealed, sealed_until, expires_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )
        .bind(new.id.as_str())
        .bind(account)
        .bind(serial)
        .bind(&new.facts_enc)
        .bind(new.sealed.as_deref())
        .bind(int(new.sealed_until))
        .bind(int(new.expires_at))
        .execute(&mut *tx)
        .await?;
        query(
            "DELETE FROM provisioning WHERE account = ?1 AND id NOT IN
                 (SELECT id FROM provisioning WHERE account = ?1
                  ORDER BY expires_at DESC, id LIMIT ?2)",
        )
        .bind(account)
        .bind(int(kept))
        .execute(&mut *tx)
        .await?;
        log(&mut tx, account, "device.provisioned", serial, now).await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn provisionings(&self, account: &AccountId, now: u64) -> Stored<Vec<NewProvisioning>> {
        let rows = query(
            "SELECT id, account, serial, facts_enc, sealed, sealed_until, expires_at
             FROM provisioning WHERE account = ?1 AND expires_at > ?2
             ORDER BY expires_at DESC, id",
        )
        .bind(account.as_str())
        .bind(int(now))
        .fetch_all(&self.reader)
        .await?;
        rows.iter().map(provisioning).collect()
    }

    async fn sealed_take(&self, serial: &Serial, now: u64) -> Stored<Option<Vec<u8>>> {
        let mut tx = self.begin().await?;
        let row = query(
            "SELECT p.id, p.sealed FROM provisioning p
             JOIN binding b ON b.serial = p.serial AND b.account = p.account
                 AND b.unbound_at IS NULL
             WHERE p.serial = ?1 AND p.sealed IS NOT NULL AND p.sealed_until > ?2
             ORDER BY p.sealed_until DESC, p.id LIMIT 1",
        )
        .bind(serial.as_str())
        .bind(int(now))
        .fetch_optional(&mut *tx)
        .await?;
        let Some(row) = row else { return Ok(None) };
        // Older ones are out of date with it.
        query("UPDATE provisioning SET sealed = NULL WHERE serial = ?1")
            .bind(serial.as_str())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        row.opt_blob("sealed")
    }

    async fn sealed_waits(&self, serial: &Serial, now: u64) -> Stored<bool> {
        let waiting: i64 = query_scalar(
            "SELECT count(*) FROM provisioning p
             JOIN binding b ON b.serial = p.serial AND b.account = p.account
                 AND b.unbound_at IS NULL
             WHERE p.serial = ?1 AND p.sealed IS NOT NULL AND p.sealed_until > ?2",
        )
        .bind(serial.as_str())
        .bind(int(now))
        .fetch_one(&self.reader)
        .await?;
        Ok(waiting > 0)
    }
}

fn fact(row: &SqliteRow) -> Stored<Fact> {
    let kind = FactKind::parse(&row.text("kind")?);
    Ok(Fact {
        serial: Serial(row.text("serial")?),
        kind: kind.ok_or(StoreError::Inconsistent("the kind of a fact"))?,
        value_enc: row.blob("value_enc")?,
        at: row.num("at")?,
    })
}

fn provisioning(row: &SqliteRow) -> Stored<NewProvisioning> {
    Ok(NewProvisioning {
        id: ProvisioningId(row.text("id")?),
        account: AccountId(row.text("account")?),
        serial: Serial(row.text("serial")?),
        facts_enc: row.blob("facts_enc")?,
        sealed: row.opt_blob("sealed")?,
        sealed_until: row.num("sealed_until")?,
        expires_at: row.num("expires_at")?,
    })
}
