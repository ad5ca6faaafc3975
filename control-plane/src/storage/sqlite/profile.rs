//! Profile and picture.

use async_trait::async_trait;
use sqlx::{SqliteConnection, query, query_scalar};

use super::SqliteStore;
use super::row::{Columns, int, log};
use crate::consent::{PROFILE, TERMINAL_SECURITY};
use crate::ids::AccountId;
use crate::storage::Stored;
use crate::storage::account::ProfileStore;
use crate::storage::model::{ProfileEdit, ProfileRow};

/// What goes when the consent to a purpose is withdrawn: what was kept for it.
const FORGET: &[(&str, &[&str])] = &[
    (
        PROFILE.id,
        &["DELETE FROM profile WHERE account = ?1", "DELETE FROM avatar WHERE account = ?1"],
    ),
    (
        TERMINAL_SECURITY.id,
        &["UPDATE terminal_detail SET facts_enc = NULL, facts_expire = NULL
           WHERE terminal IN (SELECT id FROM terminal WHERE account = ?1)"],
    ),
];

/// Deletes what was kept for a purpose.
pub(super) async fn forget(
    connection: &mut SqliteConnection,
    purpose: &str,
    account: &str,
) -> Stored<()> {
    let statements = FORGET.iter().filter(|(id, _)| *id == purpose).flat_map(|(_, all)| *all);
    for statement in statements {
        query(*statement).bind(account).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Whether the account consents to a purpose. Asked within the transaction that stores something
/// under it, so that nothing is stored once the consent is withdrawn.
pub(super) async fn consents(
    connection: &mut SqliteConnection,
    account: &AccountId,
    purpose: &str,
) -> Stored<bool> {
    let row =
        query("SELECT 1 FROM consent_state WHERE account = ?1 AND purpose = ?2 AND granted = 1")
            .bind(account.as_str())
            .bind(purpose)
            .fetch_optional(connection)
            .await?;
    Ok(row.is_some())
}

#[async_trait]
impl ProfileStore for SqliteStore {
    async fn profile(&self, account: &AccountId) -> Stored<ProfileRow> {
        let row = query("SELECT * FROM profile WHERE account = ?1")
            .bind(account.as_str())
            .fetch_optional(&self.reader)
            .await?;
        let Some(row) = row else { return Ok(ProfileRow::default()) };
        Ok(ProfileRow {
            nickname_enc: row.opt_blob("nickname_enc")?,
            region_enc: row.opt_blob("region_enc")?,
            scenario_enc: row.opt_blob("scenario_enc")?,
        })
    }

    async fn profile_put(&self, account: &AccountId, edit: &ProfileEdit, now: u64) -> Stored<bool> {
        let mut tx = self.begin().await?;
        if !consents(&mut tx, account, PROFILE.id).await? {
            return Ok(false);
        }
        query(
            "INSERT INTO profile (account, nickname_enc, region_enc, scenario_enc, changed_at)
             VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (account) DO UPDATE SET
                 nickname_enc = CASE WHEN ?6 THEN excluded.nickname_enc ELSE nickname_enc END,
                 region_enc = CASE WHEN ?7 THEN excluded.region_enc ELSE region_enc END,
                 scenario_enc = CASE WHEN ?8 THEN excluded.scenario_enc ELSE scenario_enc END,
                 changed_at = excluded.changed_at",
        )
        .bind(account.as_str())
        .bind(edit.nickname_enc.clone().flatten())
        .bind(edit.region_enc.clone().flatten())
        .bind(edit.scenario_enc.clone().flatten())
        .bind(int(now))
        .bind(edit.nickname_enc.is_some())
        .bind(edit.region_enc.is_some())
        .bind(edit.scenario_enc.is_some())
        .execute(&mut *tx)
        .await?;
        log(&mut tx, account.as_str(), "profile.changed", "", now).await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn avatar(&self, account: &AccountId) -> Stored<Option<Vec<u8>>> {
        Ok(query_scalar("SELECT picture_enc FROM avatar WHERE account = ?1")
            .bind(account.as_str())
            .fetch_optional(&self.reader)
            .await?)
    }

    async fn avatar_put(&self, account: &AccountId, picture_enc: &[u8], now: u64) -> Stored<bool> {
        let mut tx = self.begin().await?;
        if !consents(&mut tx, account, PROFILE.id).await? {
            return Ok(false);
        }
        query(
            "INSERT INTO avatar (account, picture_enc, changed_at) VALUES (?1, ?2, ?3)
             ON CONFLICT (account) DO UPDATE SET
                 picture_enc = excluded.picture_enc, changed_at = excluded.changed_at",
        )
        .bind(account.as_str())
        .bind(picture_enc)
        .bind(int(now))
        .execute(&mut *tx)
        .await?;
        log(&mut tx, account.as_str(), "avatar.stored", "", now).await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn avatar_delete(&self, account: &AccountId, now: u64) -> Stored<bool> {
        let mut tx = self.begin().await?;
        let done = query("DELETE FROM avatar WHERE account = ?1")
            .bind(account.as_str())
            .execute(&mut *tx)
            .await?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        log(&mut tx, account.as_str(), "avatar.deleted", "", now).await?;
        tx.commit().await?;
        Ok(true)
    }
}
