//! Apps that people sign in to with their account.

mod app;
mod code;
mod ending;
mod rows;

use async_trait::async_trait;
use sqlx::{SqliteConnection, query};

use super::SqliteStore;
use super::row::{Columns, int};
use crate::ids::{AccountId, AppId, AppLoginId, SessionId};
use crate::limits::REFRESH_RETRY_SECS;
use crate::storage::model::{
    App, AppCode, AppConsent, AppLogin, AppLogout, AppRotated, AppRotation, LoginTimes, NewAppCode,
    PersonsApp, Redeemed, Redemption, SigningKey,
};
use crate::storage::{SsoStore, Stored};

pub(super) use app::take_off_all;
pub(super) use ending::{end_of_account, end_of_session};

#[async_trait]
impl SsoStore for SqliteStore {
    async fn app_add(&self, app: &App, most: u64) -> Stored<bool> {
        app::add(self, app, most).await
    }

    async fn apps(&self) -> Stored<Vec<App>> {
        let rows = query("SELECT * FROM sso_app ORDER BY created_at, id");
        rows.fetch_all(&self.reader).await?.iter().map(rows::app).collect()
    }

    async fn app(&self, id: &AppId) -> Stored<Option<App>> {
        let row = query("SELECT * FROM sso_app WHERE id = ?1 AND suspended_at IS NULL");
        let row = row.bind(id.as_str());
        row.fetch_optional(&self.reader).await?.as_ref().map(rows::app).transpose()
    }

