//! Rows of shares.

use sqlx::sqlite::SqliteRow;
use sqlx::{SqliteConnection, query, query_scalar};

use super::super::row::{Columns, int};
use crate::ids::{AccountId, Serial, ShareId};
use crate::share::scopes::ShareScopes;
use crate::storage::model::{NewInvite, Share, ShareTerms};
use crate::storage::{StoreError, Stored};

/// Shares and invitations that are not over, of devices that their owners still have; `?1` is now.
macro_rules! select_share {
    ($rest:literal) => {
        concat!(
            "SELECT g.* FROM share g
             JOIN binding b ON b.serial = g.serial AND b.epoch = g.binding_epoch
                 AND b.account = g.owner AND b.unbound_at IS NULL
             WHERE (g.ends_at IS NULL OR g.ends_at > ?1)
             AND (g.guest IS NOT NULL OR g.invite_expires > ?1) ",
            $rest
        )
    };
}
pub(super) use select_share;

pub(super) async fn insert(
    connection: &mut SqliteConnection,
    new: &NewInvite,
    binding_epoch: u64,
    now: u64,
) -> Stored<()> {
    let number = next_number(connection).await?;
    query(
        "INSERT INTO share (id, serial, binding_epoch, owner, number, code, scopes, channels,
             schedule, ends_at, closes_at, label_enc, created_at, invite_expires)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    )
    .bind(new.id.as_str())
    .bind(new.serial.as_str())
    .bind(int(binding_epoch))
    .bind(new.owner.as_str())
    .bind(int(number))
    .bind(&new.code)
    .bind(i64::from(new.terms.scopes.bits()))
    .bind(channels(&new.terms))
    .bind(schedule(&new.terms))
    .bind(new.terms.ends_at.map(int))
    .bind(int(new.terms.closes_at(now)))
    .bind(&new.label_enc)
    .bind(int(now))
    .bind(int(new.expires))
    .execute(connection)
    .await?;
    Ok(())
}

/// Turns an invitation into the share of its guest.
pub(super) async fn take(connection: &mut SqliteConnection, share: &Share, now: u64) -> Stored<()> {
    query("UPDATE share SET guest = ?2, code = NULL, accepted_at = ?3 WHERE id = ?1")
        .bind(share.id.as_str())
        .bind(share.guest.as_ref().map(AccountId::as_str))
        .bind(int(now))
        .execute(&mut *connection)
        .await?;
    update(connection, share, now).await
}

/// Writes what may change of a share, and when it is to be looked at.
pub(super) async fn update(
    connection: &mut SqliteConnection,
    share: &Share,
    now: u64,
) -> Stored<()> {
    query(
        "UPDATE share SET number = ?2, scopes = ?3, channels = ?4, schedule = ?5, ends_at = ?6,
             closes_at = ?7, warn_at = ?8, label_enc = ?9
         WHERE id = ?1",
    )
    .bind(share.id.as_str())
    .bind(int(share.number))
    .bind(i64::from(share.terms.scopes.bits()))
    .bind(channels(&share.terms))
    .bind(schedule(&share.terms))
    .bind(share.terms.ends_at.map(int))
    .bind(int(share.terms.closes_at(now)))
    .bind(share.terms.warn_at(now).map(int))
    .bind(&share.label_enc)
    .execute(connection)
    .await?;
    Ok(())
}

/// A number above all that a share ever had.
pub(super) async fn next_number(connection: &mut SqliteConnection) -> Stored<u64> {
    let number: i64 = query_scalar("UPDATE share_number SET last = last + 1 RETURNING last")
        .fetch_one(connection)
        .await?;
    u64::try_from(number).map_err(|_| StoreError::Inconsistent("a number of shares"))
}

fn channels(terms: &ShareTerms) -> Option<String> {
    terms.channels.as_ref().map(|list| serde_json::to_string(list).expect("numbers serialise"))
}

fn schedule(terms: &ShareTerms) -> Option<String> {
    terms
        .schedule
        .as_ref()
        .map(|hours| serde_json::to_string(hours).expect("plain data serialises"))
}

/// Terms out of the columns `scopes`, `channels`, `schedule` and `ends_at`, whose names begin with
/// `prefix`.
pub(in super::super) fn terms(row: &SqliteRow, prefix: &str) -> Stored<ShareTerms> {
    let broken = |_| StoreError::Inconsistent("the terms of a share");
    let column = |name: &str| format!("{prefix}{name}");
    let channels = row.opt_text(&column("channels"))?;
    let schedule = row.opt_text(&column("schedule"))?;
    Ok(ShareTerms {
        scopes: ShareScopes::from_bits(row.num(&column("scopes"))?),
        channels: channels.map(|text| serde_json::from_str(&text)).transpose().map_err(broken)?,
        schedule: schedule.map(|text| serde_json::from_str(&text)).transpose().map_err(broken)?,
        ends_at: row.opt_num(&column("ends_at"))?,
    })
}

pub(super) fn read(row: &SqliteRow) -> Stored<Share> {
    Ok(Share {
        id: ShareId(row.text("id")?),
        serial: Serial(row.text("serial")?),
        binding_epoch: row.num("binding_epoch")?,
        owner: AccountId(row.text("owner")?),
        guest: row.opt_text("guest")?.map(AccountId),
        number: row.num("number")?,
        terms: terms(row, "")?,
        label_enc: row.blob("label_enc")?,
        created_at: row.num("created_at")?,
        accepted_at: row.opt_num("accepted_at")?,
        invite_expires: row.num("invite_expires")?,
    })
}
