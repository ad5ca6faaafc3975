//! Login sessions and terminals.

use async_trait::async_trait;
use sightline_grant::Thumbprint;
use sqlx::sqlite::SqliteRow;
use sqlx::{SqliteConnection, query};

use super::SqliteStore;
use super::identity;
use super::otp::consume;
use super::row::{Columns, enqueue, int, log};
use super::sso;
use crate::ids::{AccountId, AppId, SessionId, Subject, TerminalId};
use crate::limits::REFRESH_RETRY_SECS;
use crate::storage::model::{
    FoundBy, NewIdentifier, Registration, Rotated, Rotation, Session, SessionOpened,
    SessionOpening, Terminal, TokenHashes,
};
use crate::storage::{SessionStore, Stored};

#[async_trait]
impl SessionStore for SqliteStore {
    async fn session_open(&self, opening: &SessionOpening, now: u64) -> Stored<SessionOpened> {
        let mut tx = self.begin().await?;
        if let Some(challenge) = &opening.challenge
            && !consume(&mut tx, challenge, now).await?
        {
            return Ok(SessionOpened::ChallengeUsed);
        }
        if let Some(registration) = &opening.registration
            && !register(&mut tx, &opening.account, registration, now).await?
        {
            return Ok(SessionOpened::NumberTaken);
        }
        if let Some(known) = &opening.identity
            && !identity::used(&mut tx, known, now).await?
        {
            return Ok(SessionOpened::NumberTaken);
        }
        let terminal = upsert_terminal(&mut tx, opening, now).await?;
        query(
            "INSERT INTO session
             (id, account, terminal, amr, auth_time, idle_expires, abs_expires)
             VALUES (?1, ?2, ?3, ?7, ?4, ?5, ?6)",
        )
        .bind(opening.session.as_str())
        .bind(opening.account.as_str())
        .bind(terminal.as_str())
        .bind(int(now))
        .bind(int(opening.idle_expires))
        .bind(int(opening.abs_expires))
        .bind(opening.amr)
        .execute(&mut *tx)
        .await?;
        add_tokens(&mut tx, &opening.session, &opening.tokens, now).await?;
        let account = opening.account.as_str();
        log(&mut tx, account, "session.opened", terminal.as_str(), now).await?;
        if opening.registration.is_none() {
            enqueue(&mut tx, "in_app", "login", terminal.as_str(), Some(account), now).await?;
        }
        tx.commit().await?;
        Ok(SessionOpened::Opened(terminal))
    }

    async fn session_by_access(&self, hash: &[u8], now: u64) -> Stored<Option<Session>> {
        query(
            "SELECT s.id AS session_id, s.account, s.terminal, s.app, a.subject, t.jkt, t.client_type
             FROM access_token k
             JOIN session s ON s.id = k.session
             JOIN terminal t ON t.id = s.terminal
             JOIN account a ON a.id = s.account
             WHERE k.hash = ?1 AND k.expires > ?2 AND s.revoked_at IS NULL
             AND s.idle_expires > ?2 AND s.abs_expires > ?2
             AND t.revoked_at IS NULL AND a.status = 'active'",
        )
        .bind(hash)
        .bind(int(now))
        .fetch_optional(&self.reader)
        .await?
        .as_ref()
        .map(session)
        .transpose()
    }

    async fn refresh_known(&self, hash: &[u8], jkt: Thumbprint, now: u64) -> Stored<bool> {
        let found = query(
            "SELECT 1 FROM refresh_token r
             JOIN session s ON s.id = r.family
             JOIN terminal t ON t.id = s.terminal
             JOIN account a ON a.id = s.account
             WHERE r.hash = ?1 AND t.jkt = ?2 AND s.revoked_at IS NULL AND t.revoked_at IS NULL
             AND s.idle_expires > ?3 AND s.abs_expires > ?3 AND a.status = 'active'
             AND s.app IS NULL",
        )
        .bind(hash)
        .bind(jkt.to_string())
        .bind(int(now))
        .fetch_optional(&self.reader)
        .await?;
        Ok(found.is_some())
    }

