use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use sqlx::{query, query_scalar, raw_sql};

use super::SqliteStore;
use super::migrate::{self, MIGRATIONS, MigrateError, copy_path};
use crate::storage::{GateStore, contract};

const FIRST: &[&str] = &[MIGRATIONS[0]];
const BROKEN: &str =
    "CREATE TABLE half (a INTEGER); DELETE FROM otp_ledger; CREATE TABLE nonsense;";
const GROWN: &str = "CREATE TABLE more (a INTEGER) STRICT;";

/// All steps and one more.
fn and_then(step: &'static str) -> &'static [&'static str] {
    [MIGRATIONS, &[step]].concat().leak()
}

impl SqliteStore {
    /// To look at rows that no method reads.
    pub(crate) fn pool(&self) -> &SqlitePool {
        &self.reader
    }

    /// Changes rows as somebody with the file could: past the triggers.
    pub(crate) async fn tamper(&self, sql: &'static str) {
        raw_sql("DROP TRIGGER consent_event_no_update").execute(&self.writer).await.unwrap();
        raw_sql(sql).execute(&self.writer).await.unwrap();
    }

    /// Puts other bytes in the place of a viewer list.
    pub(crate) async fn replace_viewer_list(&self, serial: &str, signed: &[u8]) {
        query("UPDATE viewer_list SET signed = ?2 WHERE serial = ?1")
            .bind(serial)
            .bind(signed)
            .execute(&self.writer)
            .await
            .unwrap();
    }

    /// Media sessions whose context is still there.
    pub(crate) async fn contexts_kept(&self) -> i64 {
        query_scalar("SELECT count(*) FROM media_audit WHERE context_enc IS NOT NULL")
            .fetch_one(&self.reader)
            .await
            .unwrap()
    }
}

async fn store() -> (SqliteStore, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (SqliteStore::open(&folder.path().join("a.db")).await.unwrap(), folder)
}

#[tokio::test]
async fn sqlite_keeps_the_contract_of_the_store() {
    for check in contract::CHECKS {
        let (store, _folder) = store().await;
        check(&store).await;
    }
}

#[tokio::test]
async fn sqlite_is_compiled_without_statistics_that_prepare_statements_for_each_value() {
    let (store, _folder) = store().await;
    let options: Vec<String> =
        query_scalar("PRAGMA compile_options").fetch_all(store.pool()).await.unwrap();
    assert!(options.iter().any(|option| option == "ENABLE_QPSG"), "{options:?}");
    for without in ["ENABLE_STAT4", "ENABLE_MEMORY_MANAGEMENT"] {
        let how = "see LIBSQLITE3_FLAGS in .cargo/config.toml";
        assert!(options.iter().all(|option| option != without), "{without}: {how}");
    }
}

#[tokio::test]
async fn append_only_tables_refuse_change_and_epochs_refuse_to_fall() {
    let (store, _folder) = store().await;
    contract::some_rows(&store).await;
    query("INSERT INTO generation_last VALUES ('D', 7)").execute(&store.writer).await.unwrap();
    query("INSERT INTO enc_mode_event VALUES (1, 'D', 1, 'open', NULL, 1)")
        .execute(&store.writer)
        .await
        .unwrap();
    query("INSERT INTO attestation VALUES (1, 's', 'others', 'o', 1, x'00', 't', 1)")
        .execute(&store.writer)
        .await
        .unwrap();
    query("INSERT INTO restored VALUES (1)").execute(&store.writer).await.unwrap();
    query("INSERT INTO share_attestation VALUES (1, 's', 'D', 'owner', 'p', 't', 1, x'00', 1)")
        .execute(&store.writer)
        .await
        .unwrap();
    for sql in [
        "UPDATE consent_event SET at = 0",
        "DELETE FROM consent_event",
        "UPDATE oplog SET at = 0",
        "DELETE FROM oplog",
        "UPDATE device_epoch SET binding_epoch = binding_epoch - 1",
        "DELETE FROM device_epoch",
        "UPDATE generation_last SET number = number",
        "DELETE FROM generation_last",
        "UPDATE enc_mode_event SET at = 0",
        "DELETE FROM enc_mode_event",
        "UPDATE attestation SET at = 0",
        "DELETE FROM attestation",
        "UPDATE oplog_floor SET at = at - 1",
        "DELETE FROM oplog_floor",
        "DELETE FROM restored",
        "UPDATE share_number SET last = last",
        "DELETE FROM share_number",
        "UPDATE share_attestation SET at = 0",
        "DELETE FROM share_attestation",
    ] {
        assert!(query(sql).execute(&store.writer).await.is_err(), "{sql}");
    }
}

#[tokio::test]
async fn commits_of_others_are_seen_and_its_own_are_not() {
    let (store, folder) = store().await;
    let first = store.outside_commits().await.unwrap();
    contract::some_rows(&store).await;
    assert_eq!(store.outside_commits().await.unwrap(), first, "its own commits");
    let other = SqliteStore::open(&folder.path().join("a.db")).await.unwrap();
    let opened = store.outside_commits().await.unwrap();
    query("INSERT INTO otp_ledger VALUES ('x', x'00', 1)").execute(&other.writer).await.unwrap();
    let after = store.outside_commits().await.unwrap();
    assert_ne!(after, opened, "a commit of another");
    assert_eq!(store.outside_commits().await.unwrap(), after);
}

#[tokio::test]
async fn a_newer_schema_is_refused_with_a_clear_error() {
    let (store, folder) = store().await;
    raw_sql("PRAGMA user_version = 99").execute(&store.writer).await.unwrap();
    store.close().await;
    let error = SqliteStore::open(&folder.path().join("a.db")).await.err().unwrap();
    assert!(matches!(error, MigrateError::Newer { found: 99, known } if known == MIGRATIONS.len()));
    assert!(error.to_string().contains("newer build"));
}

#[tokio::test]
async fn a_database_of_the_first_version_keeps_its_rows_and_gets_the_mailbox() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let old = SqlitePool::connect_with(options).await.unwrap();
    migrate::run(&old, &path, FIRST).await.unwrap();
    query("INSERT INTO otp_ledger VALUES ('x', x'00', 1)").execute(&old).await.unwrap();
    old.close().await;
    let store = SqliteStore::open(&path).await.unwrap();
    let rows: i64 =
        query_scalar("SELECT count(*) FROM otp_ledger").fetch_one(&store.writer).await.unwrap();
    assert_eq!(rows, 1);
    let lists: i64 =
        query_scalar("SELECT count(*) FROM viewer_list").fetch_one(&store.writer).await.unwrap();
    assert_eq!(lists, 0);
    assert!(copy_path(&path, 1).exists(), "the copy from before");
}

#[tokio::test]
async fn a_failed_migration_changes_nothing_and_leaves_the_copy() {
    let (store, folder) = store().await;
    let path = folder.path().join("a.db");
    query("INSERT INTO otp_ledger VALUES ('x', x'00', 1)").execute(&store.writer).await.unwrap();
    assert!(migrate::run(&store.writer, &path, and_then(BROKEN)).await.is_err());
    let rows: i64 =
        query_scalar("SELECT count(*) FROM otp_ledger").fetch_one(&store.writer).await.unwrap();
    assert_eq!(rows, 1, "the step was rolled back");
    store.close().await;
    // A process killed within the step leaves the same: the old version and the copy.
    let copy = SqliteStore::open(&copy_path(&path, MIGRATIONS.len())).await.unwrap();
    let rows: i64 =
        query_scalar("SELECT count(*) FROM otp_ledger").fetch_one(&copy.writer).await.unwrap();
    assert_eq!(rows, 1);
    let store = SqliteStore::open(&path).await.unwrap();
    migrate::run(&store.writer, &path, and_then(GROWN)).await.unwrap();
    query("INSERT INTO more VALUES (1)").execute(&store.writer).await.unwrap();
}
