//! The mailbox of sealed video.

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{SqliteConnection, query, query_scalar};

use super::SqliteStore;
use super::proof;
use super::row::{Columns, int, log};
use crate::ids::{AccountId, Serial};
use crate::limits::GENERATIONS_KEPT;
use crate::sealed::generation::{MAX_WRAPS, Wrap};
use crate::storage::model::{
    GenerationPage, GenerationPut, ListPut, NewGeneration, NewList, StoredGeneration, StoredList,
    WrapAdded,
};
use crate::storage::{MailboxStore, Stored};

/// Generations of the present binding above a number, each with the wrap of one recipient.
macro_rules! select_generations {
    ($rest:literal) => {
        concat!(
            "SELECT g.number, g.signed, w.sealed FROM generation g
             JOIN binding b ON b.serial = g.serial AND b.epoch = g.binding_epoch
                 AND b.unbound_at IS NULL
             LEFT JOIN generation_wrap w
                 ON w.serial = g.serial AND w.number = g.number AND w.recipient = ?5
             WHERE g.serial = ?1 AND g.binding_epoch = ?2 AND g.number > ?3 ",
            $rest
        )
    };
}

#[async_trait]
impl MailboxStore for SqliteStore {
    async fn viewer_list_put(
        &self,
        account: &AccountId,
        list: &NewList,
        now: u64,
    ) -> Stored<ListPut> {
        let mut tx = self.begin().await?;
        let serial = list.serial.as_str();
        let row = query(
            "SELECT l.version, l.signed FROM binding b
             JOIN device d ON d.serial = b.serial
             LEFT JOIN key_verifier v ON v.serial = b.serial AND v.binding_epoch = b.epoch
             LEFT JOIN viewer_list l ON l.serial = b.serial AND l.binding_epoch = b.epoch
             WHERE b.serial = ?1 AND b.unbound_at IS NULL AND b.account = ?2 AND b.epoch = ?3
             AND coalesce(d.publish_verifier, v.public) = ?4",
        )
        .bind(serial)
        .bind(account.as_str())
        .bind(int(list.binding_epoch))
        .bind(list.verifier.as_slice())
        .fetch_optional(&mut *tx)
        .await?;
        let Some(row) = row else { return Ok(ListPut::OtherBinding) };
        if row.opt_blob("signed")?.as_ref() == Some(&list.signed) {
            return Ok(ListPut::Same);
        }
        let held = row.opt_num("version")?.unwrap_or(0);
        if list.version <= held {
            return Ok(ListPut::NotNewer(held));
        }
        query(
            "INSERT OR REPLACE INTO viewer_list (serial, binding_epoch, version, signed, stored_at)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )
        .bind(serial)
        .bind(int(list.binding_epoch))
        .bind(int(list.version))
        .bind(&list.signed)
        .bind(int(now))
        .execute(&mut *tx)
        .await?;
        let ended = proof::end_unlisted(&mut tx, list).await?;
        log(&mut tx, account.as_str(), "device.viewers_stored", serial, now).await?;
        tx.commit().await?;
        Ok(ListPut::Stored(ended))
    }

    async fn viewer_list(&self, serial: &Serial, binding_epoch: u64) -> Stored<Option<StoredList>> {
        let row = query(
            "SELECT l.version, l.signed FROM viewer_list l
             JOIN binding b ON b.serial = l.serial AND b.epoch = l.binding_epoch
             WHERE l.serial = ?1 AND l.binding_epoch = ?2 AND b.unbound_at IS NULL",
        )
        .bind(serial.as_str())
        .bind(int(binding_epoch))
        .fetch_optional(&self.reader)
        .await?;
        let list = |row: SqliteRow| {
            Ok(StoredList { version: row.num("version")?, signed: row.blob("signed")? })
        };
        row.map(list).transpose()
    }

    async fn generation_put(&self, new: &NewGeneration, now: u64) -> Stored<GenerationPut> {
        let mut tx = self.begin().await?;
        let serial = new.serial.as_str();
        let bound =
            query("SELECT 1 FROM binding WHERE serial = ?1 AND unbound_at IS NULL AND epoch = ?2")
                .bind(serial)
                .bind(int(new.binding_epoch))
                .fetch_optional(&mut *tx)
                .await?;
        if bound.is_none() {
            return Ok(GenerationPut::OtherBinding);
        }
        if let Some(last) = last_number(&mut tx, serial).await?
            && new.number <= last
        {
            let stored = stored_upload(&mut tx, serial, new.number).await?;
            let same = stored.as_ref() == Some(&new.uploaded);
            return Ok(if same { GenerationPut::Same } else { GenerationPut::NotNewer(last) });
        }
        insert_generation(&mut tx, new, now).await?;
        query("UPDATE device SET identity_key = ?2 WHERE serial = ?1")
            .bind(serial)
            .bind(new.identity_key.as_slice())
            .execute(&mut *tx)
            .await?;
        // Wraps go with their generation.
        query(
            "DELETE FROM generation WHERE serial = ?1 AND number <=
                 (SELECT number FROM generation WHERE serial = ?1
                  ORDER BY number DESC LIMIT 1 OFFSET ?2)",
        )
        .bind(serial)
        .bind(int(GENERATIONS_KEPT))
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(GenerationPut::Stored)
    }

    async fn generations(&self, page: &GenerationPage) -> Stored<Vec<StoredGeneration>> {
        let sql = if page.after == 0 {
            select_generations!("ORDER BY g.number DESC LIMIT ?4")
        } else {
            select_generations!("ORDER BY g.number LIMIT ?4")
        };
        let rows = query(sql)
            .bind(page.serial.as_str())
            .bind(int(page.binding_epoch))
            .bind(int(page.after))
            .bind(int(page.limit))
            .bind(page.recipient.as_slice())
            .fetch_all(&self.reader)
            .await?;
        rows.iter()
            .map(|row| {
                let sealed = row.opt_blob("sealed")?;
                let wrap = sealed.map(|sealed| Wrap { recipient: page.recipient, sealed });
                Ok(StoredGeneration {
                    number: row.num("number")?,
                    signed: row.blob("signed")?,
                    wrap,
                })
            })
            .collect()
    }

    async fn wrap_add(
        &self,
        account: &AccountId,
        serial: &Serial,
        number: u64,
        wrap: &Wrap,
        now: u64,
    ) -> Stored<WrapAdded> {
        let mut tx = self.begin().await?;
        let row = query(
            "SELECT g.number, w.by_owner,
                 (SELECT count(*) FROM generation_wrap c
                  WHERE c.serial = g.serial AND c.number = g.number) AS wraps
             FROM binding b
             LEFT JOIN generation g
                 ON g.serial = b.serial AND g.binding_epoch = b.epoch AND g.number = ?3
             LEFT JOIN generation_wrap w
                 ON w.serial = g.serial AND w.number = g.number AND w.recipient = ?4
             WHERE b.serial = ?1 AND b.unbound_at IS NULL AND b.account = ?2",
        )
        .bind(serial.as_str())
        .bind(account.as_str())
        .bind(int(number))
        .bind(wrap.recipient.as_slice())
        .fetch_optional(&mut *tx)
        .await?;
        let Some(row) = row else { return Ok(WrapAdded::NotOwner) };
        if row.opt_num("number")?.is_none() {
            return Ok(WrapAdded::Unknown);
        }
        match row.opt_num("by_owner")? {
            Some(0) => return Ok(WrapAdded::ByCamera),
            None if row.num("wraps")? >= MAX_WRAPS as u64 => return Ok(WrapAdded::Full),
            _ => insert_wrap(&mut tx, serial.as_str(), number, wrap, true).await?,
        }
        log(&mut tx, account.as_str(), "device.wrap_added", serial.as_str(), now).await?;
        tx.commit().await?;
        Ok(WrapAdded::Added)
    }
}

/// Highest number that a serial ever had.
async fn last_number(connection: &mut SqliteConnection, serial: &str) -> Stored<Option<u64>> {
    let row = query("SELECT number FROM generation_last WHERE serial = ?1")
        .bind(serial)
        .fetch_optional(connection)
        .await?;
    row.map(|row| row.num("number")).transpose()
}

/// Hash of the upload that a stored generation came with.
async fn stored_upload(
    connection: &mut SqliteConnection,
    serial: &str,
    number: u64,
) -> Stored<Option<Vec<u8>>> {
    let uploaded =
        query_scalar("SELECT uploaded FROM generation WHERE serial = ?1 AND number = ?2")
            .bind(serial)
            .bind(int(number))
            .fetch_optional(connection)
            .await?;
    Ok(uploaded)
}

async fn insert_generation(
    connection: &mut SqliteConnection,
    new: &NewGeneration,
    now: u64,
) -> Stored<()> {
    let serial = new.serial.as_str();
    query(
        "INSERT INTO generation_last (serial, number) VALUES (?1, ?2)
         ON CONFLICT (serial) DO UPDATE SET number = ?2",
    )
    .bind(serial)
    .bind(int(new.number))
    .execute(&mut *connection)
    .await?;
    query(
        "INSERT INTO generation (serial, number, binding_epoch, signed, uploaded, stored_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )
    .bind(serial)
    .bind(int(new.number))
    .bind(int(new.binding_epoch))
    .bind(&new.signed)
    .bind(&new.uploaded)
    .bind(int(now))
    .execute(&mut *connection)
    .await?;
    for wrap in &new.wraps {
        insert_wrap(connection, serial, new.number, wrap, false).await?;
    }
    Ok(())
}

async fn insert_wrap(
    connection: &mut SqliteConnection,
    serial: &str,
    number: u64,
    wrap: &Wrap,
    by_owner: bool,
) -> Stored<()> {
    query(
        "INSERT OR REPLACE INTO generation_wrap (serial, number, recipient, sealed, by_owner)
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )
    .bind(serial)
    .bind(int(number))
    .bind(wrap.recipient.as_slice())
    .bind(&wrap.sealed)
    .bind(by_owner)
    .execute(connection)
    .await?;
    Ok(())
}