    async fn refresh_rotate(&self, rotation: &Rotation, now: u64) -> Stored<Rotated> {
        let mut tx = self.begin().await?;
        let row = query(
            "SELECT r.family, r.rotated_at, s.account, s.terminal,
                    n.hash IS NOT NULL AND n.rotated_at IS NULL AS successor_fresh
             FROM refresh_token r
             JOIN session s ON s.id = r.family
             JOIN terminal t ON t.id = s.terminal
             JOIN account a ON a.id = s.account
             LEFT JOIN refresh_token n ON n.hash = ?4
             WHERE r.hash = ?1 AND t.jkt = ?2 AND s.revoked_at IS NULL AND t.revoked_at IS NULL
             AND s.idle_expires > ?3 AND s.abs_expires > ?3 AND a.status = 'active'
             AND s.app IS ?5",
        )
        .bind(&rotation.presented)
        .bind(rotation.jkt.to_string())
        .bind(int(now))
        .bind(&rotation.tokens.refresh)
        .bind(rotation.app.as_ref().map(AppId::as_str))
        .fetch_optional(&mut *tx)
        .await?;
        let Some(row) = row else { return Ok(Rotated::Refused) };
        let family = SessionId(row.text("family")?);
        if let Some(rotated_at) = row.opt_num("rotated_at")? {
            // The answer to the first use may have been lost: the same successor again, as long as
            // nobody has used it.
            let retry = now <= rotated_at + REFRESH_RETRY_SECS && row.num("successor_fresh")? == 1;
            if !retry {
                let account = row.text("account")?;
                let ended = revoke(&mut tx, &family, now).await?.sessions;
                log(&mut tx, &account, "session.token_reused", family.as_str(), now).await?;
                let terminal = row.text("terminal")?;
                enqueue(&mut tx, "in_app", "token_reused", &terminal, Some(&account), now).await?;
                tx.commit().await?;
                return Ok(Rotated::Reused(ended));
            }
        }
        query("UPDATE refresh_token SET rotated_at = ?2 WHERE hash = ?1 AND rotated_at IS NULL")
            .bind(&rotation.presented)
            .bind(int(now))
            .execute(&mut *tx)
            .await?;
        add_tokens(&mut tx, &family, &rotation.tokens, now).await?;
        query("UPDATE session SET idle_expires = ?2 WHERE id = ?1")
            .bind(family.as_str())
            .bind(int(rotation.idle_expires))
            .execute(&mut *tx)
            .await?;
        sso::used(&mut tx, family.as_str(), rotation.idle_expires).await?;
        query("UPDATE terminal SET last_seen = ?2 WHERE id = ?1")
            .bind(row.text("terminal")?)
            .bind(int(now))
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(Rotated::Fresh)
    }

    async fn session_revoke(&self, id: &SessionId, now: u64) -> Stored<Vec<SessionId>> {
        let mut tx = self.begin().await?;
        let ended = revoke(&mut tx, id, now).await?;
        let Some(account) = ended.account else { return Ok(Vec::new()) };
        log(&mut tx, &account, "session.ended", id.as_str(), now).await?;
        tx.commit().await?;
        Ok(ended.sessions)
    }

    async fn terminal_revoke(
        &self,
        account: &AccountId,
        terminal: &TerminalId,
        now: u64,
    ) -> Stored<Option<Vec<SessionId>>> {
        let mut tx = self.begin().await?;
        let done = query(
            "UPDATE terminal SET revoked_at = ?3
             WHERE id = ?1 AND account = ?2 AND revoked_at IS NULL",
        )
        .bind(terminal.as_str())
        .bind(account.as_str())
        .bind(int(now))
        .execute(&mut *tx)
        .await?;
        if done.rows_affected() == 0 {
            return Ok(None);
        }
        let ended = revoke_terminal(&mut tx, terminal, now).await?;
        log(&mut tx, account.as_str(), "terminal.signed_out", terminal.as_str(), now).await?;
        tx.commit().await?;
        Ok(Some(ended))
    }

    async fn terminals(&self, account: &AccountId) -> Stored<Vec<Terminal>> {
        query(
            "SELECT * FROM terminal WHERE account = ?1 AND revoked_at IS NULL
             ORDER BY last_seen DESC, id",
        )
        .bind(account.as_str())
        .fetch_all(&self.reader)
        .await?
        .iter()
        .map(|row| {
            Ok(Terminal {
                id: TerminalId(row.text("id")?),
                name_enc: row.blob("name_enc")?,
                client_type: row.text("client_type")?,
                first_seen: row.num("first_seen")?,
                last_seen: row.num("last_seen")?,
            })
        })
        .collect()
    }
}

/// Reads a [`Session`] from a row with `session_id`, `account`, `subject`, `terminal`, `jkt`.
pub(super) fn session(row: &SqliteRow) -> Stored<Session> {
    Ok(Session {
        id: SessionId(row.text("session_id")?),
        account: AccountId(row.text("account")?),
        subject: Subject(row.text("subject")?),
        terminal: TerminalId(row.text("terminal")?),
        jkt: row.thumbprint("jkt")?,
        client_type: row.text("client_type")?,
        app: row.opt_text("app")?.map(AppId),
    })
}

async fn register(
    connection: &mut SqliteConnection,
    account: &AccountId,
    new: &Registration,
    now: u64,
) -> Stored<bool> {
    let (taken, lookup) = match &new.found_by {
        FoundBy::Identifier(it) => ("SELECT 1 FROM identifier WHERE lookup = ?1", &it.lookup),
        FoundBy::Identity(it) => ("SELECT 1 FROM identity WHERE lookup = ?1", &it.lookup),
    };
    if query(taken).bind(lookup).fetch_optional(&mut *connection).await?.is_some() {
        return Ok(false);
    }
    query("INSERT INTO account (id, subject, status, created_at) VALUES (?1, ?2, 'active', ?3)")
        .bind(account.as_str())
        .bind(new.subject.as_str())
        .bind(int(now))
        .execute(&mut *connection)
        .await?;
    query("INSERT INTO subject_key (account, wrapped) VALUES (?1, ?2)")
        .bind(account.as_str())
        .bind(&new.wrapped_key)
        .execute(&mut *connection)
        .await?;
    match &new.found_by {
        FoundBy::Identifier(it) => add_identifier(connection, account, it, now).await?,
        FoundBy::Identity(it) => identity::insert(connection, account, it, now).await?,
    }
    log(connection, account.as_str(), "account.registered", "", now).await?;
    Ok(true)
}

