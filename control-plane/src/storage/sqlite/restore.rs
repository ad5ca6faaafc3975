//! What a backup's rows become when it is put back; `crate::restore` says why.

use std::collections::BTreeSet;

use async_trait::async_trait;
use sqlx::{SqliteConnection, query, query_scalar};

use super::SqliteStore;
use super::account::erase;
use super::device::{Word, release};
use super::identity;
use super::row::{Columns, enqueue, epochs, int, log, raise};
use crate::consent::ACCOUNT;
use crate::consent::chain::{self, RESTORED};
use crate::device::DeviceKnown;
use crate::ids::{AccountId, Serial};
use crate::restore::Restored;
use crate::storage::Stored;
use crate::storage::model::{ConsentEvent, DeviceEpochs};
use crate::storage::restore::RestoreStore;

/// What becomes of a table's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// They stay: what they say was true and still is, or lets nobody in.
    Kept,
    /// They go: what they allow may have been taken back.
    Cleared,
    /// [`SqliteStore::after_restore`] goes through them.
    Handled,
}

/// Every table. A test fails on one that is missing here.
pub(crate) const FATES: &[(&str, Fate)] = &[
    ("access_token", Fate::Cleared),
    ("account", Fate::Handled),
    ("app_version", Fate::Kept),
    ("attestation", Fate::Kept),
    ("avatar", Fate::Kept),
    ("bind_token", Fate::Cleared),
    ("binding", Fate::Handled),
    // The carrier takes each once, too.
    ("carrier_token", Fate::Kept),
    ("consent_event", Fate::Handled),
    ("consent_state", Fate::Handled),
    ("device", Fate::Kept),
    ("device_code", Fate::Cleared),
    ("device_epoch", Fate::Handled),
    // Under the owner's key, and shown under a binding only.
    ("device_fact", Fate::Kept),
    ("enc_mode_event", Fate::Kept),
    // Ciphertext of a binding: served under it only, and only once the camera has confirmed it.
    ("generation", Fate::Kept),
    ("generation_last", Fate::Kept),
    ("generation_wrap", Fate::Kept),
    ("guess_budget", Fate::Kept),
    // Answers may name what is over.
    ("idempotency", Fate::Cleared),
    ("identifier", Fate::Kept),
    ("identity", Fate::Handled),
    ("identity_flow", Fate::Cleared),
    // What was to be taken back still is; a second time does no harm.
    ("identity_revocation", Fate::Kept),
    ("introduction", Fate::Cleared),
    ("key_challenge", Fate::Cleared),
    ("key_lock", Fate::Kept),
    ("key_proof", Fate::Cleared),
    ("key_verifier", Fate::Kept),
    ("login_alert", Fate::Kept),
    ("login_seen", Fate::Kept),
    ("media_audit", Fate::Kept),
    ("message", Fate::Kept),
    ("notice", Fate::Kept),
    ("oplog", Fate::Kept),
    ("oplog_floor", Fate::Kept),
    ("otp_challenge", Fate::Cleared),
    ("otp_ledger", Fate::Kept),
    ("outbox", Fate::Kept),
    // One that was removed must not come back; a code leads in, and to new ones.
    ("passkey", Fate::Cleared),
    ("passkey_challenge", Fate::Cleared),
    // One that leaked and was changed must not come back; a code leads to a new one.
    ("password", Fate::Cleared),
    // The operator's words; what was agreed to under them is to be given again.
    ("product_policy", Fate::Kept),
    ("profile", Fate::Kept),
    ("provisioning", Fate::Cleared),
    ("refresh_token", Fate::Cleared),
    ("restored", Fate::Handled),
    ("sealing_order", Fate::Kept),
    ("secure_window", Fate::Cleared),
    ("session", Fate::Handled),
    // The owner's to give again: whoever was to see no more must not come back.
    ("share", Fate::Cleared),
    ("share_attestation", Fate::Kept),
    ("share_number", Fate::Handled),
    ("sms_bucket", Fate::Kept),
    ("sms_decision", Fate::Kept),
    ("sms_pair", Fate::Kept),
    // Secrets go, and apps without one are suspended; see `end_what_may_be_over`.
    ("sso_app", Fate::Handled),
    ("sso_code", Fate::Cleared),
    ("sso_consent", Fate::Cleared),
    ("sso_grant", Fate::Cleared),
    // One that leaked and was replaced must not sign again; the next start makes another.
    ("sso_key", Fate::Cleared),
    // It ends what is over in any case.
    ("sso_logout", Fate::Kept),
    ("sso_token", Fate::Cleared),
    ("step_up", Fate::Cleared),
    ("subject_key", Fate::Kept),
    ("suspended_binding", Fate::Handled),
    ("terminal", Fate::Kept),
    ("terminal_detail", Fate::Kept),
    ("viewer_list", Fate::Kept),
];

