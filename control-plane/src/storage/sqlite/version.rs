//! Versions of clients. The operator's, so no account's log has a line about them.

use async_trait::async_trait;
use sqlx::query;
use sqlx::sqlite::SqliteRow;

use super::SqliteStore;
use super::row::{Columns, int};
use crate::storage::Stored;
use crate::storage::account::AppVersionStore;
use crate::storage::model::AppVersionRow;

#[async_trait]
impl AppVersionStore for SqliteStore {
    async fn app_version(&self, client: &str) -> Stored<Option<AppVersionRow>> {
        let row = query("SELECT * FROM app_version WHERE client = ?1")
            .bind(client)
            .fetch_optional(&self.reader)
            .await?;
        row.as_ref().map(version).transpose()
    }

    async fn app_versions(&self) -> Stored<Vec<AppVersionRow>> {
        let rows = query("SELECT * FROM app_version ORDER BY client").fetch_all(&self.reader);
        rows.await?.iter().map(version).collect()
    }

    async fn app_version_put(&self, row: &AppVersionRow) -> Stored<()> {
        query(
            "INSERT INTO app_version (client, newest, minimum, notes_en, notes_zh, changed_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (client) DO UPDATE SET
                 newest = excluded.newest, minimum = excluded.minimum,
                 notes_en = excluded.notes_en, notes_zh = excluded.notes_zh,
                 changed_at = excluded.changed_at",
        )
        .bind(&row.client)
        .bind(&row.newest)
        .bind(&row.minimum)
        .bind(&row.notes_en)
        .bind(&row.notes_zh)
        .bind(int(row.changed_at))
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    async fn app_version_delete(&self, client: &str) -> Stored<bool> {
        let done = query("DELETE FROM app_version WHERE client = ?1")
            .bind(client)
            .execute(&self.writer)
            .await?;
        Ok(done.rows_affected() == 1)
    }
}

fn version(row: &SqliteRow) -> Stored<AppVersionRow> {
    Ok(AppVersionRow {
        client: row.text("client")?,
        newest: row.text("newest")?,
        minimum: row.text("minimum")?,
        notes_en: row.text("notes_en")?,
        notes_zh: row.text("notes_zh")?,
        changed_at: row.num("changed_at")?,
    })
}
