//! A database in which each account is signed in, owns a device, and may watch it.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use sightline_control_plane::DATABASE_FILE;
use sightline_control_plane::consent::{ACCOUNT, MEDIA_VIEW};
use sightline_control_plane::limits::VIEW_IDLE_SECS;
use sightline_control_plane::vault::token_hash;
use sightline_grant::{Redacted, Thumbprint};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection, query, query_scalar};

/// Life of what is filled in, seconds: longer than any run.
const LIFE: i64 = 12 * 3600;
/// Viewing windows are written again once a minute; so these are due at all times of one.
const TOUCH_SPREAD: i64 = 60;

/// Rows of an account, by its id, its serial, the present time, the end of what is filled in, the end
/// of the window and the key of the terminal.
const ROWS: &[&str] = &[
    "INSERT INTO account (id, subject, status, created_at) VALUES (?1, ?1, 'active', ?3)",
    "INSERT INTO subject_key (account, wrapped) VALUES (?1, randomblob(60))",
    "INSERT INTO identifier (account, kind, value_enc, lookup, verified_at, method)
     VALUES (?1, 'phone', randomblob(42), randomblob(32), ?3, 'sms')",
    "INSERT INTO binding (serial, account, epoch, bound_at) VALUES (?2, ?1, 1, ?3)",
    "INSERT INTO device_epoch (serial, binding_epoch, key_epoch) VALUES (?2, 1, 1)",
    "INSERT INTO key_verifier (serial, binding_epoch, key_epoch, public, stored_at)
     VALUES (?2, 1, 1, randomblob(32), ?3)",
    "INSERT INTO terminal (id, account, jkt, name_enc, client_type, first_seen, last_seen)
     VALUES (?1, ?1, ?6, randomblob(42), 'browser', ?3, ?3)",
    "INSERT INTO session (id, account, terminal, amr, auth_time, idle_expires, abs_expires)
     VALUES (?1, ?1, ?1, 'otp', ?3, ?4, ?4)",
    "INSERT INTO key_proof (session, serial, binding_epoch, key_epoch, expires)
     VALUES (?1, ?2, 1, 1, ?4)",
    "INSERT INTO step_up (session, serial, opened_at, idle_expires, max_expires)
     VALUES (?1, ?2, ?3, ?5, ?4)",
];

/// Access token of an account.
pub(crate) fn token(number: usize) -> Redacted<String> {
    Redacted::new(format!("{number:043}"))
}

/// Serial of its device.
pub(crate) fn serial(number: usize) -> String {
    format!("CAM-{number}")
}

/// Key of its terminal.
pub(crate) fn terminal(number: usize) -> Thumbprint {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&(number as u64).to_be_bytes());
    Thumbprint(key)
}

/// Accounts of a filled database.
pub(crate) async fn accounts(folder: &Path) -> Result<usize, crate::Failure> {
    let mut database = connect(folder).await?;
    let count: i64 = query_scalar("SELECT count(*) FROM account").fetch_one(&mut database).await?;
    Ok(usize::try_from(count)?)
}

/// Fills a database that has its schema, in one transaction.
pub(crate) async fn fill(folder: &Path, accounts: usize) -> Result<(), crate::Failure> {
    let mut database = connect(folder).await?;
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?;
    let mut tx = database.begin().await?;
    for number in 0..accounts {
        add(&mut tx, number, now).await?;
    }
    tx.commit().await?;
    // As a database is that has been in use.
    query("ANALYZE").execute(&mut database).await?;
    database.close().await?;
    Ok(())
}

async fn add(tx: &mut SqliteConnection, number: usize, now: i64) -> Result<(), crate::Failure> {
    let (id, serial) = (format!("{number:032x}"), serial(number));
    let idle = i64::try_from(VIEW_IDLE_SECS)? - number as i64 % TOUCH_SPREAD;
    query(
        "INSERT INTO device (serial, name, model, sealed, seals, identity, code, channels, added_at)
         VALUES (?1, 'Door', 'M1', 1, 1, ?1, randomblob(32), 1, ?2)",
    )
    .bind(&serial)
    .bind(now)
    .execute(&mut *tx)
    .await?;
    for row in ROWS {
        let bound = query(*row).bind(&id).bind(&serial).bind(now).bind(now + LIFE);
        let key = terminal(number).to_string();
        bound.bind(now + idle).bind(key).execute(&mut *tx).await?;
    }
    for purpose in [&ACCOUNT, &MEDIA_VIEW] {
        query(
            "INSERT INTO consent_state
                 (account, purpose, product, policy, version, granted, seq, at)
             VALUES (?1, ?2, '', '', ?3, 1, 1, ?4)",
        )
        .bind(&id)
        .bind(purpose.id)
        .bind(i64::from(purpose.version))
        .bind(now)
        .execute(&mut *tx)
        .await?;
    }
    query("INSERT INTO access_token (hash, session, expires) VALUES (?1, ?2, ?3)")
        .bind(token_hash(token(number).expose()))
        .bind(&id)
        .bind(now + LIFE)
        .execute(&mut *tx)
        .await?;
    Ok(())
}

async fn connect(folder: &Path) -> Result<SqliteConnection, sqlx::Error> {
    SqliteConnectOptions::new()
        .filename(folder.join(DATABASE_FILE))
        .foreign_keys(true)
        .connect()
        .await
}
