//! What becomes of each table's rows about a device when its binding ends. A table with a column
//! `serial` that is missing here fails a test.

use sqlx::{AssertSqlSafe, SqliteConnection, query};

use crate::ids::Serial;
use crate::storage::Stored;

/// What becomes of the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// They are the owner's, and go with the binding.
    Erased,
    /// They stay, for this reason.
    Kept(&'static str),
}

use Fate::{Erased, Kept};

/// Every table that has rows about one device.
pub(super) const PER_DEVICE: &[(&str, Fate)] = &[
    ("binding", Kept("who owned a device when, by account id; epochs hang off it")),
    ("bind_token", Erased),
    ("device", Kept("the operator's inventory; has nothing of an owner")),
    ("device_code", Erased),
    ("device_epoch", Kept("counters that must never go back, so that old rights stay dead")),
    ("device_fact", Erased),
    ("enc_mode_event", Kept("append-only history under pseudonyms; shown per binding only")),
    ("generation_last", Kept("a number of a generation is never taken twice")),
    ("generation", Erased),
    ("generation_wrap", Erased),
    ("key_challenge", Erased),
    ("key_lock", Erased),
    ("key_proof", Erased),
    ("key_verifier", Erased),
    ("media_audit", Kept("the viewer's own record, under the viewer's key; the context expires")),
    ("otp_challenge", Erased),
    ("provisioning", Erased),
    ("sealing_order", Erased),
    ("share", Erased),
    ("share_attestation", Kept("append-only record of who said what, under pseudonyms")),
    ("step_up", Erased),
    ("viewer_list", Erased),
];

/// Deletes what goes with a binding.
pub(super) async fn erase(connection: &mut SqliteConnection, serial: &Serial) -> Stored<()> {
    for (table, fate) in PER_DEVICE {
        if *fate == Erased {
            // The name is a constant of this file.
            let statement = AssertSqlSafe(format!("DELETE FROM {table} WHERE serial = ?1"));
            query(statement).bind(serial.as_str()).execute(&mut *connection).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use sqlx::{Row, query_scalar, raw_sql};

    use super::super::SqliteStore;
    use super::*;

    /// Every table with a column `serial`, and a row about `D` for each.
    async fn tables(store: &SqliteStore) -> Vec<(String, String)> {
        let rows = query(
            "SELECT m.name FROM sqlite_master m WHERE m.type = 'table'
             AND EXISTS (SELECT 1 FROM pragma_table_info(m.name) WHERE name = 'serial')",
        )
        .fetch_all(&store.reader)
        .await
        .unwrap();
        let mut found = Vec::new();
        for row in rows {
            let table: String = row.get(0);
            let columns = query("SELECT name, type FROM pragma_table_info(?1)")
                .bind(&table)
                .fetch_all(&store.reader)
                .await
                .unwrap();
            let values: Vec<&str> = columns
                .iter()
                .map(|column| match (column.get("name"), column.get::<&str, _>("type")) {
                    ("serial", _) => "'D'",
                    (_, "INTEGER") => "1",
                    (_, "BLOB") => "x'01'",
                    _ => "'t'",
                })
                .collect();
            let insert = format!("INSERT INTO {table} VALUES ({})", values.join(", "));
            found.push((table, insert));
        }
        found
    }

    #[tokio::test]
    async fn every_table_about_devices_is_erased_with_the_binding_or_kept_for_a_reason() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("a.db")).await.unwrap();
        let tables = tables(&store).await;
        let mut names: Vec<&str> = tables.iter().map(|(name, _)| name.as_str()).collect();
        let mut declared: Vec<&str> = PER_DEVICE.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        declared.sort_unstable();
        assert_eq!(names, declared, "declare what becomes of a table's rows in PER_DEVICE");
        for (name, fate) in PER_DEVICE {
            assert!(!matches!(fate, Kept(reason) if reason.len() < 20), "{name} needs a reason");
        }

        let mut connection = store.writer.acquire().await.unwrap();
        raw_sql("PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON")
            .execute(&mut *connection)
            .await
            .unwrap();
        for (_, insert) in &tables {
            raw_sql(AssertSqlSafe(insert.clone())).execute(&mut *connection).await.unwrap();
        }
        erase(&mut connection, &Serial("D".into())).await.unwrap();
        for (name, fate) in PER_DEVICE {
            let count = AssertSqlSafe(format!("SELECT count(*) FROM {name} WHERE serial = 'D'"));
            let rows: i64 = query_scalar(count).fetch_one(&mut *connection).await.unwrap();
            assert_eq!(rows, i64::from(*fate != Erased), "{name}");
        }
        sightline_grant::requirement!("B4");
    }
}