impl SqliteStore {
    /// Makes a joined backup fit to be served. `unbound`: identities that were taken off after it.
    /// `unchanged`: nothing was lost but erasures and unbindings.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn after_restore(
        &self,
        erased: &BTreeSet<AccountId>,
        unbound: &BTreeSet<String>,
        unchanged: bool,
        now: u64,
    ) -> Stored<Restored> {
        let mut done = Restored::default();
        let mut tx = self.begin().await?;
        let active = query(
            "SELECT a.id, k.wrapped IS NULL AS keyless FROM account a
             LEFT JOIN subject_key k ON k.account = a.id WHERE a.status = 'active'",
        )
        .fetch_all(&mut *tx)
        .await?;
        for row in &active {
            let id = AccountId(row.text("id")?);
            if row.num("keyless")? == 1 || erased.contains(&id) {
                done.erased += u64::from(erase(&mut tx, &id, now).await?.is_some());
            }
        }
        identity::unbound_before(&mut tx, unbound, now).await?;
        if !unchanged {
            query("INSERT INTO restored (at) VALUES (?1)").bind(int(now)).execute(&mut *tx).await?;
            end_what_may_be_over(&mut tx, now).await?;
            identity::suspend(&mut tx, now).await?;
            raise_counters(&mut tx, now).await?;
            (done.suspended, done.released) = end_bindings(&mut tx, now).await?;
        }
        tx.commit().await?;
        query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&self.writer).await?;
        Ok(done)
    }
}

async fn end_what_may_be_over(connection: &mut SqliteConnection, now: u64) -> Stored<()> {
    for (table, _) in FATES.iter().filter(|(_, fate)| *fate == Fate::Cleared) {
        let statement = format!("DELETE FROM {table}");
        query(sqlx::AssertSqlSafe(statement)).execute(&mut *connection).await?;
    }
    // Like passwords: one that leaked and was changed must not come back.
    query("UPDATE sso_app SET secret_hash = NULL").execute(&mut *connection).await?;
    // An app that was removed must not come back, and one without a secret has none to lose.
    query("UPDATE sso_app SET suspended_at = ?1 WHERE confidential = 0")
        .bind(int(now))
        .execute(&mut *connection)
        .await?;
    query("UPDATE session SET revoked_at = ?1 WHERE revoked_at IS NULL")
        .bind(int(now))
        .execute(&mut *connection)
        .await?;
    query("UPDATE consent_state SET granted = 0 WHERE granted = 1 AND purpose <> ?1")
        .bind(ACCOUNT.id)
        .execute(connection)
        .await?;
    Ok(())
}

async fn raise_counters(connection: &mut SqliteConnection, now: u64) -> Stored<()> {
    query("UPDATE account SET consent_epoch = max(consent_epoch + 1, ?1)")
        .bind(int(now))
        .execute(&mut *connection)
        .await?;
    query("UPDATE share_number SET last = max(last + 1, ?1)")
        .bind(int(now))
        .execute(&mut *connection)
        .await?;
    // Numbers that SQLite gives: those of proofs above all.
    let numbered =
        query("SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE '%AUTOINCREMENT%'")
            .fetch_all(&mut *connection)
            .await?;
    for row in numbered {
        let name = row.text("name")?;
        let raised = query("UPDATE sqlite_sequence SET seq = max(seq + 1, ?2) WHERE name = ?1")
            .bind(&name)
            .bind(int(now))
            .execute(&mut *connection)
            .await?;
        if raised.rows_affected() == 0 {
            query("INSERT INTO sqlite_sequence (name, seq) VALUES (?1, ?2)")
                .bind(&name)
                .bind(int(now))
                .execute(&mut *connection)
                .await?;
        }
    }
    mark_chain(connection, now).await
}

/// The chain goes on with a link that says that some are lost, and from a number above theirs.
async fn mark_chain(connection: &mut SqliteConnection, now: u64) -> Stored<()> {
    let last = query("SELECT seq, hash FROM consent_event ORDER BY seq DESC LIMIT 1")
        .fetch_optional(&mut *connection)
        .await?;
    let (seq, prev_hash) = match last {
        Some(row) => (row.num("seq")?, row.blob("hash")?),
        None => (0, chain::START.to_vec()),
    };
    let mut event = ConsentEvent {
        seq: now.max(seq + 1),
        subject: RESTORED.into(),
        purpose: RESTORED.into(),
        version: 1,
        policy: None,
        granted: false,
        terminal: RESTORED.into(),
        at: now,
        prev_hash,
        hash: Vec::new(),
    };
    event.hash = chain::link(&event).to_vec();
    super::consent::insert(connection, &event).await
}

/// Suspends the bindings of cameras that can speak for themselves, and ends the others. How many.
async fn end_bindings(connection: &mut SqliteConnection, now: u64) -> Stored<(u64, u64)> {
    let suspended = query(
        "INSERT OR REPLACE INTO suspended_binding (serial, account, epoch, bound_at)
         SELECT b.serial, b.account, b.epoch, b.bound_at FROM binding b
         JOIN device d ON d.serial = b.serial
         WHERE b.unbound_at IS NULL AND d.identity IS NOT NULL",
    )
    .execute(&mut *connection)
    .await?
    .rows_affected();
    query(
        "DELETE FROM binding WHERE unbound_at IS NULL
         AND serial IN (SELECT serial FROM suspended_binding)",
    )
    .execute(&mut *connection)
    .await?;
    let rows = query("SELECT serial FROM binding WHERE unbound_at IS NULL")
        .fetch_all(&mut *connection)
        .await?;
    for row in &rows {
        release(connection, &Serial(row.text("serial")?), now).await?;
    }
    Ok((suspended, rows.len() as u64))
}

