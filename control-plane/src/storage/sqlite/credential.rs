//! Identifiers, passwords and secure windows.

use async_trait::async_trait;
use sightline_grant::Thumbprint;
use sqlx::sqlite::SqliteRow;
use sqlx::{SqliteConnection, query};

use super::SqliteStore;
use super::account::account;
use super::guess;
use super::otp::consume;
use super::row::{Columns, enqueue, int, log};
use super::session::revoke_all;
use crate::ids::{AccountId, SessionId};
use crate::limits::RESET_HOLD_SECS;
use crate::storage::model::{
    Entry, Guess, GuessKind, Identifier, IdentifierChange, IdentifierKind, IdentifierPut,
    IdentifierRemoved, NewNotice, NewPassword, Notice, PasswordPut, SecureWindow, StoredPassword,
    Window,
};
use crate::storage::{CredentialStore, StoreError, Stored};

#[async_trait]
impl CredentialStore for SqliteStore {
    async fn entry(&self, lookup: &[u8], jkt: Thumbprint) -> Stored<Option<Entry>> {
        let row = query(
            "SELECT a.*, k.wrapped, i.held_until, p.phc, p.alone, p.changed_at,
                    (SELECT count(*) FROM identifier o WHERE o.account = a.id) AS identifiers,
                    (EXISTS (SELECT 1 FROM passkey y WHERE y.account = a.id)
                     OR EXISTS (SELECT 1 FROM identity d WHERE d.account = a.id
                                AND d.suspended_at IS NULL)) AS other_ways,
                    (SELECT max(t.last_seen) FROM terminal t WHERE t.account = a.id) AS last_seen,
                    EXISTS (SELECT 1 FROM terminal t WHERE t.account = a.id AND t.jkt = ?2
                            AND t.revoked_at IS NULL AND t.app IS NULL) AS known
             FROM identifier i
             JOIN account a ON a.id = i.account
             JOIN subject_key k ON k.account = a.id
             LEFT JOIN password p ON p.account = a.id
             WHERE i.lookup = ?1 AND a.status = 'active'",
        )
        .bind(lookup)
        .bind(jkt.to_string())
        .fetch_optional(&self.reader)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let account = account(&row)?;
        Ok(Some(Entry {
            known_terminal: row.num("known")? == 1,
            last_seen: row.opt_num("last_seen")?.unwrap_or(account.created_at),
            identifiers: row.num("identifiers")?,
            other_ways: row.num("other_ways")? == 1,
            held_until: row.num("held_until")?,
            password: row.opt_text("phc")?.map(|_| password(&row)).transpose()?,
            account,
        }))
    }

    async fn identifiers(&self, account: &AccountId) -> Stored<Vec<Identifier>> {
        query("SELECT * FROM identifier WHERE account = ?1 ORDER BY kind DESC")
            .bind(account.as_str())
            .fetch_all(&self.reader)
            .await?
            .iter()
            .map(identifier)
            .collect()
    }

    async fn identifier_put(&self, change: &IdentifierChange, now: u64) -> Stored<IdentifierPut> {
        let mut tx = self.begin().await?;
        if !consume(&mut tx, &change.challenge, now).await? {
            return Ok(IdentifierPut::ChallengeUsed);
        }
        let (account, new) = (change.account.as_str(), &change.new);
        let taken = query("SELECT 1 FROM identifier WHERE lookup = ?1 AND account <> ?2")
            .bind(&new.lookup)
            .bind(account)
            .fetch_optional(&mut *tx)
            .await?;
        if taken.is_some() {
            // The challenge is used up all the same: it has told what it can.
            tx.commit().await?;
            return Ok(IdentifierPut::Taken);
        }
        query(
            "INSERT INTO identifier
             (account, kind, value_enc, lookup, verified_at, method, held_until)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (account, kind) DO UPDATE SET
                 value_enc = excluded.value_enc, lookup = excluded.lookup,
                 verified_at = excluded.verified_at, method = excluded.method,
                 held_until = excluded.held_until",
        )
        .bind(account)
        .bind(new.kind.as_str())
        .bind(&new.value_enc)
        .bind(&new.lookup)
        .bind(int(now))
        .bind(new.method)
        .bind(int(new.held_until))
        .execute(&mut *tx)
        .await?;
        log(&mut tx, account, "identifier.changed", new.kind.as_str(), now).await?;
        enqueue(&mut tx, "in_app", "identifier_changed", new.kind.as_str(), Some(account), now)
            .await?;
        tell(&mut tx, account, &change.notices, now).await?;
        tx.commit().await?;
        Ok(IdentifierPut::Done)
    }

