//! Shares of devices.

mod ending;
mod rows;

use async_trait::async_trait;
use sqlx::{SqliteConnection, query, query_scalar};

use super::SqliteStore;
use super::row::{Columns, enqueue, int, log};
use crate::ids::{AccountId, Serial, ShareId};
use crate::storage::model::{
    Acceptance, Accepted, Attested, EndedBy, Invited, NewInvite, Share, ShareChange, ShareChanged,
    ShareCut, ShareEnded,
};
use crate::storage::{ShareStore, Stored};

pub(super) use ending::{end_of_device, leave_all};
pub(super) use rows::terms;
use rows::{read, select_share};

#[async_trait]
impl ShareStore for SqliteStore {
    async fn share_invite(&self, new: &NewInvite, most: u64, now: u64) -> Stored<Invited> {
        let mut tx = self.begin().await?;
        let serial = new.serial.as_str();
        let owned = query(
            "SELECT epoch FROM binding WHERE serial = ?1 AND account = ?2 AND unbound_at IS NULL",
        )
        .bind(serial)
        .bind(new.owner.as_str())
        .fetch_optional(&mut *tx)
        .await?;
        let Some(row) = owned else { return Ok(Invited::NotOwner) };
        let epoch = row.num("epoch")?;
        query("DELETE FROM share WHERE serial = ?1 AND guest IS NULL AND invite_expires <= ?2")
            .bind(serial)
            .bind(int(now))
            .execute(&mut *tx)
            .await?;
        let held: i64 = query_scalar("SELECT count(*) FROM share WHERE serial = ?1")
            .bind(serial)
            .fetch_one(&mut *tx)
            .await?;
        if held >= int(most) {
            return Ok(Invited::Full);
        }
        rows::insert(&mut tx, new, epoch, now).await?;
        attest(&mut tx, &new.id, serial, "owner", &new.attested, now).await?;
        let owner = new.owner.as_str();
        log(&mut tx, owner, "share.invited", serial, now).await?;
        enqueue(&mut tx, "in_app", "share_invited", serial, Some(owner), now).await?;
        tx.commit().await?;
        Ok(Invited::Made)
    }

    async fn share_by_code(&self, code: &[u8], now: u64) -> Stored<Option<Share>> {
        query(select_share!("AND g.code = ?2 AND g.guest IS NULL"))
            .bind(int(now))
            .bind(code)
            .fetch_optional(&self.reader)
            .await?
            .as_ref()
            .map(read)
            .transpose()
    }

    async fn share_accept(&self, acceptance: &Acceptance, now: u64) -> Stored<Accepted> {
        let mut tx = self.begin().await?;
        let found = query(select_share!("AND g.code = ?2 AND g.guest IS NULL"))
            .bind(int(now))
            .bind(&acceptance.code)
            .fetch_optional(&mut *tx)
            .await?;
        let Some(row) = found else { return Ok(Accepted::Unknown) };
        let mut share = read(&row)?;
        let guest = acceptance.guest.as_str();
        if share.owner == acceptance.guest {
            return Ok(Accepted::OwnDevice);
        }
        ending::forget_over(&mut tx, guest, now).await?;
        let held = query(
            "SELECT count(*) AS shares, coalesce(sum(serial = ?2), 0) AS here FROM share
             WHERE guest = ?1",
        )
        .bind(guest)
        .bind(share.serial.as_str())
        .fetch_one(&mut *tx)
        .await?;
        if held.num("here")? > 0 {
            return Ok(Accepted::Already);
        }
        if held.num("shares")? >= acceptance.most {
            return Ok(Accepted::Full);
        }
        share.guest = Some(acceptance.guest.clone());
        share.accepted_at = Some(now);
        share.number = rows::next_number(&mut tx).await?;
        rows::take(&mut tx, &share, now).await?;
        let serial = share.serial.as_str();
        attest(&mut tx, &share.id, serial, "guest", &acceptance.attested, now).await?;
        log(&mut tx, guest, "share.accepted", serial, now).await?;
        let owner = Some(share.owner.as_str());
        enqueue(&mut tx, "in_app", "share_accepted", serial, owner, now).await?;
        tx.commit().await?;
        Ok(Accepted::Shared(Box::new(share)))
    }

    async fn shares_of_device(
        &self,
        owner: &AccountId,
        serial: &Serial,
        now: u64,
    ) -> Stored<Option<Vec<Share>>> {
        let owned = query(
            "SELECT 1 FROM binding WHERE serial = ?1 AND account = ?2 AND unbound_at IS NULL",
        )
        .bind(serial.as_str())
        .bind(owner.as_str())
        .fetch_optional(&self.reader)
        .await?;
        if owned.is_none() {
            return Ok(None);
        }
        let rows =
            query(select_share!("AND g.serial = ?2 AND g.owner = ?3 ORDER BY g.created_at, g.id"))
                .bind(int(now))
                .bind(serial.as_str())
                .bind(owner.as_str())
                .fetch_all(&self.reader)
                .await?;
        rows.iter().map(read).collect::<Stored<_>>().map(Some)
    }

