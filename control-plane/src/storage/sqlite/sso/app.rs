//! Apps, what people agreed to, and the keys that sign.

use sqlx::{SqliteConnection, query};

use super::ending::{end_of_account, end_where};
use super::rows;
use crate::ids::{AccountId, AppId, SessionId};
use crate::storage::Stored;
use crate::storage::model::{App, PersonsApp, SigningKey};
use crate::storage::sqlite::SqliteStore;
use crate::storage::sqlite::row::{Columns, int, log};

pub(super) async fn add(store: &SqliteStore, app: &App, most: u64) -> Stored<bool> {
    let uris = serde_json::to_string(&app.redirect_uris).expect("texts serialise");
    let done = query(
        "INSERT INTO sso_app (id, name, redirect_uris, first_party, confidential, secret_hash,
             policy_url, policy_version, backchannel_uri, created_at, suspended_at)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11
         WHERE (SELECT count(*) FROM sso_app) < ?12",
    )
    .bind(app.id.as_str())
    .bind(&app.name)
    .bind(uris)
    .bind(app.first_party)
    .bind(app.confidential)
    .bind(app.secret_hash.as_deref())
    .bind(&app.policy_url)
    .bind(i64::from(app.policy_version))
    .bind(app.backchannel_uri.as_deref())
    .bind(int(app.created_at))
    .bind(app.suspended_at.map(int))
    .bind(int(most))
    .execute(&store.writer)
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn remove(
    store: &SqliteStore,
    id: &AppId,
    now: u64,
) -> Stored<Option<Vec<SessionId>>> {
    let mut tx = store.begin().await?;
    let ended = end_where(&mut tx, (None, Some(id)), now).await?;
    let holders = query("DELETE FROM sso_consent WHERE app = ?1 RETURNING account")
        .bind(id.as_str())
        .fetch_all(&mut *tx)
        .await?;
    for row in holders {
        log(&mut tx, &row.text("account")?, "app.removed", id.as_str(), now).await?;
    }
    let done =
        query("DELETE FROM sso_app WHERE id = ?1").bind(id.as_str()).execute(&mut *tx).await?;
    if done.rows_affected() == 0 {
        return Ok(None);
    }
    tx.commit().await?;
    Ok(Some(ended))
}

pub(super) async fn of(
    store: &SqliteStore,
    account: &AccountId,
    now: u64,
) -> Stored<Vec<PersonsApp>> {
    let rows = query(
        "SELECT p.*, c.policy_version AS agreed_version, c.asked, c.scopes, c.at,
                (SELECT count(*) FROM sso_grant g WHERE g.account = c.account AND g.app = p.id
                 AND g.ended_at IS NULL AND g.idle_expires > ?2 AND g.abs_expires > ?2) AS logins
         FROM sso_consent c JOIN sso_app p ON p.id = c.app WHERE c.account = ?1 ORDER BY p.id",
    )
    .bind(account.as_str())
    .bind(int(now))
    .fetch_all(&store.reader)
    .await?;
    let read = rows.iter().map(|row| {
        let mut consent = rows::consent(row)?;
        consent.policy_version =
            u32::try_from(row.num("agreed_version")?).unwrap_or(consent.policy_version);
        Ok(PersonsApp { app: rows::app(row)?, consent, logins: row.num("logins")? })
    });
    read.collect()
}

pub(super) async fn take_off(
    store: &SqliteStore,
    account: &AccountId,
    app: &AppId,
    now: u64,
) -> Stored<Option<Vec<SessionId>>> {
    let mut tx = store.begin().await?;
    let done = query("DELETE FROM sso_consent WHERE account = ?1 AND app = ?2")
        .bind(account.as_str())
        .bind(app.as_str())
        .execute(&mut *tx)
        .await?;
    if done.rows_affected() == 0 {
        return Ok(None);
    }
    let ended = end_where(&mut tx, (Some(account), Some(app)), now).await?;
    log(&mut tx, account.as_str(), "app.removed", app.as_str(), now).await?;
    tx.commit().await?;
    Ok(Some(ended))
}

/// Takes every app off an account. Sessions that ended.
pub(in crate::storage::sqlite) async fn take_off_all(
    connection: &mut SqliteConnection,
    account: &AccountId,
    now: u64,
) -> Stored<Vec<SessionId>> {
    let held = query("DELETE FROM sso_consent WHERE account = ?1 RETURNING app")
        .bind(account.as_str())
        .fetch_all(&mut *connection)
        .await?;
    for row in held {
        log(connection, account.as_str(), "app.removed", &row.text("app")?, now).await?;
    }
    end_of_account(connection, account, now).await
}

pub(super) async fn signing_keys(store: &SqliteStore, now: u64) -> Stored<Vec<SigningKey>> {
    let rows = query(
        "SELECT * FROM sso_key WHERE published_until IS NULL OR published_until > ?1
         ORDER BY number DESC",
    )
    .bind(int(now));
    rows.fetch_all(&store.reader).await?.iter().map(rows::key).collect()
}

pub(super) async fn signing_key_put(
    store: &SqliteStore,
    key: &SigningKey,
    published_until: u64,
    only_first: bool,
) -> Stored<bool> {
    let mut tx = store.begin().await?;
    let signs = query("SELECT 1 FROM sso_key WHERE published_until IS NULL");
    if only_first && signs.fetch_optional(&mut *tx).await?.is_some() {
        return Ok(false);
    }
    query("UPDATE sso_key SET published_until = ?1 WHERE published_until IS NULL")
        .bind(int(published_until))
        .execute(&mut *tx)
        .await?;
    query("INSERT INTO sso_key (kid, public, sealed, created_at) VALUES (?1, ?2, ?3, ?4)")
        .bind(&key.kid)
        .bind(&key.public)
        .bind(&key.sealed)
        .bind(int(key.created_at))
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(true)
}