async fn add_identifier(
    connection: &mut SqliteConnection,
    account: &AccountId,
    new: &NewIdentifier,
    now: u64,
) -> Stored<()> {
    query(
        "INSERT INTO identifier
         (account, kind, value_enc, lookup, verified_at, method, held_until)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )
    .bind(account.as_str())
    .bind(new.kind.as_str())
    .bind(&new.value_enc)
    .bind(&new.lookup)
    .bind(int(now))
    .bind(new.method)
    .bind(int(new.held_until))
    .execute(connection)
    .await?;
    Ok(())
}

async fn upsert_terminal(
    connection: &mut SqliteConnection,
    opening: &SessionOpening,
    now: u64,
) -> Stored<TerminalId> {
    let row = query(
        "INSERT INTO terminal (id, account, jkt, name_enc, client_type, first_seen, last_seen)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)
         ON CONFLICT (account, jkt) DO UPDATE SET
             name_enc = excluded.name_enc, client_type = excluded.client_type,
             last_seen = excluded.last_seen, revoked_at = NULL, reset_until = NULL, app = NULL
         RETURNING id",
    )
    .bind(opening.terminal.as_str())
    .bind(opening.account.as_str())
    .bind(opening.jkt.to_string())
    .bind(&opening.terminal_name_enc)
    .bind(&opening.client_type)
    .bind(int(now))
    .fetch_one(connection)
    .await?;
    Ok(TerminalId(row.text("id")?))
}

pub(super) async fn add_tokens(
    connection: &mut SqliteConnection,
    session: &SessionId,
    tokens: &TokenHashes,
    now: u64,
) -> Stored<()> {
    query("INSERT INTO access_token (hash, session, expires) VALUES (?1, ?2, ?3)")
        .bind(&tokens.access)
        .bind(session.as_str())
        .bind(int(tokens.access_expires))
        .execute(&mut *connection)
        .await?;
    query(
        "INSERT INTO refresh_token (hash, family, issued_at) VALUES (?1, ?2, ?3)
         ON CONFLICT (hash) DO NOTHING",
    )
    .bind(&tokens.refresh)
    .bind(session.as_str())
    .bind(int(now))
    .execute(connection)
    .await?;
    Ok(())
}

/// What ended with a session.
#[derive(Debug, Default)]
pub(super) struct Ended {
    /// Its account, unless it was over.
    pub(super) account: Option<String>,
    /// The session itself, and those that first-party apps had from it.
    pub(super) sessions: Vec<SessionId>,
}

/// Ends a session, all that hangs off it, and the logins that apps have from it.
pub(super) async fn revoke(
    connection: &mut SqliteConnection,
    session: &SessionId,
    now: u64,
) -> Stored<Ended> {
    let Some(account) = close(connection, session, now).await? else {
        return Ok(Ended::default());
    };
    let mut sessions = vec![session.clone()];
    sessions.extend(sso::end_of_session(connection, session, now).await?);
    Ok(Ended { account: Some(account), sessions })
}

/// The same for every session of a terminal; all sessions that ended by it.
pub(super) async fn revoke_terminal(
    connection: &mut SqliteConnection,
    terminal: &TerminalId,
    now: u64,
) -> Stored<Vec<SessionId>> {
    let open = query("SELECT id FROM session WHERE terminal = ?1 AND revoked_at IS NULL")
        .bind(terminal.as_str())
        .fetch_all(&mut *connection)
        .await?;
    revoke_all(connection, &open, now).await
}

/// The same for every row's `id`; all sessions that ended by it.
pub(super) async fn revoke_all(
    connection: &mut SqliteConnection,
    rows: &[SqliteRow],
    now: u64,
) -> Stored<Vec<SessionId>> {
    let mut ended = Vec::with_capacity(rows.len());
    for row in rows {
        let session = SessionId(row.text("id")?);
        ended.extend(revoke(connection, &session, now).await?.sessions);
    }
    Ok(ended)
}

/// Ends one session and what hangs off it. Returns its account unless it was over.
pub(super) async fn close(
    connection: &mut SqliteConnection,
    session: &SessionId,
    now: u64,
) -> Stored<Option<String>> {
    let row = query(
        "UPDATE session SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL RETURNING account",
    )
    .bind(session.as_str())
    .bind(int(now))
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    for statement in [
        "DELETE FROM access_token WHERE session = ?1",
        "DELETE FROM step_up WHERE session = ?1",
        "DELETE FROM secure_window WHERE session = ?1",
        "DELETE FROM key_proof WHERE session = ?1",
        "DELETE FROM key_challenge WHERE session = ?1",
        "DELETE FROM identity_flow WHERE session = ?1",
    ] {
        query(statement).bind(session.as_str()).execute(&mut *connection).await?;
    }
    row.text("account").map(Some)
}