    async fn identifier_remove(
        &self,
        account: &AccountId,
        kind: IdentifierKind,
        notices: &[NewNotice],
        now: u64,
    ) -> Stored<IdentifierRemoved> {
        let mut tx = self.begin().await?;
        let kinds = query("SELECT kind FROM identifier WHERE account = ?1")
            .bind(account.as_str())
            .fetch_all(&mut *tx)
            .await?;
        let kinds: Vec<_> = kinds.iter().map(|row| row.text("kind")).collect::<Stored<_>>()?;
        if !kinds.iter().any(|known| known == kind.as_str()) {
            return Ok(IdentifierRemoved::Unknown);
        }
        if kinds.len() < 2 {
            return Ok(IdentifierRemoved::Last);
        }
        query("DELETE FROM identifier WHERE account = ?1 AND kind = ?2")
            .bind(account.as_str())
            .bind(kind.as_str())
            .execute(&mut *tx)
            .await?;
        log(&mut tx, account.as_str(), "identifier.removed", kind.as_str(), now).await?;
        let (channel, owner) = ("in_app", Some(account.as_str()));
        enqueue(&mut tx, channel, "identifier_removed", kind.as_str(), owner, now).await?;
        tell(&mut tx, account.as_str(), notices, now).await?;
        tx.commit().await?;
        Ok(IdentifierRemoved::Done)
    }

    async fn password(&self, account: &AccountId) -> Stored<Option<StoredPassword>> {
        query("SELECT * FROM password WHERE account = ?1")
            .bind(account.as_str())
            .fetch_optional(&self.reader)
            .await?
            .as_ref()
            .map(password)
            .transpose()
    }

    async fn password_put(&self, new: &NewPassword, now: u64) -> Stored<PasswordPut> {
        let mut tx = self.begin().await?;
        if let Some(challenge) = &new.challenge
            && !consume(&mut tx, challenge, now).await?
        {
            return Ok(PasswordPut::ChallengeUsed);
        }
        let account = new.account.as_str();
        query(
            "INSERT INTO password (account, phc, alone, changed_at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (account) DO UPDATE SET
                 phc = excluded.phc, alone = excluded.alone, changed_at = excluded.changed_at",
        )
        .bind(account)
        .bind(&new.phc)
        .bind(i64::from(new.alone))
        .bind(int(now))
        .execute(&mut *tx)
        .await?;
        if new.keep.is_none() {
            remember_signed_in(&mut tx, account, now).await?;
        }
        let ended = end_all_but(&mut tx, account, new, now).await?;
        let how = if new.challenge.is_some() { "password.reset" } else { "password.changed" };
        log(&mut tx, account, how, "", now).await?;
        enqueue(&mut tx, "in_app", "password_changed", "", Some(account), now).await?;
        tell(&mut tx, account, &new.notices, now).await?;
        tx.commit().await?;
        Ok(PasswordPut::Done(ended))
    }

