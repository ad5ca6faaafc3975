//! The gate's reads.

use std::sync::atomic::Ordering;

use async_trait::async_trait;
use sqlx::query;

use super::SqliteStore;
use super::row::{Columns, int};
use super::session::session;
use super::share;
use crate::consent::ACCOUNT;
use crate::ids::{Serial, SessionId};
use crate::limits::VIEW_TOUCH_SECS;
use crate::storage::model::{CommitMark, DeviceEpochs, GateFacts, LeaseFacts, MediaAudit, Shared};
use crate::storage::{GateStore, StoreError, Stored};

#[async_trait]
impl GateStore for SqliteStore {
    async fn gate_facts(
        &self,
        token: &[u8],
        serial: &Serial,
        purpose: &'static str,
        version: u32,
        now: u64,
    ) -> Stored<Option<GateFacts>> {
        let row = query(
            "SELECT s.id AS session_id, s.account, s.terminal, s.app, a.subject, a.consent_epoch, t.jkt,
                    t.client_type,
                    b.epoch AS bound_epoch, e.key_epoch, d.channels,
                    b.account = s.account AS owned, g.number AS share_number,
                    g.scopes AS share_scopes, g.channels AS share_channels,
                    g.schedule AS share_schedule, g.ends_at AS share_ends_at,
                    p.number AS proof, p.scopes AS proof_scopes,
                    p.terminal IS NOT NULL AS proof_by_terminal,
                    u.idle_expires AS window_end, c.seq AS consent_seq,
                    EXISTS (SELECT 1 FROM consent_state y WHERE y.account = s.account
                        AND y.purpose = ?6 AND y.granted = 1) AS agreed
             FROM access_token k
             JOIN session s ON s.id = k.session
             JOIN terminal t ON t.id = s.terminal
             JOIN account a ON a.id = s.account
             LEFT JOIN binding b ON b.serial = ?2 AND b.unbound_at IS NULL
             LEFT JOIN share g ON g.serial = b.serial AND g.guest = s.account
                 AND g.binding_epoch = b.epoch AND g.owner = b.account
                 AND (g.ends_at IS NULL OR g.ends_at > ?3)
             LEFT JOIN device d ON d.serial = b.serial
             LEFT JOIN device_epoch e ON e.serial = b.serial AND e.binding_epoch = b.epoch
             LEFT JOIN key_proof p ON p.session = s.id AND p.serial = b.serial AND p.expires > ?3
                 AND p.binding_epoch = b.epoch AND p.key_epoch = e.key_epoch
             LEFT JOIN step_up u ON u.session = s.id AND u.serial = b.serial
                 AND u.idle_expires > ?3 AND u.max_expires > ?3
             LEFT JOIN product_policy o ON o.product = t.client_type AND o.purpose = ?4
                 AND o.removed_at IS NULL
             LEFT JOIN consent_state c ON c.account = s.account AND c.purpose = ?4
                 AND c.product = coalesce(o.product, '') AND c.policy = coalesce(o.id, '')
                 AND c.version = coalesce(o.version, ?5) AND c.granted = 1
             WHERE k.hash = ?1 AND k.expires > ?3 AND s.revoked_at IS NULL
             AND s.idle_expires > ?3 AND s.abs_expires > ?3
             AND t.revoked_at IS NULL AND a.status = 'active'",
        )
        .bind(token)
        .bind(serial.as_str())
        .bind(int(now))
        .bind(purpose)
        .bind(i64::from(version))
        .bind(ACCOUNT.id)
        .fetch_optional(&self.reader)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let device = match (
            row.opt_num("bound_epoch")?,
            row.opt_num("key_epoch")?,
            row.opt_num("channels")?,
        ) {
            (Some(binding), Some(key), Some(channels)) => {
                let channels = u16::try_from(channels)
                    .map_err(|_| StoreError::Inconsistent("a number of channels"))?;
                Some((DeviceEpochs { binding, key }, channels))
            }
            _ => None,
        };
        let owned = row.opt_num("owned")? == Some(1);
        let shared = match (device, row.opt_num("share_number")?) {
            (Some((epochs, channels)), Some(number)) if !owned => {
                let terms = share::terms(&row, "share_")?;
                Some(Shared { epochs, channels, number, terms })
            }
            _ => None,
        };
        Ok(Some(GateFacts {
            session: session(&row)?,
            basic: row.num("agreed")? == 0,
            consent_epoch: row.num("consent_epoch")?,
            bound: device.filter(|_| owned),
            shared,
            key_proof: row.opt_num("proof")?,
            proof_scopes: scopes(row.opt_num("proof_scopes")?),
            proof_by_terminal: row.opt_num("proof_by_terminal")? == Some(1),
            window_idle_expires: row.opt_num("window_end")?,
            consent_seq: row.opt_num("consent_seq")?,
        }))
    }

    async fn step_ups_touch(&self, used: &[(SessionId, Serial)], now: u64) -> Stored<()> {
        let pairs = used
            .iter()
            .map(|(session, serial)| serde_json::json!([session.as_str(), serial.as_str()]));
        touch(self, pairs.collect(), now).await
    }

