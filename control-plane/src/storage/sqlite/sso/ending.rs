//! How logins of apps end, each with its word to the app in the same transaction.

use sqlx::{SqliteConnection, query};

use crate::ids::{AccountId, AppId, AppLoginId, SessionId};
use crate::sso::APP_CHANNEL;
use crate::storage::Stored;
use crate::storage::sqlite::row::{Columns, enqueue, int, log};
use crate::storage::sqlite::session::close;

/// Ends what apps have from a session, and what hangs off a first-party app's own session. Other
/// sessions that ended with it.
pub(in crate::storage::sqlite) async fn end_of_session(
    connection: &mut SqliteConnection,
    session: &SessionId,
    now: u64,
) -> Stored<Vec<SessionId>> {
    query("DELETE FROM sso_code WHERE login = ?1 AND used_at IS NULL")
        .bind(session.as_str())
        .execute(&mut *connection)
        .await?;
    let open =
        query("SELECT id FROM sso_grant WHERE ended_at IS NULL AND (login = ?1 OR session = ?1)")
            .bind(session.as_str())
            .fetch_all(&mut *connection)
            .await?;
    let mut ended = Vec::new();
    for row in open {
        ended.extend(end(connection, &AppLoginId(row.text("id")?), true, now).await?);
    }
    Ok(ended)
}

/// Ends every login that apps have of an account. Sessions that ended.
pub(in crate::storage::sqlite) async fn end_of_account(
    connection: &mut SqliteConnection,
    account: &AccountId,
    now: u64,
) -> Stored<Vec<SessionId>> {
    end_where(connection, (Some(account), None), now).await
}

/// Ends every login of an account, an app, or both.
pub(super) async fn end_where(
    connection: &mut SqliteConnection,
    (account, app): (Option<&AccountId>, Option<&AppId>),
    now: u64,
) -> Stored<Vec<SessionId>> {
    let open = query(
        "SELECT id FROM sso_grant WHERE ended_at IS NULL
         AND (?1 IS NULL OR account = ?1) AND (?2 IS NULL OR app = ?2)",
    )
    .bind(account.map(AccountId::as_str))
    .bind(app.map(AppId::as_str))
    .fetch_all(&mut *connection)
    .await?;
    let mut ended = Vec::new();
    for row in open {
        ended.extend(end(connection, &AppLoginId(row.text("id")?), true, now).await?);
    }
    query(
        "DELETE FROM sso_code WHERE used_at IS NULL
         AND (?1 IS NULL OR account = ?1) AND (?2 IS NULL OR app = ?2)",
    )
    .bind(account.map(AccountId::as_str))
    .bind(app.map(AppId::as_str))
    .execute(connection)
    .await?;
    Ok(ended)
}

/// Ends one login; `tell`: the app does not know yet. The session that ended with it, if any.
pub(super) async fn end(
    connection: &mut SqliteConnection,
    login: &AppLoginId,
    tell: bool,
    now: u64,
) -> Stored<Vec<SessionId>> {
    let row = query(
        "UPDATE sso_grant SET ended_at = ?2 WHERE id = ?1 AND ended_at IS NULL
         RETURNING app, pairwise, session",
    )
    .bind(login.as_str())
    .bind(int(now))
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else { return Ok(Vec::new()) };
    query("DELETE FROM sso_token WHERE granted = ?1")
        .bind(login.as_str())
        .execute(&mut *connection)
        .await?;
    if tell {
        let (app, pairwise) = (row.text("app")?, row.text("pairwise")?);
        let told = query(
            "INSERT INTO sso_logout (id, app, uri, pairwise, at)
             SELECT ?1, id, backchannel_uri, ?3, ?4 FROM sso_app
             WHERE id = ?2 AND backchannel_uri IS NOT NULL",
        )
        .bind(login.as_str())
        .bind(app)
        .bind(pairwise)
        .bind(int(now))
        .execute(&mut *connection)
        .await?;
        if told.rows_affected() == 1 {
            // Nobody's: it goes out after its account is gone, too.
            enqueue(connection, APP_CHANNEL, "logout", login.as_str(), None, now).await?;
        }
    }
    let Some(session) = row.opt_text("session")?.map(SessionId) else { return Ok(Vec::new()) };
    let closed = close(connection, &session, now).await?;
    Ok(closed.map(|_| session).into_iter().collect())
}

/// Something of an app's login was used twice, so somebody else may have had it: the person is told.
pub(super) async fn misused(
    connection: &mut SqliteConnection,
    account: &AccountId,
    app: &AppId,
    now: u64,
) -> Stored<()> {
    let owner = Some(account.as_str());
    log(connection, account.as_str(), "app.token_reused", app.as_str(), now).await?;
    enqueue(connection, "in_app", "app_token_reused", "", owner, now).await
}
