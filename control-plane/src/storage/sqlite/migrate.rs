//! Schema versions. The version stands in the file's `user_version`; each step is one transaction.

use std::path::{Path, PathBuf};

use sqlx::sqlite::SqlitePool;
use sqlx::{query, query_scalar, raw_sql};

/// Steps, in order; step `n` leads to version `n + 1`.
pub const MIGRATIONS: &[&str] = &[
    include_str!("../../../migrations/0001_first.sql"),
    include_str!("../../../migrations/0002_mailbox.sql"),
    include_str!("../../../migrations/0003_enc_mode.sql"),
    include_str!("../../../migrations/0004_seals.sql"),
    include_str!("../../../migrations/0005_guests.sql"),
    include_str!("../../../migrations/0006_idempotency.sql"),
    include_str!("../../../migrations/0007_credentials.sql"),
    include_str!("../../../migrations/0008_sms.sql"),
    include_str!("../../../migrations/0009_shares.sql"),
    include_str!("../../../migrations/0010_devices.sql"),
    include_str!("../../../migrations/0011_account.sql"),
    include_str!("../../../migrations/0012_passkeys.sql"),
    include_str!("../../../migrations/0013_policies.sql"),
    include_str!("../../../migrations/0014_identities.sql"),
    include_str!("../../../migrations/0015_sso.sql"),
    include_str!("../../../migrations/0016_reset_terminals.sql"),
    include_str!("../../../migrations/0017_viewing_windows.sql"),
];

/// Why a database is not opened.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The file cannot be opened, read or written.
    #[error("the database cannot be opened: {0}")]
    Database(#[from] sqlx::Error),
    /// Written by a newer build.
    #[error(
        "the database has schema version {found}, this build knows {known}; \
         run the newer build, or restore the copy made before its migration"
    )]
    Newer {
        /// Version in the file.
        found: usize,
        /// Newest version that this build knows.
        known: usize,
    },
    /// The copy before a migration could not be made.
    #[error("no copy could be made before migrating, so nothing was changed: {0}")]
    Copy(#[source] sqlx::Error),
}

/// Brings the database to the newest version. An existing one is copied next to itself first.
pub async fn run(
    pool: &SqlitePool,
    path: &Path,
    migrations: &'static [&'static str],
) -> Result<(), MigrateError> {
    let found = version(pool).await?;
    let known = migrations.len();
    if found > known {
        return Err(MigrateError::Newer { found, known });
    }
    if found > 0 && found < known {
        copy(pool, &copy_path(path, found)).await?;
    }
    for (at, step) in migrations.iter().enumerate().skip(found) {
        let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
        raw_sql(*step).execute(&mut *transaction).await?;
        let stamp = format!("PRAGMA user_version = {}", at + 1);
        raw_sql(sqlx::AssertSqlSafe(stamp)).execute(&mut *transaction).await?;
        transaction.commit().await?;
    }
    Ok(())
}

/// Where the copy of a database of this version goes.
pub fn copy_path(path: &Path, version: usize) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".before-migration-{version}"));
    PathBuf::from(name)
}

/// The copies that were made of a database.
pub fn copies_of(path: &Path) -> Vec<PathBuf> {
    let versions = 1..=MIGRATIONS.len();
    versions.map(|version| copy_path(path, version)).filter(|copy| copy.exists()).collect()
}

async fn version(pool: &SqlitePool) -> Result<usize, sqlx::Error> {
    let version: i64 = query_scalar("PRAGMA user_version").fetch_one(pool).await?;
    Ok(usize::try_from(version).unwrap_or(usize::MAX))
}

/// A consistent copy. Made under another name first, so that a copy by the right name is whole.
async fn copy(pool: &SqlitePool, to: &Path) -> Result<(), MigrateError> {
    let failed = |error: std::io::Error| MigrateError::Copy(sqlx::Error::Io(error));
    let partial = to.with_extension("partial");
    if partial.exists() {
        std::fs::remove_file(&partial).map_err(failed)?;
    }
    super::private::file(&partial).map_err(failed)?;
    query("VACUUM INTO ?1")
        .bind(partial.to_string_lossy().into_owned())
        .execute(pool)
        .await
        .map_err(MigrateError::Copy)?;
    std::fs::File::open(&partial).and_then(|file| file.sync_all()).map_err(failed)?;
    std::fs::rename(&partial, to).map_err(failed)
}