    async fn step_up_spend(&self, session: &SessionId, serial: &Serial, now: u64) -> Stored<bool> {
        let done = query(
            "UPDATE step_up SET spent_at = ?3 WHERE session = ?1 AND serial = ?2
             AND spent_at IS NULL AND idle_expires > ?3 AND max_expires > ?3",
        )
        .bind(session.as_str())
        .bind(serial.as_str())
        .bind(int(now))
        .execute(&self.writer)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    async fn leases_live(&self, leases: &[LeaseFacts], now: u64) -> Stored<Vec<bool>> {
        let input: Vec<_> = leases
            .iter()
            .map(|lease| {
                serde_json::json!([
                    lease.session,
                    lease.subject,
                    lease.serial,
                    int(lease.epochs.binding),
                    int(lease.epochs.key),
                    int(lease.epochs.consent),
                    int(lease.epochs.share),
                ])
            })
            .collect();
        let input = serde_json::Value::from(input).to_string();
        let rows = query(
            "SELECT j.key AS position, s.id AS session_id, b.serial,
                    u.idle_expires < ?2 + u.idle - ?3 AS touch
             FROM json_each(?1) j
             JOIN session s ON s.id = j.value ->> 0
             JOIN terminal t ON t.id = s.terminal AND t.revoked_at IS NULL
             JOIN account a ON a.id = s.account AND a.status = 'active'
                 AND a.subject = j.value ->> 1 AND a.consent_epoch = j.value ->> 5
             JOIN binding b ON b.serial = j.value ->> 2
                 AND b.unbound_at IS NULL AND b.epoch = j.value ->> 3
             LEFT JOIN share g ON g.serial = b.serial AND g.guest = a.id AND g.owner = b.account
                 AND g.binding_epoch = b.epoch AND g.number = j.value ->> 6 AND g.closes_at > ?2
             JOIN device_epoch e ON e.serial = b.serial AND e.key_epoch = j.value ->> 4
             JOIN key_proof p ON p.session = s.id AND p.serial = b.serial AND p.expires > ?2
                 AND p.binding_epoch = b.epoch AND p.key_epoch = e.key_epoch
             JOIN step_up u ON u.session = s.id AND u.serial = b.serial AND u.max_expires > ?2
             WHERE s.revoked_at IS NULL AND s.abs_expires > ?2
             AND iif(j.value ->> 6 = 0, b.account = a.id, g.id IS NOT NULL)",
        )
        .bind(input)
        .bind(int(now))
        .bind(int(VIEW_TOUCH_SECS))
        .fetch_all(&self.reader)
        .await?;
        let mut live = vec![false; leases.len()];
        let mut touched = Vec::new();
        for row in &rows {
            let at = usize::try_from(row.num("position")?).unwrap_or(usize::MAX);
            if let Some(live) = live.get_mut(at) {
                *live = true;
            }
            if row.num("touch")? == 1 {
                touched.push(serde_json::json!([row.text("session_id")?, row.text("serial")?]));
            }
        }
        if !touched.is_empty() {
            // A running stream keeps its viewing window from idling out.
            touch(self, touched, now).await?;
        }
        Ok(live)
    }

    async fn media_audit(&self, entry: &MediaAudit, now: u64) -> Stored<()> {
        query(
            "INSERT INTO media_audit (account, session, serial, action, purpose, consent_seq,
                context_enc, context_expires, started_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )
        .bind(entry.account.as_str())
        .bind(entry.session.as_str())
        .bind(entry.serial.as_str())
        .bind(entry.action)
        .bind(entry.purpose)
        .bind(int(entry.consent_seq))
        .bind(entry.context_enc.as_deref())
        .bind(int(entry.context_expires))
        .bind(int(now))
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    async fn outside_commits(&self) -> Stored<CommitMark> {
        // Counts the commits of every connection but the one that asks.
        let row = query("PRAGMA data_version").fetch_one(&self.writer).await?;
        let connection = self.writer_generation.load(Ordering::Relaxed);
        Ok(CommitMark { connection, version: row.num("data_version")? })
    }

    async fn ping(&self) -> Stored<()> {
        query("SELECT 1").execute(&self.reader).await?;
        Ok(())
    }
}

/// Moves on the idle end of windows, given as pairs of session and serial, in one commit.
async fn touch(store: &SqliteStore, pairs: Vec<serde_json::Value>, now: u64) -> Stored<()> {
    query(
        "UPDATE step_up SET idle_expires = min(max_expires, ?2 + idle)
         WHERE (session, serial) IN
             (SELECT j.value ->> 0, j.value ->> 1 FROM json_each(?1) j)",
    )
    .bind(serde_json::Value::from(pairs).to_string())
    .bind(int(now))
    .execute(&store.writer)
    .await?;
    Ok(())
}

/// Bits of a viewer list; none without a proof.
fn scopes(bits: Option<u64>) -> u16 {
    bits.and_then(|bits| u16::try_from(bits).ok()).unwrap_or(0)
}
