//! The consent chain.

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{SqliteConnection, query};

use super::SqliteStore;
use super::profile::forget;
use super::row::{Columns, int, log};
use super::sso;
use crate::consent::{ACCOUNT, chain};
use crate::ids::{AccountId, SessionId};
use crate::storage::account::PolicyStore;
use crate::storage::model::{ConsentAct, ConsentAppended, ConsentEvent, ConsentState, PolicyMark};
use crate::storage::{ConsentStore, StoreError, Stored};

/// Finds an account in basic mode: its holder does not agree to a purpose, in no product.
const NOT_AGREED: &str = "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM consent_state
     WHERE account = ?1 AND purpose = ?2 AND granted = 1)";

#[async_trait]
impl ConsentStore for SqliteStore {
    async fn consent_append(&self, act: &ConsentAct, now: u64) -> Stored<ConsentAppended> {
        let mut tx = self.begin().await?;
        let appended = append(&mut tx, act, now).await?;
        tx.commit().await?;
        Ok(appended)
    }

    async fn consents(&self, account: &AccountId) -> Stored<Vec<ConsentState>> {
        let rows =
            query("SELECT * FROM consent_state WHERE account = ?1 ORDER BY purpose, product")
                .bind(account.as_str())
                .fetch_all(&self.reader)
                .await?;
        rows.iter()
            .map(|row| {
                Ok(ConsentState {
                    purpose: row.text("purpose")?,
                    policy: mark(row)?,
                    version: version(row)?,
                    granted: row.num("granted")? == 1,
                    seq: row.num("seq")?,
                    at: row.num("at")?,
                })
            })
            .collect()
    }

    async fn consent_events(&self, after: u64, limit: u64) -> Stored<Vec<ConsentEvent>> {
        let rows = query("SELECT * FROM consent_event WHERE seq > ?1 ORDER BY seq LIMIT ?2")
            .bind(int(after))
            .bind(int(limit))
            .fetch_all(&self.reader)
            .await?;
        rows.iter()
            .map(|row| {
                Ok(ConsentEvent {
                    seq: row.num("seq")?,
                    subject: row.text("subject")?,
                    purpose: row.text("purpose")?,
                    version: version(row)?,
                    policy: mark(row)?,
                    granted: row.text("decision")? == "granted",
                    terminal: row.text("terminal")?,
                    at: row.num("at")?,
                    prev_hash: row.blob("prev_hash")?,
                    hash: row.blob("hash")?,
                })
            })
            .collect()
    }
}

#[async_trait]
impl PolicyStore for SqliteStore {
    async fn basic_mode(&self, account: &AccountId, purpose: &'static str) -> Stored<bool> {
        let row = query(NOT_AGREED)
            .bind(account.as_str())
            .bind(purpose)
            .fetch_optional(&self.reader)
            .await?;
        Ok(row.is_some())
    }

    async fn policy_withdraw(
        &self,
        policy: &ConsentAct,
        now: u64,
    ) -> Stored<(ConsentAppended, Vec<SessionId>)> {
        let mut tx = self.begin().await?;
        let granted = query(
            "SELECT purpose, max(version) AS version FROM consent_state
             WHERE account = ?1 AND granted = 1 AND purpose <> ?2
             GROUP BY purpose ORDER BY purpose",
        )
        .bind(policy.account.as_str())
        .bind(&policy.purpose)
        .fetch_all(&mut *tx)
        .await?;
        for row in &granted {
            let (purpose, version) = (row.text("purpose")?, version(row)?);
            let act = ConsentAct { purpose, version, granted: false, ..policy.clone() };
            append(&mut tx, &act, now).await?;
        }
        let policy = ConsentAct { granted: false, ..policy.clone() };
        let appended = append(&mut tx, &policy, now).await?;
        let ended = sso::take_off_all(&mut tx, &policy.account, now).await?;
        tx.commit().await?;
        Ok((appended, ended))
    }
}

/// Whether an account is in basic mode, as of the transaction that asks.
pub(super) async fn in_basic_mode(
    connection: &mut SqliteConnection,
    account: &AccountId,
) -> Stored<bool> {
    let row = query(NOT_AGREED)
        .bind(account.as_str())
        .bind(ACCOUNT.id)
        .fetch_optional(connection)
        .await?;
    Ok(row.is_some())
}

