//! Reading columns, and the statements that several operations share.

use sightline_grant::Thumbprint;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection, query};

use crate::storage::model::DeviceEpochs;
use crate::storage::{StoreError, Stored};

/// Reads one column.
pub(super) trait Columns {
    fn text(&self, column: &str) -> Stored<String>;
    fn blob(&self, column: &str) -> Stored<Vec<u8>>;
    fn opt_text(&self, column: &str) -> Stored<Option<String>>;
    fn opt_blob(&self, column: &str) -> Stored<Option<Vec<u8>>>;
    fn num(&self, column: &str) -> Stored<u64>;
    fn opt_num(&self, column: &str) -> Stored<Option<u64>>;
    fn thumbprint(&self, column: &str) -> Stored<Thumbprint>;
}

impl Columns for SqliteRow {
    fn text(&self, column: &str) -> Stored<String> {
        Ok(self.try_get(column)?)
    }

    fn blob(&self, column: &str) -> Stored<Vec<u8>> {
        Ok(self.try_get(column)?)
    }

    fn opt_text(&self, column: &str) -> Stored<Option<String>> {
        Ok(self.try_get(column)?)
    }

    fn opt_blob(&self, column: &str) -> Stored<Option<Vec<u8>>> {
        Ok(self.try_get(column)?)
    }

    fn num(&self, column: &str) -> Stored<u64> {
        let value: i64 = self.try_get(column)?;
        u64::try_from(value).map_err(|_| StoreError::Inconsistent("a negative number"))
    }

    fn opt_num(&self, column: &str) -> Stored<Option<u64>> {
        let value: Option<i64> = self.try_get(column)?;
        value
            .map(|value| {
                u64::try_from(value).map_err(|_| StoreError::Inconsistent("a negative number"))
            })
            .transpose()
    }

    fn thumbprint(&self, column: &str) -> Stored<Thumbprint> {
        self.text(column)?.parse().map_err(|_| StoreError::Inconsistent("a key thumbprint"))
    }
}

/// SQLite's integers are signed; times and counters stay far below the edge.
pub(super) fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Appends to the operation log. Who acted stands in the scope of the act.
pub(super) async fn log(
    connection: &mut SqliteConnection,
    account: &str,
    action: &str,
    object: &str,
    now: u64,
) -> Stored<()> {
    super::oplog::append(connection, account, action, object, "done", now).await
}

/// Puts a message into the outbox.
pub(super) async fn enqueue(
    connection: &mut SqliteConnection,
    channel: &str,
    kind: &str,
    reference: &str,
    account: Option<&str>,
    now: u64,
) -> Stored<()> {
    query(
        "INSERT INTO outbox (channel, kind, reference, account, created_at, next_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?5)",
    )
    .bind(channel)
    .bind(kind)
    .bind(reference)
    .bind(account)
    .bind(int(now))
    .execute(connection)
    .await?;
    Ok(())
}

/// Present epochs of a serial; zeros when it never had any.
pub(super) async fn epochs(
    connection: &mut SqliteConnection,
    serial: &str,
) -> Stored<DeviceEpochs> {
    let row = query("SELECT binding_epoch, key_epoch FROM device_epoch WHERE serial = ?1")
        .bind(serial)
        .fetch_optional(connection)
        .await?;
    row.map_or(Ok(DeviceEpochs::default()), |row| {
        Ok(DeviceEpochs { binding: row.num("binding_epoch")?, key: row.num("key_epoch")? })
    })
}

/// Raises epochs. After a restore they go on above its time: see `crate::restore`.
pub(super) async fn raise(
    connection: &mut SqliteConnection,
    serial: &str,
    binding: u64,
    key: u64,
) -> Stored<DeviceEpochs> {
    let row = query(
        "WITH floor AS (SELECT coalesce(max(at), 0) AS at FROM restored)
         INSERT INTO device_epoch (serial, binding_epoch, key_epoch)
         SELECT ?1, iif(?2 > 0, max(?2, at), 0), iif(?3 > 0, max(?3, at), 0) FROM floor WHERE true
         ON CONFLICT (serial) DO UPDATE SET
             binding_epoch = iif(?2 > 0, max(binding_epoch + ?2,
                 (SELECT coalesce(max(at), 0) FROM restored)), binding_epoch),
             key_epoch = iif(?3 > 0, max(key_epoch + ?3,
                 (SELECT coalesce(max(at), 0) FROM restored)), key_epoch)
         RETURNING binding_epoch, key_epoch",
    )
    .bind(serial)
    .bind(int(binding))
    .bind(int(key))
    .fetch_one(connection)
    .await?;
    Ok(DeviceEpochs { binding: row.num("binding_epoch")?, key: row.num("key_epoch")? })
}
