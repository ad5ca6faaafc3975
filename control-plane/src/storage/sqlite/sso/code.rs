//! Authorisation codes: issued to a browser, traded once.

use sqlx::sqlite::SqliteRow;
use sqlx::{SqliteConnection, query};

use super::ending::{end, misused};
use super::rows;
use crate::ids::{AccountId, AppLoginId, SessionId, TerminalId};
use crate::storage::Stored;
use crate::storage::model::{AppSession, NewAppCode, Redeemed, Redemption};
use crate::storage::sqlite::SqliteStore;
use crate::storage::sqlite::consent::in_basic_mode;
use crate::storage::sqlite::row::{Columns, enqueue, int, log};
use crate::storage::sqlite::session;
use crate::vault;

/// How a first-party app's session was opened.
const AMR: &str = "app";
/// Kind of client of a terminal that an app made known.
const CLIENT_TYPE: &str = "app";

pub(super) async fn issue(store: &SqliteStore, code: &NewAppCode, now: u64) -> Stored<bool> {
    let mut tx = store.begin().await?;
    if in_basic_mode(&mut tx, &code.account).await? {
        // The policy was withdrawn since the request came in: no app gets in behind that.
        return Ok(false);
    }
    let (account, app) = (code.account.as_str(), code.app.as_str());
    let known = query("SELECT 1 FROM sso_consent WHERE account = ?1 AND app = ?2")
        .bind(account)
        .bind(app)
        .fetch_optional(&mut *tx)
        .await?
        .is_some();
    if let Some(agreed) = &code.agreed {
        query(
            "INSERT INTO sso_consent (account, app, policy_version, asked, scopes, at)
             VALUES (?1, ?2, ?3, ?6, ?4, ?5)
             ON CONFLICT (account, app) DO UPDATE SET
                 policy_version = excluded.policy_version, asked = excluded.asked,
                 scopes = excluded.scopes",
        )
        .bind(account)
        .bind(app)
        .bind(i64::from(agreed.policy_version))
        .bind(agreed.scopes.to_string())
        .bind(int(agreed.at))
        .bind(agreed.asked.to_string())
        .execute(&mut *tx)
        .await?;
        log(&mut tx, account, "app.agreed", app, now).await?;
        if !known {
            enqueue(&mut tx, "in_app", "app_agreed", "", Some(account), now).await?;
        }
    } else if !known {
        return Ok(false);
    }
    insert(&mut tx, code).await?;
    log(&mut tx, account, "app.entered", app, now).await?;
    tx.commit().await?;
    Ok(true)
}

async fn insert(connection: &mut SqliteConnection, code: &NewAppCode) -> Stored<()> {
    query(
        "INSERT INTO sso_code (hash, app, account, login, pairwise, redirect_uri, challenge, jkt,
             scopes, nonce, auth_time, expires)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )
    .bind(&code.hash)
    .bind(code.app.as_str())
    .bind(code.account.as_str())
    .bind(code.login.as_str())
    .bind(&code.pairwise)
    .bind(&code.redirect_uri)
    .bind(code.challenge.as_slice())
    .bind(code.jkt.map(|jkt| jkt.to_string()))
    .bind(code.scopes.to_string())
    .bind(code.nonce.as_deref())
    .bind(int(code.auth_time))
    .bind(int(code.expires))
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn redeem(
    store: &SqliteStore,
    wish: &Redemption,
    most: u64,
    now: u64,
) -> Stored<Redeemed> {
    let mut tx = store.begin().await?;
    let row = query(
        "SELECT c.*, s.abs_expires FROM sso_code c
         JOIN account a ON a.id = c.account AND a.status = 'active'
         LEFT JOIN session s ON s.id = c.login AND s.revoked_at IS NULL
             AND s.idle_expires > ?3 AND s.abs_expires > ?3
         WHERE c.hash = ?1 AND c.app = ?2",
    )
    .bind(&wish.code)
    .bind(wish.app.as_str())
    .bind(int(now))
    .fetch_optional(&mut *tx)
    .await?;
    let Some(row) = row else { return Ok(Redeemed::Refused) };
    let account = AccountId(row.text("account")?);
    if row.opt_num("used_at")?.is_some() {
        let granted = row.opt_text("granted")?.map(AppLoginId);
        let Some(granted) = granted else { return Ok(Redeemed::Refused) };
        let ended = end(&mut tx, &granted, true, now).await?;
        misused(&mut tx, &account, &wish.app, now).await?;
        tx.commit().await?;
        return Ok(Redeemed::Replayed(ended));
    }
    let fits = now < row.num("expires")? && fits(&row, wish)?;
    let opened = row.opt_num("abs_expires")?.filter(|_| fits);
    // Whoever presents it, it is used up: nobody tries verifiers.
    query("UPDATE sso_code SET used_at = ?2, granted = ?3 WHERE hash = ?1")
        .bind(&wish.code)
        .bind(int(now))
        .bind(opened.map(|_| wish.login.as_str()))
        .execute(&mut *tx)
        .await?;
    let Some(abs_expires) = opened else {
        tx.commit().await?;
        return Ok(Redeemed::Refused);
    };
    open_login(&mut tx, &row, wish, abs_expires, now).await?;
    log(&mut tx, account.as_str(), "app.signed_in", wish.app.as_str(), now).await?;
    let ended = make_room(&mut tx, &account, wish, most, now).await?;
    tx.commit().await?;
    Ok(Redeemed::Opened(ended))
}

