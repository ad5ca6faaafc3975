//! Accounts.

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{SqliteConnection, query};

use super::SqliteStore;
use super::device::release;
use super::identity;
use super::row::{Columns, int, log};
use super::share;
use crate::ids::{AccountId, Serial, SessionId, Subject};
use crate::storage::model::{Account, Erased};
use crate::storage::{AccountStore, StoreError, Stored};

#[async_trait]
impl AccountStore for SqliteStore {
    async fn account_by_lookup(&self, lookup: &[u8]) -> Stored<Option<Account>> {
        query(
            "SELECT a.*, k.wrapped FROM account a
             JOIN subject_key k ON k.account = a.id
             JOIN identifier i ON i.account = a.id
             WHERE i.lookup = ?1 AND a.status = 'active'",
        )
        .bind(lookup)
        .fetch_optional(&self.reader)
        .await?
        .as_ref()
        .map(account)
        .transpose()
    }

    async fn account(&self, id: &AccountId) -> Stored<Option<Account>> {
        query(
            "SELECT a.*, k.wrapped FROM account a
             JOIN subject_key k ON k.account = a.id
             WHERE a.id = ?1 AND a.status = 'active'",
        )
        .bind(id.as_str())
        .fetch_optional(&self.reader)
        .await?
        .as_ref()
        .map(account)
        .transpose()
    }

    async fn accounts(&self) -> Stored<Vec<Account>> {
        query(
            "SELECT a.*, k.wrapped FROM account a
             JOIN subject_key k ON k.account = a.id
             WHERE a.status = 'active' ORDER BY a.created_at, a.id",
        )
        .fetch_all(&self.reader)
        .await?
        .iter()
        .map(account)
        .collect()
    }

    async fn account_erase(&self, id: &AccountId, now: u64) -> Stored<Option<Erased>> {
        let mut tx = self.begin().await?;
        let Some(erased) = erase(&mut tx, id, now).await? else { return Ok(None) };
        tx.commit().await?;
        // Takes the old pages out of the log file too; a busy reader only delays it.
        query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&self.writer).await?;
        Ok(Some(erased))
    }
}

/// Ends an account with everything that is personal about it.
pub(super) async fn erase(
    connection: &mut SqliteConnection,
    id: &AccountId,
    now: u64,
) -> Stored<Option<Erased>> {
    let row = query(
        "UPDATE account SET status = 'erased', erased_at = ?2, consent_epoch = consent_epoch + 1
         WHERE id = ?1 AND status = 'active' RETURNING subject, consent_epoch",
    )
    .bind(id.as_str())
    .bind(int(now))
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let sessions = query(
        "UPDATE session SET revoked_at = ?2 WHERE account = ?1 AND revoked_at IS NULL
         RETURNING id",
    )
    .bind(id.as_str())
    .bind(int(now))
    .fetch_all(&mut *connection)
    .await?;
    let sessions: Stored<Vec<_>> =
        sessions.iter().map(|row| row.text("id").map(SessionId)).collect();
    super::sso::end_of_account(connection, id, now).await?;
    let bound = query("SELECT serial FROM binding WHERE account = ?1 AND unbound_at IS NULL")
        .bind(id.as_str())
        .fetch_all(&mut *connection)
        .await?;
    let mut devices = Vec::new();
    for row in bound {
        let serial = Serial(row.text("serial")?);
        let epochs = release(connection, &serial, now).await?;
        devices.push((serial, epochs));
    }
    share::leave_all(connection, id, now).await?;
    log(connection, id.as_str(), "account.erased", "", now).await?;
    identity::erase(connection, id, now).await?;
    for statement in ERASE {
        query(*statement).bind(id.as_str()).execute(&mut *connection).await?;
    }
    Ok(Some(Erased {
        subject: Subject(row.text("subject")?),
        sessions: sessions?,
        devices,
        consent_epoch: row.num("consent_epoch")?,
    }))
}

/// What goes with a person, in the order of the references.
const ERASE: &[&str] = &[
    "DELETE FROM subject_key WHERE account = ?1",
    "DELETE FROM identifier WHERE account = ?1",
    "DELETE FROM password WHERE account = ?1",
    "DELETE FROM passkey WHERE account = ?1",
    "DELETE FROM passkey_challenge WHERE account = ?1",
    "DELETE FROM notice WHERE account = ?1",
    "DELETE FROM access_token WHERE session IN (SELECT id FROM session WHERE account = ?1)",
    "DELETE FROM refresh_token WHERE family IN (SELECT id FROM session WHERE account = ?1)",
    "DELETE FROM step_up WHERE session IN (SELECT id FROM session WHERE account = ?1)",
    "DELETE FROM key_challenge WHERE session IN (SELECT id FROM session WHERE account = ?1)",
    "DELETE FROM key_proof WHERE session IN (SELECT id FROM session WHERE account = ?1)",
    "DELETE FROM introduction WHERE guest_account = ?1 OR owner_account = ?1",
    "DELETE FROM bind_token WHERE account = ?1",
    "DELETE FROM device_code WHERE account = ?1",
    "DELETE FROM device_fact WHERE account = ?1",
    "DELETE FROM provisioning WHERE account = ?1",
    "DELETE FROM identity_flow WHERE session IN (SELECT id FROM session WHERE account = ?1)",
    "DELETE FROM sso_token WHERE granted IN (SELECT id FROM sso_grant WHERE account = ?1)",
    "DELETE FROM sso_grant WHERE account = ?1",
    "DELETE FROM sso_code WHERE account = ?1",
    "DELETE FROM sso_consent WHERE account = ?1",
    "DELETE FROM session WHERE account = ?1",
    "DELETE FROM terminal_detail
     WHERE terminal IN (SELECT id FROM terminal WHERE account = ?1)",
    "DELETE FROM terminal WHERE account = ?1",
    "DELETE FROM profile WHERE account = ?1",
    "DELETE FROM avatar WHERE account = ?1",
    "DELETE FROM suspended_binding WHERE account = ?1",
    "DELETE FROM otp_challenge WHERE account = ?1",
    "DELETE FROM consent_state WHERE account = ?1",
    "DELETE FROM message WHERE account = ?1",
    "DELETE FROM idempotency WHERE account = ?1",
    "DELETE FROM outbox WHERE account = ?1",
    "DELETE FROM media_audit WHERE account = ?1",
    "DELETE FROM login_seen WHERE account = ?1",
    "DELETE FROM login_alert WHERE account = ?1",
];

pub(super) fn account(row: &SqliteRow) -> Result<Account, StoreError> {
    Ok(Account {
        id: AccountId(row.text("id")?),
        subject: Subject(row.text("subject")?),
        wrapped_key: row.blob("wrapped")?,
        consent_epoch: row.num("consent_epoch")?,
        created_at: row.num("created_at")?,
    })
}
