//! Unusual logins.

use async_trait::async_trait;
use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{SqliteConnection, query};

use super::SqliteStore;
use super::row::{Columns, enqueue, int, log};
use super::session::revoke_terminal;
use crate::abnormal::{self, HISTORY, Kind, Seen};
use crate::ids::{AccountId, SessionId, TerminalId};
use crate::limits::{ALERT_SECS, APPROVAL_SECS, CARRIER_TOKEN_SECS};
use crate::storage::model::{Alert, LoginSeen, Noticed};
use crate::storage::{AbnormalStore, Stored};

/// Span over which unanswered messages are counted, seconds.
const UNANSWERED_SECS: u64 = 60 * 60;

#[async_trait]
impl AbnormalStore for SqliteStore {
    async fn login_seen(&self, login: &LoginSeen) -> Stored<Noticed> {
        let mut tx = self.begin().await?;
        let now = login.seen.at;
        let history = history(&mut tx, &login.account).await?;
        let unanswered = unanswered(&mut tx, &login.account, now).await?;
        let kinds = abnormal::detect(&history, &login.seen, unanswered);
        let held = login.hold
            && abnormal::grave(&kinds)
            && !is_approved(&mut tx, login).await?
            && has_other_terminal(&mut tx, login).await?;
        let mut ended = Vec::new();
        if held {
            ended = end(&mut tx, login).await?;
        } else {
            remember(&mut tx, login).await?;
        }
        if !kinds.is_empty() {
            write_alert(&mut tx, login, &kinds, held).await?;
        }
        tx.commit().await?;
        Ok(Noticed { kinds, held, ended })
    }

    async fn alerts(&self, account: &AccountId, limit: u64) -> Stored<Vec<Alert>> {
        query("SELECT * FROM login_alert WHERE account = ?1 ORDER BY at DESC, id LIMIT ?2")
            .bind(account.as_str())
            .bind(int(limit))
            .fetch_all(&self.reader)
            .await?
            .iter()
            .map(alert)
            .collect()
    }

    async fn alert_approve(
        &self,
        account: &AccountId,
        by: &TerminalId,
        alert: &str,
        now: u64,
    ) -> Stored<bool> {
        let mut tx = self.begin().await?;
        let done = query(
            "UPDATE login_alert SET approved_at = ?4
             WHERE id = ?1 AND account = ?2 AND terminal <> ?3 AND held = 1
             AND approved_at IS NULL AND at > ?5",
        )
        .bind(alert)
        .bind(account.as_str())
        .bind(by.as_str())
        .bind(int(now))
        .bind(int(now.saturating_sub(APPROVAL_SECS)))
        .execute(&mut *tx)
        .await?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        log(&mut tx, account.as_str(), "login.approved", alert, now).await?;
        tx.commit().await?;
        Ok(true)
    }
}

async fn history(connection: &mut SqliteConnection, account: &AccountId) -> Stored<Vec<Seen>> {
    query("SELECT * FROM login_seen WHERE account = ?1 ORDER BY id DESC LIMIT ?2")
        .bind(account.as_str())
        .bind(int(HISTORY))
        .fetch_all(connection)
        .await?
        .iter()
        .map(|row| {
            Ok(Seen {
                terminal: TerminalId(row.text("terminal")?),
                network: row.blob("network")?,
                region: row.opt_text("region")?,
                at: row.num("at")?,
            })
        })
        .collect()
}

/// Messages to numbers of the account in the last hour that nobody answered.
async fn unanswered(
    connection: &mut SqliteConnection,
    account: &AccountId,
    now: u64,
) -> Stored<u64> {
    query(
        "SELECT count(*) AS unanswered FROM sms_decision d JOIN identifier i ON i.lookup = d.number
         WHERE i.account = ?1 AND d.answered_at IS NULL AND d.at > ?2",
    )
    .bind(account.as_str())
    .bind(int(now.saturating_sub(UNANSWERED_SECS)))
    .fetch_one(connection)
    .await?
    .num("unanswered")
}