/// Appends one decision to the chain, with the state that follows from it.
pub(super) async fn append(
    connection: &mut SqliteConnection,
    act: &ConsentAct,
    now: u64,
) -> Stored<ConsentAppended> {
    let last = query("SELECT seq, hash FROM consent_event ORDER BY seq DESC LIMIT 1")
        .fetch_optional(&mut *connection)
        .await?;
    let (seq, prev_hash) = match last {
        Some(row) => (row.num("seq")? + 1, row.blob("hash")?),
        None => (1, chain::START.to_vec()),
    };
    let mut event = ConsentEvent {
        seq,
        subject: act.subject.0.clone(),
        purpose: act.purpose.clone(),
        version: act.version,
        policy: act.policy.clone(),
        granted: act.granted,
        terminal: act.terminal.0.clone(),
        at: now,
        prev_hash,
        hash: Vec::new(),
    };
    event.hash = chain::link(&event).to_vec();
    insert(connection, &event).await?;
    let (product, policy) = texts(act.policy.as_ref());
    query(
        "INSERT OR REPLACE INTO consent_state
         (account, purpose, product, policy, version, granted, seq, at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )
    .bind(act.account.as_str())
    .bind(&act.purpose)
    .bind(product)
    .bind(policy)
    .bind(i64::from(act.version))
    .bind(act.granted)
    .bind(int(seq))
    .bind(int(now))
    .execute(&mut *connection)
    .await?;
    if !act.granted {
        // Whoever takes a consent back takes it back whatever the product that it was given to.
        query(
            "UPDATE consent_state SET granted = 0, seq = ?3, at = ?4
             WHERE account = ?1 AND purpose = ?2",
        )
        .bind(act.account.as_str())
        .bind(&act.purpose)
        .bind(int(seq))
        .bind(int(now))
        .execute(&mut *connection)
        .await?;
    }
    let epoch = query(
        "UPDATE account SET consent_epoch = consent_epoch + ?2
         WHERE id = ?1 AND status = 'active' RETURNING consent_epoch",
    )
    .bind(act.account.as_str())
    .bind(i64::from(!act.granted))
    .fetch_optional(&mut *connection)
    .await?
    .ok_or(StoreError::Inconsistent("a consent without an account"))?
    .num("consent_epoch")?;
    let action = if act.granted { "consent.granted" } else { "consent.withdrawn" };
    log(connection, act.account.as_str(), action, &act.purpose, now).await?;
    if !act.granted {
        forget(connection, &act.purpose, act.account.as_str()).await?;
        super::device_facts::forget_purpose(connection, &act.account, &act.purpose).await?;
    }
    Ok(ConsentAppended { seq, epoch })
}

/// Adds a link to the chain.
pub(super) async fn insert(connection: &mut SqliteConnection, event: &ConsentEvent) -> Stored<()> {
    let decision = if event.granted { "granted" } else { "withdrawn" };
    let (product, policy) = texts(event.policy.as_ref());
    query(
        "INSERT INTO consent_event
         (seq, subject, purpose, version, decision, terminal, at, prev_hash, hash, product, policy)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )
    .bind(int(event.seq))
    .bind(&event.subject)
    .bind(&event.purpose)
    .bind(i64::from(event.version))
    .bind(decision)
    .bind(&event.terminal)
    .bind(int(event.at))
    .bind(&event.prev_hash)
    .bind(&event.hash)
    .bind(product)
    .bind(policy)
    .execute(connection)
    .await?;
    Ok(())
}

/// Product and id of a policy; empty for the general one.
fn texts(mark: Option<&PolicyMark>) -> (&str, &str) {
    mark.map_or(("", ""), |mark| (&mark.product, &mark.policy))
}

fn mark(row: &SqliteRow) -> Stored<Option<PolicyMark>> {
    let (product, policy) = (row.text("product")?, row.text("policy")?);
    Ok((!policy.is_empty()).then_some(PolicyMark { product, policy }))
}

fn version(row: &SqliteRow) -> Stored<u32> {
    u32::try_from(row.num("version")?).map_err(|_| StoreError::Inconsistent("a version"))
}
