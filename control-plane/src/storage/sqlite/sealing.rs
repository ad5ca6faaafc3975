//! Sealing orders and their history.

use async_trait::async_trait;
use sqlx::{SqliteConnection, query};

use super::SqliteStore;
use super::row::{Columns, enqueue, int, log};
use crate::device::EncMode;
use crate::ids::{AccountId, Serial};
use crate::storage::model::{EncModeEvent, NewOrder, OrderPut};
use crate::storage::{SealingStore, StoreError, Stored};

#[async_trait]
impl SealingStore for SqliteStore {
    async fn order_put(&self, account: &AccountId, order: &NewOrder, now: u64) -> Stored<OrderPut> {
        let mut tx = self.begin().await?;
        let serial = order.serial.as_str();
        let row = query(
            "SELECT o.sequence, o.sealed, o.signed FROM binding b
             JOIN key_verifier v ON v.serial = b.serial AND v.binding_epoch = b.epoch
             LEFT JOIN sealing_order o ON o.serial = b.serial AND o.binding_epoch = b.epoch
             WHERE b.serial = ?1 AND b.unbound_at IS NULL AND b.account = ?2 AND b.epoch = ?3
             AND v.public = ?4",
        )
        .bind(serial)
        .bind(account.as_str())
        .bind(int(order.binding_epoch))
        .bind(order.verifier.as_slice())
        .fetch_optional(&mut *tx)
        .await?;
        let Some(row) = row else { return Ok(OrderPut::OtherBinding) };
        if row.opt_blob("signed")?.as_ref() == Some(&order.signed) {
            return Ok(OrderPut::Same);
        }
        let held = row.opt_num("sequence")?.unwrap_or(0);
        if order.sequence <= held {
            return Ok(OrderPut::NotNewer(held));
        }
        insert_order(&mut tx, account, order, now).await?;
        let (action, kind) = if order.sealed {
            ("device.sealing_on", "sealing_on")
        } else {
            ("device.sealing_off", "sealing_off")
        };
        log(&mut tx, account.as_str(), action, serial, now).await?;
        // Without an order a device seals; one that orders what is so already tells nobody anything.
        let was_sealed = row.opt_num("sealed")?.is_none_or(|sealed| sealed == 1);
        if was_sealed != order.sealed {
            tell_viewers(&mut tx, kind, serial, now).await?;
        }
        tx.commit().await?;
        Ok(OrderPut::Stored)
    }

    async fn enc_history(
        &self,
        serial: &Serial,
        binding_epoch: u64,
        limit: u64,
    ) -> Stored<Vec<EncModeEvent>> {
        let rows = query(
            "SELECT mode, subject IS NOT NULL AS ordered, at FROM enc_mode_event WHERE serial = ?1 AND binding_epoch = ?2
             ORDER BY id DESC LIMIT ?3",
        )
        .bind(serial.as_str())
        .bind(int(binding_epoch))
        .bind(int(limit))
        .fetch_all(&self.reader)
        .await?;
        rows.iter()
            .map(|row| {
                let mode = match row.text("mode")?.as_str() {
                    "sealed" => EncMode::Sealed,
                    "open" => EncMode::Open,
                    _ => return Err(StoreError::Inconsistent("a mode")),
                };
                Ok(EncModeEvent { mode, ordered: row.num("ordered")? == 1, at: row.num("at")? })
            })
            .collect()
    }
}

async fn insert_order(
    connection: &mut SqliteConnection,
    account: &AccountId,
    order: &NewOrder,
    now: u64,
) -> Stored<()> {
    query(
        "INSERT OR REPLACE INTO sealing_order
         (serial, binding_epoch, sequence, sealed, signed, stored_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )
    .bind(order.serial.as_str())
    .bind(int(order.binding_epoch))
    .bind(int(order.sequence))
    .bind(order.sealed)
    .bind(&order.signed)
    .bind(int(now))
    .execute(&mut *connection)
    .await?;
    query(
        "INSERT INTO enc_mode_event (serial, binding_epoch, mode, subject, at)
         SELECT ?1, ?2, ?3, subject, ?4 FROM account WHERE id = ?5",
    )
    .bind(order.serial.as_str())
    .bind(int(order.binding_epoch))
    .bind(if order.sealed { "sealed" } else { "open" })
    .bind(int(now))
    .bind(account.as_str())
    .execute(connection)
    .await?;
    Ok(())
}

/// What an old key signed holds for nobody once there is another: the list is gone, and a device
/// that was switched open seals again.
pub(super) async fn forget_signed(
    connection: &mut SqliteConnection,
    serial: &str,
    now: u64,
) -> Stored<()> {
    query("DELETE FROM viewer_list WHERE serial = ?1")
        .bind(serial)
        .execute(&mut *connection)
        .await?;
    let ended = query(
        "INSERT INTO enc_mode_event (serial, binding_epoch, mode, subject, at)
         SELECT serial, binding_epoch, 'sealed', NULL, ?2 FROM sealing_order
         WHERE serial = ?1 AND sealed = 0",
    )
    .bind(serial)
    .bind(int(now))
    .execute(&mut *connection)
    .await?;
    if ended.rows_affected() > 0 {
        tell_viewers(connection, "sealing_on", serial, now).await?;
    }
    query("DELETE FROM sealing_order WHERE serial = ?1").bind(serial).execute(connection).await?;
    Ok(())
}

/// Tells whoever may watch a device: its owner and its guests.
async fn tell_viewers(
    connection: &mut SqliteConnection,
    kind: &str,
    serial: &str,
    now: u64,
) -> Stored<()> {
    let viewers = query(
        "SELECT account FROM binding WHERE serial = ?1 AND unbound_at IS NULL
         UNION ALL
         SELECT g.guest FROM share g
         JOIN binding b ON b.serial = g.serial AND b.epoch = g.binding_epoch
             AND b.unbound_at IS NULL
         WHERE g.serial = ?1 AND g.guest IS NOT NULL AND g.scopes & 1 = 1",
    )
    .bind(serial)
    .fetch_all(&mut *connection)
    .await?;
    for row in &viewers {
        let account = row.text("account")?;
        enqueue(connection, "in_app", kind, serial, Some(&account), now).await?;
    }
    Ok(())
}