async fn is_approved(connection: &mut SqliteConnection, login: &LoginSeen) -> Stored<bool> {
    let approved = query(
        "SELECT 1 FROM login_alert WHERE account = ?1 AND terminal = ?2 AND approved_at > ?3",
    )
    .bind(login.account.as_str())
    .bind(login.seen.terminal.as_str())
    .bind(int(login.seen.at.saturating_sub(APPROVAL_SECS)))
    .fetch_optional(connection)
    .await?;
    Ok(approved.is_some())
}

/// Whether another terminal could agree: one that is signed in, or that was when somebody reset the
/// password, and is not new once it signs in again.
async fn has_other_terminal(connection: &mut SqliteConnection, login: &LoginSeen) -> Stored<bool> {
    let other = query(
        "SELECT 1 FROM terminal t WHERE t.account = ?1 AND t.id <> ?2
         AND (t.reset_until > ?3
              OR (t.revoked_at IS NULL AND EXISTS (
                  SELECT 1 FROM session s WHERE s.terminal = t.id AND s.revoked_at IS NULL
                  AND s.app IS NULL AND s.idle_expires > ?3 AND s.abs_expires > ?3)))
         LIMIT 1",
    )
    .bind(login.account.as_str())
    .bind(login.seen.terminal.as_str())
    .bind(int(login.seen.at))
    .fetch_optional(connection)
    .await?;
    Ok(other.is_some())
}

/// Ends the logins of the terminal, and makes it unknown again unless the account let it in before.
async fn end(connection: &mut SqliteConnection, login: &LoginSeen) -> Stored<Vec<SessionId>> {
    let (terminal, now) = (&login.seen.terminal, login.seen.at);
    query(
        "UPDATE terminal SET revoked_at = ?3 WHERE id = ?1 AND revoked_at IS NULL
         AND NOT EXISTS (SELECT 1 FROM login_seen l WHERE l.account = ?2 AND l.terminal = ?1)",
    )
    .bind(terminal.as_str())
    .bind(login.account.as_str())
    .bind(int(now))
    .execute(&mut *connection)
    .await?;
    revoke_terminal(connection, terminal, now).await
}

async fn remember(connection: &mut SqliteConnection, login: &LoginSeen) -> Stored<()> {
    query(
        "INSERT INTO login_seen (account, terminal, network, region, at)
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )
    .bind(login.account.as_str())
    .bind(login.seen.terminal.as_str())
    .bind(&login.seen.network)
    .bind(&login.seen.region)
    .bind(int(login.seen.at))
    .execute(connection)
    .await?;
    Ok(())
}

async fn write_alert(
    connection: &mut SqliteConnection,
    login: &LoginSeen,
    kinds: &[Kind],
    held: bool,
) -> Stored<()> {
    let (account, now) = (login.account.as_str(), login.seen.at);
    let names: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
    query(
        "INSERT INTO login_alert (id, account, terminal, kinds, at, held)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )
    .bind(&login.id)
    .bind(account)
    .bind(login.seen.terminal.as_str())
    .bind(names.join(" "))
    .bind(int(now))
    .bind(i64::from(held))
    .execute(&mut *connection)
    .await?;
    let action = if held { "login.held" } else { "login.unusual" };
    log(connection, account, action, &login.id, now).await?;
    let kind = if held { "login_held" } else { "login_unusual" };
    enqueue(connection, "in_app", kind, &login.id, Some(account), now).await
}

fn alert(row: &SqliteRow) -> Stored<Alert> {
    Ok(Alert {
        id: row.text("id")?,
        terminal: TerminalId(row.text("terminal")?),
        kinds: row.text("kinds")?.split(' ').filter_map(Kind::parse).collect(),
        at: row.num("at")?,
        held: row.num("held")? == 1,
        approved_at: row.opt_num("approved_at")?,
    })
}

/// Deletes what has outlived its time.
pub(super) async fn purge(writer: &SqlitePool, now: u64) -> Stored<u64> {
    let mut rows = 0;
    for (statement, keep) in [
        ("DELETE FROM login_seen WHERE at <= ?1", ALERT_SECS),
        ("DELETE FROM login_alert WHERE at <= ?1", ALERT_SECS),
        ("DELETE FROM carrier_token WHERE at <= ?1", CARRIER_TOKEN_SECS),
    ] {
        let before = int(now.saturating_sub(keep));
        rows += query(statement).bind(before).execute(writer).await?.rows_affected();
    }
    Ok(rows)
}
