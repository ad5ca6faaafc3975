//! How shares end: by their owner or guest, by the clock, with the binding, with the account.

use sqlx::{SqliteConnection, query};

use super::super::SqliteStore;
use super::super::row::{Columns, enqueue, int, log};
use super::rows::{self, read};
use crate::ids::{AccountId, Serial, Subject};
use crate::storage::Stored;
use crate::storage::model::{Share, ShareCut};

/// Why a share ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// Its owner wants that.
    Revoked,
    /// Its guest does.
    Left,
    /// Its time is over, or the device has no owner any more.
    Over,
}

/// What the guest made with this device while it was shared.
const OF_GUEST: [&str; 5] = [
    "DELETE FROM key_proof WHERE serial = ?1
         AND session IN (SELECT id FROM session WHERE account = ?2)",
    "DELETE FROM step_up WHERE serial = ?1
         AND session IN (SELECT id FROM session WHERE account = ?2)",
    "DELETE FROM key_challenge WHERE serial = ?1
         AND session IN (SELECT id FROM session WHERE account = ?2)",
    "DELETE FROM otp_challenge WHERE serial = ?1 AND account = ?2",
    "DELETE FROM key_lock WHERE serial = ?1 AND account = ?2",
];

/// Ends a share or withdraws an invitation, and tells the other side.
pub(super) async fn end(
    connection: &mut SqliteConnection,
    share: &Share,
    why: Why,
    now: u64,
) -> Stored<Option<ShareCut>> {
    query("DELETE FROM share WHERE id = ?1")
        .bind(share.id.as_str())
        .execute(&mut *connection)
        .await?;
    let (serial, owner) = (share.serial.as_str(), share.owner.as_str());
    let Some(guest) = share.guest.as_ref().map(AccountId::as_str) else {
        log(connection, owner, "share.withdrawn", serial, now).await?;
        return Ok(None);
    };
    for statement in OF_GUEST {
        query(statement).bind(serial).bind(guest).execute(&mut *connection).await?;
    }
    let (actor, action, told): (_, _, &[(&str, &str)]) = match why {
        Why::Revoked => (owner, "share.revoked", &[(guest, "share_revoked")]),
        Why::Left => (guest, "share.left", &[(owner, "share_left")]),
        Why::Over => (owner, "share.ended", &[(guest, "share_ended"), (owner, "share_ended")]),
    };
    log(connection, actor, action, serial, now).await?;
    for (account, kind) in told {
        enqueue(connection, "in_app", kind, serial, Some(account), now).await?;
    }
    cut(connection, share, share.number + 1).await.map(Some)
}

/// What ends the guest's media sessions.
pub(super) async fn cut(
    connection: &mut SqliteConnection,
    share: &Share,
    epoch: u64,
) -> Stored<ShareCut> {
    let row = query("SELECT subject FROM account WHERE id = ?1")
        .bind(share.guest.as_ref().map(AccountId::as_str))
        .fetch_one(connection)
        .await?;
    let subject = Subject(row.text("subject")?);
    Ok(ShareCut { serial: share.serial.clone(), subject, epoch })
}

/// Ends every share and invitation of a device that loses its owner. Its media ends with the binding.
pub(in super::super) async fn end_of_device(
    connection: &mut SqliteConnection,
    serial: &Serial,
    now: u64,
) -> Stored<()> {
    let rows = query("SELECT * FROM share WHERE serial = ?1")
        .bind(serial.as_str())
        .fetch_all(&mut *connection)
        .await?;
    for row in &rows {
        end(connection, &read(row)?, Why::Over, now).await?;
    }
    Ok(())
}

/// Ends what is shared with an account that goes. Its media ends with its logins.
pub(in super::super) async fn leave_all(
    connection: &mut SqliteConnection,
    guest: &AccountId,
    now: u64,
) -> Stored<()> {
    let rows = query("SELECT * FROM share WHERE guest = ?1")
        .bind(guest.as_str())
        .fetch_all(&mut *connection)
        .await?;
    for row in &rows {
        end(connection, &read(row)?, Why::Left, now).await?;
    }
    Ok(())
}

/// Ends those shares of a guest whose time is over and that the clock has not ended yet.
pub(super) async fn forget_over(
    connection: &mut SqliteConnection,
    guest: &str,
    now: u64,
) -> Stored<()> {
    let rows = query("SELECT * FROM share WHERE guest = ?1 AND ends_at <= ?2")
        .bind(guest)
        .bind(int(now))
        .fetch_all(&mut *connection)
        .await?;
    for row in &rows {
        end(connection, &read(row)?, Why::Over, now).await?;
    }
    Ok(())
}

/// What the clock does to shares. Asked often, so it writes only when it must.
pub(super) async fn due(store: &SqliteStore, now: u64) -> Stored<Vec<ShareCut>> {
    let due = query(
        "SELECT 1 FROM share WHERE guest IS NOT NULL AND closes_at <= ?1
         UNION ALL
         SELECT 1 FROM share WHERE guest IS NOT NULL AND warn_at IS NOT NULL AND warn_at <= ?1
         LIMIT 1",
    )
    .bind(int(now))
    .fetch_optional(&store.reader)
    .await?;
    if due.is_none() {
        return Ok(Vec::new());
    }
    let mut tx = store.begin().await?;
    let mut cuts = Vec::new();
    let closed = query("SELECT * FROM share WHERE guest IS NOT NULL AND closes_at <= ?1")
        .bind(int(now))
        .fetch_all(&mut *tx)
        .await?;
    for row in &closed {
        let mut share = read(row)?;
        if share.terms.ends_at.is_some_and(|end| end <= now) {
            cuts.extend(end(&mut tx, &share, Why::Over, now).await?);
        } else {
            share.number = rows::next_number(&mut tx).await?;
            cuts.push(cut(&mut tx, &share, share.number).await?);
            close(&mut tx, &share, now).await?;
        }
    }
    warn(&mut tx, now).await?;
    tx.commit().await?;
    Ok(cuts)
}

/// The hours of a share are over until the next ones.
async fn close(connection: &mut SqliteConnection, share: &Share, now: u64) -> Stored<()> {
    query("UPDATE share SET number = ?2, closes_at = ?3 WHERE id = ?1")
        .bind(share.id.as_str())
        .bind(int(share.number))
        .bind(int(share.terms.closes_at(now)))
        .execute(connection)
        .await?;
    Ok(())
}

/// Tells both sides, once, of ends that are near.
async fn warn(connection: &mut SqliteConnection, now: u64) -> Stored<()> {
    let near = query(
        "UPDATE share SET warn_at = NULL
         WHERE guest IS NOT NULL AND warn_at IS NOT NULL AND warn_at <= ?1
         RETURNING serial, owner, guest",
    )
    .bind(int(now))
    .fetch_all(&mut *connection)
    .await?;
    for row in &near {
        let serial = row.text("serial")?;
        for party in ["guest", "owner"] {
            let account = row.text(party)?;
            let account = Some(account.as_str());
            enqueue(connection, "in_app", "share_expiring", &serial, account, now).await?;
        }
    }
    Ok(())
}