    async fn password_rehash(&self, account: &AccountId, old: &str, new: &str) -> Stored<()> {
        query("UPDATE password SET phc = ?3 WHERE account = ?1 AND phc = ?2")
            .bind(account.as_str())
            .bind(old)
            .bind(new)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    async fn guess_count(
        &self,
        kind: GuessKind,
        key: &[u8],
        hourly: &[Window],
        now: u64,
    ) -> Stored<Guess> {
        guess::count(self, kind, key, hourly, now).await
    }

    async fn guess_right(&self, kind: GuessKind, key: &[u8]) -> Stored<()> {
        guess::right(self, kind, key).await
    }

    async fn secure_open(&self, window: &SecureWindow, now: u64) -> Stored<bool> {
        let mut tx = self.begin().await?;
        if let Some(challenge) = &window.challenge
            && !consume(&mut tx, challenge, now).await?
        {
            return Ok(false);
        }
        let opened = query(
            "INSERT INTO secure_window (session, method, opened_at, expires)
             SELECT id, ?2, ?3, ?4 FROM session WHERE id = ?1 AND revoked_at IS NULL
             ON CONFLICT (session) DO UPDATE SET method = excluded.method,
                 opened_at = excluded.opened_at, expires = excluded.expires",
        )
        .bind(window.session.as_str())
        .bind(window.method)
        .bind(int(now))
        .bind(int(window.expires))
        .execute(&mut *tx)
        .await?;
        if opened.rows_affected() == 0 {
            return Ok(false);
        }
        log(&mut tx, window.account.as_str(), "account.confirmed", window.method, now).await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn secure_until(&self, session: &SessionId, now: u64) -> Stored<Option<u64>> {
        let row = query(
            "SELECT w.expires FROM secure_window w JOIN session s ON s.id = w.session
             WHERE w.session = ?1 AND w.expires > ?2 AND s.revoked_at IS NULL",
        )
        .bind(session.as_str())
        .bind(int(now))
        .fetch_optional(&self.reader)
        .await?;
        row.map(|row| row.num("expires")).transpose()
    }

    async fn notice(&self, id: &str) -> Stored<Option<Notice>> {
        let row = query("SELECT kind, address_enc FROM notice WHERE id = ?1")
            .bind(id)
            .fetch_optional(&self.reader)
            .await?;
        row.map(|row| Ok(Notice { kind: row.text("kind")?, address_enc: row.blob("address_enc")? }))
            .transpose()
    }
}

/// Marks the terminals that are signed in, before a reset ends their logins: whoever reads the owner's
/// messages would otherwise clear away by it those that an unusual login has to wait for.
async fn remember_signed_in(
    connection: &mut SqliteConnection,
    account: &str,
    now: u64,
) -> Stored<()> {
    query(
        "UPDATE terminal SET reset_until = ?2
         WHERE account = ?1 AND revoked_at IS NULL AND app IS NULL AND id IN (
             SELECT s.terminal FROM session s WHERE s.account = ?1 AND s.app IS NULL
             AND s.revoked_at IS NULL AND s.idle_expires > ?3 AND s.abs_expires > ?3)",
    )
    .bind(account)
    .bind(int(now + RESET_HOLD_SECS))
    .bind(int(now))
    .execute(connection)
    .await?;
    Ok(())
}

/// Ends the logins of an account but the one that stays, and returns them. Terminals other than that
/// one's, or the one that a reset was made on, are known no more: one of them may be a thief's.
async fn end_all_but(
    connection: &mut SqliteConnection,
    account: &str,
    new: &NewPassword,
    now: u64,
) -> Stored<Vec<SessionId>> {
    let keep = new.keep.as_ref().map(SessionId::as_str);
    let open =
        query("SELECT id FROM session WHERE account = ?1 AND revoked_at IS NULL AND id IS NOT ?2")
            .bind(account)
            .bind(keep)
            .fetch_all(&mut *connection)
            .await?;
    let ended = revoke_all(connection, &open, now).await?;
    query(
        "UPDATE terminal SET revoked_at = ?3
         WHERE account = ?1 AND revoked_at IS NULL AND app IS NULL
         AND id IS NOT (SELECT s.terminal FROM session s WHERE s.id = ?2) AND jkt IS NOT ?4",
    )
    .bind(account)
    .bind(keep)
    .bind(int(now))
    .bind(new.terminal.map(|terminal| terminal.to_string()))
    .execute(connection)
    .await?;
    Ok(ended)
}

/// Keeps the notices and puts them into the outbox.
pub(super) async fn tell(
    connection: &mut SqliteConnection,
    account: &str,
    notices: &[NewNotice],
    now: u64,
) -> Stored<()> {
    for notice in notices {
        query(
            "INSERT INTO notice (id, account, kind, address_kind, address_enc, expires)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )
        .bind(&notice.id)
        .bind(account)
        .bind(notice.kind)
        .bind(notice.address_kind.as_str())
        .bind(&notice.address_enc)
        .bind(int(notice.expires))
        .execute(&mut *connection)
        .await?;
        let channel = notice.address_kind.channel();
        enqueue(connection, channel, "notice", &notice.id, Some(account), now).await?;
    }
    Ok(())
}

fn identifier(row: &SqliteRow) -> Stored<Identifier> {
    let kind = IdentifierKind::parse(&row.text("kind")?);
    Ok(Identifier {
        kind: kind.ok_or(StoreError::Inconsistent("an identifier's kind"))?,
        value_enc: row.blob("value_enc")?,
        verified_at: row.num("verified_at")?,
        method: row.text("method")?,
        held_until: row.num("held_until")?,
    })
}

fn password(row: &SqliteRow) -> Stored<StoredPassword> {
    Ok(StoredPassword {
        phc: row.text("phc")?,
        alone: row.num("alone")? == 1,
        changed_at: row.num("changed_at")?,
    })
}