    async fn shares_of_guest(&self, guest: &AccountId, now: u64) -> Stored<Vec<Share>> {
        let rows = query(select_share!("AND g.guest = ?2 ORDER BY g.accepted_at, g.id"))
            .bind(int(now))
            .bind(guest.as_str())
            .fetch_all(&self.reader)
            .await?;
        rows.iter().map(read).collect()
    }

    async fn share_with(
        &self,
        serial: &Serial,
        guest: &AccountId,
        now: u64,
    ) -> Stored<Option<Share>> {
        query(select_share!("AND g.serial = ?2 AND g.guest = ?3"))
            .bind(int(now))
            .bind(serial.as_str())
            .bind(guest.as_str())
            .fetch_optional(&self.reader)
            .await?
            .as_ref()
            .map(read)
            .transpose()
    }

    async fn share_counts(&self, owner: &AccountId, now: u64) -> Stored<Vec<(Serial, u64)>> {
        let rows = query(
            "SELECT g.serial, count(*) AS guests FROM share g
             JOIN binding b ON b.serial = g.serial AND b.epoch = g.binding_epoch
                 AND b.account = g.owner AND b.unbound_at IS NULL
             WHERE g.owner = ?1 AND g.guest IS NOT NULL AND (g.ends_at IS NULL OR g.ends_at > ?2)
             GROUP BY g.serial",
        )
        .bind(owner.as_str())
        .bind(int(now))
        .fetch_all(&self.reader)
        .await?;
        rows.iter().map(|row| Ok((Serial(row.text("serial")?), row.num("guests")?))).collect()
    }

    async fn share_change(
        &self,
        owner: &AccountId,
        serial: &Serial,
        id: &ShareId,
        change: &ShareChange,
        now: u64,
    ) -> Stored<ShareChanged> {
        let mut tx = self.begin().await?;
        let found = query(select_share!("AND g.id = ?2 AND g.serial = ?3 AND g.owner = ?4"))
            .bind(int(now))
            .bind(id.as_str())
            .bind(serial.as_str())
            .bind(owner.as_str())
            .fetch_optional(&mut *tx)
            .await?;
        let Some(row) = found else { return Ok(ShareChanged::Unknown) };
        let before = read(&row)?;
        let mut share = before.clone();
        share.terms = before.terms.changed(change);
        if let Some(label_enc) = &change.label_enc {
            share.label_enc.clone_from(label_enc);
        }
        let mut cut = None;
        // Hours that are over and that the clock has not ended yet end here.
        let lapsed = row.num("closes_at")? <= now;
        if share.guest.is_some() && (lapsed || share.terms.take_away_from(&before.terms, now)) {
            share.number = rows::next_number(&mut tx).await?;
            cut = Some(ending::cut(&mut tx, &share, share.number).await?);
        }
        rows::update(&mut tx, &share, now).await?;
        log(&mut tx, owner.as_str(), "share.changed", serial.as_str(), now).await?;
        if share.terms != before.terms
            && let Some(guest) = &share.guest
        {
            let guest = Some(guest.as_str());
            enqueue(&mut tx, "in_app", "share_changed", serial.as_str(), guest, now).await?;
        }
        tx.commit().await?;
        Ok(ShareChanged::Changed(Box::new(share), cut))
    }

    async fn share_end(&self, id: &ShareId, by: EndedBy<'_>, now: u64) -> Stored<ShareEnded> {
        let mut tx = self.begin().await?;
        let (sql, party, serial) = match by {
            EndedBy::Owner(owner, serial) => (
                select_share!("AND g.id = ?2 AND g.owner = ?3 AND g.serial = ?4"),
                owner,
                serial.as_str(),
            ),
            EndedBy::Guest(guest) => {
                (select_share!("AND g.id = ?2 AND g.guest = ?3 AND ?4 = ?4"), guest, "")
            }
        };
        let found = query(sql)
            .bind(int(now))
            .bind(id.as_str())
            .bind(party.as_str())
            .bind(serial)
            .fetch_optional(&mut *tx)
            .await?;
        let Some(row) = found else { return Ok(ShareEnded::Unknown) };
        let share = read(&row)?;
        let why = match by {
            EndedBy::Owner(..) => ending::Why::Revoked,
            EndedBy::Guest(_) => ending::Why::Left,
        };
        let cut = ending::end(&mut tx, &share, why, now).await?;
        tx.commit().await?;
        Ok(ShareEnded::Ended(cut))
    }

    async fn shares_due(&self, now: u64) -> Stored<Vec<ShareCut>> {
        ending::due(self, now).await
    }
}

async fn attest(
    connection: &mut SqliteConnection,
    share: &ShareId,
    serial: &str,
    role: &str,
    attested: &Attested,
    now: u64,
) -> Stored<()> {
    query(
        "INSERT INTO share_attestation
         (share, serial, role, subject, terminal, version, text_hash, at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )
    .bind(share.as_str())
    .bind(serial)
    .bind(role)
    .bind(attested.subject.as_str())
    .bind(attested.terminal.as_str())
    .bind(i64::from(attested.version))
    .bind(&attested.text_hash)
    .bind(int(now))
    .execute(connection)
    .await?;
    Ok(())
}