/// Whether a code is traded as it was issued.
fn fits(row: &SqliteRow, wish: &Redemption) -> Stored<bool> {
    let bound = row.opt_text("jkt")?;
    let proved = wish.jkt.map(|jkt| jkt.to_string());
    Ok(row.text("redirect_uri")? == wish.redirect_uri
        && vault::same(&row.blob("challenge")?, &wish.challenge)
        && (bound.is_none() || bound == proved))
}

async fn open_login(
    connection: &mut SqliteConnection,
    code: &SqliteRow,
    wish: &Redemption,
    abs_expires: u64,
    now: u64,
) -> Stored<()> {
    let account = code.text("account")?;
    let idle_expires = wish.idle_expires.min(abs_expires);
    query(
        "INSERT INTO sso_grant (id, account, app, pairwise, login, session, scopes, jkt, auth_time,
             opened_at, idle_expires, abs_expires)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )
    .bind(wish.login.as_str())
    .bind(&account)
    .bind(wish.app.as_str())
    .bind(code.text("pairwise")?)
    .bind(code.text("login")?)
    .bind(wish.session.as_ref().map(|session| session.id.as_str()))
    .bind(code.text("scopes")?)
    .bind(wish.jkt.map(|jkt| jkt.to_string()))
    .bind(int(code.num("auth_time")?))
    .bind(int(now))
    .bind(int(idle_expires))
    .bind(int(abs_expires))
    .execute(&mut *connection)
    .await?;
    super::live_on(connection, wish.login.as_str(), idle_expires).await?;
    let Some(new) = &wish.session else {
        return rows::add_tokens(connection, &wish.login, &wish.tokens, abs_expires).await;
    };
    let terminal = known_terminal(connection, &account, wish, new, now).await?;
    query(
        "INSERT INTO session (id, account, terminal, amr, auth_time, idle_expires, abs_expires, app)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )
    .bind(new.id.as_str())
    .bind(&account)
    .bind(terminal.as_str())
    .bind(AMR)
    .bind(int(code.num("auth_time")?))
    .bind(int(idle_expires))
    .bind(int(abs_expires))
    .bind(wish.app.as_str())
    .execute(&mut *connection)
    .await?;
    session::add_tokens(connection, &new.id, &wish.tokens, now).await
}

/// The terminal of an app's key. One on which the person signed in stays what it is.
async fn known_terminal(
    connection: &mut SqliteConnection,
    account: &str,
    wish: &Redemption,
    new: &AppSession,
    now: u64,
) -> Stored<TerminalId> {
    let row = query(
        "INSERT INTO terminal
             (id, account, jkt, name_enc, client_type, first_seen, last_seen, app)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7)
         ON CONFLICT (account, jkt) DO UPDATE SET
             app = iif(revoked_at IS NULL, app, excluded.app),
             name_enc = iif(revoked_at IS NULL, name_enc, excluded.name_enc),
             client_type = iif(revoked_at IS NULL, client_type, excluded.client_type),
             last_seen = excluded.last_seen, revoked_at = NULL
         RETURNING id",
    )
    .bind(new.terminal.as_str())
    .bind(account)
    .bind(new.jkt.to_string())
    .bind(&new.name_enc)
    .bind(CLIENT_TYPE)
    .bind(int(now))
    .bind(wish.app.as_str())
    .fetch_one(connection)
    .await?;
    Ok(TerminalId(row.text("id")?))
}

/// Ends the oldest logins of the same app and account beyond `most`.
async fn make_room(
    connection: &mut SqliteConnection,
    account: &AccountId,
    wish: &Redemption,
    most: u64,
    now: u64,
) -> Stored<Vec<SessionId>> {
    let old = query(
        "SELECT id FROM sso_grant WHERE account = ?1 AND app = ?2 AND ended_at IS NULL
         ORDER BY opened_at DESC, id = ?4 DESC, id LIMIT -1 OFFSET ?3",
    )
    .bind(account.as_str())
    .bind(wish.app.as_str())
    .bind(int(most))
    .bind(wish.login.as_str())
    .fetch_all(&mut *connection)
    .await?;
    let mut ended = Vec::new();
    for row in old {
        ended.extend(end(connection, &AppLoginId(row.text("id")?), true, now).await?);
    }
    Ok(ended)
}
