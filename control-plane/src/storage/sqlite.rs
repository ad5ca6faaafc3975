//! The store on SQLite: one writer connection, a small pool of readers, write-ahead log, every
//! commit on disk before it is acknowledged.

mod abnormal;
mod account;
mod attestation;
mod carrier;
mod consent;
mod credential;
mod device;
mod device_facts;
mod gate;
mod guess;
mod handover;
mod idempotency;
mod identity;
mod introduction;
mod key;
mod mailbox;
pub mod migrate;
mod oplog;
mod otp;
mod outbox;
mod passkey;
mod per_device;
mod policy;
pub(crate) mod private;
mod profile;
mod proof;
pub(crate) mod restore;
mod row;
mod sealing;
mod session;
mod share;
mod sms;
mod sso;
mod terminal;
pub mod upkeep;
mod version;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Sqlite, Transaction};

use self::migrate::{MIGRATIONS, MigrateError};
use super::{Store, StoreError, Stored};

/// Fewest and most readers at a time. Each is a thread: more than processors would only take turns.
const READERS: (u32, u32) = (2, 4);
/// How long a statement waits for a lock or for a connection.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The store.
#[derive(Clone)]
pub struct SqliteStore {
    /// One connection, through which every commit of this store goes.
    writer: SqlitePool,
    /// How many connections the writer has had.
    writer_generation: Arc<AtomicU64>,
    reader: SqlitePool,
}

impl SqliteStore {
    /// Opens or makes the database and brings its schema up to date.
    ///
    /// # Errors
    /// When the file cannot be opened, its schema is newer than this build, or a migration fails.
    pub async fn open(path: &Path) -> Result<Self, MigrateError> {
        private::file(path).map_err(sqlx::Error::Io)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .pragma("secure_delete", "ON")
            .busy_timeout(BUSY_TIMEOUT);
        let pool = |connections| {
            SqlitePoolOptions::new().max_connections(connections).acquire_timeout(BUSY_TIMEOUT)
        };
        let writer_generation = Arc::new(AtomicU64::new(0));
        let generation = writer_generation.clone();
        let writer = pool(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .after_connect(move |_, _| {
                generation.fetch_add(1, Ordering::Relaxed);
                Box::pin(async { Ok(()) })
            })
            .connect_with(options.clone())
            .await?;
        migrate::run(&writer, path, MIGRATIONS).await?;
        // No question before each read whether the connection still stands: a file's does.
        let processors = std::thread::available_parallelism().map_or(1, |count| count.get());
        let readers = u32::try_from(processors).unwrap_or(READERS.1).clamp(READERS.0, READERS.1);
        let reader = pool(readers)
            .test_before_acquire(false)
            .connect_with(options.pragma("query_only", "ON"))
            .await?;
        Ok(Self { writer, writer_generation, reader })
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }

    async fn begin(&self) -> Stored<Transaction<'static, Sqlite>> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }
}

impl Store for SqliteStore {}
impl super::account::PersonalStore for SqliteStore {}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(Box::new(error))
    }
}

#[cfg(test)]
mod tests;