/// Whether an account may bind a device as far as suspended bindings go. Until the camera has spoken
/// only the account of the backup may, on the camera's or the operator's word, and then the suspended
/// one is over. The printed code is not enough: that account may have given the camera away since.
pub(super) async fn may_bind(
    connection: &mut SqliteConnection,
    serial: &Serial,
    account: &AccountId,
    word: Word,
) -> Stored<bool> {
    let held = query("SELECT account FROM suspended_binding WHERE serial = ?1")
        .bind(serial.as_str())
        .fetch_optional(&mut *connection)
        .await?;
    let Some(held) = held else { return Ok(true) };
    if word == Word::Print || held.text("account")? != account.as_str() {
        return Ok(false);
    }
    query("DELETE FROM suspended_binding WHERE serial = ?1")
        .bind(serial.as_str())
        .execute(connection)
        .await?;
    Ok(true)
}

/// Whether the binding of a device waits for its camera's word.
pub(super) async fn is_suspended(
    connection: &mut SqliteConnection,
    serial: &Serial,
) -> Stored<bool> {
    let held = query("SELECT 1 FROM suspended_binding WHERE serial = ?1")
        .bind(serial.as_str())
        .fetch_optional(connection)
        .await?;
    Ok(held.is_some())
}

#[async_trait]
impl RestoreStore for SqliteStore {
    async fn binding_settle(
        &self,
        serial: &Serial,
        known: DeviceKnown,
        now: u64,
    ) -> Stored<Option<DeviceEpochs>> {
        let mut reader = self.reader.acquire().await?;
        if !is_suspended(&mut reader, serial).await? {
            return Ok(None);
        }
        drop(reader);
        let mut tx = self.begin().await?;
        let settled = settle(&mut tx, serial, known, now).await?;
        tx.commit().await?;
        Ok(settled)
    }
}

async fn settle(
    connection: &mut SqliteConnection,
    serial: &Serial,
    known: DeviceKnown,
    now: u64,
) -> Stored<Option<DeviceEpochs>> {
    let row = query("SELECT * FROM suspended_binding WHERE serial = ?1")
        .bind(serial.as_str())
        .fetch_optional(&mut *connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let (epoch, account) = (row.num("epoch")?, row.text("account")?);
    if known.epochs.binding < epoch {
        // It has lost its memory: its owner adds it again by a user token that it presents, or the
        // operator says whose it is.
        return Ok(None);
    }
    query("DELETE FROM suspended_binding WHERE serial = ?1")
        .bind(serial.as_str())
        .execute(&mut *connection)
        .await?;
    if known.epochs.binding == epoch {
        query("INSERT INTO binding (serial, account, epoch, bound_at) VALUES (?1, ?2, ?3, ?4)")
            .bind(serial.as_str())
            .bind(&account)
            .bind(int(epoch))
            .bind(int(row.num("bound_at")?))
            .execute(&mut *connection)
            .await?;
        drop_outdated(connection, serial, known).await?;
        log(connection, &account, "device.confirmed", serial.as_str(), now).await?;
        enqueue(connection, "in_app", "device_confirmed", serial.as_str(), Some(&account), now)
            .await?;
    } else {
        release(connection, serial, now).await?;
        log(connection, &account, "device.unbound", serial.as_str(), now).await?;
    }
    Ok(Some(epochs(connection, serial.as_str()).await?))
}

/// Of a confirmed binding, what the camera knows a later state of is forgotten: its key, the list of
/// viewers and the order on sealing are its owner's to give again.
async fn drop_outdated(
    connection: &mut SqliteConnection,
    serial: &Serial,
    known: DeviceKnown,
) -> Stored<()> {
    let held: i64 = query_scalar("SELECT key_epoch FROM device_epoch WHERE serial = ?1")
        .bind(serial.as_str())
        .fetch_one(&mut *connection)
        .await?;
    let other_key = int(known.epochs.key) != held;
    if other_key {
        query("DELETE FROM key_verifier WHERE serial = ?1")
            .bind(serial.as_str())
            .execute(&mut *connection)
            .await?;
        raise(connection, serial.as_str(), 0, 1).await?;
    }
    query("DELETE FROM viewer_list WHERE serial = ?1 AND (?2 OR version <> ?3)")
        .bind(serial.as_str())
        .bind(other_key)
        .bind(int(known.list_version))
        .execute(&mut *connection)
        .await?;
    query("DELETE FROM sealing_order WHERE serial = ?1 AND (?2 OR sequence <> ?3)")
        .bind(serial.as_str())
        .bind(other_key)
        .bind(int(known.enc_sequence.unwrap_or(0)))
        .execute(connection)
        .await?;
    Ok(())
}