    async fn app_secret_put(&self, id: &AppId, hash: &[u8]) -> Stored<bool> {
        let done = query("UPDATE sso_app SET secret_hash = ?2 WHERE id = ?1 AND confidential = 1")
            .bind(id.as_str())
            .bind(hash)
            .execute(&self.writer)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    async fn app_policy_put(&self, id: &AppId, url: &str, version: u32) -> Stored<bool> {
        let done = query("UPDATE sso_app SET policy_url = ?2, policy_version = ?3 WHERE id = ?1")
            .bind(id.as_str())
            .bind(url)
            .bind(i64::from(version))
            .execute(&self.writer)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    async fn app_resume(&self, id: &AppId) -> Stored<bool> {
        let done = query(
            "UPDATE sso_app SET suspended_at = NULL WHERE id = ?1 AND suspended_at IS NOT NULL",
        )
        .bind(id.as_str())
        .execute(&self.writer)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    async fn app_remove(&self, id: &AppId, now: u64) -> Stored<Option<Vec<SessionId>>> {
        app::remove(self, id, now).await
    }

    async fn signing_keys(&self, now: u64) -> Stored<Vec<SigningKey>> {
        app::signing_keys(self, now).await
    }

    async fn signing_key_put(
        &self,
        key: &SigningKey,
        published_until: u64,
        only_first: bool,
    ) -> Stored<bool> {
        app::signing_key_put(self, key, published_until, only_first).await
    }

    async fn app_consent(&self, account: &AccountId, app: &AppId) -> Stored<Option<AppConsent>> {
        let row = query("SELECT * FROM sso_consent WHERE account = ?1 AND app = ?2")
            .bind(account.as_str())
            .bind(app.as_str());
        row.fetch_optional(&self.reader).await?.as_ref().map(rows::consent).transpose()
    }

    async fn apps_of(&self, account: &AccountId, now: u64) -> Stored<Vec<PersonsApp>> {
        app::of(self, account, now).await
    }

    async fn app_take_off(
        &self,
        account: &AccountId,
        app: &AppId,
        now: u64,
    ) -> Stored<Option<Vec<SessionId>>> {
        app::take_off(self, account, app, now).await
    }

    async fn login_times(&self, session: &SessionId, now: u64) -> Stored<Option<LoginTimes>> {
        let row = query(
            "SELECT s.auth_time, w.opened_at FROM session s
             LEFT JOIN secure_window w ON w.session = s.id AND w.expires > ?2
             WHERE s.id = ?1 AND s.revoked_at IS NULL AND s.idle_expires > ?2
             AND s.abs_expires > ?2",
        )
        .bind(session.as_str())
        .bind(int(now))
        .fetch_optional(&self.reader)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let (opened, confirmed) = (row.num("auth_time")?, row.opt_num("opened_at")?);
        Ok(Some(LoginTimes { opened, confirmed }))
    }

    async fn app_code_issue(&self, code: &NewAppCode, now: u64) -> Stored<bool> {
        code::issue(self, code, now).await
    }

    async fn app_code(&self, hash: &[u8], app: &AppId, now: u64) -> Stored<Option<AppCode>> {
        let row = query(
            "SELECT * FROM sso_code
             WHERE hash = ?1 AND app = ?2 AND expires > ?3 AND used_at IS NULL",
        )
        .bind(hash)
        .bind(app.as_str())
        .bind(int(now));
        row.fetch_optional(&self.reader).await?.as_ref().map(rows::code).transpose()
    }

    async fn app_code_redeem(
        &self,
        redemption: &Redemption,
        most: u64,
        now: u64,
    ) -> Stored<Redeemed> {
        code::redeem(self, redemption, most, now).await
    }

    async fn app_refresh(&self, rotation: &AppRotation, now: u64) -> Stored<AppRotated> {
        refresh(self, rotation, now).await
    }

    async fn app_login_by_access(&self, hash: &[u8], now: u64) -> Stored<Option<AppLogin>> {
        let row = query(
            "SELECT g.*, a.subject FROM sso_token k
             JOIN sso_grant g ON g.id = k.granted
             JOIN account a ON a.id = g.account
             WHERE k.hash = ?1 AND k.kind = 'access' AND k.expires > ?2 AND g.ended_at IS NULL
             AND g.abs_expires > ?2 AND a.status = 'active'",
        )
        .bind(hash)
        .bind(int(now));
        row.fetch_optional(&self.reader).await?.as_ref().map(rows::login).transpose()
    }

    async fn app_login_of(&self, session: &SessionId, now: u64) -> Stored<Option<AppLogin>> {
        let row = query(
            "SELECT g.*, a.subject FROM sso_grant g JOIN account a ON a.id = g.account
             WHERE g.session = ?1 AND g.ended_at IS NULL AND g.abs_expires > ?2
             AND a.status = 'active'",
        )
        .bind(session.as_str())
        .bind(int(now));
        row.fetch_optional(&self.reader).await?.as_ref().map(rows::login).transpose()
    }

    async fn app_login_by_token(&self, hash: &[u8], app: &AppId) -> Stored<Option<AppLoginId>> {
        let row = query(
            "SELECT g.id FROM sso_grant g WHERE g.app = ?2 AND g.id IN (
                 SELECT granted FROM sso_token WHERE hash = ?1
                 UNION SELECT o.id FROM sso_grant o WHERE o.session IN (
                     SELECT session FROM access_token WHERE hash = ?1
                     UNION SELECT family FROM refresh_token WHERE hash = ?1))",
        )
        .bind(hash)
        .bind(app.as_str())
        .fetch_optional(&self.reader)
        .await?;
        row.map(|row| row.text("id").map(AppLoginId)).transpose()
    }

    async fn app_login_end(&self, login: &AppLoginId, now: u64) -> Stored<Vec<SessionId>> {
        let mut tx = self.begin().await?;
        let ended = ending::end(&mut tx, login, false, now).await?;
        tx.commit().await?;
        Ok(ended)
    }

    async fn app_logout(&self, id: &str) -> Stored<Option<AppLogout>> {
        let row = query("SELECT * FROM sso_logout WHERE id = ?1").bind(id);
        let row = row.fetch_optional(&self.reader).await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(AppLogout {
            login: AppLoginId(row.text("id")?),
            app: AppId(row.text("app")?),
            uri: row.text("uri")?,
            pairwise: row.text("pairwise")?,
        }))
    }

    async fn app_logout_done(&self, id: &str) -> Stored<()> {
        query("DELETE FROM sso_logout WHERE id = ?1").bind(id).execute(&self.writer).await?;
        Ok(())
    }
}

/// Using a first-party app's session is using the login that it came from: both live on. So a session
/// never outlives its login.
pub(super) async fn used(
    connection: &mut SqliteConnection,
    session: &str,
    idle_expires: u64,
) -> Stored<()> {
    let login = query("SELECT id FROM sso_grant WHERE session = ?1")
        .bind(session)
        .fetch_optional(&mut *connection)
        .await?;
    match login {
        Some(row) => live_on(connection, &row.text("id")?, idle_expires).await,
        None => Ok(()),
    }
}

async fn live_on(connection: &mut SqliteConnection, login: &str, idle_expires: u64) -> Stored<()> {
    for statement in [
        "UPDATE sso_grant SET idle_expires = ?2 WHERE id = ?1",
        "UPDATE session SET idle_expires = max(idle_expires, ?2) WHERE revoked_at IS NULL
         AND id = (SELECT login FROM sso_grant WHERE id = ?1)",
    ] {
        let done = query(statement).bind(login).bind(int(idle_expires));
        done.execute(&mut *connection).await?;
    }
    Ok(())
}

async fn refresh(store: &SqliteStore, wish: &AppRotation, now: u64) -> Stored<AppRotated> {
    let mut tx = store.begin().await?;
    let row = query(
        "SELECT g.*, a.subject, k.rotated_at,
                n.hash IS NOT NULL AND n.rotated_at IS NULL AS successor_fresh
         FROM sso_token k
         JOIN sso_grant g ON g.id = k.granted
         JOIN account a ON a.id = g.account
         LEFT JOIN sso_token n ON n.hash = ?4
         WHERE k.hash = ?1 AND k.kind = 'refresh' AND g.app = ?2 AND (g.jkt IS NULL OR g.jkt = ?5)
         AND g.ended_at IS NULL AND g.idle_expires > ?3 AND g.abs_expires > ?3
         AND a.status = 'active'",
    )
    .bind(&wish.presented)
    .bind(wish.app.as_str())
    .bind(int(now))
    .bind(&wish.tokens.refresh)
    .bind(wish.jkt.map(|jkt| jkt.to_string()))
    .fetch_optional(&mut *tx)
    .await?;
    let Some(row) = row else { return Ok(AppRotated::Refused) };
    let login = rows::login(&row)?;
    if let Some(rotated_at) = row.opt_num("rotated_at")? {
        // The answer to the first use may have been lost: the same successor again, as long as
        // nobody has used it.
        let retry = now <= rotated_at + REFRESH_RETRY_SECS && row.num("successor_fresh")? == 1;
        if !retry {
            ending::end(&mut tx, &login.id, true, now).await?;
            ending::misused(&mut tx, &login.account, &login.app, now).await?;
            tx.commit().await?;
            return Ok(AppRotated::Reused);
        }
    }
    query("UPDATE sso_token SET rotated_at = ?2 WHERE hash = ?1 AND rotated_at IS NULL")
        .bind(&wish.presented)
        .bind(int(now))
        .execute(&mut *tx)
        .await?;
    let abs_expires = row.num("abs_expires")?;
    rows::add_tokens(&mut tx, &login.id, &wish.tokens, abs_expires).await?;
    live_on(&mut tx, login.id.as_str(), wish.idle_expires).await?;
    tx.commit().await?;
    Ok(AppRotated::Fresh(login))
}
